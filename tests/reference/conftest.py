"""The array libraries that the specimen is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest


@contextmanager
def _jax_in_float64() -> Iterator[Any]:
    jax = pytest.importorskip("jax")
    home = jax if hasattr(jax, "enable_x64") else pytest.importorskip("jax.experimental")
    with home.enable_x64(True):
        yield jax


@pytest.fixture(params=["numpy", "jax", "torch", "torch on a GPU", "array_api_strict"])
def to_library(request) -> Iterator[Callable]:
    """Turn a NumPy array into one of the library of this case."""
    if request.param == "jax":
        with _jax_in_float64() as jax:
            yield jax.numpy.asarray
    elif request.param == "numpy":
        yield np.asarray
    elif request.param == "array_api_strict":
        yield pytest.importorskip("array_api_strict").asarray
    else:
        torch = pytest.importorskip("torch")
        if request.param == "torch on a GPU" and not torch.cuda.is_available():
            pytest.skip("no GPU")
        device = "cuda" if request.param == "torch on a GPU" else "cpu"
        yield lambda array: torch.asarray(array, device=device)


@pytest.fixture
def jax() -> Iterator[Any]:
    """JAX, computing in float64."""
    with _jax_in_float64() as module:
        yield module
