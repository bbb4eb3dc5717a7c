"""Commands of a formula, and how a formula becomes mathematical tokens: what the grammar reads.

Layout and fonts are dropped, spellings of one thing become one token, prose becomes TEXT.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.derivations.characters import Characters
from gradcheck.derivations.tex import Raw, skip_space, text_of
from gradcheck.derivations.tokens import Token, with_bars_paired, with_scripts_wrapped
from gradcheck.derivations.vocabulary import (
    ACCENTS,
    ALIGNMENTS,
    ALPHABETS,
    CLOSE,
    DOTS,
    FONTS,
    FRACTIONS,
    FUNCTIONS,
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
    UPRIGHT,
)

__all__ = ["tokenize"]

LONGEST_ACRONYM = 5
"""Letters of the longest word in capitals that is a name (`RMS`, `MSE`, `RMSE`) and no shouting."""


def tokenize(tokens: Sequence[Raw]) -> list[Token]:
    """Return the mathematical tokens of raw TeX, script arguments wrapped and norms paired.

    Rows and alignment signs come out as ROWSEP and AMP; the caller splits them.

    Raises:
        DerivationError: braces or environments do not match, or nest too deeply.
    """
    reader = Commands(list(tokens))
    reader.read_all()
    return with_bars_paired(with_scripts_wrapped(reader.out))


class Commands(Characters):
    """Read commands; characters are read as `Characters` does."""

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
        if text == "'":
            self.put("PRIME", text, line)
        elif "$" in text:
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
