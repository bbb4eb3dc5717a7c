"""Finding the sizes of the names from the dimensions that arrays have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradcheck.contracts import expressions
from gradcheck.contracts.dimensions import Axes, Axis, Shape, bind_several, several
from gradcheck.contracts.expressions import Name
from gradcheck.errors import ShapeError

__all__ = ["Observed", "match"]

UNKNOWN = -1
"""In `ShapeError.expected`, a size that nothing determines; no array has it."""


@dataclass(frozen=True)
class Observed:
    """An array that was met: what it is called, the shape it should have, the sizes it has."""

    quantity: str
    shape: Shape
    actual: tuple[int, ...]


def match(
    arrays: Sequence[Observed], known: Mapping[str, int], origins: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Return the size of every name, so that each array has the sizes of its shape.

    A name takes the size of the first axis at which it stands alone, else the one that an expression
    of degree 1 gives it. An expression with a name that nothing determines is not checked.

    Args:
        arrays: the arrays, in the order in which they determine the names.
        known: sizes that are known already; they are kept and must agree.
        origins: where the known sizes come from, for the message, such as "x: 'N D'".

    Raises:
        ShapeError: an array does not fit; the message names the array, its dimensions, those that
            were expected, and where the sizes of the expectation come from.
    """
    found = _Sizes(known, origins or {})
    parts = [
        (array, axis, own) for array in arrays for axis, own in _parts(array) if own is not None
    ]
    for array, axis, own in parts:
        if isinstance(axis, Axes):
            found.bind_variadic(axis, own, array)
        elif isinstance(axis.size, Name) and not (axis.broadcasts and own == (1,)):
            found.bind(axis.size.name, own[0], array)
    single = [(array, axis, own[0]) for array, axis, own in parts if isinstance(axis, Axis)]
    while any(found.solve(array, axis, own) for array, axis, own in single):
        pass
    for array, axis, own_size in single:
        if isinstance(axis.size, Name):  # only ever seen as a broadcast 1
            found.bind(axis.size.name, own_size, array)
    for array in arrays:
        found.verify(array)
    return found.sizes


class _Sizes:
    """The sizes found so far, and where each was found."""

    def __init__(self, known: Mapping[str, int], origins: Mapping[str, str]) -> None:
        self.known = known
        self.sizes, self.origins = dict(known), dict(origins)

    def bind(self, name: str, size: int, array: Observed) -> bool:
        if name in self.sizes:
            return False
        self.sizes[name] = size
        self.origins[name] = _origin(array)
        return True

    def bind_variadic(self, axes: Axes, own: tuple[int, ...], array: Observed) -> None:
        if axes.name in self.known:
            return
        if axes.name not in self.sizes:
            self.origins[axes.name] = _origin(array)
        elif axes.broadcasts:
            own = _broadcast(own, several(axes.name, self.sizes))
        else:
            return
        self.sizes.update(bind_several(axes.name, own))

    def solve(self, array: Observed, axis: Axis, own: int) -> bool:
        if axis.broadcasts and own == 1:
            return False
        solution = expressions.solve(axis.size, own, self.sizes)
        return solution is not None and self.bind(*solution, array)

    def verify(self, array: Observed) -> None:
        """Raise a `ShapeError` unless the array has the sizes that its shape gives."""
        parts = _parts(array)
        expected = [self.expected(axis, own) for axis, own in parts]
        wrong = [
            axis
            for (axis, own), sizes in zip(parts, expected, strict=True)
            if own is None or not _agrees(own, sizes)
        ]
        if not wrong and _rank_fits(array):
            return
        flat = [size for sizes in expected for size in sizes]
        shown = ", ".join("?" if size is None else str(size) for size in flat)
        raise ShapeError(
            f"{array.quantity} has shape {array.actual}, its contract {array.shape.text!r} says "
            f"({shown}{',' if len(flat) == 1 else ''}){self.reasons(wrong)}",
            quantity=array.quantity,
            expected=tuple(UNKNOWN if size is None else size for size in flat),
            actual=array.actual,
        )

    def expected(self, axis: Axis | Axes, own: tuple[int, ...] | None) -> tuple[int | None, ...]:
        """Return the sizes that a part of a shape should have; None for one that nothing determines."""
        if isinstance(axis, Axes):
            if axis.name not in self.sizes:
                return (None,)
            full = several(axis.name, self.sizes)
            return (
                own if axis.broadcasts and own is not None and _broadcasts_to(own, full) else full
            )
        if axis.broadcasts and own == (1,):
            return (1,)
        try:
            return (expressions.evaluate(axis.size, self.sizes),)
        except (KeyError, ZeroDivisionError):
            return (self.nearest(axis, own[0]) if own else None,)

    def nearest(self, axis: Axis, own: int) -> int | None:
        """Return the size next to `own` that an expression can have; None if nothing limits it.

        It is asked only of an expression that could not be solved for `own` itself.
        """
        unknown = [name for name in expressions.names(axis.size) if name not in self.sizes]
        if len(unknown) != 1 or expressions.degree(axis.size, unknown[0]) != 1:
            return None
        around = (size for step in range(1, own + 2) for size in (own - step, own + step))
        solvable = (size for size in around if expressions.solve(axis.size, size, self.sizes))
        return next((size for size in solvable if size >= 0), None)

    def reasons(self, axes: Sequence[Axis | Axes]) -> str:
        """Say where the sizes of these axes come from."""
        names = [
            name
            for axis in axes
            for name in ([axis.name] if isinstance(axis, Axes) else expressions.names(axis.size))
        ]
        variadic = {axis.name for axis in axes if isinstance(axis, Axes)}
        known = [
            f"{name} = {several(name, self.sizes) if name in variadic else self.sizes[name]}"
            + (f" from {self.origins[name]}" if name in self.origins else "")
            for name in dict.fromkeys(names)
            if name in self.sizes
        ]
        return f" ({'; '.join(known)})" if known else ""


def _origin(array: Observed) -> str:
    return f"{array.quantity}: {array.shape.text!r}"


def _rank_fits(array: Observed) -> bool:
    least = sum(isinstance(axis, Axis) for axis in array.shape.axes)
    rank = len(array.actual)
    return rank >= least if array.shape.variadic else rank == least


def _parts(array: Observed) -> list[tuple[Axis | Axes, tuple[int, ...] | None]]:
    """Pair every part of a shape with the sizes that the array has there; None if the rank differs."""
    axes = array.shape.axes
    if not _rank_fits(array):
        return [(axis, None) for axis in axes]
    spare = len(array.actual) - (len(axes) - 1)  # the rank of the variadic part, if there is one
    parts: list[tuple[Axis | Axes, tuple[int, ...] | None]] = []
    place = 0
    for axis in axes:
        width = spare if isinstance(axis, Axes) else 1
        parts.append((axis, array.actual[place : place + width]))
        place += width
    return parts


def _agrees(own: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return expected == (None,) or own == expected


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape of two shapes by NumPy's rule; the second where they have none."""
    rank = max(len(one), len(other))
    pairs = list(zip(_padded(one, rank), _padded(other, rank), strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return other
    return tuple(b if a == 1 else a for a, b in pairs)


def _broadcasts_to(own: tuple[int, ...], full: tuple[int, ...]) -> bool:
    return len(own) <= len(full) and all(
        size in (1, wanted) for size, wanted in zip(_padded(own, len(full)), full, strict=True)
    )


def _padded(sizes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(sizes)) + sizes
