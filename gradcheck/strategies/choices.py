"""The few decisions that all strategies here are made of, each a strategy that is built once.

A strategy of Hypothesis costs more to build and validate than to draw from, and a point takes dozens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["chance", "choice", "random_seed"]

T = TypeVar("T")

FAR_OUT = 3**70
"""What is added to every drawn number. Among its random integers Hypothesis mixes those that stand in the
source files loaded at the moment, so that one seed would draw other points in another process. There
are none this far from 0."""

COINS = st.booleans()


def random_seed(draw: DrawFn) -> int:
    """Draw a seed of `numpy.random.default_rng`, of 32 bits; shrinks towards 0."""
    return draw(_numbers(2**32)) - FAR_OUT


def chance(draw: DrawFn) -> bool:
    """Draw a truth value; shrinks towards False."""
    return draw(COINS)


def choice(draw: DrawFn, options: Sequence[T]) -> T:
    """Draw one of `options`; shrinks towards the first."""
    return options[draw(_numbers(len(options))) - FAR_OUT]


@cache
def _numbers(count: int) -> SearchStrategy[int]:
    return st.integers(FAR_OUT, FAR_OUT + count - 1)
