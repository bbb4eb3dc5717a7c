"""Descent moves each weight against its gradient, at its own rate."""

from __future__ import annotations

import numpy as np
import pytest

from reference.descent import batch_descent, initial_parameters, stochastic_descent, update
from reference.network import forward, loss, loss_gradients
from reference.shapes import ShapeError
from tests.reference.networks import flat, make_network, mapped

NAMES = ["tanh", "identity"]
WIDTHS, EXAMPLES = (4, 3, 2), 12


def problem(seed=0):
    """A network to start from, and truths that another network of its kind gave."""
    weights, biases, x, _, _ = make_network(WIDTHS, NAMES, EXAMPLES, seed)
    teacher = make_network(WIDTHS, NAMES, EXAMPLES, seed + 1)
    return weights, biases, x, forward(teacher.weights, teacher.biases, x, NAMES).x[-1]


def last(states):
    return list(states)[-1]


def test_an_update_is_the_parameter_minus_the_rate_times_the_gradient():
    w, dw = np.array([[1.0, 2.0]]), np.array([[10.0, -20.0]])
    rates = np.array([[0.5, 0.25]])
    assert update([w], [dw], 0.5)[0].tolist() == [[-4.0, 12.0]]
    assert update([w, w], [dw, dw], [0.5, rates])[1].tolist() == [[-4.0, 7.0]]
    assert update([w, None], [dw, None], 0.5)[1] is None
    assert w.tolist() == [[1.0, 2.0]]


def test_a_weight_whose_learning_rate_is_zero_stays():
    weights, biases, x, t = problem()
    rates = [np.full(w.shape, 1e-2) for w in weights]
    rates[0][1, 2] = 0.0
    moved = last(
        batch_descent(weights, biases, x, t, NAMES, rates, bias_alpha=0.0, epochs=5)
    ).weights
    assert (moved[0] == weights[0]).sum() == 1
    assert moved[0][1, 2] == weights[0][1, 2]
    assert not (moved[1] == weights[1]).any()


def test_a_learning_rate_of_other_dimensions_is_named():
    weights, biases, x, t = problem()
    transposed = [np.ones(w.T.shape) for w in weights]
    with pytest.raises(ShapeError, match=r"α_1 must be 3 × 4 but is 4 × 3, in α_1 ∘ its gradient"):
        last(batch_descent(weights, biases, x, t, NAMES, transposed, bias_alpha=0.1, epochs=1))


def test_each_parameter_needs_a_gradient_and_a_rate():
    w = np.ones((1, 1))
    with pytest.raises(ValueError, match="got 2 parameters, 1 gradients and 2 rates"):
        update([w, w], [w], 0.1)
    with pytest.raises(ValueError, match="got 1 parameters, 1 gradients and 2 rates"):
        update([w], [w], [0.1, 0.1])


def test_one_step_of_batch_descent_takes_the_gradient_of_the_whole_batch():
    weights, biases, x, t = problem()
    dweights, dbiases, _, _ = loss_gradients(weights, biases, x, t, NAMES)
    state = last(batch_descent(weights, biases, x, t, NAMES, 0.125, epochs=1))
    assert state.loss == float(loss(weights, biases, x, t, NAMES))
    for moved, w, dw in zip(state.weights, weights, dweights, strict=True):
        np.testing.assert_array_equal(moved, w - 0.125 * dw)
    for moved, b, db in zip(flat(state.biases), flat(biases), flat(dbiases), strict=True):
        np.testing.assert_array_equal(moved, b - 0.125 * db)


def test_stochastic_descent_updates_after_every_example():
    weights, biases, x, t = problem()
    state = last(stochastic_descent(weights, biases, x, t, NAMES, 0.125, epochs=1))
    total = 0.0
    for k in range(EXAMPLES):
        example = x[:, k : k + 1], t[:, k : k + 1]
        total += float(loss(weights, biases, *example, NAMES))
        dweights, dbiases, _, _ = loss_gradients(weights, biases, *example, NAMES)
        weights, biases = update(weights, dweights, 0.125), update(biases, dbiases, 0.125)
    assert state.loss == total
    for moved, w in zip(state.weights, weights, strict=True):
        np.testing.assert_array_equal(moved, w)


@pytest.mark.parametrize("batch", [1, 5, EXAMPLES])
def test_every_kind_of_descent_lowers_the_loss_and_ascent_does_not(batch):
    def losses(alpha):
        options = {"batch": batch, "epochs": 40, "rng": np.random.default_rng(3)}
        return [s.loss for s in batch_descent(*problem(), NAMES, alpha, **options)]

    descended, ascended = losses(0.02), losses(-0.02)
    assert descended[-1] < descended[0] / 2
    assert ascended[-1] > ascended[0]


def test_an_epoch_visits_every_example_once_in_an_order_of_its_own():
    """At rate 0 the loss of an epoch is the sum over its examples, in any order."""
    weights, biases, x, t = problem()
    exact = float(loss(weights, biases, x, t, NAMES))
    states = list(
        batch_descent(
            weights, biases, x, t, NAMES, 0.0, batch=5, epochs=3, rng=np.random.default_rng(0)
        )
    )
    rounding = EXAMPLES * WIDTHS[-1] * 2.0**-53  # of a sum of so many squares
    assert [state.loss for state in states] == pytest.approx([exact] * 3, rel=2 * rounding, abs=0)
    assert [state.epoch for state in states] == [1, 2, 3]


def test_the_order_of_the_examples_comes_from_the_generator():
    def final(seed):
        options = {"epochs": 1, "rng": np.random.default_rng(seed)}
        return last(stochastic_descent(*problem(), NAMES, 0.1, **options)).weights[0]

    np.testing.assert_array_equal(final(1), final(1))
    assert (final(1) != final(2)).any()


def test_every_library_descends(to_library):
    weights, biases, x, t = mapped(to_library, problem())
    options = {"batch": 5, "epochs": 20, "rng": np.random.default_rng(0)}
    states = list(batch_descent(weights, biases, x, t, NAMES, 0.02, **options))
    assert type(states[-1].weights[0]) is type(weights[0])
    assert states[-1].loss < states[0].loss


def test_initial_weights_keep_the_size_of_a_signal():
    weights, biases = initial_parameters((400, 300, 2), np.random.default_rng(0))
    assert [w.shape for w in weights] == [(300, 400), (2, 300)]
    assert [b.tolist() for b in biases] == [[[0.0]] * 300, [[0.0]] * 2]
    spread = weights[0].std() * np.sqrt(400)
    assert spread == pytest.approx(1, abs=5 / np.sqrt(2 * weights[0].size))  # five standard errors
