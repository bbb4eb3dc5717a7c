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
    notes = assert_passes(square(in_another_order), "determinism").tally.notes
    assert notes == {"gradients differ from call to call by about 1e-16": notes.total()} != {}


def test_a_backward_that_is_always_the_same_has_no_spread_to_report():
    rule = square(lambda g, x: g * 2 * x)
    assert not assert_passes(rule, "determinism").tally.notes


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


class Tape:
    """Dropout on a tape: the gradient of the input is added to until the caller clears it."""

    def __init__(self, x):
        self.kept, self.grad = mask(x) < 0.5, np.zeros_like(x)

    def backward(self, dout):
        self.grad = self.grad + dout * self.kept
        return self.grad


class RedrawingTape(Tape):
    def backward(self, dout):
        self.kept = mask(dout) < 0.5
        return super().backward(dout)


def on_a_tape(tape):
    def forward(x):
        cache = tape(x)
        return x * cache.kept, cache

    return gradcheck.pair(forward, lambda dout, tape: tape.backward(dout), x="N 8", name="tape")


def test_dropout_whose_gradients_add_up_is_left_alone():
    result = result_of(on_a_tape(Tape), "determinism")
    assert result.verdict == "pass"
    assert "its backward repeats" in result.tally.inapplicable.most_common()[0][0]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            square(lambda g, x: g * 2 * x * (mask(x) < 0.9)),
            ["differs from call to call", "drops entries at random, and the forward does not"],
        ),
        (
            square(lambda g, x: g * 2 * x + 1e-3 * mask(x)),
            ["differs from call to call", "random numbers of its own, or what earlier calls left"],
        ),
        (
            square(lambda g, x: g * 2 * x * (1 + len(CALLS.append(1) or CALLS))),
            ["differs from call to call", "random numbers of its own, or what earlier calls left"],
        ),
        (
            gradcheck.pair(
                lambda x: (x * mask(x), None),
                lambda dout, _: dout * mask(dout),
                x="N 8",
                name="redrawn",
            ),
            [
                "differs between two backwards of the same forward",
                "draws the forward's random numbers again; keep them in the cache",
            ],
        ),
    ],
    ids=["mask", "noise", "a count of calls", "mask redrawn"],
)
def test_random_numbers_of_the_backward_fail(rule, words):
    message = message_of(rule, "determinism")
    assert all(word in message for word in words), message
