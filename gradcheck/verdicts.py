"""Evidence and verdicts: when a claimed entry is right, wrong or undecided, and what follows.

An oracle gives, for every entry of every gradient, the true value and a bound on its own error.
An entry is *wrong* where the claim lies outside that bound and outside what float64 arithmetic may
lose, *right* where it lies inside and the bound is small enough to mean something, and *undecided*
otherwise. Nothing here compares by norm, scales a tolerance by the size of an array, or accepts
"absolute or relative": each of these is a way to pass a wrong gradient.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import UsageError
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.resolution import EPSILON, TINY, Resolution, natural_scale

__all__ = [
    "PROFILES",
    "Decision",
    "Judgement",
    "OutputSize",
    "Profile",
    "Verdict",
    "decide",
    "profile_named",
    "worst",
]

Array = NDArray[Any]


class Verdict(enum.StrEnum):
    """What is said of a rule, a check or an entry."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"

    __repr__ = str.__repr__


class Decision(enum.IntEnum):
    """What is said of one entry of one gradient at one point."""

    WRONG = -1
    UNDECIDED = 0
    RIGHT = 1


@dataclass(frozen=True)
class Profile:
    """How much a run asks for.

    Attributes:
        examples: points drawn for each check.
        needed: points at which every entry of a gradient must have been decided right.
        power: the relative error of an entry that a point must be able to show before the entry
            counts as decided (relative to the entry, or to `NEGLIGIBLE` of its natural scale).
    """

    examples: int
    needed: int
    power: float


PROFILES = {
    "quick": Profile(examples=20, needed=1, power=1e-6),
    "standard": Profile(examples=100, needed=3, power=1e-6),
    "thorough": Profile(examples=1000, needed=10, power=1e-7),
}
"""The named profiles; a relative error of 1e-6 is a thousand times finer than what a single precision
comparison shows, and above the noise of finite differences on well-scaled layers."""


def profile_named(name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        UsageError: there is none of this name; the message lists those there are.
    """
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}; the profiles are {', '.join(PROFILES)}")
    return PROFILES[name]


@dataclass(frozen=True)
class OutputSize:
    """How large the output is at a point, as the derivative sees it.

    Attributes:
        contraction: the sum of |cotangent * output| over the output's entries.
        cotangent: the sum of |cotangent|.
        epsilon: the spacing at 1 of the coarsest numbers that the claim was computed from and in.
        tiny: the smallest number that those hold with all their digits.
    """

    contraction: float
    cotangent: float
    epsilon: float = EPSILON
    tiny: float = TINY


@dataclass(frozen=True)
class Judgement:
    """What all evidence together says of one claimed gradient at one point.

    Attributes:
        decisions: a `Decision` per entry, of the variable's shape.
        true: the true value by the finest oracle, per entry; NaN where there is none.
        tolerance: the finest tolerance that was applied, per entry (absolute); infinite where none.
        claimed: the claim that was compared, per entry.
        scale: what an error of an entry is measured against (absolute).
        reasons: why entries are undecided, one sentence each.
        on_paper: where the claim, evaluated in wider precision, is not wrong.
        inaccurate: where it is right on paper, and loses more in the user's numbers than the true
            one does, but less than what must show.
        digits_lost: how many decimal digits more than allowed each entry loses there; 0 elsewhere.
        subgradient: where it is right as a subgradient at a kink.
    """

    decisions: NDArray[np.int8]
    true: Array
    tolerance: Array
    claimed: Array
    scale: Array
    reasons: tuple[str, ...]
    on_paper: NDArray[np.bool_]
    inaccurate: NDArray[np.bool_]
    digits_lost: Array
    subgradient: NDArray[np.bool_]

    def count(self, decision: Decision) -> int:
        """Return how many entries were decided so."""
        return int(np.count_nonzero(self.decisions == decision))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: fail if one fails, else inconclusive if one is, else pass.

    Nothing combined is inconclusive: a run that compared nothing cannot pass.

    >>> worst([Verdict.PASS, Verdict.INCONCLUSIVE])
    'inconclusive'
    >>> worst([])
    'inconclusive'
    """
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    found = [order.index(verdict) for verdict in verdicts]
    return order[max(found)] if found else Verdict.INCONCLUSIVE


def decide(
    value: Array,
    claimed: Array,
    size: OutputSize,
    evidence: Sequence[Evidence],
    path: str,
    power: float,
) -> Judgement:
    """Judge every entry of one claimed gradient by all the evidence there is.

    Args:
        value: the input whose gradient is judged.
        claimed: its claimed gradient, of the same shape.
        size: the size and the precision of the numbers at this point.
        evidence: the oracles' answers.
        path: the variable's path in `evidence`.
        power: the relative error that must show before an entry counts as decided.

    Where two oracles exclude each other the entry is undecided: one of them is wrong, and it is not
    for the claim to answer for it.

    Truth and accuracy are two questions. An oracle that evaluates the claim itself in wider precision
    decides whether it is right on paper; where it is, the user's own numbers are wrong only if they
    are off by more than the power, and inaccurate if they lose more than the true program does. In
    less than float64, where nobody has seen the claim on paper, such an entry is undecided; so is one
    that is right on paper, where nobody has seen what the true program loses.

    At a kink the truth is an interval, and a claim inside is right *as a subgradient*. A chain of several
    kinks may claim what no side of the whole has (each relu its own 0): between nothing and the sum of
    both sides it is undecided. Where the true
    value is exactly zero, as in the tail of a clipped function, a claim that a value of the cotangent's
    own size would absorb is undecided, not wrong.
    """
    shape = value.shape
    natural = natural_scale(value, size.contraction)
    resolution, on_paper_resolution = (
        Resolution.of(epsilon, power) for epsilon in (size.epsilon, EPSILON)
    )
    absorbed = resolution.loss(natural_scale(value, size.cotangent))
    found = [(item, item.entries[path]) for item in evidence if path in item.entries]
    decisions = np.zeros(shape, np.int8)
    true, tolerance = np.full(shape, np.nan), np.full(shape, np.inf)
    compared = np.array(claimed, dtype=np.result_type(claimed, np.float64))
    true = true.astype(compared.dtype)
    proven, on_paper, inaccurate, subgradient, loses = (np.zeros(shape, bool) for _ in range(5))
    digits_lost, magnitude = np.zeros(shape), np.zeros(shape)
    several_kinks = np.zeros(shape, bool)
    unsettled = np.zeros(
        shape, bool
    )  # on paper neither right nor wrong, whatever coarser numbers say
    with np.errstate(all="ignore"):
        for entries in _comparisons(found):
            direct = entries.claimed is None
            seen = claimed if entries.claimed is None else entries.claimed
            asked = resolution if direct else on_paper_resolution
            loss = asked.loss(natural)
            if direct:
                # What underflows on the way is lost, and exp(100) in float32 makes 1 / exp(100) zero.
                loss = loss + size.tiny * size.cotangent
            if entries.loss is not None:
                loss = np.maximum(loss, entries.loss) if direct else entries.loss
            allowed = entries.bound + loss
            known = np.isfinite(entries.bound) & np.isfinite(entries.true)
            error = np.abs(seen - entries.true)
            error = np.where(error <= entries.spread, 0.0, error - entries.spread)
            lost_in_zero = known & ~(error <= allowed) & (entries.true == 0) & (error <= absorbed)
            outside = known & ~(error <= allowed) & ~lost_in_zero
            if direct:
                outside &= ~_overflows(claimed, entries.true)
            mixed = outside & _explained_by_several_kinks(seen, entries, allowed)
            outside &= ~mixed
            several_kinks |= mixed
            scale = asked.scale(np.maximum(np.abs(entries.true), entries.spread), natural)
            inside = known & (error <= allowed) & (allowed <= asked.power * scale) & ~unsettled
            if direct:
                low = size.epsilon > EPSILON
                # Of the natural scale itself no precision is so low that it were negligible.
                seen_scale = np.minimum(scale, np.maximum(np.abs(entries.true), natural))
                harmless = outside & (proven | low) & (error <= asked.power * seen_scale)
                lossy = harmless & proven
                inaccurate |= lossy
                excess = np.where(lossy, np.log10(error / allowed), 0.0)
                digits_lost = np.maximum(digits_lost, excess)
                outside &= ~harmless
                lost = outside & on_paper & np.isfinite(seen) & entries.own_too
                decisions[lost & (decisions == Decision.RIGHT)] = Decision.UNDECIDED
                outside &= ~lost
                loses |= lost
            else:
                unsettled |= lost_in_zero
                proven |= inside
                on_paper |= known & ~outside
            decisions[inside & (decisions == Decision.UNDECIDED)] = Decision.RIGHT
            decisions[outside] = Decision.WRONG
            subgradient |= inside & (entries.spread > 0)
            finer = known & (allowed < tolerance)
            true[finer], tolerance[finer] = entries.true[finer], allowed[finer]
            magnitude[finer] = scale[finer]
            # At a kink the claim is compared with the nearest end of the interval.
            nearest = entries.true + np.clip(seen - entries.true, -entries.spread, entries.spread)
            true[finer & (entries.spread > 0)] = nearest[finer & (entries.spread > 0)]
            compared[finer | outside] = np.asarray(seen)[finer | outside]
        reasons = [item.reason for item, _ in found if item.reason]
        reasons += [f"{item.oracle}: {item.abstention}" for item in evidence if item.abstention]
        if np.any(loses):
            reasons.append(LOSES_UNSEEN)
        if np.any(several_kinks):
            reasons.append("several kinks meet at the point, and the claim mixes their sides")
        for one, other, excluded in _exclusions(found):
            decisions[excluded] = Decision.UNDECIDED
            reasons.append(
                f"{one} and {other} exclude each other: one of them is wrong, not the claim"
            )
    scale = np.where(magnitude > 0, magnitude, resolution.scale(true, natural))
    undecided = bool(np.any(decisions == Decision.UNDECIDED))
    if undecided and not reasons:
        reasons.append("the evidence is coarser than the profile's power")
    right = decisions == Decision.RIGHT
    return Judgement(
        decisions=decisions,
        true=true,
        tolerance=tolerance,
        claimed=compared,
        scale=scale,
        reasons=tuple(dict.fromkeys(reasons)) if undecided else (),
        on_paper=on_paper,
        inaccurate=inaccurate & ~(decisions < 0),
        digits_lost=digits_lost,
        subgradient=subgradient & right,
    )


LOSES_UNSEEN = (
    "right on paper, and off in the precision it runs in: untraced, nothing says what the true derivative "
    "loses there"
)


def _overflows(claimed: Array, true: Array) -> NDArray[np.bool_]:
    """Say where a claim is infinite because its precision holds no number as large as the true one."""
    rounded: NDArray[np.bool_] = np.isinf(claimed) & (claimed == true.astype(claimed.dtype))
    return rounded & np.isfinite(true)


def _explained_by_several_kinks(seen: Array, entries: Entries, allowed: Array) -> Array:
    """Say where a claim at a kink lies between no side at all and both sides together.

    Two units with their kinks at one point, one active on either side, have the slopes a and b; with
    0 for both derivatives the chain rule gives 0, with 1 for both a + b, and neither lies between a and b.
    What kinks in different directions explain the oracle says, which can tell them apart.
    """
    sides = entries.true - entries.spread, entries.true + entries.spread
    corners = [np.zeros_like(sides[0]), *sides, sides[0] + sides[1]]
    within: Array = (seen >= np.minimum.reduce(corners) - allowed) & (
        seen <= np.maximum.reduce(corners) + allowed
    )
    within |= np.abs(seen - entries.true) <= allowed + entries.spread + entries.mixed
    return within & (np.asarray(entries.spread) > 0)


def _comparisons(found: Sequence[tuple[Evidence, Entries]]) -> list[Entries]:
    """List what the claim is compared with: first on paper, then in the user's own numbers."""
    on_paper = [entries for _, entries in found if entries.claimed is not None]
    own = [replace(entries, claimed=None, loss=None) for entries in on_paper if entries.own_too]
    return [*on_paper, *(entries for _, entries in found if entries.claimed is None), *own]


def _exclusions(
    found: Sequence[tuple[Evidence, Entries]],
) -> Iterable[tuple[str, str, NDArray[np.bool_]]]:
    """Yield the pairs of oracles whose bounds exclude each other, with the entries where they do."""
    for index, (one, ours) in enumerate(found):
        for other, theirs in found[:index]:
            room = ours.bound + theirs.bound + ours.spread + theirs.spread
            excluded = np.isfinite(room) & ~(np.abs(ours.true - theirs.true) <= room)
            if np.any(excluded):
                yield one.oracle, other.oracle, excluded
