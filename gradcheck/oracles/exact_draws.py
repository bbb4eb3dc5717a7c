"""An attempt to prove two programs equal: batches of draws, until enough of them agree or one does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import PROBABILITY, Certificate, Mismatch, Side
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.modular import SMALLEST_Q
from gradcheck.programs.arithmetics.residues import Draws, Residue
from gradcheck.programs.evaluation import Decision, compile_afresh

__all__ = ["INTERPRETED", "ON_BOUNDARY", "Attempt"]

FIRST_DRAWS = 4
"""Draws that are evaluated at once, to begin with: enough for degrees up to 30 000."""

LARGEST_BATCH = 256
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
        self.drawn = self.agreed = self.agreed_of_one_prime = self.agreed_of_different = 0
        self.degree, self.risk = 0, 1 / SMALLEST_Q
        self.radicands, self.free = 0, set[int]()
        self.names: set[str] = set()
        self.mismatch: Mismatch | None = None
        largest = max((np.size(value) for value in point_inputs), default=1)
        self.largest_batch = max(FIRST_DRAWS, min(LARGEST_BATCH, MOST_RESIDUES // max(largest, 1)))

    def found(self) -> Certificate | Mismatch:
        """Draw until it is decided.

        Raises:
            Abstention: it cannot be.
        """
        count = FIRST_DRAWS
        while True:
            field, cell = self._evaluate(count)
            if self.mismatch and not self.signs:
                return self.mismatch
            if self.mismatch and self.agreed_of_one_prime >= MOST_AGREEING:
                raise Abstention(UNSIGNED)
            if not self.mismatch and self.agreed and self.probability < PROBABILITY:
                return self._certificate(field, cell)
            count = self._next_batch(count)

    @property
    def signs(self) -> int:
        """How many radicands may have a root among the other numbers."""
        return self.radicands - len(self.free)

    @property
    def probability(self) -> float:
        """The probability that different functions agree in the draws so far, at most."""
        signed = (1 - 0.5**self.signs) ** self.agreed_of_different if self.signs else 0.0
        return self.risk**self.agreed + signed

    def _evaluate(self, count: int) -> tuple[FiniteField, list[Decision]]:
        """Evaluate both sides in `count` more draws, and take in what they say."""
        # Draws of one prime tell which radicands are free of the others.
        one_prime = bool(self.signs) and self.agreed_of_one_prime < MOST_AGREEING
        field = FiniteField(count, self.rng, uninterpreted=self.uninterpreted, one_prime=one_prime)
        inputs = [
            field.variable(np.asarray(value)) if _is_real(value) else value
            for value in self.point_inputs
        ]
        cell: list[Decision] = []
        ours, theirs = (
            _selected(
                compile_afresh(program, field).evaluate(_selected(inputs, arguments), cell), outputs
            )
            for program, arguments, outputs in self.sides
        )
        if any(bool(np.any(decision.undecided)) for decision in cell):
            raise Abstention(ON_BOUNDARY)
        self._take_in(field.draws)
        if field.draws.alive.any():
            self._compare(field, ours, theirs, cell)
        return field, cell

    def _take_in(self, draws: Draws) -> None:
        alive = int(np.sum(draws.alive))
        self.drawn += draws.count
        self.agreed += alive
        self.agreed_of_one_prime += alive * draws.one_prime
        self.agreed_of_different += alive * (not draws.one_prime)
        self.radicands = max(self.radicands, len(draws.radicands))
        self.free |= draws.free
        self.names |= {*draws.names}

    def _compare(
        self, field: FiniteField, ours: list[Any], theirs: list[Any], cell: list[Decision]
    ) -> None:
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            differs = _differing(a, b, field.draws.alive)
            if np.any(differs):
                self.mismatch = Mismatch(index, differs, tuple(cell), field.recognised)
                return
            self.degree = max(self.degree, _degree(a, b))
        # Each square root doubles the degree of the polynomial that must vanish (its norm), and waiting
        # for a square doubles the probability of whatever happens.
        roots = 4.0**self.radicands
        risk = (self.degree / SMALLEST_Q + field.draws.coincidence) * roots
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
            return min(8 * count, self.largest_batch)
        if self.signs and self.agreed_of_one_prime < MOST_AGREEING:
            wanted, halvings = MOST_AGREEING - self.agreed_of_one_prime, self.radicands
        else:
            wanted, halvings = self._still_wanted(), len(self.free)
        if wanted << halvings > MOST_DRAWS:
            raise Abstention(UNSIGNED)
        return min(max(FIRST_DRAWS, wanted << halvings), self.largest_batch)

    def _still_wanted(self) -> int:
        """Return how many more agreeing draws the probability asks for, once the signs are counted."""
        of_degree = math.log(PROBABILITY / 2) / math.log(self.risk) - self.agreed
        if not self.signs:
            return math.ceil(of_degree)
        of_signs = math.log(PROBABILITY / 2) / math.log1p(-(0.5**self.signs))
        return math.ceil(max(of_degree, of_signs - self.agreed_of_different))

    def _certificate(self, field: FiniteField, cell: list[Decision]) -> Certificate:
        unknown = self.names if self.uninterpreted else self.names - INTERPRETED
        return Certificate(
            self.probability,
            self.agreed,
            self.degree,
            tuple(cell),
            field.recognised,
            tuple(sorted(unknown)),
        )


def _selected(values: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
    return [values[number] for number in numbers]


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
