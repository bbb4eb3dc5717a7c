"""What goes over elements one by one in C, where a traced value would be asked for its number."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.traced import Traced, contains_traced, unwrap

__all__ = ["IndexTrick", "Vectorized", "from_iterator", "precise_sum", "vectorize"]


def precise_sum(recorder: Recording, values: Iterable[Any]) -> Any:
    """Do what `math.fsum(values)` does."""
    terms = recorder.packed(list(values))
    if not isinstance(terms, Traced):
        return math.fsum(terms)
    result = math.fsum(terms.concrete)
    return recorder.emit(math.fsum, (recorder.operand(terms),), {}, result)


def from_iterator(
    recorder: Recording, values: Iterable[Any], dtype: Any, count: int = -1, **settings: Any
) -> Any:
    """Do what `np.fromiter` does."""
    taken = list(values if count < 0 else islice(values, count))
    if not contains_traced(taken):
        return recorder.adopt(np.fromiter(taken, dtype, count, **settings))
    if len(taken) < count:
        raise ValueError(f"iterator too short: Expected {count} but iterator had only {len(taken)}")
    return recorder.packed(taken, np.dtype(dtype))


def vectorize(recorder: Recording, function: Any = None, *arguments: Any, **settings: Any) -> Any:
    """Do what `np.vectorize` does, also as a decorator with arguments."""
    if function is None:
        return lambda later: Vectorized(recorder, later, *arguments, **settings)
    return Vectorized(recorder, function, *arguments, **settings)


class Vectorized:
    """Passes for an object of `np.vectorize`: one call for each element, in C order."""

    def __init__(
        self,
        recorder: Recording,
        function: Callable[..., Any],
        otypes: Any = None,
        doc: Any = None,
        excluded: Any = None,
        cache: bool = False,
        signature: Any = None,
    ) -> None:
        del doc, cache
        self._recorder = recorder
        self._function = function
        self._dtypes = [np.dtype(kind) for kind in otypes or ()]
        self._is_covered = not excluded and signature is None
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        recorder = self._recorder
        if keywords or not self._is_covered:
            recorder.stop("np.vectorize with keywords, excluded= or signature= is not covered")
        arrays = [recorder.packed(argument) for argument in arguments]
        shape = np.broadcast_shapes(*map(np.shape, arrays))
        columns = [self._elements(array, shape) for array in arrays]
        results = [self._function(*elements) for elements in zip(*columns, strict=True)]
        if not results:
            recorder.stop("np.vectorize of no elements is not covered")
        if not isinstance(results[0], tuple):
            return self._gathered(results, 0, shape)
        outputs = zip(*results, strict=True)
        return tuple(self._gathered(list(o), place, shape) for place, o in enumerate(outputs))

    def _elements(self, array: Any, shape: tuple[int, ...]) -> list[Any]:
        spread = self._recorder.call(np.broadcast_to, (array, shape), {})
        return list(self._recorder.call(np.ravel, (spread,), {}))

    def _gathered(self, results: list[Any], place: int, shape: tuple[int, ...]) -> Any:
        """Return results as an array, of the dtype that was given or else of the first result."""
        dtype = self._dtypes[place] if self._dtypes else np.asarray(unwrap(results[0])).dtype
        packed = self._recorder.packed(results, dtype)
        array = packed if isinstance(packed, Traced) else np.array(results, dtype)
        return self._recorder.call(np.reshape, (array, shape), {})


class IndexTrick:
    """Passes for `np.r_` or `np.c_`."""

    def __init__(self, original: Any, get_item: Callable[[Any, Any], Any]) -> None:
        self._original = original
        self._get_item = get_item

    def __getitem__(self, key: Any) -> Any:
        return self._get_item(self._original, key)

    def __len__(self) -> int:
        return 0
