"""Where two programs part: equal numbers that the finite field does not know for one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.oracles.exact import Side
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.residues import Redraw, Residue
from gradcheck.programs.evaluation import Step, Steps, compile_afresh

__all__ = ["parting"]

MOST_DRAWS = 8
"""Draws after which no place is looked for: a divisor is 0 with next to no probability."""

AGREEING_DIGITS = 9
"""Of two numbers that count as one: more than chance explains, fewer than rounding leaves."""


def parting(
    true: Side, claimed: Side, point_inputs: Sequence[Any], rng: np.random.Generator
) -> str | None:
    """Say which computed arrays of both programs are the first with equal numbers, unequal residues.

    Returns:
        A phrase that names both computations by primitive and source line, or None if none is found.
    """
    arithmetic = FiniteField()
    sides = [(compile_afresh(side.program, arithmetic), side.arguments) for side in (true, claimed)]
    for _ in range(MOST_DRAWS):
        arithmetic.redraw(rng)
        inputs = [
            arithmetic.variable(value, rng) if value.dtype.kind == "f" else value
            for value in point_inputs
        ]
        try:
            truths, claims = (
                _computed(steps, [inputs[number] for number in arguments])
                for steps, arguments in sides
            )
        except Redraw:
            continue
        return _first_pair(truths, claims)
    return None


Computed = list[tuple[Step, Residue]]


def _computed(steps: Steps, inputs: Sequence[Any]) -> Computed:
    """List the results of a program's steps, in order."""
    found: Computed = []

    def watch(step: Step, result: Any) -> None:
        if isinstance(result, Residue) and result.companion.size:
            found.append((step, result))

    steps.evaluate(inputs, None, watch)
    return found


def _first_pair(truths: Computed, claims: Computed) -> str | None:
    known, theirs = ({_residues(value) for _, value in found} for found in (truths, claims))
    unmatched: dict[Any, list[tuple[Step, Residue]]] = {}
    for step, value in truths:
        if _residues(value) not in theirs:
            unmatched.setdefault(_likeness(value), []).append((step, value))
    for step, value in claims:
        if _residues(value) in known:
            continue
        for other, true in unmatched.get(_likeness(value), []):
            if _same_numbers(value.companion, true.companion):
                return (
                    f"{step.name} and {other.name} have equal numbers and are not known to be "
                    "one function"
                )
    return None


def _likeness(value: Residue) -> tuple[Any, str]:
    """Return what arrays of equal numbers have in common, but for a rare rounding across."""
    return value.companion.shape, f"{value.companion.flat[0]:.{AGREEING_DIGITS}e}"


def _residues(value: Residue) -> bytes:
    return value.residue.tobytes() + value.exponent.tobytes()


def _same_numbers(a: Any, b: Any) -> bool:
    """Say whether two arrays of one shape have equal numbers, and not merely zeros."""
    if not (np.all(np.isfinite(a)) and np.any(a)):
        return False
    return bool(np.allclose(a, b, rtol=10.0**-AGREEING_DIGITS, atol=0))
