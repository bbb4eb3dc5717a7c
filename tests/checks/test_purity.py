"""The check `purity`: who writes into an array of the caller fails; who shares memory gets a note."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of


def relu(backward, forward=None, **options):
    return gradcheck.pair(
        forward or (lambda x: (np.maximum(x, 0), x)), backward, x="N D", name="relu", **options
    )


def on_a_copy(dout, x):
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx


def test_writing_into_a_copy_passes_without_a_note():
    assert not assert_passes(relu(on_a_copy), "purity").tally.notes


def test_a_gradient_that_is_the_cotangent_is_a_note_and_fails_a_strict_rule():
    def backward(dout, x):
        return dout

    rule = gradcheck.pair(lambda x: (x + 1, x), backward, x="N", name="shift")
    (note,) = assert_passes(rule, "purity").tally.notes
    assert (
        note == "the gradient of x shares memory with the cotangent: writing into one changes both"
    )
    strict = gradcheck.pair(lambda x: (x + 1, x), backward, x="N", name="shift", strict=True)
    assert "shares memory with the cotangent" in message_of(strict, "purity")


def test_two_gradients_in_one_array_are_a_note():
    def backward(dout, _):
        dx = dout * 1.0
        return dx, dx

    rule = gradcheck.pair(lambda x, y: (x + y, None), backward, x="N", y="N")
    (note,) = assert_passes(rule, "purity").tally.notes
    assert "the gradient of y shares memory with the gradient of x" in note


def into_the_cotangent(dout, x):
    dout[x <= 0] = 0
    return dout


def into_the_input(dout, x):
    x[...] = x > 0
    return dout * x


def in_place(x):
    np.maximum(x, 0, out=x)
    return x.copy(), x.copy()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            relu(into_the_cotangent),
            ["relu: the backward writes into the cotangent [", "after   0.0"],
        ),
        (relu(into_the_input), ["relu: the backward writes into x [", "before  "]),
        (relu(on_a_copy, in_place), ["relu: the forward writes into x [", "work on a copy"]),
    ],
    ids=["cotangent", "input in the backward", "input in the forward"],
)
def test_writing_into_what_is_the_callers_fails(rule, words):
    message = message_of(rule, "purity")
    assert all(word in message for word in words), message
    assert "a caller who uses the array again gets a wrong number" in message


def test_arrays_of_jax_cannot_be_changed():
    jax = pytest.importorskip("jax")
    assert_does_not_apply(gradcheck.jax_rule(jax.nn.relu, x="N"), "purity", "cannot be changed")
