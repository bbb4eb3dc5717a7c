"""The check `linearity`: the pullback is linear in the cotangent.

Law: B(a u + b v) = a B(u) + b B(v) for all cotangents u, v and numbers a, b, where B is the pullback at a
fixed point; so B(0) = 0 exactly, B(-u) = -B(u), and a cotangent that is tiny, huge, negative or a single 1
is treated like any other. This is what `abs(dout)`, `dout * dout`, a clipped or thresholded gradient
and a constant added to it violate. One forward serves all cotangents, so the mask of a dropout
is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import Gradients, difference_finding, differences
from gradcheck.checks.running import (
    RANDOM_RUNS,
    Case,
    claimed_by,
    copied,
    forward_is_random,
    last_place_spread,
    like,
)
from gradcheck.errors import BackwardError
from gradcheck.rules import Rule

__all__ = ["LinearityCheck"]

TINY, HUGE = 2.0**-27, 2.0**27
"""Powers of two near 1e-8 and 1e8: scaling by them rounds nothing, and leaves float32 room on both sides."""

MIXED = (-2.0, 0.5)
"""The coefficients of the law for a sum: powers of two, so that only the sum rounds, and one of
them negative, so that a sign that is lost shows."""


@dataclass(frozen=True)
class Law:
    """One instance of linearity: a cotangent made of others, and the sum that must come of it.

    Attributes:
        terms: the coefficients and cotangents whose sum is asked for; none of them for zero.
        says: the clause of the message.
        diagnosis: what a violation suggests.
    """

    terms: tuple[tuple[float, Any], ...]
    says: str
    diagnosis: str


class LinearityCheck(BehaviourCheck):
    """The pullback is linear in the cotangent."""

    name = "linearity"

    def applies(self, rule: Rule) -> str:
        """A scalar loss has one cotangent only; a JVP is transposed by us, and so is linear in it."""
        if rule.scalar:
            return "the output is a scalar loss, whose only cotangent is 1"
        return "a JVP takes no cotangent" if rule.kind == "jvp" else ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare the gradients of combined cotangents with the combined gradients."""
        pullback = case.rule.vjp(copied(case.inputs))[1]

        def by_one_forward(cotangent: Any) -> Gradients:
            return claimed_by(case.rule, case.inputs, pullback, copied(cotangent))

        laws = laws_at(case, bench.rng)
        finding = first_violation(case, laws, by_one_forward, bench.rng)
        if finding is None:
            return self.outcome(case.rule, [])
        if not forward_is_random(case, bench.rng):
            # one forward may not serve two backwards: that is for the check `reuse` to judge
            finding = first_violation(case, laws, case.fresh, bench.rng)
        elif not repeats(case, by_one_forward):
            return does_not_apply("the backward draws random numbers of its own")
        return self.outcome(case.rule, [finding] if finding else [])


def laws_at(case: Case, rng: np.random.Generator) -> list[Law]:
    """Return the instances of the law at a point: zero, a sum, a single 1, tiny and huge."""
    u = case.cotangent
    v = like(u, lambda leaf: rng.standard_normal(leaf.shape) * _scale(leaf))
    single = _single(u, rng)
    a, b = MIXED
    return [
        Law((), "is not zero for a cotangent of zeros", "a term does not contain the cotangent"),
        Law(
            ((a, u), (b, v)),
            f"is not linear in the cotangent: for {a:g} u + {b:g} v it is not {a:g} times that of u "
            f"plus {b:g} times that of v",
            "the cotangent must enter once, as a factor: no abs, square, sign or clip of it",
        ),
        Law(
            ((1.0, u), (1.0, single)),
            "is not linear in the cotangent: one entry of it more by 1 does not add the gradient of "
            "that entry",
            "the cotangent must enter once, as a factor, entry by entry",
        ),
        Law(
            ((TINY, u),),
            f"does not shrink with the cotangent: for {TINY:.1g} u it is not {TINY:.1g} times that of u",
            "a threshold, a constant or a small number added to the cotangent hides small ones",
        ),
        Law(
            ((HUGE, u),),
            f"does not grow with the cotangent: for {HUGE:.1g} u it is not {HUGE:.1g} times that of u",
            "the gradient is clipped, or normalised by its own size",
        ),
    ]


def first_violation(
    case: Case, laws: list[Law], pullback: Callable[[Any], Gradients], rng: np.random.Generator
) -> Finding | None:
    """Report the first law that does not hold, at its worst array; None if all hold."""
    known: dict[int, Gradients] = {id(case.cotangent): pullback(case.cotangent)}
    base = known[id(case.cotangent)]
    for law in laws:
        cotangent = _combined(case.cotangent, law)
        if cotangent is None:
            continue
        try:
            for _, term in law.terms:
                known.setdefault(id(term), pullback(term))
            found = pullback(cotangent)
        except BackwardError as error:
            message = f"{error}, and takes other cotangents"
            return Finding("linearity", "", None, None, None, "", "", message)
        expected = {
            path: value
            for path, value in _sum(base, [(a, known[id(term)]) for a, term in law.terms]).items()
            if np.all(np.isfinite(value)) and np.all(np.isfinite(base[path]))
        }
        wrong = differences(
            case.values,
            found,
            expected,
            sum(abs(a) * case.size(term) for a, term in law.terms),
            partial(last_place_spread, case, cotangent, rng),
        )
        if wrong:
            labels = ("claimed", "linear")
            return difference_finding(
                "linearity", case.rule, law.says, wrong[0], labels, law.diagnosis
            )
    return None


def repeats(case: Case, pullback: Callable[[Any], Gradients]) -> bool:
    """Say whether the pullback gives the same gradients for the same cotangent, each time."""
    first, size = pullback(case.cotangent), case.size(case.cotangent)
    return not any(
        differences(case.values, pullback(case.cotangent), first, size) for _ in range(RANDOM_RUNS)
    )


def _scale(leaf: Any) -> float:
    """Return the size of a typical entry; 1 for an array of zeros."""
    return float(np.max(np.abs(leaf), initial=0.0)) or 1.0


def _single(tree: Any, rng: np.random.Generator) -> Any:
    """Return a cotangent that is 1 in one entry of each output."""

    def made(array: Any) -> Any:
        result = np.zeros(array.shape)
        if result.size:
            result.flat[int(rng.integers(result.size))] = 1.0
        return result

    return like(tree, made)


def _combined(cotangent: Any, law: Law) -> Any:
    """Return the cotangent that a law asks about; None where its own precision cannot hold it."""
    columns = [[leaf for _, leaf in trees.leaves(term)] for _, term in law.terms]
    parts = []
    with np.errstate(all="ignore"):
        for place, (_, leaf) in enumerate(trees.leaves(cotangent)):
            array = np.asarray(leaf)
            if not trees.is_variable(array):
                parts.append(leaf)
                continue
            total = np.zeros(array.shape, array.dtype)
            for (factor, _), column in zip(law.terms, columns, strict=True):
                scaled = np.asarray(np.asarray(column[place]) * factor, array.dtype)
                if not np.array_equal(scaled / factor, column[place]):
                    return None
                total = total + scaled
            if not np.all(np.isfinite(total)):
                return None
            parts.append(np.asarray(total, array.dtype))
    return trees.rebuild(cotangent, parts)


def _sum(like: Gradients, terms: list[tuple[float, Gradients]]) -> Gradients:
    with np.errstate(all="ignore"):
        return {
            path: np.asarray(
                sum((factor * found[path] for factor, found in terms), np.zeros(value.shape)),
                np.result_type(value.dtype, np.float32),
            )
            for path, value in like.items()
        }
