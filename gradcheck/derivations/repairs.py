"""Single edits of an expression: what an author most often got wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.spelling import short
from gradcheck.derivations.walks import calls_of, substituted

if TYPE_CHECKING:
    from gradcheck.derivations.model import Model

__all__ = ["Repair", "repairs_of"]


@dataclass(frozen=True)
class Repair:
    """An edited expression.

    Attributes:
        expression: what stands there after the edit.
        words: the edit, to be read after "it holds with".
        cost: how far the edit goes; smaller is likelier.
    """

    expression: ex.Expression
    words: str
    cost: int


def repairs_of(
    expression: ex.Expression, model: Model, letters: frozenset[str] = frozenset()
) -> list[Repair]:
    """Return every single edit of an expression, the likelier first.

    Args:
        expression: what may be wrong.
        model: whose symbols could have been meant.
        letters: component indices that could have been meant.
    """
    out = [
        Repair(ex.Plus((-1,), (expression,)), "the other sign", 1),
        *(
            Repair(ex.Product("", ex.Number(c), expression), f"the factor {c}", 2)
            for c in (Fraction(2), Fraction(1, 2), Fraction(-2), Fraction(-1, 2))
        ),
    ]
    for call in dict.fromkeys(calls_of(expression)):
        if len(call.arguments) == 1 and not call.primes:
            inner = call.arguments[0]
            words = f"{short(inner)} in place of {short(call)}"
            out.append(Repair(substituted(expression, call, inner), words, 2))
    for symbol in dict.fromkeys(ex.symbols(expression)):
        for letter in sorted(letters) if len(symbol.components) == 1 else ():
            other = ex.Symbol(symbol.name, symbol.family, (ex.Index(letter),))
            if other != symbol:
                words = f"{other} in place of {symbol}"
                out.append(Repair(_exchanged(expression, symbol, other), words, 1))
    for edited, words, cost in _edits(expression, model):
        out.append(Repair(edited, words, cost))
    return sorted(out, key=lambda repair: repair.cost)


def _exchanged(body: ex.Expression, old: ex.Symbol, new: ex.Symbol) -> ex.Expression:
    """Return a body with one symbol in place of another, throughout."""
    if body == old:
        return new
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(body):
        value = getattr(body, field.name)
        if isinstance(value, _EXPRESSIONS) and field.name != "function":
            changes[field.name] = _exchanged(value, old, new)
        elif isinstance(value, tuple) and value and isinstance(value[0], _EXPRESSIONS):
            changes[field.name] = tuple(_exchanged(part, old, new) for part in value)
    return dataclasses.replace(body, **changes)


Edit = tuple[ex.Expression, str, int]


def _edits(node: ex.Expression, model: Model) -> Iterator[Edit]:
    yield from _here(node, model)
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value) and isinstance(value, _EXPRESSIONS):
            if isinstance(node, ex.Call) and field.name == "function":
                continue
            for edited, words, cost in _edits(value, model):
                yield dataclasses.replace(node, **{field.name: edited}), words, cost  # type: ignore[arg-type]
        elif isinstance(value, tuple) and value and isinstance(value[0], _EXPRESSIONS):
            for place, part in enumerate(value):
                for edited, words, cost in _edits(part, model):
                    parts = (*value[:place], edited, *value[place + 1 :])
                    yield dataclasses.replace(node, **{field.name: parts}), words, cost  # type: ignore[arg-type]


_EXPRESSIONS = (
    ex.Symbol, ex.Number, ex.Known, ex.Plus, ex.Product, ex.Divided, ex.Power, ex.Transposed,
    ex.Rooted, ex.NormOf, ex.Absolute, ex.Call, ex.Derivative, ex.SumOver, ex.Kronecker, ex.Picked,
    ex.Concatenated,
)  # fmt: skip


def _here(node: ex.Expression, model: Model) -> Iterator[Edit]:
    match node:
        case ex.Transposed(body):
            yield body, f"{short(body)} not transposed", 1
        case ex.Call(function, primes, arguments) if len(arguments) == 1:
            if function.name not in ("exp", "log"):
                yield (
                    ex.Call(function, 1 - min(primes, 1), arguments),
                    (
                        f"{function.name} in place of {function.name}'"
                        if primes
                        else f"{function.name}' in place of {function.name}"
                    ),
                    1,
                )
            yield (
                arguments[0],
                f"{short(arguments[0])} in place of {function.name}({short(arguments[0])})",
                2,
            )
        case ex.Symbol():
            yield ex.Transposed(node), f"{node} transposed", 1
            yield ex.Power(node, ex.Number(Fraction(2))), f"the square of {node}", 2
            yield from _renamed(node, model)
        case ex.Product(sign, left, right):
            hadamard = sign in ("circ", "odot")
            yield (
                ex.Product("" if hadamard else "odot", left, right),
                (
                    "a matrix product in place of the elementwise one"
                    if hadamard
                    else "an elementwise product"
                ),
                1,
            )
            yield ex.Product(sign, right, left), f"{short(left)} and {short(right)} swapped", 1
            if isinstance(left, ex.Product):
                yield (
                    ex.Product("odot", ex.Product(sign, left.left, left.right), right),
                    "an elementwise product", 2,
                )  # fmt: skip
            yield ex.Transposed(node), f"{short(left)} {short(right)} transposed", 2
        case ex.Plus(signs, terms) if len(terms) > 1:
            for place in range(len(terms)):
                flipped = tuple(-s if k == place else s for k, s in enumerate(signs))
                yield ex.Plus(flipped, terms), f"the other sign of term {place + 1}", 1
                for factor in (Fraction(2), Fraction(1, 2)):
                    scaled = ex.Product("", ex.Number(factor), terms[place])
                    parts = (*terms[:place], scaled, *terms[place + 1 :])
                    yield ex.Plus(signs, parts), f"the factor {factor} in term {place + 1}", 2
        case ex.SumOver(letters, ex.Power(base, exponent)):
            inner = dataclasses.replace(node, body=base)
            yield (
                ex.Power(inner, exponent),
                f"the power outside of the sum over {', '.join(letters)}",
                1,
            )
        case ex.SumOver():
            for symbol in _factors(model):
                body = ex.Product("", node.body, symbol)
                yield dataclasses.replace(node, body=body), f"{short(symbol)} inside the sum", 2
        case ex.Power(base, ex.Number(value)):
            yield ex.Power(base, ex.Number(value + 1)), f"the power {value + 1}", 3
            yield ex.Power(base, ex.Number(value - 1)), f"the power {value - 1}", 3


def _renamed(symbol: ex.Symbol, model: Model) -> Iterator[Edit]:
    """Another member of the family, another component, another symbol."""
    for place, index in enumerate(symbol.family):
        for step in (-1, 1):
            moved = ex.Index(index.letter, index.offset + step)
            family = (*symbol.family[:place], moved, *symbol.family[place + 1 :])
            other = ex.Symbol(symbol.name, family, symbol.components)
            yield other, f"{other} in place of {symbol}", 1
    if len(symbol.components) == 2:
        swapped = ex.Symbol(symbol.name, symbol.family, symbol.components[::-1])
        yield swapped, f"{swapped} in place of {symbol}", 1
    for name in model.alike(symbol):
        other = ex.Symbol(name, symbol.family, symbol.components)
        yield other, f"{other} in place of {symbol}", 2


def _factors(model: Model) -> list[ex.Expression]:
    """Derivatives of the document with one component index: what a sum may have lost."""
    seen: dict[ex.Expression, None] = {}
    for claim in model.claims:
        for side in (claim.left, claim.right):
            stack = [side]
            while stack:
                node = stack.pop()
                one = isinstance(node, ex.Derivative) and isinstance(node.of, ex.Symbol)
                by = node.by if one and isinstance(node, ex.Derivative) else None
                if isinstance(by, ex.Symbol) and len(by.components) == 1 and not by.family:
                    seen[node] = None
                stack.extend(ex.children(node))
    return list(seen)[:8]
