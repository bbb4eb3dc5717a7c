"""numpy-ml 0.1.2: layers that gather their gradients inside, activations with derivatives, losses."""

import collections
import collections.abc
import warnings

import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from tests.third_party.central import agree, slopes

with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it misses packages of its other parts, and has old escapes
    patch.setattr(collections, "Hashable", collections.abc.Hashable, raising=False)  # until 3.10
    numpy_ml = pytest.importorskip(
        "numpy_ml", reason="numpy-ml is not installed (see docs/third-party.md)"
    )

from numpy_ml.neural_nets import activations, layers, losses

pytestmark = pytest.mark.third_party

one_of, integers, positive = gradcheck.one_of, gradcheck.integers, gradcheck.positive


def fails(why, check="gradient"):
    return {"expected_failures": {check: why}}


def activation(make, **options):
    """Declare an activation: `fn` and `grad`, both of the input."""
    own = make()
    return gradcheck.vjp(
        lambda x: own.fn(x), lambda dout, x: dout * own.grad(x), x="N D", **options
    )


def twice(make, **options):
    """Declare the derivative of an activation with its second derivative `grad2`."""
    own = make()
    return gradcheck.vjp(
        lambda x: own.grad(x), lambda dout, x: dout * own.grad2(x), x="N D", **options
    )


sigmoid, sigmoid_twice = activation(activations.Sigmoid), twice(activations.Sigmoid)
relu = activation(activations.ReLU)
leaky_relu = activation(activations.LeakyReLU)
tanh, tanh_twice = activation(activations.Tanh), twice(activations.Tanh)
affine_activation = activation(lambda: activations.Affine(slope=2.5, intercept=-1))
elu, elu_twice = activation(lambda: activations.ELU(0.7)), twice(lambda: activations.ELU(0.7))
exponential = activation(activations.Exponential)
selu, selu_twice = activation(activations.SELU), twice(activations.SELU)
hard_sigmoid = activation(activations.HardSigmoid)
soft_plus, soft_plus_twice = activation(activations.SoftPlus), twice(activations.SoftPlus)

squared_error = gradcheck.gradient(
    lambda y, z: losses.SquaredError.loss(y, np.tanh(z)),
    lambda y, z: (None, losses.SquaredError.grad(y, np.tanh(z), z, activations.Tanh())),
    y="N D",
    z="N D",
)


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


cross_entropy = gradcheck.gradient(
    lambda y, z: losses.CrossEntropy.loss(y, _softmax(z)),
    lambda y, z: (None, losses.CrossEntropy.grad(y, _softmax(z))),
    y=gradcheck.one_hot("N C"),
    z="N C",
    derivative_of=lambda y, z: -np.sum(y * np.log(_softmax(z))),  # without the eps of 2e-16
)


def inside(low, high):
    return gradcheck.elements("N D", st.floats(low, high))


def _of_vae(y, y_pred, t_mean, t_log_var):
    found = losses.VAELoss.grad(y, y_pred, t_mean, t_log_var)
    return dict(zip(("y_pred", "t_log_var", "t_mean"), found, strict=True))


vae = gradcheck.gradient(
    losses.VAELoss.loss,
    _of_vae,
    y=integers("N D", below=2),
    y_pred=inside(0.01, 0.99),
    t_mean="N T",
    t_log_var="N T",
)
_wgan = losses.WGAN_GPLoss()
wgan_critic = gradcheck.gradient(
    lambda fake, real, slope: _wgan.loss(fake, "C", real, slope),
    lambda fake, real, slope: _wgan.grad(fake, "C", real, slope),
    fake="N",
    real="N",
    slope="N D",
    **fails("the signs of the first two gradients are reversed"),
)
wgan_generator = gradcheck.gradient(
    lambda fake: _wgan.loss(fake, "G"), lambda fake: _wgan.grad(fake, "G"), fake="N"
)


def made(layer, **sizes):
    """Return the layer with its parameters, which it otherwise makes at its first forward."""
    vars(layer).update(sizes)
    layer._init_params()
    return layer


def flushed(layer, X):
    """Run the forward as after an update: a layer keeps all its inputs until one."""
    layer.flush_gradients()
    return layer.forward(X)


parameters = {"params": "parameters", "grads": "gradients", "forward": flushed}
affine_parameters = {
    "params": {name: f"parameters['{name}']" for name in ("scaler", "intercept")},
    "grads": "gradients",
    "forward": flushed,
}

fully_connected = gradcheck.layer(
    lambda D, M: made(layers.FullyConnected(M, "Tanh"), n_in=D), X="N D", **parameters
)
softmax = gradcheck.layer(layers.Softmax, X="N C", forward=flushed)
softmax_first_axis = gradcheck.layer(
    lambda: layers.Softmax(dim=0), X="3 2", forward=flushed, **fails("it takes rows for columns")
)
softmax_of_three_axes = gradcheck.layer(layers.Softmax, X="A B C", forward=flushed)
add = gradcheck.layer(lambda: layers.Add("Tanh"), X=["N D", "N D", "N D"], forward=flushed)
multiply = gradcheck.layer(
    lambda: layers.Multiply("Sigmoid"), X=["N D", "N D", "N D"], forward=flushed
)
flatten = gradcheck.layer(
    lambda keep_dim: layers.Flatten(keep_dim),
    X="N A B",
    keep_dim=one_of("first", "last", -1),
    forward=flushed,
)
batch_norm_1d = gradcheck.layer(
    lambda D: made(layers.BatchNorm1D(), n_in=D), X="N D", **affine_parameters
)
batch_norm_2d = gradcheck.layer(
    lambda C: made(layers.BatchNorm2D(), in_ch=C), X="N H W C", **affine_parameters
)
layer_norm_1d = gradcheck.layer(lambda D: made(layers.LayerNorm1D(), n_in=D), X="N D", **parameters)


def _layer_norm(H, W, C):
    layer = layers.LayerNorm2D()
    layer._init_params((1, H, W, C))
    return layer


layer_norm_2d = gradcheck.layer(_layer_norm, X="N H W C", **parameters)
REPEATED = fails("an index that a row repeats is counted once")
embedding = gradcheck.layer(
    lambda V, D, pool: layers.Embedding(D, V, pool),
    X=integers("N K", below="V"),
    W="V D",
    pool=one_of(None),
    **parameters,
)
embedding_sum = gradcheck.layer(
    lambda D: layers.Embedding(D, 2, "sum"),
    X=integers("3 3", below=2),
    W="2 D",
    **parameters,
    **REPEATED,
)
embedding_mean = gradcheck.layer(
    lambda D: layers.Embedding(D, 2, "mean"),
    X=integers("3 3", below=2),
    W="2 D",
    **parameters,
    **REPEATED,
)


def _sparse(D, M):
    layer = layers.SparseEvolution(M)  # its own _init_params raises: binomial() knows no shape=
    mask = np.indices((D, M)).sum(axis=0) % 2.0
    layer.parameters = {"W": np.ones((D, M)), "b": np.ones((1, M)), "W_mask": mask}
    layer.gradients = {"W": np.zeros((D, M)), "b": np.zeros((1, M))}
    layer.derived_variables, layer.is_initialized = {"Z": []}, True
    return layer


sparse_evolution = gradcheck.layer(
    lambda: _sparse(4, 2),
    X="3 4",
    W="4 2",
    b="1 2",
    params={"W": "parameters['W']", "b": "parameters['b']"},
    grads="gradients",
    forward=flushed,
    **fails("dW is not masked"),
)


def _attended(layer, Q, K, V):
    layer.flush_gradients()
    return layer.forward(Q, K, V)


attention = gradcheck.layer(
    lambda scale: layers.DotProductAttention(scale=scale),
    Q="N T K",
    K="N T K",
    V="N T D",
    scale=one_of(True, False),
    **fails("flush_gradients leaves the inputs of its softmax: no second step runs", "reuse"),
    forward=_attended,
)
conv_1d = gradcheck.layer(
    lambda C, F, stride, dilation, pad: made(
        layers.Conv1D(F, 2, pad=pad, stride=stride, dilation=dilation, act_fn="Tanh"), in_ch=C
    ),
    X="N 5 C",
    b="1 1 F",
    stride=one_of(1, 2),
    dilation=one_of(0, 1),
    pad=one_of(0, 1, "causal"),
    **parameters,
)
conv_2d = gradcheck.layer(
    lambda C, F, stride, dilation, pad: made(
        layers.Conv2D(F, (2, 3), pad=pad, stride=stride, dilation=dilation), in_ch=C
    ),
    X="N 5 6 C",
    b="1 1 1 F",
    stride=one_of(1, 2),
    dilation=one_of(0, 1),
    pad=one_of(0, 1),
    **parameters,
)
deconv_2d = gradcheck.layer(
    lambda C, F, stride: made(layers.Deconv2D(F, (2, 3), stride=stride), in_ch=C),
    X="N 3 4 C",
    b="1 1 1 F",
    stride=one_of(1, 2),
    **parameters,
)
deconv_2d_padded = gradcheck.layer(
    lambda C, F: made(layers.Deconv2D(F, (3, 3), pad=1), in_ch=C),
    X="N 3 4 C",
    b="1 1 1 F",
    **parameters,
)


def _pool(C, mode, stride, pad):
    layer = made(layers.Pool2D((2, 2), stride, pad, mode))
    layer.in_ch = layer.out_ch = C
    return layer


pool_2d = gradcheck.layer(
    _pool,
    X="N 4 3 C",
    mode=one_of("max", "average"),
    stride=one_of(1, 2),
    pad=one_of(0),
    forward=flushed,
)
pool_2d_padded_average = gradcheck.layer(
    _pool, X="N 4 3 C", mode=one_of("average"), stride=one_of(1, 2), pad=one_of(1), forward=flushed
)
gates = {f"W{gate}": "D+H H" for gate in "fuco"} | {f"b{gate}": "1 H" for gate in "fuco"}
cells = {
    "params": "parameters",
    "grads": "gradients",
    **fails(
        "flush_gradients leaves no accumulator of the right kind: no second step runs", "reuse"
    ),
}


def _stepped(cell, Xt):
    if cell.X:  # as after an update
        cell.flush_gradients()
    step = cell.forward(Xt)
    return step[0] if isinstance(step, tuple) else step


rnn_cell = gradcheck.layer(
    lambda D, H: made(layers.RNNCell(H), n_in=D), Xt="N D", **cells, forward=_stepped
)
lstm_cell = gradcheck.layer(
    lambda D, H: made(layers.LSTMCell(H), n_in=D), Xt="N D", **gates, **cells, forward=_stepped
)


RNG = np.random.default_rng(0)


def run(layer, x, dout):
    """Return the layer's output and input gradient at a fresh start."""
    layer.flush_gradients()
    output = layer.forward(x)
    return output, layer.backward(np.broadcast_to(dout, output.shape))


def test_the_critic_of_wgan_has_two_gradients_of_the_other_sign():
    fake, real, slope = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(3, 2))
    loss = losses.WGAN_GPLoss()
    d_fake, d_real, _ = loss.grad(fake, "C", real, slope)
    assert agree(d_fake, -slopes(lambda fake: loss.loss(fake, "C", real, slope), fake))
    assert agree(d_real, -slopes(lambda real: loss.loss(fake, "C", real, slope), real))


def test_softmax_over_the_first_axis_takes_rows_for_columns_in_its_backward():
    x, dout = RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    layer = made(layers.Softmax(dim=0))
    true = slopes(lambda x: np.sum(dout * layer._fwd(x)), x)
    assert not agree(run(layer, x, dout)[1], true)


@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_a_pooled_embedding_counts_a_repeated_index_once(pool):
    layer, rows = layers.Embedding(2, 3, pool), np.array([[1, 1, 0]])

    def total(W):
        layer.parameters["W"] = W
        return np.sum(layer._fwd(rows))

    W = RNG.normal(size=(3, 2))
    true = slopes(total, W)
    layer.parameters["W"] = W
    run(layer, rows, 1.0)
    assert agree(2 * layer.gradients["W"][1], true[1])


def test_a_sparse_layer_moves_weights_that_it_does_not_have():
    layer, x = _sparse(2, 2), RNG.normal(size=(3, 2))
    run(layer, x, 1.0)
    masked = layer.parameters["W_mask"] == 0
    assert np.all(layer.gradients["W"][masked] != 0)  # the output does not depend on them


def test_attention_cannot_be_trained_for_two_steps():
    layer, inputs = layers.DotProductAttention(), [RNG.normal(size=(2, 3, 4)) for _ in "QKV"]
    layer.backward(layer.forward(*inputs))
    layer.update()
    with pytest.raises(AttributeError, match="'list' object has no attribute 'swapaxes'"):
        layer.backward(layer.forward(*inputs))


@pytest.mark.parametrize("kind", [layers.RNNCell, layers.LSTMCell])
def test_a_recurrent_cell_cannot_be_trained_for_two_updates(kind):
    cell, x, dout = made(kind(2), n_in=3), RNG.normal(size=(4, 3)), np.ones((4, 2))
    cell.forward(x)
    cell.backward(dout)
    cell.update()
    cell.forward(x)
    with pytest.raises(ValueError, match="could not be broadcast"):
        cell.backward(dout)


def test_the_backward_of_padded_max_pooling_raises():
    layer = _pool(1, "max", 1, 1)
    with pytest.raises(ValueError, match="zero-size array"):
        run(layer, RNG.normal(size=(1, 4, 3, 1)), 1.0)
