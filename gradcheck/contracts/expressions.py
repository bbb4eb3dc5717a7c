"""Whole-number arithmetic over dimension names: `4*H`, `H-k+1`, `(H-k)//s+1`.

An expression is a small tree of numbers, names and operations, never Python code that is run. Any
word is a name, also one that Python reserves, such as the `in` of `2*in`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gradcheck.errors import ContractError

__all__ = [
    "Expression",
    "Name",
    "Number",
    "Operation",
    "degree",
    "evaluate",
    "names",
    "parse",
    "solve",
]


@dataclass(frozen=True)
class Number:
    """A whole number as it is written."""

    value: int


@dataclass(frozen=True)
class Name:
    """The size of a named dimension."""

    name: str


@dataclass(frozen=True)
class Operation:
    """A sum, difference, product, whole quotient or remainder of two expressions."""

    symbol: str
    left: Expression
    right: Expression


Expression = Number | Name | Operation

OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}
"""Python's own: a higher one binds closer, equal ones from left to right."""

TOKEN = re.compile(r"(?P<number>\d+)|(?P<name>[^\W\d]\w*)|(?P<symbol>//|[-+*%()])")

NO_SPACES = "an expression begins with a name or a number and is written without spaces, as H-k+1"
HINTS = {
    "/": "a size is a whole number: write // for its quotient",
    ",": "dimensions are separated by spaces, not commas",
    "(": "there are no calls, and a product is written with *",
    **dict.fromkeys("+-*%", NO_SPACES),
}


def parse(text: str, whole: str, start: int) -> Expression:
    """Return the expression that `text` writes.

    Args:
        text: the expression, without spaces.
        whole: the dimension string it comes from, for the message.
        start: where `text` begins in `whole`, from 0, for the message.

    Raises:
        ContractError: `text` is no expression; the message names the character, counted from 1.

    >>> evaluate(parse("(H-k)//s+1", "(H-k)//s+1", 0), {"H": 7, "k": 3, "s": 2})
    3
    """
    return _Parser(text, whole, start).parse()


def names(expression: Expression) -> tuple[str, ...]:
    """List the dimension names of an expression, each once, in the order of writing.

    >>> names(parse("H-k+H", "H-k+H", 0))
    ('H', 'k')
    """
    match expression:
        case Number():
            return ()
        case Name(name):
            return (name,)
        case Operation(_, left, right):
            return tuple(dict.fromkeys([*names(left), *names(right)]))


def evaluate(expression: Expression, sizes: Mapping[str, int]) -> int:
    """Return the number that an expression gives for the sizes of its names.

    Raises:
        KeyError: a name has no size.
        ZeroDivisionError: a quotient or remainder by 0.
    """
    match expression:
        case Number(value):
            return value
        case Name(name):
            return sizes[name]
        case Operation(symbol, left, right):
            result: int = OPERATIONS[symbol](evaluate(left, sizes), evaluate(right, sizes))
            return result


def degree(expression: Expression, name: str) -> float:
    """Return the degree of an expression as a polynomial in `name`; infinite where it is none.

    An expression of degree 1 determines `name` from its value; one such as `(H-k)//s` does not.
    """
    match expression:
        case Number():
            return 0
        case Name(other):
            return int(other == name)
        case Operation("+" | "-", left, right):
            return max(degree(left, name), degree(right, name))
        case Operation("*", left, right):
            return degree(left, name) + degree(right, name)
        case Operation(_, left, right):
            return math.inf if degree(left, name) or degree(right, name) else 0


def solve(expression: Expression, value: int, sizes: Mapping[str, int]) -> tuple[str, int] | None:
    """Return the one unknown name of an expression and the size at which it gives `value`.

    None where there is not exactly one unknown name, where it is not of degree 1, or where no size
    from 0 on gives `value`.

    >>> solve(parse("4*H", "4*H", 0), 12, {})
    ('H', 3)
    >>> solve(parse("4*H", "4*H", 0), 13, {}) is None
    True
    """
    unknown = [name for name in names(expression) if name not in sizes]
    if len(unknown) != 1 or degree(expression, unknown[0]) != 1:
        return None
    (name,) = unknown
    try:
        constant = evaluate(expression, {**sizes, name: 0})
        slope = evaluate(expression, {**sizes, name: 1}) - constant
    except ZeroDivisionError:
        return None
    if slope == 0 or (value - constant) % slope:
        return None
    size = (value - constant) // slope
    return (name, size) if size >= 0 else None


class _Parser:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str, whole: str, start: int) -> None:
        self.text, self.whole, self.start = text, whole, start
        self.position = 0

    def parse(self) -> Expression:
        expression = self._operation(0)
        if self.position < len(self.text):
            raise self._error("an operator (+ - * // %) or a space")
        return expression

    def _operation(self, least: int) -> Expression:
        left = self._operand()
        while (symbol := self._peek()) in PRECEDENCE and PRECEDENCE[symbol] > least:
            self.position += len(symbol)
            left = Operation(symbol, left, self._operation(PRECEDENCE[symbol]))
        return left

    def _operand(self) -> Expression:
        token = self._peek()
        if token == "(":
            self.position += 1
            inner = self._operation(0)
            if self._peek() != ")":
                raise self._error("')'")
            self.position += 1
            return inner
        if not token or token in OPERATIONS or token == ")":
            raise self._error("a name or a whole number")
        self.position += len(token)
        return Number(int(token)) if token.isdecimal() else Name(token)

    def _peek(self) -> str:
        found = TOKEN.match(self.text, self.position)
        return found.group() if found else ""

    def _error(self, expected: str) -> ContractError:
        rest = self.text[self.position :]
        got = repr(self._peek() or rest[0]) if rest else "nothing"
        hint = HINTS.get(rest[0], "") if rest else NO_SPACES
        if self.position and got[1:2].isalnum():
            hint = "a product is written with *"
        return ContractError(
            f"dimension string {self.whole!r}, character {self.start + self.position + 1}: expected "
            f"{expected}, got {got}" + (f"; {hint}" if hint else "")
        )
