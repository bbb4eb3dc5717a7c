"""Right rules in plain NumPy, and points at which they are awkward: kinks, ties, scales, float32.

`RULES` holds activations, norms, losses and a few layers, each a forward with its backward written by
hand. `draw_point` draws inputs and a cotangent for one: the scales of both from 1e-9 to 1e9, some
entries at or near the rule's kinks, some equal, of a few shapes only: programs serve many points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.rules import Point

__all__ = ["RULES", "RightRule", "draw_point"]

Array = NDArray[Any]

SHAPES = ((1,), (2,), (2, 3), (4, 5))
"""Few, so that a program serves many points; one has more entries than are differenced one by one."""

FREQUENCIES = (0.5, 0.3, 0.1, 0.1)
"""How often each shape is drawn: a point of one or two entries costs a third of the others."""

LARGEST_EXPONENT = 9.0
"""Inputs and cotangents are scaled by 10 to the power of something in between minus this and this."""

WILD = 1 / 3
"""The part of the points whose inputs are scaled, and whose cotangent is."""

AWKWARD = 0.3
"""The part of the points some of whose entries are at kinks, beside them, or equal."""


@dataclass(frozen=True)
class RightRule:
    """A forward and its backward.

    Attributes:
        name: what it is called.
        family: "activation", "norm", "loss" or "layer".
        forward: inputs to the output.
        backward: cotangent and inputs to one gradient per input, or None.
        kinks: values of an entry at which it has a kink, a jump or an end of its branches.
        draw: a generator, a shape and a scale to inputs in float64.
        scalar: whether the output is a number.
    """

    name: str
    family: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    kinks: tuple[float, ...] = ()
    draw: Callable[[np.random.Generator, tuple[int, ...], float], tuple[Array, ...]] = (
        lambda rng, shape, scale: (scale * rng.normal(size=shape),)
    )


def draw_point(rule: RightRule, rng: np.random.Generator) -> Point:
    """Draw a point of `rule` in float64 or float32."""
    shape = SHAPES[rng.choice(len(SHAPES), p=FREQUENCIES)]
    inputs = rule.draw(rng, shape, _scale(rng))
    if rng.random() < AWKWARD:
        _make_awkward(inputs[0], rule.kinks, rng)
    dtype = np.float64 if rng.random() < 0.5 else np.float32
    inputs = tuple(value.astype(dtype) for value in inputs)
    with np.errstate(all="ignore"):
        output = np.asarray(rule.forward(*inputs))
    cotangent = _scale(rng) * rng.normal(size=output.shape)
    if rng.random() < 0.2:
        cotangent *= rng.random(output.shape) < 0.5
    return Point(inputs, cotangent.astype(output.dtype))


def _scale(rng: np.random.Generator) -> float:
    if rng.random() >= WILD:
        return 1.0
    return float(10 ** rng.uniform(-LARGEST_EXPONENT, LARGEST_EXPONENT))


def _make_awkward(x: Array, kinks: tuple[float, ...], rng: np.random.Generator) -> None:
    """Put entries of `x` at a kink, within 1e-1 to 1e-15 of one, or at the value of another entry."""
    chosen = rng.random(x.shape) < 0.5
    if kinks:
        values = rng.choice(kinks, x.shape)
        beside = 10 ** rng.uniform(-15, -1, x.shape) * rng.choice([-1, 1], x.shape)
        near = rng.random(x.shape) < 0.6
        x[chosen] = (values + near * beside)[chosen]
    else:
        x[chosen] = x.flat[0]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.logaddexp(x.dtype.type(0), x)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z: Array) -> Array:
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _elementwise(
    name: str,
    f: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    *kinks: float,
    draw: Any = None,
) -> RightRule:
    extra = {} if draw is None else {"draw": draw}
    return RightRule(name, "activation", lambda x: f(x), lambda g, x: g * slope(x), kinks, **extra)


def _positive(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> tuple[Array]:
    return (scale * (np.abs(rng.normal(size=shape)) + 1e-3),)


def _inside_one(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> tuple[Array]:
    return (np.tanh(2 * rng.normal(size=shape)) * (1 - 1e-3),)


GELU = np.sqrt(2 / np.pi).item()


def _gelu_inner(x: Array) -> Array:
    return np.tanh(GELU * (x + 0.044715 * x**3))


def _gelu_slope(x: Array) -> Array:
    t = _gelu_inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU * (1 + 3 * 0.044715 * x**2)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))).astype(x.dtype)


def _between(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)).astype(x.dtype)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

ACTIVATIONS = [
    _elementwise("relu", lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype), 0.0),
    _elementwise("leaky relu", lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)),
        lambda x: np.where(x > 0, x.dtype.type(1), x.dtype.type(0.01)), 0.0),
    _elementwise("relu6", lambda x: np.clip(x, 0, 6), lambda x: _between(x, 0, 6), 0.0, 6.0),
    _elementwise("elu", _elu, _elu_slope, 0.0),
    _elementwise("selu", lambda x: SELU_SCALE * _elu(x, SELU_ALPHA),
        lambda x: SELU_SCALE * _elu_slope(x, SELU_ALPHA), 0.0),
    _elementwise("gelu", lambda x: 0.5 * x * (1 + _gelu_inner(x)), _gelu_slope),
    _elementwise("silu", lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    _elementwise("mish", lambda x: x * np.tanh(softplus(x)), _mish_slope),
    _elementwise("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    _elementwise("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    _elementwise("softplus", softplus, sigmoid),
    _elementwise("log sigmoid", lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    _elementwise("softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, 0.0),
    _elementwise("hard tanh", lambda x: np.clip(x, -1, 1), lambda x: _between(x, -1, 1), -1.0, 1.0),
    _elementwise("hard sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: _between(x, -3, 3) / 6, -3.0, 3.0),
    _elementwise("hard swish", lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6)).astype(x.dtype), -3.0, 3.0),
    _elementwise("tanh shrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    _elementwise("soft shrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        lambda x: (np.abs(x) > 0.5).astype(x.dtype), -0.5, 0.5, 0.0),
    _elementwise("hard shrink", lambda x: x * (np.abs(x) > 0.5),
        lambda x: (np.abs(x) > 0.5).astype(x.dtype), -0.5, 0.5),
    _elementwise("abs", np.abs, np.sign, 0.0),
    _elementwise("square", lambda x: x**2, lambda x: 2 * x, 0.0),
    _elementwise("cube", lambda x: x**3, lambda x: 3 * x**2, 0.0),
    _elementwise("squared relu", lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0), 0.0),
    _elementwise("reciprocal", lambda x: 1 / x, lambda x: -1 / x**2, draw=_positive),
    _elementwise("exp", np.exp, np.exp, 0.0),
    _elementwise("gauss", lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)), 0.0),
    _elementwise("log", np.log, lambda x: 1 / x, draw=_positive),
    _elementwise("log1p", np.log1p, lambda x: 1 / (1 + x), draw=_positive),
    _elementwise("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), draw=_positive),
    _elementwise("sin", np.sin, np.cos, 0.0),
    _elementwise("arctan", np.arctan, lambda x: 1 / (1 + x**2), 0.0),
    _elementwise("arcsin", np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), draw=_inside_one),
    _elementwise("arctanh", np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), draw=_inside_one),
    _elementwise("sign", np.sign, np.zeros_like, 0.0),
    _elementwise("floor", np.floor, np.zeros_like, 0.0, 1.0, -2.0),
]  # fmt: skip


def _norm_backward(dn: Array, normal: Array, std: Array, axis: Any) -> Array:
    mean = dn.mean(axis=axis, keepdims=True)
    return (dn - mean - normal * (dn * normal).mean(axis=axis, keepdims=True)) / std


def _standardise(x: Array, axis: Any) -> tuple[Array, Array]:
    std = np.sqrt(x.var(axis=axis, keepdims=True) + x.dtype.type(1e-5))
    return (x - x.mean(axis=axis, keepdims=True)) / std, std


def _norm_over(axis: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(x: Array, gamma: Array, beta: Array) -> Array:
        return _standardise(x, axis)[0] * gamma + beta

    def backward(g: Array, x: Array, gamma: Array, _: Array) -> Any:
        normal, std = _standardise(x, axis)
        leading = tuple(range(x.ndim - 1))
        dx = _norm_backward(g * gamma, normal, std, axis)
        return dx, (g * normal).sum(axis=leading), g.sum(axis=leading)

    return forward, backward


def _with_gain(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float
) -> tuple[Array, Array, Array]:
    return scale * rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])


def _rms(x: Array) -> Array:
    return np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + x.dtype.type(1e-6))


def _rms_backward(g: Array, x: Array, gain: Array) -> Any:
    rms, scaled = _rms(x), g * gain
    normal = x / rms
    dx = (scaled - normal * np.mean(scaled * normal, axis=-1, keepdims=True)) / rms
    return dx, (g * normal).sum(axis=tuple(range(x.ndim - 1)))


def _length(x: Array) -> Array:
    return np.sqrt(np.sum(x**2, axis=-1, keepdims=True))


def _unit_backward(g: Array, x: Array) -> Array:
    unit = x / _length(x)
    return (g - unit * np.sum(g * unit, axis=-1, keepdims=True)) / _length(x)


def _softmax_backward(g: Array, z: Array) -> Array:
    s = softmax(z)
    return s * (g - (g * s).sum(axis=-1, keepdims=True))


NORMS = [
    RightRule("layer norm", "norm", *_norm_over(-1), draw=_with_gain),
    RightRule("batch norm", "norm", *_norm_over(0), draw=_with_gain),
    RightRule("rms norm", "norm", lambda x, gain: x / _rms(x) * gain, _rms_backward,
        draw=lambda rng, shape, scale: _with_gain(rng, shape, scale)[:2]),
    RightRule("unit length", "norm", lambda x: x / _length(x), _unit_backward),
    RightRule("softmax", "norm", lambda z: softmax(z), _softmax_backward),
    RightRule("log softmax", "norm", lambda z: log_softmax(z),
        lambda g, z: g - softmax(z) * g.sum(axis=-1, keepdims=True)),
]  # fmt: skip


def _two(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> tuple[Array, Array]:
    return scale * rng.normal(size=shape), scale * rng.normal(size=shape)


def _classes(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> tuple[Array, Array]:
    classes = shape[-1]
    return scale * rng.normal(size=shape), np.eye(classes)[rng.integers(classes, size=shape[:-1])]


def _soft_classes(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float
) -> tuple[Array, Array]:
    return scale * rng.normal(size=shape), rng.random(shape)


def _signs(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> tuple[Array, Array]:
    return scale * rng.normal(size=shape), rng.choice([-1.0, 1.0], shape)


def _chances(rng: np.random.Generator, shape: tuple[int, ...], _: float) -> tuple[Array, Array]:
    return sigmoid(2 * rng.normal(size=shape)), (rng.random(shape) < 0.5) * 1.0


def _of_difference(
    name: str, f: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> RightRule:
    """A mean over the differences of two arrays; the tie of both is where it has its kink, if any."""

    def backward(g: Array, p: Array, t: Array) -> Any:
        d = g * slope(p - t) / p.size
        return d, -d

    return RightRule(name, "loss", lambda p, t: np.mean(f(p - t)), backward, draw=_two)


def _against(
    name: str, f: Callable[..., Any], slope: Callable[..., Any], draw: Any, *kinks: float
) -> RightRule:
    """A loss whose target has no gradient."""
    return RightRule(
        name, "loss", f, lambda g, z, t: (g * slope(z, t), None), kinks=kinks, draw=draw
    )


def _cosine_backward(g: Array, p: Array, t: Array) -> Any:
    a, b = np.sqrt(np.sum(p * p)), np.sqrt(np.sum(t * t))
    u, v = p / a, t / b
    cosine = np.sum(u * v)
    return -g * (v - cosine * u) / a, -g * (u - cosine * v) / b


def _log_cosh(r: Array) -> Array:
    return np.abs(r) + np.log1p(np.exp(-2 * np.abs(r))) - np.log(2).astype(r.dtype)


LOSSES = [
    _of_difference("squared error", lambda r: r**2, lambda r: 2 * r),
    _of_difference("absolute error", np.abs, np.sign),
    _of_difference("huber", lambda r: np.where(np.abs(r) <= 1, 0.5 * r * r, np.abs(r) - 0.5),
        lambda r: np.clip(r, -1, 1)),
    _of_difference("log cosh", _log_cosh, np.tanh),
    _against("cross-entropy", lambda z, t: -np.sum(t * log_softmax(z)) / len(z),
        lambda z, t: (softmax(z) - t) / len(z),
        lambda rng, shape, scale: _classes(rng, (3, 4) if len(shape) > 1 else (1, 3), scale)),
    _against("cross-entropy with soft targets", lambda z, t: -np.sum(t * log_softmax(z)),
        lambda z, t: t.sum(axis=-1, keepdims=True) * softmax(z) - t, _soft_classes),
    _against("binary cross-entropy on logits", lambda z, t: np.mean(softplus(z) - t * z),
        lambda z, t: (sigmoid(z) - t) / z.size, _soft_classes),
    _against("binary cross-entropy", lambda p, t: -np.mean(t * np.log(p) + (1 - t) * np.log1p(-p)),
        lambda p, t: (p - t) / (p * (1 - p)) / p.size, _chances),
    _against("hinge", lambda z, t: np.mean(np.maximum(1 - t * z, 0)),
        lambda z, t: -t * (t * z < 1) / z.size, _signs, -1.0, 1.0),
    _against("squared hinge", lambda z, t: np.mean(np.maximum(1 - t * z, 0) ** 2),
        lambda z, t: -2 * t * np.maximum(1 - t * z, 0) / z.size, _signs, -1.0, 1.0),
    _against("poisson", lambda z, t: np.sum(np.exp(z) - t * z), lambda z, t: np.exp(z) - t, _soft_classes),
    RightRule("cosine distance", "loss",
        lambda p, t: 1 - np.sum(p * t) / (np.sqrt(np.sum(p * p)) * np.sqrt(np.sum(t * t))),
        _cosine_backward, draw=_two),
]  # fmt: skip


def _dense(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> tuple[Array, ...]:
    rows, columns = shape if len(shape) == 2 else (1, shape[0])
    return (
        scale * rng.normal(size=(rows, columns)),
        rng.normal(size=(columns, 3)),
        rng.normal(size=3),
    )


def _dense_tanh_backward(g: Array, x: Array, w: Array, b: Array) -> Any:
    dz = g * (1 - np.tanh(x @ w + b) ** 2)
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


def _dense_relu_backward(g: Array, x: Array, w: Array, b: Array) -> Any:
    dz = g * (x @ w + b > 0)
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


def _maximum_backward(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    where = np.expand_dims(np.argmax(x, axis=-1), -1)
    np.put_along_axis(dx, where, np.expand_dims(g, -1), axis=-1)
    return dx


LAYERS = [
    RightRule("dense, tanh", "layer", lambda x, w, b: np.tanh(x @ w + b), _dense_tanh_backward, draw=_dense),
    RightRule("dense, relu", "layer", lambda x, w, b: np.maximum(x @ w + b, 0), _dense_relu_backward,
        draw=_dense),
    RightRule("maximum", "layer", lambda x: x.max(axis=-1), _maximum_backward),
    RightRule("product", "layer", lambda x, y: x * y, lambda g, x, y: (g * y, g * x), draw=_two),
]  # fmt: skip

RULES = [*ACTIVATIONS, *NORMS, *LOSSES, *LAYERS]
