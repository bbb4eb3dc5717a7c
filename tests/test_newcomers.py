"""What a newcomer gets wrong, and the sentence that each mistake ends in."""

import re

import numpy as np
import pytest

import gradcheck
from gradcheck import GradcheckError, verify
from tests.everyday import Dense


def forward(x, w, b):
    return x @ w + b, (x, w)


def backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def losses(logits, labels):
    return logits[np.arange(len(labels)), labels].sum(), None


class DenseWithoutReturn(Dense):
    def backward(self, dout):
        super().backward(dout)


def add_in_place(x):
    x += 1
    return x, None


DIMS = {"x": "N D", "w": "D M", "b": "M"}

MISTAKES = {
    "dims in the wrong order": (
        lambda: gradcheck.pair(forward, backward, x="N D", w="M D", b="M"),
        "the forward raises wherever the sizes are unequal, such as at N=.*matmul.*one name for sizes that",
    ),
    "dims that contradict": (
        lambda: gradcheck.pair(forward, backward, x="N D", w="D+1 M", b="M"),
        "no point could be drawn.*matmul.*give dimensions or domains that the forward takes",
    ),
    "sizes of a factory that nothing ties to the input": (
        lambda: gradcheck.layer(lambda H, M: Dense(H, M), x="N D", params="params", grads="grads"),
        "raises wherever the sizes are unequal.*one name for sizes that are equal",
    ),
    "a forgotten cache": (
        lambda: gradcheck.pair(lambda x, w, b: x @ w + b, backward, **DIMS),
        r"gradcheck.pair expects a forward that returns \(out, cache\): return `out, None` if there is noth",
    ),
    "a cache where none is expected": (
        lambda: gradcheck.vjp(forward, lambda dout, *inputs: backward(dout, inputs[:2]), **DIMS),
        r"gradcheck.vjp expects the output alone.*\(out, cache\) is declared by gradcheck.pair",
    ),
    "cache and output swapped": (
        lambda: gradcheck.pair(lambda x, w, b: ((x, w), x @ w + b), backward, **DIMS),
        r"called as backward\(dout, cache\) with dout \(float64\[1, 1\], float64\[1, 1\]\)",
    ),
    "a cache read in the wrong order": (
        lambda: gradcheck.pair(
            forward, lambda dout, cache: backward(dout, (cache[1], cache[0])), **DIMS
        ),
        r"raised ValueError at \(float64|the gradient of . has shape|is wrong in 1 of 1 entry",
    ),
    "a wrong name": (
        lambda: gradcheck.pair(forward, backward, x="N D", W="D M", b="M"),
        "forward has no parameter 'W'; did you mean 'w'. Its parameters are x, w, b",
    ),
    "a forgotten input": (
        lambda: gradcheck.pair(forward, backward, x="N D", w="D M"),
        "nothing says what the parameter 'b' of forward is; add its dimensions, such as b='N D'",
    ),
    "a misspelt option": (
        lambda: gradcheck.pair(forward, backward, outptu="N M", **DIMS),
        "no parameter 'outptu'; did you mean 'output'",
    ),
    "labels as floats": (
        lambda: gradcheck.pair(losses, lambda dout, _: None, logits="N C", labels="N"),
        r"IndexError.*such as gradcheck.integers\('N', below='C'\) for labels",
    ),
    "a forgotten tuple": (
        lambda: gradcheck.pair(forward, lambda dout, cache: dout @ cache[1].T, **DIMS),
        r"returned float64\[1, 1\] for the 3 inputs x, w, b; return one gradient per input in that order",
    ),
    "a missing return": (
        lambda: gradcheck.pair(forward, lambda dout, cache: None, **DIMS),
        "returned None for the 3 inputs x, w, b .a return is missing",
    ),
    "a missing return in a layer": (
        lambda: gradcheck.layer(DenseWithoutReturn, x="N D", params="params", grads="grads"),
        r"returned None for x \(a return is missing\?\); return \(None,\) if the layer claims no gradient",
    ),
    "arguments of the backward swapped": (
        lambda: gradcheck.pair(forward, lambda cache, dout: backward(dout, cache), **DIMS),
        r"raised ValueError.*it was called as backward\(dout, cache\) with dout float64\[1, 1\]",
    ),
    "a backward of the cotangent alone": (
        lambda: gradcheck.vjp(lambda x: x**2, lambda dout: 2 * dout, x="N"),
        r"takes 1 positional argument but 2 were given.*it was called as vjp\(dout, \*inputs\)",
    ),
    "a gradient transposed": (
        lambda: gradcheck.pair(
            forward, lambda dout, c: (dout @ c[1].T, dout.T @ c[0], dout.sum(axis=0)), **DIMS
        ),
        r"the gradient of w has shape \(2, 1\), w has \(1, 2\): it is transposed",
    ),
    "a forward that works in place": (
        lambda: gradcheck.pair(add_in_place, lambda dout, _: dout, x="N"),
        "the forward writes into x .*a caller who uses the array again gets a wrong number; work on a copy",
    ),
    "a keyword-only argument": (
        lambda: gradcheck.vjp(lambda x, *, scale: x * scale, lambda dout, x: dout, x="N"),
        "scale is a keyword-only parameter.*wrap it: lambda x, scale: f.x, scale=scale",
    ),
    "a layer in place of its factory": (
        lambda: gradcheck.layer(Dense(2, 3), x="N D", params="params", grads="grads"),
        "not a factory; pass the class, or a function that returns a new layer",
    ),
    "a layer without params": (
        lambda: gradcheck.layer(Dense, x="N D"),
        "'M', which make takes, is no dimension.*say where the parameters are, such as params='params'",
    ),
    "a layer without grads": (
        lambda: gradcheck.layer(Dense, x="N D", params="params"),
        "nothing says where the gradients of w, b are; name the places.*grads='grads'",
    ),
    "code of NumPy given to jax_rule": (
        lambda: gradcheck.jax_rule(lambda x: np.sin(x), x="N"),
        "does not run on JAX arrays.*written with jax.numpy: NumPy code is declared by gradcheck.pair",
    ),
    "whole numbers as inputs": (
        lambda: gradcheck.vjp(
            lambda x: x**2,
            lambda dout, x: 2 * dout * x,
            inputs=lambda rng: (rng.integers(1, 5, 3),),
        ),
        r"no input is an array of real numbers, which alone have gradients: x is int64\[3\]",
    ),
    "points as a list": (
        lambda: gradcheck.vjp(np.sin, lambda dout, x: dout, points=[(np.ones(3),)]),
        "points= is .*it takes a Hypothesis strategy of tuples of inputs",
    ),
    "expected failures as a list": (
        lambda: gradcheck.vjp(np.sin, lambda dout, x: dout, x="N", expected_failures=["dtype"]),
        "expected_failures= is ..dtype...*reason by the name of the check",
    ),
    "a misspelt check": (
        lambda: gradcheck.vjp(
            np.sin, lambda dout, x: dout, x="N", expected_failures={"gradeint": "known"}
        ),
        "expected_failures=: there is no check 'gradeint'; the checks are gradient, shapes",
    ),
}


def told(declare):
    """Return what a newcomer reads: the error, or the findings and reasons of the report."""
    try:
        report = verify(declare(), seed=1, examples=8, checks=["gradient", "shapes", "purity"])
    except GradcheckError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    assert report.verdict != "pass"
    return str(report)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_a_sentence_that_helps(mistake):
    declare, sentence = MISTAKES[mistake]
    words = told(declare)
    assert re.search(sentence, words, re.DOTALL), words
    assert "Failing test case" not in words


def test_float32_inputs_are_no_mistake():
    def draw(rng):
        return tuple(rng.normal(size=size).astype(np.float32) for size in ((4, 3), (3, 2), (2,)))

    rule = gradcheck.pair(forward, backward, inputs=draw)
    report = verify(rule, seed=1, examples=8, checks=["gradient", "shapes", "dtype"])
    assert report.verdict == "pass", str(report)


def even(x):
    if any(size % 2 for size in x.shape):
        raise ValueError("heights and widths are even")
    return x**2


def test_sizes_that_a_forward_takes_now_and_then_are_no_mistake():
    rule = gradcheck.vjp(even, lambda dout, x: 2 * dout * x, x="H W")
    assert verify(rule, seed=1, examples=8, checks=["shapes"]).verdict == "pass"
