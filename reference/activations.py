"""The activation functions f, each beside its derivative f'.

All act element by element, on arrays of any shape, and are finite wherever the exact value is, at
±1e3 and far beyond. A value is right to four roundings of max(1, |f|), a derivative to four of 1;
silu' and gelu', whose terms grow with z before they vanish, to 78 and 46. At its kink a function's
f' is the derivative from the left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

from reference.arrays import Array, namespace

__all__ = ["ACTIVATIONS", "Activation", "activation"]

SATURATION = 80.0
"""Where exp is cut off: 1 + exp(-80) is 1 in every format up to double-double (2^-106 = 1.2e-32),
and exp(80) = 5.5e34 is finite in float32."""

LEAK = 0.01
"""Slope of the leaky relu below 0 (Maas, Hannun & Ng 2013, section 2)."""

GELU_SCALE, GELU_CUBIC = sqrt(2 / pi), 0.044715
"""Constants of the tanh form of gelu (Hendrycks & Gimpel 2016, section 2)."""


@dataclass(frozen=True)
class Activation:
    """A function `f` of the pre-activation z = W x and its derivative `f_prime`, also of z."""

    name: str
    f: Callable[[Array], Array]
    f_prime: Callable[[Array], Array]


def identity(z: Array) -> Array:
    return z


def identity_prime(z: Array) -> Array:
    return namespace(z).ones_like(z)


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), with full relative accuracy where it is close to 0."""
    xp = namespace(z)
    e = xp.exp(xp.minimum(z, SATURATION))
    return xp.where(z < SATURATION, e / (1 + e), 1.0)


def sigmoid_prime(z: Array) -> Array:
    s = sigmoid(z)
    return s * (1 - s)


def tanh(z: Array) -> Array:
    return namespace(z).tanh(z)


def tanh_prime(z: Array) -> Array:
    return 1 - tanh(z) ** 2


def relu(z: Array) -> Array:
    return namespace(z).maximum(z, 0.0)


def relu_prime(z: Array) -> Array:
    return namespace(z).astype(z > 0, z.dtype)


def leaky_relu(z: Array) -> Array:
    return namespace(z).maximum(z, LEAK * z)


def leaky_relu_prime(z: Array) -> Array:
    return namespace(z).maximum(relu_prime(z), LEAK)


def softplus(z: Array) -> Array:
    """log(1 + exp(z)); beyond the cut-off it is z."""
    xp = namespace(z)
    return xp.log1p(xp.exp(xp.minimum(z, SATURATION))) + xp.maximum(z - SATURATION, 0.0)


def softplus_prime(z: Array) -> Array:
    return sigmoid(z)


def elu(z: Array) -> Array:
    """z above 0, exp(z) - 1 below; smooth at 0."""
    xp = namespace(z)
    return xp.maximum(z, 0.0) + xp.expm1(xp.minimum(z, 0.0))


def elu_prime(z: Array) -> Array:
    xp = namespace(z)
    return xp.exp(xp.minimum(z, 0.0))


def silu(z: Array) -> Array:
    return z * sigmoid(z)


def silu_prime(z: Array) -> Array:
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


def gelu(z: Array) -> Array:
    """z/2 (1 + tanh(u)) with u = √(2/π) (z + 0.044715 z³)."""
    return z / 2 * (1 + _gelu_tanh(z))


def gelu_prime(z: Array) -> Array:
    t, u_prime = _gelu_tanh(z), GELU_SCALE * (1 + 3 * GELU_CUBIC * _gelu_range(z) ** 2)
    return (1 + t) / 2 + z / 2 * (1 - t**2) * u_prime


def _gelu_tanh(z: Array) -> Array:
    xp, r = namespace(z), _gelu_range(z)
    return xp.where(r == z, xp.tanh(GELU_SCALE * r * (1 + GELU_CUBIC * r**2)), r / SATURATION)


def _gelu_range(z: Array) -> Array:
    # Where z³ could overflow, the tanh has long been ±1.
    return namespace(z).clip(z, -SATURATION, SATURATION)


def sine(z: Array) -> Array:
    return namespace(z).sin(z)


def sine_prime(z: Array) -> Array:
    return namespace(z).cos(z)


ACTIVATIONS: dict[str, Activation] = {
    name: Activation(name, f, f_prime)
    for name, f, f_prime in [
        ("identity", identity, identity_prime),
        ("sigmoid", sigmoid, sigmoid_prime),
        ("tanh", tanh, tanh_prime),
        ("relu", relu, relu_prime),
        ("leaky_relu", leaky_relu, leaky_relu_prime),
        ("softplus", softplus, softplus_prime),
        ("elu", elu, elu_prime),
        ("silu", silu, silu_prime),
        ("gelu", gelu, gelu_prime),
        ("sine", sine, sine_prime),
    ]
}
"""Every activation by its name."""


def activation(name: str | Activation) -> Activation:
    """Return the activation called `name`; an `Activation` of one's own is returned as it is.

    Raises:
        ValueError: there is none of that name.
    """
    if isinstance(name, Activation):
        return name
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation is called {name!r}: choose from {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
