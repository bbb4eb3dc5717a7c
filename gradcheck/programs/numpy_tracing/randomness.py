"""Random states: whether code has drawn from them, and putting them back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["preserved", "state_of"]

GLOBAL_SOURCES = (np.random, random)
"""The hidden generators behind `np.random.rand` and `random.random`."""


def state_of(source: Any) -> Any:
    """Return the state of a random source as a value that can be compared."""
    return _comparable(_raw_state(source))


@contextmanager
def preserved(sources: Iterable[Any] = ()) -> Iterator[Callable[[], bool]]:
    """Restore the global random states, and those of `sources`, after the block.

    A state that the block left alone is not touched, for other threads may be using it. Yields a
    function that says whether anything has been drawn.
    """
    before = [(source, _raw_state(source)) for source in (*GLOBAL_SOURCES, *sources)]

    def drawn() -> list[tuple[Any, Any]]:
        return [(s, state) for s, state in before if state_of(s) != _comparable(state)]

    try:
        yield lambda: bool(drawn())
    finally:
        for source, state in drawn():
            if isinstance(source, np.random.Generator):
                source.bit_generator.state = state
            elif source is random or isinstance(source, random.Random):
                source.setstate(state)
            else:
                source.set_state(state)


def _raw_state(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    if source is random or isinstance(source, random.Random):
        return source.getstate()
    return source.get_state()


def _comparable(state: Any) -> Any:
    if isinstance(state, np.ndarray):
        return state.tobytes()
    if isinstance(state, dict):
        return {key: _comparable(part) for key, part in state.items()}
    if isinstance(state, tuple):
        return tuple(part.tobytes() if isinstance(part, np.ndarray) else part for part in state)
    return state
