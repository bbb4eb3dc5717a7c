"""The check `extremes`: NaN and infinities where the true gradient is a number."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of


def rule(forward, backward, **options):
    options = {"x": "N", **options}
    return gradcheck.vjp(forward, backward, name="rule", **options)


def sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def norm(x):
    return np.sqrt(np.sum(x**2))


def x_log_x(x):
    return np.where(x == 0, 0.0, x * np.log(np.abs(np.where(x == 0, 1.0, x))))


RIGHT = {
    "sigmoid by its output": (sigmoid, lambda g, x: g * sigmoid(x) * (1 - sigmoid(x))),
    "a norm that is 0 at 0": (norm, lambda g, x: g * x / (norm(x) or 1.0)),
    "an infinite derivative at 0": (np.cbrt, lambda g, x: g / 3 / np.cbrt(x) ** 2),
    "a logarithmic pole of the derivative": (
        x_log_x,
        lambda g, x: g * (np.log(np.abs(x)) + 1),
    ),
    "a forward that overflows itself": (np.exp, lambda g, x: g * np.exp(x)),
    "a root at the edge of its domain": (
        lambda x: np.sqrt(np.maximum(x, 0)),
        lambda g, x: np.where(
            x > 0, g / (2 * np.sqrt(np.maximum(x, 0))), np.where(x == 0, np.inf, 0)
        ),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_finite_or_truly_infinite_passes(name):
    forward, backward = RIGHT[name]
    assert_passes(rule(lambda x: forward(x), backward), "extremes")


def by_the_exponential(g, x):
    return g * np.exp(x) / (1 + np.exp(x)) ** 2


def by_the_unit_vector(g, x):
    return g * x / norm(x)


def mask_of_infinity(g, x):
    return g * np.where(x > 0, 1, 0) * (1 / np.maximum(x, 0)) * np.maximum(x, 0)


def by_a_square(g, x):
    return -g * np.exp(-x) ** 2 / np.exp(-x)


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (rule(sigmoid, by_the_exponential), ["overflows", "true     0.0"]),
        (rule(norm, by_the_unit_vector), ["0 / 0 or 0 * inf", "is nan", "from -1 to 1, a kink"]),
        (rule(lambda x: np.maximum(x, 0), mask_of_infinity), ["0 / 0 or 0 * inf", "is nan"]),
        (rule(lambda x: np.exp(-x), by_a_square), ["where the true one is finite"]),
    ],
    ids=["exp overflows", "x / |x| at 0", "0 * inf", "the square of exp overflows"],
)
def test_what_is_not_finite_fails(faulty, words):
    message = message_of(faulty, "extremes")
    assert "where the true one is finite, at x[" in message
    assert all(word in message for word in words), message


def test_a_backward_that_raises_at_zero_fails_as_it_does_anywhere():
    def backward(g, x):
        return np.array([a * b / b for a, b in zip(g.tolist(), x.tolist(), strict=True)])

    message = message_of(rule(lambda x: x * 1.0, backward), "extremes")
    assert "its backward raised ZeroDivisionError" in message


def test_an_entry_that_overflows_in_a_large_array_is_found():
    def forward(x, w):
        return sigmoid(x * w)

    def backward(g, x, w):
        dz = by_the_exponential(g, x * w)
        return dz * w, (dz * x).sum(0)

    assert "overflows" in message_of(rule(forward, backward, x="40 30", w="30"), "extremes")


def test_positive_numbers_stay_positive_and_labels_whole():
    def forward(y, labels):
        assert np.all(y > 0)
        assert np.issubdtype(labels.dtype, np.integer)
        return np.log(y) * labels

    drawn = gradcheck.vjp(
        forward,
        lambda g, y, labels: (g * labels / y, None),
        y=gradcheck.positive("N"),
        labels=gradcheck.integers("N", below=3),
    )
    assert_passes(drawn, "extremes")


def test_inputs_that_only_the_user_can_draw_are_left_alone():
    drawn = gradcheck.vjp(
        lambda x: np.tanh(x),
        lambda g, x: g * (1 - np.tanh(x) ** 2),
        inputs=lambda rng: (rng.normal(size=3),),
    )
    assert_does_not_apply(drawn, "extremes", "no contract says which numbers")
