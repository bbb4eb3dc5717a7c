"""From the tape to a jaxpr: every recorded call becomes its `lax` twin under the user's line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.numpy_tracing.memory import write, write_many
from gradcheck.programs.numpy_tracing.registry import ENTRIES, LOOPS
from gradcheck.programs.numpy_tracing.rules.common import converted, spread
from gradcheck.programs.numpy_tracing.rules.memory import updated_at
from gradcheck.programs.numpy_tracing.tape import Call, Kind, Ref, Tape, fill, refs_in

__all__ = ["lower"]


def lower(tape: Tape, outputs: Sequence[Any]) -> Any:
    """Return the ClosedJaxpr from the tape's inputs to `outputs`, which are operands on the tape.

    Each equation carries the user's source line as a named scope.

    Raises:
        Abstention: a call has no `lax` twin for these arguments; the reason names it.
    """
    needed = _needed(tape, outputs)
    calls = _with_writes_merged(tape, needed)

    def program(*inputs: Any) -> list[Any]:
        values: list[Any] = list(inputs)
        for call in calls:
            values.append(None if call is None else _lowered(call, values))
        return [_output(fill(output, values)) for output in outputs]

    with enable_x64():
        return jax.make_jaxpr(program)(
            *(jax.ShapeDtypeStruct(kind.shape, kind.dtype) for kind in tape.inputs)
        )


def _needed(tape: Tape, outputs: Sequence[Any]) -> Counter[int]:
    """Count how often each value is used on the way to the outputs."""
    first = len(tape.inputs)
    pending = [ref.number for ref in refs_in(list(outputs))]
    needed: Counter[int] = Counter()
    while pending:
        number = pending.pop()
        needed[number] += 1
        if number >= first and needed[number] == 1:
            call = tape.calls[number - first]
            pending += [ref.number for ref in refs_in(call.arguments)]
            pending += [ref.number for ref in refs_in(call.keywords)]
    return needed


def _with_writes_merged(tape: Tape, needed: Counter[int]) -> list[Call | None]:
    """Return the needed calls by number, with writes that follow each other as one.

    A loop that fills an array writes once per element. Nothing reads the array in between, and JAX
    would copy it, and its cotangent, at every write.
    """
    first = len(tape.inputs)
    calls: list[Call | None] = [
        call if needed[number] else None for number, call in enumerate(tape.calls, start=first)
    ]
    for place, call in enumerate(calls):
        if call is None or call.function is not write or not isinstance(call.arguments[0], Ref):
            continue
        base, content, plan = call.arguments
        before = calls[base.number - first] if base.number >= first else None
        if before is None or needed[base.number] > 1:
            continue
        if before.function is write:
            earlier: Any = ((before.arguments[1],), (before.arguments[2],))
        elif before.function is write_many:
            earlier = before.arguments[1:]
        else:
            continue
        arguments = (before.arguments[0], (*earlier[0], content), (*earlier[1], plan))
        calls[place] = Call(write_many, arguments, {}, call.kind, call.line)
        calls[base.number - first] = None
    return calls


def _lowered(call: Call, values: list[Any]) -> Any:
    arguments, keywords = fill(call.arguments, values), fill(call.keywords, values)
    scope = jax.named_scope(call.line) if call.line else nullcontext()
    with scope:
        try:
            result = _twin(call, arguments, keywords)
            return _as_recorded(result, call.kind)
        except Exception as error:
            name = getattr(call.function, "__name__", str(call.function))
            raise Abstention(
                f"{name} has no twin in JAX for these arguments ({type(error).__name__}: {error})",
                call.line,
            ) from error


def _twin(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    function = call.function
    if function in LOOPS:
        return _elementwise(call, arguments, keywords)
    ufunc = getattr(function, "updates", None)
    if ufunc is not None:
        return updated_at(ufunc, *arguments)
    lower_call = ENTRIES[function].lower
    assert lower_call is not None
    return lower_call(call.kind, *arguments, **keywords)


def _elementwise(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    kind = call.kind if isinstance(call.kind, Kind) else call.kind[0]
    dtypes = _loop_dtypes(call, arguments, keywords, kind)
    operands = [
        converted(argument, dtype) for argument, dtype in zip(arguments, dtypes, strict=True)
    ]
    if len(operands) == 1 or kind.shape == ():
        return LOOPS[call.function](*operands)
    return LOOPS[call.function](*(_operand(operand, kind.shape) for operand in operands))


def _operand(operand: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(operand, np.ndarray) and operand.ndim == 0:
        return operand[()]
    return spread(operand, shape)


def _loop_dtypes(
    call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any], kind: Kind
) -> list[Any]:
    if not isinstance(call.function, np.ufunc):
        return [kind.dtype] * len(arguments)
    if "dtype" in keywords:
        dtype = keywords["dtype"]
        is_class = isinstance(dtype, type) and issubclass(dtype, np.dtype)
        return [dtype() if is_class else np.dtype(dtype)] * len(arguments)
    types = tuple(
        type(part) if type(part) in (int, float, complex) else np.asarray(part).dtype
        if not hasattr(part, "dtype") else part.dtype
        for part in arguments
    )  # fmt: skip
    resolved = call.function.resolve_dtypes(types + (None,) * call.function.nout)
    return list(resolved[: len(arguments)])


def _as_recorded(result: Any, kind: Any) -> Any:
    if not isinstance(kind, Kind):
        return tuple(
            _as_recorded(part, part_kind) for part, part_kind in zip(result, kind, strict=True)
        )
    if np.shape(result) != kind.shape:
        raise TypeError(f"shape {np.shape(result)} for NumPy's {kind.shape}")
    return converted(result, kind.dtype)


def _output(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, (bool, int, float, complex)) else value
