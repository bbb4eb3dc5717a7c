"""Unmodified NumPy layers, loops and masks as they come: certified, and their faults refused."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.extend import core

from gradcheck import trees
from gradcheck.oracles.exact import Certificate, Mismatch, prove_equal
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.jax_tracing import pullback_of
from gradcheck.programs.tracing import trace
from tests.layers import Pair, all_layers

PAIRS = [layer for layer in all_layers() if isinstance(layer, Pair)]


def first(program, count, point):
    """The program of the first outputs: a backward may add entries for what is no variable."""
    with enable_x64():
        return jax.make_jaxpr(lambda *xs: core.jaxpr_as_fun(program)(*xs)[:count])(*point)


def judged(layer, backward):
    inputs = layer.draw(np.random.default_rng(0))
    forward = trace(lambda *xs: layer.forward(*xs)[0], inputs)
    shapes = np.random.default_rng(2)
    dout = trees.map_leaves(lambda leaf: shapes.normal(size=np.shape(leaf)), forward.outputs)
    claimed = trace(lambda xs, g: backward(g, layer.forward(*xs)[1]), (inputs, dout))
    true = pullback_of(forward.jaxpr)
    point = [v for _, v in trees.leaves((inputs, dout)) if trees.is_variable(v)]
    count = min(len(claimed.jaxpr.out_avals), len(true.out_avals))
    programs = [first(program, count, point) for program in (claimed.jaxpr, true)]
    return prove_equal(*programs, point, np.random.default_rng(1))


@pytest.mark.parametrize("layer", PAIRS, ids=lambda layer: layer.name)
def test_a_numpy_layer_is_certified_and_its_faults_are_refused(layer):
    verdict = judged(layer, layer.backward)
    assert isinstance(verdict, Certificate)
    assert verdict.probability < 1e-15
    for fault in layer.faults:
        assert isinstance(judged(layer, fault), Mismatch)
