"""How fast a gradient program is evaluated: arithmetics against NumPy code, jit and eager JAX.

Prints ratios measured within one run; run it as `python benchmarks/evaluation_speed.py`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck.oracles.exact import prove_equal
from gradcheck.oracles.exact_draws import FIRST_DRAWS
from gradcheck.programs.arithmetics.extended import DOUBLE_DOUBLE, LONG_DOUBLE
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.floating import FLOAT64
from gradcheck.programs.arithmetics.residues import Draws
from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import compile_afresh, compile_jaxpr, evaluate

REPETITIONS = 30


def loss(x: Any, w: Any, b: Any, v: Any, c: Any) -> Any:
    h = jnp.tanh(x @ w + b)
    return jnp.sum(jnp.tanh(h @ v + c))


def gradients_by_hand(x: Any, w: Any, b: Any, v: Any, c: Any) -> list[Any]:
    h = np.tanh(x @ w + b)
    y = np.tanh(h @ v + c)
    dz = 1 - y * y
    dh = (dz @ v.T) * (1 - h * h)
    return [dh @ w.T, x.T @ dh, dh.sum(0), h.T @ dz, dz.sum(0)]


def gradients_by_formula(x: Any, w: Any, b: Any, v: Any, c: Any) -> tuple[Any, ...]:
    h = jnp.tanh(x @ w + b)
    y = jnp.tanh(h @ v + c)
    dz = 1 - y * y
    dh = (dz @ v.T) * (1 - h * h)
    return dh @ w.T, x.T @ dh, dh.sum(0), h.T @ dz, dz.sum(0)


def median_ms(function: Callable[[], Any]) -> float:
    function()
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def report(batch: int, width: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(batch, width), (width, width), (width,), (width, width), (width,)]
    inputs = [rng.normal(size=shape) / np.sqrt(width) for shape in shapes]
    gradient = jax.grad(loss, (0, 1, 2, 3, 4))
    with enable_x64():
        start = time.perf_counter()
        program = jax.make_jaxpr(gradient)(*inputs)
        trace = (time.perf_counter() - start) * 1e3
        start = time.perf_counter()
        compile_jaxpr(program, FLOAT64)
        compile_steps = (time.perf_counter() - start) * 1e3
        start = time.perf_counter()
        jax.block_until_ready(jax.jit(gradient)(*inputs))
        jit = (time.perf_counter() - start) * 1e3
    by_hand = median_ms(lambda: gradients_by_hand(*inputs))
    print(f"\nbatch {batch}, width {width}: {len(program.eqns)} equations")
    print(f"  trace {trace:.2f} ms, compile to steps {compile_steps:.2f} ms, jit {jit:.0f} ms")
    print(f"  NumPy by hand           {by_hand:9.3f} ms")
    plain = median_ms(lambda: evaluate(program, inputs))
    print(f"  float64                 {plain:9.3f} ms   {plain / by_hand:6.2f} x by hand")
    arithmetics = {"running error": RUNNING_ERROR}
    if width <= 64:
        arithmetics |= {"longdouble": LONG_DOUBLE} if LONG_DOUBLE else {}
        arithmetics |= {"double-double": DOUBLE_DOUBLE}
    for name, arithmetic in arithmetics.items():
        spent = median_ms(lambda a=arithmetic: evaluate(program, inputs, a))
        print(f"  {name:<23} {spent:9.3f} ms   {spent / plain:6.2f} x float64")


def report_exact(batch: int, width: int) -> None:
    """The finite field: the draws of one program, at once, and a whole proof with its tracing left out."""
    rng = np.random.default_rng(0)
    shapes = [(batch, width), (width, width), (width,), (width, width), (width,)]
    inputs = [rng.normal(size=shape) for shape in shapes]
    with enable_x64():
        program = jax.make_jaxpr(jax.grad(loss, (0, 1, 2, 3, 4)))(*inputs)
        other = jax.make_jaxpr(gradients_by_formula)(*inputs)
    field = FiniteField(Draws.of(FIRST_DRAWS, rng))
    residues = [field.variable(value) for value in inputs]
    steps = compile_afresh(program, field)
    draw = median_ms(lambda: steps.evaluate(residues, None))
    proof = median_ms(lambda: prove_equal(program, other, inputs, rng))
    plain = median_ms(lambda: evaluate(program, inputs))
    print(f"\nfinite field, batch {batch}, width {width}")
    print(f"  {FIRST_DRAWS} draws of a program    {draw:9.3f} ms   {draw / plain:6.2f} x float64")
    print(f"  proof of equality       {proof:9.3f} ms   {proof / plain:6.2f} x float64")


if __name__ == "__main__":
    for batch, width in ((4, 5), (32, 64), (64, 256), (128, 512)):
        report(batch, width)
    for batch, width in ((4, 5), (16, 16)):
        report_exact(batch, width)
