"""The forward pass that a document only differentiates.

An author may write `dJ/dW = e (dy/dz) (dz/dW)` and then `dJ/dW = e f'(z) (dz/dW)` and never say that
y is f(z). What is put in place of a derivative tells of what function it is the derivative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations

from gradcheck.derivations import expressions as ex

__all__ = ["factors_of", "unwritten"]


def unwritten(
    equations: Sequence[tuple[ex.Expression, ex.Expression]],
) -> dict[ex.Symbol, ex.Expression]:
    """Return the symbols that some equations differentiate, each with what it is a function of.

    Args:
        equations: (left, right) of each; right sides of one left side are compared.
    """
    sides: dict[ex.Expression, list[list[ex.Expression]]] = defaultdict(list)
    for left, right in equations:
        sides[left].append(factors_of(right))
    found: dict[ex.Symbol, list[ex.Expression]] = defaultdict(list)
    for own in sides.values():
        for before, after in permutations(own, 2):
            for symbol, meaning in _put_in_place(before, after):
                if meaning not in found[symbol]:
                    found[symbol].append(meaning)
    for left, right in equations:
        if isinstance(left, ex.Derivative):
            for symbol, meaning in _put_in_place([left], factors_of(right)):
                if isinstance(meaning, ex.Call) and meaning not in found[symbol]:
                    found[symbol].append(meaning)
    return {symbol: parts[0] for symbol, parts in found.items() if len(parts) == 1}


def factors_of(side: ex.Expression) -> list[ex.Expression]:
    """Return what a side multiplies, its sign aside."""
    match side:
        case ex.Plus((_,), (term,)):
            return factors_of(term)
        case ex.Product(_, left, right):
            return [*factors_of(left), *factors_of(right)]
    return [side]


def _put_in_place(
    before: Sequence[ex.Expression], after: Sequence[ex.Expression]
) -> Iterator[tuple[ex.Symbol, ex.Expression]]:
    """Yield what a derivative is of, where two sides differ by what stands in its place alone."""
    for place, factor in enumerate(before):
        if not isinstance(factor, ex.Derivative):
            continue
        of, by = factor.of, factor.by
        if not isinstance(of, ex.Symbol) or not isinstance(by, ex.Symbol):
            continue
        if of.components or by.components or of.name == by.name or len(after) != len(before):
            continue
        others = [*before[:place], *before[place + 1 :]]
        here = after[place]
        if [*after[:place], *after[place + 1 :]] == others:
            match here:
                case ex.Call(function, 1, (argument,)) if argument == by:
                    yield of, ex.Call(function, 0, (by,))
                case ex.Transposed(matrix) if others and place == len(before) - 1:
                    yield of, ex.Product("", by, matrix)
        elif others and after[1:] == others and isinstance(after[0], ex.Transposed):
            yield of, ex.Product("", after[0].body, by)
