"""The ways in which people write backwards: each declared in one line, right and with a factor wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

import gradcheck
from gradcheck import gradient, layer, one_of, pair, vjp

EXAMPLES, SEED = 6, 3
AFFINE = {"x": "N D", "w": "D M", "b": "M"}
NAMED = {"x": "N D", "params": {"w": "D M", "b": "M"}}


def verdict_of(rule):
    report = gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, checks=["gradient", "shapes"])
    return report.verdict, report


def affine(packed, unpacked, returned):
    """An affine layer that keeps its cache and returns its gradients in a way of its own."""

    def declared(factor):
        def forward(x, w, b):
            return x @ w + b, packed(x, w)

        def backward(dout, cache):
            x, w = unpacked(cache)
            return returned(dout @ w.T, factor * x.T @ dout, dout.sum(axis=0))

        return pair(forward, backward, **AFFINE)

    return declared


def affine_of_a_dict(returned):
    def declared(factor):
        def forward(x, params):
            return x @ params["w"] + params["b"], (x, params)

        def backward(dout, cache):
            x, params = cache
            return returned(dout @ params["w"].T, factor * x.T @ dout, dout.sum(axis=0))

        return pair(forward, backward, **NAMED)

    return declared


def as_tuple(*parts):
    return parts


CACHES = {
    "a cache in a tuple": affine(as_tuple, lambda c: c, as_tuple),
    "a cache in a dict": affine(lambda x, w: {"x": x, "w": w}, lambda c: c.values(), as_tuple),
    "a cache in a namespace": affine(
        lambda x, w: SimpleNamespace(x=x, w=w), lambda c: (c.x, c.w), as_tuple
    ),
    "no cache": lambda f: pair(lambda x: (3 * x, None), lambda g, _: f * 3 * g, x="N D"),
}
RETURNS = {
    "a list": affine(as_tuple, lambda c: c, lambda *parts: list(parts)),
    "a dict by name": affine(as_tuple, lambda c: c, lambda dx, dw, db: {"w": dw, "b": db, "x": dx}),
    "a dict by dname": affine(
        as_tuple, lambda c: c, lambda dx, dw, db: {"dx": dx, "dw": dw, "db": db}
    ),
    "a dict for a dict of parameters": affine_of_a_dict(
        lambda dx, dw, db: (dx, {"w": dw, "b": db})
    ),
    "one flat dict": affine_of_a_dict(lambda dx, dw, db: {"dx": dx, "dw": dw, "db": db}),
}


def in_columns(factor):
    def forward(x, w, b):
        return w @ x + b, (x, w)

    def backward(dout, cache):
        x, w = cache
        return w.T @ dout, factor * dout @ x.T, dout.sum(axis=1, keepdims=True)

    return pair(forward, backward, x="D N", w="M D", b="M 1", output="M N", batch="N")


def cross_entropy(labels, pick):
    def declared(factor):
        def forward(z, y):
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            return -np.log(pick(p, y)).mean(), (p, y)

        def backward(dout, cache):
            p, y = cache
            hot = y if y.ndim == 2 else np.eye(p.shape[1])[y]
            return factor * dout * (p - hot) / len(p)

        return pair(forward, backward, z="N C", y=labels)

    return declared


def switched_by_a_flag(factor):
    def forward(x, train=True):
        mask = (np.random.default_rng(0).random(x.shape) < 0.5) * 2.0 if train else 1.0
        return x * mask, (mask, train)

    def backward(dout, cache):
        mask, train = cache
        return dout * mask if train else factor * dout

    return pair(forward, backward, x="N D", train=one_of(True, False))


def masked(factor):
    return pair(
        lambda x, mask: (np.where(mask, x, 0.0), mask),
        lambda dout, mask: factor * np.where(mask, dout, 0.0),
        x="N D",
        mask=gradcheck.booleans("N D"),
    )


def summed_along_an_axis(factor):
    def forward(x, axis):
        return x.sum(axis), (x.shape, axis)

    def backward(dout, cache):
        shape, axis = cache
        right = np.broadcast_to(np.expand_dims(dout, axis), shape)
        return right if axis != -1 else factor * right

    return pair(forward, backward, x="N D", axis=one_of(0, 1, -1))


INPUTS = {
    "the batch in columns": in_columns,
    "whole labels without a gradient": cross_entropy(
        gradcheck.integers("N", below="C"), lambda p, y: p[np.arange(len(y)), y]
    ),
    "one-hot labels without a gradient": cross_entropy(
        gradcheck.one_hot("N C"), lambda p, y: (p * y).sum(axis=1)
    ),
    "a train and eval flag": switched_by_a_flag,
    "a mask": masked,
    "a configuration argument": summed_along_an_axis,
}


def two_outputs(factor):
    def forward(x, w):
        a = np.tanh(x @ w)
        return (a, 2 * a), (x, w, a)

    def backward(douts, cache):
        (da, db), (x, w, a) = douts, cache
        dz = (da + factor * 2 * db) * (1 - a * a)
        return dz @ w.T, x.T @ dz

    return pair(forward, backward, x="N D", w="D M", output=("N M", "N M"))


class Tape:
    """A number that remembers how it was made, as in small libraries of automatic differentiation."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, np.zeros_like(data)

    def __mul__(self, other):
        pulls = [(self, lambda g: g * other.data), (other, lambda g: g * self.data)]
        return Tape(self.data * other.data, pulls)

    def sin(self, factor):
        return Tape(np.sin(self.data), [(self, lambda g: factor * g * np.cos(self.data))])

    def backward(self, seed):
        self.grad = self.grad + seed
        for parent, pull in self.parents:
            parent.backward(pull(seed))


def on_a_tape(factor):
    def forward(x, y):
        a, b = Tape(x), Tape(y)
        out = (a * b).sin(factor) * a
        return out.data, (a, b, out)

    def backward(dout, cache):
        a, b, out = cache
        out.backward(dout)
        return a.grad, b.grad

    return pair(forward, backward, x="N", y="N")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


FORMS = {
    "several outputs with a tuple of cotangents": two_outputs,
    "a tape": on_a_tape,
    "a derivative of the input": lambda f: vjp(
        sigmoid, lambda g, z: f * g * sigmoid(z) * (1 - sigmoid(z)), z="N"
    ),
    "a derivative of the output": lambda f: pair(
        lambda z: (sigmoid(z), sigmoid(z)), lambda g, a: f * g * a * (1 - a), z="N"
    ),
    "the gradient of the first argument alone": lambda f: gradient(
        lambda w, x, y: 0.5 * np.mean((x @ w - y) ** 2),
        lambda w, x, y: f * x.T @ (x @ w - y) / len(y),
        w="D",
        x="N D",
        y="N",
    ),
}


class Gain:
    """A layer with one parameter; its subclasses leave the gradient where people leave it."""

    factor = 1.0

    def __init__(self, width):
        self.w, self.dw = np.ones(width), np.zeros(width)
        self.parameters, self.gradients = {"w": self.w}, {}

    def forward(self, x):
        self.x = x
        return x * self.w

    def parts(self, dout):
        return dout * self.w, self.factor * (dout * self.x).sum(axis=0)


class InPlace(Gain):
    def backward(self, dout):
        dx, self.dw[...] = self.parts(dout)
        return dx


class ByKey(Gain):
    def backward(self, dout):
        dx, self.gradients["dw"] = self.parts(dout)
        return dx


class Nested(Gain):
    def backward(self, dout):
        dx, dw = self.parts(dout)
        return dx, (dw,)


class Listed(Gain):
    def backward(self, dout):
        return list(self.parts(dout))


class Consumed(Gain):
    """The gradient goes to an optimizer at once, which a recorder stands in for."""

    def __init__(self, width):
        super().__init__(width)
        self.optimizer = SimpleNamespace(seen={})

    def backward(self, dout):
        dx, self.optimizer.seen["w"] = self.parts(dout)
        return dx


class WithCache(Gain):
    def forward(self, x):
        return x * self.w, x

    def backward(self, dout, cache):
        self.dw = self.factor * (dout * cache).sum(axis=0)
        return dout * self.w


class Boxed(Gain):
    """Two parameters in boxes of data and grad."""

    def __init__(self, width):
        self.gain, self.shift = (
            SimpleNamespace(data=np.full(width, start), grad=np.zeros(width))
            for start in (1.0, 0.0)
        )

    def forward(self, x):
        self.x = x
        return x * self.gain.data + self.shift.data

    def backward(self, dout):
        self.gain.grad += self.factor * (dout * self.x).sum(axis=0)
        self.shift.grad += dout.sum(axis=0)
        return dout * self.gain.data


def of_class(kind, **places):
    def declared(factor):
        made = type(kind.__name__, (kind,), {"factor": factor})
        return layer(lambda D: made(D), x="N D", **places)

    return declared


LAYERS = {
    "gradients written in place": of_class(InPlace, params=["w"], grads=["dw"]),
    "gradients by key": of_class(ByKey, params="parameters", grads="gradients"),
    "gradients returned in a tuple of their own": of_class(Nested, params=["w"]),
    "gradients returned in a list": of_class(Listed, params=["w"]),
    "gradients consumed by an optimizer": of_class(Consumed, params=["w"], grads="optimizer.seen"),
    "a cache between the methods": of_class(WithCache, params=["w"], grads=["dw"]),
    "boxes of data and grad": of_class(
        Boxed, params=["gain.data", "shift.data"], grads=["gain.grad", "shift.grad"]
    ),
}

CASES = {**CACHES, **RETURNS, **INPUTS, **FORMS, **LAYERS}


@pytest.mark.parametrize("declared", CASES.values(), ids=list(CASES))
def test_a_convention_is_understood_and_a_fault_in_it_found(declared):
    verdict, report = verdict_of(declared(1.0))
    assert verdict == "pass", str(report)
    verdict, report = verdict_of(declared(0.5))
    assert verdict == "fail", str(report)


def test_parameters_in_boxes_are_named_by_the_box():
    assert LAYERS["boxes of data and grad"](1.0).input_names == ("x", "gain", "shift")


MISTAKES = {
    "nothing": (lambda g, x, y: None, "returned None for the 2 inputs x, y (a return is missing?)"),
    "a misspelt name": (
        lambda g, wide, y: {"dwied": g, "y": g},
        "a gradient for 'dwied', which is none of the 2 inputs wide, y; did you mean 'wide'?",
    ),
}


@pytest.mark.parametrize(("backward", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_backward_that_returns_something_else_is_told_what_was_expected(backward, message):
    first = backward.__code__.co_varnames[1]
    forward = {"x": lambda x, y: x * y, "wide": lambda wide, y: wide * y}[first]
    rule = vjp(forward, backward, **{first: "N", "y": "N"})
    with pytest.raises(gradcheck.RuleError) as caught:
        verdict_of(rule)
    assert message in str(caught.value)


def test_an_input_without_a_claimed_gradient_is_named_in_a_note_and_a_claimed_one_is_not():
    """A pass must not look as if it covered what the backward left out."""

    def backward(whole):
        return lambda dout, x, b: {"x": dout} | ({"b": dout.sum(0)} if whole else {})

    def notes(whole):
        rule = gradcheck.vjp(lambda x, b: x + b, backward(whole), x="N M", b="M")
        report = gradcheck.verify(rule, examples=5, seed=1, checks=["gradient"])
        assert report.verdict == "pass"
        return report.notes

    assert "no gradient is claimed for b: nothing was compared there" in notes(whole=False)
    assert not any("no gradient is claimed" in note for note in notes(whole=True))
