"""Values of the finite field: residues of all draws at once, companions, degrees; and those draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.modular import SMALLEST_Q, power, powers_of, safe_primes

__all__ = [
    "CONSTANT",
    "NO_RESIDUE",
    "VARIABLE",
    "Degree",
    "Draws",
    "RadicandsMet",
    "Residue",
    "degree_of_each",
    "moved",
    "of_inverse",
    "of_product",
    "of_sum",
    "of_two",
    "tightened",
]

Array = np.ndarray[Any, Any]

NO_RESIDUE = -1
"""What stands for an infinity, or for a quotient by 0 that a branch will drop: no residue at all."""

MOST_RADICANDS = 6
"""Different square roots: half of all residues are squares, so that of 2^6 draws one has all roots."""


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
        lanes: int64 of shape (*shape, 2 draws): the residues modulo each draw's prime P, and then those
            modulo each Q at inputs of their own; NO_RESIDUE for what has none.
        companion: the number in float64.
        degree: of all entries, modulo either prime.
        factor: exp of the value is root^exponent times this residue modulo P; None for 1.
        factor_degree: of the factor.
    """

    lanes: Array
    companion: Array
    degree: Degree
    factor: Array | None = None
    factor_degree: Degree = CONSTANT


class RadicandsMet(Exception):
    """As many radicands were met as the caller asked for."""


class Draws:
    """Random primes and functions, and what evaluations under them met.

    Args:
        primes: of each draw.
        rng: draws residues and unknown functions.

    Attributes:
        count: how many draws there are.
        one_prime: whether all draws have the same prime.
        moduli: one for each lane: the primes P, then Q = (P - 1)/2 of each.
        alive: which draws will do: a divisor that is 0, or a radicand that is no square, ends one.
        radicands: the different arrays of residues whose square root was taken, one number for each draw.
        free: the numbers of the radicands that, modulo one prime, are squares in some draws in which all
            earlier ones are, and none in others. Not 11x², which is one wherever 11 is.
        names: the functions without algebra that were met, with their keys.
        coincidence: the probability that such a function met two different arguments of one residue.
        most_radicands: at how many of them `RadicandsMet` is raised; None for never.
    """

    def __init__(self, primes: Array, rng: np.random.Generator) -> None:
        self.primes = primes
        self.count = primes.size
        self.one_prime = len({*primes.tolist()}) == 1
        self.moduli = np.concatenate([primes, (primes - 1) // 2])
        self.most_radicands: int | None = None
        self.alive = np.ones(self.count, bool)
        self.radicands: list[Array] = []
        self.free: set[int] = set()
        self.names: dict[str, Array] = {}
        self.coincidence = 0.0
        self._rng = rng
        self._applied = Counter[str]()
        self._highest = Counter[str]()

    @classmethod
    def of(cls, count: int, rng: np.random.Generator, one_prime: bool = False) -> Draws:
        """Return draws whose primes are all different, as far as there are so many, or all the same."""
        known = safe_primes()
        primes = rng.choice(known, 1 if one_prime else min(count, known.size), replace=False)
        return cls(np.resize(primes, count), rng)

    def surviving(self) -> Draws:
        """Return the draws that are alive, with the same functions and nothing met."""
        kept = Draws(self.primes[self.alive], self._rng)
        lanes = np.tile(self.alive, 2)
        kept.names = {name: key[lanes] for name, key in self.names.items()}
        kept.roots = self.roots[:, self.alive]
        return kept

    def variable(self, shape: tuple[int, ...]) -> Array:
        """Return random residues for the entries of an array."""
        return self._rng.integers(0, self.moduli, (*shape, self.moduli.size))

    @cached_property
    def roots(self) -> Array:
        """Tables of powers of one root of unity of order Q modulo each P."""
        roots = self._rng.integers(2, self.primes - 1)
        return powers_of(roots * roots % self.primes, self.primes)

    def key(self, name: str) -> Array:
        """Return the keys, one for each lane, of the function `name`: the same for both programs."""
        if name not in self.names:
            self.names[name] = np.tile(self._rng.integers(2**62, size=self.count), 2)
        return self.names[name]

    def root(self, residues: Array) -> Array:
        """Return of the two roots of each residue modulo P the one that is a square itself.

        Where a residue is no square its draw ends.

        Raises:
            Abstention: there are more different square roots than there will ever be draws for.
        """
        roots = power(residues, (self.primes + 1) // 4, self.primes)  # P is 3 modulo 4
        squares = roots * roots % self.primes == residues
        for residue, is_square in zip(
            residues.reshape(-1, self.count), squares.reshape(-1, self.count), strict=True
        ):
            if np.any(residue[self.alive] > 1):
                self._meet(residue, is_square)
        return roots

    def _meet(self, residue: Array, is_square: Array) -> None:
        """Number a radicand as far as it is new, and end the draws in which it is no square."""
        if any(np.array_equal(residue[self.alive], known[self.alive]) for known in self.radicands):
            return
        if len(self.radicands) >= MOST_RADICANDS:
            raise Abstention(
                f"more than {MOST_RADICANDS} different square roots are beyond the finite field; "
                "smaller sizes have fewer"
            )
        if self.one_prime and len({*is_square[self.alive].tolist()}) == 2:
            self.free.add(len(self.radicands))
        self.radicands.append(residue)
        self.alive &= is_square
        if len(self.radicands) == self.most_radicands:
            raise RadicandsMet

    def end_where(self, zeros: Array) -> None:
        """End the draws in which a lane of (..., lanes) is 0 that should not be."""
        lanes = np.any(zeros.reshape(-1, 2 * self.count), axis=0)
        self.alive &= ~(lanes[: self.count] | lanes[self.count :])

    def met(self, name: str, size: int, degree: int, by_both: bool) -> None:
        """Count `size` arguments of a degree, told apart by one residue or by both.

        Two arguments a/b and c/d coincide, or mirror each other, where a polynomial of the sum of
        their degrees vanishes, or of twice that for a product with itself; one is 0 where its own does.
        """
        self._highest[name] = max(self._highest[name], degree)
        alike = 2 * (degree + self._highest[name]) / SMALLEST_Q
        pairs = size * (self._applied[name] + size)
        zeros = size * max(degree, 1) / SMALLEST_Q
        self.coincidence += pairs * alike**2 + zeros if by_both else pairs * alike
        self._applied[name] += size


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
