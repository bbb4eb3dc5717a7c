"""dezero 0.0.13: functions recorded on a tape of variables, each with its own backward."""

import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from tests.third_party.central import agree, slopes

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(np, "int", int, raising=False)  # removed in NumPy 1.24
    dezero = pytest.importorskip(
        "dezero", reason="dezero is not installed (see docs/third-party.md)"
    )

from dezero import Variable
from dezero import functions as F

pytestmark = pytest.mark.third_party


def recorded(function, **declared):
    """Declare a function of variables: wrap the inputs, seed the output's gradient, collect theirs."""

    def forward(*inputs):
        variables = [
            Variable(value) if isinstance(value, np.ndarray) else value for value in inputs
        ]
        output = function(*variables)
        return output.data, (output, variables)

    def backward(dout, cache):
        output, variables = cache
        output.grad = Variable(dout)
        if output.creator is not None:  # an operation that changes nothing returns its input
            output.backward()
        return [None if getattr(v, "grad", None) is None else v.grad.data for v in variables]

    return gradcheck.pair(forward, backward, **declared)


add = recorded(lambda a, b: a + b, a="N D", b="D")
subtract = recorded(lambda a, b: a - b, a="N 1", b="N D")
multiply = recorded(lambda a, b: a * b, a="N D", b="D")
divide = recorded(lambda a, b: a / b, a="N D", b=gradcheck.positive("1 D"))
negate = recorded(lambda x: -x, x="N D")
power = recorded(lambda x, c: x**c, x="N D", c=gradcheck.one_of(1, 2, 3, -1))
sin = recorded(F.sin, x="N D")
cos = recorded(F.cos, x="N D")
tanh = recorded(F.tanh, x="N D")
exp = recorded(F.exp, x="N D")
log = recorded(F.log, x=gradcheck.positive("N D"))
reshape = recorded(lambda x: F.reshape(x, (x.shape[1], x.shape[0])), x="N D")
transpose = recorded(
    lambda x, axes: F.transpose(x, axes),
    x="A B C",
    axes=gradcheck.one_of(None, (2, 0, 1), (0, 2, 1), (-1, 0, 1)),
)
sum_axis = recorded(
    lambda x, axis, keepdims: F.sum(x, axis, keepdims),
    x="A B C",
    axis=gradcheck.one_of(None, 0, 1, -1),
    keepdims=gradcheck.one_of(True, False),
)
sum_to = recorded(lambda x: F.sum_to(x, (1, x.shape[1])), x="N D")
broadcast_to = recorded(lambda x: F.broadcast_to(x, (3, *x.shape)), x="N D")
matmul = recorded(F.matmul, x="N D", W="D M")
linear = recorded(F.linear, x="N D", W="D M", b="M")
get_item = recorded(
    lambda x, rows: F.get_item(x, rows.data), x="N D", rows=gradcheck.integers("K", below="N")
)
embed_id = recorded(
    lambda rows, W: F.embed_id(rows.data, W), rows=gradcheck.integers("K", below="V"), W="V D"
)
sigmoid = recorded(F.sigmoid, x="N D")
relu = recorded(F.relu, x="N D")
leaky_relu = recorded(F.leaky_relu, x="N D")
softmax = recorded(lambda x, axis: F.softmax(x, axis), x="N C", axis=gradcheck.one_of(1, 0))
log_softmax = recorded(lambda x, axis: F.log_softmax(x, axis), x="N C", axis=gradcheck.one_of(1, 0))
mean_squared_error = recorded(F.mean_squared_error, x0="N D", x1="N D")
softmax_cross_entropy = recorded(
    lambda x, t: F.softmax_cross_entropy(x, t), x="N C", t=gradcheck.integers("N", below="C")
)
sigmoid_cross_entropy = recorded(
    lambda x, t: F.sigmoid_cross_entropy(x, t.data), x="N", t=gradcheck.integers("N", below=2)
)
binary_cross_entropy = recorded(
    lambda p, t: F.binary_cross_entropy(p, t.data),
    p=gradcheck.probabilities("N C"),
    t=gradcheck.integers("N C", below=2),
)
batch_norm = recorded(
    lambda x, gamma, beta: F.batch_nrom(x, gamma, beta, np.zeros(x.shape[1]), np.ones(x.shape[1])),
    x="N D",
    gamma="D",
    beta="D",
)
batch_norm_of_images = recorded(
    lambda x, gamma, beta: F.batch_nrom(x, gamma, beta, np.zeros(x.shape[1]), np.ones(x.shape[1])),
    x="N C H W",
    gamma="C",
    beta="C",
)

TIED = gradcheck.elements("3 4", st.sampled_from([0.0, 1.0]))
maximum = recorded(
    lambda x, axis: F.max(x, axis),
    x=TIED,
    axis=gradcheck.one_of(None, 0, 1),
    expected_failures={"gradient": "each of several tied entries gets the whole cotangent"},
)
minimum = recorded(
    lambda x, axis: F.min(x, axis),
    x=TIED,
    axis=gradcheck.one_of(None, 0, 1),
    expected_failures={"gradient": "each of several tied entries gets the whole cotangent"},
)
clip = recorded(lambda x: F.clip(x, -0.5, 1.0), x="N D")
conv2d = recorded(
    lambda x, W, b, stride, pad: F.conv2d(x, W, b, stride, pad),
    x="N C H W",
    W="O C k l",
    b="O",
    stride=gradcheck.one_of(1, 2),
    pad=gradcheck.one_of(0, 1),
    output="N O (H+2*pad-k)//stride+1 (W+2*pad-l)//stride+1",
)
deconv2d = recorded(
    lambda x, W, b, stride: F.deconv2d(x, W, b, stride),
    x="N C H W",
    W="C O k l",
    b="O",
    stride=gradcheck.one_of(1, 2),
)
pooling = recorded(
    lambda x, size, stride: F.pooling(x, size, stride),
    x="N C H+2 W+2",
    size=gradcheck.one_of(2, (1, 2), (2, 1)),
    stride=gradcheck.one_of(1, 2),
)
average_pooling = recorded(
    lambda x, size, stride: F.average_pooling(x, size, stride),
    x="N C H+1 W+1",
    size=gradcheck.one_of(2, 1),
    stride=gradcheck.one_of(1, 2),
)
im2col = recorded(
    lambda x, stride, matrix: F.im2col(x, 2, stride, 0, matrix),
    x="N C H+1 W+1",
    stride=gradcheck.one_of(1, 2),
    matrix=gradcheck.one_of(True, False),
)
dropout = recorded(F.dropout, x="N D")


def _evaluated(x):
    with dezero.test_mode():
        ones = np.ones(x.shape[1])
        return F.batch_nrom(x, ones, 0 * ones, 0 * ones, ones)


RAISING = {
    "the product of a vector and a matrix": (
        lambda x: F.matmul(x, Variable(np.ones((3, 2)))),
        (3,),
    ),
    "the product of a batch and a matrix": (
        lambda x: F.matmul(x, Variable(np.ones((3, 2)))),
        (4, 2, 3),
    ),
    "the sum over a tuple of axes": (lambda x: F.sum(x, (0, 2)), (2, 3, 4)),
    "the maximum over the last axis": (lambda x: F.max(x, axis=-1), (2, 3)),
    "average pooling of rectangles": (lambda x: F.average_pooling(x, (1, 2)), (1, 1, 4, 4)),
    "batch normalisation in test mode": (_evaluated, (3, 2)),
}


@pytest.mark.parametrize(("function", "shape"), RAISING.values(), ids=list(RAISING))
def test_six_functions_raise_in_their_backward(function, shape):
    x = Variable(np.random.default_rng(0).normal(size=shape))
    output = function(x)
    output.grad = Variable(np.ones(output.shape))
    with pytest.raises((TypeError, ValueError, IndexError)):
        output.backward()


@pytest.mark.parametrize(("function", "shape"), RAISING.values(), ids=list(RAISING))
def test_gradcheck_says_so(function, shape):
    rule = recorded(function, x=" ".join(map(str, shape)))
    report = gradcheck.verify(rule, checks=["gradient"], examples=1, seed=1)
    assert report.verdict == "fail"
    assert "its backward raised" in report.findings[0].message


@pytest.mark.parametrize("function", [F.max, F.min])
def test_the_gradient_of_a_tie_counts_the_cotangent_once_for_each_entry(function):
    """Moved together, the tied entries move their maximum by as much, once."""
    x = Variable(np.ones(3))
    function(x).backward()
    together = slopes(lambda t: function(Variable(np.ones(3) + t)).data, np.zeros(1))
    assert agree(together, [1.0])
    assert np.sum(x.grad.data) == 3.0
