"""The tape: the pure NumPy calls of one run, in order, from which the run can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Call", "Guard", "Kind", "Ref", "Tape", "fill", "has_refs", "kind_of", "refs_in"]


class Ref(NamedTuple):
    """The number of a value on the tape: the inputs come first, then one value per call."""

    number: int


class Kind(NamedTuple):
    """Shape and dtype of a recorded value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Call(NamedTuple):
    """One recorded call of a pure function.

    Attributes:
        function: takes NumPy values and changes none of them; lowering looks up its `lax` twin.
        arguments: positional arguments, with a `Ref` for each value that depends on the inputs.
        keywords: keyword arguments, likewise.
        kind: shape and dtype of the result, or a tuple of them for several results.
        line: the user's source line as `path:line`.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    kind: Any
    line: str | None


class Guard(NamedTuple):
    """A value of the run that the code's course depended on.

    Attributes:
        ref: the value on the tape, of integers or booleans.
        outcome: what it was when recorded.
        line: the user's source line as `path:line`.
    """

    ref: Ref
    outcome: Any
    line: str | None


@dataclass
class Tape:
    """The recorded calls of one run.

    Attributes:
        inputs: shape and dtype of every input.
        calls: the calls, in order; call k computes value `len(inputs) + k`.
        guards: the values that decided which calls were made.
    """

    inputs: list[Kind] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)

    def append(self, call: Call) -> Ref:
        """Add a call and return the number of its value."""
        self.calls.append(call)
        return Ref(len(self.inputs) + len(self.calls) - 1)

    def kind(self, ref: Ref) -> Any:
        """Return shape and dtype of a value on the tape."""
        number = ref.number - len(self.inputs)
        return self.inputs[ref.number] if number < 0 else self.calls[number].kind

    def replay(self, inputs: Sequence[Any]) -> list[Any]:
        """Repeat the calls in NumPy at other inputs, and return every value by its number."""
        values: list[Any] = list(inputs)
        with np.errstate(all="ignore"):
            for call in self.calls:
                arguments = fill(call.arguments, values)
                values.append(call.function(*arguments, **fill(call.keywords, values)))
        return values

    def broken_guard(self, values: Sequence[Any]) -> Guard | None:
        """Return the first guard whose value among `values` is not the recorded one, if any."""
        for guard in self.guards:
            if not np.array_equal(values[guard.ref.number], guard.outcome):
                return guard
        return None


def fill(tree: Any, values: Sequence[Any]) -> Any:
    """Return nested arguments with every `Ref` replaced by its value."""
    kind = type(tree)
    if kind is Ref:
        return values[tree.number]
    if kind is tuple or kind is list:
        return kind(fill(part, values) for part in tree)
    if kind is dict:
        return {key: fill(part, values) for key, part in tree.items()}
    return tree


def has_refs(tree: Any) -> bool:
    """Say whether a `Ref` is among nested arguments."""
    kind = type(tree)
    if kind is dict:
        tree = tree.values()
    elif kind is not tuple and kind is not list:
        return kind is Ref
    for part in tree:  # noqa: SIM110 - most arguments are flat, and this is called for every one
        if type(part) is Ref or has_refs(part):
            return True
    return False


def refs_in(tree: Any) -> list[Ref]:
    """List every `Ref` among nested arguments."""
    kind = type(tree)
    if kind is Ref:
        return [tree]
    if kind is tuple or kind is list:
        return [ref for part in tree for ref in refs_in(part)]
    if kind is dict:
        return refs_in(list(tree.values()))
    return []


def kind_of(result: Any) -> Any:
    """Return the shape and dtype of a result, or a tuple of them for several results."""
    if isinstance(result, (tuple, list)):
        return tuple(kind_of(part) for part in result)
    array = result if hasattr(result, "dtype") else np.asarray(result)
    return Kind(array.shape, array.dtype)
