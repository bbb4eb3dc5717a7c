"""Evaluation of a jaxpr in a chosen arithmetic, by NumPy, without XLA.

A jaxpr is compiled once for each arithmetic into a list of steps, nested calls inlined and what no
output needs left out; evaluating it walks the list.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs import control_flow
from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.floating import FLOAT64, Integers
from gradcheck.programs.compat import is_array_type, is_literal, nested_jaxpr, open_jaxpr
from gradcheck.programs.operations import ArrayType, Operation, is_real_or_complex, line_among
from gradcheck.programs.primitives.decisions import Decision, same_cell

__all__ = ["Decision", "Steps", "compile_afresh", "compile_jaxpr", "evaluate", "same_cell"]

CALLS = frozenset(
    {
        "checkpoint",
        "closed_call",
        "composite",
        "core_call",
        "custom_jvp_call",
        "custom_lin",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "jit",
        "pjit",
        "remat",
        "remat2",
    }
)
"""Primitives that do no more than call their jaxpr, here inlined."""

ENTRIES_OF_THEIR_OPERAND = frozenset(
    {
        "broadcast_in_dim",
        "copy",
        "cummax",
        "cummin",
        "expand_dims",
        "reduce_max",
        "reduce_min",
        "reduce_window_max",
        "reduce_window_min",
        "reshape",
        "rev",
        "squeeze",
        "stop_gradient",
        "transpose",
    }
)
"""Primitives whose results are entries of their operand, moved or chosen."""

INTEGERS = Integers()

_compiled: weakref.WeakKeyDictionary[Any, dict[int, Steps]] = weakref.WeakKeyDictionary()


def evaluate(
    closed_jaxpr: Any,
    inputs: Sequence[Any],
    arithmetic: Arithmetic = FLOAT64,
    *,
    decisions: list[Decision] | None = None,
) -> list[Any]:
    """Evaluate a program and return the values of its outputs, in the numbers of `arithmetic`.

    Args:
        closed_jaxpr: a JAX ClosedJaxpr, as `jax.make_jaxpr` returns it.
        inputs: one array for each input of the program, of the shape that was traced; or a value
            that the arithmetic already knows, such as one of its own results.
        arithmetic: the numbers to compute in; NumPy's float64 unless said otherwise.
        decisions: a list that receives every branching decision on real numbers, in program order.

    Returns:
        One value for each output: a NumPy array in the floating arithmetics.

    Raises:
        Abstention: the arithmetic lacks a primitive of the program.

    >>> import jax, numpy as np
    >>> program = jax.make_jaxpr(lambda x: jax.numpy.tanh(x) * 2)(0.5)
    >>> evaluate(program, [np.array(0.0)])
    [array(0.)]
    """
    with np.errstate(all="ignore"):
        return compile_jaxpr(closed_jaxpr, arithmetic).evaluate(inputs, decisions)


Compiler = Callable[[Any, Arithmetic], "Steps"]
"""How the jaxprs of loops and branches are compiled in their turn."""


class Step(NamedTuple):
    """One equation, compiled: where its function reads and writes, and where it was written."""

    function: Callable[..., Any]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    takes_decisions: bool
    has_list: bool
    primitive: str
    source_infos: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The primitive with the user's source line, as far as that is known."""
        where = line_among(self.source_infos)
        return f"{self.primitive} at {where}" if where else self.primitive


Watch = Callable[[Step, Any], None]
"""Called with each step and its result."""


class Steps:
    """A jaxpr compiled for one arithmetic."""

    def __init__(
        self, arithmetic: Arithmetic, input_types: Sequence[Any], nested: Compiler
    ) -> None:
        self.arithmetic = arithmetic
        self.input_types = input_types
        self.nested = nested
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.steps: list[Step] = []
        self.initial: list[Any] = []
        self.origins: dict[int, int] = {}

    def slot(self, value: Any = None) -> int:
        """Return the number of a new register, which holds `value` from the beginning."""
        self.initial.append(value)
        return len(self.initial) - 1

    def origin(self, slot: int) -> int:
        """Return the register of which this one holds entries, moved or chosen; else itself."""
        return self.origins.get(slot, slot)

    def evaluate(
        self,
        inputs: Sequence[Any],
        decisions: list[Decision] | None,
        watch: Watch | None = None,
    ) -> list[Any]:
        """Return the outputs' values from arrays or values of the arithmetic."""
        with np.errstate(all="ignore"):
            values = [
                _entered(value, expected, self.arithmetic)
                for value, expected in zip(inputs, self.input_types, strict=True)
            ]
            return [
                np.asarray(value) if isinstance(value, np.generic) else value
                for value in self.run(values, decisions, watch)
            ]

    def run(
        self,
        inputs: Sequence[Any],
        decisions: list[Decision] | None,
        watch: Watch | None = None,
    ) -> list[Any]:
        """Return the outputs' values from the inputs' values."""
        registers = self.initial.copy()
        for slot, value in zip(self.inputs, inputs, strict=True):
            registers[slot] = value
        for step in self.steps:
            function, sources, targets, takes_decisions, has_list, *_ = step
            arguments = [registers[slot] for slot in sources]
            result = function(decisions, *arguments) if takes_decisions else function(*arguments)
            if watch is not None:
                watch(step, result)
            if has_list:
                for slot, part in zip(targets, result, strict=True):
                    registers[slot] = part
            else:
                registers[targets[0]] = result
        return [registers[slot] for slot in self.outputs]


def compile_jaxpr(closed_jaxpr: Any, arithmetic: Arithmetic) -> Steps:
    """Return the steps of `closed_jaxpr` in `arithmetic`, compiled at most once for each."""
    known = _compiled.setdefault(closed_jaxpr, {})
    steps = known.get(id(arithmetic))
    if steps is None:
        steps = known[id(arithmetic)] = _compile(closed_jaxpr, arithmetic, compile_jaxpr)
    return steps


def compile_afresh(closed_jaxpr: Any, arithmetic: Arithmetic) -> Steps:
    """Return the steps of `closed_jaxpr` without keeping them, for an arithmetic that is short-lived."""
    with np.errstate(all="ignore"):
        return _compile(closed_jaxpr, arithmetic, compile_afresh)


def _entered(value: Any, expected: ArrayType | None, arithmetic: Arithmetic) -> Any:
    if expected is None or isinstance(value, tuple):
        return value
    if expected.is_floating:
        return arithmetic.argument(value)
    return np.asarray(value, expected.dtype)


def _constant(value: Any, arithmetic: Arithmetic) -> Any:
    dtype = getattr(value, "dtype", None)
    if dtype is not None and not isinstance(dtype, np.dtype):
        return value
    array = np.asarray(value)
    return arithmetic.constant(array) if is_real_or_complex(array.dtype) else array


def _compile(closed_jaxpr: Any, arithmetic: Arithmetic, nested: Compiler) -> Steps:
    jaxpr, constants = open_jaxpr(closed_jaxpr)
    input_types = [_type(variable.aval) for variable in jaxpr.invars]
    steps = Steps(arithmetic, input_types, nested)
    steps.inputs = [steps.slot() for _ in jaxpr.invars]
    steps.outputs = _emit(jaxpr, constants, steps.inputs, steps)
    steps.steps = _needed(steps.steps, steps.outputs)
    return steps


def _emit(
    jaxpr: Any,
    constants: Sequence[Any],
    inputs: Sequence[int],
    steps: Steps,
    callers: tuple[Any, ...] = (),
) -> list[int]:
    """Append the steps of `jaxpr` and return the registers of its outputs."""
    arithmetic = steps.arithmetic
    slots: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, value in zip(jaxpr.constvars, constants, strict=True):
        slots[variable] = steps.slot(_constant(value, arithmetic))

    def read(atom: Any) -> int:
        if is_literal(atom):
            # A literal may be a Python number, whose dtype only its type knows.
            literal = np.asarray(atom.val, getattr(atom.aval, "dtype", None))
            return steps.slot(_constant(literal, arithmetic))
        return slots[atom]

    for equation in jaxpr.eqns:
        sources = [read(atom) for atom in equation.invars]
        name = equation.primitive.name
        if name in CALLS:
            inner, inner_constants = open_jaxpr(nested_jaxpr(equation.params))
            outer = (equation.source_info, *callers)
            targets = _emit(inner, inner_constants, sources, steps, outer)
        else:
            targets = [steps.slot() for _ in equation.outvars]
            if name in ENTRIES_OF_THEIR_OPERAND:
                steps.origins[targets[0]] = steps.origin(sources[0])
            function, takes_decisions = _function(equation, steps, sources, callers)
            steps.steps.append(
                Step(
                    function,
                    tuple(sources),
                    tuple(targets),
                    takes_decisions,
                    equation.primitive.multiple_results,
                    name,
                    (equation.source_info, *callers),
                )
            )
        slots.update(zip(equation.outvars, targets, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _function(
    equation: Any, steps: Steps, sources: Sequence[int], callers: tuple[Any, ...]
) -> tuple[Callable[..., Any], bool]:
    arithmetic = steps.arithmetic
    name = equation.primitive.name
    if name in control_flow.CONTROL_FLOW:
        return control_flow.CONTROL_FLOW[name](equation.params, arithmetic, steps.nested), True
    if name in control_flow.WITHOUT_OPERANDS:
        value = control_flow.WITHOUT_OPERANDS[name](equation.params)
        known = _constant(value, arithmetic)
        return (lambda: known), False
    types = [_type(atom.aval) for atom in (*equation.invars, *equation.outvars)]
    count = len(equation.invars)
    operation = Operation(
        equation.primitive,
        equation.params,
        tuple(types[:count]),
        tuple(types[count:]),
        (equation.source_info, *callers),
        len(sources) == 2 and steps.origin(sources[0]) == steps.origin(sources[1]),
        tuple(steps.initial[steps.origin(source)] for source in sources),
    )
    if operation.is_floating:
        return arithmetic.compile(operation)
    return INTEGERS.compile(operation)


def _type(aval: Any) -> ArrayType:
    if is_array_type(aval):
        return ArrayType(tuple(aval.shape), aval.dtype)
    return ArrayType(tuple(getattr(aval, "shape", ())), np.dtype(object))


def _needed(steps: Sequence[Step], outputs: Sequence[int]) -> list[Step]:
    """Keep the steps on whose results an output depends, in order."""
    alive, kept = set(outputs), []
    for step in reversed(steps):
        if not alive.isdisjoint(step.targets):
            alive.update(step.sources)
            kept.append(step)
    return kept[::-1]
