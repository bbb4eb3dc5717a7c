"""The global random numbers of Python and NumPy, fixed for a while and then put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["fixed_random_state"]


@contextmanager
def fixed_random_state() -> Iterator[None]:
    """Seed the global generators with 0, as Hypothesis does for each example, and restore them after."""
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)
