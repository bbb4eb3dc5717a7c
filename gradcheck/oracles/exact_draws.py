"""An attempt to prove two programs equal: batches of draws, until enough of them agree or one does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import PROBABILITY, Certificate, Mismatch, Side
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.modular import SMALLEST_Q, safe_primes
from gradcheck.programs.arithmetics.residues import Draws, RadicandsMet, Residue
from gradcheck.programs.evaluation import Decision, compile_afresh

__all__ = ["INTERPRETED", "ON_BOUNDARY", "Attempt"]

FIRST_DRAWS = 4
"""Draws that are evaluated at once, to begin with: enough for degrees up to 30 000."""

LARGEST_BATCH = 1024
"""Draws of one evaluation where square roots make most of them vain: for six, one in 64 will do."""

MOST_RESIDUES = 2**18
"""Residues of one input array in one evaluation."""

MOST_DRAWS = 4096
"""Draws of one proof, most of them without all square roots."""

MOST_VAIN = 1024
"""Draws none of which has all square roots: of six, one in 64 would."""

MOST_AGREEING = 24
"""Agreeing draws beyond which nothing is certified, the degrees being too near to the prime; and by
which a square root is seen to have no sign that draws decide."""

UNSIGNED = "a square root can be drawn, of which the sign is not known"

ON_BOUNDARY = "the point is a kink or tie, between cells"

INTERPRETED = frozenset({"exp", "log", "logistic", "tanh"})
"""Functions of which more is known than an uninterpreted field uses."""


Lanes = list[np.ndarray[Any, Any] | None]
"""The residues of each real input, None for one of integers."""


class Attempt:
    """One attempt to prove two sides equal, by batches of draws.

    A radicand that is a square wherever the earlier ones are has a root among them, such as x of x², of
    which nobody knows the sign: in each draw it is that of the root that is a square. Over draws of
    different primes each pattern of such signs, that of the real roots too, comes as often as any other,
    so that what holds in many of them holds for the real one.
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        point_inputs: Sequence[Any],
        rng: np.random.Generator,
        uninterpreted: bool,
    ) -> None:
        self.sides, self.point_inputs, self.rng = sides, point_inputs, rng
        self.uninterpreted = uninterpreted
        self.drawn = self.agreed = self.agreed_of_one_prime = 0
        self.primes = set[int]()
        self.degree, self.risk = 0, 1 / SMALLEST_Q
        self.radicands, self.free = 0, set[int]()
        self.names: set[str] = set()
        self.mismatch: Mismatch | None = None
        self.cell: tuple[Decision, ...] = ()
        self.constants: dict[float, str] = {}
        largest = max((np.size(value) for value in point_inputs), default=1)
        self.largest_batch = max(FIRST_DRAWS, min(LARGEST_BATCH, MOST_RESIDUES // max(largest, 1)))

    def found(self) -> Certificate | Mismatch:
        """Draw until it is decided.

        Raises:
            Abstention: it cannot be.
        """
        count = FIRST_DRAWS
        while True:
            self._evaluate(count)
            if self.mismatch and not self.signs:
                return self.mismatch
            if self.mismatch and self.agreed_of_one_prime >= MOST_AGREEING:
                raise Abstention(UNSIGNED)
            if not self.mismatch and self.agreed and self.probability < PROBABILITY:
                return self._certificate()
            count = self._next_batch(count)

    @property
    def signs(self) -> int:
        """How many radicands may have a root among the other numbers."""
        return self.radicands - len(self.free)

    @property
    def probability(self) -> float:
        """The probability that different functions agree in the draws so far, at most."""
        signed = (1 - 0.5**self.signs) ** len(self.primes) if self.signs else 0.0
        return self.risk**self.agreed + signed

    def _evaluate(self, count: int) -> None:
        """Evaluate both sides in `count` more draws, and take in what they say."""
        # Draws of one prime tell which radicands are free of the others.
        one_prime = bool(self.signs) and self.agreed_of_one_prime < MOST_AGREEING
        draws = Draws.of(count, self.rng, one_prime)
        inputs = [
            draws.variable(np.shape(value)) if _is_real(value) else None
            for value in self.point_inputs
        ]
        self.drawn += count
        if self.radicands:
            draws, inputs = self._sifted(draws, inputs)
            if not draws.count:
                return
        field = FiniteField(draws, uninterpreted=self.uninterpreted)
        cell: list[Decision] = []
        ours, theirs = (self._outputs(side, field, inputs, cell) for side in self.sides)
        if any(bool(np.any(decision.undecided)) for decision in cell):
            raise Abstention(ON_BOUNDARY)
        self._take_in(draws)
        alive = int(np.sum(draws.alive))
        self.agreed += alive
        self.agreed_of_one_prime += alive * one_prime
        self.primes |= {*draws.primes[draws.alive].tolist()}
        self.cell, self.constants = tuple(cell), field.recognised
        if alive:
            self._compare(ours, theirs, draws)

    def _outputs(
        self, side: Side, field: FiniteField, inputs: Lanes, cell: list[Decision] | None
    ) -> list[Any]:
        values = [
            number if lanes is None else field.variable(number, lanes)
            for number, lanes in zip(self.point_inputs, inputs, strict=True)
        ]
        arguments = [values[number] for number in side.arguments]
        found = compile_afresh(side.program, field).evaluate(arguments, cell)
        return [found[number] for number in side.outputs]

    def _sifted(self, draws: Draws, inputs: Lanes) -> tuple[Draws, Lanes]:
        """Keep the draws in which the radicands that are known are squares.

        They are met early in a program, and most draws end there.
        """
        draws.most_radicands = self.radicands
        with suppress(RadicandsMet):
            field = FiniteField(draws, uninterpreted=self.uninterpreted)
            self._outputs(self.sides[0], field, inputs, None)
        self._take_in(draws)
        kept = np.tile(draws.alive, 2)
        return draws.surviving(), [
            lanes if lanes is None else lanes.compress(kept, -1) for lanes in inputs
        ]

    def _take_in(self, draws: Draws) -> None:
        self.radicands = max(self.radicands, len(draws.radicands))
        self.free |= draws.free
        self.names |= {*draws.names}

    def _compare(self, ours: list[Any], theirs: list[Any], draws: Draws) -> None:
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            differs = _differing(a, b, draws.alive)
            if np.any(differs):
                self.mismatch = Mismatch(index, differs, self.cell, self.constants)
                return
            self.degree = max(self.degree, _degree(a, b))
        # Each square root doubles the degree of the polynomial that must vanish (its norm), and waiting
        # for a square doubles the probability of whatever happens.
        roots = 4.0**self.radicands
        risk = (self.degree / SMALLEST_Q + draws.coincidence) * roots
        self.risk = max(self.risk, risk)

    def _next_batch(self, count: int) -> int:
        """Return how many draws to evaluate next.

        Raises:
            Abstention: there is no hope of enough of them.
        """
        if self.agreed and self.risk**MOST_AGREEING > PROBABILITY:
            raise Abstention(
                f"the degree bound {self.degree} is too near to the prime to tell functions apart"
            )
        if self.drawn >= (MOST_DRAWS if self.agreed else MOST_VAIN):
            vain = "a radicand is no square" if self.radicands else "a divisor is 0"
            raise Abstention(f"after {self.drawn} draws still {vain} at these residues")
        if not self.agreed:
            return min(max(8 * count, 8 << self.radicands), self.largest_batch)
        if self.signs and self.agreed_of_one_prime < MOST_AGREEING:
            wanted, halvings = MOST_AGREEING - self.agreed_of_one_prime, self.radicands
        else:
            wanted, halvings = self._still_wanted(), len(self.free)
        if wanted << halvings > MOST_DRAWS:
            raise Abstention(UNSIGNED)
        return min(max(FIRST_DRAWS, wanted << halvings), self.largest_batch)

    def _still_wanted(self) -> int:
        """Return how many more agreeing draws the probability asks for, once the signs are counted.

        Raises:
            Abstention: the signs ask for more primes than there are.
        """
        of_degree = math.log(PROBABILITY / 2) / math.log(self.risk) - self.agreed
        if not self.signs:
            return math.ceil(of_degree)
        of_signs = math.log(PROBABILITY / 2) / math.log1p(-(0.5**self.signs))
        if of_signs > safe_primes().size:
            raise Abstention(UNSIGNED)
        return math.ceil(max(of_degree, of_signs - len(self.primes)))

    def _certificate(self) -> Certificate:
        unknown = self.names if self.uninterpreted else self.names - INTERPRETED
        return Certificate(
            self.probability,
            self.agreed,
            self.degree,
            self.cell,
            self.constants,
            tuple(sorted(unknown)),
        )


def _is_real(value: Any) -> bool:
    return np.asarray(value).dtype.kind not in "biu"


def _differing(a: Any, b: Any, alive: Any) -> Any:
    if not isinstance(a, Residue):
        return np.asarray(a) != np.asarray(b)
    if not all(np.all((x.lanes[..., 0] >= 0) & np.isfinite(x.companion)) for x in (a, b)):
        raise Abstention("an output is infinite or undefined at this point")
    unequal = a.lanes[..., : alive.size] != b.lanes[..., : alive.size]
    return np.any(unequal & alive, -1)


def _degree(a: Any, b: Any) -> int:
    """Bound the degree of the difference's numerator."""
    if not isinstance(a, Residue) or not isinstance(b, Residue):
        return 0
    fractions = [min((x.degree[:2], x.degree[2:]), key=sum) for x in (a, b)]
    (above, below), (other_above, other_below) = fractions
    return max(above + other_below, other_above + below, 1)
