"""Layers as people write them in plain NumPy, each with three wrong backwards beside the right one.

Nothing here knows of gradcheck: loops, masks, preallocated outputs, in-place updates and state on
`self` are as they come. Every module lists its layers under `LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Pair", "Stateful", "all_layers"]


@dataclass(frozen=True)
class Pair:
    """A layer as two functions.

    Attributes:
        name: the name of the layer.
        forward: `forward(*inputs) -> (out, cache)`.
        backward: `backward(dout, cache)`: one gradient per input, None for one that is no variable.
        faults: wrong backwards, to be used in its place.
        draw: a generator to inputs at which every fault shows.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    faults: tuple[Callable[..., Any], ...]
    draw: Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Stateful:
    """A layer as a class whose objects keep their parameters in `params` and gradients in `grads`.

    Attributes:
        name: the name of the layer.
        make: returns a new object with `forward(x)` and `backward(dout)`.
        faults: makers of layers whose backward is wrong.
        draw: a generator to the input of `forward`, as a tuple.
    """

    name: str
    make: Callable[[], Any]
    faults: tuple[Callable[[], Any], ...]
    draw: Callable[[np.random.Generator], tuple[Any, ...]]


def all_layers() -> list[Pair | Stateful]:
    """Return every layer of every module."""
    from tests.layers import (
        activations,
        attention,
        convolution,
        dense,
        dropout,
        embedding,
        losses,
        normalisation,
        pooling,
        recurrent,
        similarity,
        softmax,
    )

    modules = (
        activations, attention, convolution, dense, dropout, embedding, losses, normalisation,
        pooling, recurrent, similarity, softmax,
    )  # fmt: skip
    return [layer for module in modules for layer in module.LAYERS]
