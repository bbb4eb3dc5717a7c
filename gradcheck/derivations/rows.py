"""Rows: every formula of a document cut into the lines that its author wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcheck.derivations import syntax
from gradcheck.derivations.commands import tokenize
from gradcheck.derivations.document import Formula
from gradcheck.derivations.grammar import check_depth, parse
from gradcheck.derivations.limits import LIMITS, DerivationError
from gradcheck.derivations.tex import Macro, Raw, collect_macros, expand, lex, text_of
from gradcheck.derivations.tokens import Token

__all__ = ["Row", "cut"]

_ENVIRONMENT = re.compile(
    r"\\(begin|end)\{(align|aligned|alignat|eqnarray|equation|gather|gathered|split|multline)\*?\}"
)
_LABEL = re.compile(r"\\(tag\*?|label)\{[^{}]*\}")
_LEADING_BREAK = re.compile(r"^\s*\\\\(\[[^]]*\])?")
_RELATED = {"REL", "ADD", "MUL"}


@dataclass(frozen=True)
class Row:
    """One row of one formula.

    Attributes:
        number: its place among all rows of the document.
        line: its line in the file.
        latex: its source.
        items: its equations, or () where it could not be read.
        error: why it could not be read, or "".
        block: the number of its formula; rows of one block continue each other.
        section: the number of the heading above it.
        display: whether its formula stands apart.
        name: the name that a tag, a label or a comment gives it, or "".
        notes: the prose inside the formula.
    """

    number: int
    line: int
    latex: str
    items: tuple[syntax.Item, ...]
    error: str
    block: int
    section: int
    display: bool
    name: str
    notes: tuple[str, ...]


def cut(formulas: Iterable[Formula]) -> list[Row]:
    """Return the rows of all formulas, macros of the page expanded."""
    macros: dict[str, Macro] = {}
    rows: list[Row] = []
    for block, formula in enumerate(formulas):
        if len(rows) > LIMITS.rows:
            raise DerivationError(f"the document has more than {LIMITS.rows} equations; split it")
        try:
            _check_length(formula)
            raw = expand(collect_macros(lex(formula.latex, formula.line), macros), macros)
            pieces = _join(_split(raw))
        except DerivationError as error:
            rows.append(_broken(len(rows), formula, block, str(error)))
            continue
        first = True
        for piece in pieces:
            row = _row(len(rows), piece, formula, block)
            if row is not None:
                if first and formula.name:
                    row = Row(**{**row.__dict__, "name": formula.name})
                first = False
                rows.append(row)
    return rows


def _check_length(formula: Formula) -> None:
    if len(formula.latex) > LIMITS.formula_characters:
        raise DerivationError(
            f"the formula has {len(formula.latex):,} characters, and one may have "
            f"{LIMITS.formula_characters:,}"
        )


def _broken(number: int, formula: Formula, block: int, error: str) -> Row:
    return Row(
        number, formula.line, formula.latex, (), error, block, formula.section, formula.display,
        formula.name, (),
    )  # fmt: skip


def _split(raw: Sequence[Raw]) -> list[list[Raw]]:
    r"""Split at `\\` outside braces and matrices."""
    rows: list[list[Raw]] = [[]]
    braces = tables = 0
    for place, token in enumerate(raw):
        braces += {"{": 1, "}": -1}.get(token.text, 0)
        if token.text in (r"\begin", r"\end"):
            name = text_of(raw[place + 1 : place + 12])
            if any(word in name.split("}")[0] for word in ("matrix", "array", "cases", "substack")):
                tables += 1 if token.text == r"\begin" else -1
        if token.text.rstrip("*") in ("\\\\", r"\cr", r"\newline") and braces <= 0 and tables <= 0:
            rows.append([])
            if place + 1 < len(raw) and raw[place + 1].text == "[":
                rows[-1].append(token)
        else:
            rows[-1].append(token)
    return rows


def _join(rows: list[list[Raw]]) -> list[list[Raw]]:
    """Join a row to the one above where that one is visibly unfinished."""
    out: list[list[Raw]] = []
    for row in rows:
        visible = [t.text for t in row if not t.text.isspace() and t.text not in "&"]
        if not visible:
            continue
        joined = False
        if out:
            above = [t.text for t in out[-1] if not t.text.isspace() and t.text != "&"]
            opened = _depth(above)
            ends_open = above[-1] in ("+", "-", "*", r"\times", r"\cdot", r"\odot", r"\circ")
            starts = visible[0] in (
                r"\times",
                r"\cdot",
                r"\odot",
                r"\circ",
                "*",
                "+",
                ")",
                r"\otimes",
            )
            joined = opened > 0 or ends_open or (starts and visible[0] != "")
        if joined:
            out[-1] = [*out[-1], Raw(" ", row[0].line), *row]
        else:
            out.append(row)
    return out


def _depth(texts: Sequence[str]) -> int:
    opens = sum(text in ("(", r"\{") for text in texts)
    closes = sum(text in (")", r"\}") for text in texts)
    return opens - closes


def _row(number: int, raw: list[Raw], formula: Formula, block: int) -> Row | None:
    line = next((t.line for t in raw if not t.text.isspace() and t.line), formula.line)
    latex = _source(raw)
    names = _labels(raw)
    try:
        tokens = _clean(tokenize(raw))
    except DerivationError as error:
        return Row(
            number, line, latex, (), str(error), block, formula.section, formula.display,
            "", (),
        )  # fmt: skip
    line = min((t.line for t in tokens if t.line), default=line)
    notes = tuple(token.text for token in tokens if token.kind == "TEXT")
    tokens = _without_prose(tokens)
    if not any(token.kind == "REL" for token in tokens):
        return None
    items: tuple[syntax.Item, ...] = ()
    problem = ""
    try:
        items = parse(tokens)
    except DerivationError as error:
        problem = str(error)
    return Row(
        number, line, latex, items, problem, block, formula.section, formula.display,
        names[-1] if names else "", notes,
    )  # fmt: skip


def _source(raw: Sequence[Raw]) -> str:
    """Return the row as one line of TeX, without environment and alignment signs."""
    text = _ENVIRONMENT.sub(" ", _LABEL.sub(" ", text_of(raw)))
    return " ".join(_LEADING_BREAK.sub("", text.replace("&", " ")).split())


def _labels(raw: Sequence[Raw]) -> list[str]:
    names = []
    for place, token in enumerate(raw):
        if token.text in (r"\tag", r"\label", r"\tag*"):
            rest = text_of(raw[place + 1 : place + 40]).strip()
            if rest.startswith("{"):
                names.append(rest[1:].split("}")[0])
    return names


def _clean(tokens: list[Token]) -> list[Token]:
    """Drop environments and alignment signs; a second column becomes a second equation."""
    out: list[Token] = []
    depth = 0
    related = False
    check_depth(tokens)
    tokens = _unbraced(_opened([token for token in tokens if token.kind != "ALIGN"]))
    tokens = _with_accumulations(tokens)
    for place, token in enumerate(tokens):
        depth += (token.kind == "BEGIN") - (token.kind == "END")
        if depth == 0 and token.kind == "AMP":
            before = tokens[place - 1].kind if place else "REL"
            after = tokens[place + 1].kind if place + 1 < len(tokens) else "REL"
            quad = token.text != "&"
            later = any(t.kind == "REL" for t in tokens[place:])
            ends = before not in _RELATED | {"AMP"} and after not in _RELATED | {"AMP"}
            if related and ends and (later or not quad):
                out.append(Token("SEP", ",", token.line))
                related = False
            continue
        if token.kind == "ROWSEP" and depth == 0:
            continue
        related |= token.kind == "REL"
        out.append(token)
    return out


def _with_accumulations(tokens: list[Token]) -> list[Token]:
    """Read `+=` and `-=` as the arrow of an update."""
    out: list[Token] = []
    for token in tokens:
        if token.kind == "REL" and token.text == "=" and out and out[-1].kind == "ADD":
            out[-1] = Token("REL", "<-", token.line)
        else:
            out.append(token)
    return out


def _opened(tokens: list[Token]) -> list[Token]:
    """Drop braces that hold a whole equation, as in `\\displaystyle{ a = b }`."""
    place = 0
    while place < len(tokens):
        before = tokens[place - 1].kind if place else ""
        if tokens[place].kind == "LBRACE" and before not in ("FRAC", "ACC", "SQRT", "RBRACE"):
            depth, related, close = 0, False, place
            for close in range(place, len(tokens)):
                kind = tokens[close].kind
                depth += kind in ("LBRACE", "LP", "BEGIN")
                depth -= kind in ("RBRACE", "RP", "END")
                related |= depth == 1 and kind == "REL"
                if depth == 0:
                    break
            if depth == 0 and related:
                tokens = [*tokens[:place], *tokens[place + 1 : close], *tokens[close + 1 :]]
                continue
        place += 1
    return tokens


def _unbraced(tokens: list[Token]) -> list[Token]:
    """Drop braces that print nothing and hold no script: a reader does not see them group."""
    drop: set[int] = set()
    stack: list[tuple[int, int]] = []
    wanted = 0
    for place, token in enumerate(tokens):
        if token.kind in ("FRAC", "ACC", "SQRT"):
            wanted = 2 if token.kind == "FRAC" else 1
        elif token.kind == "LBRACE":
            stack.append((place, wanted))
            wanted = 0
        elif token.kind == "RBRACE" and stack:
            start, argument = stack.pop()
            wanted = max(argument - 1, 0)
            following = tokens[place + 1].kind if place + 1 < len(tokens) else ""
            if not argument and following not in ("SUP", "SUB", "PRIME"):
                drop |= {start, place}
        else:
            wanted = 0
    return [token for place, token in enumerate(tokens) if place not in drop]


def _without_prose(tokens: list[Token]) -> list[Token]:
    """Prose separates equations; a caption in front of a relation names what follows."""
    out: list[Token] = []
    depth = 0
    for place, token in enumerate(tokens):
        depth += token.kind in ("LBRACE", "LP", "BEGIN")
        depth -= token.kind in ("RBRACE", "RP", "END")
        if token.kind != "TEXT" or depth > 0:
            caption = token.kind == "REL" and place > 0 and tokens[place - 1].kind == "TEXT"
            if not (caption and (not out or out[-1].kind == "SEP")):
                out.append(token)
        elif out and out[-1].kind != "SEP":
            out.append(Token("SEP", ",", token.line))
    out = _without_captions(out)
    while out and out[-1].kind == "SEP":
        out.pop()
    return out


def _without_captions(tokens: list[Token]) -> list[Token]:
    """Drop `(Mean)` in front of a row and `[3]` behind it."""
    kinds = [token.kind for token in tokens]
    if kinds[:3] in (["LP", "WORD", "RP"], ["LP", "TEXT", "RP"]) and len(tokens) > 3:
        tokens, kinds = tokens[3:], kinds[3:]
    if kinds[-3:] == ["LP", "NUM", "RP"] and tokens[-3].text == "[" and len(tokens) > 3:
        tokens = tokens[:-3]
    return tokens
