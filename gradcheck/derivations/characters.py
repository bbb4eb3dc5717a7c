"""Characters of a formula: letters, words, numbers, signs and brackets as mathematical tokens."""

from __future__ import annotations

import unicodedata

from gradcheck.derivations.limits import LIMITS, DerivationError
from gradcheck.derivations.tex import Raw, read_group, skip_space, text_of
from gradcheck.derivations.tokens import Token
from gradcheck.derivations.vocabulary import (
    CLOSE,
    COMBINING,
    GREEK,
    KNOWN_WORDS,
    MODULES,
    MULTIPLY,
    OPEN,
    RELATIONS,
    SWITCHES,
    UNICODE,
    WORD_LENGTH,
)

__all__ = ["Characters"]


class Characters:
    """One pass over raw tokens; `out` collects mathematical tokens. What commands say is for `Commands`."""

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
        inner = type(self)(group, self.depth + 1, self.bold or bold)
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
        self.put("NAME", token.text, token.line)

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
        """Read a command and its arguments."""
        raise NotImplementedError

    def _font(self, command: str, group: list[Raw], line: int) -> list[Token]:
        """Return what a font command is applied to."""
        raise NotImplementedError


def _split_alias(text: str) -> list[str]:
    return text.split() if text.startswith("\\") else list(text)
