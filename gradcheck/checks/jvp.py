"""The check `jvp`: a JVP is the adjoint of the VJP.

Law: <u, J t> = <B u, t> for every cotangent u of the output and all tangents t of the inputs together,
where J is the JVP and B the VJP of one rule at one point. B u is fixed, so the law also says
that J is linear: tangents that are zero, tiny, huge, negative or a single 1 are treated alike. It is asked
of rules that offer both: `jax.custom_jvp`, a `torch.autograd.Function` with `jvp`, and
`gradcheck.jvp`, whose VJP is made of the JVPs along the axes.

Where both hold at a kink by different sides, each right as a subgradient, it is a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding, backward_raised
from gradcheck.checks.comparison import SPREAD_ALLOWANCE, Gradients
from gradcheck.checks.linearity import HUGE, TINY
from gradcheck.checks.running import Case, copied, forward_is_random, last_place_spread, like
from gradcheck.errors import Abstention, BackwardError
from gradcheck.resolution import ROUNDING_ALLOWANCE, epsilon_of
from gradcheck.rules import Point, Rule

__all__ = ["JvpCheck"]

Array = NDArray[Any]
Tangents = dict[str, Array]

LEAST_WEIGHT = 1e-3
"""The part of the largest gradient entry below which entries are no longer weighted up: a tangent of
1/|B u| lets every entry count alike, and a zero must not get an infinite one."""

BESIDE_A_KINK = 2.0**-20
"""How far inputs are moved, relative to their size or to 1, to see whether a disagreement is that of a
kink: far beyond rounding, and far within the features of any layer."""


class JvpCheck(BehaviourCheck):
    """A JVP is the adjoint of the VJP."""

    name = "jvp"

    def applies(self, rule: Rule) -> str:
        """Say so where the rule has no JVP."""
        return "" if rule.pushforward is not None else "the rule offers no JVP"

    def when_backward_raises(self, rule: Rule, error: BackwardError) -> Examination:
        """Fail a rule whose VJP is made of its JVPs: then it is the JVP that is no derivative."""
        if rule.kind == "jvp":
            return backward_raised(self.name, error)
        return super().when_backward_raises(rule, error)

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare <u, J t> with <B u, t> for several tangents, here and beside a kink."""
        if any(value.dtype.kind == "c" for value in case.values.values()):
            return does_not_apply("the inputs are complex")
        try:
            gap = first_gap(case, bench.rng)
            if gap is None:
                return self.outcome(case.rule, [])
            beside = _beside(case, bench.rng)
            if beside is not None and first_gap(beside, bench.rng) is None:
                return self.outcome(case.rule, [], [OTHER_SIDE])
        except Abstention as abstention:
            return does_not_apply(str(abstention))
        if forward_is_random(case, bench.rng):
            return does_not_apply("the forward draws random numbers")
        return self.outcome(case.rule, [self._finding(case.rule, gap)])

    def _finding(self, rule: Rule, gap: Gap) -> Finding:
        along = f" along {gap.path}" if gap.path else ""
        what, diagnosis = "the adjoint of the VJP", gap.diagnosis
        if rule.kind == "jvp":  # its VJP is made of JVPs, and can be unequal for one reason alone
            what, diagnosis = "linear in the tangents", UNSTEADY
        message = (
            f"{rule.name}: the JVP{along} is not {what}{gap.says}\n"
            f"    <u, J t>  {gap.pushed!r}\n"
            f"    <B u, t>  {gap.pulled!r}\n"
            f"    {diagnosis}"
        )
        return Finding(self.name, gap.path, None, gap.pushed, gap.pulled, diagnosis, "", message)


OTHER_SIDE = (
    "JVP and VJP take different sides at a kink: each is right, and they are not adjoint there"
)

UNEQUAL = "one of the two misses a term or a factor; the check gradient says whether it is the VJP"
UNSTEADY = "each tangent must enter once, as a factor: no abs, square or clip of it, nothing added"


@dataclass(frozen=True)
class Gap:
    """Tangents for which the law does not hold.

    Attributes:
        path: the array whose tangent shows it by itself; empty where only all together do.
        pushed, pulled: <u, J t> and <B u, t>.
        says: which tangents these are, a clause; empty for ordinary ones.
        diagnosis: what a violation suggests.
    """

    path: str
    pushed: float
    pulled: float
    says: str
    diagnosis: str


def first_gap(case: Case, rng: np.random.Generator) -> Gap | None:
    """Return the first tangents for which <u, J t> and <B u, t> differ by more than rounding.

    Raises:
        Abstention: the rule offers no JVP after all.
    """
    room: Gradients = {}
    for tangents, says, diagnosis in tangents_at(case, rng):
        pushed, magnitude = _pushed(case, tangents)
        pulled, other = _paired(case.gradients, tangents)
        if not (np.isfinite(magnitude) and np.isfinite(other)):
            continue  # both may overflow, each in its own order
        if abs(pushed - pulled) <= _rounding(case, tangents, magnitude + other):
            continue
        room = room or last_place_spread(case, case.cotangent, rng)
        shown = SPREAD_ALLOWANCE * _paired(room, tangents)[1]
        if abs(pushed - pulled) > _rounding(case, tangents, magnitude + other) + shown:
            return _located(case, tangents) or Gap("", pushed, pulled, says, diagnosis)
    return None


def tangents_at(case: Case, rng: np.random.Generator) -> Iterator[tuple[Tangents, str, str]]:
    """Yield tangents with what is said of a violation and its diagnosis, ordinary ones first."""

    def signed(path: str) -> Array:
        shape = case.values[path].shape
        return np.asarray(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))

    plain = {path: signed(path) for path in case.values}
    weighted = {path: signed(path) * _weight(case.gradients[path]) for path in case.values}
    single = {path: np.zeros(value.shape) for path, value in case.values.items()}
    chosen = next(iter(rng.permutation(list(single))))
    if single[chosen].size:
        single[chosen].flat[int(rng.integers(single[chosen].size))] = 1.0
    yield plain, "", UNEQUAL
    yield weighted, "", UNEQUAL
    yield single, " for a tangent that is a single 1", UNSTEADY
    for factor in (0.0, TINY, HUGE, -1.0):
        scaled = {path: factor * value for path, value in plain.items()}
        yield scaled, f" for tangents of size {abs(factor):.1g}", UNSTEADY


def _weight(gradient: Array) -> Array:
    size = np.abs(gradient)
    largest = float(np.max(size, initial=0.0))
    return (
        1 / np.maximum(size / largest, LEAST_WEIGHT)
        if 0 < largest < np.inf
        else np.ones(size.shape)
    )


def _pushed(case: Case, tangents: Tangents) -> tuple[float, float]:
    """Return <u, J t> and the sum of its terms' sizes."""
    rule = case.rule
    assert rule.pushforward is not None
    given = tuple(
        trees.rebuild(
            value,
            [
                np.asarray(tangents[path], leaf.dtype)
                if path in tangents
                else np.zeros_like(leaf)
                if trees.is_variable(leaf)
                else None
                for path, leaf in trees.leaves(value, name)
            ],
        )
        for name, value in zip(rule.input_names, case.inputs, strict=True)
    )
    with np.errstate(all="ignore"):
        found = rule.pushforward(copied(case.inputs), given)
    pairs = zip(trees.leaves(case.cotangent), trees.leaves(found), strict=True)
    named = {str(place): pair for place, pair in enumerate(pairs)}
    ours = {key: np.asarray(one) for key, ((_, one), _) in named.items()}
    return _paired(ours, {key: np.asarray(other) for key, (_, (_, other)) in named.items()})


def _paired(one: Gradients, other: Gradients) -> tuple[float, float]:
    """Return the inner product of two sets of arrays, and the sum of its terms' sizes."""
    with np.errstate(all="ignore"):
        terms = [
            np.asarray(one[path], np.float64) * np.asarray(other[path], np.float64)
            for path in other
            if path in one
        ]
        total = float(sum((np.sum(part) for part in terms), 0.0))
        return total, float(sum((np.sum(np.abs(part)) for part in terms), 0.0))


def _rounding(case: Case, tangents: Tangents, magnitude: float) -> float:
    """Return what rounding may change: of the terms, and of what cancelled inside them.

    In single precision, whatever the arrays' own: a float64 rule may keep float32 constants.
    """
    with np.errstate(all="ignore"):
        moves = [
            float(np.max(np.abs(tangents[path]) / np.maximum(np.abs(value), 1.0), initial=0.0))
            for path, value in case.values.items()
        ]
    inside = case.size(case.cotangent) * max(moves, default=0.0)
    return ROUNDING_ALLOWANCE * epsilon_of(np.dtype(np.float32)) * (magnitude + inside)


def _located(case: Case, tangents: Tangents) -> Gap | None:
    """Return the gap of the first array whose tangent shows it alone; None if there is one array."""
    if len(tangents) < 2:
        return None
    for path in tangents:
        alone = {
            other: value if other == path else np.zeros_like(value)
            for other, value in tangents.items()
        }
        pushed, magnitude = _pushed(case, alone)
        pulled, other = _paired(case.gradients, alone)
        if abs(pushed - pulled) > _rounding(case, alone, magnitude + other):
            return Gap(path, pushed, pulled, "", UNEQUAL)
    return None


def _beside(case: Case, rng: np.random.Generator) -> Case | None:
    """Return the case at inputs moved a little, off any kink; None where the rule cannot be run there."""

    def moved(leaf: Array) -> Array:
        step = rng.uniform(0.5, 1.0, leaf.shape) * rng.choice([-1.0, 1.0], leaf.shape)
        return np.asarray(leaf + BESIDE_A_KINK * np.maximum(np.abs(leaf), 1.0) * step)

    try:
        return Case.at(case.rule, Point(like(case.inputs, moved), case.cotangent))
    except Exception:  # outside the domain: the user's code may raise whatever it likes
        return None
