"""NumPy layers as they come, loops and masks and state: certified, and refused by a hair.

Beside the three plain faults of every layer there are three that no comparison of float64 numbers at
the drawn point can tell from rounding.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import gradcheck
from gradcheck import trees
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.programs import Programs
from gradcheck.rules import Point, claim_at
from tests.layers import all_layers
from tests.test_layers import rule_of

LAYERS = all_layers()


def point_of(rule):
    rng = np.random.default_rng(0)
    inputs = rule.inputs(rng)
    output = rule.primal(Point(inputs, None).copy().inputs)
    return Point(inputs, trees.map_leaves(lambda leaf: rng.normal(size=np.shape(leaf)), output))


def proof_at(rule, point):
    return Exact(Programs()).examine(rule, claim_at(rule, point), np.random.default_rng(1)).proof


def by_a_factor(gradient, dout, drawn):
    return gradient * (1 + 1e-13)


def by_a_neighbour(gradient, dout, drawn):
    return gradient + 1e-12 * np.roll(gradient, 1) if gradient.size > 1 else gradient * (1 - 1e-12)


def right_at_the_drawn_point(gradient, dout, drawn):
    return gradient * (np.sum(dout) / float(np.sum(drawn)))


HAIRS = (by_a_factor, by_a_neighbour, right_at_the_drawn_point)


def changed(backward, hair, drawn):
    """Return the backward with its first gradient changed by a hair."""

    def wrong(dout, cache):
        gradients = backward(dout, cache)
        done = []

        def change(leaf):
            if done or not trees.is_variable(leaf):
                return leaf
            done.append(True)
            return hair(np.asarray(leaf), dout, drawn)

        return trees.map_leaves(change, gradients)

    return wrong


def with_hair(layer, hair, point):
    rule = rule_of(layer)
    forward, backward = rule.functions
    wrong = changed(backward, hair, point.cotangent)
    return gradcheck.pair(forward, wrong, inputs=rule.inputs, name="layer")


CERTIFIED = (
    "affine", "bias", "relu", "leaky relu", "softmax", "softmax cross-entropy", "LSTM", "GRU", "attention",
    "embedding", "convolution by loops", "convolution by im2col", "max pooling", "average pooling", "dropout",
    "Huber loss", "batch norm", "layer norm", "RMS norm",
)  # fmt: skip
"""What must be certified whatever else is: the test below proves every layer of the folder."""


def test_no_layer_that_must_be_certified_is_missing():
    assert {*CERTIFIED} <= {layer.name for layer in LAYERS}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_is_certified_and_its_faults_and_hairs_are_refused(layer):
    rule = rule_of(layer)
    point = point_of(rule)
    certificate = proof_at(rule, point).certificate
    assert certificate, proof_at(rule, point).reason
    assert certificate.probability < 1e-15
    assert len(layer.faults) >= 3
    for fault in layer.faults:
        assert proof_at(rule_of(layer, fault), point).differs
    for hair in HAIRS:
        assert proof_at(with_hair(layer, hair, point), point).differs


FORMS_OF_SIGMOID = {
    "1/(1+exp(-x))": lambda x: 1 / (1 + np.exp(-x)),
    "exp(x)/(1+exp(x))": lambda x: np.exp(x) / (1 + np.exp(x)),
    "(1+tanh(x/2))/2": lambda x: (1 + np.tanh(x / 2)) / 2,
}
SLOPES_OF_SIGMOID = {
    "s(1-s)": lambda x: (lambda s: s * (1 - s))(1 / (1 + np.exp(-x))),
    "exp(x)/(1+exp(x))²": lambda x: np.exp(x) / (1 + np.exp(x)) ** 2,
    "(1-tanh²)/4": lambda x: (1 - np.tanh(x / 2) ** 2) / 4,
}
SLOPES_OF_TANH = {
    "1-tanh²": lambda x: 1 - np.tanh(x) ** 2,
    "1/cosh²": lambda x: 1 / np.cosh(x) ** 2,
}


@pytest.mark.parametrize("form", FORMS_OF_SIGMOID)
@pytest.mark.parametrize("slope", SLOPES_OF_SIGMOID)
def test_sigmoid_in_any_form_by_any_form_of_its_slope(form, slope):
    assert_told_apart(FORMS_OF_SIGMOID[form], SLOPES_OF_SIGMOID[slope])


@pytest.mark.parametrize("slope", SLOPES_OF_TANH)
def test_tanh_by_both_forms_of_its_slope(slope):
    assert_told_apart(np.tanh, SLOPES_OF_TANH[slope])


def assert_told_apart(f, slope):
    point = Point((np.array([0.3, -1.2, 2.0]),), np.array([1.0, -0.7, 0.4]))
    right = gradcheck.vjp(f, lambda g, x: g * slope(x), x="N")
    assert proof_at(right, point).certificate
    for wrong in (lambda g, x: g * slope(x) * (1 + 1e-13), lambda g, x: g * slope(x) + 1e-14 * x):
        assert proof_at(gradcheck.vjp(f, wrong, x="N"), point).differs == "x"


HARD = {
    "gelu by erf": (
        lambda x: 0.5 * x * (1 + special.erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + special.erf(x / math.sqrt(2)))
        + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        "have equal numbers and are not known to be one function",
    ),
    "softplus by logaddexp": (lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x)), ""),
    "nested roots": (
        lambda x: np.sqrt(1 + np.sqrt(1 + x**2)),
        lambda x: x / (2 * np.sqrt(1 + np.sqrt(1 + x**2)) * np.sqrt(1 + x**2)),
        "square",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_a_hard_function_is_verified_in_extended_precision_and_says_why_it_has_no_certificate(name):
    f, slope, reason = HARD[name]
    point = Point((np.linspace(0.3, 2, 8),), np.linspace(1, -0.7, 8))
    right = gradcheck.vjp(f, lambda g, x: g * slope(x), x="N")
    report = gradcheck.verify_at(right, point, checks=["gradient"])
    assert report.verdict == "pass"
    assert report.power["gradient"]["oracles"]["extended precision"] == 1
    assert report.certified is not bool(reason)
    assert not reason or "no certificate: " in str(report)
    assert reason in str(report)
    wrong = gradcheck.vjp(f, lambda g, x: g * slope(x) * (1 + 1e-11), x="N")
    assert gradcheck.verify_at(wrong, point, checks=["gradient"]).verdict == "fail"
