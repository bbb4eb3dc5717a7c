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


class Dense:
    """x w with its parameter inside, which a wrong one updates by itself."""

    def __init__(self):
        self.w = np.ones((2, 3))

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, dout):
        self.dw = self.x.T @ dout
        return dout @ self.w.T


class UpdatesItself(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.w -= 0.1 * self.dw
        return dx


class NormalisesItself(Dense):
    def forward(self, x):
        out = super().forward(x)
        self.w /= 2
        return out

    def backward(self, dout):
        self.dw = self.x.T @ dout
        return dout @ (2 * self.w).T


def test_parameters_inside_a_layer_object_are_watched():
    def declared(make):
        return gradcheck.layer(make, params=["w"], grads={"w": "dw"}, x="N 2", name="dense")

    assert_passes(declared(Dense), "purity")
    assert "dense: the backward writes into w [2, 3]" in message_of(
        declared(UpdatesItself), "purity"
    )
    assert "dense: the forward writes into w [2, 3]" in message_of(
        declared(NormalisesItself), "purity"
    )


def torch_double(forward, backward):
    torch = pytest.importorskip("torch")

    class Double(torch.autograd.Function):
        pass

    Double.forward, Double.backward = staticmethod(forward), staticmethod(backward)
    return gradcheck.torch_function(Double, x="N")


def twice(ctx, x):
    ctx.save_for_backward(x)
    return 2 * x


def in_place_undeclared(ctx, x):
    out = 2 * x
    x.zero_()
    return out


def in_place_declared(ctx, x):
    ctx.mark_dirty(x)
    return x.mul_(2)


def into_the_saved_input(ctx, g):
    (x,) = ctx.saved_tensors
    x.zero_()
    return 2 * g


@pytest.mark.parametrize(
    ("forward", "backward", "words"),
    [
        (twice, lambda ctx, g: g.mul_(2), "the backward writes into the cotangent ["),
        (twice, into_the_saved_input, "the backward writes into x ["),
        (in_place_undeclared, lambda ctx, g: 2 * g, "the forward writes into x ["),
    ],
    ids=["cotangent", "saved input", "input"],
)
def test_a_torch_function_that_writes_into_what_is_not_its_own_fails(forward, backward, words):
    assert words in message_of(torch_double(forward, backward), "purity")


@pytest.mark.parametrize("forward", [twice, in_place_declared])
def test_a_torch_function_that_declares_what_it_writes_into_passes(forward):
    assert_passes(torch_double(forward, lambda ctx, g: 2 * g), "purity")


def test_arrays_of_jax_cannot_be_changed():
    jax = pytest.importorskip("jax")
    assert_does_not_apply(gradcheck.jax_rule(jax.nn.relu, x="N"), "purity", "cannot be changed")
