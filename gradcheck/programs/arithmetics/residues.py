"""Values of the finite field: residues, companions, degrees, and the draw that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "CONSTANT",
    "NO_RESIDUE",
    "VARIABLE",
    "Degree",
    "Draw",
    "Redraw",
    "Residue",
    "of_product",
    "of_sum",
    "of_two",
    "residue_of",
    "wider",
]

Array = np.ndarray[Any, Any]

NO_RESIDUE = -1
"""What stands for an infinity, or for a quotient by 0 that a branch will drop: no residue at all."""


class Redraw(Exception):
    """These residues will not do: a divisor is 0, or a radicand is no square."""


class Degree(NamedTuple):
    """Bounds on the degrees of numerator and denominator in the random inputs."""

    above: int
    below: int


CONSTANT = Degree(0, 0)
VARIABLE = Degree(1, 0)


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
        radicands: the different residues whose square root was taken.
        applied: how many entries went through functions without algebra, or through exp.
        collisions: pairs of such entries, each times the degree at which they might coincide.
    """

    roots: list[Array]
    keys: np.random.Generator
    names: dict[str, int] = field(default_factory=dict)
    radicands: set[int] = field(default_factory=set)
    applied: int = 0
    collisions: int = 0

    def key(self, name: str) -> int:
        """Return the key of the function `name`, the same for both programs of a draw."""
        if name not in self.names:
            self.names[name] = int(self.keys.integers(2**62))
        return self.names[name]


def residue_of(
    residue: Array, exponent: Array, companion: Array, degree: Degree, gaps: Array | None
) -> Residue:
    """Put a value together; where `gaps` say so it has no residue."""
    if gaps is not None:
        residue = np.where(gaps, NO_RESIDUE, residue)
    return Residue(np.asarray(residue), np.asarray(exponent), np.asarray(companion), degree)


def wider(a: Degree, b: Degree) -> Degree:
    return Degree(max(a.above, b.above), max(a.below, b.below))


def of_product(a: Degree, b: Degree) -> Degree:
    return Degree(a.above + b.above, a.below + b.below)


def of_two(a: Degree, b: Degree) -> Degree:
    return Degree(max(a.above + b.below, b.above + a.below), a.below + b.below)


def of_sum(a: Degree, count: int) -> Degree:
    """Bound the degree of a sum of `count` terms, whose denominators may all differ."""
    count = max(count, 1)
    return Degree(a.above + (count - 1) * a.below, count * a.below)
