"""The grammar of rows: tokens in, syntax tree out (LALR(1), without conflicts).

Precedence, from tight to loose: primes and scripts, juxtaposition and `/` (left to right), the
multiplication signs (one level, left to right), signs, relations. Sums, derivatives and functions
are ordinary factors here; what they bind is found when the tree is resolved, which is what keeps the
grammar free of conflicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import lark

from gradcheck.derivations import syntax
from gradcheck.derivations.limits import LIMITS, DerivationError
from gradcheck.derivations.tokens import Token

__all__ = ["check_depth", "parse"]

GRAMMAR = r"""
start: items
items: item (SEP item)*
item: side (REL side)*
side: expr?
expr: ADD* term (ADD+ term)*
term: prod (MUL ADD* prod)*
prod: fac (fac | SLASH fac)*
fac: atom script*
script: SUP ARG | SUB ARG | PRIME
?atom: leaf | group | bracket | norm | absolute | frac | root | accented | table
leaf: NAME | NUM | WORD | DOTS | TEXT | SUM | PARTIAL | NABLA | OPAQUE
group: LBRACE items RBRACE
bracket: LP items RP
norm: LNORM items RNORM
absolute: LABS items RABS
frac: FRAC group group
root: SQRT group
accented: ACC group
table: BEGIN row (ROWSEP row)* END
row: cell (AMP cell)*
cell: items
%declare NAME NUM WORD DOTS TEXT SUM PARTIAL NABLA OPAQUE LBRACE RBRACE LP RP LNORM RNORM LABS RABS
%declare FRAC SQRT ACC BEGIN END ROWSEP AMP SUP SUB ARG PRIME MUL ADD SLASH SEP REL
"""

_SPOKEN = {
    "RP": "a closing bracket",
    "LP": "an opening bracket",
    "RBRACE": "a closing brace",
    "MUL": "a multiplication sign",
    "ADD": "a plus or minus sign",
    "REL": "a relation",
    "SEP": "a comma",
    "SLASH": "a slash",
    "SUP": "a superscript",
    "SUB": "a subscript",
    "$END": "the end",
    "RNORM": "the closing bar of a norm",
    "RABS": "a closing bar",
    "AMP": "an alignment sign",
    "ROWSEP": "a row break",
    "END": "the end of a matrix",
    "PRIME": "a prime",
}


class _Given(lark.lexer.Lexer):
    """Hand our own tokens to lark."""

    def __init__(self, lexer_conf: Any) -> None:
        pass

    def lex(self, tokens: Any, _state: Any = None) -> Iterator[lark.Token]:
        """Yield lark tokens whose value is our token."""
        for token in tokens:
            out = lark.Token(token.kind, token.text, line=token.line)
            out.value = token
            yield out


@lru_cache(maxsize=1)
def _parser() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr", lexer=_Given, maybe_placeholders=False)


def parse(tokens: Sequence[Token]) -> tuple[syntax.Item, ...]:
    """Return the items of one row (equations separated by commas).

    Raises:
        DerivationError: the row is no formula; the message names the token that does not fit.
    """
    check_depth(tokens)
    if len(tokens) > LIMITS.row_tokens:
        raise DerivationError(f"the row has more than {LIMITS.row_tokens} tokens")
    try:
        tree = _parser().parse(tokens)
    except lark.exceptions.UnexpectedToken as error:
        kind = error.token.type
        shown = getattr(error.token.value, "text", "")
        spoken = _SPOKEN.get(kind, "")
        what = spoken if kind == "$END" else f"{spoken} {shown}".strip()
        raise DerivationError(f"did not expect {what or kind} here") from None
    except lark.exceptions.LarkError as error:
        raise DerivationError(f"is no formula ({type(error).__name__})") from None
    return _items(tree.children[0])


def check_depth(tokens: Sequence[Token]) -> None:
    """Refuse a row whose brackets nest deeper than any author's.

    Raises:
        DerivationError: they do.
    """
    depth = deepest = 0
    for token in tokens:
        depth += (token.kind in ("LBRACE", "LP", "BEGIN")) - (token.kind in ("RBRACE", "RP", "END"))
        deepest = max(deepest, depth)
    if deepest > LIMITS.nesting:
        raise DerivationError(f"brackets nest more than {LIMITS.nesting} deep")


def _items(tree: Any) -> tuple[syntax.Item, ...]:
    return tuple(_item(child) for child in tree.children if isinstance(child, lark.Tree))


def _item(tree: Any) -> syntax.Item:
    relations = tuple(c.value.text for c in tree.children if not isinstance(c, lark.Tree))
    sides = [c for c in tree.children if isinstance(c, lark.Tree)]
    return syntax.Item(
        relations, tuple(_expr(side.children[0]) if side.children else None for side in sides)
    )


def _expr(tree: Any) -> syntax.Node:
    signs: list[int] = []
    terms: list[syntax.Node] = []
    sign = 1
    for child in tree.children:
        if isinstance(child, lark.Tree):
            terms.append(_term(child))
            signs.append(sign)
            sign = 1
        elif child.value.text == "-":
            sign = -sign
    if len(terms) == 1 and signs[0] == 1:
        return terms[0]
    return syntax.Summed(tuple(signs), tuple(terms))


def _term(tree: Any) -> syntax.Node:
    factors: list[syntax.Node] = []
    signs: list[str] = []
    negative = False
    for child in tree.children:
        if isinstance(child, lark.Tree):
            factor = _prod(child)
            factors.append(syntax.Summed((-1,), (factor,)) if negative else factor)
            negative = False
        elif child.type == "MUL":
            signs.append(child.value.text)
        else:
            negative ^= child.value.text == "-"
    return factors[0] if len(factors) == 1 else syntax.Multiplied(tuple(signs), tuple(factors))


def _prod(tree: Any) -> syntax.Node:
    factors: list[syntax.Node] = []
    slashes: list[bool] = []
    slash = False
    for child in tree.children:
        if isinstance(child, lark.Tree):
            factors.append(_fac(child))
            slashes.append(slash)
            slash = False
        else:
            slash = True
    return factors[0] if len(factors) == 1 else syntax.Juxtaposed(tuple(factors), tuple(slashes))


def _fac(tree: Any) -> syntax.Node:
    base = _atom(tree.children[0])
    scripts = tuple(_script(child) for child in tree.children[1:])
    return syntax.Scripted(base, scripts) if scripts else base


def _script(tree: Any) -> syntax.Script:
    kind = tree.children[0].type
    inner = tree.children[1].value.inner if len(tree.children) > 1 else ()
    return syntax.Script(kind, inner)


def _inside(tree: Any) -> syntax.Node:
    """Return the one expression of a group, or the group as a bracket where it is more."""
    items = _items(tree)
    if len(items) == 1 and len(items[0].sides) == 1 and items[0].sides[0] is not None:
        return items[0].sides[0]
    return syntax.Bracket("{}", items)


def _atom(tree: Any) -> syntax.Node:
    children = tree.children
    match tree.data:
        case "leaf":
            return syntax.Leaf(children[0].value)
        case "group":
            return _inside(children[1])
        case "bracket":
            return syntax.Bracket(children[0].value.text, _items(children[1]))
        case "norm" | "absolute":
            return syntax.Norm(tree.data == "norm", _inside(children[1]))
        case "frac":
            return syntax.Fraction_(_atom(children[1]), _atom(children[2]))
        case "root":
            return syntax.Root(_atom(children[1]))
        case "accented":
            return syntax.Accented(children[0].value.text, _atom(children[1]))
    rows = [child for child in children if isinstance(child, lark.Tree)]
    cells = tuple(
        tuple(_inside(cell.children[0]) for cell in row.children if isinstance(cell, lark.Tree))
        for row in rows
    )
    return syntax.Table(children[0].value.text, cells)
