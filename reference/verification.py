"""The rules of the specimen, for `gradcheck verify reference`: the one module that imports gradcheck.

The random architectures live here too: depth, widths, batch, an activation and a bias for each layer
are drawn by Hypothesis, so that a failure shrinks to the smallest network that shows it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

import gradcheck
from reference import digits
from reference.activations import ACTIVATIONS
from reference.descent import State
from reference.layer import affine, affine_backward
from reference.network import loss, loss_gradients

__all__ = ["architectures", "digit_networks", "layers", "networks"]

DEPTH, WIDTH, BATCH = 6, 16, 8
"""The largest number of layers, units of a layer, and examples of a batch that are drawn."""

EPOCHS = 40
"""Epochs of the training run whose weights meet the digits: by then the loss has fallen to a seventh."""

BIAS_SCALE = 0.5
"""The standard deviation of biases: pre-activations stay where activations bend."""


@st.composite
def architectures(draw: st.DrawFn) -> tuple[list[int], list[str], list[bool]]:
    """Draw the widths n_0 … n_L, the activation of each layer, and whether it has a bias."""
    depth = draw(st.integers(1, DEPTH))
    widths = draw(st.lists(st.integers(1, WIDTH), min_size=depth + 1, max_size=depth + 1))
    names = draw(st.lists(st.sampled_from(list(ACTIVATIONS)), min_size=depth, max_size=depth))
    biased = draw(st.lists(st.booleans(), min_size=depth, max_size=depth))
    return widths, names, biased


@st.composite
def networks(draw: st.DrawFn, batch: int = BATCH) -> tuple[Any, ...]:
    """Draw the arguments of `reference.network.loss`: weights, biases, x, t and activations.

    Weights have the standard deviation 1/√n of their n inputs, so that signals keep their size over
    any depth.
    """
    widths, names, biased = draw(architectures())
    columns = draw(st.integers(1, batch))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = [
        rng.normal(size=(rows, inputs)) / np.sqrt(inputs) for inputs, rows in pairwise(widths)
    ]
    biases = [
        rng.normal(scale=BIAS_SCALE, size=(rows, 1)) if has_bias else None
        for rows, has_bias in zip(widths[1:], biased, strict=True)
    ]
    x, t = rng.normal(size=(widths[0], columns)), rng.normal(size=(widths[-1], columns))
    return weights, biases, x, t, tuple(names)


def _forward(x: Any, w: Any, b: Any, activation: str) -> Any:
    return affine(x, w, b, activation)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Any, ...]:
    weights, biases, x, _, names = draw(networks())
    return x, weights[0], biases[0], names[0]


@cache
def _training_run() -> tuple[digits.Digits, list[State]]:
    """Load the digits and train on them a little; the states are those before most is learnt."""
    data = digits.load()
    return data, list(digits.descend(data, epochs=EPOCHS))


@st.composite
def digit_networks(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw the arguments of the loss on a few real images, with the weights of some training state.

    Raises:
        ImportError: scikit-learn, which carries the images, is not installed.
    """
    data, states = _training_run()
    state = states[draw(st.integers(0, len(states) - 1))]
    columns = draw(st.integers(1, BATCH))
    first = draw(st.integers(0, data.x.shape[1] - columns))
    images = slice(first, first + columns)
    return state.weights, state.biases, data.x[:, images], data.t[:, images], digits.ACTIVATIONS


batch_loss = gradcheck.gradient(loss, loss_gradients, points=networks())
stochastic_loss = gradcheck.gradient(loss, loss_gradients, points=networks(batch=1))
affine_layer = gradcheck.pair(_forward, affine_backward, points=layers())
if find_spec("sklearn") is not None:
    digits_loss = gradcheck.gradient(loss, loss_gradients, points=digit_networks())
