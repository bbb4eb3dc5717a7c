"""The check `batch`: a batch's gradient is made of those of its examples."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of, result_of


def affine(backward, **options):
    options = {"batch": "N", **options}
    return gradcheck.pair(
        lambda x, w: (x @ w, (x, w)), backward, x="N D", w="D M", name="affine", **options
    )


def right(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def mean_loss(grad):
    return gradcheck.gradient(
        lambda x, w: np.mean((x @ w) ** 2), grad, x="N D", w="D", batch="N", name="loss"
    )


def test_sums_over_the_batch_pass_and_so_does_the_mean_of_a_mean_loss():
    assert_passes(affine(right), "batch")

    def grad(x, w):
        r = 2 * (x @ w) / len(x)
        return r[:, None] * w, x.T @ r

    assert_passes(mean_loss(grad), "batch")


@pytest.mark.parametrize(
    ("rule", "array"),
    [
        (affine(lambda d, c: (d @ c[1].T, c[0].T @ d / len(d))), "w"),
        (affine(lambda d, c: ((d - d.mean(axis=0) * 0.1) @ c[1].T, c[0].T @ d)), "x"),
        (mean_loss(lambda x, w: (2 * (x @ w)[:, None] * w / len(x), x.T @ (2 * (x @ w)))), "w"),
    ],
    ids=["mean for sum", "examples mixed", "sum for mean"],
)
def test_a_backward_that_mixes_or_averages_examples_fails(rule, array):
    message = message_of(rule, "batch")
    assert f"the gradient of {array} [" in message
    assert "of a batch is not made of those of its examples" in message
    assert "divides by the batch size where the forward does not" in message


def test_a_forward_that_mixes_examples_is_not_examined():
    def forward(x):
        return x - x.mean(axis=0), None

    rule = gradcheck.pair(
        forward, lambda d, _: d - d.mean(axis=0), x="N D", batch="N", name="center"
    )
    reasons = result_of(rule, "batch").tally.inapplicable
    assert "the forward mixes the examples of a batch" in reasons


def test_without_a_batch_dimension_the_check_does_not_apply():
    assert_does_not_apply(affine(right, batch=None), "batch", "no batch dimension is declared")


def test_the_examples_are_found_behind_axes_of_any_number():
    """The batch is the last axis but one, wherever it stands from the front."""

    def rule(backward):
        return gradcheck.vjp(
            lambda x, w: x * w, backward, x="*lead N D", w="D", batch="N", name="scaled"
        )

    def over_all(x, values):
        return values.sum(axis=tuple(range(x.ndim - 1)))

    right = rule(lambda d, x, w: (d * w, over_all(x, d * x)))
    assert_passes(right, "batch")
    reasons = result_of(right, "batch").tally.inapplicable
    assert "the forward mixes the examples of a batch" not in reasons
    averaged = rule(lambda d, x, w: (d * w, over_all(x, d * x) / x.shape[-2]))
    assert "the gradient of w" in message_of(averaged, "batch")


def test_a_forward_that_mixes_examples_beside_an_entry_of_1e8_is_not_examined():
    def forward(x, shift):
        return x - x.mean(axis=0) + shift, x

    def backward(dout, x):
        return dout - dout.mean(axis=0), dout.sum(axis=0) * (1 + 0 * x[0])

    rule = gradcheck.pair(forward, backward, x="N D", shift="D", batch="N")
    x, shift = np.array([[1.0, 2.0], [5.0, 8.0]]), np.array([0.0, 1e8])
    point = gradcheck.Point((x, shift), np.array([[0.0, 0.0], [1.0, 0.0]]))
    result = gradcheck.verify_at(rule, point, checks=["batch"]).checks[0]
    assert not result.applies
    assert "the forward mixes the examples of a batch" in result.reason
