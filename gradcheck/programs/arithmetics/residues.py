"""Values of the finite field: residues, companions, degrees, and the draw that they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.arithmetics.modular import P, Q, power

__all__ = [
    "CONSTANT",
    "NO_RESIDUE",
    "VARIABLE",
    "Degree",
    "Draw",
    "Redraw",
    "Residue",
    "degree_of_each",
    "moved",
    "of_inverse",
    "of_product",
    "of_sum",
    "of_two",
    "residue_of",
    "tightened",
]

Array = np.ndarray[Any, Any]

NO_RESIDUE = -1
"""What stands for an infinity, or for a quotient by 0 that a branch will drop: no residue at all."""


class Redraw(Exception):
    """These residues will not do: a divisor is 0, or a radicand is no square.

    Attributes:
        radicand: the number of the radicand that is no square, in the order of `Draw.radicands`.
    """

    def __init__(self, reason: str, radicand: int | None = None) -> None:
        super().__init__(reason)
        self.radicand = radicand


class Degree(NamedTuple):
    """Bounds on the degrees in the random inputs, of an array's entries as fractions.

    Entry by entry, each in its own lowest terms, and with one denominator for all entries: sums over
    an axis leave the second pair as it is, quotients the first, and each pair bounds the other.
    """

    above: int
    below: int
    shared_above: int
    shared_below: int

    @property
    def larger(self) -> int:
        """The larger of numerator and denominator, whichever way it is bounded better."""
        return min(max(self.above, self.below), max(self.shared_above, self.shared_below))


CONSTANT = Degree(0, 0, 0, 0)
VARIABLE = Degree(1, 0, 1, 0)


def degree_of_each(above: int, below: int, size: int) -> Degree:
    """Return the degree of an array of `size` entries, of which no common denominator is known."""
    size = max(size, 1)
    return Degree(above, below, above + (size - 1) * below, size * below)


class Residue(NamedTuple):
    """An array of rational functions at random inputs.

    Attributes:
        residue: modulo P, int64; NO_RESIDUE for what has none.
        exponent: modulo Q at inputs of its own, int64.
        companion: the number in float64.
        degree: of all entries, modulo either prime.
        factor: exp of the value is root^exponent times this residue modulo P; None for 1.
        factor_degree: of the factor.
    """

    residue: Array
    exponent: Array
    companion: Array
    degree: Degree
    factor: Array | None = None
    factor_degree: Degree = CONSTANT


@dataclass
class Draw:
    """One choice of random functions, and what the evaluations under it met.

    Attributes:
        radicands: the different residues whose square root was taken, numbered in that order.
        applied: how many entries each function without algebra, or exp, was applied to.
        highest: the largest degree of its arguments.
        coincidence: the probability that such a function met two different arguments of one residue.
    """

    roots: list[Array]
    keys: np.random.Generator
    names: dict[str, int] = field(default_factory=dict)
    radicands: dict[int, int] = field(default_factory=dict)
    applied: Counter[str] = field(default_factory=Counter)
    highest: Counter[str] = field(default_factory=Counter)
    coincidence: float = 0.0

    def key(self, name: str) -> int:
        """Return the key of the function `name`, the same for both programs of a draw."""
        if name not in self.names:
            self.names[name] = int(self.keys.integers(2**62))
        return self.names[name]

    def require_squares(self, residue: Array) -> None:
        """Number the entries as radicands, as far as they are new.

        Raises:
            Redraw: one is no square.
        """
        squares = power(residue, Q, P) <= 1
        for entry, is_square in zip(residue.reshape(-1), squares.reshape(-1), strict=True):
            number = self.radicands.get(int(entry), len(self.radicands))
            if not is_square:
                raise Redraw("a radicand is no square at these residues", number)
            if entry > 1:
                self.radicands[int(entry)] = number

    def count(self, name: str, size: int, degree: int, by_both: bool) -> None:
        """Count `size` arguments of a degree, told apart by one residue or by both.

        Two arguments a/b and c/d coincide, or mirror each other, where a polynomial of the sum of
        their degrees vanishes, or of twice that for a product with itself; one is 0 where its own does.
        """
        self.highest[name] = max(self.highest[name], degree)
        alike = 2 * (degree + self.highest[name]) / Q
        pairs = size * (self.applied[name] + size)
        zeros = size * max(degree, 1) / Q
        self.coincidence += pairs * alike**2 + zeros if by_both else pairs * alike
        self.applied[name] += size


def residue_of(
    residue: Array, exponent: Array, companion: Array, degree: Degree, gaps: Array | None
) -> Residue:
    """Put a value together; where `gaps` say so it has no residue."""
    if gaps is not None:
        residue = np.where(gaps, NO_RESIDUE, residue)
    companion = np.asarray(companion)
    degree = tightened(degree, companion.size)
    return Residue(np.asarray(residue), np.asarray(exponent), companion, degree)


def tightened(degree: Degree, size: int) -> Degree:
    """Bound each pair of degrees of an array of `size` entries by what the other pair says."""
    above, below, shared_above, shared_below = degree
    if shared_above + shared_below < above + below:
        return Degree(shared_above, shared_below, shared_above, shared_below)
    if size * (above + below) - below < shared_above + shared_below:
        return degree_of_each(above, below, size)
    return degree


def moved(degrees: Sequence[Degree]) -> Degree:
    """Bound the degree of entries that stem from several arrays."""
    if len(degrees) == 1:
        return degrees[0]
    below = sum(degree.shared_below for degree in degrees)
    return Degree(
        max((degree.above for degree in degrees), default=0),
        max((degree.below for degree in degrees), default=0),
        max((degree.shared_above + below - degree.shared_below for degree in degrees), default=0),
        below,
    )


def of_product(a: Degree, b: Degree) -> Degree:
    return Degree(*(x + y for x, y in zip(a, b, strict=True)))


def of_two(a: Degree, b: Degree) -> Degree:
    return Degree(
        max(a.above + b.below, b.above + a.below),
        a.below + b.below,
        max(a.shared_above + b.shared_below, b.shared_above + a.shared_below),
        a.shared_below + b.shared_below,
    )


def of_sum(a: Degree, count: int) -> Degree:
    """Bound the degree of a sum of `count` entries, whose own denominators may all differ."""
    count = max(count, 1)
    each = degree_of_each(a.above, a.below, count)
    return Degree(each.shared_above, each.shared_below, a.shared_above, a.shared_below)


def of_inverse(a: Degree, size: int) -> Degree:
    """Bound the degree of the inverses of `size` entries."""
    each = degree_of_each(a.below, a.above, size)
    of_shared = degree_of_each(a.shared_below, a.shared_above, size)
    shared = min(each[2:], of_shared[2:], key=sum)
    return Degree(a.below, a.above, *shared)
