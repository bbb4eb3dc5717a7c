"""`gradcheck.vjp`: a forward, and a derivative that takes the cotangent and the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck import trees
from gradcheck.adapters.declaration import declare
from gradcheck.errors import RuleError
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
        return primal(inputs), lambda cotangent: vjp(cotangent, *inputs)

    def primal(inputs: tuple[Any, ...]) -> Any:
        output = forward(*inputs)
        if _has_cache(output, inputs):
            raise RuleError(
                f"the forward returned {trees.describe(output)}, and gradcheck.vjp expects the output "
                "alone, an array or a tuple of arrays; a forward that returns (out, cache) is declared by "
                "gradcheck.pair"
            )
        return output

    functions = {"forward": forward, "vjp": vjp}
    return declare("vjp", functions, keywords, linearise=linearise, primal=primal)


def _has_cache(output: Any, inputs: tuple[Any, ...]) -> bool:
    """Say whether an output holds what no output is: None, a dict, or in a tuple an input itself.

    `(h, (h, c))` is the output of a recurrent layer.
    """
    if not isinstance(output, tuple):
        return False
    given = {id(value) for _, value in trees.leaves(inputs)}
    return any(
        part is None
        or isinstance(part, dict)
        or (isinstance(part, tuple) and any(id(leaf) in given for _, leaf in trees.leaves(part)))
        for part in output
    )
