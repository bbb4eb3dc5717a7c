"""The user's real forward along a line through a point: t -> <cotangent, forward(x + t d)>."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention, RuleError
from gradcheck.oracles.cancelled_kinks import WIDER, cancelled_gap
from gradcheck.oracles.differences import Derivative, estimate_derivative
from gradcheck.oracles.directions import step_scale
from gradcheck.oracles.precision import coarsest_epsilon, in_float64, is_low
from gradcheck.oracles.refutation import Refutation
from gradcheck.resolution import EPSILON, epsilon_of
from gradcheck.rules import Claim, Rule, claim_at

__all__ = ["Line", "typical_size"]

Array = NDArray[np.float64]

FINEST_STEP = 64
"""The smallest step, in roundings of the input that moves least for its size.

x + t d is rounded: a shorter step moves x by another amount than t says, and at last not at all,
which looks like a function without slope. At 64 roundings the step is known to 1 %, and the
scatter shows in the differences as noise."""

NOTHING_BUT_NOISE = 1e-3
"""The spread of two runs, relative to the size of the output, from which no slope is told: the
noise up to which the bound of differences is calibrated is smaller."""

CLEAR_OF_NOISE = 32.0
"""The step at which kinks of single outputs are looked for, in units of noise / error: the noise of
their slopes, up to four roundings over the step, is then an eighth of the error."""

GAP_FOR_ERROR = 0.75
"""How much of an error kinks that cancel must leave room for: all of it, less twice that noise."""

NO_ROOM = "entries at an end of the declared domain cannot move to the same side"

RUNS_TO_CONFIRM = 4
"""Further runs at the point before a claim is called wrong: a forward that redraws one of two values
goes unnoticed once in 32."""


@dataclass
class Line:
    """The forward of `rule` on lines through the point of `claim`, in float64 if it runs in it.

    Attributes:
        variables: those whose gradients are compared; `x`, `claimed` and `size` hold their entries,
            claims and typical sizes, flat and in this order, each of shape (n,).
        wide: what the rule computes in float64 where an input is of low precision and it runs in
            float64, else None; `wide_claims` its claim for each variable, None where there is none.
        magnitude: the sum of |cotangent * output|.
        spread: the largest difference of two runs at the point.
        evaluations: how often the forward ran.

    Raises:
        Abstention: an input is complex, or two runs of the forward differ by too much.
    """

    rule: Rule
    claim: Claim
    rng: np.random.Generator
    evaluations: int = field(default=0, init=False)
    wide: Claim | None = field(default=None, init=False)
    spread: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        claim = self.claim
        self.variables = [variable for variable in claim.variables if variable.comparable]
        values = [variable.value for variable in self.variables]
        if any(value.dtype.kind == "c" for value in values):
            raise Abstention("complex inputs are not differenced")
        if any(np.asarray(y).dtype.kind == "c" for _, y in trees.leaves(claim.output)):
            raise Abstention("complex outputs are not differenced")
        if any(is_low(value) for _, value in trees.leaves(claim.point.inputs)):
            try:
                self.wide = in_float64(self.rule, claim)
            except Abstention:
                self.wide = None
        seen = self.wide or claim
        self.leaves = [
            leaf
            for name, tree in zip(self.rule.input_names, seen.point.inputs, strict=True)
            for leaf in trees.leaves(tree, name)
        ]
        self.cotangent = [np.asarray(u) for _, u in trees.leaves(seen.point.cotangent)]
        self.base = [np.asarray(y) for _, y in trees.leaves(seen.output)]
        self.x = _flat(values)
        wide = {v.path: v.claimed for v in self.wide.variables} if self.wide is not None else {}
        self.wide_claims = [wide.get(variable.path) for variable in self.variables]
        pairs = zip(self.variables, self.wide_claims, strict=True)
        self.claimed = _flat([own.claimed if claim is None else claim for own, claim in pairs])
        self.size = np.concatenate([typical_size(value) for value in values] or [np.zeros(0)])
        ends = np.cumsum([0, *(value.size for value in values)]).tolist()
        self.places = {
            variable.path: (slice(start, stop), variable.value.shape)
            for variable, start, stop in zip(self.variables, ends, ends[1:], strict=False)
        }
        self.epsilon = coarsest_epsilon([value for _, value in self.leaves])
        self.moved = [np.ones(base.shape, bool) for base in self.base]
        self.magnitude = self._contraction()
        self.unit = max((epsilon_of(y.dtype) for y in self.base), default=EPSILON) / 2
        self.low, self.high = self._limits()
        self.observe_spread(1)

    def observe_spread(self, runs: int) -> None:
        """Run the forward at the point again, to see whether it gives the same.

        Raises:
            Abstention: two runs differ by too much to tell a slope.
        """
        for _ in range(runs):
            self.spread = max(self.spread, self._difference_of_two_runs())
        if not self.spread <= NOTHING_BUT_NOISE * self.magnitude:
            raise Abstention(self.nondeterministic)

    @property
    def nondeterministic(self) -> str:
        """How far two runs of the forward differ, as a clause; empty where they do not."""
        if not self.spread > 0:
            return ""
        part = f" of {self.magnitude:.1e}" if self.magnitude else ""
        return f"nondeterministic: two runs of the forward differ by {self.spread:.1e}{part}"

    def derivative(self, direction: Array, target: float | None = None) -> Derivative:
        """Return the derivative along `direction` (n,); its bound is infinite where it says nothing."""
        limits = self._limits_along(direction)
        if not limits[0] < limits[1]:
            return Derivative(np.nan, np.inf, 0, 0.0, "domain", reason=NO_ROOM)
        scale = step_scale(direction, self.size)
        self.moved = [np.zeros(base.shape, bool) for base in self.base]
        found = estimate_derivative(
            lambda t: self.value_at(t, direction),
            scale=scale,
            limits=limits,
            rounding=self.rounding,
            finest=self._finest(direction),
            target=target,
            value=0.0,
            rng=self.rng,
        )
        if found.status in ("domain", "not finite"):
            return replace(found, value=np.nan, bound=np.inf)
        if found.value == 0:
            return replace(found, bound=found.bound + self._hidden([...] * len(self.base)) / scale)
        return found

    def refutes(self, found: Derivative, claimed: float, direction: Array) -> bool:
        """Whether narrow windows too exclude `claimed`, which `found` along `direction` excludes."""
        refutation = Refutation(
            lambda t: self.value_at(t, direction),
            self.rounding(),
            self._hidden(self.moved),
            self._finest(direction),
            self._limits_along(direction),
            step_scale(direction, self.size),
        )
        return refutation.holds(found, claimed)

    def excuses(self, found: Derivative, claimed: float, direction: Array) -> bool:
        """Whether `claimed` takes subgradients of outputs whose kinks cancel in `found`."""
        low, high = found.interval
        error = max(low - claimed, claimed - high)
        if not 0 < error < np.inf:
            return False
        t = max(self._finest(direction), CLEAR_OF_NOISE * self.rounding() / error)
        start, stop = self._limits_along(direction)
        if not start < -WIDER * t < WIDER * t < stop:
            return False
        gap = cancelled_gap(lambda t: np.concatenate(self._changes_at(t, direction)), t)
        if not gap >= GAP_FOR_ERROR * error:
            return False
        pairs = zip(self._changes_at(t, direction), self._changes_at(-t, direction), strict=True)
        bends = [right + left for right, left in pairs]
        return all(self._allows_where([sign * b > 0 for b in bends], direction) for sign in (1, -1))

    def _allows_where(self, chosen: Sequence[NDArray[Any]], direction: Array) -> bool:
        """Whether the rule is right along `direction` for the cotangent of the chosen outputs alone.

        Where their kinks all bend to one side, none cancels another.
        """
        weights = [
            np.where(mask.reshape(u.shape), u, 0).astype(u.dtype)
            for mask, u in zip(chosen, self.cotangent, strict=True)
        ]
        point = (self.wide or self.claim).point
        part = replace(point, cotangent=trees.rebuild(point.cotangent, weights))
        try:
            line = Line(self.rule, claim_at(self.rule, part), self.rng)
        except (Abstention, RuleError):
            return True
        found, claimed = line.derivative(direction), float(line.claimed @ direction)
        self.evaluations += line.evaluations
        return found.allows(claimed) or not line.refutes(found, claimed, direction)

    def value_at(self, t: complex, direction: Array) -> Any:
        """Return <cotangent, forward(x + t d) - forward(x)>; NaN where the forward raises."""
        wide = np.clongdouble if isinstance(t, complex) else np.longdouble
        total = sum((part.sum() for part in self._changes_at(t, direction)), wide(0))
        return complex(total) if isinstance(t, complex) else float(total)

    def _changes_at(self, t: complex, direction: Array) -> list[NDArray[Any]]:
        """Return cotangent * (forward(x + t d) - forward(x)), flat, for each array of the output."""
        self.evaluations += 1
        inputs = self._inputs_at(self.x + t * direction)
        wide = np.clongdouble if isinstance(t, complex) else np.longdouble
        changes = []
        try:
            with np.errstate(all="ignore"):
                output = self.rule.primal(inputs)
                for moved, weight, base, (_, value) in zip(
                    self.moved, self.cotangent, self.base, trees.leaves(output), strict=True
                ):
                    change = np.asarray(value, wide) - base
                    moved |= change != 0
                    changes.append(np.ravel(weight * change))
        except RuleError:
            raise
        except Exception:
            return [np.array([np.nan])]
        return changes

    def _hidden(self, moved: Sequence[Any]) -> float:
        """The rounding of numbers inside that may be as large as the inputs, and larger than the output."""
        weight = sum(
            float(np.sum(np.abs(u)[own])) for u, own in zip(self.cotangent, moved, strict=True)
        )
        return self.epsilon * (self.magnitude + weight * float(np.max(np.abs(self.x), initial=1)))

    def _limits_along(self, direction: Array) -> tuple[float, float]:
        moving = direction != 0
        with np.errstate(all="ignore"):
            ends = np.stack(
                [(edge - self.x)[moving] / direction[moving] for edge in (self.low, self.high)]
            )
        return float(np.max(np.min(ends, axis=0))), float(np.min(np.max(ends, axis=0)))

    def _finest(self, direction: Array) -> float:
        moving = direction != 0
        with np.errstate(all="ignore"):
            moves = np.max(np.abs((self.x / direction)[moving]))
        return float(FINEST_STEP * self.epsilon * moves)

    def room(self) -> Array:
        """Return how far each entry (n,) may move to either side within its input's domain."""
        return np.maximum(np.minimum(self.x - self.low, self.high - self.x), 0.0)

    def split(self, flat: Array) -> dict[str, Array]:
        """Return the parts of an array (n,) by the path of their variable, in its shape."""
        return {path: flat[place].reshape(shape) for path, (place, shape) in self.places.items()}

    def _inputs_at(self, x: NDArray[Any]) -> tuple[Any, ...]:
        """Return the point's inputs, as new arrays, with the differenced variables at `x`."""
        complex_too = x.dtype.kind == "c"
        values = []
        for path, leaf in self.leaves:
            if path in self.places:
                place, shape = self.places[path]
                part = x[place].reshape(shape)
                values.append(part.astype(x.dtype if complex_too else leaf.dtype))
            else:
                values.append(leaf.copy() if isinstance(leaf, np.ndarray) else leaf)
        moved: tuple[Any, ...] = trees.rebuild(self.claim.point.inputs, values)
        return moved

    def _difference_of_two_runs(self) -> float:
        self.evaluations += 1
        with np.errstate(all="ignore"):
            again = trees.leaves(self.rule.primal(self._inputs_at(self.x)))
            return float(
                sum(
                    np.sum(np.abs(u * (np.asarray(y).astype(np.float64) - base)))
                    for u, base, (_, y) in zip(self.cotangent, self.base, again, strict=True)
                )
            )

    def rounding(self) -> float:
        """Return the rounding error of the sum over the outputs that moved along this direction."""
        return max(self.unit * self._contraction(), self.spread)

    def _contraction(self) -> float:
        """Return the sum of |cotangent * output| over the outputs that moved."""
        with np.errstate(all="ignore"):
            total = sum(
                float(np.sum(np.abs(u * y.astype(np.float64))[moved]))
                for moved, u, y in zip(self.moved, self.cotangent, self.base, strict=True)
            )
        return total if np.isfinite(total) else 0.0

    def _limits(self) -> tuple[Array, Array]:
        """Return the open interval that each entry may move in, by its input's domain."""
        low, high = np.full(self.x.size, -np.inf), np.full(self.x.size, np.inf)
        if self.rule.contract is not None:
            for path, (place, _) in self.places.items():
                low[place], high[place] = self.rule.contract.domains[path].limits
        return low, high


def _flat(arrays: Sequence[Any]) -> Array:
    parts = [np.ravel(np.asarray(array)).astype(np.float64) for array in arrays]
    return np.concatenate(parts or [np.zeros(0)])


def typical_size(value: NDArray[Any]) -> Array:
    """Return how far each entry may be thought to move: its own size, at least the typical one."""
    size = np.abs(np.ravel(value)).astype(np.float64)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
    moved: Array = np.maximum(size, typical if typical > 0 and np.isfinite(typical) else 1.0)
    return moved
