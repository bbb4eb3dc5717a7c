"""The check `dtype`: float32 in, the same numbers out but for what float32 loses."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of, result_of


def square(backward, **options):
    return gradcheck.vjp(lambda x: x**2, backward, x="N", name="square", **options)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "rule",
    [
        square(lambda g, x: 2 * g * x),
        gradcheck.vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), x="N"),
        gradcheck.vjp(
            softmax,
            lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)),
            x="N D",
        ),
    ],
    ids=["square", "relu", "softmax"],
)
def test_what_float32_loses_is_no_failure(rule):
    assert not assert_passes(rule, "dtype").tally.notes


def test_float64_out_for_float32_in_is_a_note_and_fails_a_strict_rule():
    def wide(g, x):
        return (2 * g * x).astype(np.float64)

    (note,) = assert_passes(square(wide), "dtype").tally.notes
    assert note == "a gradient is in float64 where the output and all inputs are in float32"
    assert "is in float64 where" in message_of(square(wide, strict=True), "dtype")


def overflows(g, x):
    return g * x * np.asarray(1e39, x.dtype) * np.asarray(2e-39, x.dtype)


def through_whole_numbers(g, x):
    return 2 * g * (x.astype(int) if x.dtype == np.float32 else x)


def refuses(g, x):
    if x.dtype != np.float64:
        raise TypeError("float64 only")
    return 2 * g * x


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (overflows, ["has no correct digit in float32", "leaves the range of float32"]),
        (through_whole_numbers, ["has no correct digit in float32", "in float64  "]),
        (refuses, ["backward raised TypeError", "in float32"]),
    ],
)
def test_a_backward_that_fails_in_float32_is_named(backward, words):
    message = message_of(square(backward), "dtype")
    assert all(word in message for word in words), message


def test_inputs_that_are_float32_already_are_compared_with_nothing():
    rule = gradcheck.vjp(
        lambda x: x**2,
        lambda g, x: 2 * g * x,
        inputs=lambda rng: (rng.normal(size=3).astype(np.float32),),
    )
    assert not result_of(rule, "dtype").applies


def test_programs_of_jax_are_not_run_in_single_precision():
    jax = pytest.importorskip("jax")
    rule = gradcheck.jax_rule(jax.nn.relu, x="N")
    assert_does_not_apply(rule, "dtype", "evaluated in float64")


def test_digits_lost_at_the_end_of_the_range_of_float32_are_no_failure():
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def slope(g, x):
        return g * sigmoid(x) * (1 + x * (1 - sigmoid(x)))

    rule = gradcheck.vjp(lambda x: x * sigmoid(x), slope, x="")
    point = gradcheck.Point((np.array(-91.3),), np.array(1.0))
    assert gradcheck.verify_at(rule, point, checks=["dtype"]).verdict == "pass"


def log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def of_log_softmax(g, x):
    return g - np.exp(log_softmax(x)) * g.sum(axis=-1, keepdims=True)


def in_whole_numbers(g, x):
    return of_log_softmax(g, x).astype(int if g.dtype == np.float32 else g.dtype) / 1


def test_a_small_cotangent_that_is_lost_beside_a_large_one_is_no_failure():
    x = np.array([[49.5, -39.0, 27.0, -65.5]])
    point = gradcheck.Point((x,), np.array([[1e8, 1.125, 0.0, 1.0625]]))
    rule = gradcheck.vjp(log_softmax, of_log_softmax, x="N D")
    assert gradcheck.verify_at(rule, point, checks=["dtype"]).verdict == "pass"


def test_digits_lost_for_cotangents_of_one_size_are_a_failure():
    x = np.array([[3.0, 4.0, 5.0, 3.5]])
    point = gradcheck.Point((x,), np.array([[0.5, 0.25, 0.125, 0.0]]))
    rule = gradcheck.vjp(log_softmax, in_whole_numbers, x="N D")
    assert gradcheck.verify_at(rule, point, checks=["dtype"]).verdict == "fail"
