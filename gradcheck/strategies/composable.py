"""Which rules a network can be composed of, and which of their inputs other rules may feed."""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gradcheck import trees
from gradcheck.contracts import Contract, Domain
from gradcheck.errors import ContractError, GradcheckError
from gradcheck.rules import Rule
from gradcheck.strategies.architecture import CONCATENATE, HALF_SQUARED_ERROR
from gradcheck.strategies.points import point_at

__all__ = ["composable", "contract_of", "feedable", "ranks_taken"]

ANY_RANKS = (2, 1, 3)
"""Numbers of axes that arrays get where every rule takes any number of them."""


def composable(rules: Sequence[Rule] | Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules by the names that lines call them.

    Rules of one name get a number: `forward`, `forward_2`.

    Raises:
        ContractError: there is no rule, one cannot stand in a network, or two never fit each other.
    """
    named = rules.items() if isinstance(rules, Mapping) else [(None, rule) for rule in rules]
    found: dict[str, Rule] = {}
    for given, rule in named:
        if not isinstance(rule, Rule):
            raise ContractError(
                f"networks: {rule!r:.80} is no rule; make one with gradcheck.pair, gradcheck.layer or "
                "their kin"
            )
        _refuse(given or rule.name, rule)
        found[_unused(_identifier(given or rule.name), found)] = rule
    if not found:
        raise ContractError(
            "networks: no rule is given; pass the layers, as networks([dense, relu])"
        )
    _refuse_strangers(found)
    return found


def contract_of(rule: Rule) -> Contract:
    """Return the contract of a rule that `composable` accepted."""
    assert rule.contract is not None
    return rule.contract


def feedable(rule: Rule) -> list[str]:
    """Name the inputs that other rules may feed: free real arrays that are no parameters of an object."""
    return [
        name
        for name, domain in contract_of(rule).inputs.items()
        if isinstance(domain, Domain) and domain.kind == "real" and name not in rule.parameters
    ]


def ranks_taken(rules: Mapping[str, Rule]) -> list[int]:
    """List the numbers of axes that the rules take from each other, the smallest first."""
    taken = [ranks for rule in rules.values() if (ranks := _ranks_taken(rule)) is not None]
    return sorted(frozenset().union(*taken) - {0}) or list(ANY_RANKS)


def _refuse(name: str, rule: Rule) -> None:
    if rule.contract is None:
        option = "inputs=" if rule.inputs is not None else "points="
        raise ContractError(
            f"networks: {name} draws its inputs by {option}, which does not say what other rules may feed "
            "it; declare the dimensions of its inputs, such as x='N D'"
        )
    for path, domain in rule.contract.domains.items():
        if domain.kind == "complex":
            raise ContractError(
                f"networks: {path} of {name} is complex; networks are composed of real arrays"
            )


def _identifier(name: str) -> str:
    """Return the name as one that a line of Python can call."""
    word = re.sub(r"\W+", "_", name).strip("_") or "rule"
    return f"rule_{word}" if keyword.iskeyword(word) or word[0].isdigit() else word


def _unused(name: str, taken: Iterable[str]) -> str:
    taken = {*taken, CONCATENATE, HALF_SQUARED_ERROR}
    numbers = itertools.count(2)
    unused = name
    while unused in taken:
        unused = f"{name}_{next(numbers)}"
    return unused


def _refuse_strangers(rules: Mapping[str, Rule]) -> None:
    """Refuse rules that no network could hold together: none feeds the other, nor can they be joined."""
    groups: list[list[str]] = []
    given = {name: _ranks_given(rule) for name, rule in rules.items()}
    for name, rule in rules.items():
        near = [
            group
            for group in groups
            if any(_meet(rule, given[name], rules[other], given[other]) for other in group)
        ]
        groups = [group for group in groups if group not in near]
        groups.append([*itertools.chain(*near), name])
    if len(groups) > 1:
        words = "; ".join(
            f"{name} gives {_axes(given[name])} and takes {_axes(_ranks_taken(rules[name]))}"
            for name in (groups[0][0], groups[1][0])
        )
        raise ContractError(
            f"networks: {' and '.join(', '.join(group) for group in groups)} never fit each other: {words}; "
            "compose them apart, or add a rule that leads from one to the other"
        )


Ranks = frozenset[int] | None
"""The numbers of axes that arrays may have; None for any."""


def _meet(one: Rule, given_by_one: Ranks, other: Rule, given_by_other: Ranks) -> bool:
    """Say whether one rule may feed the other, or results of both may be added."""
    return (
        _share(given_by_one, _ranks_taken(other))
        or _share(given_by_other, _ranks_taken(one))
        or _share(given_by_one, given_by_other)
    )


def _share(one: Ranks, other: Ranks) -> bool:
    """Say whether two sets of ranks share one; a scalar is a loss, which leads nowhere."""
    if one is None or other is None:
        return True
    return bool((one & other) - {0})


def _ranks_given(rule: Rule) -> Ranks:
    """Return the ranks of the outputs at the smallest sizes; any where they depend on the inputs'."""
    if contract_of(rule).variadics:
        return None
    try:
        output = rule.primal(point_at(rule).inputs)
    except GradcheckError:  # it runs only where Hypothesis draws its inputs: nothing is known
        return None
    return frozenset(np.ndim(part) for _, part in trees.leaves(output))


def _ranks_taken(rule: Rule) -> Ranks:
    shapes = [contract_of(rule).inputs[name].shape for name in feedable(rule)]
    if any(shape.variadic is not None for shape in shapes):
        return None
    return frozenset(len(shape.axes) for shape in shapes)


def _axes(ranks: Ranks) -> str:
    if ranks is None:
        return "arrays of any number of axes"
    if not ranks:
        return "no arrays of other rules"
    return f"arrays of {' or '.join(map(str, sorted(ranks)))} axes"
