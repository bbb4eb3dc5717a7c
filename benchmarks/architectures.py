"""The cost of checking a gradient on an architecture that was never seen before.

Draws random networks as the main job does and checks the hand-written gradient of each, three ways, on the
same networks in one run:

    eager   Hypothesis + jax.grad, eager, + allclose: what one writes without gradcheck
    jitted  the same with jax.jit
    ours    gradcheck's gradient check, by the autodiff oracle alone and with all the evidence

and prints the median time per network and the ratios, then where gradcheck's time goes, what a check
costs on shapes seen before beside running the forward and backward themselves, and what the first check
of a process costs.

    python benchmarks/architectures.py [NETWORKS]
"""

from __future__ import annotations

import statistics
import subprocess
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
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.extended import Extended
from gradcheck.oracles.finite_differences import FiniteDifferences
from gradcheck.oracles.programs import Programs
from gradcheck.programs.compat import enable_x64
from gradcheck.rules import Point
from gradcheck.verdicts import PROFILES
from reference.network import loss, loss_gradients
from reference.verification import networks

WIDTHS = (64, 256)
REPEATS, STARTS = 12, 5

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


def stages(points: list[Point]) -> dict[str, float]:
    """Return the median seconds of each step from a new network to its true gradient."""
    from gradcheck.oracles.programs import variables_of
    from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR, rounded
    from gradcheck.programs.differentiation import pullback_of
    from gradcheck.programs.evaluation import evaluate
    from gradcheck.programs.tracing import trace, validated_trace

    rng, times = np.random.default_rng(0), dict[str, list[float]]()

    def timed(name: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        found = call(*arguments, **options)
        times.setdefault(name, []).append(time.perf_counter() - started)
        return found

    for point in points:
        timed("record and lower the forward", trace, loss, point.inputs)
        kept = timed(
            "the same, validated", validated_trace, loss, point.inputs, rng=rng, lowered=False
        )
        pullback = timed("differentiate", pullback_of, kept.program_of(slice(None)), 1)
        values = [rounded(value) for value in (*variables_of(point.inputs), np.ones(()))]
        timed("compile and evaluate", evaluate, pullback, values, RUNNING_ERROR)
        timed("evaluate again", evaluate, pullback, values, RUNNING_ERROR)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def same_shapes(width: int) -> float:
    """Return the time of a check on shapes seen before, over that of forward and backward alone."""
    from gradcheck.rules import claim_at

    rng = np.random.default_rng(0)

    def point() -> Point:
        weights = [rng.normal(size=(width, width)) / np.sqrt(width) for _ in range(2)]
        x, t = rng.normal(size=(width, 32)), rng.normal(size=(width, 32))
        return Point((weights, [None, None], x, t, ("tanh", "sigmoid")))

    rule = gradcheck.gradient(loss, loss_gradients, points=networks(), name="network")
    autodiff, ratios = Autodiff(Programs()), []
    for _ in range(REPEATS):
        here = point()
        started = time.perf_counter()
        loss(*here.inputs)
        loss_gradients(*here.inputs)
        alone = time.perf_counter() - started
        claim = claim_at(rule, here)
        started = time.perf_counter()
        autodiff.examine(rule, claim, rng)
        ratios.append((time.perf_counter() - started) / alone)
    return statistics.median(ratios[1:])


def first_use() -> float:
    """Return the seconds from starting Python to the end of a first check of one point."""
    code = (
        "import gradcheck, numpy as np;"
        "rule = gradcheck.vjp(lambda x: np.tanh(x), lambda g, x: g * (1 - np.tanh(x) ** 2), x='N');"
        "assert gradcheck.verify(rule, examples=1, seed=1).verdict == 'pass'"
    )
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    import jax

    programs = Programs()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS
    ways = {
        "eager jax.grad + allclose": plain_check(lambda f: f),
        "jitted jax.grad + allclose": plain_check(jax.jit),
        "gradcheck, autodiff alone": our_check(Autodiff(Programs())),
        "gradcheck, all evidence": our_check(
            Exact(programs), Extended(programs), Autodiff(programs), FiniteDifferences()
        ),
    }
    drawn = draw_points(count + 1)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number, point in enumerate(drawn):
        for way, check in ways.items():
            started = time.perf_counter()
            check(point)
            if number:  # the first network pays for imports
                times[way].append(time.perf_counter() - started)
    sizes = [sum(np.size(value) for value in trees.variables(point.inputs)) for point in drawn]
    table = Table(title=f"{count} random networks, median {statistics.median(sizes):.0f} entries")
    for heading in ("way", "median ms", "eager / way", "jitted / way"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    medians = {way: statistics.median(found) for way, found in times.items()}
    eager, jitted = list(medians.values())[:2]
    for way, median in medians.items():
        table.add_row(way, f"{1e3 * median:.1f}", f"{eager / median:.1f}", f"{jitted / median:.1f}")
    console = Console()
    console.print(table)
    console.print("a new network, step by step (median ms):")
    for name, seconds in stages(drawn).items():
        console.print(f"  {name:<30} {1e3 * seconds:8.2f}")
    for width in WIDTHS:
        console.print(
            f"shapes seen before, width {width}: the autodiff oracle costs "
            f"{same_shapes(width):.1f} x the forward and backward themselves"
        )
    console.print(f"first check of a process, Python's start included: {first_use():.2f} s")


if __name__ == "__main__":
    main()
