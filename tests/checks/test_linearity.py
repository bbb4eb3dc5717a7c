"""The check `linearity`: what is linear in the cotangent passes however it looks; what is not fails."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of, result_of


def square(backward, **options):
    return gradcheck.vjp(lambda x: x**2, backward, x="N D", name="square", **options)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def through_single_precision(g, x):
    buffer = (g.astype(np.float32) * x.astype(np.float32)).sum(axis=-1, keepdims=True)
    return g * 2 * x + 0 * buffer


def dropout():
    def forward(x):
        mask = np.random.default_rng().random(x.shape) < 0.5
        return x * mask, mask

    return gradcheck.pair(forward, lambda g, mask: g * mask, x="N D", name="dropout")


@pytest.mark.parametrize(
    "rule",
    [
        square(lambda g, x: g * 2 * x),
        square(lambda g, x: np.where(g != 0, g, 0) * 2 * x),
        square(lambda g, x: (np.maximum(g, 0) + np.minimum(g, 0)) * 2 * x),
        square(through_single_precision),
        gradcheck.vjp(
            softmax,
            lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)),
            x="N D",
        ),
        dropout(),
    ],
    ids=["plain", "skips zeros", "split by sign", "single buffer", "softmax", "random mask"],
)
def test_a_pullback_that_is_linear_in_an_unusual_way_passes(rule):
    assert_passes(rule, "linearity")


@pytest.mark.parametrize(
    ("backward", "law", "cause"),
    [
        (lambda g, x: np.abs(g) * 2 * x, "for -2 u + 0.5 v it is not -2 times that of u",
         "no abs, square, sign or clip"),
        (lambda g, x: g * g * 2 * x, "for -2 u + 0.5 v", "the cotangent must enter once, as a factor"),
        (lambda g, x: np.clip(g, -1e6, 1e6) * 2 * x, "does not grow with the cotangent: for 1e+08 u",
         "the gradient is clipped, or normalised by its own size"),
        (lambda g, x: np.where(np.abs(g) < 1e-6, 0, g) * 2 * x, "does not shrink with the cotangent",
         "a threshold, a constant or a small number"),
        (lambda g, x: (g + 1e-8) * 2 * x, "is not zero for a cotangent of zeros",
         "a term does not contain the cotangent"),
        (lambda g, x: g * 2 * x + (np.count_nonzero(g) == 1), "one entry of it more by 1",
         "the cotangent must enter once, as a factor"),
    ],
    ids=["absolute", "squared", "clipped", "thresholded", "small constant", "one-hot"],
)  # fmt: skip
def test_each_way_of_not_being_linear_is_named(backward, law, cause):
    message = message_of(square(backward), "linearity")
    assert message.startswith("square: the gradient of x [")
    assert law in message or cause in message
    assert cause in message
    assert "smallest failing case: N=1, D=1" in message


def test_the_two_values_stand_one_under_the_other():
    message = message_of(square(lambda g, x: (g + 1e-8) * 2 * x), "linearity").splitlines()
    assert message[1].startswith("    claimed  ")
    assert message[2] == "    linear   0.0"


def test_an_expected_failure_passes_with_its_reason():
    rule = square(lambda g, x: np.abs(g) * 2 * x, expected_failures={"linearity": "by design"})
    assert assert_passes(rule, "linearity").reason == "fails as expected: by design"


def test_a_mask_that_is_redrawn_in_the_backward_is_left_to_other_checks():
    rng = np.random.default_rng(0)

    def redrawn(g, x):
        return g * (rng.random(g.shape) < 0.5)

    rule = gradcheck.vjp(lambda x: redrawn(x, x), redrawn, x="N D")
    result = result_of(rule, "linearity")
    assert result.verdict != "fail"
    assert "the backward draws random numbers of its own" in result.tally.inapplicable


def test_a_scalar_loss_has_one_cotangent():
    rule = gradcheck.gradient(lambda x: np.sum(x**2), lambda x: 2 * x, x="N")
    assert_does_not_apply(rule, "linearity", "scalar loss, whose only cotangent is 1")


def test_a_backward_that_rejects_other_cotangents_fails():
    def backward(g, x):
        if not np.any(g):
            raise ValueError("no zeros please")
        return g * 2 * x

    assert "and takes other cotangents" in message_of(square(backward), "linearity")
