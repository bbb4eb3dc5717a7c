"""Points at the sizes that the code compares something with: nobody sees `if n > 10` in a trace.

A size is a plain number to Python, so that no recorded run says what was compared. The whole numbers
that stand in comparisons of the code itself are known, though, and each may be the one at which a size
takes the code elsewhere.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from gradcheck.contracts.feasibility import LARGEST_SIZE
from gradcheck.errors import GradcheckError
from gradcheck.rules import Point, Rule
from gradcheck.strategies.dimensions import SIZES_OF_A_NAME
from gradcheck.strategies.points import point_at

__all__ = ["compared_numbers", "points_of_compared_sizes"]

OPERANDS = 6
"""Instructions before a comparison in which its operands are looked for: `x.shape[0] % 16 == 0` has five."""

CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT"})
"""Instructions with a number of the code; since Python 3.14 small ones have one of their own."""

MOST_ENTRIES = 64 * 64
"""Entries of one array of a point: an oracle that is exact takes no more."""


def points_of_compared_sizes(rule: Rule, seed: int) -> Iterator[Point]:
    """Yield points of `rule` at which one dimension has a size just above, or at, a compared number.

    Only sizes that are seldom drawn are looked at, up to `LARGEST_SIZE`; each other dimension has its
    smallest size.
    """
    if rule.contract is None:
        return
    numbers = compared_numbers(rule.functions)
    for beyond in (1, 0):
        for number in numbers:
            for name in rule.contract.problem.names:
                if not SIZES_OF_A_NAME < number + beyond <= LARGEST_SIZE:
                    continue
                try:
                    point = point_at(rule, {name: number + beyond}, seed)
                except GradcheckError:  # the contract or the forward does not take this size
                    continue
                if all(getattr(value, "size", 1) <= MOST_ENTRIES for value in point.inputs):
                    yield point


def compared_numbers(functions: Iterable[Callable[..., Any]]) -> list[int]:
    """List the whole numbers that stand beside a comparison in functions, and in what they call nearby.

    >>> compared_numbers([lambda x: x if len(x) > 10 and len(x) % 7 == 3 else x[:16]])
    [10, 7, 3]
    """
    found: dict[int, None] = {}
    for code in _codes(functions):
        recent: list[Any] = []
        for instruction in dis.get_instructions(code):
            if instruction.opname == "COMPARE_OP":
                found |= dict.fromkeys(value for value in recent if _is_number(value))
            is_constant = instruction.opname in CONSTANTS
            recent = [*recent[1 - OPERANDS :], instruction.argval if is_constant else None]
            if instruction.opname.startswith("STORE"):
                recent = []
    return list(found)


def _is_number(value: Any) -> bool:
    return type(value) is int and value > 1


def _codes(functions: Iterable[Any]) -> Iterator[CodeType]:
    """Yield the code of functions, of the methods of classes, and of what they name in their own modules."""
    left, seen = list(functions), set[int]()
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, CodeType):
            yield item
            left += [constant for constant in item.co_consts if isinstance(constant, CodeType)]
        elif isinstance(item, type):
            left += [value for value in vars(item).values() if isinstance(value, FunctionType)]
        elif isinstance(item, FunctionType):
            left.append(item.__code__)
            named = (item.__globals__.get(name) for name in item.__code__.co_names)
            cells = (cell.cell_contents for cell in item.__closure__ or () if _is_filled(cell))
            left += [
                value
                for value in (*named, *cells)
                if isinstance(value, (FunctionType, type)) and value.__module__ == item.__module__
            ]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # of a function that is still being defined
        return False
