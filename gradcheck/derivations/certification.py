"""Proof of claims: exactly over the finite field, else in extended precision.

Float64 at two points only sifts. What it does not refute is proven where that can be done: both sides
as functions of all that the document leaves open, its activations included. What has no proof is
measured in extended precision, where a difference that no rounding explains counts against a claim as
one in float64 does. An exact mismatch alone never does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.evidence import AGREEMENT, Case, Program
from gradcheck.derivations.model import Model
from gradcheck.derivations.walks import nodes_of
from gradcheck.errors import Abstention
from gradcheck.oracles.exact import Mismatch, Side, prove_sides_equal
from gradcheck.programs.arithmetics.extended import EXTENDED
from gradcheck.programs.compat import with_outputs
from gradcheck.programs.evaluation import evaluate

__all__ = ["certify"]

MOST_PROOFS = 64
"""Proofs tried in one document: all claims together are one, and each claim that fails costs one more."""

CONSTANT_ROUNDINGS = 8
"""Extended rounding errors by which two equal sides may differ: pi is a constant rounded to float64,
and either side may have used it in its own way."""

MOST_DIGITS = 18
"""Digits that are reported: what x86's extended format holds."""

EXACT_DIGITS = 8
"""Significant digits up to which a decimal is what its author meant; a longer one may be rounded."""

UNEQUAL = "the sides are not the same by algebra alone"


def certify(model: Model, cases: Sequence[Case], seed: int) -> None:
    """Give each case that float64 could compare its certificate, its digits, or its difference."""
    by_program: dict[int, list[Case]] = defaultdict(list)
    for case in cases:
        compares = case.claim.kind in ("claim", "redefinition")
        if compares and case.problem is None and case.differences:
            by_program[id(case.program)].append(case)
    proofs = iter(range(MOST_PROOFS))
    for own in by_program.values():
        program = own[0].program
        assert program is not None
        coarsest = _coarsest(model)
        _measure(program, [case for case in own if case.holds is False], coarsest)
        rng = np.random.default_rng(seed)
        _prove(program, [case for case in own if case.holds is not False], proofs, rng)
        left = [case for case in own if case.certificate is None and not case.measured]
        _measure(program, left, coarsest)


def _prove(
    program: Program, cases: Sequence[Case], proofs: Iterator[int], rng: np.random.Generator
) -> None:
    """Prove cases together; where that is beyond the method, halves of them."""
    if not cases:
        return
    if next(proofs, None) is None:
        for case in cases:
            case.uncertified = f"{MOST_PROOFS} other proofs of this document were tried before"
        return
    try:
        found = prove_sides_equal(*_sides(program, cases), program.points[0], rng)
    except Abstention as abstention:
        if len(cases) == 1:
            cases[0].uncertified = str(abstention)
            return
        middle = len(cases) // 2
        _prove(program, cases[:middle], proofs, rng)
        _prove(program, cases[middle:], proofs, rng)
        return
    if isinstance(found, Mismatch):
        cases[found.output].uncertified = UNEQUAL
        rest = [case for case in cases if case is not cases[found.output]]
        _prove(program, rest, proofs, rng)
        return
    for case in cases:
        case.certificate = found


def _sides(program: Program, cases: Sequence[Case]) -> tuple[Side, Side]:
    """Return the programs of all left sides and of all right sides."""
    places = [case.place for case in cases]
    count = len(program.jaxpr.out_avals)
    left, right = (
        with_outputs(program.jaxpr, [k % 2 == side and k // 2 in places for k in range(count)])
        for side in (0, 1)
    )
    arguments = range(len(program.jaxpr.in_avals))
    order = np.argsort(np.argsort(places))
    return Side(left, arguments, order.tolist()), Side(right, arguments, order.tolist())


def _measure(program: Program, cases: Sequence[Case], coarsest: float) -> None:
    """Compare sides in extended precision, all together or, where one has no such program, alone."""
    if not cases:
        return
    try:
        found = [_gaps(program, cases, point) for point in program.points]
    except Abstention:
        if len(cases) > 1:
            for case in cases:
                _measure(program, [case], coarsest)
        return
    for case, gaps in zip(cases, zip(*found, strict=True), strict=True):
        _settle(case, gaps, coarsest)


def _gaps(
    program: Program, cases: Sequence[Case], point: Sequence[Any]
) -> list[tuple[float, float]]:
    """Return for each case the relative difference, and how much of it rounding may be."""
    left, right = (
        [values[number] for number in side.outputs]
        for side in _sides(program, cases)
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


def _settle(case: Case, gaps: Sequence[tuple[float, float]], coarsest: float) -> None:
    """Call a case equal or different where extended precision says the same at every point.

    Where its bounds are too wide to say either, float64's word stands if it was "equal".
    """
    beyond = [gap for gap, _ in gaps]
    worst = max(room for _, room in gaps)
    if any(beyond):
        case.measured = "different" if min(beyond) > coarsest else "unclear"
        case.differences = [max(pair) for pair in zip(case.differences, beyond, strict=True)]
    elif worst < AGREEMENT:
        case.measured = "equal"
        case.digits = min(MOST_DIGITS, int(-np.log10(worst))) if worst > 0 else MOST_DIGITS
    elif case.holds is False:
        case.measured = "unclear"


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
