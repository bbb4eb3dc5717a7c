"""Right rules that declare their dimensions, so that sizes, extremes and batches are drawn as well.

Those of `benchmarks.right_rules` once more, by contract; layers that declare a batch dimension;
rules of JAX; and torch Functions that offer a JVP or a second derivative.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gradcheck
from benchmarks import right_rules
from benchmarks.right_rules import log_softmax, softmax
from gradcheck.rules import Rule
from tests.adapters import jax_rules

__all__ = ["declared_rules"]


def declared_rules() -> Iterator[Rule]:
    """Yield the rules."""
    yield from _elementwise()
    yield from _batched()
    for name, (right, _, options) in jax_rules.CASES.items():
        yield gradcheck.jax_rule(right, name=f"{name} (JAX)", **options)
    yield from _torch()


def _elementwise() -> Iterator[Rule]:
    domains = {
        right_rules._positive: gradcheck.positive("*any"),
        right_rules._inside_one: gradcheck.probabilities("N D"),
    }
    for rule in right_rules.ACTIVATIONS:
        domain = domains.get(rule.draw, "*any")  # type: ignore[call-overload]
        yield gradcheck.vjp(rule.forward, rule.backward, name=rule.name, dims={"x": domain})


def _dense_backward(g: Any, x: Any, w: Any, _: Any) -> Any:
    return g @ w.T, x.T @ g, g.sum(axis=0)


def _cross_entropy(z: Any, t: Any) -> Any:
    return -np.mean(np.take_along_axis(log_softmax(z), t[:, None], axis=1))


def _cross_entropy_backward(g: Any, z: Any, t: Any) -> Any:
    s = softmax(z)
    s[np.arange(len(z)), t] -= 1
    return g * s / len(z), None


def _batched() -> Iterator[Rule]:
    n = {"batch": "N"}
    norms = {rule.name: rule for rule in right_rules.NORMS}
    yield gradcheck.vjp(
        lambda x, w, b: x @ w + b, _dense_backward, name="dense", x="N D", w="D M", b="M", **n
    )
    for name in ("layer norm", "batch norm"):
        forward, backward = norms[name].forward, norms[name].backward
        yield gradcheck.vjp(
            forward, backward, name=f"{name} by batch", x="N D", gamma="D", beta="D", **n
        )
    for name in ("softmax", "log softmax"):
        yield gradcheck.vjp(
            norms[name].forward, norms[name].backward, name=f"{name} by batch", z="N C", **n
        )
    yield gradcheck.vjp(
        _cross_entropy,
        _cross_entropy_backward,
        name="cross-entropy by batch",
        z="N C",
        t=gradcheck.integers("N", below="C"),
        **n,
    )
    yield gradcheck.gradient(
        lambda x, y: np.sum((x - y) ** 2),
        lambda x, y: (2 * (x - y), 2 * (y - x)),
        hvp=lambda _x, _y, u, v: (2 * (u - v), 2 * (v - u)),
        name="squared error by batch",
        x="N D",
        y="N D",
        **n,
    )
    yield gradcheck.jvp(
        lambda x, w: np.tanh(x @ w),
        lambda point, t: (
            (1 - np.tanh(point[0] @ point[1]) ** 2) * (t[0] @ point[1] + point[0] @ t[1])
        ),
        name="tanh layer by a jvp",
        x="N D",
        w="D M",
        **n,
    )
    yield gradcheck.vjp(
        lambda x, b: x * b,
        lambda g, x, b: (g * b, _summed_to(b.shape, g * x)),
        name="product that broadcasts",
        x="N D",
        b="#N #D",
    )


def _summed_to(shape: tuple[int, ...], g: Any) -> Any:
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return g.sum(axis=axes, keepdims=True).reshape(shape)


def _torch() -> Iterator[Rule]:
    import torch

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            ctx.save_for_forward(x, w)
            return x * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            return g * w, (g * x).sum(0)

        @staticmethod
        def jvp(ctx: Any, dx: Any, dw: Any) -> Any:
            x, w = ctx.saved_tensors
            return dx * w + x * dw

    yield gradcheck.torch_function(Product, name="product (torch)", x="N D", w="D", batch="N")
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.LayerNorm(4))
    yield gradcheck.torch_function(layers, name="layers of torch", dims={"input": "N 3"})
