"""Loops, branches and solves: equations that run jaxprs of their own, in any arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CONTROL_FLOW", "WITHOUT_OPERANDS"]

Function = Callable[..., Any]

PLATFORM = "cpu"
"""What a program that depends on its platform is evaluated as."""


def _scan(parameters: dict[str, Any], arithmetic: Any, compiled: Any) -> Function:
    body = compiled(parameters["jaxpr"], arithmetic)
    constants, carried = parameters["num_consts"], parameters["num_carry"]
    length, reverse = parameters["length"], parameters["reverse"]
    order = range(length)[::-1] if reverse else range(length)
    pick, stack = _for_any(arithmetic, lambda x, k: x[k]), _for_any(arithmetic, _stack)
    shapes = [v.aval for v in parameters["jaxpr"].jaxpr.outvars[carried:]]

    def scan(decisions: Any, *values: Any) -> list[Any]:
        fixed, carry = list(values[:constants]), list(values[constants : constants + carried])
        sequences = values[constants + carried :]
        collected: list[Any] = [None] * length
        for k in order:
            outputs = body.run([*fixed, *carry, *(pick(xs, k) for xs in sequences)], decisions)
            carry, collected[k] = outputs[:carried], outputs[carried:]
        if not length:
            empty = [np.zeros((0, *a.shape), a.dtype) for a in shapes]
            return [*carry, *(arithmetic.constant(e) if e.dtype.kind == "f" else e for e in empty)]
        return [*carry, *(stack(*column) for column in zip(*collected, strict=True))]

    return scan


def _stack(*parts: Any) -> Any:
    return np.stack(parts)


def _for_any(arithmetic: Any, function: Function) -> Function:
    """Return `function` for values and plain arrays alike."""
    lifted = arithmetic.lift(function)

    def either(*values: Any) -> Any:
        return lifted(*values) if isinstance(values[0], tuple) else function(*values)

    return either


def _while(parameters: dict[str, Any], arithmetic: Any, compiled: Any) -> Function:
    condition = compiled(parameters["cond_jaxpr"], arithmetic)
    body = compiled(parameters["body_jaxpr"], arithmetic)
    first, second = parameters["cond_nconsts"], parameters["body_nconsts"]

    def loop(decisions: Any, *values: Any) -> list[Any]:
        tested, fixed = values[:first], values[first : first + second]
        carry = list(values[first + second :])
        while condition.run([*tested, *carry], decisions)[0]:
            carry = body.run([*fixed, *carry], decisions)
        return carry

    return loop


def _cond(parameters: dict[str, Any], arithmetic: Any, compiled: Any) -> Function:
    branches = [compiled(branch, arithmetic) for branch in parameters["branches"]]

    def cond(decisions: Any, index: Any, *values: Any) -> list[Any]:
        chosen = min(max(int(index), 0), len(branches) - 1)
        results: list[Any] = branches[chosen].run(values, decisions)
        return results

    return cond


def _custom_linear_solve(parameters: dict[str, Any], arithmetic: Any, compiled: Any) -> Function:
    solve = compiled(parameters["jaxprs"].solve, arithmetic)
    counts = parameters["const_lengths"]
    skipped, taken = counts.matvec + counts.vecmat, counts.solve
    total = sum(counts)

    def custom_linear_solve(decisions: Any, *values: Any) -> list[Any]:
        constants = values[skipped : skipped + taken]
        results: list[Any] = solve.run([*constants, *values[total:]], decisions)
        return results

    return custom_linear_solve


CONTROL_FLOW: dict[str, Callable[[dict[str, Any], Any, Any], Function]] = {
    "cond": _cond,
    "custom_linear_solve": _custom_linear_solve,
    "scan": _scan,
    "while": _while,
}
"""Makers of (parameters, arithmetic, compile) -> function (decisions, *values) -> list."""


def _iota(parameters: dict[str, Any]) -> Any:
    shape, axis = parameters["shape"], parameters["dimension"]
    along = [1] * len(shape)
    along[axis] = shape[axis]
    counts = np.arange(shape[axis]).reshape(along)
    return np.ascontiguousarray(np.broadcast_to(counts, shape)).astype(parameters["dtype"])


def _empty(parameters: dict[str, Any]) -> Any:
    return np.zeros(parameters.get("shape", ()), parameters["dtype"])


def _platform_index(parameters: dict[str, Any]) -> Any:
    for index, platforms in enumerate(parameters["platforms"]):
        if platforms is None or PLATFORM in platforms:
            return np.int32(index)
    return np.int32(0)


WITHOUT_OPERANDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "empty": _empty,
    "empty2": _empty,
    "iota": _iota,
    "platform_index": _platform_index,
}
"""Equations whose result is known before the program runs."""
