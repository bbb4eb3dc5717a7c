"""The finite-difference oracle: it runs the user's real forward, untraced, always.

Along a direction d the derivative of t -> <cotangent, forward(x + t d)> at 0 is <gradient, d>. A few
entries are differenced one by one; many are tested at once along random directions that are weighted
by the claim, so that every entry weighs alike, and a direction that disagrees is halved until the wrong
entries stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import RuleError
from gradcheck.oracles.differences import Derivative, estimate_derivative
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.rules import Claim, Rule

__all__ = ["FiniteDifferences"]

Array = NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)

FEW_ENTRIES = 12
"""Up to so many entries are differenced one by one: as many forwards as a handful of directions, and
the values of the true gradient are then known one by one."""

BLOCK_RATIO = 100.0
"""The largest ratio of two entries' influence |g_i x_i| within one direction.

The step of a direction is set by the input that moves furthest for its size; entries a hundred times
less influential lose two of about twelve digits."""

FINEST_STEP = 64
"""The smallest step, in roundings of the input that moves least for its size.

x + t d is rounded to float64: a shorter step moves x by another amount than t says, and at last not at
all, which looks like a function without slope. At 64 roundings the step is known to 1 %, and the
scatter shows in the differences as noise."""

ENOUGH_WRONG = 8
"""Entries that are found wrong before the search for more of them ends: they refute the claim, and each
further one would cost as many forwards as the first."""

SMALLEST_WEIGHT = 1e-6
"""An entry smaller than this part of the typical influence is weighted as if it were this large."""


class FiniteDifferences:
    """Differences of the user's real forward, along directions weighted by the claim."""

    name = "finite differences"

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return what differences say of every claimed gradient of the variables' shape."""
        line = _Line(rule, claim, rng)
        if line.abstention:
            return Evidence(self.name, abstention=line.abstention)
        true, bound = line.examine()
        entries, start = {}, 0
        for variable in line.variables:
            shape, stop = variable.value.shape, start + variable.value.size
            entries[variable.path] = Entries(
                true[start:stop].reshape(shape), bound[start:stop].reshape(shape)
            )
            start = stop
        reason = f"{self.name}: {line.reasons[0]}" if line.reasons else ""
        return Evidence(self.name, entries, reason=reason, evaluations=line.evaluations)


@dataclass
class _Line:
    """The user's forward restricted to lines through one point, and what its differences say."""

    rule: Rule
    claim: Claim
    rng: np.random.Generator
    evaluations: int = 0
    wrong: int = 0
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.variables = [variable for variable in self.claim.variables if variable.comparable]
        values = [variable.value for variable in self.variables]
        self.abstention = ""
        if any(value.dtype.kind == "c" for value in values):
            self.abstention = "complex inputs are not differenced"
            return
        self.x = np.concatenate(
            [np.ravel(value).astype(np.float64) for value in values] or [np.zeros(0)]
        )
        claims = [
            np.ravel(variable.claimed)
            for variable in self.variables
            if variable.claimed is not None
        ]
        self.claimed = np.concatenate(claims or [np.zeros(0)]).astype(np.float64)
        self.size = np.concatenate([_typical_size(value) for value in values] or [np.zeros(0)])
        self.cotangent = [
            np.asarray(value) for _, value in trees.leaves(self.claim.point.cotangent)
        ]
        self.base = [np.asarray(value) for _, value in trees.leaves(self.claim.output)]
        # What the forward adds to a value of this size is absorbed by its rounding, and no difference
        # shows it; where the output does not move at all, its own size may hide larger ones inside.
        self.magnitude = self._contraction()
        self.inner_magnitude = float(
            sum(np.sum(np.abs(weight)) for weight in self.cotangent)
            * np.max(np.abs(self.x), initial=1)
        )
        self.low, self.high = self._limits()
        self.places = {variable.path: variable.value for variable in self.variables}
        self.leaves = [
            leaf
            for name, tree in zip(self.rule.input_names, self.claim.point.inputs, strict=True)
            for leaf in trees.leaves(tree, name)
        ]

    def examine(self) -> tuple[Array, Array]:
        """Return the true gradient and its bound, flat, over all variables."""
        n = self.x.size
        true, bound = np.full(n, np.nan), np.full(n, np.inf)
        if n <= FEW_ENTRIES:
            for entry in range(n):
                self._descend(np.array([entry]), true, bound)
            return true, bound
        for block in self._blocks():
            self._descend(block, true, bound)
        return true, bound

    def _blocks(self) -> list[NDArray[np.intp]]:
        """Split the entries into blocks of like influence, the most influential first."""
        influence = self._weight() * self.size
        exponent = np.floor(np.log(influence / np.max(influence)) / -np.log(BLOCK_RATIO))
        return [np.flatnonzero(exponent == part) for part in np.unique(exponent)]

    def _weight(self) -> Array:
        """Return the size of each claimed entry, lifted where it would weigh too much."""
        magnitude = np.where(np.isfinite(self.claimed), np.abs(self.claimed), 0.0)
        influence = magnitude * self.size
        floor = SMALLEST_WEIGHT * max(float(np.max(influence, initial=0.0)), self.magnitude)
        floor = floor or 1.0
        weight: Array = np.maximum(influence, floor) / self.size
        return weight

    def _descend(self, entries: NDArray[np.intp], true: Array, bound: Array) -> None:
        """Test these entries along one direction; halve them while the direction disagrees."""
        if self.wrong >= ENOUGH_WRONG:
            return
        direction = np.zeros_like(self.x)
        signs = self.rng.choice([-1.0, 1.0], entries.size)
        direction[entries] = (
            signs * self.rng.uniform(0.5, 1.0, entries.size) / self._weight()[entries]
        )
        derivative = self._directional(direction)
        if not np.isfinite(derivative.bound) or not np.isfinite(derivative.value):
            self.reasons.append(derivative.reason or derivative.status)
            return
        if entries.size == 1:
            true[entries] = derivative.value / direction[entries]
            bound[entries] = derivative.bound / np.abs(direction[entries])
            several = self.x.size > FEW_ENTRIES
            self.wrong += (
                several and not abs(self.claimed[entries] - true[entries])[0] <= bound[entries][0]
            )
            return
        with np.errstate(all="ignore"):
            claimed = float(np.sum(self.claimed[entries] * direction[entries]))
        residual = claimed - derivative.value
        if abs(residual) <= derivative.bound:
            # Whichever entry the residual is due to, it is off by no more than this.
            true[entries] = self.claimed[entries] - residual / direction[entries]
            bound[entries] = (abs(residual) + derivative.bound) / np.abs(direction[entries])
            return
        half = entries.size // 2
        order = self.rng.permutation(entries)
        self._descend(order[:half], true, bound)
        self._descend(order[half:], true, bound)

    def _directional(self, direction: Array) -> Derivative:
        moving = direction != 0
        scale = float(np.min(self.size[moving] / np.abs(direction[moving])))
        with np.errstate(all="ignore"):
            ends = np.stack(
                [
                    (self.low - self.x)[moving] / direction[moving],
                    (self.high - self.x)[moving] / direction[moving],
                ]
            )
        finest = FINEST_STEP * EPSILON * float(np.max(np.abs(self.x[moving] / direction[moving])))
        limits = (float(np.max(np.min(ends, axis=0))), float(np.min(np.max(ends, axis=0))))
        derivative = estimate_derivative(
            lambda t: self._value_at(t, direction) if abs(t) > finest else np.nan,
            scale=scale,
            limits=limits,
            rng=self.rng,
        )
        if derivative.status in ("kink", "domain", "not finite"):
            return replace(derivative, value=np.nan, bound=np.inf)
        absorbed = self.magnitude if derivative.value else self.magnitude + self.inner_magnitude
        return replace(derivative, bound=derivative.bound + EPSILON * absorbed / scale)

    def _value_at(self, t: float, direction: Array) -> float:
        """Return <cotangent, forward(x + t d) - forward(x)>; NaN where the forward raises."""
        self.evaluations += 1
        inputs = self._inputs_at(self.x + t * direction)
        try:
            with np.errstate(all="ignore"):
                output = self.rule.primal(inputs)
                total = np.longdouble(0)
                for weight, base, (_, value) in zip(
                    self.cotangent, self.base, trees.leaves(output), strict=True
                ):
                    total += np.sum(weight * (np.asarray(value, np.longdouble) - base))
        except RuleError:
            raise
        except Exception:
            return float("nan")
        return float(total)

    def _inputs_at(self, x: Array) -> tuple[Any, ...]:
        """Return the point's inputs, as new arrays, with the differenced variables at `x`."""
        start, values = 0, []
        for path, leaf in self.leaves:
            variable = self.places.get(path)
            if variable is None:
                values.append(leaf.copy() if isinstance(leaf, np.ndarray) else leaf)
            else:
                stop = start + variable.size
                values.append(x[start:stop].reshape(variable.shape).astype(variable.dtype))
                start = stop
        moved: tuple[Any, ...] = trees.rebuild(self.claim.point.inputs, values)
        return moved

    def _contraction(self) -> float:
        with np.errstate(all="ignore"):
            total = sum(
                float(np.sum(np.abs(u * y))) for u, y in zip(self.cotangent, self.base, strict=True)
            )
        return total if np.isfinite(total) else 0.0

    def _limits(self) -> tuple[Array, Array]:
        """Return the open interval that each entry may move in, by its input's domain."""
        low, high = np.full(self.x.size, -np.inf), np.full(self.x.size, np.inf)
        contract, start = self.rule.contract, 0
        for variable in self.variables:
            stop = start + variable.value.size
            if contract is not None:
                low[start:stop], high[start:stop] = contract.domains[variable.path].limits
            start = stop
        return low, high


def _typical_size(value: NDArray[Any]) -> Array:
    """Return how far each entry may be thought to move: its own size, at least the typical one."""
    size = np.abs(np.ravel(value)).astype(np.float64)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
    moved: Array = np.maximum(size, typical if typical > 0 and np.isfinite(typical) else 1.0)
    return moved
