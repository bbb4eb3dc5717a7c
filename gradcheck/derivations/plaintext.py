r"""An equation as one line of text: `\frac{1}{1+e^{-z}}` as `1/(1+e⁻ᶻ)`.

Brackets keep what belongs together in its place; where a part is not known, its TeX stays.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.tex import Raw, lex, read_group, skip_space, text_of
from gradcheck.derivations.vocabulary import (
    ALPHABETS,
    COMBINING,
    FONTS,
    FRACTIONS,
    GREEK,
    LAYOUT,
    PROSE,
    SUMS,
    SWALLOW,
    SWITCHES,
    TRANSPARENT,
    UNICODE,
    UPRIGHT,
)

__all__ = ["Shown", "shown"]

SIGNS = {
    **{command: sign for sign, command in UNICODE.items() if command.startswith("\\")},
    **{f"\\{name}": letter for letter, name in GREEK.items()},
    **dict.fromkeys((r"\ldots", r"\dots"), "…"),
    **dict.fromkeys((r"\intercal", r"\top"), "T"),
    **dict.fromkeys((r"\le", r"\leqslant"), "≤"),
    **dict.fromkeys((r"\ge", r"\geqslant"), "≥"),
    **dict.fromkeys((r"\to", r"\longrightarrow"), "→"),
    **dict.fromkeys((r"\Rightarrow", r"\implies"), "⇒"),
    r"\cdots": "⋯",
    r"\vdots": "⋮",
    r"\ddots": "⋱",
    r"\prod": "∏",
    r"\int": "∫",
    r"\ne": "≠",
    r"\cdot": "·",
    r"\prime": "′",
    r"\varepsilon": "ε",
    r"\varphi": "φ",
    r"\{": "{",
    r"\}": "}",
    r"\,": " ",
    r"\;": " ",
    r"\:": " ",
    r"\ ": " ",
    r"\!": "",
    r"\quad": "  ",
    r"\qquad": "    ",
    r"\mid": "|",
    r"\vert": "|",
    r"\Vert": "‖",
    "~": " ",
    "\\\\": " ",
    "&": " ",
    r"\langle": "⟨",
    r"\rangle": "⟩",
    r"\forall": "∀",
    r"\sim": "~",
    r"\mathbb R": "ℝ",
}
"""What stands for a command."""

ACCENTS = {
    **{f"\\{name}": mark for mark, name in COMBINING.items()},
    r"\bar": "\u0304",
    r"\overline": "\u0304",
    r"\widehat": "\u0302",
    r"\vec": "\u20d7",
}

RAISED = {
    **dict(zip("0123456789+-=()′*", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾′*", strict=True)),
    **dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True)),
    **dict(zip("ABDEGHIJKLMNOPRTUVW", "ᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ", strict=True)),
}
LOWERED = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)


@dataclass(frozen=True)
class Shown:
    """A line of text.

    Attributes:
        text: the line.
        columns: for places of the source at which a token begins, its column in the line.
    """

    text: str = ""
    columns: dict[int, int] = field(default_factory=dict)

    def __add__(self, other: Shown | str) -> Shown:
        if isinstance(other, str):
            return Shown(self.text + other, self.columns)
        moved = {place: len(self.text) + column for place, column in other.columns.items()}
        return Shown(self.text + other.text, {**self.columns, **moved})

    def within(self, before: str, after: str) -> Shown:
        """Return the line with something on either side."""
        return Shown(before) + self + after


@dataclass(frozen=True)
class _Token(Raw):
    """A raw token and its place in the source."""

    place: int = 0


def shown(latex: str) -> Shown:
    r"""Return the TeX of one row as text; the TeX itself where it cannot be read.

    >>> shown(r"f(z) = \frac{1}{1+e^{-z}}").text
    'f(z) = 1/(1+e⁻ᶻ)'
    >>> shown(r"\frac{\partial E}{\partial W_i} = \delta_i x_{i-1}^T").text
    '∂E/∂Wᵢ = δᵢ xᵢ₋₁ᵀ'
    """
    tokens: list[_Token] = []
    place = 0
    for token in lex(latex):
        tokens.append(_Token(token.text, token.line, place))
        place += len(token.text)
    try:
        line = _line(tokens)
    except (DerivationError, RecursionError):
        return Shown(latex)
    words = " ".join(line.text.split())
    return line if words == line.text else _single_spaced(line)


def _single_spaced(line: Shown) -> Shown:
    """Return a line with runs of spaces as one space."""
    kept: list[str] = []
    moved: list[int] = []
    for letter in line.text:
        moved.append(len(kept))
        if not (letter.isspace() and (not kept or kept[-1] == " ")):
            kept.append(" " if letter.isspace() else letter)
    text = "".join(kept).rstrip()
    moved.append(len(kept))
    return Shown(text, {place: min(moved[c], len(text)) for place, c in line.columns.items()})


def _line(tokens: Sequence[Raw]) -> Shown:
    out = Shown()
    at = skip_space(tokens, 0)
    while at < len(tokens):
        head = tokens[at].text
        piece, at = _piece(tokens, at)
        out = out + piece
        if head in (r"\partial", r"\nabla"):
            at = skip_space(tokens, at)
        elif head in SUMS:
            while at < len(tokens) and tokens[at].text in ("_", "^", r"\limits"):
                piece, at = _piece(tokens, at)
                out = out + piece
            out = out + " "
    return out


def _piece(tokens: Sequence[Raw], at: int) -> tuple[Shown, int]:
    """Return the token at a place with its arguments as text, and the place behind it."""
    token = tokens[at]
    name = token.text
    if name in ("^", "_"):
        inner, end = _argument(tokens, at + 1)
        return _script(inner, name == "^"), end
    if name in FRACTIONS or name == r"\frac":
        above, middle = _argument(tokens, at + 1)
        below, end = _argument(tokens, middle)
        return _whole(above) + "/" + _whole(below) + _gap(tokens, end), end
    if name == r"\sqrt":
        inner, end = _argument(tokens, at + 1)
        return inner.within("√(", ")"), end
    if name in ACCENTS:
        inner, end = _argument(tokens, at + 1)
        return Shown(unicodedata.normalize("NFC", inner.text[:1] + ACCENTS[name])) + inner.text[
            1:
        ], end
    if name in PROSE | UPRIGHT | FONTS | TRANSPARENT or name in ALPHABETS:
        inner, end = _argument(tokens, at + 1)
        return (Shown("ℝ") if inner.text == "R" and name == r"\mathbb" else inner), end
    if name in SWALLOW:
        return Shown(), _argument(tokens, at + 1)[1]
    if name == r"\begin":
        return _environment(tokens, at)
    if name in LAYOUT | SWITCHES and name not in SIGNS:
        return Shown(), at + 1
    if name == "{":
        inner, end = _argument(tokens, at)
        return inner, end
    sign = SIGNS.get(name, name.removeprefix("\\") if name.startswith("\\") else name)
    place = token.place if isinstance(token, _Token) else 0
    return Shown(sign, {place: 0}), at + 1


def _argument(tokens: Sequence[Raw], at: int) -> tuple[Shown, int]:
    inner, end = read_group(tokens, at)
    return _line(inner), end


def _script(inner: Shown, raised: bool) -> Shown:
    """Return a script in small letters where all of it has them, else behind its sign."""
    letters = RAISED if raised else LOWERED
    text = inner.text.replace(" ", "").replace("−", "-")
    if text and all(letter in letters for letter in text):
        return Shown("".join(letters[letter] for letter in text))
    sign = "^" if raised else "_"
    bracketed = text[:1] + text[-1:] in ("()", "[]")
    return Shown(sign + text) if len(text) == 1 or bracketed else Shown(f"{sign}({inner.text})")


def _whole(part: Shown) -> Shown:
    """Return a part of a fraction in brackets, unless it is one number, symbol or differential."""
    text = part.text.strip()
    bare = text.removeprefix("∂").removeprefix("d").strip()
    large = [letter for letter in bare if letter.isalnum() and letter not in _SMALL]
    single = bare.isdigit() or len(large) <= 1
    if single and not any(letter in bare for letter in " +-−*/·∘⊙⊗×=∑√"):
        return part
    return part.within("(", ")")


_SMALL = frozenset(RAISED.values()) | frozenset(LOWERED.values())
"""Letters of scripts, which make no product with what they stand beside."""


def _gap(tokens: Sequence[Raw], at: int) -> str:
    """Return a space behind a fraction where a factor follows at once, or it would seem part of it."""
    at = skip_space(tokens, at)
    follows = at < len(tokens) and (tokens[at].text.isalnum() or tokens[at].text.startswith("\\"))
    return " " if follows or (at < len(tokens) and tokens[at].text in "({[") else ""


def _environment(tokens: Sequence[Raw], at: int) -> tuple[Shown, int]:
    """Return a matrix as `[a b; c d]`; other environments as their contents."""
    name, start = read_group(tokens, at + 1)
    kind = text_of(name)
    depth, end = 1, start
    while end < len(tokens) and depth:
        depth += {r"\begin": 1, r"\end": -1}.get(tokens[end].text, 0)
        end += 1
    behind = read_group(tokens, end)[1] if depth == 0 else end
    inside = list(tokens[start : end - 1])
    if kind.rstrip("*") == "array":
        inside = inside[read_group(inside, 0)[1] :]
    rows: list[list[Raw]] = [[]]
    for token in inside:
        if token.text in ("\\\\", r"\cr"):
            rows.append([])
        else:
            rows[-1].append(token)
    lines = [line for line in map(_line, rows) if line.text.strip()]
    left, right = ("{", "}") if kind == "cases" else ("[", "]")
    if "matrix" not in kind and kind not in ("array", "cases"):
        left = right = ""
    body = Shown()
    for number, line in enumerate(lines):
        body = body + ("; " if number else "") + line
    return body.within(left, right), behind
