"""Branches: a claim with a kink in it must hold on both sides of the kink.

Two random points may lie on one side of each `relu` and each |x|, and what is proven there is proven
there only. So the points are stretched until every branch was seen to go both ways, and the claims
are judged at those points as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.derivations.cases import Case, Program
from gradcheck.programs.arithmetics.cells import CELLS
from gradcheck.programs.evaluation import Decision, evaluate

__all__ = ["finite", "one_sided", "stretched", "with_branches"]

BRANCHING = frozenset({"abs", "ge", "gt", "le", "lt", "max", "min", "sign"})
"""Primitives that tell one side of a kink from the other. An equality is a tie, which random points
never meet."""

STRETCHES = (30.0, 1000.0, -1.0, -30.0, -1000.0)
"""Factors of the random points, of order one: a threshold of another order is passed, and that by a
single number too. Points that were drawn positive stay so."""


def with_branches(program: Program) -> set[int]:
    """Return the places of the cases that have a kink in them: a comparison of real numbers."""
    return program.reached_by(_is_kink)


def _is_kink(equation: Any) -> bool:
    real = any(np.issubdtype(atom.aval.dtype, np.floating) for atom in equation.invars)
    return equation.primitive.name in BRANCHING and real


def stretched(program: Program) -> list[Program]:
    """Return the same program at points farther from 0 and beyond it, for each factor."""
    positive = all(np.all(array > 0) for point in program.points for array in point)
    return [
        program.moved_to([[factor * array for array in point] for point in program.points])
        for factor in STRETCHES
        if factor > 0 or not positive
    ]


def finite(program: Program, cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose sides are finite at the first point: where exp overflows nothing is proven."""
    if not cases:
        return []
    places = sorted({case.place for case in cases})
    outputs = evaluate(program.of(cases), program.points[0], CELLS)
    whole = [bool(np.all(np.isfinite(output))) for output in outputs]
    pairs = {place: whole[2 * k] and whole[2 * k + 1] for k, place in enumerate(places)}
    return [case for case in cases if pairs[case.place]]


def one_sided(programs: Sequence[Program], cases: Sequence[Case]) -> list[Case]:
    """Return the cases of which some branch went one way at every point of all programs."""
    if not cases or not _goes_one_way(programs, cases):
        return []
    if len(cases) == 1:
        return list(cases)
    middle = len(cases) // 2
    return one_sided(programs, cases[:middle]) + one_sided(programs, cases[middle:])


def _goes_one_way(programs: Sequence[Program], cases: Sequence[Case]) -> bool:
    jaxpr = programs[0].of(cases)
    seen: list[set[float]] = []
    for point in (point for program in programs for point in program.points):
        decisions: list[Decision] = []
        outputs = evaluate(jaxpr, point, CELLS, decisions=decisions)
        if not all(np.all(np.isfinite(output)) for output in outputs):
            continue
        kinks = [decision for decision in decisions if decision.kind in BRANCHING]
        seen += [set() for _ in kinks[len(seen) :]]
        for outcomes, kink in zip(seen, kinks, strict=True):
            outcomes.update(np.unique(kink.outcome).astype(float).tolist())
    return any(len(outcomes) == 1 for outcomes in seen)
