"""The network computes what the derivation says, in every library of the array API."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.activations import ACTIVATIONS
from reference.layer import affine, affine_backward
from reference.network import backward, forward, loss, loss_gradients, output_loss
from tests.reference.networks import flat, make_network, mapped, rounding_bounds

PIECEWISE_LINEAR = ["identity", "relu"]
"""With integers for weights and inputs, these are computed without any rounding."""

WIDTHS, BATCH = (5, 4, 3, 2), 6


def gradients_of(network):
    return flat(loss_gradients(*network))


def worst_ratio(actual, expected, bounds):
    """Return the largest |actual - expected| / bound of all entries of all arrays."""
    assert len(actual) == len(expected) == len(bounds) > 0
    ratios = [abs(a - e) / b for a, e, b in zip(actual, expected, bounds, strict=True)]
    return max(float(ratio.max()) for ratio in ratios)


def test_a_network_of_two_layers_by_hand():
    """x_1 = relu(1·2 - 1) = 1, x_2 = 3·1 = 3, E = (3 - 1)²/2; δ_2 = 2, δ_1 = 3·2, dx = 1·6."""
    weights, biases = [np.array([[1.0]]), np.array([[3.0]])], [np.array([[-1.0]]), None]
    network = weights, biases, np.array([[2.0]]), np.array([[1.0]]), ("relu", "identity")
    assert float(loss(*network)) == 2.0
    dweights, dbiases, dx, dt = loss_gradients(*network)
    assert [dw.item() for dw in dweights] == [12.0, 2.0]
    assert (dbiases[0].item(), dbiases[1]) == (6.0, None)
    assert (dx.item(), dt.item()) == (6.0, -2.0)


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_every_library_computes_the_same_integers(name, to_library):
    network = make_network(WIDTHS, [name] * 3, BATCH, values="integer")
    others = mapped(to_library, network)
    assert float(loss(*others)) == float(loss(*network))
    for ours, theirs in zip(gradients_of(network), gradients_of(others), strict=True):
        np.testing.assert_array_equal(theirs, ours, strict=True)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_library_computes_the_same_numbers_within_rounding(name, to_library):
    network = make_network(WIDTHS, [name] * 3, BATCH)
    bounds = rounding_bounds(network)
    theirs = gradients_of(mapped(to_library, network))
    assert worst_ratio(theirs, gradients_of(network), bounds) <= 1


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradients_are_those_that_jax_derives_from_the_forward(name, jax):
    network = make_network(WIDTHS, [name] * 3, BATCH)
    arrays = mapped(jax.numpy.asarray, network[:4])
    true = flat(jax.grad(lambda *a: loss(*a, network.activations), argnums=(0, 1, 2, 3))(*arrays))
    bounds = rounding_bounds(network)
    ours = gradients_of(network)
    assert worst_ratio(ours, true, bounds) <= 1

    planted = [g.copy() for g in ours]
    entry = np.unravel_index(abs(planted[0]).argmax(), planted[0].shape)
    planted[0][entry] *= 1 + 1e-6
    assert worst_ratio(planted, true, bounds) > 1


@pytest.mark.parametrize("layers", [1, 2, 6])
def test_networks_of_every_depth_agree_with_jax(layers, jax):
    names = [list(ACTIVATIONS)[i] for i in range(1, layers + 1)]
    network = make_network([3, 2, 4, 3, 1, 5, 2][: layers + 1], names, batch=2)
    arrays = mapped(jax.numpy.asarray, network[:4])
    true = flat(jax.grad(lambda *a: loss(*a, names), argnums=(0, 1, 2, 3))(*arrays))
    assert worst_ratio(gradients_of(network), true, rounding_bounds(network)) <= 1


def test_jax_traces_the_forward_and_the_backward(jax):
    network = make_network(WIDTHS, ["sigmoid", "gelu", "tanh"], BATCH)
    names = network.activations

    @jax.jit
    def traced(weights, biases, x, t):
        return loss_gradients(weights, biases, x, t, names)

    theirs = flat(traced(*mapped(jax.numpy.asarray, network[:4])))
    assert worst_ratio(theirs, gradients_of(network), rounding_bounds(network)) <= 1


def test_jax_differentiates_the_backward_too(jax):
    """E is quadratic for a linear layer: the second derivative in t is the identity."""
    network = make_network((3, 2), ["identity"])
    weights, biases, x, t = mapped(jax.numpy.asarray, network[:4])
    hessian = jax.jacobian(lambda t: loss_gradients(weights, biases, x, t, ["identity"])[3])(t)
    np.testing.assert_array_equal(hessian[:, 0, :, 0], np.eye(2))


integers = st.integers(0, 2**32 - 1)


@settings(max_examples=50)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    batch=st.integers(1, 5),
    seed=integers,
)
def test_the_gradient_of_a_batch_is_the_sum_over_its_examples(widths, batch, seed):
    names = (PIECEWISE_LINEAR * 2)[: len(widths) - 1]
    weights, biases, x, t, _ = make_network(widths, names, batch, seed, values="integer")
    columns = [(x[:, k : k + 1], t[:, k : k + 1]) for k in range(batch)]
    dweights, dbiases, dx, _ = loss_gradients(weights, biases, x, t, names)
    single = [loss_gradients(weights, biases, *column, names) for column in columns]

    assert float(loss(weights, biases, x, t, names)) == sum(
        float(loss(weights, biases, *column, names)) for column in columns
    )
    for whole, *parts in zip(
        flat([dweights, dbiases]), *(flat(list(s[:2])) for s in single), strict=True
    ):
        np.testing.assert_array_equal(whole, sum(parts))
    np.testing.assert_array_equal(dx, np.hstack([s[2] for s in single]))


@settings(max_examples=50)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    batch=st.integers(1, 5),
    seed=integers,
)
def test_the_layers_chained_by_hand_are_the_network(widths, batch, seed):
    names = (PIECEWISE_LINEAR * 2)[: len(widths) - 1]
    weights, biases, x, t, _ = make_network(widths, names, batch, seed, values="integer")
    outputs, caches = x, []
    for w, b, name in zip(weights, biases, names, strict=True):
        outputs, cache = affine(outputs, w, b, name)
        caches.append(cache)
    upstream, dweights, dbiases = outputs - t, [], []
    for cache in reversed(caches):
        upstream, dw, db = affine_backward(upstream, cache)
        dweights, dbiases = [dw, *dweights], [db, *dbiases]

    assert float(output_loss(outputs, t)) == float(loss(weights, biases, x, t, names))
    chained = flat([dweights, dbiases, upstream])
    for one, other in zip(
        chained, flat(list(loss_gradients(weights, biases, x, t, names)[:3])), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_no_bias_is_the_bias_zero():
    network = make_network(WIDTHS, ["tanh"] * 3, BATCH)
    zeros = [np.zeros((m, 1)) for m in WIDTHS[1:]]
    without = loss_gradients(*network._replace(biases=[None] * 3))
    with_zeros = loss_gradients(*network._replace(biases=zeros))
    for one, other in zip(flat(without[0]), flat(with_zeros[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert without[1] == [None] * 3
    assert all(db.any() for db in with_zeros[1])


def test_nothing_that_is_given_is_written_to():
    network = make_network(WIDTHS, ["elu", "silu", "tanh"], BATCH)
    for array in flat(list(network[:4])):
        array.flags.writeable = False
    passed = forward(*network[:3], network.activations)
    for array in flat(list(passed)):
        array.flags.writeable = False
    once = backward(*network[:2], passed, network.t, network.activations)
    twice = backward(*network[:2], passed, network.t, network.activations)
    for one, other in zip(flat(list(once)), flat(list(twice)), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="read-only"):
        passed.x[1][0, 0] = 0  # a write would have been seen


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_single_precision_in_gives_single_precision_out(name):
    network = mapped(np.float32, make_network(WIDTHS, [name] * 3, BATCH))
    assert {gradient.dtype for gradient in gradients_of(network)} == {np.dtype(np.float32)}
    assert loss(*network).dtype == np.float32
