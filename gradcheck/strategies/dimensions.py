"""How the sizes of a contract's dimensions are drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import hypothesis
from hypothesis.strategies import DrawFn

from gradcheck.contracts import Contract
from gradcheck.contracts.dimensions import Axes, Shape, bind_several
from gradcheck.strategies.choices import choice

__all__ = ["drawn_shape", "sizes"]

SIZES_OF_A_NAME = 6
"""How many sizes, from the smallest allowed on, a name is drawn from: enough for six unequal ones,
and few enough entries (6^4 for four axes) that each can be differenced by itself."""

LARGEST_RANK = 3
"""How many axes a name of any number of axes stands for at most: none, one, some in between."""

UNEQUAL = 3
"""Draws of four in which sizes are unequal as far as they can be; equal ones hide a transpose."""


def sizes(
    draw: DrawFn, contract: Contract, known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Draw a size for every name of a contract, so that every dimension has size 1 or more.

    Args:
        draw: Hypothesis's own.
        contract: the contract.
        known: sizes that are given, such as the arguments that its expressions use
            (`Contract.arguments`).

    Shrinks towards 1 for every name. A batch of 1 and equal sizes are among the draws.
    """
    problem = contract.problem
    found = dict(known or {})
    unequal = choice(draw, range(UNEQUAL + 1)) > 0
    taken: set[int] = set()
    for name in problem.names:
        if name in found:
            choice(draw, range(SIZES_OF_A_NAME))  # so that shrinking may do without what is known
            continue
        candidates = list(islice(problem.allowed(name, found), SIZES_OF_A_NAME))
        if not candidates:
            smallest = problem.smallest(known or {})
            if smallest is None:
                hypothesis.reject()
            found = smallest
            break
        fresh = [size for size in candidates if size not in taken] if unequal else []
        found[name] = choice(draw, fresh or candidates)
        taken.add(found[name])
    for name in contract.variadics:
        if name in found:
            continue
        rank = choice(draw, range(LARGEST_RANK + 1))
        axes = tuple(choice(draw, range(1, SIZES_OF_A_NAME // 2 + 1)) for _ in range(rank))
        found.update(bind_several(name, axes))
    return found


def drawn_shape(draw: DrawFn, shape: Shape, bindings: Mapping[str, int]) -> tuple[int, ...]:
    """Draw the dimensions of one array: those of `bindings`, or 1 where an axis broadcasts ("#").

    Of several axes that broadcast ("*#batch"), the first ones may be missing too.
    """
    result: list[int] = []
    for axis in shape.axes:
        own = list(Shape(shape.text, (axis,)).sizes(bindings))
        if isinstance(axis, Axes) and axis.broadcasts:
            own = own[choice(draw, range(len(own) + 1)) :]
        if axis.broadcasts:
            own = [choice(draw, (size, 1)) for size in own]
        result += own
    return tuple(result)
