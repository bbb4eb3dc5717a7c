"""Primitives that branch and then compute: absolute value, remainder, pooling gradients.

A maker takes the `Operation` and the arithmetic and returns a function whose first argument is the
list of decisions to append to, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.decisions import DECISIONS, Branching, crosses_a_step
from gradcheck.programs.primitives.indexing import scatter_places
from gradcheck.programs.primitives.windows import windows_of

__all__ = ["DECIDING"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def _abs(operation: Operation, arithmetic: Any) -> Function:
    decide = arithmetic.decider(operation, DECISIONS["sign"](operation))
    negate = arithmetic.elementwise["neg"]
    choose = arithmetic.lift(lambda sign, x, minus_x: np.where(sign < 0, minus_x, x))
    return lambda decisions, x: choose(decide(decisions, x), x, negate(x))


def _rem(operation: Operation, arithmetic: Any) -> Function:
    branching = Branching(
        lambda a, b: np.trunc(a / b),
        lambda o, xs, rs: crosses_a_step(
            np.trunc, o, xs[0] / xs[1], (rs[0] + np.abs(o) * rs[1]) / np.abs(xs[1])
        ),
    )
    decide = arithmetic.decider(operation, branching)
    subtract, multiply = (arithmetic.elementwise[name] for name in ("sub", "mul"))
    choose = arithmetic.lift(lambda whole, a, rest: np.where(whole == 0, a, rest))

    def rem(decisions: Any, a: Any, b: Any) -> Any:
        whole = decide(decisions, a, b)
        return choose(whole, a, subtract(a, multiply(arithmetic.constant(whole), b)))

    return rem


def _window_winners(operation: Operation) -> tuple[Branching, Array]:
    """Return the choice of one entry of each window, and the flat place of every window entry."""
    prefers_large = operation.parameters["select_prim"].name in ("ge", "gt")
    kind = "reduce_window_max" if prefers_large else "reduce_window_min"
    windows = windows_of(operation)
    places = windows.places(operation.inputs[-1 if _scatters(operation) else 1].shape)
    count = len(windows.sizes)
    return DECISIONS[kind](operation), places.reshape(*places.shape[: places.ndim - count], -1)


def _scatters(operation: Operation) -> bool:
    return "scatter" in operation.name


def _select_and_scatter_add(operation: Operation, arithmetic: Any) -> Function:
    branching, places = _window_winners(operation)
    decide = arithmetic.decider(operation, branching)
    zeros = arithmetic.constant(np.zeros(operation.outputs[0].shape))

    def select_and_scatter_add(decisions: Any, source: Any, operand: Any) -> Any:
        winner = decide(decisions, operand)
        where = np.take_along_axis(places, winner[..., None], -1).reshape(-1)
        return arithmetic.scatter_add(zeros, where, None, source)

    return select_and_scatter_add


def _select_and_gather_add(operation: Operation, arithmetic: Any) -> Function:
    branching, places = _window_winners(operation)
    decide = arithmetic.decider(operation, branching)
    shape = operation.outputs[0].shape
    pick = arithmetic.lift(lambda tangents, where: tangents.reshape(-1)[where].reshape(shape))

    def select_and_gather_add(decisions: Any, tangents: Any, operand: Any) -> Any:
        winner = decide(decisions, operand)
        return pick(tangents, np.take_along_axis(places, winner[..., None], -1).reshape(-1))

    return select_and_gather_add


def _scatter_extremum(name: str) -> Callable[[Operation, Any], Function]:
    def maker(operation: Operation, arithmetic: Any) -> Function:
        places = scatter_places(operation)
        branching = DECISIONS[name](operation)
        decide = arithmetic.decider(operation, branching)
        choose = arithmetic.lift(branching.apply)
        pick = arithmetic.lift(lambda x, where: x.reshape(-1)[where])

        def put(x: Array, where: Array, entries: Array) -> Array:
            out = np.array(x, order="C")
            out.reshape(-1)[where] = entries
            return out

        put_lifted = arithmetic.lift(put)

        def scatter(decisions: Any, operand: Any, indices: Array, updates: Any) -> Any:
            where, inside = places(indices)
            order = np.arange(where.size) if inside is None else np.flatnonzero(inside)
            while order.size:
                # One update for each place at a time, so that each choice is between two numbers.
                _, first = np.unique(where[order], return_index=True)
                now, order = order[first], np.delete(order, first)
                old, new = pick(operand, where[now]), pick(updates, now)
                winner = choose(decide(decisions, old, new), old, new)
                operand = put_lifted(operand, where[now], winner)
            return operand

        return scatter

    return maker


DECIDING: dict[str, Callable[[Operation, Any], Function]] = {
    "abs": _abs,
    "rem": _rem,
    "scatter-max": _scatter_extremum("max"),
    "scatter-min": _scatter_extremum("min"),
    "scatter_max": _scatter_extremum("max"),
    "scatter_min": _scatter_extremum("min"),
    "select_and_gather_add": _select_and_gather_add,
    "select_and_scatter_add": _select_and_scatter_add,
}
