"""Evaluation of a jaxpr in a chosen arithmetic, by NumPy, without XLA.

The plan of a jaxpr is compiled once for each arithmetic into a list of steps; evaluating it walks the
list.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs import control_flow
from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.floating import FLOAT64, Integers
from gradcheck.programs.operations import ArrayType, Operation, is_real_or_complex, line_among
from gradcheck.programs.plans import Plan, Planned, plan_of
from gradcheck.programs.primitives.decisions import Decision, same_cell
from gradcheck.programs.primitives.structure import STRUCTURE

__all__ = ["Decision", "Steps", "compile_afresh", "compile_jaxpr", "evaluate", "same_cell"]

INTEGERS = Integers()

LARGEST_CONSTANT = 2**16
"""Entries of a moved constant that a compiled program keeps: half a megabyte."""

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

    def run(self, registers: list[Any], decisions: list[Decision] | None) -> Any:
        """Read the operands, write the result, and return it."""
        function, sources, targets, takes_decisions, has_list, *_ = self
        arguments = [registers[slot] for slot in sources]
        result = function(decisions, *arguments) if takes_decisions else function(*arguments)
        if has_list:
            for slot, part in zip(targets, result, strict=True):
                registers[slot] = part
        else:
            registers[targets[0]] = result
        return result

    @property
    def name(self) -> str:
        """The primitive with the user's source line, as far as that is known."""
        where = line_among(self.source_infos)
        return f"{self.primitive} at {where}" if where else self.primitive


Watch = Callable[[Step, Any], None]
"""Called with each step and its result."""


class Steps:
    """A plan compiled for one arithmetic."""

    def __init__(self, plan: Plan, arithmetic: Arithmetic, nested: Compiler) -> None:
        self.arithmetic = arithmetic
        self.plan = plan
        self.initial: list[Any] = [None] * plan.registers
        for register, value in plan.constants:
            self.initial[register] = _constant(value, arithmetic)
        steps = [self._step(equation, nested) for equation in plan.equations]
        self.steps = self._without_constant_steps(steps)

    def _without_constant_steps(self, steps: Sequence[Step]) -> list[Step]:
        """Move small constants to their places once for all; return the other steps."""
        known = {register for register, _ in self.plan.constants}
        left = []
        for step in steps:
            if step.primitive in STRUCTURE and known.issuperset(step.sources):
                sizes = [prod(self.plan.types[target].shape) for target in step.targets]
                if max(sizes) <= LARGEST_CONSTANT:
                    step.run(self.initial, None)
                    known.update(step.targets)
                    continue
            left.append(step)
        return left

    def _step(self, equation: Planned, nested: Compiler) -> Step:
        function, takes_decisions = self._function(equation, nested)
        return Step(
            function,
            equation.sources,
            equation.targets,
            takes_decisions,
            equation.primitive.multiple_results,
            equation.primitive.name,
            equation.source_infos,
        )

    def _function(self, equation: Planned, nested: Compiler) -> tuple[Callable[..., Any], bool]:
        name, parameters = equation.primitive.name, equation.parameters
        if name in control_flow.CONTROL_FLOW:
            return control_flow.CONTROL_FLOW[name](parameters, self.arithmetic, nested), True
        if name in control_flow.WITHOUT_OPERANDS:
            known = _constant(control_flow.WITHOUT_OPERANDS[name](parameters), self.arithmetic)
            return (lambda: known), False
        origins = equation.origins
        operation = Operation(
            equation.primitive,
            parameters,
            equation.inputs,
            equation.outputs,
            equation.source_infos,
            len(origins) == 2 and origins[0] == origins[1],
            tuple(self.initial[origin] for origin in origins),
        )
        return (self.arithmetic if operation.is_floating else INTEGERS).compile(operation)

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
                for value, expected in zip(inputs, self.plan.input_types, strict=True)
            ]
            return [
                np.asarray(value)
                if isinstance(value, np.generic)
                else self.arithmetic.result(value)
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
        for slot, value in zip(self.plan.inputs, inputs, strict=True):
            registers[slot] = value
        for step in self.steps:
            result = step.run(registers, decisions)
            if watch is not None:
                watch(step, result)
        return [registers[slot] for slot in self.plan.outputs]


def compile_jaxpr(closed_jaxpr: Any, arithmetic: Arithmetic) -> Steps:
    """Return the steps of `closed_jaxpr` in `arithmetic`, compiled at most once for each."""
    known = _compiled.setdefault(closed_jaxpr, {})
    steps = known.get(id(arithmetic))
    if steps is None:
        steps = known[id(arithmetic)] = Steps(plan_of(closed_jaxpr), arithmetic, compile_jaxpr)
    return steps


def compile_afresh(closed_jaxpr: Any, arithmetic: Arithmetic) -> Steps:
    """Return the steps of `closed_jaxpr` without keeping them, for an arithmetic that is short-lived."""
    with np.errstate(all="ignore"):
        return Steps(plan_of(closed_jaxpr), arithmetic, compile_afresh)


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
