"""What an arithmetic must say, and how primitives become functions of its values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.composites import COMPOSITES
from gradcheck.programs.primitives.deciding import DECIDING
from gradcheck.programs.primitives.decisions import DECISIONS, Branching, Decision
from gradcheck.programs.primitives.structure import STRUCTURE

__all__ = ["Arithmetic", "by_component"]

Array = np.ndarray[Any, Any]
Value = Any
"""A number array of some arithmetic: a plain array, or a tuple of component arrays."""


class Arithmetic(ABC):
    """The numbers in which a program is evaluated.

    Real numbers are values of the arithmetic; integers and truth values are plain arrays in all of
    them. A subclass gives the elementary operations below; everything else follows from them.

    Attributes:
        name: for messages.
        elementwise: functions of values by primitive name, at least add, sub, mul, div and neg.
        roundings: for functions that this arithmetic computes less well than NumPy does in float64:
            (result, operands...) -> absolute error in units of the unit roundoff.
        fallbacks: how often a primitive had to be run by XLA, by name.
    """

    name: str
    elementwise: Mapping[str, Callable[..., Value]]
    roundings: Mapping[str, Callable[..., Array]] = MappingProxyType({})

    def __init__(self) -> None:
        self.fallbacks: Counter[str] = Counter()

    @abstractmethod
    def constant(self, array: Array) -> Value:
        """Return the value of a real array that the program writes."""

    def argument(self, array: Any) -> Value:
        """Return the value of a real array that is an input of the program."""
        return self.constant(np.asarray(array))

    def result(self, value: Value) -> Value:
        """Return a value as an evaluation gives it to its caller."""
        return value

    @abstractmethod
    def companion(self, value: Value) -> Array:
        """Return the real numbers by which comparisons of `value` are decided."""

    def radius(self, value: Value) -> Any:
        """Return how far the true number may lie from the companion: an array, or 0."""
        del value
        return 0.0

    @abstractmethod
    def lift(
        self, function: Callable[..., Any], discrete: Sequence[bool] = ()
    ) -> Callable[..., Any]:
        """Turn a function that only moves entries of plain arrays into one of values.

        `discrete` says, for one of several results, which are integers or truth values.
        """

    @abstractmethod
    def sum(self, x: Value, axes: tuple[int, ...]) -> Value:
        """Return the sum over `axes`."""

    @abstractmethod
    def cumsum(self, x: Value, axis: int) -> Value:
        """Return the running sum along `axis`."""

    @abstractmethod
    def matmul(self, a: Value, b: Value) -> Value:
        """Return the matrix product over the last two axes."""

    @abstractmethod
    def scatter_add(
        self, operand: Value, places: Array, inside: Array | None, updates: Value
    ) -> Value:
        """Add each entry of `updates` to the flat place of `operand` that is meant for it."""

    def convert(self, operation: Operation) -> Callable[..., Value]:
        """Return the conversion of one real value to another real dtype: no change."""
        del operation
        return lambda x: x

    def special(self, operation: Operation) -> Callable[..., Any] | None:
        """Return this arithmetic's own function for an equation, or None."""
        del operation
        return None

    def missing(self, operation: Operation) -> Callable[..., Any]:
        """Return what to do for an equation that no table has.

        Raises:
            Abstention: this arithmetic cannot go on without it.
        """
        if any(t.dtype.kind == "c" for t in (*operation.inputs, *operation.outputs)):
            raise Abstention(f"complex numbers have no {self.name} arithmetic")
        raise Abstention(
            f"the primitive {operation.name} has no {self.name} arithmetic", operation.where
        )

    def compile(self, operation: Operation) -> tuple[Callable[..., Any], bool]:
        """Return the function of an equation with real operands, and whether it takes decisions.

        The function takes values and returns one value, or a list where the primitive has several
        results; one that takes decisions has their list (or None) as its first argument.
        """
        name = operation.name
        own = self.special(operation)
        if own is not None:
            return own, False
        if name in self.elementwise:
            return self.elementwise[name], False
        if name in STRUCTURE:
            return self.lift(STRUCTURE[name](operation), _discrete(operation)), False
        if name in COMPOSITES:
            return COMPOSITES[name](operation, self), False
        if name in DECIDING:
            return DECIDING[name](operation, self), True
        if name in DECISIONS:
            return self.branch(operation, DECISIONS[name](operation)), True
        if name == "convert_element_type":
            return self._conversion(operation)
        if name == "reduce_precision":
            return (lambda x: x), False
        return self.missing(operation), False

    def decider(self, operation: Operation, branching: Branching) -> Callable[..., Array]:
        """Return the function (decisions, *values) -> outcome, which records what it decides."""
        companion, radius, kind = self.companion, self.radius, operation.name

        def decide(decisions: list[Decision] | None, *values: Value) -> Array:
            seen = [companion(value) for value in values]
            outcome = branching.outcome(*seen)
            if decisions is not None:
                undecided = branching.undecided(outcome, seen, [radius(value) for value in values])
                decisions.append(Decision(kind, outcome, undecided, operation))
            return outcome

        return decide

    def branch(self, operation: Operation, branching: Branching) -> Callable[..., Any]:
        """Return the function (decisions, *values) -> result of a primitive that only branches."""
        decide = self.decider(operation, branching)
        if branching.apply is not None:
            apply = self.lift(branching.apply, _discrete(operation))
            return lambda decisions, *values: apply(decide(decisions, *values), *values)
        if operation.outputs[0].is_floating:
            return lambda decisions, *values: self.constant(
                branching.value(decide(decisions, *values))
            )
        return lambda decisions, *values: branching.value(decide(decisions, *values))

    def _conversion(self, operation: Operation) -> tuple[Callable[..., Any], bool]:
        source, target = operation.inputs[0], operation.outputs[0]
        if not source.is_floating:
            return self.constant, False
        if not target.is_floating:
            return self.branch(operation, DECISIONS["to_discrete"](operation)), True
        return self.convert(operation), False


def _discrete(operation: Operation) -> tuple[bool, ...]:
    return tuple(not t.is_floating for t in operation.outputs)


def by_component(
    function: Callable[..., Any], kind: Callable[..., Any], count: int, discrete: Sequence[bool]
) -> Callable[..., Any]:
    """Turn a function of plain arrays into one that acts on each component of `kind` values alike.

    Args:
        kind: a tuple class of `count` component arrays; other operands go to all components.
        discrete: for a function of several results, which of them are integers or truth values.
    """

    def lifted(*values: Value) -> Any:
        parts = [
            function(*(value[k] if isinstance(value, tuple) else value for value in values))
            for k in range(count)
        ]
        if not isinstance(parts[0], list):
            return kind(*parts)
        columns = list(zip(*parts, strict=True))
        plain = discrete or (False,) * len(columns)
        return [
            column[0] if is_plain else kind(*column)
            for column, is_plain in zip(columns, plain, strict=True)
        ]

    return lifted
