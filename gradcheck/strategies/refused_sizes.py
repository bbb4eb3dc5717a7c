"""Sizes that a contract allows and its forward does not take."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from gradcheck.contracts import Contract
from gradcheck.errors import RuleError, UsageError
from gradcheck.rules import Rule
from gradcheck.strategies.dimensions import SIZES_OF_A_NAME
from gradcheck.strategies.points import RAISED, point_at

__all__ = ["refused_sizes"]

PROBES = 30
"""Random sizes that must all be refused: of a forward that takes one size in four, as one of even heights
and widths, all are so once in 5000 times."""


def refused_sizes(rule: Rule) -> str:
    """Say at which sizes the forward raises though the contract allows them; empty if it runs at any.

    The sizes are unequal and above 1: a forward that takes equal ones alone, or runs by broadcasting,
    has other dimensions than its contract says. Only a rule with a contract is looked at.
    """
    contract = rule.contract
    if contract is None:
        return ""
    rng = np.random.default_rng(0)
    refused = ""
    for probe in range(PROBES):
        sizes = _unequal_sizes(contract, rng)
        choices = {path: own[int(rng.integers(len(own)))] for path, own in contract.choices.items()}
        try:
            point_at(rule, sizes, probe, choices=choices)
            return ""
        except UsageError:  # these sizes, or this rule's values, are drawn by Hypothesis alone
            continue
        except RuleError as error:
            if RAISED not in str(error):
                return ""
            reason = str(error).split(f"{RAISED} ", 1)[1]
            refused = f"{', '.join(f'{name}={size}' for name, size in sizes.items())} ({reason})"
    return refused


def _unequal_sizes(contract: Contract, rng: np.random.Generator) -> dict[str, int]:
    found: dict[str, Any] = {}
    for name in contract.problem.names:
        candidates = list(islice(contract.problem.allowed(name, found), SIZES_OF_A_NAME + 1))
        fresh = [size for size in candidates if size > 1 and size not in found.values()]
        if fresh:
            found[name] = int(rng.choice(fresh))
    return found
