"""The user's real forward along a line through a point: t -> <cotangent, forward(x + t d)>."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention, RuleError
from gradcheck.oracles.cancelled_kinks import WIDER, cancelled_gap
from gradcheck.oracles.differences import Derivative, estimate_derivative
from gradcheck.oracles.directions import step_scale
from gradcheck.oracles.narrow_differences import NarrowDifferences
from gradcheck.oracles.precision import coarsest_epsilon, in_float64, is_low
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
        leaves = [
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
        self.parts = [(self.places.get(path, (None,))[0], leaf) for path, leaf in leaves]
        self.flat = [path for path, _ in leaves] == list(self.rule.input_names)
        self.epsilon = coarsest_epsilon([leaf for _, leaf in leaves])
        self.shapes = [base.shape for base in self.base]
        self.weights = [u.astype(np.longdouble) for u in self.cotangent]
        self.origin = [base.astype(np.longdouble) for base in self.base]
        with np.errstate(all="ignore"):
            self.sizes = [
                np.abs(u * base.astype(np.float64))
                for u, base in zip(self.cotangent, self.base, strict=True)
            ]
        self.moved = [np.ones(shape, bool) for shape in self.shapes]
        self.magnitude = self._contraction()
        self.unit = max((epsilon_of(y.dtype) for y in self.base), default=EPSILON) / 2
        self.low, self.high = self._limits()
        self.unlimited = bool(np.all(np.isneginf(self.low)) and np.all(np.isposinf(self.high)))
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
        self.moved = [np.zeros(shape, bool) for shape in self.shapes]
        found = estimate_derivative(
            self.along(direction),
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
        return self._narrow(direction).refute(found, claimed)

    def confirms(self, found: Derivative, direction: Array, visible: float) -> bool:
        """Whether narrow differences see the slope `found` along `direction`, to an error of `visible`."""
        return self._narrow(direction).confirm(found, visible)

    def _narrow(self, direction: Array) -> NarrowDifferences:
        return NarrowDifferences(
            self.along(direction),
            self.rounding(),
            self._hidden(self.moved),
            self._finest(direction),
            self._limits_along(direction),
            step_scale(direction, self.size),
        )

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
        steps = np.array([t, -t, WIDER * t, -WIDER * t])
        changes = self._changes(steps[:, np.newaxis] * direction)
        if not cancelled_gap(np.concatenate(changes, axis=1), t) >= GAP_FOR_ERROR * error:
            return False
        bends = [part[0] + part[1] for part in changes]
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

    def along(self, direction: Array) -> Callable[[Array], Array]:
        """Return t (k,) -> <cotangent, forward(x + t d) - forward(x)> (k,) for a direction d (n,)."""
        return lambda t: self.values(t[:, np.newaxis] * direction)

    def values(self, displacements: Array) -> Array:
        """Return <cotangent, forward(x + d) - forward(x)> (k,) for the rows d of `displacements` (k, n).

        NaN where the forward raises or is not finite.
        """
        sums = [np.add.reduce(part, axis=1) for part in self._changes(displacements)]
        total = sums[0] if len(sums) == 1 else np.sum(sums, axis=0)
        values: Array = total.astype(np.float64)
        return values

    def _changes(self, displacements: Array) -> list[NDArray[Any]]:
        """Return cotangent * (forward(x + d) - forward(x)), each row flat, for each array of the output."""
        self.evaluations += len(displacements)
        with np.errstate(all="ignore"):
            outputs = [self._output_at(x) for x in self.x + displacements]
            changes = []
            for index, (moved, weight, base) in enumerate(
                zip(self.moved, self.weights, self.origin, strict=True)
            ):
                change = np.array([output[index] for output in outputs]) - base
                moved |= np.logical_or.reduce(change != 0, axis=0)
                changes.append((weight * change).reshape(len(outputs), -1))
        return changes

    def _output_at(self, x: Array) -> list[NDArray[Any]]:
        """Return the output's arrays at `x` (n,) in long double; full of NaN where the forward raises."""
        try:
            output = self.rule.primal(self._inputs_at(x))
            # Copies: a forward may write its next output into the same buffer.
            leaves = [np.array(value, np.longdouble) for _, value in trees.leaves(output)]
            if [leaf.shape for leaf in leaves] == self.shapes:
                return leaves
        except RuleError:
            raise
        except Exception:
            pass  # outside of what the forward takes
        return [np.full(shape, np.nan, np.longdouble) for shape in self.shapes]

    def _hidden(self, moved: Sequence[Any]) -> float:
        """The rounding of numbers inside that may be as large as the inputs, and larger than the output."""
        weight = sum(
            float(np.sum(np.abs(u)[own])) for u, own in zip(self.cotangent, moved, strict=True)
        )
        return self.epsilon * (self.magnitude + weight * float(np.max(np.abs(self.x), initial=1)))

    def _limits_along(self, direction: Array) -> tuple[float, float]:
        if self.unlimited:
            return -np.inf, np.inf
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

    def _inputs_at(self, x: Array) -> tuple[Any, ...]:
        """Return the point's inputs, as arrays of their own, with the differenced variables at `x`.

        Those of float64 share the memory of `x`, which is the caller's to give away.
        """
        values = []
        for place, leaf in self.parts:
            if place is not None:
                value = x[place].reshape(leaf.shape)
                values.append(value if leaf.dtype == x.dtype else value.astype(leaf.dtype))
            else:
                values.append(leaf.copy() if isinstance(leaf, np.ndarray) else leaf)
        if self.flat:
            return tuple(values)
        moved: tuple[Any, ...] = trees.rebuild(self.claim.point.inputs, values)
        return moved

    def _difference_of_two_runs(self) -> float:
        self.evaluations += 1
        with np.errstate(all="ignore"):
            again = trees.leaves(self.rule.primal(self._inputs_at(self.x.copy())))
            parts = zip(self.weights, self.origin, again, strict=True)
            return float(
                sum(
                    np.sum(np.abs(u * (np.asarray(y, np.longdouble) - base)))
                    for u, base, (_, y) in parts
                )
            )

    def rounding(self) -> float:
        """Return the rounding error of the sum over the outputs that moved along this direction."""
        return max(self.unit * self._contraction(), self.spread)

    def _contraction(self) -> float:
        """Return the sum of |cotangent * output| over the outputs that moved."""
        pairs = zip(self.sizes, self.moved, strict=True)
        total = sum(float(np.add.reduce(size[moved])) for size, moved in pairs)
        return total if math.isfinite(total) else 0.0

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
