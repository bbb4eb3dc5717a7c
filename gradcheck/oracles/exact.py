"""The exact oracle: are two programs the same function, exactly?

Both are evaluated at random residues modulo a prime. The same rational function agrees always;
different ones with a probability of at most degree/prime in each draw (DeMillo and Lipton 1978;
Schwartz 1980; Zippel 1979). A certificate is an identity on one cell, the branch pattern of the
point, off a null set: it says nothing of ties, zeros, overflow, precision or state, and an exp that
underflows at the point counts as the 0 that masks mean by it. A mismatch says
that the programs differ as rational functions of what the finite field knows, and must be confirmed
by numbers: tanh(x) = 2 sigmoid(2x) - 1 deep in a network is no rational identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.modular import Q
from gradcheck.programs.arithmetics.residues import Redraw, Residue
from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR
from gradcheck.programs.evaluation import Decision, Steps, compile_afresh, evaluate

__all__ = [
    "ON_BOUNDARY",
    "Certificate",
    "Mismatch",
    "Side",
    "name_of",
    "prove_equal",
    "prove_sides_equal",
]

PROBABILITY = 1e-18
"""Largest probability that a certificate is false: those of a thousand cells, a thorough run's, are
then all true but for 1e-15."""

MOST_DRAWS = 24
"""Agreeing draws beyond which nothing is certified: the degrees are too near to the prime."""

MOST_REDRAWS = 1000
"""Draws with a zero divisor or a non-square: for six square roots one draw in 64 will do, and a
few of those are needed."""

SHOWN_OUTCOMES = 16
"""Entries of an outcome that a cell's name shows before it elides."""

MOST_ENTRIES = 64 * 64
"""Entries of one input: the finite field is for small sizes."""


class Side(NamedTuple):
    """A program, how it is called at a point, and what of it is compared.

    Attributes:
        program: a ClosedJaxpr.
        arguments: for each of its inputs the number of an array of the point; one may come twice.
        outputs: the numbers of the outputs that are compared; the others only decide the branches.
    """

    program: Any
    arguments: Sequence[int]
    outputs: Sequence[int]


@dataclass(frozen=True)
class Certificate:
    """Two programs are the same function on a cell.

    Attributes:
        probability: that this is false; it counts the degrees modulo both primes. Where an exponent
            is a polynomial of inputs that are not independent it rests on the conjecture of the
            ITCS 2026 paper, that roots of unity to such powers behave as independent ones do.
        draws: of random residues, all of which agreed.
        degree: largest degree of a difference of outputs.
        cell: the decisions of both programs, in order; they name the branch pattern.
        constants: float constants of the programs, and the rationals that they were read as.
        uninterpreted: the functions of which nothing was used but their derivatives and how they
            are mirrored: the programs are equal for any others with these relations too.
    """

    probability: float
    draws: int
    degree: int
    cell: tuple[Decision, ...]
    constants: dict[float, str]
    uninterpreted: tuple[str, ...] = ()

    @property
    def cell_names(self) -> tuple[str, ...]:
        """What decided the branch pattern: each decision's kind, source line and outcome."""
        return tuple(name_of(decision) for decision in self.cell)


@dataclass(frozen=True)
class Mismatch:
    """Two programs differ as rational functions of what the finite field knows.

    Attributes:
        output: the number of the first output that differs.
        entries: a mask of its entries that differ.
        cell: the decisions of both programs.
        constants: as of `Certificate`.
    """

    output: int
    entries: np.ndarray[Any, Any]
    cell: tuple[Decision, ...]
    constants: dict[float, str]


def prove_equal(
    program_a: Any, program_b: Any, point_inputs: Sequence[Any], rng: np.random.Generator
) -> Certificate | Mismatch:
    """Prove that two programs are the same function on the cell of a point, or that they are not.

    Args:
        program_a, program_b: ClosedJaxprs of the same inputs and outputs.
        point_inputs: one array for each input; the real ones decide the branches, and their
            residues are random; integers are what they are.
        rng: draws the residues; fresh ones, or an adversary could aim at them.

    Raises:
        Abstention: a primitive, a size, a degree or too many square roots are beyond the method, or
            the point is a tie, or programs part where rounding decides a branch.

    >>> import jax
    >>> double, twice = (jax.make_jaxpr(f)(1.0) for f in (lambda x: 2 * x, lambda x: x + x))
    >>> prove_equal(double, twice, [np.array(1.0)], np.random.default_rng(0)).draws
    2
    """
    sides = [
        Side(program, range(len(program.in_avals)), range(len(program.out_avals)))
        for program in (program_a, program_b)
    ]
    return prove_sides_equal(sides[0], sides[1], point_inputs, rng)


def prove_sides_equal(
    side_a: Side,
    side_b: Side,
    point_inputs: Sequence[Any],
    rng: np.random.Generator,
    most_redraws: int = MOST_REDRAWS,
) -> Certificate | Mismatch:
    """Prove the same of two programs that take a point's arrays, and give outputs, each in its way.

    Args:
        side_a, side_b: the programs; as many outputs of each are compared, in order.
        point_inputs, rng: as of `prove_equal`.
        most_redraws: draws with a zero divisor or a non-square before it is given up.

    Raises:
        Abstention: as `prove_equal`.
    """
    for value in point_inputs:
        if np.size(value) > MOST_ENTRIES:
            raise Abstention(
                f"an input has {np.size(value)} entries, and exact evidence is for at most "
                f"{MOST_ENTRIES}; smaller dimensions decide as much"
            )
    # What holds of unknown functions is the stronger and cheaper proof; exp's own laws come second.
    unknown = FiniteField(uninterpreted=True)
    found = _prove(side_a, side_b, unknown, point_inputs, rng, most_redraws)
    if isinstance(found, Mismatch) and not INTERPRETED.isdisjoint(unknown.draw.names):
        found = _prove(side_a, side_b, FiniteField(), point_inputs, rng, most_redraws)
    if isinstance(found, Mismatch):
        _require_decided((side_a, side_b), point_inputs)
    return found


ON_BOUNDARY = "the point is a kink or tie, between cells"


def _require_decided(sides: Sequence[Side], point_inputs: Sequence[Any]) -> None:
    """Require that rounding decides no branch: two forms of one number may round to either side.

    1 - sigmoid(-a) is exactly 0 where sigmoid(a) is 1e-20, and relu takes them to be different.

    Raises:
        Abstention: one is decided by less than the running error of float64.
    """
    decisions: list[Decision] = []
    for side in sides:
        inputs = _selected(point_inputs, side.arguments)
        try:
            evaluate(side.program, inputs, RUNNING_ERROR, decisions=decisions)
        except Abstention:  # numbers without a bound refute nothing
            continue
    for decision in decisions:
        if np.any(decision.undecided):
            where = f" at {decision.where}" if decision.where else ""
            raise Abstention(f"{decision.kind}{where} is decided by less than rounding")


def _prove(
    side_a: Side,
    side_b: Side,
    arithmetic: FiniteField,
    point_inputs: Sequence[Any],
    rng: np.random.Generator,
    most_redraws: int,
) -> Certificate | Mismatch:
    sides = [
        (compile_afresh(side.program, arithmetic), side.arguments, side.outputs)
        for side in (side_a, side_b)
    ]
    draws, redraws, risk, degree = 0, 0, 0.0, 0
    independent: set[int] = set()
    while True:
        cell: list[Decision] = []
        try:
            ours, theirs = _evaluate_both(sides, arithmetic, point_inputs, rng, cell)
        except Redraw as redraw:
            redraws += 1
            if redraw.radicand is not None:
                independent.add(redraw.radicand)
            if redraws > most_redraws:
                raise Abstention(f"after {redraws} draws still {redraw}") from None
            continue
        if any(bool(np.any(decision.undecided)) for decision in cell):
            raise Abstention(ON_BOUNDARY)
        draws += 1
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            differs = _differing(a, b)
            if np.any(differs):
                return Mismatch(index, differs, tuple(cell), arithmetic.recognised)
            degree = max(degree, _degree(a, b))
        risk = max(risk, _risk(arithmetic, degree))
        if risk**MOST_DRAWS > PROBABILITY:
            raise Abstention(
                f"the degree bound {degree} is too near to the prime to tell functions apart"
            )
        if not independent.issuperset(arithmetic.draw.radicands.values()):
            # A radicand that is a square wherever the earlier ones are has a root among them, such as
            # x of x², of which nobody knows the sign: the canonical one agrees with x in half of all draws.
            if draws >= MOST_DRAWS:
                raise Abstention("a square root can be drawn, of which the sign is not known")
        elif risk**draws < PROBABILITY:
            names = arithmetic.draw.names
            unknown = names if arithmetic.uninterpreted else set(names) - {*INTERPRETED}
            return Certificate(
                risk**draws,
                draws,
                degree,
                tuple(cell),
                arithmetic.recognised,
                tuple(sorted(unknown)),
            )


INTERPRETED = frozenset({"exp", "log", "logistic", "tanh"})
"""Functions of which more is known than an uninterpreted field uses."""


def name_of(decision: Decision) -> str:
    """Name a decision: its kind, source line and outcome."""
    where = f" at {decision.where}" if decision.where else ""
    outcome = np.asarray(decision.outcome)
    shown = outcome.astype(int) if outcome.dtype == bool else outcome
    return f"{decision.kind}{where}: {np.array2string(shown, threshold=SHOWN_OUTCOMES)}"


def _evaluate_both(
    sides: Sequence[tuple[Steps, Sequence[int], Sequence[int]]],
    arithmetic: FiniteField,
    point_inputs: Sequence[Any],
    rng: np.random.Generator,
    cell: list[Decision],
) -> tuple[list[Any], list[Any]]:
    arithmetic.redraw(rng)
    inputs = [
        arithmetic.variable(np.asarray(value), rng) if _is_real(value) else value
        for value in point_inputs
    ]
    ours, theirs = (
        _selected(steps.evaluate(_selected(inputs, arguments), cell), outputs)
        for steps, arguments, outputs in sides
    )
    return ours, theirs


def _selected(values: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
    return [values[number] for number in numbers]


def _is_real(value: Any) -> bool:
    return np.asarray(value).dtype.kind not in "biu"


def _differing(a: Any, b: Any) -> Any:
    if not isinstance(a, Residue):
        return np.asarray(a) != np.asarray(b)
    if not all(np.all((x.residue >= 0) & np.isfinite(x.companion)) for x in (a, b)):
        raise Abstention("an output is infinite or undefined at this point")
    return a.residue != b.residue


def _degree(a: Any, b: Any) -> int:
    """Bound the degree of the difference's numerator."""
    if not isinstance(a, Residue) or not isinstance(b, Residue):
        return 0
    fractions = [min((x.degree[:2], x.degree[2:]), key=sum) for x in (a, b)]
    (above, below), (other_above, other_below) = fractions
    return max(above + other_below, other_above + below, 1)


def _risk(arithmetic: FiniteField, degree: int) -> float:
    """Return the probability that different functions agree in one draw, at most.

    Each square root doubles the degree of the polynomial that must vanish (its norm), and waiting
    for a square doubles the probability of whatever happens.
    """
    roots: float = 4.0 ** len(arithmetic.draw.radicands)
    return (degree / Q + arithmetic.draw.coincidence) * roots
