"""Mathematical tokens, and what is done to them as a whole: scripts wrapped, bars paired.

The argument of every script is one token, so that the grammar itself stays free of conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gradcheck.derivations.limits import LIMITS, DerivationError

__all__ = ["Token", "with_bars_paired", "with_scripts_wrapped"]


@dataclass(frozen=True)
class Token:
    """One mathematical token.

    Attributes:
        kind: the grammar's terminal (NAME, NUM, MUL ...).
        text: its normal spelling (`sigma`, `circ`, `=`).
        line: the line of the file.
        inner: the tokens of a script's argument (kind ARG only).
    """

    kind: str
    text: str
    line: int
    inner: tuple[Token, ...] = field(default=())


def _matching(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        depth += {"LBRACE": 1, "RBRACE": -1}.get(tokens[place].kind, 0)
        if depth == 0:
            return place
    raise DerivationError(f"the brace opened on line {tokens[at].line} is never closed")


def _unit(tokens: Sequence[Token], at: int) -> int:
    """Return the place behind the one thing that begins at `at`: a group, a command, a token."""
    kind = tokens[at].kind
    if kind == "LBRACE":
        return _matching(tokens, at) + 1
    groups = {"FRAC": 2, "ACC": 1, "SQRT": 1}.get(kind, 0)
    at += 1
    for _ in range(groups):
        at = _matching(tokens, at) + 1
    return at


def with_scripts_wrapped(tokens: Sequence[Token], depth: int = 0) -> list[Token]:
    """Wrap the argument of every script into one ARG token; a prime written as a script is PRIME."""
    if depth > LIMITS.nesting:
        raise DerivationError(f"scripts nest more than {LIMITS.nesting} deep")
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind not in ("SUP", "SUB"):
            out.append(token)
            at += 1
            continue
        if at + 1 >= len(tokens):
            raise DerivationError(f"line {token.line}: a script has no argument")
        stop = _unit(tokens, at + 1)
        inner = list(tokens[at + 1 : stop])
        if inner[0].kind == "LBRACE" and stop - at > 2:
            inner = inner[1:-1]
        inner = with_scripts_wrapped(inner, depth + 1)
        primes = 0
        while inner and inner[0].kind == "PRIME" and token.kind == "SUP":
            inner, primes = inner[1:], primes + 1
        while len(inner) > 1 and inner[-1].kind == "PRIME" and token.kind == "SUP":
            inner, primes = inner[:-1], primes + 1
        out.extend([Token("PRIME", "'", token.line)] * primes)
        if inner or not primes:
            out.append(token)
            out.append(Token("ARG", "", token.line, tuple(with_bars_paired(inner))))
        at = stop
    return out


def with_bars_paired(tokens: Sequence[Token]) -> list[Token]:
    """Make opening and closing tokens of norm and absolute-value bars; an odd one is opaque."""
    out = list(tokens)
    for kind, opened, closed in (("NORM", "LNORM", "RNORM"), ("BAR", "LABS", "RABS")):
        places: list[int] = []
        for place, token in enumerate(out):
            if token.kind in ("ROWSEP", "AMP", "BEGIN", "END", "ALIGN") and places:
                out[places.pop()] = Token("OPAQUE", "|", token.line)
            if token.kind != kind:
                continue
            if places:
                start = places.pop()
                out[start] = Token(opened, "|", out[start].line)
                out[place] = Token(closed, "|", token.line)
            else:
                places.append(place)
        for place in places:
            out[place] = Token("OPAQUE", "|", out[place].line)
    return out
