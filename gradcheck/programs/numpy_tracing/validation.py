"""Whether a trace computes what the untraced function computes; nothing else makes it believed.

The recorded run must agree with the untouched function bit for bit. At a second point, which takes
the same branches, the tape repeated in NumPy must agree with the untouched function, and so must the
lowered program. There the program's derivative must agree with a finite difference of the untouched
function along one direction. A constant that should have depended on the inputs, a write that
missed a view, a wrong twin in `lax` each break one of these.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.floating import AS_TRACED
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing.agreement import (
    REPETITION_STEPS,
    is_number,
    require_agreement,
    rounding_unit,
)
from gradcheck.programs.numpy_tracing.clones import Clones
from gradcheck.programs.numpy_tracing.randomness import preserved
from gradcheck.programs.numpy_tracing.trace import Trace, trace
from gradcheck.programs.numpy_tracing.traced import unwrap

__all__ = ["validated_trace"]

APPROACHES = (1.0, 0.1, -0.1, 1e-2, -1e-2, 1e-4, -1e-4, 1e-6, -1e-6)
"""Fractions of the way to the fresh point, and away from it, at which a second point is sought, until
one takes the branches of the first: at the edge of a branch one of two sides does. The smallest still
moves every input by thousands of its rounding errors."""

PERTURBATION = 0.3
"""Size of the random change that makes a fresh point where the caller gives none, relative to each
number, so that most signs and domains are kept; a zero moves by that part of the array's largest
magnitude, or of 1."""

DIFFERENCE_STEPS = (1e-4, 1e-5, 1e-3, 1e-6)
"""Steps of the central difference, relative to the largest input; one that fits is enough."""

NOISE_FACTOR = 100
"""Rounding errors of an output that a difference may carry: sums of some thousand terms lose about
as many as the root of their number."""

DIFFERENCE_TOLERANCE = 1e-3
"""Relative disagreement of the program's derivative with the finite difference that is taken for
the difference's own error: values have been compared to rounding already, and this looks for
derivatives that are wrong altogether."""


def validated_trace(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    fresh: tuple[Any, ...] | None = None,
    rng: np.random.Generator,
    lowered: bool = True,
) -> Trace:
    """Trace `function(*arguments)` and compare the program with the untraced function.

    See `gradcheck.programs.tracing.validated_trace`.
    """
    recorded = trace(function, arguments)
    if trees.variables(arguments) and _has_numbers(recorded.outputs):
        second = _validated_elsewhere(function, recorded, arguments, fresh, rng)
        if lowered:
            _check_derivative(function, recorded, second, rng)
    with preserved(recorded.random_sources):
        untraced = _run(function, arguments)  # last of all, for it may change state for good
    require_agreement("the recorded", recorded.outputs, "the untraced", untraced, 0)
    recorded.testify("the lowered", arguments, "the untraced", untraced)
    if lowered:
        _ = recorded.jaxpr
    return recorded


def _validated_elsewhere(
    function: Callable[..., Any],
    recorded: Trace,
    arguments: tuple[Any, ...],
    fresh: tuple[Any, ...] | None,
    rng: np.random.Generator,
) -> tuple[Any, ...]:
    """Compare the run with the function at a second point on the same branches, and return that."""
    towards = _perturbed(arguments, rng) if fresh is None else fresh
    crossed, same_branches = None, False
    near = (_between(arguments, towards, fraction) for fraction in APPROACHES)
    elsewhere = [] if fresh is not None else [_perturbed(_of_order_one(arguments), rng)]
    for point in chain(elsewhere, near):
        broken = recorded.broken_guard(point)
        if broken is not None:
            crossed = broken
            continue
        same_branches = True
        try:
            untraced = _run_copy(function, point)
        except Exception:  # outside of the function's domain, perhaps
            continue
        if not _is_finite(untraced):
            continue
        require_agreement(
            "the recorded run, repeated at a second point,",
            recorded.replay(point),
            "untraced",
            untraced,
            REPETITION_STEPS * rounding_unit(recorded.dtypes),
        )
        recorded.testify("the program at a second point", point, "untraced", untraced)
        return point  # type: ignore[no-any-return]
    if crossed is not None and not same_branches:
        raise Abstention("no second point near this one takes the same branches", crossed.line)
    raise Abstention("the function is defined and finite at no second point near this one")


def _check_derivative(
    function: Callable[..., Any], recorded: Trace, point: tuple[Any, ...], rng: np.random.Generator
) -> None:
    """Compare the program's derivative along one direction with a central difference."""
    values = [np.asarray(value) for value in trees.variables(point)]
    scale = max((float(np.max(np.abs(value), initial=0)) for value in values), default=0) or 1.0
    direction = [
        np.asarray(rng.uniform(0.5, 1, value.shape) * rng.choice([-1, 1], value.shape), value.dtype)
        for value in values
    ]
    slope = _directional_derivative(recorded, values, direction)
    closest = (np.inf, 0.0, 0.0)
    for step in DIFFERENCE_STEPS:
        ends = [_with_variables(point, values, direction, sign * step * scale) for sign in (1, -1)]
        if any(recorded.broken_guard(end) for end in ends):
            continue
        try:
            above, below = (_numbers(_run_copy(function, end)) for end in ends)
        except Exception:  # outside of the function's domain, perhaps
            continue
        difference = (above - below) / (2 * step * scale)
        noise = rounding_unit(recorded.dtypes) * np.max(np.abs(above), initial=0) / (step * scale)
        error = float(np.max(np.abs(difference - slope), initial=0))
        size = float(max(np.max(np.abs(slope), initial=0), np.max(np.abs(difference), initial=0)))
        if not error > DIFFERENCE_TOLERANCE * size + NOISE_FACTOR * noise:
            return
        worst = int(np.argmax(np.abs(difference - slope)))
        closest = min(closest, (error, float(abs(slope[worst])), float(abs(difference[worst]))))
    if closest[0] < np.inf:
        raise Abstention(
            f"the traced derivative along a direction is {closest[1]:.6g} in size, "
            f"a finite difference of the untraced function {closest[2]:.6g}"
        )


def _directional_derivative(
    recorded: Trace, values: list[NDArray[Any]], direction: list[NDArray[Any]]
) -> NDArray[Any]:
    run = jaxpr_as_fun(recorded.jaxpr)
    with enable_x64():
        kinds = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values]
        program = jax.make_jaxpr(lambda at, along: jax.jvp(run, at, along)[1])(kinds, kinds)
    return _flat(evaluate(program, [*values, *direction], AS_TRACED))


def _run(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    # The order of memory is kept, as in the recorded run: matrix products add in that order.
    own = trees.map_leaves(
        lambda leaf: leaf.copy(order="K") if isinstance(leaf, np.ndarray) else leaf, arguments
    )
    return trees.map_leaves(
        lambda leaf: np.array(leaf) if is_number(leaf) else leaf, function(*own)
    )


def _run_copy(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Run a plain private copy of the function, so that state starts where the trace's did."""
    with preserved(), np.errstate(all="ignore"):
        return unwrap(_run(Clones().convert(function), arguments))


def _perturbed(arguments: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    def moved(leaf: Any) -> Any:
        if not trees.is_variable(leaf):
            return leaf
        largest = float(np.max(np.abs(leaf), initial=0)) or 1.0
        size = np.where(leaf == 0, largest, np.abs(leaf))
        return _placed_as(leaf, leaf + PERTURBATION * size * rng.normal(size=leaf.shape))

    return trees.map_leaves(moved, arguments)  # type: ignore[no-any-return]


def _of_order_one(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Scale every array to a largest magnitude of 1.

    Where huge or tiny numbers overflow, saturate or vanish, programs that differ may give the same.
    """

    def scaled(leaf: Any) -> Any:
        largest = np.max(np.abs(leaf), initial=0) if trees.is_variable(leaf) else 0
        return _placed_as(leaf, leaf / largest) if largest else leaf

    return trees.map_leaves(scaled, arguments)  # type: ignore[no-any-return]


def _between(one: Any, other: Any, fraction: float) -> Any:
    targets = iter(leaf for _, leaf in trees.leaves(other))

    def moved(leaf: Any) -> Any:
        target = next(targets)
        if not trees.is_variable(leaf):
            return leaf
        return _placed_as(leaf, leaf + fraction * (np.asarray(target) - leaf))

    return trees.map_leaves(moved, one)


def _placed_as(leaf: Any, values: Any) -> Any:
    """Return `values` in the kind, dtype and order of memory of `leaf`."""
    placed = np.empty_like(leaf)
    placed[...] = values
    return placed if isinstance(leaf, np.ndarray) else placed[()]


def _with_variables(
    point: tuple[Any, ...], values: list[NDArray[Any]], direction: list[NDArray[Any]], step: float
) -> tuple[Any, ...]:
    moved = (
        _placed_as(value, value + step * along)[()]
        for value, along in zip(values, direction, strict=True)
    )
    return trees.with_variables(point, moved)  # type: ignore[no-any-return]


def _numbers(output: Any) -> NDArray[Any]:
    return _flat([leaf for _, leaf in trees.leaves(output) if is_number(leaf)])


def _flat(parts: list[Any]) -> NDArray[Any]:
    return np.concatenate([np.ravel(part) for part in parts]) if parts else np.zeros(0)


def _has_numbers(output: Any) -> bool:
    return any(is_number(leaf) for _, leaf in trees.leaves(output))


def _is_finite(output: Any) -> bool:
    return bool(np.all(np.isfinite(_numbers(output))))
