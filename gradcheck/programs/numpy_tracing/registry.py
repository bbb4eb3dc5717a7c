"""Which NumPy functions are traced, and how: the table that the rule modules fill.

A *rule* is the `lax` twin of one function. Its parameters are NumPy's, in NumPy's order, after a
first one that says what NumPy returned (`Kind`, or a tuple of them), so that a rule need not
repeat NumPy's promotion: what it returns is checked against that shape and cast to that dtype.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "BY_GUARD",
    "ENTRIES",
    "LOOPS",
    "METADATA",
    "Entry",
    "elementwise",
    "lowers",
    "viewing",
]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """How the tracer treats one NumPy function.

    Attributes:
        parameters: the names of the positional parameters, in order.
        arrays: those that take one array (any other gets concrete values, under a guard).
        sequences: those that take a sequence of arrays.
        rest: whether any further positional arguments are arrays.
        lower: the `lax` twin; None for a function that only ever returns views.
        may_view: whether the result may share memory with an argument.
    """

    parameters: tuple[str, ...]
    arrays: frozenset[str]
    sequences: frozenset[str]
    rest: bool
    lower: Callable[..., Any] | None
    may_view: bool


ENTRIES: dict[Callable[..., Any], Entry] = {}
"""Every function with a rule of its own, ufuncs aside."""

LOOPS: dict[Any, Callable[..., Any]] = {}
"""For every elementwise function the `lax` twin of its inner loop, which gets the operands in the
dtype of the loop that NumPy picks and in shapes that `lax` broadcasts."""

METADATA: set[Callable[..., Any]] = {
    np.can_cast,
    np.iscomplexobj,
    np.isrealobj,
    np.may_share_memory,
    np.ndim,
    np.result_type,
    np.shape,
    np.shares_memory,
    np.size,
}
"""Functions whose answer depends on no value: they run on the real arrays as they are."""

BY_GUARD: set[Callable[..., Any]] = {
    np.argwhere,
    np.array2string,
    np.array_repr,
    np.array_str,
    np.flatnonzero,
    np.isin,
    np.lexsort,
    np.nonzero,
    np.packbits,
    np.ravel_multi_index,
    np.unique,
    np.unravel_index,
}
"""Functions of indices and masks: run on the concrete values, which a guard then holds fast."""


def lowers(
    *functions: Callable[..., Any],
    arrays: tuple[str, ...] | None = None,
    sequences: tuple[str, ...] = (),
    may_view: bool = False,
) -> Callable[[F], F]:
    """Register the decorated rule for `functions`; by default its first parameter is the array."""

    def register(rule: F) -> F:
        parameters = list(inspect.signature(rule).parameters.values())[1:]
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = tuple(p.name for p in parameters if p.kind in positional)
        rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        taken = arrays if arrays is not None else names[: 0 if sequences or rest else 1]
        entry = Entry(names, frozenset(taken), frozenset(sequences), rest, rule, may_view)
        for function in functions:
            ENTRIES[function] = entry
        return rule

    return register


def viewing(*functions: Callable[..., Any]) -> None:
    """Register functions that only ever return views of their first argument."""
    for function in functions:
        names = tuple(inspect.signature(function).parameters)
        ENTRIES[function] = Entry(names, frozenset(names[:1]), frozenset(), False, None, True)


def elementwise(*functions: Any) -> Callable[[F], F]:
    """Register the decorated `lax` twin for the inner loop of elementwise `functions`."""

    def register(loop: F) -> F:
        for function in functions:
            LOOPS[function] = loop
        return loop

    return register
