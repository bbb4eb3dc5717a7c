"""Parameters drawn beside the inputs that the user draws with `inputs=` or `points=`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck import trees

__all__ = ["drawn_beside"]

AWAY = 0.3
"""How far parameters are moved from their initial values, relative to each number, or to 1 for a zero:
gamma = 1 and beta = 0 hide the faults that they multiply."""


def drawn_beside(
    options: Mapping[str, Any], count: int, initial: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options with parameters appended to the inputs that `inputs=` or `points=` draw.

    Args:
        options: the options of a declaration, with one of the two.
        count: how many inputs the user draws; a draw of another number is passed on as it is.
        initial: the initial values of the parameters, by name; each draw moves them.
    """

    def complete(inputs: Any, rng: np.random.Generator) -> Any:
        if not isinstance(inputs, (tuple, list)) or len(inputs) != count:
            return inputs
        return (*inputs, *(_moved(value, rng) for value in initial.values()))

    draw = options.get("inputs")
    if draw is not None:
        return {**options, "inputs": lambda rng: complete(draw(rng), rng)}
    from hypothesis import strategies as st

    drawn = st.tuples(options["points"], st.integers(0, 2**32 - 1))
    points = drawn.map(lambda both: complete(both[0], np.random.default_rng(both[1])))
    return {**options, "points": points}


def _moved(value: Any, rng: np.random.Generator) -> Any:
    def moved(leaf: Any) -> Any:
        if not trees.is_variable(leaf):
            return leaf
        size = np.where(leaf == 0, 1.0, np.abs(leaf))
        return np.asarray(leaf + AWAY * size * rng.normal(size=leaf.shape), leaf.dtype)

    return trees.map_leaves(moved, value)
