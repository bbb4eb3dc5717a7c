"""mygrad 2.5: operations on tensors that keep what their backward needs, on a graph of their own."""

import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from tests.third_party.central import agree, slopes

pytest.importorskip("mygrad", reason="mygrad is not installed (see docs/third-party.md)")

import mygrad as mg
from mygrad import nnet

pytestmark = pytest.mark.third_party

one_of, integers, positive = gradcheck.one_of, gradcheck.integers, gradcheck.positive


def recorded(function, **declared):
    """Declare a function of tensors: wrap the inputs, seed the output's gradient, collect theirs."""

    def forward(*inputs):
        tensors = [mg.tensor(value) if _is_real(value) else value for value in inputs]
        output = function(*tensors)
        return output.data, (output, tensors)

    def backward(dout, cache):
        output, tensors = cache
        output.backward(dout)
        return [getattr(tensor, "grad", None) for tensor in tensors]

    return gradcheck.pair(forward, backward, **declared)


def _is_real(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def inside(low, high):
    return gradcheck.elements("N D", st.floats(low, high))


add = recorded(mg.add, a="N D", b="D")
multiply = recorded(mg.multiply, a="N D", b="1 D")
divide = recorded(mg.divide, a="N D", b=positive("D"))
power = recorded(mg.power, a=positive("N D"), b="D")
log1p = recorded(mg.log1p, a=positive("N D"))
logaddexp = recorded(mg.logaddexp, a="N D", b="D")
arctanh = recorded(mg.arctanh, a=inside(-0.9, 0.9))
coth = recorded(mg.math.hyperbolic_trig.funcs.coth, a=inside(0.2, 3))
csch = recorded(mg.math.hyperbolic_trig.funcs.csch, a=inside(0.2, 3))
sech = recorded(mg.math.hyperbolic_trig.funcs.sech, a=inside(-3, 3))
arccsch = recorded(mg.math.hyperbolic_trig.funcs.arccsch, a=inside(-3, -0.2))
tan = recorded(mg.tan, a=inside(-1.4, 1.4))
arccos = recorded(mg.arccos, a=inside(-0.9, 0.9))
arctan2 = recorded(mg.arctan2, a="N D", b=positive("D"))
sinc = recorded(mg.sinc, a=inside(0.1, 3))
sinc_near_zero = recorded(
    mg.sinc,
    a=gradcheck.elements("2 3", st.sampled_from([2e-8, 0.5, 1.5])),
    expected_failures={"gradient": "it cancels near 0: half of the digits and more are lost"},
)
cot = recorded(mg.math.trigonometric.funcs.cot, a=inside(0.2, 2.9))
arccsc = recorded(mg.math.trigonometric.funcs.arccsc, a=inside(-9, -1.1))
arcsec = recorded(mg.math.trigonometric.funcs.arcsec, a=inside(-9, -1.1))
absolute = recorded(mg.absolute, a="N D")
cbrt_of_negatives = recorded(mg.cbrt, a=inside(-9, -0.1))
maximum = recorded(mg.maximum, a="N D", b="D")
clip = recorded(lambda a: mg.clip(a, -0.5, 1.0), a="N D")
matmul = recorded(mg.matmul, a="B N D", b="D M")
matmul_vector = recorded(mg.matmul, a="D", b="B D M")
sum_axis = recorded(
    lambda a, axis, keepdims: mg.sum(a, axis=axis, keepdims=keepdims),
    a="A B C",
    axis=one_of(None, 0, -1, (0, 2)),
    keepdims=one_of(True, False),
)
mean = recorded(lambda a, axis: mg.mean(a, axis=axis), a="A B C", axis=one_of(None, 0, -1, (0, 2)))
var = recorded(
    lambda a, axis, ddof: mg.var(a, axis=axis, ddof=ddof),
    a="A+1 B+1",
    axis=one_of(None, 0, -1),
    ddof=one_of(0, 1),
)
std = recorded(
    lambda a, axis, ddof: mg.std(a, axis=axis, ddof=ddof),
    a="A+2 B+2",
    axis=one_of(None, 0, -1),
    ddof=one_of(0, 1),
    expected_failures={"extremes": "NaN where it is 0, a kink with the subgradient 0"},
)
max_axis = recorded(lambda a, axis: mg.max(a, axis=axis), a="N D", axis=one_of(None, 0, -1))
prod = recorded(lambda a, axis: mg.prod(a, axis=axis), a="A B", axis=one_of(None, 0, -1))
cumprod = recorded(lambda a, axis: mg.cumprod(a, axis=axis), a="A B", axis=one_of(None, 0, -1))
repeat = recorded(
    lambda a, counts, axis: mg.repeat(a, counts, axis=axis),
    a="2 2",
    counts=one_of(2, (1, 3)),
    axis=one_of(0, 1),
)
roll = recorded(
    lambda a, shift, axis: mg.roll(a, shift, axis),
    a="N D",
    shift=one_of(1, -2),
    axis=one_of(0, 1, None),
)
moveaxis = recorded(lambda a: mg.moveaxis(a, 0, 2), a="A B C")
concatenate = recorded(lambda a, b: mg.concatenate([a, b], axis=1), a="N D", b="N M")
stack = recorded(
    lambda a, b, axis: mg.stack([a, b], axis=axis), a="N D", b="N D", axis=one_of(0, 1, -1)
)
getitem = recorded(lambda a, rows: a[rows], a="N D", rows=integers("K", below="N"))
where = recorded(
    lambda mask, a, b: mg.where(mask, a, b), mask=gradcheck.booleans("N D"), a="N D", b="D"
)
einsum = recorded(lambda a, b: mg.einsum("nij,jk->ik", a, b), a="N I J", b="J K")
einsum_trace = recorded(lambda a: mg.einsum("iij->j", a), a="I I J")
norm = recorded(
    lambda a, order, axis: mg.linalg.norm(a, ord=order, axis=axis),
    a="N D",
    order=one_of(None, 1, 2, 3),
    axis=one_of(0, 1),
    expected_failures={"extremes": "NaN where it is 0, a kink with the subgradient 0"},
)
elu = recorded(lambda a: nnet.elu(a, 0.7), a="N D")
selu = recorded(nnet.selu, a="N D")
sigmoid = recorded(nnet.sigmoid, a="N D")
soft_sign = recorded(nnet.soft_sign, a="N D")
hard_tanh = recorded(nnet.hard_tanh, a="N D")
softmax = recorded(lambda a, axis: nnet.softmax(a, axis=axis), a="N C", axis=one_of(-1, 0))
logsoftmax = recorded(lambda a, axis: nnet.logsoftmax(a, axis=axis), a="N C", axis=one_of(-1, 0))
batchnorm = recorded(
    lambda x, gamma, beta: nnet.batchnorm(x, gamma=gamma, beta=beta, eps=1e-5),
    x="N C H",
    gamma="C",
    beta="C",
)
conv_nd = recorded(
    lambda x, w, stride, padding: nnet.conv_nd(x, w, stride=stride, padding=padding),
    x="N C 5 4",
    w="F C 3 2",
    stride=one_of(1, 2),
    padding=one_of(0, 1),
)
max_pool = recorded(lambda x: nnet.max_pool(x, (2, 2), 2), x="N C 4 2")
softmax_crossentropy = recorded(nnet.softmax_crossentropy, x="N C", y=integers("N", below="C"))
multiclass_hinge = recorded(nnet.multiclass_hinge, x="N C", y=integers("N", below="C"))
margin_ranking_loss = recorded(
    lambda x1, x2, y: nnet.margin_ranking_loss(x1, x2, y, 0.5), x1="N D", x2="N D", y=one_of(1, -1)
)
focal_loss = recorded(
    lambda p, y, gamma: nnet.focal_loss(p, y, alpha=0.8, gamma=gamma),
    p=gradcheck.elements("N C", st.floats(0.01, 0.99)),
    y=integers("N", below="C"),
    gamma=one_of(0, 0.5, 1, 2.0),
)
negative_log_likelihood = recorded(
    nnet.negative_log_likelihood, x="N C", y=integers("N", below="C")
)


def test_the_derivative_of_sinc_near_zero_is_off_by_more_than_a_tenth():
    """sinc(x) = 1 - (pi x)^2 / 6 + ..., so that its slope is -pi^2 x / 3, to 1e-15 of it here."""
    x = mg.tensor(np.array([1.0e-8, 2.3e-8, 7.1e-8]))
    mg.sinc(x).backward()
    true = -(np.pi**2) * x.data / 3
    assert np.max(np.abs(x.grad / true - 1)) > 0.1
    away = mg.tensor(np.array([0.4, 1.7]))
    mg.sinc(away).backward()
    assert agree(away.grad, slopes(lambda x: np.sum(np.sinc(x)), away.data))


@pytest.mark.parametrize("function", [mg.linalg.norm, mg.std])
def test_the_gradients_of_norm_and_std_are_nan_where_these_are_zero(function):
    x = mg.tensor(np.zeros(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        function(x).backward()
    assert np.all(np.isnan(x.grad))
