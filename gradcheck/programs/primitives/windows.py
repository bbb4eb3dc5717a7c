"""Sliding windows: the entries of an array that each output of a window primitive reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.structure import padded

__all__ = ["Windows", "windows_of"]

Array = np.ndarray[Any, Any]


class Windows:
    """A window sliding over the trailing axes of an array, as XLA's reduce_window defines it.

    Args:
        sizes, strides, dilation: one number for each windowed axis.
        padding: (low, high) for each windowed axis; negative numbers crop.
        base_dilation: the step between neighbouring entries once the input is spread apart.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
    ) -> None:
        ones = (1,) * len(sizes)
        self.sizes, self.strides = tuple(sizes), tuple(strides)
        self.padding = tuple(padding)
        self.base_dilation = tuple(base_dilation or ones)
        self.dilation = tuple(dilation or ones)

    def spread(self, x: Array, fill: Any) -> Array:
        """Return `x` spread apart and padded by `fill` along its trailing axes."""
        config = [(0, 0, 0)] * (x.ndim - len(self.sizes)) + [
            (low, high, step - 1)
            for (low, high), step in zip(self.padding, self.base_dilation, strict=True)
        ]
        return padded(x, fill, config) if any(map(any, config)) else x

    def view(self, x: Array, fill: Any) -> Array:
        """Return the windows of `x`, of shape (leading..., positions..., window entries...)."""
        x = self.spread(x, fill)
        lead = x.ndim - len(self.sizes)
        spans = [
            (size - 1) * step + 1 for size, step in zip(self.sizes, self.dilation, strict=True)
        ]
        counts = [
            max(0, (size - span) // stride + 1)
            for size, span, stride in zip(x.shape[lead:], spans, self.strides, strict=True)
        ]
        steps = x.strides
        return np.lib.stride_tricks.as_strided(
            x,
            (*x.shape[:lead], *counts, *self.sizes),
            (
                *steps[:lead],
                *(a * b for a, b in zip(steps[lead:], self.strides, strict=True)),
                *(a * b for a, b in zip(steps[lead:], self.dilation, strict=True)),
            ),
            writeable=False,
        )

    def places(self, shape: tuple[int, ...]) -> Array:
        """Return for each window entry the flat index that it reads, or -1 where it is padding."""
        return self.view(np.arange(np.prod(shape, dtype=np.int64)).reshape(shape), -1)


def windows_of(operation: Operation) -> Windows:
    """Return the windows of a reduce_window or select_and_scatter equation."""
    parameters = operation.parameters
    return Windows(
        parameters["window_dimensions"],
        parameters["window_strides"],
        parameters["padding"],
        parameters.get("base_dilation"),
        parameters.get("window_dilation"),
    )
