"""Functions of one variable whose derivative at 0 is known by other means, drawn at random.

Each family is a generator of one `Case`. The derivatives are closed forms, or for networks the chain
rule by hand, in extended precision where the platform has it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FAMILIES", "Case"]

EXTENDED = np.longdouble


@dataclass(frozen=True)
class Case:
    """A function, its derivative at 0 (at a kink the interval of the one-sided ones), its scale.

    `ambiguity` is how far apart the derivatives are that the forward may equally be said to have.
    """

    f: Callable[[float], float]
    low: float
    high: float
    scale: float = 1.0
    limits: tuple[float, float] = (-math.inf, math.inf)
    ambiguity: float = 0.0


def smooth(f, derivative, **options) -> Case:
    return Case(f, float(derivative), float(derivative), **options)


def log_uniform(rng, low: float, high: float) -> float:
    return float(10.0 ** rng.uniform(math.log10(low), math.log10(high)))


ELEMENTARY = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    (np.arctan, lambda z: 1 / (1 + z * z)),
    (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    (lambda z: np.log1p(np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
    (lambda z: z * z * z - z, lambda z: 3 * z * z - 1),
    (lambda z: 1 / (3 + z * z), lambda z: -2 * z / (3 + z * z) ** 2),
    (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
    (lambda z: np.sqrt(1 + z * z), lambda z: z / np.sqrt(1 + z * z)),
    (lambda z: z, np.ones_like),
    (lambda z: z * z, lambda z: 2 * z),
]


def elementary_parts(rng):
    """A function of z around a random centre, with its derivative: f(c + b t) a + o."""
    g, slope = ELEMENTARY[rng.integers(len(ELEMENTARY))]
    centre, inner, outer = rng.uniform(-3, 3), log_uniform(rng, 0.03, 3), rng.normal()
    offset = rng.normal() * rng.choice([0.0, 1.0, 100.0])
    true = EXTENDED(outer) * EXTENDED(inner) * slope(EXTENDED(centre))
    return (lambda t: float(outer * g(centre + inner * t) + offset)), float(true)


def elementary(rng) -> Case:
    return smooth(*elementary_parts(rng))


def sums_and_products(rng) -> Case:
    (f, df), (g, dg), (h, dh) = (elementary_parts(rng) for _ in range(3))
    g0, h0 = EXTENDED(g(0.0)), EXTENDED(h(0.0))
    return smooth(lambda t: f(t) + g(t) * h(t), df + g0 * dh + h0 * dg)


def oscillating(rng) -> Case:
    frequency, phase = log_uniform(rng, 10, 1e6), rng.uniform(0, 2 * math.pi)
    return smooth(
        lambda t: math.sin(phase + frequency * t), EXTENDED(frequency) * np.cos(EXTENDED(phase))
    )


def extreme_scales(rng) -> Case:
    f, slope = elementary_parts(rng)
    size, unit = log_uniform(rng, 1e-150, 1e150), log_uniform(rng, 1e-150, 1e150)
    return smooth(lambda t: size * f(t / unit), EXTENDED(size) * EXTENDED(slope) / unit, scale=unit)


def misjudged_scale(rng) -> Case:
    f, slope = elementary_parts(rng)
    return smooth(f, slope, scale=log_uniform(rng, 1e-4, 1e4))


def several_kinks(rng) -> Case:
    """Kinks on both sides, at distances of every order, and a jump further out."""
    f, slope = elementary_parts(rng)
    places = rng.choice([-1.0, 1.0], 8) * 10.0 ** rng.uniform(-7, 0, 8)
    bends, jump = rng.normal(size=8), rng.normal() * (np.arange(8) == 0)

    def kinked(t: float) -> float:
        return float(f(t) + np.sum(np.maximum(t - places, 0) * bends + (t > places) * jump))

    return smooth(kinked, slope + bends[places < 0].sum())


EDGES = [
    (np.log, lambda x: 1 / x),
    (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    (lambda x: np.arccos(1 - x), lambda x: 1 / np.sqrt(x * (2 - x))),
    (lambda x: 1 / x, lambda x: -1 / (x * x)),
    (lambda x: x * np.log(x), lambda x: 1 + np.log(x)),
    (lambda x: np.power(x, 1.5), lambda x: 1.5 * np.sqrt(x)),
    (lambda x: np.arctanh(1 - x), lambda x: -1 / (x * (2 - x))),
]


def domain_edges(rng) -> Case:
    f, slope = EDGES[rng.integers(len(EDGES))]
    x = log_uniform(rng, 1e-9, 1.0)
    limits = (-x, math.inf) if rng.random() < 0.5 else (-math.inf, math.inf)
    return smooth(lambda t: float(f(x + t)), slope(EXTENDED(x)), limits=limits)


def hashed(t: float) -> float:
    """A standard normal number that depends on every bit of t, and on nothing else."""
    seed = np.array(t).view(np.uint64).item()
    total = 0
    for _ in range(4):
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        word = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
        total += (word ^ (word >> 31)) / 2**64 - 0.5
    return total * math.sqrt(3.0)


def noisy(rng) -> Case:
    f, slope = elementary_parts(rng)
    noise = log_uniform(rng, 1e-12, 1e-2)
    return smooth(lambda t: f(t) + noise * hashed(t), slope)


def nondeterministic(rng) -> Case:
    f, slope = elementary_parts(rng)
    noise = log_uniform(rng, 1e-15, 1e-4)
    return smooth(lambda t: f(t) + noise * rng.normal(), slope)


def rounded_values(rng) -> Case:
    f, slope = elementary_parts(rng)
    dtype = (np.float32, np.float16)[rng.integers(2)]
    return smooth(lambda t: float(dtype(f(t))), slope)


def iterative(rng) -> Case:
    """The fixed point of y = a tanh(y) + b + t, iterated until a step is below a tolerance.

    The derivative is that of the iterates which the forward takes at t = 0; where the number of
    iterations changes the forward jumps by about the tolerance, and has another derivative.
    """
    a, b = rng.uniform(-0.9, 0.9), rng.normal()
    tolerance = log_uniform(rng, 1e-12, 1e-4)

    def forward(t: float) -> float:
        y, step = 0.0, math.inf
        while abs(step) > tolerance:
            step = a * math.tanh(y) + b + t - y
            y += step
        return y

    y, slope, step = EXTENDED(0), EXTENDED(0), EXTENDED(1)
    while abs(step) > tolerance:
        last, slope = slope, a / np.cosh(y) ** 2 * slope + 1
        step = a * np.tanh(y) + EXTENDED(b) - y
        y += step
    return smooth(forward, slope, ambiguity=2 * float(abs(slope - last)))


def softmax(rng) -> Case:
    """The cross-entropy of a softmax along a direction of its logits."""
    n = rng.integers(2, 20)
    z, direction = rng.normal(size=n) * rng.choice([1, 5, 20]), rng.normal(size=n)
    target = rng.dirichlet(np.ones(n))

    def forward(t: float) -> float:
        shifted = z + t * direction
        shifted = shifted - shifted.max()
        return float(np.log(np.exp(shifted).sum()) * target.sum() - target @ shifted)

    wide = np.exp(z.astype(EXTENDED) - z.max())
    slope = (wide / wide.sum()) @ direction * target.sum(dtype=EXTENDED) - target @ direction
    return smooth(forward, slope, scale=1 / float(np.max(np.abs(direction))))


def layer_norm(rng) -> Case:
    """A projection of a normalised row along a direction of the row."""
    n = rng.integers(3, 40)
    x, direction, cotangent = rng.normal(size=(3, n)) * log_uniform(rng, 0.1, 10)
    x, eps = x + rng.choice([0.0, 10.0]), 1e-5

    def forward(t: float) -> float:
        centred = (x + t * direction) - (x + t * direction).mean()
        return float(cotangent @ (centred / np.sqrt((centred**2).mean() + eps)))

    wide, tangent = x.astype(EXTENDED), direction.astype(EXTENDED)
    centred, tangent = wide - wide.mean(), tangent - tangent.mean()
    deviation = np.sqrt((centred**2).mean() + EXTENDED(eps))
    normalised = centred / deviation
    slope = (tangent - normalised * (normalised * tangent).mean()) / deviation
    scale = float(np.std(x) / np.max(np.abs(direction)))
    return smooth(forward, cotangent @ slope, scale=scale)


ACTIVATIONS = [
    (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    (lambda z: np.log1p(np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
    (np.sin, np.cos),
]
RELU = (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype))


def network(rng, activation, dtype=np.float64, width: int = 8) -> Case:
    """A random network along a random direction of its input, projected on a random cotangent."""
    function, slope = activation
    sizes = rng.integers(1, width, size=rng.integers(2, 5))
    weights = [
        (rng.normal(size=(m, n)) / math.sqrt(m)).astype(dtype) for m, n in itertools.pairwise(sizes)
    ]
    biases = [(rng.normal(size=n) / 2).astype(dtype) for n in sizes[1:]]
    x, direction = rng.normal(size=sizes[0]).astype(dtype), rng.normal(size=sizes[0])
    cotangent = rng.normal(size=sizes[-1])

    def forward(t: float) -> float:
        a = (x + t * direction).astype(dtype)
        for w, b in zip(weights, biases, strict=True):
            a = function(a @ w + b)
        return float(cotangent @ a)

    a, tangent = x.astype(EXTENDED), direction.astype(EXTENDED)
    for w, b in zip(weights, biases, strict=True):
        z = a @ w + b
        a, tangent = function(z), slope(z) * (tangent @ w)
    return smooth(forward, cotangent @ tangent, scale=1 / float(np.max(np.abs(direction))))


def smooth_network(rng) -> Case:
    return network(rng, ACTIVATIONS[rng.integers(len(ACTIVATIONS))])


def float32_network(rng) -> Case:
    return network(rng, ACTIVATIONS[rng.integers(len(ACTIVATIONS))], np.float32)


def relu_network(rng) -> Case:
    return network(rng, RELU, width=40)


def near_kink(rng) -> Case:
    """Two slopes that meet at a distance from 0, some of it tiny, some of it none."""
    f, slope = elementary_parts(rng)
    left, right = rng.normal(size=2)
    where = rng.choice([-1, 0, 1]) * log_uniform(rng, 1e-16, 1.0)
    knot = float(where)

    def kinked(t: float) -> float:
        return f(t) + (right if t > knot else left) * (t - knot)

    at_zero = (left, right) if knot == 0 else (left, left) if knot > 0 else (right, right)
    return Case(kinked, slope + min(at_zero), slope + max(at_zero))


FAMILIES: dict[str, Callable[[np.random.Generator], Case]] = {
    "elementary": elementary,
    "sums and products": sums_and_products,
    "oscillating": oscillating,
    "scales 1e-150 to 1e150": extreme_scales,
    "scale misjudged by 1e±4": misjudged_scale,
    "near a domain edge": domain_edges,
    "smooth networks": smooth_network,
    "softmax": softmax,
    "layer norm": layer_norm,
    "relu networks": relu_network,
    "at and near kinks": near_kink,
    "among kinks and jumps": several_kinks,
    "float32 networks": float32_network,
    "float32, float16 values": rounded_values,
    "deterministic noise": noisy,
    "nondeterministic": nondeterministic,
    "iterative": iterative,
}
