"""Networks: rules composed of rules, drawn at random by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis.strategies import SearchStrategy

from gradcheck.contracts import Contract
from gradcheck.rules import Rule
from gradcheck.strategies.composable import composable
from gradcheck.strategies.composition import Composition
from gradcheck.strategies.growing import Drawn, architectures

__all__ = ["network", "networks"]


def network(
    rules: Sequence[Rule] | Mapping[str, Rule],
    /,
    *,
    name: str = "network",
    expected_failures: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Rule:
    """Make the rule of all networks that are composed of `rules`; each point of it is another network.

    Rules follow each other where the contract of one takes what another gives: in chains and branches, with
    residual connections, concatenations, and layers that are used twice with the same parameters. At the
    end stands a loss: half the squared error of every open end, and scalar outputs of rules as they are. The
    backward is composed of the hand-written ones, so that each is tested on the cotangents and among
    the states that it meets inside a network.

    Args:
        rules: the rules, simplest first, or a dict of them by the names that reports call them. Their inputs
            are declared by dimensions or domains. Inputs of free real numbers that are no parameters
            of a `gradcheck.layer` may come from other rules.
        name: what reports call the network.
        expected_failures: why a check is known to fail, by its name.
        strict: whether risky habits are failures, such as gradients that share memory: gradients of an
            array that is used twice are then added in place.

    Returns:
        A rule of two inputs: `network`, the architecture as lines of Python, and `values`, a dict of
        the arrays that these name.

    Raises:
        ContractError: a rule draws its own inputs or has complex ones, or two never fit each other.

    >>> from gradcheck import network, verify, vjp
    >>> double = vjp(lambda x: 2 * x, lambda dout, x: 2 * dout, x="N", name="double")
    >>> square = vjp(lambda x: x**2, lambda dout, x: dout * x, x="N", name="square")
    >>> report = verify(network([double, square]), checks=["gradient"], examples=20, seed=1)
    >>> print(report.findings[0].message.split("smallest failing case:")[1])
    <BLANKLINE>
            h1 = square(x_1)
            h2 = half_squared_error(h1, t_2)
            loss = h2
            x_1 [1], t_2 [1]
    """
    parts = composable(rules)
    composition = Composition(parts, in_place=strict)
    return Rule(
        name=name,
        kind="network",
        input_names=("network", "values"),
        primal=composition.primal,
        linearise=composition.linearise,
        functions=_functions(parts),
        points=architectures(parts).map(lambda drawn: (drawn.lines, drawn.values)),
        scalar=True,
        expected_failures=dict(expected_failures or {}),
        strict=strict,
        composition=composition,
    )


def networks(
    rules: Sequence[Rule] | Mapping[str, Rule], /, *, strict: bool = False
) -> SearchStrategy[Rule]:
    """Draw networks composed of `rules`, each a rule of one architecture at fixed sizes.

    Args:
        rules: as for `gradcheck.network`, which verifies all architectures at once.
        strict: as for `gradcheck.network`.

    Returns:
        A strategy of rules with a scalar output. The inputs of each are the values of its network, by the
        names that its lines call them; its name is the lines.

    Raises:
        ContractError: as `gradcheck.network`.

    >>> from gradcheck import vjp
    >>> from hypothesis import find
    >>> double = vjp(lambda x: 2 * x, lambda dout, x: 2 * dout, x="N", name="double")
    >>> find(networks([double]), lambda rule: rule.name.count("double") == 2).name
    'h1 = double(x_1); h2 = double(h1); h3 = half_squared_error(h2, t_3); loss = h3'
    """
    parts = composable(rules)
    return architectures(parts).map(lambda drawn: _of_one_architecture(parts, drawn, strict))


def _of_one_architecture(parts: Mapping[str, Rule], drawn: Drawn, strict: bool) -> Rule:
    names = tuple(drawn.domains)
    composition = Composition(parts, drawn.lines, names, in_place=strict)
    return Rule(
        name="; ".join(drawn.lines),
        kind="network",
        input_names=names,
        primal=composition.primal,
        linearise=composition.linearise,
        functions=_functions(parts),
        contract=Contract(drawn.domains),
        scalar=True,
        strict=strict,
        composition=composition,
    )


def _functions(parts: Mapping[str, Rule]) -> tuple[Callable[..., Any], ...]:
    return tuple(function for rule in parts.values() for function in rule.functions)
