"""`gradcheck.pair`: a forward that returns a cache, and a backward that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck import trees
from gradcheck.adapters.declaration import declare
from gradcheck.errors import RuleError
from gradcheck.rules import Pullback, Rule

__all__ = ["pair"]


def pair(
    forward: Callable[..., tuple[Any, Any]], backward: Callable[[Any, Any], Any], /, **keywords: Any
) -> Rule:
    """Make a rule of `forward(*inputs) -> (out, cache)` and `backward(dout, cache) -> gradients`.

    Args:
        forward: returns the output (an array, or a tuple of arrays) and whatever `backward` needs.
        backward: takes the cotangent of the output, of the output's shape, and the cache; returns
            one gradient per input in the forward's order (None: no claim), or a dict by input name.
        **keywords: the dimensions or the domain of each input by its name, such as `x="N D"`, and
            the options: `name=`, `output=`, `batch=`, `dims=`, `inputs=`, `points=`,
            `expected_failures=`, `strict=`.

    Raises:
        ContractError: a keyword is unknown or contradicts another.

    >>> import numpy as np
    >>> from gradcheck import pair, verify
    >>> def forward(x):
    ...     return np.tanh(x), np.tanh(x)
    >>> def backward(dout, y):
    ...     return dout * (1 - y**2)
    >>> verify(pair(forward, backward, x="N D"), examples=20, seed=1).verdict
    'pass'
    """

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, cache = _split(forward, forward(*inputs))
        return output, lambda cotangent: backward(cotangent, cache)

    def primal(inputs: tuple[Any, ...]) -> Any:
        return _split(forward, forward(*inputs))[0]

    functions = {"forward": forward, "backward": backward}
    return declare("pair", functions, keywords, linearise=linearise, primal=primal)


def _split(forward: Callable[..., Any], returned: Any) -> tuple[Any, Any]:
    if isinstance(returned, tuple) and len(returned) == 2:
        return returned
    raise RuleError(
        f"{getattr(forward, '__name__', 'the forward')} returned {trees.describe(returned)}; gradcheck.pair "
        "expects a forward that returns (out, cache): return `out, None` if there is nothing to keep, or use "
        "gradcheck.vjp for a derivative that takes the inputs themselves"
    )
