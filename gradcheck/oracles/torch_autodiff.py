"""The torch oracle: torch's own autodiff of the forwards of torch code, in float64.

torch code has no jaxpr whose roundings could be followed. Instead the gradient is computed again at
points nearby. They lie thousands of roundings away, so what the gradient changes there bounds what
rounding does to it, as far as rounding acts like a change of the inputs (the backward error view of
Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.5); and where a kink lies
that near, the gradient changes as a whole and nothing is said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.adapters import torch_calls
from gradcheck.adapters.torch_function import TorchCall
from gradcheck.errors import Abstention
from gradcheck.oracles.evidence import Entries, Evidence, Oracle
from gradcheck.rules import Claim, Rule

__all__ = ["DifferencesOfTorch", "TorchAutodiff"]

NEARBY = 2.0**-36
"""How far the nearby points lie, relative to each number (for a zero, to the typical size): a hundred
thousand roundings of float64, and far below the error that an entry must be able to show."""

NEIGHBOURS = 4
"""Nearby points: a change that happens to cancel at one of them does not at all."""

SAFETY = 4.0
"""What the largest change among the neighbours is multiplied by to be the bound."""

LAST_PLACES = 64
"""Roundings of an entry itself that are always allowed, for a gradient that no neighbour changes."""


class TorchAutodiff:
    """torch's own autodiff of the forward, bounded by what it gives nearby."""

    name = "torch autodiff"

    def __init__(self) -> None:
        self._last: tuple[Claim, dict[str, Any]] | None = None

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return the true gradient of every variable of `claim`, with its bound."""
        function = rule.functions[0]
        call = next(item for item in rule.functions if isinstance(item, TorchCall))
        inputs, cotangent = claim.point.inputs, claim.point.cotangent
        try:
            true = torch_calls.autodiff(
                function, _widened(inputs), _widened(cotangent), call.device
            )
            spread = [np.zeros(np.shape(value)) for value in true]
            for _ in range(NEIGHBOURS):
                near = torch_calls.autodiff(
                    function, _moved(inputs, rng), _moved(cotangent, rng), call.device
                )
                with np.errstate(all="ignore"):
                    changes = [np.abs(a - b) for a, b in zip(near, true, strict=True)]
                spread = [np.maximum(a, b) for a, b in zip(spread, changes, strict=True)]
        except Abstention as abstention:
            return Evidence(self.name, abstention=str(abstention))
        unit = float(np.finfo(np.float64).eps)
        entries = {}
        for variable, value, change in zip(claim.variables, true, spread, strict=True):
            with np.errstate(all="ignore"):
                bound = SAFETY * change + LAST_PLACES * unit * np.abs(value)
            entries[variable.path] = Entries(
                np.asarray(value), np.where(np.isfinite(bound), bound, np.inf)
            )
        self._last = claim, {path: item.bound for path, item in entries.items()}
        return Evidence(self.name, entries)

    def loss_at(self, claim: Claim) -> dict[str, Any]:
        """Return what float64 loses in torch's own formula at a claim, by variable, where it is known.

        A hand-written backward may lose as much: in front of a batch normalisation the true
        gradient of a bias is zero, and every formula for it is a difference of rounded numbers.
        """
        if self._last is None or self._last[0] is not claim:
            return {}
        return {
            path: np.where(np.isfinite(bound), bound, 0.0) for path, bound in self._last[1].items()
        }


class DifferencesOfTorch:
    """Finite differences, which allow the claim what torch's own formula loses by rounding."""

    name = "finite differences"

    def __init__(self, differences: Oracle, autodiff: TorchAutodiff) -> None:
        self.differences = differences
        self.autodiff = autodiff

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return what differences say of every claimed gradient of the variables' shape."""
        evidence = self.differences.examine(rule, claim, rng)
        losses = self.autodiff.loss_at(claim)
        entries = {
            path: replace(item, loss=np.where(item.spread > 0, 0.0, losses[path]))
            if path in losses and np.shape(item.bound) == np.shape(losses[path])
            else item
            for path, item in evidence.entries.items()
        }
        return replace(evidence, entries=entries)


def _widened(tree: Any) -> Any:
    return trees.map_leaves(_as_double, tree)


def _as_double(leaf: Any) -> Any:
    if not trees.is_variable(leaf):
        return leaf
    return np.asarray(leaf, np.result_type(leaf.dtype, np.float64))


def _moved(tree: Any, rng: np.random.Generator) -> Any:
    def moved(leaf: Any) -> Any:
        if not trees.is_variable(leaf):
            return leaf
        value = _as_double(leaf)
        size = np.abs(value)
        typical = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
        size = np.where(size == 0, typical if np.isfinite(typical) and typical else 1.0, size)
        step = rng.uniform(0.5, 1.0, value.shape) * rng.choice([-1.0, 1.0], value.shape)
        return np.asarray(value + NEARBY * size * step, value.dtype)

    return trees.map_leaves(moved, tree)
