"""Values of expressions: arrays of two dimensions over one axis for each free component index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradcheck.derivations.dims import ONE, Dim

__all__ = ["Axes", "Jacobian", "Value"]

Axes = tuple[tuple[str, Dim], ...]


@dataclass(frozen=True)
class Value:
    """An array (or only its sizes, where `data` is None).

    Attributes:
        axes: (letter, size) of each free component index, sorted by letter.
        rows, cols: the sizes of the matrix at each index; both 1 for a number.
        data: an array of shape (*axes, rows, cols), or None while only sizes are inferred.
    """

    axes: Axes
    rows: Dim
    cols: Dim
    data: Any = None

    @property
    def letters(self) -> tuple[str, ...]:
        """The free component indices."""
        return tuple(letter for letter, _ in self.axes)

    @property
    def is_number(self) -> bool:
        """Whether the matrix part is 1 x 1."""
        return self.rows.root() is ONE and self.cols.root() is ONE

    @property
    def is_column(self) -> bool:
        """Whether the matrix part has one column and more than one row."""
        return self.cols.root() is ONE and self.rows.root() is not ONE

    @property
    def is_row(self) -> bool:
        """Whether the matrix part has one row and more than one column."""
        return self.rows.root() is ONE and self.cols.root() is not ONE

    def spelled(self) -> str:
        """Return the sizes as text: `n2 x 1`."""
        return f"{self.rows.root().name} × {self.cols.root().name}"


@dataclass(frozen=True)
class Jacobian:
    """How an array changes with another: what a derivative of an array by an array stands for.

    Attributes:
        of, by: the two arrays; only their sizes and axes are used.
        pull: from a cotangent (a Value like `of`) to the gradient (a Value like `by`).
        matrix: the Jacobian matrix of two vectors as a Value (rows `of`, columns `by`), or None
            where one of them is no vector.
        scale: a number that multiplies it, or None.
    """

    of: Value
    by: Value
    pull: Callable[[Value], Value]
    matrix: Callable[[], Value] | None
    scale: Value | None = None
