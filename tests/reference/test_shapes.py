"""The dimension checks say which array is wrong, in the words of the derivation."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from reference.activations import Activation
from reference.layer import affine, affine_backward
from reference.network import Pass, backward, forward, loss, loss_gradients
from reference.shapes import ShapeError, assert_elementwise, assert_product, assert_shape

WIDTHS = (5, 5, 3, 2)
"""The worked example of the derivation: W_1 is 5 × 5, W_2 is 3 × 5, W_3 is 2 × 3."""


def example(batch=1):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(m, n)) for n, m in pairwise(WIDTHS)]
    biases = [rng.normal(size=(m, 1)) for m in WIDTHS[1:]]
    x, t = rng.normal(size=(5, batch)), rng.normal(size=(2, batch))
    return weights, biases, x, t, ["tanh"] * 3


def replaced(items, index, item):
    return [item if i == index else old for i, old in enumerate(items)]


def test_the_worked_example_has_exactly_the_dimensions_of_the_derivation():
    weights, biases, x, t, names = example()
    assert [w.shape for w in weights] == [(5, 5), (3, 5), (2, 3)]

    passed = forward(weights, biases, x, names)
    gradients = backward(weights, biases, passed, t, names)

    assert [a.shape for a in passed.x] == [(5, 1), (5, 1), (3, 1), (2, 1)]
    assert (passed.x[3] - t).shape == (2, 1)
    assert gradients.delta[3].shape == (2, 1)
    assert (weights[2].T @ gradients.delta[3]).shape == (3, 1)
    assert gradients.delta[2].shape == (3, 1)
    assert (weights[1].T @ gradients.delta[2]).shape == (5, 1)
    assert gradients.delta[1].shape == (5, 1)
    assert [dw.shape for dw in gradients.weights] == [(5, 5), (3, 5), (2, 3)]
    assert [db.shape for db in gradients.biases] == [(5, 1), (3, 1), (2, 1)]


@pytest.mark.parametrize("batch", [1, 4])
def test_the_gradients_have_the_dimensions_of_what_they_are_gradients_of(batch):
    weights, biases, x, t, names = example(batch)
    dweights, dbiases, dx, dt = loss_gradients(weights, biases, x, t, names)
    assert [dw.shape for dw in dweights] == [w.shape for w in weights]
    assert [db.shape for db in dbiases] == [b.shape for b in biases]
    assert (dx.shape, dt.shape) == (x.shape, t.shape)
    assert loss(weights, biases, x, t, names).shape == ()


VIOLATED_FORWARD = {
    "an input of four elements": (
        lambda w, b, x, t: (w, b, x[:4], t),
        ("x_0", (5, 1), (4, 1), "W_1 x_0 = (5 × 5)(4 × 1)"),
    ),
    "an input that is no column": (
        lambda w, b, x, t: (w, b, x[:, 0], t),
        ("x_0", (5, -1), (5,), "W_1 x_0 = (5 × 5)(5,)"),
    ),
    "W_2 transposed": (
        lambda w, b, x, t: (replaced(w, 1, w[1].T), b, x, t),
        ("x_1", (3, 1), (5, 1), "W_2 x_1 = (5 × 3)(5 × 1)"),
    ),
    "W_3 as a vector": (
        lambda w, b, x, t: (replaced(w, 2, w[2][0]), b, x, t),
        ("W_3", (-1, 3), (3,), "W_3 x_2 = (3,)(3 × 1)"),
    ),
    "b_2 as a row, which would broadcast": (
        lambda w, b, x, t: (w, replaced(b, 1, b[1].T), x, t),
        ("b_2", (3, 1), (1, 3), "W_2 x_1 + b_2"),
    ),
    "b_2 without columns, which would broadcast": (
        lambda w, b, x, t: (w, replaced(b, 1, b[1][:, 0]), x, t),
        ("b_2", (3, 1), (3,), "W_2 x_1 + b_2"),
    ),
    "a truth as a row, which would broadcast": (
        lambda w, b, x, t: (w, b, x, t.T),
        ("t", (2, 1), (1, 2), "x_L - t = (2 × 1) - (1 × 2)"),
    ),
    "truths of another batch, which would broadcast": (
        lambda w, b, x, t: (w, b, x, np.repeat(t, 4, axis=1)),
        ("t", (2, 1), (2, 4), "x_L - t = (2 × 1) - (2 × 4)"),
    ),
}


@pytest.mark.parametrize(("violate", "wanted"), VIOLATED_FORWARD.values(), ids=VIOLATED_FORWARD)
def test_the_forward_names_the_array_that_does_not_fit(violate, wanted):
    *arrays, names = example()
    loss(*arrays, names)
    with pytest.raises(ShapeError) as caught:
        loss(*violate(*arrays), names)
    assert_says(caught.value, *wanted)


BAD_SLOPE = Activation("bad slope", np.tanh, lambda z: np.ones((z.shape[0], 2)))


def other(passed, **changes):
    """A forward pass in which x_i or z_i, as in `x_1=`, is another array."""
    x, z = list(passed.x), list(passed.z)
    for name, array in changes.items():
        (x if name[0] == "x" else z)[int(name[2:])] = array
    return Pass(x, z)


VIOLATED_BACKWARD = {
    "x_L - t": (
        lambda w, p, t: (w, p, np.ones((2, 3)), "tanh"),
        ("t", (2, 1), (2, 3), "x_3 - t = (2 × 1) - (2 × 3)"),
    ),
    "(x_L - t) ∘ f_L'": (
        lambda w, p, t: (w, other(p, z_3=np.ones((2, 2))), t, "tanh"),
        ("f_3'(W_3 x_2)", (2, 1), (2, 2), "(x_3 - t) ∘ f_3'(W_3 x_2) = (2 × 1) ∘ (2 × 2)"),
    ),
    "an activation whose f' has other dimensions": (
        lambda w, p, t: (w, p, t, BAD_SLOPE),
        ("f_3'(W_3 x_2)", (2, 1), (2, 2), "(x_3 - t) ∘ f_3'(W_3 x_2) = (2 × 1) ∘ (2 × 2)"),
    ),
    "W_{i+1}ᵀ δ_{i+1}, which f_i' would broadcast to": (
        lambda w, p, t: (w, other(p, z_2=np.ones((3, 4))), t, "tanh"),
        ("W_3ᵀ δ_3", (3, 4), (3, 1), "W_3ᵀ δ_3 = (3 × 2)(2 × 1)"),
    ),
    "W_{i+1}ᵀ δ_{i+1}, a product that does not exist": (
        lambda w, p, t: (replaced(w, 2, w[2].T), p, t, "tanh"),
        ("δ_3", (3, 1), (2, 1), "W_3ᵀ δ_3 = (2 × 3)(2 × 1)"),
    ),
    "δ_i x_{i-1}ᵀ against W_i": (
        lambda w, p, t: (w, other(p, x_1=np.ones((4, 1))), t, "tanh"),
        ("∂E/∂W_2", (3, 5), (3, 4), "δ_2 x_1ᵀ = (3 × 1)(1 × 4)"),
    ),
    "δ_i x_{i-1}ᵀ, a product that does not exist": (
        lambda w, p, t: (w, other(p, x_1=np.ones((5, 2))), t, "tanh"),
        ("x_1ᵀ", (1, 5), (2, 5), "δ_2 x_1ᵀ = (3 × 1)(2 × 5)"),
    ),
}


@pytest.mark.parametrize(("violate", "wanted"), VIOLATED_BACKWARD.values(), ids=VIOLATED_BACKWARD)
def test_the_backward_names_the_quantity_of_the_derivation_that_is_violated(violate, wanted):
    weights, biases, x, t, names = example()
    passed = forward(weights, biases, x, names)
    backward(weights, biases, passed, t, names)
    weights, passed, t, name = violate(weights, passed, t)
    with pytest.raises(ShapeError) as caught:
        backward(weights, biases, passed, t, [name] * 3)
    assert_says(caught.value, *wanted)


def test_the_bias_gradient_must_have_the_dimensions_of_the_bias():
    weights, biases, x, t, names = example()
    passed = forward(weights, biases, x, names)
    with pytest.raises(ShapeError) as caught:
        backward(weights, replaced(biases, 1, biases[1][:2]), passed, t, names)
    assert_says(caught.value, "∂E/∂b_2", (2, 1), (3, 1), "δ_2 1, the sum of the columns of δ_2")


VIOLATED_LAYER = {
    "the gradient of y": (
        lambda c: (np.ones((3, 4)), c),
        ("∂E/∂y", (3, 1), (3, 4), "f'(W x + b) ∘ ∂E/∂y = (3 × 1) ∘ (3 × 4)"),
    ),
    "∂E/∂W": (
        lambda c: (np.ones((3, 1)), c._replace(x=np.ones((4, 1)))),
        ("∂E/∂W", (3, 5), (3, 4), "δ xᵀ = (3 × 1)(1 × 4)"),
    ),
    "∂E/∂W, of a weight that was transposed": (
        lambda c: (np.ones((3, 1)), c._replace(w=np.ones((5, 3)))),
        ("∂E/∂W", (5, 3), (3, 5), "δ xᵀ = (3 × 1)(1 × 5)"),
    ),
}


@pytest.mark.parametrize(("violate", "wanted"), VIOLATED_LAYER.values(), ids=VIOLATED_LAYER)
def test_the_backward_of_a_layer_names_the_gradient_that_does_not_fit(violate, wanted):
    _, cache = affine(np.ones((5, 1)), np.ones((3, 5)), np.ones((3, 1)), "tanh")
    affine_backward(np.ones((3, 1)), cache)
    with pytest.raises(ShapeError) as caught:
        affine_backward(*violate(cache))
    assert_says(caught.value, *wanted)


def test_the_checks_are_silent_about_what_fits_and_are_assertions():
    a, b = np.ones((2, 3)), np.ones((3, 4))
    assert_product("a b", ("a", a), ("b", b), expected=(2, 4))
    assert_elementwise(("a", a), "∘", ("a", a))
    assert_shape(("a", a), (2, 3), "a")
    assert issubclass(ShapeError, AssertionError)


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_the_checks_stay_when_python_removes_assertions(option):
    program = (
        "import numpy as np\n"
        "from reference.network import loss\n"
        "assert False, 'removed'\n"
        "loss([np.ones((2, 3))], [None], np.ones((3, 1)), np.ones((1, 2)), ['tanh'])\n"
    )
    done = subprocess.run(
        [sys.executable, option, "-c", program], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert "ShapeError: t must be 2 × 1 but is 1 × 2, in x_L - t" in done.stderr
    assert "removed" not in done.stderr


@pytest.mark.parametrize(
    ("weights", "biases", "names", "counts"),
    [
        ([], [], [], "0 weights, 0 biases and 0 activations"),
        ([np.ones((1, 1))], [], ["tanh"], "1 weights, 0 biases and 1 activations"),
        ([np.ones((1, 1))], [None], ["tanh"] * 2, "1 weights, 1 biases and 2 activations"),
    ],
)
def test_a_network_needs_one_of_each_per_layer(weights, biases, names, counts):
    with pytest.raises(ValueError, match=f"per layer: got {counts}"):
        forward(weights, biases, np.ones((1, 1)), names)


def assert_says(error, quantity, expected, actual, product):
    assert (error.quantity, error.expected, error.actual) == (quantity, expected, actual)
    assert error.product == product
    assert f"{quantity} must be " in str(error)
    assert f", in {product}" in str(error)
    for shape in (expected, actual):
        written = " × ".join("any" if n == -1 else str(n) for n in shape)
        assert (written if len(shape) == 2 else str(shape)) in str(error)
