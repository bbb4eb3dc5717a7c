"""What gradcheck costs a suite that has no rules, and what one rule costs.

The first is the processor time, of user and system together, of `pytest --collect-only` on a suite of one
empty test, with the plugin and with `-p no:gradcheck` in turns. The second is the processor time of
`gradcheck.verify` with all checks, in a process that has checked another rule before (so that imports
and first uses are paid).

    python -m benchmarks.plugin_cost [PAIRS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradcheck

PAIRS = 20
"""Pairs of collections."""

TIMES = 3
"""Runs of each rule, of which the median is printed."""


class Dense:
    """A layer as an object, with its parameters and gradients inside."""

    def __init__(self, D: int, M: int) -> None:
        self.params = {"w": np.ones((D, M)), "b": np.zeros(M)}
        self.grads: dict[str, Any] = {}

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dout: Any) -> Any:
        self.grads = {"w": self.x.T @ dout, "b": dout.sum(axis=0)}
        return dout @ self.params["w"].T


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w)


def affine_backward(dout: Any, cache: Any) -> Any:
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def softmax_layer(x: Any, w: Any, b: Any) -> Any:
    hidden = np.maximum(x @ w + b, 0)
    e = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, (x, w, hidden, y)


def softmax_layer_backward(dout: Any, cache: Any) -> Any:
    x, w, hidden, y = cache
    d = y * (dout - (dout * y).sum(axis=1, keepdims=True)) * (hidden > 0)
    return d @ w.T, x.T @ d, d.sum(axis=0)


DIMS = {"x": "N D", "w": "D M", "b": "M"}
RULES = {
    "affine": gradcheck.pair(affine, affine_backward, name="affine", **DIMS),
    "affine, relu, softmax": gradcheck.pair(
        softmax_layer, softmax_layer_backward, name="softmax layer", **DIMS
    ),
    "an object": gradcheck.layer(Dense, x="N D", params="params", grads="grads", name="dense"),
}


def collection(folder: str, *options: str) -> float:
    """Return the processor seconds of one collection."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", *options, folder],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def loading(pairs: int) -> list[float]:
    """Return the difference that the plugin makes to a collection, pair by pair, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        return [collection(folder) - collection(folder, "-p", "no:gradcheck") for _ in range(pairs)]


def main() -> None:
    console = Console()
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    differences = sorted(loading(pairs))
    quarter = len(differences) // 4
    console.print(
        f"loading the plugin: {1e3 * statistics.median(differences):.0f} ms of processor time, quartiles "
        f"{1e3 * differences[quarter]:.0f} and {1e3 * differences[-1 - quarter]:.0f} ms, {pairs} pairs"
    )
    gradcheck.verify(RULES["affine"], profile="quick", seed=0)
    table = Table(title="processor seconds of one rule, all checks")
    for heading in ("rule", "quick", "standard"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for name, rule in RULES.items():
        row = []
        for profile in ("quick", "standard"):
            times = []
            for seed in range(1, TIMES + 1):
                started = time.process_time()
                assert gradcheck.verify(rule, profile=profile, seed=seed).verdict == "pass"
                times.append(time.process_time() - started)
            row.append(f"{statistics.median(times):.2f}")
        table.add_row(name, *row)
    console.print(table)


if __name__ == "__main__":
    main()
