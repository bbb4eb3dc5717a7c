"""Primitives that branch on their operands: comparisons, winners, orders, signs, roundings.

Every arithmetic decides them by one real number for each entry (its *companion*), and the outcome
then acts on all components alike. An outcome array says which branch was taken; two evaluations
with equal outcomes lie in the same *cell*. A decision is *undecided* where the operands' error
radii allow another outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.windows import windows_of

__all__ = ["DECISIONS", "Branching", "Decision", "crosses_a_step", "same_cell"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """One branching decision of an evaluation, for all entries of its arrays at once.

    Attributes:
        kind: the primitive that decided, in words of the jaxpr ("gt", "max", "sort").
        outcome: which branch each entry took; equal outcomes mean the same cell.
        undecided: where the operands' errors (or an exact tie) allow another outcome.
        operation: the equation.
        operands: the numbers compared, of an arithmetic that keeps them.
    """

    kind: str
    outcome: Array
    undecided: Array
    operation: Operation
    operands: tuple[Array, ...] = ()

    @property
    def where(self) -> str | None:
        """The user's source line as `path:line`, or None where JAX kept none."""
        return self.operation.where


def same_cell(first: Sequence[Decision], second: Sequence[Decision]) -> bool:
    """Say whether two evaluations of one program took the same branch at every decision."""
    return len(first) == len(second) and all(
        np.array_equal(a.outcome, b.outcome) for a, b in zip(first, second, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Branching:
    """How one equation branches.

    Attributes:
        outcome: function of the operands' companions.
        apply: structural function (outcome, *components) -> result components; None where the
            result is the outcome itself, or a number that `value` gives.
        value: the plain array that is the result, from the outcome, where `apply` is None.
        undecided: function (outcome, companions, radii) -> mask of entries that may go otherwise.
    """

    outcome: Callable[..., Array]
    undecided: Callable[[Array, Sequence[Array], Sequence[Array]], Array]
    apply: Callable[..., Any] | None = None
    value: Callable[[Array], Any] = lambda outcome: outcome


def _overlap(_: Array, values: Sequence[Array], radii: Sequence[Array]) -> Array:
    (a, b), (r, s) = values, radii
    # Written so that NaN, of equal infinities or of a lost bound, comes out undecided.
    return np.asarray(~(np.abs(a - b) > r + s))


def _overlap_but_differ(_: Array, values: Sequence[Array], radii: Sequence[Array]) -> Array:
    (a, b), (r, s) = values, radii
    # `x == max(x)` compares a number with itself, which no error can change.
    return np.asarray(~(np.abs(a - b) > r + s) & (a != b))


def _compare(test: Any, undecided: Any) -> Callable[[Operation], Branching]:
    return lambda operation: Branching(
        test, _overlap_but_differ if operation.compares_with_itself else undecided
    )


def _below(a: Array, b: Array) -> Array:
    # The total order puts NaN last.
    return np.asarray((a < b) | (np.isnan(b) & ~np.isnan(a)))


def _extremum(wins: Any) -> Callable[[Operation], Branching]:
    return lambda operation: Branching(
        lambda a, b: np.asarray(wins(a, b) | np.isnan(a)),
        _overlap_but_differ if operation.compares_with_itself else _overlap,
        lambda outcome, a, b: np.where(outcome, a, b),
    )


def _grouped(operation: Operation) -> tuple[Callable[[Array], Array], int]:
    """Return the function that moves the reduced axes to one last axis, and that axis' size."""
    shape, axes = operation.inputs[0].shape, tuple(operation.parameters["axes"])
    kept = [d for d in range(len(shape)) if d not in axes]
    kept_shape = tuple(shape[d] for d in kept)
    size = int(np.prod([shape[d] for d in axes], dtype=np.int64))
    order = (*kept, *axes)
    return lambda x: x.transpose(order).reshape(*kept_shape, size), size


def _take_winner(x: Array, winner: Array) -> Array:
    return np.take_along_axis(x, winner[..., None], -1)[..., 0]


def _rival_overlaps(winner: Array, x: Array, radius: Array, sign: int) -> Array:
    """Say where another entry of the last axis could win within the errors."""
    x = x * sign
    least = (_take_winner(x, winner) - _take_winner(radius, winner))[..., None]
    return np.asarray(np.sum((x + radius >= least) & (x > -np.inf), -1) > 1)


def _reduce_extremum(arg: Any, sign: int) -> Callable[[Operation], Branching]:
    def branching(operation: Operation) -> Branching:
        group, size = _grouped(operation)
        empty = np.full(operation.outputs[0].shape, -sign * np.inf)
        if size == 0:
            nothing = np.zeros(empty.shape, bool)
            return Branching(lambda _: nothing, lambda *_: nothing, None, lambda _: empty)
        return Branching(
            lambda x: arg(group(x), -1),
            lambda o, xs, rs: _rival_overlaps(o, group(xs[0]), group(_like(rs[0], xs[0])), sign),
            lambda o, x: _take_winner(group(x), o),
        )

    return branching


def _arg(arg: Any, sign: int) -> Callable[[Operation], Branching]:
    def branching(operation: Operation) -> Branching:
        (axis,) = operation.parameters["axes"]
        dtype = operation.outputs[0].dtype
        return Branching(
            lambda x: arg(x, axis).astype(dtype),
            lambda o, xs, rs: _rival_overlaps(
                o, np.moveaxis(xs[0], axis, -1), np.moveaxis(_like(rs[0], xs[0]), axis, -1), sign
            ),
        )

    return branching


def _like(radius: Any, x: Array) -> Array:
    return np.broadcast_to(radius, np.shape(x))


def _running_extremum(wins: Any) -> Callable[[Operation], Branching]:
    def branching(operation: Operation) -> Branching:
        axis, reverse = operation.parameters["axis"], operation.parameters["reverse"]

        def oriented(x: Array) -> Array:
            x = np.moveaxis(x, axis, -1)
            return x[..., ::-1] if reverse else x

        def restored(x: Array) -> Array:
            return np.moveaxis(x[..., ::-1] if reverse else x, -1, axis)

        def outcome(x: Array) -> Array:
            x = oriented(x)
            winner = np.zeros(x.shape, np.int64)
            for k in range(1, x.shape[-1]):
                leader = _take_winner(x, winner[..., k - 1])
                stays = ~(wins(x[..., k], leader) | np.isnan(x[..., k])) | np.isnan(leader)
                winner[..., k] = np.where(stays, winner[..., k - 1], k)
            return winner

        def undecided(winner: Array, xs: Sequence[Array], rs: Sequence[Array]) -> Array:
            x, r = oriented(xs[0]), oriented(_like(rs[0], xs[0]))
            before = np.maximum(np.arange(x.shape[-1]) - 1, 0)
            leader = winner[..., before]
            gap = np.abs(x - np.take_along_axis(x, leader, -1))
            close = gap <= r + np.take_along_axis(r, leader, -1)
            close[..., :1] = False
            return np.asarray(close)

        return Branching(
            outcome,
            undecided,
            lambda o, x: restored(np.take_along_axis(oriented(x), o, -1)),
        )

    return branching


def _clamp(_: Operation) -> Branching:
    def undecided(_: Array, values: Sequence[Array], radii: Sequence[Array]) -> Array:
        (low, x, high), (low_r, x_r, high_r) = values, radii
        return np.asarray((np.abs(x - low) <= x_r + low_r) | (np.abs(x - high) <= x_r + high_r))

    return Branching(
        lambda low, x, high: np.asarray(x > high, np.int8) - (x < low),
        undecided,
        lambda o, low, x, high: np.where(o > 0, high, np.where(o < 0, low, x)),
    )


def _near_zero(_: Array, values: Sequence[Array], radii: Sequence[Array]) -> Array:
    return np.asarray(np.abs(values[0]) <= radii[0])


def _sign(_: Operation) -> Branching:
    return Branching(np.sign, _near_zero)


def crosses_a_step(step: Any, outcome: Array, x: Array, radius: Array) -> Array:
    """Say where `step`, such as floor, takes another value than `outcome` within `radius` of x."""
    moved = (step(x - radius) != outcome) | (step(x + radius) != outcome)
    # An integer is a tie of floor though its radius be 0: its neighbour on one side goes elsewhere.
    beside = (step(np.nextafter(x, -np.inf)) != outcome) | (
        step(np.nextafter(x, np.inf)) != outcome
    )
    return np.asarray(np.isfinite(x) & (moved | beside))


def _stepwise(step: Any) -> Branching:
    return Branching(step, lambda o, xs, rs: crosses_a_step(step, o, xs[0], rs[0]))


def _round(operation: Operation) -> Branching:
    to_even = int(operation.parameters["rounding_method"]) == 1
    return _stepwise(np.round if to_even else _round_half_away)


def _round_half_away(x: Array) -> Array:
    whole = np.trunc(x)
    return np.asarray(np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole))


def _is_finite(_: Operation) -> Branching:
    return Branching(np.isfinite, lambda outcome, *_: np.zeros(np.shape(outcome), bool))


def _to_discrete(operation: Operation) -> Branching:
    dtype = operation.outputs[0].dtype
    if dtype.kind == "b":
        return Branching(lambda x: np.asarray(x != 0), _near_zero)
    limits = np.iinfo(dtype)

    def saturated(x: Array) -> Array:
        whole = np.nan_to_num(np.trunc(x), nan=0.0, posinf=np.inf, neginf=-np.inf)
        inside = np.clip(whole, float(limits.min), float(limits.max)).astype(dtype)
        return np.where(whole >= float(limits.max), limits.max, inside)

    return Branching(
        saturated, lambda _, xs, rs: crosses_a_step(np.trunc, np.trunc(xs[0]), xs[0], rs[0])
    )


def _ordered(keys: Sequence[Array], axis: int) -> Array:
    # Zeros of both signs are one key to XLA and to NumPy alike, and NaN comes last in both.
    return (
        np.argsort(keys[0], axis, kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1], axis)
    )


def _neighbours_overlap(x: Array, r: Array, axis: int) -> Array:
    x, r = np.moveaxis(x, axis, -1), np.moveaxis(r, axis, -1)
    close = np.zeros(x.shape, bool)
    if x.shape[-1] > 1:
        close[..., 1:] = np.abs(np.diff(x)) <= r[..., 1:] + r[..., :-1]
        close[..., :-1] |= close[..., 1:]
    return np.moveaxis(close, -1, axis)


def _sort(operation: Operation) -> Branching:
    axis, count = operation.parameters["dimension"], operation.parameters["num_keys"]

    def undecided(order: Array, xs: Sequence[Array], rs: Sequence[Array]) -> Array:
        x, r = (np.take_along_axis(a, order, axis) for a in (xs[0], _like(rs[0], xs[0])))
        return _neighbours_overlap(x, r, axis)

    return Branching(
        lambda *xs: _ordered(xs[:count], axis),
        undecided,
        lambda order, *xs: [np.take_along_axis(x, order, axis) for x in xs],
    )


def _top_k(operation: Operation) -> Branching:
    k, dtype = operation.parameters["k"], operation.outputs[1].dtype

    def undecided(_: Array, xs: Sequence[Array], rs: Sequence[Array]) -> Array:
        everyone = np.argsort(-xs[0], -1, kind="stable")
        x, r = (np.take_along_axis(a, everyone, -1) for a in (xs[0], _like(rs[0], xs[0])))
        return _neighbours_overlap(x, r, -1)[..., :k]

    return Branching(
        lambda x: np.argsort(-x, -1, kind="stable")[..., :k],
        undecided,
        lambda order, x: [np.take_along_axis(x, order, -1), order.astype(dtype)],
    )


def _window_extremum(arg: Any, sign: int) -> Callable[[Operation], Branching]:
    def branching(operation: Operation) -> Branching:
        windows = windows_of(operation)
        fill = -sign * np.inf
        count = len(windows.sizes)

        def flat(x: Array, padding: Any) -> Array:
            view = windows.view(x, padding)
            return view.reshape(*view.shape[: view.ndim - count], -1)

        def result(o: Array, x: Array) -> Array:
            return _take_winner(flat(x, _lowest(x.dtype, sign)), o)

        return Branching(
            lambda x: arg(flat(x, fill), -1),
            lambda o, xs, rs: _rival_overlaps(
                o, flat(xs[0], fill), flat(_like(rs[0], xs[0]), 0.0), sign
            ),
            result,
        )

    return branching


def _lowest(dtype: np.dtype[Any], sign: int) -> Any:
    if dtype.kind == "V":  # opaque numbers, which win by their companions alone
        return np.zeros((), dtype)
    if dtype.kind == "i":
        return np.iinfo(dtype).min if sign > 0 else np.iinfo(dtype).max
    return -sign * np.inf


DECISIONS: dict[str, Callable[[Operation], Branching]] = {
    "argmax": _arg(np.argmax, 1),
    "argmin": _arg(np.argmin, -1),
    "ceil": lambda _: _stepwise(np.ceil),
    "clamp": _clamp,
    "cummax": _running_extremum(np.greater),
    "cummin": _running_extremum(np.less),
    "eq": _compare(np.equal, _overlap_but_differ),
    "eq_to": _compare(lambda a, b: ~(_below(a, b) | _below(b, a)), _overlap_but_differ),
    "floor": lambda _: _stepwise(np.floor),
    "ge": _compare(np.greater_equal, _overlap),
    "gt": _compare(np.greater, _overlap),
    "is_finite": _is_finite,
    "le": _compare(np.less_equal, _overlap),
    "le_to": _compare(lambda a, b: ~_below(b, a), _overlap),
    "lt_to": _compare(_below, _overlap),
    "lt": _compare(np.less, _overlap),
    "max": _extremum(np.greater_equal),
    "min": _extremum(np.less_equal),
    "ne": _compare(np.not_equal, _overlap_but_differ),
    "reduce_max": _reduce_extremum(np.argmax, 1),
    "reduce_min": _reduce_extremum(np.argmin, -1),
    "reduce_window_max": _window_extremum(np.argmax, 1),
    "reduce_window_min": _window_extremum(np.argmin, -1),
    "round": _round,
    "sign": _sign,
    "sort": _sort,
    "to_discrete": _to_discrete,
    "top_k": _top_k,
}
"""`to_discrete` is the part of convert_element_type that goes from real numbers to integers."""
