"""The cost of checking a gradient on an architecture that was never seen before.

Draws random networks as the main job does and checks the hand-written gradient of each, three ways, on the
same networks in one run:

    eager   Hypothesis + jax.grad, eager, + allclose: what one writes without gradcheck
    jitted  the same with jax.jit
    ours    gradcheck's gradient check, by the autodiff oracle alone and with all the evidence

and prints the median time per network and the ratios, then where gradcheck's time goes.

    python benchmarks/architectures.py [NETWORKS]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradcheck
from benchmarks.power import draw_points
from gradcheck import trees
from gradcheck.checks.check import Bench
from gradcheck.checks.gradient import GradientCheck
from gradcheck.oracles.autodiff import Autodiff
from gradcheck.oracles.finite_differences import FiniteDifferences
from gradcheck.oracles.programs import Programs
from gradcheck.programs.compat import enable_x64
from gradcheck.rules import Point
from gradcheck.verdicts import PROFILES
from reference.network import loss, loss_gradients
from reference.verification import networks

NETWORKS = 60
"""Networks measured; the eager way takes about a quarter of a second for each."""


def plain_check(wrap: Callable[[Any], Any]) -> Callable[[Point], None]:
    """Return the check that one writes by hand: jax.grad in the weights, then allclose."""
    import jax

    def check(point: Point) -> None:
        weights, biases, x, t, activations = point.inputs
        gradient = wrap(jax.grad(lambda w: loss(w, biases, x, t, activations)))
        with enable_x64():
            true = gradient([jax.numpy.asarray(w) for w in weights])
        claimed, *_ = loss_gradients(*point.inputs)
        assert all(np.allclose(a, b) for a, b in zip(claimed, true, strict=True))

    return check


def our_check(*oracles: Any) -> Callable[[Point], None]:
    """Return gradcheck's own check of every gradient by these oracles."""
    rule = gradcheck.gradient(loss, loss_gradients, points=networks(), name="network")
    bench = Bench(oracles, PROFILES["standard"], np.random.default_rng(0))

    def check(point: Point) -> None:
        assert GradientCheck().examine(rule, point, bench).verdict != "fail"

    return check


def main() -> None:
    import jax

    count = int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS
    ways = {
        "eager jax.grad + allclose": plain_check(lambda f: f),
        "jitted jax.grad + allclose": plain_check(jax.jit),
        "gradcheck, autodiff alone": our_check(Autodiff(Programs())),
        "gradcheck, all evidence": our_check(Autodiff(Programs()), FiniteDifferences()),
    }
    drawn = draw_points(count + 1)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number, point in enumerate(drawn):
        for way, check in ways.items():
            started = time.perf_counter()
            check(point)
            if number:  # the first network pays for imports
                times[way].append(time.perf_counter() - started)
    sizes = [
        sum(np.size(value) for _, value in trees.leaves(point.inputs) if trees.is_variable(value))
        for point in drawn
    ]
    table = Table(title=f"{count} random networks, median {statistics.median(sizes):.0f} entries")
    for heading in ("way", "median ms", "eager / way", "jitted / way"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    medians = {way: statistics.median(found) for way, found in times.items()}
    eager, jitted = list(medians.values())[:2]
    for way, median in medians.items():
        table.add_row(way, f"{1e3 * median:.1f}", f"{eager / median:.1f}", f"{jitted / median:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
