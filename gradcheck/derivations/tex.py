"""Raw TeX: cut a formula into characters and commands, and expand the macros that a page defines.

Nothing is executed: a macro is a list of tokens with holes, and its expansion is bounded in depth
and in size, so that a macro bomb ends in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.derivations.limits import LIMITS, DerivationError

__all__ = ["Macro", "Raw", "collect_macros", "expand", "lex", "read_group", "text_of"]

_RAW = re.compile(r"\\[A-Za-z]+\*?|\\\\\*?|\\[^A-Za-z]|(?<!\\)%[^\n]*|\s+|.", re.DOTALL)
_DEFINERS = {r"\newcommand", r"\renewcommand", r"\providecommand", r"\newcommand*"}
_PLAIN_DEFINERS = {r"\def", r"\gdef", r"\edef", r"\xdef"}
_OPERATORS = {r"\DeclareMathOperator", r"\DeclareMathOperator*"}


@dataclass(frozen=True)
class Raw:
    """One TeX token (a command, a character or a run of white space) and its line in the file."""

    text: str
    line: int


@dataclass(frozen=True)
class Macro:
    """What a command stands for: `parameters` holes named #1..#9 in `body`."""

    parameters: int
    body: tuple[Raw, ...]


def lex(latex: str, line: int = 1) -> list[Raw]:
    """Return the raw tokens of a formula whose first character stands on the given line."""
    tokens = []
    for match in _RAW.finditer(latex):
        text = match.group()
        if not text.startswith("%"):
            tokens.append(Raw(text, line))
        line += text.count("\n")
    return tokens


def text_of(tokens: Sequence[Raw]) -> str:
    """Return the source text of raw tokens."""
    return "".join(token.text for token in tokens)


def skip_space(tokens: Sequence[Raw], at: int) -> int:
    """Return the place of the first token from `at` on that is no white space."""
    while at < len(tokens) and tokens[at].text.isspace():
        at += 1
    return at


def read_group(tokens: Sequence[Raw], at: int) -> tuple[list[Raw], int]:
    """Return the argument that begins at `at` (a braced group without its braces, or one token).

    The second value is the place behind it.

    Raises:
        DerivationError: a brace is never closed, or there is no argument.
    """
    at = skip_space(tokens, at)
    if at >= len(tokens):
        raise DerivationError("the formula ends where a command still needs an argument")
    if tokens[at].text != "{":
        return [tokens[at]], at + 1
    depth = 0
    for place in range(at, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[place].text, 0)
        if depth == 0:
            return list(tokens[at + 1 : place]), place + 1
    raise DerivationError(f"the brace opened on line {tokens[at].line} is never closed")


def collect_macros(tokens: Sequence[Raw], macros: dict[str, Macro]) -> list[Raw]:
    r"""Take the definitions (`\newcommand`, `\def` ...) out of a formula into `macros`.

    Returns:
        The tokens that are left.
    """
    left: list[Raw] = []
    at = 0
    while at < len(tokens):
        text = tokens[at].text
        if text in _DEFINERS:
            at = _read_newcommand(tokens, at + 1, macros)
        elif text in _PLAIN_DEFINERS:
            at = _read_def(tokens, at + 1, macros)
        elif text in _OPERATORS:
            name, at = read_group(tokens, at + 1)
            body, at = read_group(tokens, at)
            wrapped = [Raw(r"\operatorname", tokens[at - 1].line), Raw("{", 0), *body, Raw("}", 0)]
            macros[text_of(name).strip()] = Macro(0, tuple(wrapped))
        else:
            left.append(tokens[at])
            at += 1
    return left


def _read_newcommand(tokens: Sequence[Raw], at: int, macros: dict[str, Macro]) -> int:
    name, at = read_group(tokens, at)
    parameters = 0
    at = skip_space(tokens, at)
    if at < len(tokens) and tokens[at].text == "[":
        close = next((k for k in range(at, len(tokens)) if tokens[k].text == "]"), None)
        count = text_of(tokens[at + 1 : close]).strip() if close else ""
        if close is None or not count.isdigit():
            raise DerivationError(f"line {tokens[at].line}: \\newcommand has no readable [count]")
        parameters, at = int(count), close + 1
    body, at = read_group(tokens, at)
    macros[text_of(name).strip()] = Macro(parameters, tuple(body))
    return at


def _read_def(tokens: Sequence[Raw], at: int, macros: dict[str, Macro]) -> int:
    at = skip_space(tokens, at)
    if at >= len(tokens):
        return at
    name, at = tokens[at].text, at + 1
    parameters = 0
    while at < len(tokens) and tokens[at].text != "{":
        parameters += tokens[at].text == "#"
        at += 1
    body, at = read_group(tokens, at)
    macros[name] = Macro(parameters, tuple(body))
    return at


def expand(tokens: Sequence[Raw], macros: dict[str, Macro], depth: int = 0) -> list[Raw]:
    """Return the tokens with every macro of the page expanded.

    Raises:
        DerivationError: macros nest too deeply (a macro that calls itself) or grow too large.
    """
    if not macros:
        return list(tokens)
    if depth > LIMITS.macro_depth:
        raise DerivationError(f"macros call each other more than {LIMITS.macro_depth} deep")
    out: list[Raw] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        macro = macros.get(token.text)
        at += 1
        if macro is None:
            out.append(token)
            continue
        arguments = []
        for _ in range(macro.parameters):
            argument, at = read_group(tokens, at)
            arguments.append(argument)
        out.append(Raw("{", token.line))
        out.extend(expand(_fill(macro, arguments, token.line), macros, depth + 1))
        out.append(Raw("}", token.line))
        if len(out) > LIMITS.row_tokens:
            raise DerivationError(f"macros grow to more than {LIMITS.row_tokens} tokens")
    return out


def _fill(macro: Macro, arguments: list[list[Raw]], line: int) -> list[Raw]:
    filled: list[Raw] = []
    body = macro.body
    at = 0
    while at < len(body):
        hole = body[at + 1].text if body[at].text == "#" and at + 1 < len(body) else ""
        if hole.isdigit() and 0 < int(hole) <= len(arguments):
            filled.extend(arguments[int(hole) - 1])
            at += 2
        else:
            filled.append(Raw(body[at].text, line))
            at += 1
        if len(filled) > LIMITS.row_tokens:
            raise DerivationError(f"macros grow to more than {LIMITS.row_tokens} tokens")
    return filled
