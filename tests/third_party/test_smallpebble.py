"""smallpebble 3.0.5: operations on variables, each with the functions that pull a gradient back."""

import numpy as np
import pytest

import gradcheck
from tests.third_party.central import agree, slopes

pytest.importorskip("smallpebble", reason="smallpebble is not installed (see docs/third-party.md)")

import smallpebble as sp

pytestmark = pytest.mark.third_party


def recorded(function, **declared):
    """Declare a function of variables. smallpebble differentiates the sum of its output's entries."""

    def forward(*inputs):
        variables = [sp.Variable(value) if _is_real(value) else value for value in inputs]
        output = function(*variables)
        return output.array, (output, variables)

    def backward(dout, cache):
        output, variables = cache
        gradients = sp.get_gradients(sp.mul(output, sp.Variable(dout)))
        return [gradients.get(v) if isinstance(v, sp.Variable) else None for v in variables]

    return gradcheck.pair(forward, backward, **declared)


def _is_real(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def fails(why):
    return {"expected_failures": {"gradient": why}}


one_of, integers, positive = gradcheck.one_of, gradcheck.integers, gradcheck.positive
paddings, strides = one_of("SAME", "VALID"), one_of((1, 1), (2, 1), (1, 2))

add = recorded(sp.add, a="N D", b="D")
sub = recorded(sp.sub, a="N 1", b="N D")
mul = recorded(sp.mul, a="N D", b="1 D")
div = recorded(sp.div, a="N D", b=positive("D"))
neg = recorded(sp.neg, a="N D")
exp = recorded(sp.exp, a="N D")
log = recorded(sp.log, a=positive("N D"))
square = recorded(sp.square, a="N D")
leaky_relu = recorded(sp.leaky_relu, a="N D")
matmul = recorded(sp.matmul, a="N D", b="D M")
matmul_batch = recorded(sp.matmul, a="B N D", b="D M")
matrix_transpose = recorded(sp.matrix_transpose, a="B N D")
softmax = recorded(sp.softmax, a="N C", axis=one_of(-1, 0, 1))
sum_axes = recorded(sp.sum, a="A B C", axis=one_of(None, 0, 1, -1, (0, 2)))
maxax = recorded(sp.maxax, a="N D", axis=one_of(0, 1, -1))
maxax_of_three_axes = recorded(
    sp.maxax,
    a="2 3 4",
    axis=one_of(0),
    **fails("the output is transposed, and the gradient that of the right output"),
)
expand_dims = recorded(sp.expand_dims, a="N D", axis=one_of(0, 1, -1))
reshape = recorded(lambda a: sp.reshape(a, a.shape[::-1]), a="N D")
pad = recorded(
    lambda a, left, right: sp.pad(a, ((left, right), (right, 0))),
    a="N D",
    left=one_of(0, 1),
    right=one_of(0, 2),
)
getitem = recorded(sp.getitem, a="N D", indices=integers("K", below="N"))
add_at = recorded(sp.add_at, a="N D", indices=integers("K", below="N"), b="K D")
setat = recorded(
    lambda a, b: sp.setat(a, 0, b),
    a="N D",
    b="D",
    **fails("the gradient of b is 0: that of a clears the cotangent which both share"),
)
where = recorded(sp.where, condition=gradcheck.booleans("N D"), a="N D", b="D")
strided_sliding_view = recorded(
    lambda a, stride: sp.strided_sliding_view(a, (2, 1), (stride, 1)),
    a="N+1 D",
    stride=one_of(1, 2),
)
conv2d = recorded(sp.conv2d, images="N H W C", kernels="k l C O", padding=paddings, strides=strides)
maxpool2d = recorded(
    lambda images, padding, strides: sp.maxpool2d(images, 2, 3, padding, strides),
    images="N H+1 W+2 C",
    padding=paddings,
    strides=strides,
)

RNG = np.random.default_rng(0)


def test_the_maximum_over_the_first_of_three_axes_is_transposed_and_its_gradient_is_not():
    a, dout = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(1, 3, 4))
    variable = sp.Variable(a)
    output = sp.maxax(variable, 0)
    right = np.max(a, axis=0)
    assert not agree(output.array[0], right)
    assert agree(output.array[0], right.T.reshape(3, 4))
    claimed = sp.get_gradients(sp.mul(output, sp.Variable(dout)))[variable]
    assert agree(claimed, slopes(lambda a: np.sum(dout * np.max(a, axis=0)), a))
    assert not agree(claimed, slopes(lambda a: np.sum(dout * sp.maxax(sp.Variable(a), 0).array), a))


def test_what_setat_sets_has_the_gradient_zero():
    a, b = sp.Variable(np.ones((3, 2))), sp.Variable(np.array([5.0, 7.0]))
    claimed = sp.get_gradients(sp.setat(a, 0, b))

    def total(b):
        return np.sum(sp.setat(a, 0, sp.Variable(b)).array)

    assert agree(claimed[b], [0.0, 0.0])
    assert agree(slopes(total, b.array), [1.0, 1.0])
