"""Wrong derivatives that other checkers pass: each fails, and the right one beside it passes.

Every row is decided with the forward traced, and by finite differences of the real forward alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gradcheck

EXAMPLES, SEED = 40, 7

both = pytest.mark.parametrize("trace", [True, False], ids=["traced", "untraced"])


@dataclass(frozen=True)
class Row:
    """A forward with its right backward and a wrong one, and how its inputs are drawn."""

    name: str
    forward: Any
    right: Any
    wrong: Any
    inputs: dict[str, Any]

    def __str__(self):
        return self.name


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def batch_norm(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def batch_norm_backward(g, x, third=1.0):
    y = batch_norm(x)
    inner = g - g.mean(axis=0) - third * y * (g * y).mean(axis=0)
    return inner / np.sqrt(x.var(axis=0) + 1e-5)


def but_for(place, factor):
    """Return ones in the shape of x, but for one entry."""

    def mask(x):
        ones = np.ones_like(x)
        ones.flat[place] = factor
        return ones

    return mask


def steep_beyond_two(x):
    return np.where(x > 2, 3 * x - 4, x)


def drawn(*shapes, dtype=float, offset=0.0):
    return {
        "inputs": lambda rng: tuple(
            (rng.normal(size=shape) + offset).astype(dtype) for shape in shapes
        )
    }


flipped, zeroed, last = but_for(137, -1.0), but_for(500, 0.0), but_for(-1, 1.001)
LARGE = np.append(np.full(40, 1e4), 1e-3)

ROWS = [
    Row("off by 0.05 %", lambda x: x**2, lambda g, x: g * 2 * x, lambda g, x: g * 2.001 * x, {"x": "N"}),
    Row("below any absolute tolerance, zero", lambda x: 1e-6 * x**2, lambda g, x: g * 2e-6 * x,
        lambda g, x: 0 * x, {"x": "N"}),
    Row("below any absolute tolerance, sign", lambda x: 1e-6 * x**2, lambda g, x: g * 2e-6 * x,
        lambda g, x: -g * 2e-6 * x, {"x": "N"}),
    Row("right for positive cotangents", lambda x: x**2, lambda g, x: g * 2 * x,
        lambda g, x: np.abs(g) * 2 * x, {"x": "N"}),
    Row("right for one-hot cotangents", lambda x: x**2, lambda g, x: g * 2 * x,
        lambda g, x: g * g * 2 * x, {"x": "N"}),
    Row("one flipped sign of 300", np.sin, lambda g, x: g * np.cos(x),
        lambda g, x: g * np.cos(x) * flipped(x), drawn(300)),
    Row("one flipped sign of 1000", np.sin, lambda g, x: g * np.cos(x),
        lambda g, x: g * np.cos(x) * flipped(x), drawn(1000)),
    Row("one zeroed entry of 1000 in float32", np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2),
        lambda g, x: g * (1 - np.tanh(x) ** 2) * zeroed(x), drawn(1000, dtype=np.float32)),
    Row("a small wrong entry beside large ones", lambda x: LARGE * x, lambda g, x: g * LARGE,
        lambda g, x: g * LARGE * last(x), drawn(41)),
    Row("batch norm without its third term", batch_norm, batch_norm_backward,
        lambda g, x: batch_norm_backward(g, x, 0.0), drawn((5, 3))),
    Row("softmax with a mean for a sum", softmax,
        lambda g, x: softmax(x) * (g - (g * softmax(x)).sum(-1, keepdims=True)),
        lambda g, x: softmax(x) * (g - g.mean(-1, keepdims=True)), drawn((2, 4))),
    Row("bias gradient a mean", lambda x, b: x + b, lambda g, x, b: (g, g.sum(0)),
        lambda g, x, b: (g, g.mean(0)), {"x": "N M", "b": "M"}),
    Row("transposed where square", lambda x, w: x @ w, lambda g, x, w: (g @ w.T, x.T @ g),
        lambda g, x, w: (g @ w.T, (x.T @ g).T), drawn((3, 3), (3, 3))),
    Row("a branch that is rarely entered", steep_beyond_two, lambda g, x: g * np.where(x > 2, 3, 1),
        lambda g, x: g * 1.0, {"x": "N"}),
    Row("a shape that broadcasts", lambda x, b: x + b, lambda g, x, b: (g, g.sum(0)),
        lambda g, x, b: (g, g.sum(0, keepdims=True)), {"x": "N M", "b": "M"}),
    Row("derivative at the activation", sigmoid, lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)),
        lambda g, x: g * sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))), {"x": "N"}),
    Row("missing activation derivative", lambda x, w: np.tanh(x @ w),
        lambda g, x, w: ((g * (1 - np.tanh(x @ w) ** 2)) @ w.T, x.T @ (g * (1 - np.tanh(x @ w) ** 2))),
        lambda g, x, w: (g @ w.T, x.T @ g), drawn((3, 4), (4, 2))),
    Row("missing one half", lambda x: 0.5 * x**2, lambda g, x: g * x, lambda g, x: 2 * g * x, {"x": "N"}),
    Row("missing 1/N", lambda x: x.mean(0), lambda g, x: np.tile(g / len(x), (len(x), 1)),
        lambda g, x: np.tile(g, (len(x), 1)), drawn((4, 3))),
    Row("gradients in the wrong order", lambda x, y: x * y**2, lambda g, x, y: (g * y**2, 2 * g * x * y),
        lambda g, x, y: (2 * g * x * y, g * y**2), {"x": "N", "y": "N"}),
]  # fmt: skip


def verdict(row, backward, trace):
    forward = row.forward if hasattr(row.forward, "__code__") else lambda x: row.forward(x)
    rule = gradcheck.vjp(forward, backward, name="rule", **row.inputs)
    report = gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, trace=trace, checks=["gradient"])
    return report.verdict, str(report)


@both
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_wrong_derivative_fails_and_the_right_one_passes(row, trace):
    found, text = verdict(row, row.right, trace)
    assert found == "pass", text
    found, text = verdict(row, row.wrong, trace)
    assert found == "fail", text


def at(forward, backward, x, trace, **options):
    rule = gradcheck.vjp(forward, backward, x="N", name="rule", **options)
    return gradcheck.verify_at(rule, (np.array(x),), trace=trace, checks=["gradient"])


def network(x, v, w):
    return np.tanh(np.tanh(x @ v) @ w)


def network_backward(g, x, v, w, *, last_only=False, delta_through=None):
    """The gradients of both layers; the faults leave out the first or go back through its weights."""
    a = np.tanh(x @ v)
    outer = g * (1 - np.tanh(a @ w) ** 2)
    inner = outer @ (w if delta_through is None else delta_through).T * (1 - a * a)
    if last_only:
        inner = np.zeros_like(inner)
    return inner @ v.T, x.T @ inner, a.T @ outer


def windows_of_three(x):
    return np.maximum(np.maximum(x[:-2], x[1:-1]), x[2:])


def windows_backward(g, x, *, to_all=False):
    gradient = np.zeros_like(x)
    for start in range(len(g)):
        window = x[start : start + 3]
        winners = window == window.max() if to_all else np.arange(3) == np.argmax(window)
        gradient[start : start + 3] += g[start] * winners
    return gradient


def softplus_overflowing(g, x):
    with np.errstate(all="ignore"):
        return g * np.exp(x) / (1 + np.exp(x))


def log_above_one(x):
    return np.where(x > 1, np.log(np.maximum(x, 1)), x - 1)


def log_above_one_masked_too_late(g, x):
    with np.errstate(all="ignore"):
        return g * ((x > 1) * (1 / x) + (x <= 1))


def dropout_of(seed):
    return lambda x: np.random.default_rng(seed).random(x.shape) < 0.5


DRAWN = np.random.default_rng(5)
WEIGHTS = tuple(DRAWN.normal(size=(3, 3)) for _ in range(2))

AT_A_POINT = {
    "the last layer only": (network, network_backward,
        lambda g, *xs: network_backward(g, *xs, last_only=True), (DRAWN.normal(size=(2, 3)), *WEIGHTS)),
    "the weights of another layer": (network, network_backward,
        lambda g, *xs: network_backward(g, *xs, delta_through=xs[1]), (DRAWN.normal(size=(2, 3)), *WEIGHTS)),
    "a tie of max-pooling paid twice": (windows_of_three, windows_backward,
        lambda g, x: windows_backward(g, x, to_all=True), (np.array([1.0, 1.0, 0.5, 2.0, 2.0]),)),
    "an overflow of exp": (lambda x: np.logaddexp(0, x), lambda g, x: g / (1 + np.exp(-x)),
        softplus_overflowing, (np.array([800.0, 1.0]),)),
    "zero times infinity behind a mask": (log_above_one,
        lambda g, x: g * np.where(x > 1, 1 / np.maximum(x, 1), 1), log_above_one_masked_too_late,
        (np.array([0.0, 2.0, -1.5]),)),
    "another mask than the forward's": (lambda x: x * dropout_of(3)(x) * 2.0,
        lambda g, x: g * dropout_of(3)(x) * 2.0, lambda g, x: g * dropout_of(4)(x) * 2.0,
        (DRAWN.normal(size=(3, 4)),)),
    "the derivative by the output, of the input": (sigmoid,
        lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)), lambda g, x: g * x * (1 - x),
        (np.array([0.2, -0.5, 0.9]),)),
}  # fmt: skip


@both
@pytest.mark.parametrize("name", AT_A_POINT)
def test_at_one_point_the_wrong_derivative_fails_and_the_right_one_passes(name, trace):
    forward, right, wrong, inputs = AT_A_POINT[name]
    for backward, expected in ((right, "pass"), (wrong, "fail")):
        rule = gradcheck.vjp(forward, backward, inputs=lambda rng: inputs, name="rule")
        report = gradcheck.verify_at(rule, inputs, trace=trace, checks=["gradient"])
        assert report.verdict == expected, str(report)


def relu_with(value):
    return lambda g, x: g * np.where(x > 0, 1.0, np.where(x < 0, 0.0, value))


@both
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_subgradient_of_relu_at_zero_passes_and_a_note_says_so(value, trace):
    report = at(lambda x: np.maximum(x, 0), relu_with(value), [0.0, 1.0, -1.0], trace)
    assert report.verdict == "pass"
    assert report.checks[0].tally.notes["the gradient of x passes as a subgradient at kinks"] == 1


@both
@pytest.mark.parametrize("value", [2.0, -0.001, 1.001, np.nan])
def test_what_is_no_subgradient_of_relu_at_zero_fails(value, trace):
    report = at(lambda x: np.maximum(x, 0), relu_with(value), [0.0, 1.0, -1.0], trace)
    assert report.verdict == "fail"


@both
def test_a_declared_convention_at_a_kink_is_held_to(trace):
    def forward(x):
        return np.maximum(x, 0)

    assert at(forward, relu_with(0.0), [0.0, 1.0], trace, kinks={"x": 0}).verdict == "pass"
    assert at(forward, relu_with(0.5), [0.0, 1.0], trace, kinks={"x": 0}).verdict == "fail"
    assert at(forward, relu_with(0.5), [0.0, 1.0], trace, kinks={"x": 0.5}).verdict == "pass"


@both
def test_the_slope_of_abs_at_zero_may_be_any_between_minus_one_and_one(trace):
    for value, expected in [(0.0, "pass"), (-1.0, "pass"), (5.0, "fail")]:
        report = at(
            lambda x: np.abs(x),
            lambda g, x, v=value: g * np.where(x == 0, v, np.sign(x)),
            [0.0, 2.0],
            trace,
        )
        assert report.verdict == expected


@both
def test_a_gradient_that_is_not_a_number_where_the_true_one_is_fails(trace):
    def forward(x):
        return 1 + np.sum(x**2)

    def through_the_norm(g, x):
        return g * 2 * np.sqrt(np.sum(x**2)) * (x / np.sqrt(np.sum(x**2)))

    assert at(forward, lambda g, x: g * 2 * x, [0.0, 0.0], trace).verdict == "pass"
    assert at(forward, through_the_norm, [0.0, 0.0], trace).verdict == "fail"


@pytest.mark.parametrize(
    ("kinks", "words"),
    [
        ({"y": 0}, "kinks= names 'y'; the inputs are x"),
        ({"x": "left"}, "kinks= gives 'left' for x; it takes a number"),
        (0, "kinks= is 0; it takes the derivative at a kink by the name"),
    ],
)
def test_kinks_that_make_no_sense_are_refused_with_a_sentence(kinks, words):
    with pytest.raises(gradcheck.ContractError, match=words):
        gradcheck.vjp(lambda x: x, lambda g, x: g, x="N", kinks=kinks)
