"""Networks in which rules of JAX and torch, and random ones, stand beside others."""

import numpy as np
import pytest

import gradcheck
from tests.strategies.test_networks import _dense

SQUARED = ("h2 = half_squared_error(h1, t_2)", "loss = h2")
BEHAVIOUR = ["shapes", "layout", "purity", "reuse", "determinism"]


def dropped(x):
    kept = 2.0 * (np.random.random(x.shape) < 0.5)  # noqa: NPY002
    return x * kept, kept


class Dropout:
    """Keeps its mask; a second backward of a rule takes another object, and another mask."""

    def forward(self, x):
        y, self.kept = dropped(x)
        return y

    def backward(self, dout):
        return dout * self.kept


def pair(backward):
    return gradcheck.pair(dropped, backward, x="N D", name="dropout")


RANDOM = {
    "a pair": pair(lambda dout, kept: dout * kept),
    "an object": gradcheck.layer(Dropout, x="N D", name="dropout"),
}


@pytest.mark.parametrize("rule", RANDOM.values(), ids=list(RANDOM))
def test_a_network_with_dropout_that_keeps_its_mask_passes(rule):
    """It was accused of another gradient at the second backward, for which an object drew anew."""
    report = gradcheck.verify(
        gradcheck.network([_dense, rule]), examples=12, seed=1, trace=False, checks=BEHAVIOUR
    )
    assert not report.findings, report


def test_a_network_with_a_dropout_that_draws_its_mask_again_fails():
    network = gradcheck.network([pair(lambda dout, kept: dropped(dout)[0])])
    report = gradcheck.verify(network, examples=12, seed=1, trace=False, checks=["determinism"])
    assert "draws the forward's random numbers again" in report.findings[0].message


def jax_sine(slope):
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def sine(x):
        return jax.numpy.sin(x)

    sine.defvjp(lambda x: (jax.numpy.sin(x), x), lambda x, g: (g * slope * jax.numpy.cos(x),))
    return gradcheck.jax_rule(sine, x="N D", name="sine")


def torch_function(forward, backward):
    torch = pytest.importorskip("torch")
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return gradcheck.torch_function(
        type("Function", (torch.autograd.Function,), methods), x="N D", name="function"
    )


def torch_square(slope):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    return torch_function(forward, lambda ctx, g: g * slope * 2 * ctx.saved_tensors[0])


@pytest.mark.parametrize("made", [jax_sine, torch_square])
def test_rules_of_jax_and_torch_stand_in_networks_with_those_of_numpy(made):
    right, wrong = made(1.0), made(1.001)
    report = gradcheck.verify(gradcheck.network([_dense, right]), examples=6, seed=1)
    assert report.verdict == "pass", report
    lines = (f"h1 = {wrong.name}(x_1)", *SQUARED)
    values = {"x_1": np.ones((1, 2)), "t_2": np.zeros((1, 2))}
    report = gradcheck.verify_at(
        gradcheck.network([_dense, wrong]), (lines, values), checks=["gradient"]
    )
    assert f"{wrong.name} is wrong by itself, at what '{lines[0]}'" in report.findings[0].message


def test_a_dropout_of_torch_whose_mask_lies_as_its_input_does_passes_in_a_network():
    def forward(ctx, x):
        ctx.kept = x.detach().clone().bernoulli_(0.5)
        return x * ctx.kept

    rule = torch_function(forward, lambda ctx, g: g * ctx.kept)
    values = {"x_1": np.arange(1.0, 17.0).reshape(2, 8), "t_2": np.zeros((2, 8))}
    network, lines = gradcheck.network([rule]), ("h1 = function(x_1)", *SQUARED)
    assert gradcheck.verify_at(network, (lines, values), checks=["layout"]).verdict == "pass"
