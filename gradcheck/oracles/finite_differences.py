"""The finite-difference oracle: it runs the user's real forward, untraced, always.

Along a direction d the derivative of t -> <cotangent, forward(x + t d)> at 0 is <gradient, d>. A few
entries are differenced one by one; many are tested at once along random directions that are weighted
by the claim, so that every entry weighs alike. A direction that disagrees is searched for the wrong
entries; one with a kink is halved until the entries at the kink stand alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import Abstention
from gradcheck.oracles import directions
from gradcheck.oracles.differences import Derivative
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.oracles.lines import RUNS_TO_CONFIRM, Line
from gradcheck.oracles.precision import coarsest_epsilon
from gradcheck.oracles.subgradients import Kinks
from gradcheck.resolution import EPSILON, Resolution
from gradcheck.rules import Claim, Rule

__all__ = ["FiniteDifferences"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

FEW_ENTRIES = 4
"""Up to so many entries are differenced one by one: as many forwards as the directions that test any
number of them together, and the values of the true gradient are then known one by one."""

ENOUGH_WRONG = 8
"""Entries that are found wrong before the search for more of them ends: they refute the claim, and each
further one would cost as many forwards as the first."""

MOST_DIRECTIONS = 64
"""Directions at one point, those of the search for wrong entries apart. Five entries at a kink
among a thousand take 50; where there are more, the rest stays undecided: another point decides it."""

FINER_RATIO = 4.0
"""Entries that a direction shared with more influential ones left undecided are tested again
with those whose influence differs by no more than this."""

TARGET_SHARE = 0.25
"""The bound that a direction is asked for, as a part of the error that must show: the other parts are
left to the residual of the claim and its rounding."""

TOO_NARROW = (
    "narrow differences agree with the claim and wide ones do not: the forward has steps or "
    "features too narrow for these"
)

TOO_NARROW_TO_TELL = (
    "wide differences agree with the claim and narrow ones do not: the forward has steps or "
    "features too narrow for these"
)

CANCELLED_KINKS = (
    "outputs have kinks here that cancel in their sum: a subgradient of each may differ "
    "from the slope of the sum"
)

MOST_TOGETHER = 12
"""Entries at kinks whose claims are held together to be one subgradient: of more, some drawn anew at each
point. A gradient beside the point takes two forwards for each."""

NOT_TOGETHER = "each entry is a subgradient alone, and all together are none"

PERHAPS_NOT_TOGETHER = (
    "each entry at a kink is a subgradient alone; whether all together are one cannot be told"
)

MOVED = 0.01
"""An entry is blamed if it is this far from the nearest subgradient, relative to the farthest one."""

SHORT_SIGNIFICAND = 2.0**20
"""An input lies at a kink by intention, and not by chance beside it, if 20 bits hold it: 0, 1 or 0.5."""


class FiniteDifferences:
    """Differences of the user's real forward, along directions weighted by the claim.

    Args:
        power: the relative error of an entry that must show before it counts as decided.
    """

    name = "finite differences"

    def __init__(self, power: float = 1e-6) -> None:
        self.power = power

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return what differences say of every claimed gradient of the variables' shape.

        At a kink the entry's truth is the interval between the slopes of both sides, or what
        the rule declares in `kinks=`.
        """
        try:
            line = Line(rule, claim, rng)
            test = _Test(line, self.power)
            test.examine()
            test.examine_together()
            if test.wrong:
                line.observe_spread(RUNS_TO_CONFIRM)
        except Abstention as abstention:
            return Evidence(self.name, abstention=str(abstention))
        parts = (test.true, test.bound, test.spread, test.mixed)
        true, bound, spread, mixed = (line.split(part) for part in parts)
        entries = {
            variable.path: Entries(
                true[variable.path],
                bound[variable.path],
                seen,
                spread=spread[variable.path],
                mixed=mixed[variable.path],
                own_too=seen is not None,
            )
            for variable, seen in zip(line.variables, line.wide_claims, strict=True)
        }
        reasons = [text for text in (*dict.fromkeys(test.reasons), line.nondeterministic) if text]
        reason = f"{self.name}: {'; '.join(reasons)}" if reasons else ""
        return Evidence(
            self.name, entries, reason=reason, evaluations=line.evaluations, remark=test.remark
        )


class _Test:
    """What differences say of the entries of a claim: `true` ± `bound`, or ± `spread` at kinks."""

    def __init__(self, line: Line, power: float) -> None:
        self.line = line
        n = line.x.size
        self.true, self.bound = np.full(n, np.nan), np.full(n, np.inf)
        self.spread, self.mixed, self.reach = np.zeros(n), np.zeros(n), np.zeros(n)
        self.wrong, self.remark = 0, ""
        self.reasons: list[str] = []
        self.left = max(MOST_DIRECTIONS, FEW_ENTRIES)
        pairs = zip(line.variables, line.wide_claims, strict=True)
        seen = [variable.claimed if wide is None else wide for variable, wide in pairs]
        self.resolution = Resolution.of(max(line.epsilon, coarsest_epsilon(seen)), power)
        natural = line.magnitude / line.size
        # The size by which each entry is weighted: nothing is resolved below this part of the output.
        self.weighed = np.fmax(np.abs(line.claimed), directions.LEAST_INFLUENCE * natural)
        self.visible = self.resolution.scale(line.claimed, natural) * self.resolution.power
        self.loss = self.resolution.loss(natural)
        # A claim of low precision alone may be off by its own rounding, in all entries at once.
        self.slack = 1.0 if self.resolution.epsilon > EPSILON else 0.0

    def examine(self) -> None:
        """Test every entry, in blocks of like influence; then again those that need finer ones."""
        line = self.line
        every = np.arange(line.x.size)
        if line.x.size <= FEW_ENTRIES:
            for entry in every:
                self._single(int(entry))
            return
        strange = ~np.isfinite(line.claimed)
        for entry in every[strange][:ENOUGH_WRONG]:
            self._single(int(entry))
        pending = [
            part
            for block in directions.magnitude_blocks(self.weighed, line.size)
            for part in self._apart(block[~strange[block]])
        ]
        self._test(pending[::-1])
        coarse = np.isfinite(self.bound) & (self.bound > self.visible) & (self.spread == 0)
        if np.any(coarse) and not self.wrong:
            self._test(self._finer_blocks(np.flatnonzero(coarse)))

    def examine_together(self) -> None:
        """Hold the claims of all entries at kinks, right as they are one by one, to be one subgradient."""
        line = self.line
        entries = np.flatnonzero((self.spread > 0) & np.isfinite(self.bound))
        if entries.size < 2 or self.wrong:
            return
        if entries.size > MOST_TOGETHER:
            entries = line.rng.choice(entries, MOST_TOGETHER, replace=False)
        kinks = self._kinks(entries, self.reach[entries])
        claimed = line.claimed[entries]
        room = np.maximum(self.bound, self.slack * self.visible)[entries] + self.loss[entries]
        nearest = kinks.refutes(claimed, room, line.rng)
        if nearest is None:
            return
        if np.any(np.isnan(nearest)):
            self.bound[entries], self.spread[entries] = np.inf, 0.0
            self.reasons.append(PERHAPS_NOT_TOGETHER)
            return
        away = np.abs(claimed - nearest)
        moved = away > MOVED * np.max(away)
        # The claims are excluded together; the nearest subgradient says which of them to blame.
        self.true[entries[moved]], self.bound[entries[moved]] = nearest[moved], away[moved] / 2
        self.spread[entries[moved]] = 0.0
        self.wrong, self.remark = int(np.count_nonzero(moved)), NOT_TOGETHER

    def _kinks(self, entries: Places, reach: Array) -> Kinks:
        line = self.line

        def along(displacement: Array) -> Array:
            direction = np.zeros_like(line.x)
            direction[entries] = displacement * reach
            return direction

        return Kinks(
            lambda displacement: float(line.values(along(displacement)[np.newaxis])[0]),
            reach,
            lambda direction: line.derivative(along(direction)),
            lambda found, claimed, direction: line.excuses(found, claimed, along(direction)),
            line.rounding(),
        )

    def _apart(self, block: Places) -> list[Places]:
        """Split off the entries at round values, where kinks lie: zeros, ones, clipping limits."""
        round_value = _is_round(self.line.x[block])
        return [part for part in (block[~round_value], block[round_value]) if part.size]

    def _finer_blocks(self, entries: Places) -> list[Places]:
        influence = directions.weights(self.weighed, self.line.size) * self.line.size
        step = np.floor(np.log(influence[entries]) / np.log(FINER_RATIO))
        return [entries[step == part] for part in np.unique(step)]

    def _test(self, pending: list[Places]) -> None:
        while pending and self.wrong < ENOUGH_WRONG:
            entries = pending.pop()
            if entries.size == 0:
                continue
            if self.left <= 0:
                rest = entries.size + sum(part.size for part in pending)
                self.reasons.append(
                    f"{rest} entries were left after {MOST_DIRECTIONS} directions at one point"
                )
                return
            if entries.size == 1:
                self._single(int(entries[0]))
                continue
            direction, derivative = self._along(entries)
            visible = float(np.min(np.abs(direction[entries]) * self.visible[entries]))
            if (
                derivative.status == "kink"
                or not np.isfinite(derivative.bound)
                or not self.line.confirms(derivative, direction, visible)
            ):
                half = entries.size // 2
                pending += [entries[half:], entries[:half]]
                continue
            residual = float(self.line.claimed[entries] @ direction[entries]) - derivative.value
            least = np.maximum(self.slack * self.visible, self.loss)[entries]
            room = float(np.min(np.abs(direction[entries]) * least))
            if abs(residual) <= max(derivative.bound, room):
                # Whichever entry the residual is due to, it is off by no more than this, which at most is
                # what its own rounding or low precision takes: to search for it would be in vain.
                true = self.line.claimed[entries] - residual / direction[entries]
                bound = (abs(residual) + derivative.bound) / np.abs(direction[entries])
                finer = bound < self.bound[entries]
                self.true[entries[finer]] = true[finer]
                self.bound[entries[finer]] = bound[finer]
                continue
            found = self._locate(direction)
            if found.size:
                pending.append(np.setdiff1d(entries, found))
            else:
                self.reasons.append("a direction disagrees, and no entry does alone")

    def _locate(self, direction: Array) -> Places:
        wrong = directions.localise(
            lambda along: _smooth(self.line.derivative(along)),
            self.line.claimed,
            direction,
            most=ENOUGH_WRONG - self.wrong,
        )
        for item in wrong:
            if self._confirmed(item.entry, item.derivative, float(direction[item.entry])):
                self.true[item.entry], self.bound[item.entry] = item.true, item.bound
                self.wrong += 1
        return np.array([item.entry for item in wrong], dtype=np.intp)

    def _confirmed(self, entry: int, derivative: Derivative, step: float) -> bool:
        along = np.zeros_like(self.line.x)
        along[entry] = step
        claimed = float(self.line.claimed[entry]) * step
        if not self.line.refutes(derivative, claimed, along):
            self.reasons.append(TOO_NARROW)
            return False
        if self.line.excuses(derivative, claimed, along):
            self.reasons.append(CANCELLED_KINKS)
            return False
        return True

    def _along(self, entries: Places) -> tuple[Array, Derivative]:
        self.left -= 1
        line = self.line
        direction = directions.weighted_direction(self.weighed, line.size, entries, line.rng)
        target = TARGET_SHARE * np.min(self.visible[entries] * np.abs(direction[entries]))
        return direction, line.derivative(direction, float(target) or None)

    def _single(self, entry: int) -> None:
        """Difference one entry by itself; at a kink its truth is an interval, or as declared."""
        direction, derivative = self._along(np.array([entry]))
        size, kink = abs(direction[entry]), derivative.status == "kink"
        declared = None
        if not np.isfinite(derivative.bound):
            self.reasons.append(derivative.reason or derivative.status)
            return
        self.true[entry] = derivative.value / direction[entry]
        self.bound[entry] = derivative.bound / size
        if kink and derivative.left is not None and derivative.right is not None:
            sides = (derivative.left, derivative.right)
            self.bound[entry] = max(side.bound for side in sides) / size
            self.spread[entry] = abs(sides[0].value - sides[1].value) / 2 / size
            self.reach[entry] = derivative.step * size
            declared = self._declared(entry)
            if declared is not None:
                self.true[entry], self.bound[entry], self.spread[entry] = declared, 0.0, 0.0
        off = abs(self.line.claimed[entry] - self.true[entry]) - self.spread[entry]
        allowed = max(self.bound[entry], self.slack * self.visible[entry])
        if off <= allowed and not kink:
            if not self.line.confirms(derivative, direction, float(self.visible[entry] * size)):
                self.reasons.append(TOO_NARROW_TO_TELL)
                self.bound[entry] = np.inf
        elif not off <= allowed:
            if self.spread[entry] > 0 and self._mixes_sides(entry, off - allowed):
                self.mixed[entry] = off
                return
            convention = declared is not None  # narrow windows know nothing of it
            if convention or self._confirmed(entry, derivative, float(direction[entry])):
                self.wrong += 1
            else:
                self.bound[entry], self.spread[entry] = np.inf, 0.0

    def _mixes_sides(self, entry: int, excess: float) -> bool:
        """Whether separate kinks at the point may explain a claim that no side of the whole does."""
        near = self.reach[entry] / self.line.size[entry]
        reach = np.minimum(near * self.line.size, self.line.room())
        kinks = self._kinks(np.arange(self.line.x.size), reach)
        direction = np.zeros_like(self.line.x)
        direction[entry] = 1.0
        here = kinks.reach[entry]
        bend = 2 * self.spread[entry] * here
        return kinks.explain(direction, bend, excess * here, self.line.rng) is not False

    def _declared(self, entry: int) -> float | None:
        """Return the entry's gradient at a kink as `kinks=` declares it, or None."""
        line = self.line
        path, (place, shape) = next(
            item for item in line.places.items() if item[1][0].start <= entry < item[1][0].stop
        )
        declared = line.rule.kinks.get(path.split("[")[0].split(".")[0])
        if declared is None or not _is_round(line.x[entry]):
            return None
        if declared == 0:
            return 0.0
        if len(line.cotangent) == 1 and line.cotangent[0].shape == shape:
            return float(declared * line.cotangent[0].flat[entry - place.start])
        return None


def _smooth(derivative: Derivative) -> Derivative:
    return replace(derivative, bound=np.inf) if derivative.status == "kink" else derivative


def _is_round(x: Any) -> Any:
    mantissa, _ = np.frexp(x)
    scaled = mantissa * SHORT_SIGNIFICAND
    return scaled == np.floor(scaled)
