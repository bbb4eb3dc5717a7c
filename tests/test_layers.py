"""Layers in plain NumPy, as people write them: the right ones pass, each of three wrong ones fails."""

import pytest

import gradcheck
from tests.layers import Pair, all_layers

LAYERS = all_layers()
EXAMPLES = 12
SEED = 3


def rule_of(layer, fault=None):
    """Declare a rule of a layer, with a wrong backward or maker in place of its own if given."""
    if isinstance(layer, Pair):
        return gradcheck.pair(
            layer.forward, fault or layer.backward, inputs=layer.draw, name="layer"
        )

    def forward(x, params):
        made = (fault or layer.make)()
        made.params = params
        return made.forward(x), made

    def backward(dout, made):
        return made.backward(dout), made.grads

    def draw(rng):
        (x,) = layer.draw(rng)
        params = layer.make().params
        return x, {
            name: value + 0.3 * rng.normal(size=value.shape) for name, value in params.items()
        }

    return gradcheck.pair(forward, backward, inputs=draw, name="layer")


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_right_layer_passes_by_all_oracles_and_each_wrong_one_fails(layer):
    report = gradcheck.verify(rule_of(layer), examples=EXAMPLES, seed=SEED)
    assert report.verdict == "pass", str(report)
    oracles = report.power["gradient"]["oracles"]
    expected = {"extended precision", "autodiff", "finite differences"}
    assert {name for name, points in oracles.items() if points} == expected
    assert len(layer.faults) >= 3
    for fault in layer.faults:
        wrong = rule_of(layer, fault)
        report = gradcheck.verify(wrong, examples=EXAMPLES, seed=SEED, checks=["gradient"])
        assert report.verdict == "fail", f"{fault}: {report}"
