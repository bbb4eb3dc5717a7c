"""Ten custom rules of JAX as people write them, each with a wrong twin; imported only where JAX is."""

from functools import partial

import jax
import jax.numpy as jnp

import gradcheck


def by_vjp(forward, backward):
    """Return a `jax.custom_vjp` of `forward(*inputs) -> (out, residuals)` and its backward."""

    @jax.custom_vjp
    def rule(*inputs):
        return forward(*inputs)[0]

    rule.defvjp(forward, backward)
    return rule


def square(factor):
    return by_vjp(lambda x: (x * x, x), lambda x, g: (factor * g * x,))


def affine(transposed):
    def backward(kept, g):
        x, w = kept
        return g @ w.T, (x.T @ g if transposed else jnp.ones_like(x).T @ g), g.sum(0)

    return by_vjp(lambda x, w, b: (x @ w + b, (x, w)), backward)


def softmax(sum_of):
    def forward(z):
        s = jax.nn.softmax(z)
        return s, s

    def backward(s, g):
        return (s * (g - sum_of(s, g)),)

    return by_vjp(forward, backward)


def log_sum_exp(coefficient):
    @jax.custom_jvp
    def rule(z):
        top = jnp.max(z)
        return top + jnp.log(jnp.sum(jnp.exp(z - top)))

    @rule.defjvp
    def rule_jvp(primals, tangents):
        (z,), (dz,) = primals, tangents
        out = rule(z)
        return out, coefficient * jnp.sum(jnp.exp(z - out) * dz)

    return rule


def safe_norm(at_zero):
    """x / |x| is 0/0 at zero, where the rule declares 0."""

    def forward(x):
        norm = jnp.sqrt(jnp.sum(x * x))
        return norm, (x, norm)

    def backward(kept, g):
        x, norm = kept
        return (g * x / jnp.where(norm == 0, 1.0, norm) * at_zero,)

    return by_vjp(forward, backward)


def rounded(slope):
    """A straight-through estimator: the forward rounds, the backward is that of the identity."""
    return by_vjp(lambda x: (jnp.round(x), None), lambda _, g: (slope * g,))


def clipped_gradient(bound):
    """The identity, whose backward belongs to clip(x, -bound, bound)."""

    def backward(x, g):
        return (jnp.where(jnp.abs(x) <= bound, g, 0.0),)

    return by_vjp(lambda x: (x, x), backward)


def powers(log_of):
    """x ** y for positive x, with a rule for both arguments."""

    def backward(kept, g):
        x, y = kept
        return g * y * x ** (y - 1), g * x**y * log_of(x)

    return by_vjp(lambda x, y: (x**y, (x, y)), backward)


def scaled(times):
    """A rule with an argument that is no array: `nondiff_argnums`."""

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def rule(x, power):
        return x**power

    rule.defvjp(
        lambda x, power: (x**power, x), lambda power, x, g: (g * times(power) * x ** (power - 1),)
    )
    return rule


def scanned(decay):
    """A recurrence h' = tanh(a h + x) over time, differentiated backwards by hand."""

    @jax.custom_vjp
    def rule(a, x):
        return forward(a, x)[0]

    def forward(a, x):
        def step(h, now):
            new = jnp.tanh(a * h + now)
            return new, new

        _, states = jax.lax.scan(step, jnp.zeros(()), x)
        return states, (a, states)

    def backward(kept, g):
        a, states = kept
        before = jnp.concatenate([jnp.zeros(1), states[:-1]])

        def step(carried, now):
            (gradient_a, dh), (g_now, h, h_before) = carried, now
            dz = (g_now + dh) * (1 - h * h)
            return (gradient_a + dz * h_before, decay(a) * dz), dz

        start = jnp.zeros(()), jnp.zeros(())
        (da, _), dx = jax.lax.scan(step, start, (g, states, before), reverse=True)
        return da, dx

    rule.defvjp(forward, backward)
    return rule


POSITIVE = {"x": gradcheck.positive("N"), "y": "N"}
IDENTITY = {"derivative_of": lambda x: x}


CASES = {
    "a square": (square(2.0), square(2.001), {"x": "N"}),
    "an affine map": (affine(True), affine(False), {"x": "N D", "w": "D M", "b": "M"}),
    "softmax": (
        softmax(lambda s, g: (s * g).sum(-1, keepdims=True)),
        softmax(lambda s, g: g.mean(-1, keepdims=True)),
        {"z": "N C"},
    ),
    "log-sum-exp by a jvp": (log_sum_exp(1.0), log_sum_exp(1.0 + 1e-4), {"z": "N"}),
    "a norm that is safe at zero": (safe_norm(1.0), safe_norm(-1.0), {"x": "N"}),
    "a straight-through estimator": (rounded(1.0), rounded(0.5), {"x": "N", **IDENTITY}),
    "a gradient clip": (
        clipped_gradient(1.0),
        clipped_gradient(2.0),
        {"x": "N", "derivative_of": lambda x: jnp.clip(x, -1.0, 1.0)},
    ),
    "a power": (powers(jnp.log), powers(jnp.log1p), POSITIVE),
    "an argument that is no array": (
        scaled(lambda power: power),
        scaled(lambda power: 2),
        {"x": "N", "power": gradcheck.one_of(2, 3)},
    ),
    "a recurrence": (scanned(lambda a: a), scanned(lambda a: 1.0), {"a": "", "x": "T"}),
}
"""Name, the right rule, the wrong one, the declaration."""
