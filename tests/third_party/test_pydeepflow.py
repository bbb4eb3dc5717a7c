"""pydeepflow 1.0.0: activations, losses, and a batch normalisation that updates its own parameters."""

import numpy as np
import pytest

import gradcheck
from tests.third_party.central import agree, slopes

pytest.importorskip("pydeepflow", reason="pydeepflow is not installed (see docs/third-party.md)")

from pydeepflow import activations, losses
from pydeepflow.batch_normalization import BatchNormalization

pytestmark = pytest.mark.third_party

value, derivative = activations.activation, activations.activation_derivative


def of_input(name, **options):
    """Declare an activation whose derivative is a function of its input."""
    return gradcheck.vjp(
        lambda x: value(x, name, np),
        lambda dout, x: dout * derivative(x, name, np),
        x="N D",
        **options,
    )


def of_output(name, **options):
    """Declare an activation whose derivative is a function of its output."""

    def forward(x):
        y = value(x, name, np)
        return y, y

    return gradcheck.pair(
        forward, lambda dout, y: dout * derivative(y, name, np), x="N D", **options
    )


def fails(why):
    return {"expected_failures": {"gradient": why}}


relu = of_input("relu")
leaky_relu = of_input("leaky_relu")
prelu = of_input("prelu")
elu = of_input("elu")
gelu = of_input("gelu", **fails("the derivative of tanh's argument is missing"))
swish = of_input("swish")
selu = of_input("selu")
softplus = of_input("softplus")
mish = of_input(
    "mish",
    expected_failures={
        "gradient": "a wrong formula, near twice the slope for large x",
        "extremes": "exp(x) overflows, where the function does not",
    },
)
rrelu = of_input("rrelu")
hardswish = of_input("hardswish")
sigmoid = of_output("sigmoid")
softsign = of_input("softsign")
tanh = of_output("tanh")
hardtanh = of_input("hardtanh")
hardsigmoid = of_input("hardsigmoid")
tanhshrink = of_input("tanhshrink", **fails("1 - tanh(x)^2, and tanh(x)^2 is right"))
softshrink = of_input("softshrink")
hardshrink = of_input("hardshrink")
softmax = of_output("softmax", **fails("only the diagonal of the Jacobian"))


def loss(name, y_true, y_pred, **options):
    """Declare a loss with its derivative by the predictions; the targets have none."""
    f, grad = losses.get_loss_function(name), losses.get_loss_derivative(name)
    return gradcheck.gradient(
        lambda y_true, y_pred: f(y_true, y_pred, np),
        lambda y_true, y_pred: (None, grad(y_true, y_pred, np)),
        y_true=y_true,
        y_pred=y_pred,
        **options,
    )


MEAN = "the loss is a mean, and its derivative that of the sum"
labels, probabilities = gradcheck.one_hot("N 3"), gradcheck.probabilities("N 3")

mse = loss("mse", "N D", "N D")
huber = loss("huber", "2 3", "2 3", **fails(MEAN))
binary_crossentropy = loss("binary_crossentropy", labels, probabilities, **fails(MEAN))
categorical_crossentropy = loss("categorical_crossentropy", labels, probabilities, **fails(MEAN))
hinge = loss("hinge", "2 3", "2 3", **fails(MEAN))


def _normalised(x, gamma, beta):
    layer = BatchNormalization(x.shape[1])
    layer.gamma, layer.beta = gamma.copy(), beta.copy()
    return layer.normalize(x), (layer, x)


def _backprop(dout, cache):
    """It takes a step of its own: with the learning rate 1, that is the gradient."""
    layer, x = cache
    gamma, beta = layer.gamma.copy(), layer.beta.copy()
    dx = layer.backprop(x, dout, learning_rate=1.0)
    dgamma, dbeta = gamma - layer.gamma, beta - layer.beta
    layer.gamma, layer.beta = gamma, beta
    return dx, dgamma, dbeta


batch_normalization = gradcheck.pair(
    _normalised,
    _backprop,
    x="3 2",
    gamma="1 2",
    beta="1 2",
    **fails("dx is dout, and dgamma is taken with x instead of its normalised values"),
)


@pytest.mark.parametrize("name", ["gelu", "mish", "tanhshrink"])
def test_three_activations_have_other_slopes_than_their_derivatives(name):
    x = np.array([-1.5, 0.5, 2.0])
    true = slopes(lambda x: np.sum(value(x, name, np)), x)
    assert not agree(derivative(x, name, np), true)


def test_the_derivative_of_mish_overflows_where_its_function_does_not():
    x = np.array([1000.0])
    with np.errstate(over="ignore"):
        assert agree(slopes(lambda x: np.sum(value(x, "mish", np)), x), [1.0])
        assert np.isinf(derivative(x, "mish", np)[0])


def test_the_derivative_of_softmax_is_its_diagonal_alone():
    x, dout = np.array([[0.3, -1.0, 2.0]]), np.array([[1.0, 2.0, 4.0]])
    true = slopes(lambda x: np.sum(dout * value(x, "softmax", np)), x)
    y = value(x, "softmax", np)
    assert not agree(dout * derivative(y, "softmax", np), true)
    assert agree(y * (dout - np.sum(dout * y)), true)


Y_TRUE = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
Y_PRED = np.array([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("binary_crossentropy", Y_TRUE.size),
        ("categorical_crossentropy", len(Y_TRUE)),
        ("hinge", Y_TRUE.size),
        ("huber", Y_TRUE.size),
        ("mse", 1),
    ],
)
def test_the_derivatives_of_four_losses_are_those_of_the_sum(name, count):
    f, grad = losses.get_loss_function(name), losses.get_loss_derivative(name)
    true = slopes(lambda y_pred: f(Y_TRUE, y_pred, np), Y_PRED)
    assert agree(grad(Y_TRUE, Y_PRED, np), count * true)


def test_batch_normalisation_returns_its_cotangent_and_takes_another_step_than_its_gradient():
    x, dout = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [0.0], [0.0]])
    layer = BatchNormalization(1)

    def scaled(gamma):
        other = BatchNormalization(1)
        other.gamma = gamma
        return np.sum(dout * other.normalize(x))

    dgamma = slopes(scaled, layer.gamma)
    dx = slopes(lambda x: np.sum(dout * BatchNormalization(1).normalize(x)), x)
    claimed = layer.backprop(x, dout, learning_rate=1.0)
    assert not agree(claimed, dx)
    assert agree(claimed, dout)
    assert not agree(1 - layer.gamma, dgamma)
