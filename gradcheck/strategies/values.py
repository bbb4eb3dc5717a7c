"""How values are drawn by Hypothesis: a style and one seed per array, so that shrinking is quick.

An array is drawn by NumPy from a seed that Hypothesis draws, in a style that Hypothesis draws. A seed
shrinks towards 0 and a style towards the first of the table, 1, 2, 3, ...
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from numpy.typing import NDArray

from gradcheck.contracts import Domain
from gradcheck.contracts.sampling import PLAIN_STYLES, STYLES, numbers
from gradcheck.strategies.choices import chance, choice, random_seed
from gradcheck.strategies.dimensions import drawn_shape

__all__ = ["COTANGENT_STYLES", "cotangent", "styles", "values"]

POOL_SIZE = 16
"""Entries of an array that are drawn by the user's strategy one by one; further ones repeat them."""

ONE_HOT = "one-hot"
COTANGENT_STYLES = (*STYLES, ONE_HOT)
"""The styles of a cotangent: those of an input, and a single 1, which asks for one row of the Jacobian."""


def styles(draw: DrawFn, count: int) -> tuple[str, ...]:
    """Draw a style for each of `count` inputs and, last, for the cotangent.

    Half of the draws keep to styles at which an oracle decides every entry, in all arrays at once:
    of several arrays in free styles at least one would nearly always be extreme.
    """
    plain = not chance(draw)
    inputs = PLAIN_STYLES if plain else STYLES
    cotangents = PLAIN_STYLES if plain else COTANGENT_STYLES
    return (
        *(choice(draw, inputs) for _ in range(count)),
        choice(draw, cotangents),
    )


def values(draw: DrawFn, domain: Domain, sizes: Mapping[str, int], style: str, start: int) -> Any:
    """Draw an array of `domain` in `style`; "counting" begins with `start`."""
    assert domain.shape is not None
    rng = np.random.default_rng(random_seed(draw))
    shape = drawn_shape(draw, domain.shape, sizes)
    pool = None
    if domain.strategy is not None:
        count = min(int(np.prod(shape)), POOL_SIZE)
        pool = draw(st.lists(domain.strategy, min_size=max(count, 1), max_size=max(count, 1)))
    return domain.sample(rng, sizes, style, start=start, shape=shape, pool=pool)


def cotangent(rng: np.random.Generator, output: Any, style: str, start: int = 1) -> Any:
    """Return a cotangent for one output: an array of its shape and dtype in `style`, not all zeros.

    Args:
        rng: where all randomness comes from.
        output: the output; one that holds no real or complex numbers gets zeros.
        style: one of `COTANGENT_STYLES`.
        start: the number that "counting" begins with.
    """
    output = np.asarray(output)
    if not _is_floating(output.dtype):
        return np.zeros_like(output)
    result = np.zeros(output.shape)
    if style != ONE_HOT:
        result = numbers(rng, output.shape, style, start)
        if output.dtype.kind == "c":
            result = np.asarray(result + 1j * numbers(rng, output.shape, style, start + 1))
    result = _cast(result, output.dtype)
    if result.size and not np.any(result):
        result.flat[int(rng.integers(result.size))] = 1.0
    return result


def _is_floating(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fc" or "float" in str(dtype)


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast to the output's precision; what overflows there becomes 1."""
    with np.errstate(over="ignore"):
        result = values.astype(dtype)
    overflown = ~np.isfinite(result)
    return (
        np.asarray(np.where(overflown, np.ones((), dtype), result)) if np.any(overflown) else result
    )
