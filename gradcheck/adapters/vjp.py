"""`gradcheck.vjp`: a forward, and a derivative that takes the cotangent and the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck.adapters.declaration import declare
from gradcheck.rules import Pullback, Rule

__all__ = ["vjp"]


def vjp(forward: Callable[..., Any], vjp: Callable[..., Any], /, **keywords: Any) -> Rule:
    """Make a rule of `forward(*inputs) -> out` and `vjp(dout, *inputs) -> gradients`.

    Args:
        forward: returns the output, an array or a tuple of arrays.
        vjp: takes the cotangent of the output and the inputs; returns one gradient per input in
            the forward's order (None: no claim), or a dict by input name.
        **keywords: the dimensions or the domain of each input by its name, and the options of
            `gradcheck.pair`.

    Raises:
        ContractError: a keyword is unknown or contradicts another.

    >>> import numpy as np
    >>> from gradcheck import verify, vjp
    >>> square = vjp(lambda x: x**2, lambda dout, x: dout * 2.001 * x, x="N")
    >>> verify(square, examples=20, seed=1).verdict
    'fail'
    """

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return forward(*inputs), lambda cotangent: vjp(cotangent, *inputs)

    functions = {"forward": forward, "vjp": vjp}
    return declare(
        "vjp", functions, keywords, linearise=linearise, primal=lambda inputs: forward(*inputs)
    )
