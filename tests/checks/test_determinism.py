"""The check `determinism`: masks that the backward draws again, and last bits that may differ."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_passes, message_of, result_of

CALLS = []


def square(backward):
    return gradcheck.vjp(lambda x: x**2, backward, x="N D", name="square")


def in_another_order(g, x):
    CALLS.append(1)
    return (g * 2 * x) * (1 + 2.0**-52 * (len(CALLS) % 2))


def test_a_last_bit_that_changes_is_rounding():
    assert_passes(square(in_another_order), "determinism")


def mask(x):
    rng = np.random.default_rng()
    return rng.random(x.shape)


def test_dropout_that_keeps_its_mask_is_left_alone():
    def forward(x):
        kept = mask(x) < 0.5
        return x * kept, kept

    rule = gradcheck.pair(forward, lambda dout, kept: dout * kept, x="N 8", name="dropout")
    result = result_of(rule, "determinism")
    assert result.verdict == "pass"
    assert "the forward draws random numbers, and its backward repeats" in result.tally.inapplicable


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (square(lambda g, x: g * 2 * x * (mask(x) < 0.9)), "differs from call to call"),
        (square(lambda g, x: g * 2 * x + 1e-3 * mask(x)), "differs from call to call"),
        (
            gradcheck.pair(
                lambda x: (x * mask(x), None),
                lambda dout, _: dout * mask(dout),
                x="N 8",
                name="redrawn",
            ),
            "differs between two backwards of the same forward",
        ),
    ],
    ids=["mask", "noise", "mask redrawn"],
)
def test_random_numbers_of_the_backward_fail(rule, words):
    message = message_of(rule, "determinism")
    assert words in message
    assert "take them from the forward" in message
