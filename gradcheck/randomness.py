"""The global random numbers of Python and NumPy, fixed for a while and then put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.random.mtrand import get_bit_generator, set_bit_generator

__all__ = ["fixed_random_state"]

_inside: ContextVar[bool] = ContextVar("_inside", default=False)
"""Whether the state that the program had is saved already."""

_spare: list[np.random.MT19937] = []
"""Generators that no context uses now: to make one takes longer than to save a state."""


@contextmanager
def fixed_random_state() -> Iterator[None]:
    """Seed the global generators with 0, as Hypothesis does for each example, and restore them after.

    To save and restore a state of NumPy's takes as long as a small layer. Where that of the program is
    saved already, another generator stands in for NumPy's instead, and the one half of a pair of
    normal numbers that may be waiting is lost: the numbers that follow are still the same in each run.
    """
    numpys = _another_generator() if _inside.get() else _saved_state()
    pythons = random.getstate()
    with numpys:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(pythons)


@contextmanager
def _saved_state() -> Iterator[None]:
    state, token = np.random.get_state(), _inside.set(True)  # noqa: NPY002
    try:
        yield
    finally:
        _inside.reset(token)
        np.random.set_state(state)  # noqa: NPY002


@contextmanager
def _another_generator() -> Iterator[None]:
    own, other = get_bit_generator(), _spare.pop() if _spare else np.random.MT19937()
    set_bit_generator(other)
    try:
        yield
    finally:
        set_bit_generator(own)
        _spare.append(other)
