"""Second derivatives: the gradient of a rule as a rule of its own.

The Hessian is the Jacobian of the gradient, and symmetric: its product with a direction v is the VJP of
the gradient with the cotangent v. A rule whose forward is the claimed gradient and whose pullback is the
product, or what a framework makes of the backward when it differentiates it again, is judged as any
other is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradcheck.adapters.declaration import positional_room
from gradcheck.errors import ContractError, RuleError
from gradcheck.gradients import by_input
from gradcheck.rules import Pullback, Rule

__all__ = ["rule_of_backward", "rule_of_products"]


def rule_of_products(rule: Rule, grad: Callable[..., Any], hvp: Callable[..., Any]) -> Rule:
    """Return the rule whose forward is the gradient of `rule`, and whose pullback is `hvp`.

    Its output is the tuple of all claimed gradients; its pullback claims a product for the inputs of
    those, and None for the others.

    Args:
        rule: a rule with a scalar output.
        grad: the user's gradient.
        hvp: takes the inputs, and one direction for each claimed gradient.

    Raises:
        ContractError: `hvp` cannot be called so.
    """
    _require_directions(rule, hvp)

    def gradients(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        _, pullback = rule.linearise(inputs)
        return rule.gradients_by_input(pullback(1.0), inputs)

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        found = gradients(inputs)
        places = [place for place, gradient in enumerate(found) if gradient is not None]

        def pullback(directions: tuple[Any, ...]) -> tuple[Any, ...]:
            _require_room(hvp, len(inputs), len(places))
            names = [rule.input_names[place] for place in places]
            values = [inputs[place] for place in places]
            try:
                own = by_input(hvp(*inputs, *directions), names, values, [True] * len(places))
            except RuleError as error:
                raise RuleError(str(error).replace("the backward", "hvp", 1)) from None
            products = dict(zip(places, own, strict=True))
            return tuple(products.get(place) for place in range(len(inputs)))

        return tuple(found[place] for place in places), pullback

    return replace(
        rule,
        name=f"hvp of {rule.name}",
        kind="vjp",
        primal=lambda inputs: linearise(inputs)[0],
        linearise=linearise,
        functions=(grad, hvp),
        scalar=False,
        kinks={},
    )


def rule_of_backward(
    rule: Rule,
    linearise: Callable[[tuple[Any, ...]], tuple[Any, Pullback]],
    functions: tuple[Callable[..., Any], ...],
) -> Rule:
    """Return the backward of `rule` as a rule of its own, whose pullback differentiates it again.

    Its inputs are those of `rule` and, last, a cotangent; its output is the tuple of the gradients.

    Args:
        rule: a rule whose backward is differentiated by the framework that it is written for.
        linearise: inputs and cotangent to the gradients and the pullback of those.
        functions: what the oracles look at, that of the true gradients first.
    """
    name = "cotangent" if "cotangent" not in rule.input_names else "cotangent of the output"
    return replace(
        rule,
        name=f"the backward of {rule.name}",
        input_names=(*rule.input_names, name),
        primal=lambda inputs: linearise(inputs)[0],
        linearise=linearise,
        functions=functions,
        defaults=(),
        contract=None,
        inputs=None,
        points=None,
        scalar=False,
        kinks={},
        pushforward=None,
        watched=None,
        parts=None,
    )


def _require_directions(rule: Rule, hvp: Callable[..., Any]) -> None:
    if not callable(hvp):
        raise ContractError(f"gradcheck.gradient: hvp= is {hvp!r:.80}, not a callable")
    room = positional_room(hvp)
    if room is not None and room <= len(rule.input_names):
        raise ContractError(
            f"gradcheck.gradient: hvp takes {room} argument{'s' * (room != 1)}; it is called as "
            "hvp(*inputs, *directions), one direction for each gradient that grad claims, here "
            f"hvp({', '.join(rule.input_names)}, v) at least"
        )


def _require_room(hvp: Callable[..., Any], inputs: int, directions: int) -> None:
    room = positional_room(hvp)
    if room is not None and room < inputs + directions:
        raise RuleError(
            f"hvp takes {room} arguments for {inputs} inputs and the {directions} gradients that grad "
            "claims; it is called as hvp(*inputs, *directions), one direction for each of them"
        )
