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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import UsageError
from gradcheck.oracles.evidence import Entries, Evidence

__all__ = [
    "PROFILES",
    "Decision",
    "Judgement",
    "OutputSize",
    "Profile",
    "Verdict",
    "decide",
    "natural_scale",
    "profile_named",
    "rounding_loss",
    "worst",
]

Array = NDArray[Any]

EPSILON = float(np.finfo(np.float64).eps)
"""The spacing of float64 at 1: twice the largest relative rounding error."""

ROUNDING_ALLOWANCE = 32
"""How many roundings of the output's own size a float64 derivative may lose.

A backward in float64 cannot be asked for more than the forward has: a rounding of the output by one
epsilon is a change of the derivative by epsilon * |output| / |input| (a change of the input by its own
size apart). Hand-written layers make a few dozen roundings where cancellation exposes them
(`1 - y` for a saturated y, a mean subtracted from values of its size); 32 covers those, and is
2e-15 of the natural scale.
"""

NEGLIGIBLE = 1e-6
"""The part of its natural scale below which an entry is held to an absolute resolution.

No finite resolution shows that a true zero is zero *relative to itself*. An entry smaller than this
part of |output| / |input| must be resolved as finely as one of just this size.
"""


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
    """

    contraction: float
    cotangent: float


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
        inaccurate: where it is right on paper, and loses more in float64 than the true one does, but
            less than the profile's power.
    """

    decisions: NDArray[np.int8]
    true: Array
    tolerance: Array
    claimed: Array
    scale: Array
    reasons: tuple[str, ...]
    on_paper: NDArray[np.bool_]
    inaccurate: NDArray[np.bool_]

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


def natural_scale(value: Array, contraction: float) -> Array:
    """Return the size that a gradient entry has when its input matters: |output| / |input|.

    Args:
        value: the input, of any shape.
        contraction: the sum of |cotangent * output| over the output's entries.
    """
    size = np.abs(value).astype(np.float64)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
    if not np.isfinite(typical) or typical == 0:
        typical = 1.0
    return contraction / np.maximum(size, typical)


def rounding_loss(value: Array, contraction: float) -> Array:
    """Return what float64 arithmetic may cost an entry of the gradient: `ROUNDING_ALLOWANCE`."""
    return ROUNDING_ALLOWANCE * EPSILON * natural_scale(value, contraction)


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
        size: the size of the output at this point; it sets the natural scale.
        evidence: the oracles' answers.
        path: the variable's path in `evidence`.
        power: the relative error that must show before an entry counts as decided.

    Where two oracles exclude each other the entry is undecided: one of them is wrong, and it is not
    for the claim to answer for it.

    Truth and accuracy are two questions. An oracle that evaluates the claim itself in wider precision
    decides whether it is right on paper; where it is, the user's float64 numbers are wrong only if they
    are off by more than the power, and inaccurate if they lose more than the true program does.

    Where the true value is exactly zero, as in the tail of a clipped function, a claim that a value of
    the cotangent's own size would absorb is undecided, not wrong.
    """
    shape = value.shape
    natural = natural_scale(value, size.contraction)
    absorbed = rounding_loss(value, size.cotangent)
    found = [(item, item.entries[path]) for item in evidence if path in item.entries]
    decisions = np.zeros(shape, np.int8)
    true, tolerance = np.full(shape, np.nan), np.full(shape, np.inf)
    compared = np.array(claimed, dtype=np.result_type(claimed, np.float64))
    true = true.astype(compared.dtype)
    proven, on_paper, inaccurate = (np.zeros(shape, bool) for _ in range(3))
    with np.errstate(all="ignore"):
        for _, entries in sorted(found, key=lambda item: item[1].claimed is None):
            seen = claimed if entries.claimed is None else entries.claimed
            loss = rounding_loss(value, size.contraction) if entries.loss is None else entries.loss
            allowed = entries.bound + loss
            known = np.isfinite(entries.bound) & np.isfinite(entries.true)
            error = np.abs(seen - entries.true)
            outside = known & ~(error <= allowed) & ~((entries.true == 0) & (error <= absorbed))
            scale = np.maximum(np.abs(entries.true), NEGLIGIBLE * natural)
            inside = known & (error <= allowed) & (allowed <= power * scale)
            if entries.claimed is None:
                harmless = outside & proven & (error <= power * scale)
                inaccurate |= harmless
                outside &= ~harmless
            else:
                proven |= inside
                on_paper |= known & ~outside
            decisions[inside & (decisions == Decision.UNDECIDED)] = Decision.RIGHT
            decisions[outside] = Decision.WRONG
            finer = known & (allowed < tolerance)
            true[finer], tolerance[finer] = entries.true[finer], allowed[finer]
            compared[finer | outside] = np.asarray(seen)[finer | outside]
        reasons = [item.reason for item, _ in found if item.reason]
        reasons += [f"{item.oracle}: {item.abstention}" for item in evidence if item.abstention]
        for one, other, excluded in _exclusions(found):
            decisions[excluded] = Decision.UNDECIDED
            reasons.append(
                f"{one} and {other} exclude each other: one of them is wrong, not the claim"
            )
        scale = np.maximum(np.abs(np.where(np.isnan(true), 0, true)), NEGLIGIBLE * natural)
    undecided = bool(np.any(decisions == Decision.UNDECIDED))
    if undecided and not reasons:
        reasons.append("the evidence is coarser than the profile's power")
    told = tuple(dict.fromkeys(reasons)) if undecided else ()
    return Judgement(
        decisions, true, tolerance, compared, scale, told, on_paper, inaccurate & ~(decisions < 0)
    )


def _exclusions(
    found: Sequence[tuple[Evidence, Entries]],
) -> Iterable[tuple[str, str, NDArray[np.bool_]]]:
    """Yield the pairs of oracles whose bounds exclude each other, with the entries where they do."""
    for index, (one, ours) in enumerate(found):
        for other, theirs in found[:index]:
            room = ours.bound + theirs.bound
            excluded = np.isfinite(room) & ~(np.abs(ours.true - theirs.true) <= room)
            if np.any(excluded):
                yield one.oracle, other.oracle, excluded
