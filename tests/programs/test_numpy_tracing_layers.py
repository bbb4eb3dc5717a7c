"""Layers in plain NumPy are traced unmodified, forward and backward, and validated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import trees
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.tracing import Trace, validated_trace
from tests.layers import Pair, Stateful, all_layers

LAYERS = all_layers()


def forward_of(layer: Pair | Stateful) -> Any:
    if isinstance(layer, Pair):
        return lambda *inputs: layer.forward(*inputs)[0]

    def run(x: Any) -> Any:
        return layer.make().forward(x)

    return run


def gradients_of(layer: Pair | Stateful, backward: Any = None) -> Any:
    """Return a function of the inputs and the cotangent to all gradients."""
    if isinstance(layer, Pair):

        def run(inputs: Any, cotangent: Any) -> Any:
            _, cache = layer.forward(*inputs)
            return (backward or layer.backward)(cotangent, cache)

        return run

    def run_object(inputs: Any, cotangent: Any) -> Any:
        made = (backward or layer.make)()
        made.forward(*inputs)
        return made.backward(cotangent), made.grads

    return run_object


def traced(function: Any, arguments: tuple[Any, ...]) -> Trace:
    return validated_trace(function, arguments, rng=np.random.default_rng(1))


def cotangent_for(output: Any) -> Any:
    rng = np.random.default_rng(2)
    return trees.map_leaves(lambda leaf: rng.normal(size=np.shape(leaf)), output)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_is_traced_forward_and_backward(layer: Pair | Stateful) -> None:
    inputs = layer.draw(np.random.default_rng(0))
    forward = traced(forward_of(layer), inputs)
    cotangent = cotangent_for(forward.outputs)
    backward = traced(gradients_of(layer), (inputs, cotangent))
    assert all(line and "/tests/layers/" in line for line in forward.source_lines)
    assert forward.random == backward.random == (layer.name == "dropout")


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_traced_backward_is_the_derivative_of_the_traced_forward(
    layer: Pair | Stateful,
) -> None:
    """JAX's derivative of one trace is the other trace's value; a planted fault's is not."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    from gradcheck.programs.compat import enable_x64

    inputs = layer.draw(np.random.default_rng(0))
    np.random.seed(3)  # noqa: NPY002 - what the layer draws from
    forward = traced(forward_of(layer), inputs)
    cotangent = cotangent_for(forward.outputs)
    values = [value for _, value in trees.leaves(inputs) if trees.is_variable(value)]
    with enable_x64():
        pullback = jax.make_jaxpr(
            lambda xs, g: jax.vjp(lambda *a: jaxpr_as_fun(forward.jaxpr)(*a)[0], *xs)[1](g)
        )(values, cotangent)
    true = evaluate(pullback, [*values, np.asarray(cotangent)])

    def claimed(backward: Any = None) -> list[Any]:
        program = traced(gradients_of(layer, backward), (inputs, cotangent))
        gradients = evaluate(program.jaxpr, [*values, np.asarray(cotangent)])
        return gradients[: len(values)] if isinstance(layer, Pair) else gradients[:1]

    def agree(gradients: list[Any]) -> bool:
        return all(
            np.shape(g) == np.shape(t) and np.allclose(g, t, rtol=1e-9, atol=1e-11)
            for g, t in zip(gradients, true, strict=True)
        )

    assert agree(claimed())
    if isinstance(layer, Pair):
        for fault in layer.faults:
            assert not agree(claimed(fault)), fault.__name__
