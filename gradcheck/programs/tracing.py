"""Unmodified NumPy code as a program: recorded once, lowered to a jaxpr, validated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gradcheck.programs.numpy_tracing import validation
from gradcheck.programs.numpy_tracing.trace import Trace
from gradcheck.programs.numpy_tracing.trace import trace as _trace

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Trace", "trace", "validated_trace"]


def trace(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Trace:
    """Record `function(*arguments)`, and return the program of its floating inputs.

    The function runs once, as a private copy on copies of the arguments: neither it nor what it
    reaches is changed. Branches, masks and indices are those of this point, each a guard of the
    trace. The program has not been compared with the function: use `validated_trace` to rely on it.

    Args:
        function: any callable, closures and bound methods included; takes trees of arrays and
            returns a tree of arrays.
        arguments: the point. Arrays of floating numbers, and NumPy scalars, are the inputs of the
            program in leaf order; every other leaf is a constant.

    Raises:
        Abstention: the code does something that cannot be followed, or raised; the reason says
            what and `where` is the user's line.

    >>> import numpy as np
    >>> def softplus(x):
    ...     out = np.zeros_like(x)
    ...     out[x > 0] = x[x > 0]
    ...     return out + np.log1p(np.exp(-np.abs(x)))
    >>> program = trace(softplus, (np.array([-1.0, 2.0]),))
    >>> program.holds_at((np.array([-3.0, 4.0]),)), program.holds_at((np.array([3.0, 4.0]),))
    (True, False)
    """
    return _trace(function, arguments)


def validated_trace(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    fresh: tuple[Any, ...] | None = None,
    rng: np.random.Generator,
    lowered: bool = True,
) -> Trace:
    """Trace `function(*arguments)` and compare the program with the untraced function.

    Three comparisons, at the cost of some five runs of the function: the recorded run bit for bit
    with the untraced function at this point; the run repeated on the tape, and the program, with
    the untraced function at a second point that takes the same branches; the program's derivative
    there along one direction with a central difference. Random states are put back.

    Args:
        function: as for `trace`.
        arguments: as for `trace`.
        fresh: other arguments of the same shapes, towards which the second point is sought; None
            stands for random ones.
        rng: draws the second point and the direction.
        lowered: whether the whole program is lowered and compared now. Without it every program
            that is asked for later is compared at both points before it is returned; its derivative
            is not, for a caller that differences the function itself.

    Raises:
        Abstention: the code cannot be traced, or trace and code part; the reason says where.

    >>> import numpy as np
    >>> seen = []
    >>> def remembers(x):
    ...     seen.append(float(x.sum()))
    ...     return x * len(seen)
    >>> program = validated_trace(remembers, (np.ones(2),), rng=np.random.default_rng(0))
    >>> seen  # the function itself has run once, at the point
    [2.0]
    """
    return validation.validated_trace(function, arguments, fresh=fresh, rng=rng, lowered=lowered)
