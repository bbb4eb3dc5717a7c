"""Eight ways to check one gradient: time, forward evaluations, smallest error caught, false alarms.

The function is the cross-entropy of a tanh network with 34 110 parameters on eight examples, in float64,
its backward written by hand. The fault is a relative error of one entry, of median size, of the last
weight matrix. Where a peer differences entry by entry it is given the last layer alone (1010 entries) and its
time and evaluations are multiplied up to all of them; these rows are marked "entrywise". A peer
that is not installed is left out.

    python benchmarks/peers.py
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SIZES = (64, 200, 100, 10)
EXAMPLES = 8
LAST_LAYER = SIZES[-2] * SIZES[-1] + SIZES[-1]
ERRORS = [10.0**-k for k in range(12)]
RIGHT_RUNS = 5
SCIPY_SURPRISE = 2.0
"""scipy returns a norm and leaves the judgement to the user; here it alarms at twice the norm that the
right gradient gives, which no user knows."""


def forward(theta, x, labels, library=np):
    """Return the loss and what the backward needs; `theta` (34110,) holds W1, b1, W2, b2, W3, b3."""
    a, start, cache = x, 0, []
    for layer, (m, n) in enumerate(itertools.pairwise(SIZES)):
        w = theta[start : start + m * n].reshape(m, n)
        b = theta[start + m * n : start + m * n + n]
        start += m * n + n
        cache.append((a, w))
        z = a @ w + b
        a = library.tanh(z) if layer < len(SIZES) - 2 else z
    z = a - library.max(a, axis=1, keepdims=True)
    log_probabilities = z - library.log(library.sum(library.exp(z), axis=1, keepdims=True))
    return -library.mean(library.sum(labels * log_probabilities, axis=1)), (
        cache,
        log_probabilities,
    )


def backward(cache, labels, library=np):
    """Return the gradient (34110,) of the loss."""
    layers, log_probabilities = cache
    dz = (library.exp(log_probabilities) - labels) / labels.shape[0]
    parts = []
    for layer in reversed(range(len(layers))):
        a, w = layers[layer]
        parts += [library.sum(dz, axis=0), (a.T @ dz).ravel()]
        if layer:
            dz = (dz @ w.T) * (1 - a * a)
    return library.concatenate(parts[::-1])


@dataclass
class Problem:
    """One point, the planted relative error, and how often the forward ran."""

    rng: np.random.Generator
    error: float = 0.0
    evaluations: int = 0
    theta: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        parts = []
        for m, n in itertools.pairwise(SIZES):
            parts += [self.rng.normal(size=m * n) / np.sqrt(m), self.rng.normal(size=n) / 10]
        self.theta = np.concatenate(parts)
        self.x = self.rng.normal(size=(EXAMPLES, SIZES[0]))
        self.labels = np.eye(SIZES[-1])[self.rng.integers(SIZES[-1], size=EXAMPLES)]
        last = np.abs(self.true_gradient(self.theta)[-LAST_LAYER : -SIZES[-1]])
        self.faulty = self.theta.size - LAST_LAYER + int(np.argsort(last)[last.size // 2])
        self.evaluations = 0

    def loss(self, theta) -> float:
        self.evaluations += 1
        return float(forward(theta, self.x, self.labels)[0])

    def true_gradient(self, theta):
        return backward(forward(theta, self.x, self.labels)[1], self.labels)

    def gradient(self, theta):
        gradient = self.true_gradient(theta)
        gradient[self.faulty] *= 1 + self.error
        return gradient

    def last_layer(self, tail):
        return np.concatenate([self.theta[:-LAST_LAYER], tail])


def ours(problem: Problem) -> bool:
    import gradcheck

    rule = gradcheck.gradient(problem.loss, problem.gradient, theta="P")
    report = gradcheck.verify_at(
        rule, (problem.theta,), trace=False, checks=["gradient"], seed=any_seed()
    )
    return str(report.verdict) == "fail"


def any_seed() -> int:
    return int(np.random.default_rng().integers(2**31))


def torch_gradcheck(fast: bool) -> Callable[[Problem], bool]:
    def run(problem: Problem) -> bool:
        import torch

        class Loss(torch.autograd.Function):
            @staticmethod
            def forward(ctx, tail):
                ctx.save_for_backward(tail)
                return torch.tensor(problem.loss(whole(tail)), dtype=torch.float64)

            @staticmethod
            def backward(ctx, cotangent):
                gradient = problem.gradient(whole(*ctx.saved_tensors))
                return cotangent * torch.from_numpy(gradient[-ctx.saved_tensors[0].numel() :])

        def whole(tail):
            values = tail.detach().numpy()
            return values if fast else problem.last_layer(values)

        start = problem.theta if fast else problem.theta[-LAST_LAYER:]
        tail = torch.tensor(start, requires_grad=True)
        return not torch.autograd.gradcheck(
            Loss.apply, (tail,), fast_mode=fast, raise_exception=False
        )

    return run


def jax_check_grads(problem: Problem) -> bool:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    with jax.enable_x64(True):

        @jax.custom_vjp
        def loss(theta):
            problem.evaluations += 1
            return forward(theta, problem.x, problem.labels, jnp)[0]

        def run_backward(cache, cotangent):
            gradient = backward(cache, problem.labels, jnp)
            return (cotangent * gradient.at[problem.faulty].multiply(1 + problem.error),)

        loss.defvjp(lambda theta: forward(theta, problem.x, problem.labels, jnp), run_backward)
        try:
            check_grads(loss, (jnp.asarray(problem.theta),), order=1, modes=["rev"])
        except AssertionError:
            return True
        return False


def scipy_check_grad(problem: Problem) -> bool:
    from scipy.optimize import check_grad

    def distance(gradient) -> float:
        return check_grad(
            lambda tail: problem.loss(problem.last_layer(tail)),
            lambda tail: gradient(problem.last_layer(tail))[-LAST_LAYER:],
            problem.theta[-LAST_LAYER:],
        )

    found = distance(problem.gradient)
    evaluations = problem.evaluations
    alarm = bool(problem.error) and found > SCIPY_SURPRISE * distance(problem.true_gradient)
    problem.evaluations = evaluations
    return alarm


def numdifftools_gradient(problem: Problem) -> bool:
    """Compare within the library's own error estimate, which it offers as one."""
    import numdifftools

    def loss(tail):
        return problem.loss(problem.last_layer(tail))

    found = numdifftools.Gradient(loss, full_output=True)(problem.theta[-LAST_LAYER:])
    claimed = problem.gradient(problem.theta)[-LAST_LAYER:]
    return bool(np.any(np.abs(found.estimate - claimed) > found.error_estimate))


def derivcheck_assert_deriv(problem: Problem) -> bool:
    from derivcheck import assert_deriv

    try:
        assert_deriv(
            lambda tail: problem.loss(problem.last_layer(tail)),
            lambda tail: problem.gradient(problem.last_layer(tail))[-LAST_LAYER:],
            problem.theta[-LAST_LAYER:],
        )
    except AssertionError:
        return True
    return False


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    run: Callable[[Problem], bool]
    entrywise: bool


PEERS = [
    Peer("gradcheck.verify_at, untraced", "gradcheck", ours, False),
    Peer("torch.autograd.gradcheck, fast", "torch", torch_gradcheck(fast=True), False),
    Peer("jax.test_util.check_grads", "jax", jax_check_grads, False),
    Peer("torch.autograd.gradcheck, slow", "torch", torch_gradcheck(fast=False), True),
    Peer("scipy.optimize.check_grad", "scipy", scipy_check_grad, True),
    Peer("numdifftools.Gradient", "numdifftools", numdifftools_gradient, True),
    Peer("derivcheck.assert_deriv", "derivcheck", derivcheck_assert_deriv, True),
]


def measure(peer: Peer) -> tuple[float, float, float | None, int]:
    """Return seconds and evaluations for all entries, the smallest error caught, false alarms."""
    alarms, seconds, evaluations = 0, [], []
    for run in range(RIGHT_RUNS):
        problem = Problem(np.random.default_rng(run))
        started = time.perf_counter()
        alarms += peer.run(problem)
        seconds.append(time.perf_counter() - started)
        evaluations.append(problem.evaluations)
    smallest = None
    for error in ERRORS:
        if not peer.run(Problem(np.random.default_rng(0), error)):
            break
        smallest = error
    factor = Problem(np.random.default_rng(0)).theta.size / LAST_LAYER if peer.entrywise else 1.0
    return (
        float(np.median(seconds)) * factor,
        float(np.median(evaluations)) * factor,
        smallest,
        alarms,
    )


def main() -> None:
    print(
        "| checker | time | relative to torch's fast mode | forward evaluations "
        f"| smallest relative error caught | false alarms of {RIGHT_RUNS} |"
    )
    print("|---|---|---|---|---|---|")
    rows = [(peer, *measure(peer)) for peer in PEERS if find_spec(peer.module)]
    fast = next((row[1] for row in rows if "fast" in row[0].name), np.nan)
    for peer, seconds, evaluations, smallest, alarms in rows:
        caught = "none: a doubled entry passes" if smallest is None else f"{smallest:.0e}"
        caught = "says nothing: it alarms without an error" if alarms else caught
        print(
            f"| {peer.name}{' (entrywise)' * peer.entrywise} | {seconds:.3g} s | {seconds / fast:.2g} "
            f"| {evaluations:.0f} | {caught} | {alarms} |"
        )


if __name__ == "__main__":
    main()
