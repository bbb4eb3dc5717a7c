"""Time the hand-written backpropagation beside JAX, torch, and its own matrix products.

    python -m benchmarks.reference_speed [--dtype float32] [--activation relu] [--layers 3]

Each contender computes the loss and the gradients of all weights of a network of equal widths, with
a batch as columns, on the same CPU. The floor is the matrix products of the reference and nothing
else. Times are ratios to the floor, each the median over rounds in which the contenders take turns,
so that a machine that slows down slows all of them. JAX and torch may be below 1: their matrix
products are others.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reference.network import backward, forward, loss, output_loss

WIDTHS, BATCHES = (64, 256, 512, 1024), (1, 32, 128, 512)

ROUNDS = 9
"""Rounds of a size: up to four of nine may be disturbed without moving the median far."""

TURN = 0.02
"""Seconds of a turn, at least: long beside the clock's resolution and a thread's waking up."""

PAUSE = 0.05
"""Seconds before a turn. OpenBLAS's threads spin for up to 26 ms after a product, waiting for the
next, and torch beside them measured twice its own time."""

KEEP_FREED_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),  # more than a pass frees
    "MALLOC_MMAP_THRESHOLD_": str(2**25),  # more than an array has; the most that glibc takes
}
"""Tell glibc not to return freed memory to the kernel between two passes (see README.md)."""

Contender = Callable[[], Any]


def contenders(
    width: int, batch: int, layers: int, activation: str, dtype: str
) -> dict[str, Contender]:
    """Return each contender by name; the floor is first."""
    rng = np.random.default_rng(0)
    weights = [
        (rng.normal(size=(width, width)) / np.sqrt(width)).astype(dtype) for _ in range(layers)
    ]
    x, t = rng.normal(size=(2, width, batch)).astype(dtype)
    biases, names = [None] * layers, [activation] * layers
    passed = forward(weights, biases, x, names)
    delta = backward(weights, biases, passed, t, names).delta

    def floor() -> None:
        for i in range(layers):
            weights[i] @ passed.x[i]
        for i in range(1, layers):
            weights[i].T @ delta[i + 1]
        for i in range(layers):
            delta[i + 1] @ passed.x[i].T

    def reference() -> Any:
        passed = forward(weights, biases, x, names)
        return output_loss(passed.x[-1], t), backward(weights, biases, passed, t, names)

    return {
        "floor": floor,
        "reference": reference,
        "jax.jit": jax_contender(weights, biases, x, t, names),
    } | torch_contender(weights, x, t, activation)


def jax_contender(weights, biases, x, t, names) -> Contender:
    import jax

    weights, x, t = [jax.numpy.asarray(w) for w in weights], *map(jax.numpy.asarray, (x, t))
    step = jax.jit(jax.value_and_grad(lambda w, x, t: loss(w, biases, x, t, names)))
    return lambda: jax.block_until_ready(step(weights, x, t))


def torch_contender(weights, x, t, activation: str) -> dict[str, Contender]:
    """Return torch's autodiff of a forward written for torch, or nothing where it is missing."""
    try:
        import torch
    except ImportError:
        return {}
    f = {"identity": lambda z: z, "leaky_relu": torch.nn.functional.leaky_relu, "sine": torch.sin}
    f |= {name: getattr(torch, name) for name in ("tanh", "sigmoid", "relu")}
    f |= {name: getattr(torch.nn.functional, name) for name in ("softplus", "elu", "silu", "gelu")}
    weights = [torch.asarray(w).requires_grad_() for w in weights]
    x, t = torch.asarray(x), torch.asarray(t)

    def step() -> Any:
        output = x
        for w in weights:
            output = f[activation](w @ output)
        value = ((output - t) ** 2).sum() / 2
        return value, torch.autograd.grad(value, weights)

    return {"torch": step}


def ratios(functions: dict[str, Contender]) -> tuple[float, dict[str, float]]:
    """Return the floor in seconds, and each contender's time as a multiple of its round's floor."""
    calls = {name: max(1, round(TURN / seconds(f, 1))) for name, f in functions.items()}
    rounds = [
        {name: seconds(f, calls[name]) for name, f in functions.items()} for _ in range(ROUNDS)
    ]
    multiples = {
        name: median(times[name] / times["floor"] for times in rounds)
        for name in functions
        if name != "floor"
    }
    return median(times["floor"] for times in rounds), multiples


def seconds(function: Contender, calls: int) -> float:
    time.sleep(PAUSE)
    function()  # wakes its own threads
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("numpy", "jax", "torch"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return ", ".join(
        [*found, f"{blas['name']} {blas['version']}", f"Python {platform.python_version()}"]
    )


def start_again(cores: int | None, return_memory: bool) -> None:
    """Start this program again where settings must be made before the libraries are loaded."""
    wanted = {} if return_memory else KEEP_FREED_MEMORY
    available = sorted(os.sched_getaffinity(0))
    if wanted.items() <= os.environ.items() and len(available) <= (cores or len(available)):
        return
    os.sched_setaffinity(0, available[-(cores or len(available)) :])
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--activation", default="tanh")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument(
        "--return-memory",
        action="store_true",
        help="leave glibc's handling of freed memory as it is",
    )
    parser.add_argument("--cores", type=int, help="use so many cores of those that there are")
    options = parser.parse_args()
    start_again(options.cores, options.return_memory)

    import jax

    home = jax if hasattr(jax, "enable_x64") else __import__("jax.experimental").experimental
    table = Table(
        title=f"Loss and weight gradients, {options.layers} layers, {options.activation}, "
        f"{options.dtype}, as multiples of the bare matrix products",
        caption=f"{versions()}; {len(os.sched_getaffinity(0))} cores",
    )
    with home.enable_x64(True) if options.dtype == "float64" else nullcontext():
        for width, batch in track(list(product(options.widths, options.batches)), "measuring"):
            functions = contenders(width, batch, options.layers, options.activation, options.dtype)
            floor, multiples = ratios(functions)
            if not table.columns:
                for name in ("width", "batch", "floor, ms", *multiples):
                    table.add_column(name, justify="right")
            row = (f"{multiple:.2f}" for multiple in multiples.values())
            table.add_row(str(width), str(batch), f"{floor * 1e3:.3f}", *row)
    Console().print(table)


if __name__ == "__main__":
    main()
