"""What gradcheck costs a suite that has no rules, and what one rule costs.

The first is the processor time, of user and system together, of `pytest --collect-only` on a suite of one
empty test, with the plugin and with `-p no:gradcheck`, which of the two comes first in turns. A single
difference is mostly noise; printed is the median of many, with an interval that holds the true one
with 95 %, from the order of the differences alone, and the difference of the least times, to which a
loaded machine adds least. The second is the processor time of
`gradcheck.verify` with all checks, in a process that has checked another rule before (so that imports
and first uses are paid).

    python -m benchmarks.plugin_cost [PAIRS]
"""

from __future__ import annotations

import math
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

PAIRS = 40
"""Pairs of collections."""

CONFIDENCE = 0.95
"""How surely the printed interval holds the median."""

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
    """Return the processor seconds of one collection, of the process and its children."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", *options, folder],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def loading(pairs: int) -> list[tuple[float, float]]:
    """Return the seconds of a collection with the plugin and without, pair by pair."""
    without = ("-p", "no:gradcheck")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        for options in ((), without):  # once for the compiled files
            collection(folder, *options)
        found = []
        for number in range(pairs):
            pair = {options: collection(folder, *options) for options in _turn(number, (), without)}
            found.append((pair[()], pair[without]))
    return found


def _turn(number: int, *choices: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return choices if number % 2 else choices[::-1]


def interval_of_median(ordered: list[float]) -> tuple[float, float]:
    """Return the two of the ordered values between which the median lies with `CONFIDENCE`.

    How many of n values lie below the median is binomial with n and 1/2, whatever their distribution.

    >>> interval_of_median([float(value) for value in range(1, 11)])
    (2.0, 9.0)
    """
    n, outside, rank = len(ordered), 0.0, 0
    while outside + math.comb(n, rank) / 2**n <= (1 - CONFIDENCE) / 2:
        outside += math.comb(n, rank) / 2**n
        rank += 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[-rank]


def main() -> None:
    console = Console()
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    measured = loading(pairs)
    differences = sorted(one - other for one, other in measured)
    least = min(one for one, _ in measured) - min(other for _, other in measured)
    low, high = (1e3 * edge for edge in interval_of_median(differences))
    console.print(
        f"loading the plugin: {1e3 * statistics.median(differences):.0f} ms of processor time, with "
        f"{CONFIDENCE:.0%} between {low:.0f} and {high:.0f} ms, {pairs} pairs; "
        f"least with it less least without: {1e3 * least:.0f} ms"
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
