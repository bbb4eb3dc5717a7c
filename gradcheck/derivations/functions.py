"""Functions of one variable that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ELEMENTWISE"]

Elementwise = Callable[[Any], Any]


def _logistic(xp: Any) -> Elementwise:
    return lambda x: 1 / (1 + xp.exp(-x))


def _relu(xp: Any) -> Elementwise:
    return lambda x: xp.maximum(x, 0.0)


def _step(xp: Any) -> Elementwise:
    return lambda x: xp.where(x > 0, 1.0, 0.0)


def _named(name: str) -> Callable[[Any], Elementwise]:
    def of(xp: Any) -> Elementwise:
        function: Elementwise = getattr(xp, name)
        return function

    return of


ELEMENTWISE: dict[str, Callable[[Any], Elementwise]] = {
    **{name: _named(name) for name in ("exp", "log", "tanh", "sin", "cos", "tan", "sinh", "cosh", "sqrt")},
    "ln": _named("log"),
    "arctan": _named("arctan"),
    "sigmoid": _logistic,
    "logistic": _logistic,
    "step": _step,
    "softplus": lambda xp: lambda x: xp.log(1 + xp.exp(x)),
    **dict.fromkeys(("relu", "ReLU", "ReLu", "RELU", "Relu"), _relu),
}  # fmt: skip
"""From a name to the function in a given array namespace."""
