"""A network at points where several units have their kinks at once is right, and undecided at most."""

import numpy as np
import pytest

import gradcheck
from reference.network import loss, loss_gradients


def draw(rng):
    return (
        [np.array([[0.5], [-0.5]])],
        [None],
        np.zeros((1, 2)),
        rng.normal(size=(2, 2)),
        ("relu",),
    )


@pytest.mark.parametrize("trace", [True, False])
def test_two_units_of_opposite_sign_at_their_kink_are_no_failure(trace):
    """The slopes of the loss on both sides may have one sign; the chain rule gives 0."""
    rule = gradcheck.gradient(loss, loss_gradients, inputs=draw)
    for seed in range(10):
        point = draw(np.random.default_rng(seed))
        assert gradcheck.verify_at(rule, point, trace=trace).verdict != "fail"


def test_a_wrong_gradient_beside_them_is_still_found():
    def wrong(*inputs):
        dw, db, dx, dt = loss_gradients(*inputs)
        return dw, db, dx, 2 * dt

    rule = gradcheck.gradient(loss, wrong, inputs=draw)
    assert gradcheck.verify(rule, examples=5, seed=1).verdict == "fail"
