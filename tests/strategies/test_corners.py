"""The corners that hid real bugs: a fault planted in each is found, whoever draws the inputs."""

import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from gradcheck import verify

SEED = 1


def normal(*shapes):
    """Draw what a user would: numbers of order one, far from any corner."""
    return lambda rng: tuple(0.3 + 0.1 * rng.random(shape) for shape in shapes)


def dense(x, w):
    return x @ w


class Gain:
    """Freshly initialised to ones, which hide a factor."""

    def __init__(self, right):
        self.right, self.gain = right, np.ones(3)

    def forward(self, x):
        self.x = x
        return x * self.gain

    def backward(self, dout):
        self.dgain = (dout * self.x).sum(axis=0)
        return dout * self.gain if self.right else dout


def gain(right):
    return gradcheck.layer(
        lambda: Gain(right), inputs=normal((4, 3)), params=["gain"], grads=["dgain"]
    )


def embedding(right):
    def vjp(dout, table, indices):
        found = np.zeros_like(table)
        if right:
            np.add.at(found, indices, dout)
        else:
            found[indices] += dout
        return found

    return gradcheck.vjp(
        lambda table, indices: table[indices],
        vjp,
        table="V D",
        indices=gradcheck.integers("N", below="V"),
    )


def softmax_over(right):
    def softmax(x, axis):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def vjp(dout, x, axis):
        s = softmax(x, axis)
        return s * (dout - (dout * s).sum(axis=axis if right or axis != 0 else 1, keepdims=True))

    return gradcheck.vjp(softmax, vjp, x="N C", axis=gradcheck.one_of(1, -1, 0))


def cumulative(right):
    def vjp(dout, x):
        return np.cumsum(dout[::-1], axis=0)[::-1] if right else dout + np.roll(dout, -1, axis=0)

    return gradcheck.vjp(lambda x: np.cumsum(x, axis=0), vjp, x="T D")


def pointwise(function, right, wrong, draw=None, **options):
    """Return how a rule of an elementwise function is made, with a right derivative or a wrong one."""
    draw = normal((5,)) if draw is None else draw
    return lambda is_right: gradcheck.vjp(
        function,
        lambda dout, x: dout * (right if is_right else wrong)(x),
        inputs=draw,
        **options,
    )


def drawn_by_a_strategy(right):
    values = st.integers(3, 6).map(lambda k: (np.linspace(0.3, 0.4, k),))
    return gradcheck.vjp(
        lambda x: np.clip(x, -1, 1),
        lambda dout, x: dout * (np.abs(x) <= 1) if right else dout,
        points=values,
    )


def maximum(right):
    def vjp(dout, x, w):
        tied = x == w
        return dout * ((x > w) + (0.5 if right else 2.0) * tied), dout * ((w > x) + 0.5 * tied)

    whole = st.tuples(*[st.lists(st.integers(0, 2), min_size=3, max_size=3)] * 2)
    points = whole.map(lambda pair: tuple(np.array(part, float) for part in pair))
    return gradcheck.vjp(np.maximum, vjp, points=points)


CORNERS = {
    "parameters away from their initial values": gain,
    "repeated indices": embedding,
    "every declared choice": softmax_over,
    "more than two steps of time": cumulative,
    "sizes that are unequal": lambda right: gradcheck.vjp(
        dense,
        lambda dout, x, w: (
            dout @ w.T,
            x.T @ dout if right or x.shape[1] != w.shape[1] else (x.T @ dout).T,
        ),
        x="N D",
        w="D M",
    ),
    "a batch above one": lambda right: gradcheck.vjp(
        lambda x, b: x + b,
        lambda dout, x, b: (dout, dout.sum(axis=0) if right else dout.mean(axis=0)),
        inputs=lambda rng: (rng.normal(size=(int(rng.integers(1, 3)), 3)), rng.normal(size=3)),
    ),
    "exact zeros": pointwise(
        lambda x: x * np.abs(x),
        lambda x: 2 * np.abs(x),
        lambda x: 2 * x * x / np.abs(x),
        draw=lambda rng: (rng.normal(size=5),),
    ),
    "ties": maximum,
    "both signs": pointwise(
        np.abs, np.sign, np.ones_like, draw=lambda rng: (rng.normal(size=1) ** 3,)
    ),
    "saturation": pointwise(
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x: 1 / (2 + np.exp(x) + np.exp(-x)),
        lambda x: np.exp(x) / (1 + np.exp(x)) ** 2,
        draw=lambda rng: (rng.normal(size=5),),
    ),
    "beyond the linear region": pointwise(
        lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) <= 1, np.ones_like
    ),
    "beyond the linear region, drawn by a strategy": drawn_by_a_strategy,
    "large magnitudes": pointwise(
        lambda x: x**2, lambda x: 2 * x, lambda x: 2 * np.minimum(x, 100.0)
    ),
    "small magnitudes": pointwise(
        lambda x: x**3, lambda x: 3 * x**2, lambda x: 3 * np.where(np.abs(x) < 1e-3, 0, x**2)
    ),
    "cotangents other than ones": lambda right: gradcheck.vjp(
        lambda x: x - x.mean(),
        lambda dout, x: dout - (dout.mean() if right else dout.max()),
        inputs=normal((4,)),
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_a_fault_at_a_corner_is_found(corner):
    report = verify(CORNERS[corner](False), seed=SEED, checks=["gradient", "extremes"])
    assert report.verdict == "fail", str(report)


@pytest.mark.parametrize("corner", CORNERS)
def test_the_right_twin_passes_at_every_corner(corner):
    report = verify(CORNERS[corner](True), seed=SEED, examples=40, checks=["gradient", "extremes"])
    assert report.verdict == "pass", str(report)
