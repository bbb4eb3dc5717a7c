"""Mathematical tokens: what the grammar reads, made from raw TeX.

Layout and fonts are dropped, spellings of one thing become one token, prose becomes TEXT, and the
argument of every script is wrapped into one token, so that the grammar itself stays free of
conflicts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradcheck.derivations.limits import LIMITS, DerivationError
from gradcheck.derivations.tex import Raw, read_group, skip_space, text_of
from gradcheck.derivations.vocabulary import (
    ACCENTS,
    ALIGNMENTS,
    ALPHABETS,
    CLOSE,
    COMBINING,
    DOTS,
    FONTS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    GREEK_ALIAS,
    KNOWN_WORDS,
    LAYOUT,
    MATRICES,
    MODULES,
    MULTIPLY,
    OPEN,
    PROSE,
    PROSE_WORDS,
    RELATIONS,
    SUMS,
    SWALLOW,
    SWITCHES,
    TRANSPARENT,
    UNICODE,
    UPRIGHT,
    WORD_LENGTH,
)

__all__ = ["Token", "tokenize"]

LONGEST_ACRONYM = 5
"""Letters of the longest word in capitals that is a name (`RMS`, `MSE`, `RMSE`) and no shouting."""


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


def tokenize(tokens: Sequence[Raw]) -> list[Token]:
    """Return the mathematical tokens of raw TeX, script arguments wrapped and norms paired.

    Rows and alignment signs come out as ROWSEP and AMP; the caller splits them.

    Raises:
        DerivationError: braces or environments do not match, or nest too deeply.
    """
    reader = _Reader(list(tokens))
    reader.read_all()
    return _pair_bars(_wrap_scripts(reader.out))


class _Reader:
    """One pass over raw tokens; `out` collects mathematical tokens."""

    def __init__(self, raw: list[Raw], depth: int = 0, bold: bool = False) -> None:
        if depth > LIMITS.nesting:
            raise DerivationError(f"brackets and commands nest more than {LIMITS.nesting} deep")
        self.raw = raw
        self.at = 0
        self.depth = depth
        self.bold = bold
        self.out: list[Token] = []

    def put(self, kind: str, text: str, line: int) -> None:
        self.out.append(Token(kind, text, line))

    def argument(self) -> list[Raw]:
        group, self.at = read_group(self.raw, self.at)
        return group

    def splice(self, group: list[Raw], bold: bool = False) -> list[Token]:
        inner = _Reader(group, self.depth + 1, self.bold or bold)
        inner.read_all()
        return inner.out

    def optional(self) -> str | None:
        at = skip_space(self.raw, self.at)
        if at < len(self.raw) and self.raw[at].text == "[":
            for close in range(at, len(self.raw)):
                if self.raw[close].text == "]":
                    self.at = close + 1
                    return text_of(self.raw[at + 1 : close])
        return None

    def read_all(self) -> None:
        while self.at < len(self.raw):
            token = self.raw[self.at]
            self.at += 1
            if token.text[0] == "\\":
                self.command(token)
            else:
                self.character(token)

    def character(self, token: Raw) -> None:
        text, line = token.text, token.line
        if text.isspace() or text == "~":
            return
        if text in UNICODE:
            self.at -= 1
            self.raw[self.at : self.at + 1] = [
                Raw(piece, line) for piece in _split_alias(UNICODE[text])
            ]
        elif text in GREEK:
            self.put("NAME", GREEK[text], line)
        elif text.isascii() and text.isalpha():
            self.letters(token)
        elif text.isdigit():
            self.number(token)
        elif text == "{":
            if skip_space(self.raw, self.at) < len(self.raw) and self._switch():
                return
            self.put("LBRACE", "{", line)
        elif text == "}":
            self.put("RBRACE", "}", line)
        elif text in OPEN:
            self.put("LP", OPEN[text], line)
        elif text in CLOSE:
            self.put("RP", CLOSE[text], line)
        elif text in MULTIPLY:
            self.put("MUL", MULTIPLY[text], line)
        elif text == ":" and self._next_is("="):
            self.at = skip_space(self.raw, self.at) + 1
            self.put("REL", ":=", line)
        elif text in RELATIONS:
            if text == "=" and self._next_is("="):
                self.at = skip_space(self.raw, self.at) + 1
            self.put("REL", RELATIONS[text], line)
        elif text in "+-":
            self.put("ADD", text, line)
        elif text in ",;":
            self.put("SEP", text, line)
        elif text == "|":
            double = self.at < len(self.raw) and self.raw[self.at].text == "|"
            self.at += double
            self.put("NORM" if double else "BAR", "|", line)
        elif text in "/^_&":
            kind = {"/": "SLASH", "^": "SUP", "_": "SUB", "&": "AMP"}[text]
            self.put(kind, text, line)
        elif text == "'":
            self.put("PRIME", "'", line)
        elif text == "!":
            self.put("OPAQUE", "!", line)
        elif text == "." or text == ":":
            self.period(token)
        else:
            self.letter_with_accent(token)

    def _next_is(self, text: str) -> bool:
        at = skip_space(self.raw, self.at)
        return at < len(self.raw) and self.raw[at].text == text

    def _switch(self) -> bool:
        r"""Read an old font switch, `{\bf x}`; its braces stay."""
        at = skip_space(self.raw, self.at)
        if self.raw[at].text not in SWITCHES:
            return False
        group, self.at = read_group(self.raw, self.at - 1)
        command = group[skip_space(group, 0)].text
        rest = group[skip_space(group, 0) + 1 :]
        self.out.extend(self._font(command, rest, self.raw[at].line))
        return True

    def period(self, token: Raw) -> None:
        """A sentence's full stop is dropped, two or three in a row are an ellipsis."""
        dots = 1
        while self.at < len(self.raw) and self.raw[self.at].text == ".":
            self.at += 1
            dots += 1
        if dots > 1:
            self.put("DOTS", "...", token.line)

    def letters(self, token: Raw) -> None:
        """Letters are names one by one, but a known or long word is one name."""
        stop = self.at
        while (
            stop < len(self.raw) and self.raw[stop].text.isascii() and self.raw[stop].text.isalpha()
        ):
            stop += 1
        run = token.text + text_of(self.raw[self.at : stop])
        if run in MODULES and stop < len(self.raw) and self.raw[stop].text == ".":
            self.at = stop + 1
            return
        after = self.raw[stop].text if stop < len(self.raw) else ""
        for length in range(len(run), 1, -1):
            word = run[:length]
            long_word = length == len(run) >= WORD_LENGTH and (word.islower() or word.istitle())
            known = word in KNOWN_WORDS and (length == len(run) or len(word) > 3)
            if known and len(word) == 2 and after not in "(":
                known = False
            if long_word or known:
                self.at += length - 1
                self.put("WORD", word, token.line)
                return
        self.put("NAME", self._bolden(token.text), token.line)

    def _bolden(self, name: str) -> str:
        return name

    def number(self, token: Raw) -> None:
        text = token.text
        while self.at < len(self.raw):
            piece = self.raw[self.at].text
            behind = self.raw[self.at + 1].text if self.at + 1 < len(self.raw) else ""
            if piece.isdigit() or (piece == "." and behind.isdigit() and "." not in text):
                text += piece
                self.at += 1
            else:
                break
        if self.bold and text in ("0", "1"):
            self.put("NAME", {"0": "zeros", "1": "ones"}[text], token.line)
        else:
            self.put("NUM", text, token.line)

    def letter_with_accent(self, token: Raw) -> None:
        parts = unicodedata.normalize("NFD", token.text)
        if len(parts) == 2 and parts[0].isascii() and parts[1] in COMBINING:
            accent = COMBINING[parts[1]]
            self.put("ACC", accent, token.line)
            self.put("LBRACE", "{", token.line)
            self.put("NAME", parts[0], token.line)
            self.put("RBRACE", "}", token.line)
        else:
            self.put("OPAQUE", token.text, token.line)

    def command(self, token: Raw) -> None:
        text, line = token.text, token.line
        if text in (r"\quad", r"\qquad"):
            self.put("AMP", text, line)
        elif text in LAYOUT:
            if text in (r"\left", r"\right", r"\middle"):
                self._delimiter()
        elif text.rstrip("*") == "\\\\" or text in (r"\cr", r"\newline"):
            self.optional()
            self.put("ROWSEP", "\\\\", line)
        elif text in SWALLOW:
            self.argument()
        elif text == r"\textcolor" or text == r"\colorbox":
            self.argument()
            self.out.extend(self.splice(self.argument()))
        elif text in TRANSPARENT:
            self._braced(self.splice(self.argument()), line)
        elif text in FONTS or text in UPRIGHT or text in ALPHABETS:
            if text in SWITCHES:
                return
            self.out.extend(self._font(text, self.argument(), line))
        elif text in PROSE:
            self._prose(self.argument(), line)
        elif text in ACCENTS:
            self.put("ACC", ACCENTS[text], line)
            self._braced(self.splice(self.argument()), line)
        elif text in MULTIPLY:
            self.put("MUL", MULTIPLY[text], line)
        elif text in RELATIONS:
            if text in (r"\stackrel", r"\overset", r"\xrightarrow"):
                self.argument()
            if text in (r"\stackrel", r"\overset"):
                self.out.extend(self.splice(self.argument()))
            else:
                self.put("REL", RELATIONS[text], line)
        elif text in OPEN:
            self.put("LP", OPEN[text], line)
        elif text in CLOSE:
            self.put("RP", CLOSE[text], line)
        elif text in FRACTIONS:
            self.put("FRAC", "frac", line)
            self._braced(self.splice(self._single()), line)
            self._braced(self.splice(self._single()), line)
        elif text == r"\sqrt":
            index = self.optional()
            self.put("SQRT" if index is None else "OPAQUE", "sqrt", line)
            self._braced(self.splice(self._single()), line)
        elif text in (r"\underbrace", r"\overbrace", r"\underset"):
            if text == r"\underset":
                self.argument()
            self._braced(self.splice(self.argument()), line)
            at = skip_space(self.raw, self.at)
            if at < len(self.raw) and self.raw[at].text in "_^" and text != r"\underset":
                self.at = at + 1
                self.argument()
        elif text in DOTS:
            self.put("DOTS", "...", line)
        elif text in FUNCTIONS:
            self.put("WORD", text[1:], line)
        elif text in SUMS:
            self.put("SUM", SUMS[text], line)
        elif text == r"\partial":
            self.put("PARTIAL", "partial", line)
        elif text == r"\nabla":
            self.put("NABLA", "nabla", line)
        elif text in (r"\|", r"\Vert", r"\lVert", r"\rVert", r"\parallel"):
            self.put("NORM", text, line)
        elif text in (r"\vert", r"\lvert", r"\rvert", r"\mid"):
            self.put("BAR", text, line)
        elif text in (r"\prime", r"\dprime"):
            self.put("PRIME", "'", line)
        elif text in (r"\begin", r"\end"):
            self._environment(text, line)
        elif text in (r"\pm", r"\mp"):
            self.put("OPAQUE", text, line)
        elif text in (r"\top", r"\intercal", r"\dagger"):
            self.put("NAME", text[1:], line)
        elif text in (r"\%", r"\#", r"\&", r"\$", r"\_"):
            self.put("OPAQUE", text, line)
        elif text == r"\slash":
            self.put("SLASH", "/", line)
        elif text == r"\bmod" or text == r"\setminus" or text == r"\forall" or text == r"\exists":
            self.put("OPAQUE", text[1:], line)
        else:
            name = text[1:]
            self.put("NAME", GREEK_ALIAS.get(name, name), line)

    def _single(self) -> list[Raw]:
        r"""Read the argument of `\frac12`: one digit, not the number 12."""
        return self.argument()

    def _delimiter(self) -> None:
        r"""Drop the invisible delimiter of `\left.`."""
        at = skip_space(self.raw, self.at)
        if at < len(self.raw) and self.raw[at].text == ".":
            self.at = at + 1

    def _braced(self, tokens: list[Token], line: int) -> None:
        self.put("LBRACE", "{", line)
        self.out.extend(tokens)
        self.put("RBRACE", "}", line)

    def _font(self, command: str, group: list[Raw], line: int) -> list[Token]:
        letters = "".join(token.text for token in group if not token.text.isspace())
        if command in ALPHABETS and len(letters) == 1:
            return [Token("NAME", f"{ALPHABETS[command]} {letters}".replace("bb 1", "ones"), line)]
        plain = letters.isascii() and letters.isalpha()
        spaced = any(token.text.isspace() for token in group)
        if command in UPRIGHT and plain and len(letters) > 1 and not spaced:
            return [Token("WORD", letters, line)]
        if command in (r"\textbf",) and plain and len(letters) > 1:
            return [Token("WORD", letters, line)]
        if plain and len(letters) > 1 and command not in UPRIGHT:
            if letters in KNOWN_WORDS:
                return [Token("WORD", letters, line)]
            return [Token("NAME", letter, line) for letter in letters]
        inner = self.splice(group, bold=command not in UPRIGHT)
        if len(inner) > 1:
            inner = [Token("LBRACE", "{", line), *inner, Token("RBRACE", "}", line)]
        return inner

    def _prose(self, group: list[Raw], line: int) -> None:
        text = text_of(group).strip()
        module, _, function = text.partition(".")
        if module in MODULES and function in KNOWN_WORDS:
            text = function
        word = text.replace(" ", "")
        if "$" in text:
            self.put("TEXT", text, line)
        elif len(word) == 1 and word.isalpha():
            self.put("NAME", word, line)
        elif text in KNOWN_WORDS - PROSE_WORDS or self._names(text):
            self.put("WORD", text, line)
        else:
            self.put("TEXT", text, line)

    def _names(self, text: str) -> bool:
        r"""Whether a word in text is a name: in capitals, before a bracket, or behind a differential."""
        if not (text.isascii() and text.isalpha()) or text.lower() in PROSE_WORDS:
            return False
        capitals = text.isupper() and len(text) <= LONGEST_ACRONYM
        called = self.at < len(self.raw) and self.raw[self.at].text == "("
        differentiated = bool(self.out) and self.out[-1].kind == "PARTIAL"
        return capitals or called or differentiated

    def _environment(self, command: str, line: int) -> None:
        name = text_of(self.argument()).strip()
        if name in ALIGNMENTS:
            if command == r"\begin" and name.startswith(("alignat", "alignedat")):
                self.argument()
            self.put("ALIGN", command[1:], line)
        elif name in MATRICES:
            if command == r"\begin":
                self.optional()
                if name == "array":
                    self.argument()
                self.put("BEGIN", name, line)
            else:
                self.put("END", name, line)
        else:
            self.put("OPAQUE", name, line)


def _split_alias(text: str) -> list[str]:
    return text.split() if text.startswith("\\") else list(text)


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


def _wrap_scripts(tokens: Sequence[Token], depth: int = 0) -> list[Token]:
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
        inner = _wrap_scripts(inner, depth + 1)
        primes = 0
        while inner and inner[0].kind == "PRIME" and token.kind == "SUP":
            inner, primes = inner[1:], primes + 1
        while len(inner) > 1 and inner[-1].kind == "PRIME" and token.kind == "SUP":
            inner, primes = inner[:-1], primes + 1
        out.extend([Token("PRIME", "'", token.line)] * primes)
        if inner or not primes:
            out.append(token)
            out.append(Token("ARG", "", token.line, tuple(_pair_bars(inner))))
        at = stop
    return out


def _pair_bars(tokens: Sequence[Token]) -> list[Token]:
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
