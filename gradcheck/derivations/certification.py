"""Proof of claims: exactly over the finite field, else in extended precision.

Float64 at two points only sifts. What it does not refute is proven where that can be done: both sides
as functions of all that the document leaves open, its activations included. What has no proof is
measured in extended precision, where a difference that no rounding explains counts against a claim as
one in float64 does. An exact mismatch alone never does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.branches import finite, one_sided, stretched, with_branches
from gradcheck.derivations.cases import AGREEMENT, Case, Program
from gradcheck.derivations.model import Model
from gradcheck.derivations.walks import nodes_of
from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Certificate, Mismatch
from gradcheck.oracles.exact import prove_sides_equal
from gradcheck.programs.arithmetics.extended import EXTENDED
from gradcheck.programs.evaluation import evaluate

__all__ = ["certify"]

MOST_PROOFS = 64
"""Proofs tried in one document: all claims together are one, and each claim that fails costs one more."""

MOST_ROOT_PROOFS = 6
"""The same for claims with square roots, whose proofs need many draws."""

CONSTANT_ROUNDINGS = 8
"""Extended rounding errors by which two equal sides may differ: pi is a constant rounded to float64,
and either side may have used it in its own way."""

MOST_DIGITS = 18
"""Digits that are reported: what x86's extended format holds."""

EXACT_DIGITS = 8
"""Significant digits up to which a decimal is what its author meant; a longer one may be rounded."""

UNEQUAL = "the sides are not the same by algebra alone"

TOO_MANY = "as many other proofs of this document were tried as there may be"

UNCLEAR = "the two sides differ by {:.0e} of their size: too little to call them different"

ONE_SIDED = (
    "holds at all points, but they lie on one side of a kink, and none on the other was found"
)


def certify(model: Model, cases: Sequence[Case], seed: int) -> None:
    """Give each case that float64 could compare its certificate, its digits, or its difference."""
    by_program: dict[int, list[Case]] = defaultdict(list)
    for case in cases:
        compares = case.claim.kind in ("claim", "redefinition")
        if compares and case.problem is None and case.differences:
            by_program[id(case.program)].append(case)
    examination = _Examination(
        np.random.default_rng(seed),
        iter(range(MOST_PROOFS)),
        iter(range(MOST_ROOT_PROOFS)),
        _coarsest(model),
    )
    for own in by_program.values():
        program = own[0].program
        assert program is not None
        examination.hold(program, own)


@dataclass(frozen=True)
class _Examination:
    """What the proofs of one document share.

    Attributes:
        rng: draws residues.
        proofs, root_proofs: count the proofs that may still be tried, without square roots and with.
        coarsest: the largest relative rounding of a long decimal of the document.
    """

    rng: np.random.Generator
    proofs: Iterator[int]
    root_proofs: Iterator[int]
    coarsest: float

    def hold(self, program: Program, cases: Sequence[Case]) -> None:
        """Prove the cases of one program, or measure them."""
        self._measure(program, [case for case in cases if case.holds is False])
        rooted = program.with_roots()
        likely = [case for case in cases if case.holds is not False]
        self._prove(program, [case for case in likely if case.place not in rooted], self.proofs)
        self._prove(program, [case for case in likely if case.place in rooted], self.root_proofs)
        self._measure(
            program, [case for case in cases if case.certificate is None and not case.measured]
        )
        branching = with_branches(program)
        kinked = [case for case in cases if case.holds and case.place in branching]
        if kinked:
            self._hold_on_branches(program, kinked)
        for case in cases:
            if case.measured == "unclear" and case.certificate is None:
                case.doubt = UNCLEAR.format(max(case.differences))

    def _hold_on_branches(self, program: Program, cases: Sequence[Case]) -> None:
        """Stretch the points until the cases met each kink from both sides; doubt those that never did."""
        met = [program.moved_to([point]) for point in program.points]
        for other in met[1:]:
            self._prove_again(other, cases)
        left = one_sided(met, [case for case in cases if case.holds])
        for other in stretched(program):
            if not left:
                break
            for point in other.points:
                self._prove_again(program.moved_to([point]), left)
            unproven = [case for case in left if case.certificate is None]
            self._measure(other, unproven)
            for case in unproven:
                case.elsewhere = case.holds is False
            met.append(other)
            left = one_sided(met, [case for case in left if case.holds])
        for case in left:
            case.doubt = ONE_SIDED

    def _prove(self, program: Program, cases: Sequence[Case], proofs: Iterator[int]) -> None:
        for case, found in self._proofs(program, cases, proofs):
            if isinstance(found, Certificate):
                case.certificate = found
            else:
                case.uncertified = found

    def _prove_again(self, program: Program, cases: Sequence[Case]) -> None:
        """Keep the certificate of a case only if it is proven at the program's point too."""
        proven = finite(program, [case for case in cases if case.certificate])
        for case, found in self._proofs(program, proven, self.proofs):
            assert case.certificate is not None
            if isinstance(found, Certificate):
                both = case.certificate.probability + found.probability
                case.certificate = replace(case.certificate, probability=both)
            else:
                case.certificate, case.uncertified = None, f"on another branch {found}"

    def _proofs(
        self, program: Program, cases: Sequence[Case], proofs: Iterator[int]
    ) -> Iterator[tuple[Case, Certificate | str]]:
        """Prove cases together at the first point; where that is beyond the method, halves of them."""
        if not cases:
            return
        if next(proofs, None) is None:
            yield from ((case, TOO_MANY) for case in cases)
            return
        try:
            sides, point = program.sides(cases), program.points[0]
            found = prove_sides_equal(*sides, point, self.rng)
        except Abstention as abstention:
            if len(cases) == 1:
                yield cases[0], str(abstention)
                return
            middle = len(cases) // 2
            yield from self._proofs(program, cases[:middle], proofs)
            yield from self._proofs(program, cases[middle:], proofs)
            return
        if isinstance(found, Mismatch):
            yield cases[found.output], UNEQUAL
            rest = [*cases[: found.output], *cases[found.output + 1 :]]
            yield from self._proofs(program, rest, proofs)
        else:
            yield from ((case, found) for case in cases)

    def _measure(self, program: Program, cases: Sequence[Case]) -> None:
        """Compare sides in extended precision, all together or, where one has no such program, alone."""
        if not cases:
            return
        try:
            found = [_gaps(program, cases, point) for point in program.points]
        except Abstention:
            if len(cases) > 1:
                for case in cases:
                    self._measure(program, [case])
            return
        for case, gaps in zip(cases, zip(*found, strict=True), strict=True):
            self._settle(case, gaps)

    def _settle(self, case: Case, gaps: Sequence[tuple[float, float]]) -> None:
        """Call a case equal or different where extended precision says the same at every point.

        Where its bounds are too wide to say either, float64's word stands if it was "equal".
        """
        beyond = [gap for gap, _ in gaps]
        worst = max(room for _, room in gaps)
        if any(beyond):
            case.measured = "different" if min(beyond) > self.coarsest else "unclear"
            case.differences = [max(pair) for pair in zip(case.differences, beyond, strict=True)]
        elif worst < AGREEMENT:
            digits = min(MOST_DIGITS, int(-np.log10(worst))) if worst > 0 else MOST_DIGITS
            case.digits = min(digits, case.digits or digits)
            case.measured = case.measured or "equal"
        elif case.holds is False:
            case.measured = "unclear"


def _gaps(
    program: Program, cases: Sequence[Case], point: Sequence[Any]
) -> list[tuple[float, float]]:
    """Return for each case the relative difference, and how much of it rounding may be."""
    left, right = (
        [values[number] for number in side.outputs]
        for side in program.sides(cases)
        for values in [evaluate(side.program, point, EXTENDED)]
    )
    out = []
    for a, b in zip(left, right, strict=True):
        difference = EXTENDED.elementwise["sub"](a, b)
        sizes = [np.abs(np.asarray(EXTENDED.companion(x), float)) for x in (a, b, difference)]
        bound = CONSTANT_ROUNDINGS * np.asarray(difference.error, float)
        scale = max(np.max(sizes[0], initial=0), np.max(sizes[1], initial=0))
        unit = scale if scale > 0 else 1.0
        beyond = float(np.max(np.where(sizes[2] > bound, sizes[2], 0), initial=0)) / unit
        out.append((beyond, float(np.max(sizes[2] + bound, initial=0)) / unit))
    return out


def _coarsest(model: Model) -> float:
    """Return the largest relative rounding of a long decimal of the document, 0 if it has none."""
    sides = [side for claim in model.claims for side in (claim.left, claim.right)]
    numbers = [
        node.value for side in sides for node in nodes_of(side) if isinstance(node, ex.Number)
    ]
    return max(map(_rounding, numbers), default=0.0)


def _rounding(value: Fraction) -> float:
    """Return how much a decimal may have been rounded, relative to itself; 0 for a short one."""
    places = 0
    while (value * 10**places).denominator > 1 and places < 40:
        places += 1
    whole = abs(value * 10**places)
    if whole.denominator > 1 or len(str(whole)) <= EXACT_DIGITS:
        return 0.0
    return CONSTANT_ROUNDINGS * 0.5 / float(whole)
