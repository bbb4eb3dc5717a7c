"""What a superscript or subscript says, before it is known what its base is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.derivations.expressions import Index
from gradcheck.derivations.tokens import Token

__all__ = ["Piece", "pieces", "run_of_letters"]

_TRANSPOSES = {"T", "top", "intercal", "dagger", "Tr", "tr", "mathsf T"}
_LONGEST_INDEX_LIST = 3
_UNIT_LABELS = frozenset("ho")
"""Letters that number single units, `out_{h1}` and `out_{o1}`: no index is named so."""


@dataclass(frozen=True)
class Piece:
    """One part of a script.

    Attributes:
        kind: "transpose", "index", "label", "symbol" (a symbol as a label, `alpha_{W_i}`), "last"
            (a symbol in brackets above, `a^{(n_l)}`: the last layer), "equal" (`i=j`), "star",
            "power" (any other expression).
        index: the index (kind index).
        bracketed: whether it stood in `( )`, `[ ]` or `< >`.
        text: the label, or the name of the symbol.
        inner: the tokens (kinds power, symbol and equal).
    """

    kind: str
    index: Index | None = None
    bracketed: bool = False
    text: str = ""
    inner: tuple[Token, ...] = ()


def is_letter(token: Token) -> bool:
    """Return whether a token can be an index letter."""
    return token.kind == "NAME" and (len(token.text) == 1 or token.text == "ell")


def run_of_letters(tokens: Sequence[Token]) -> str:
    """Return the letters of a script that is two or more letters side by side (`hh`, `xh`), else ""."""
    inner = _unwrapped(tokens)
    plain = len(inner) > 1 and all(t.kind == "NAME" and len(t.text) == 1 for t in inner)
    return "".join(token.text for token in inner) if plain else ""


def pieces(
    tokens: Sequence[Token], superscript: bool, labels: frozenset[str] | set[str] = frozenset()
) -> list[Piece]:
    """Return the parts of a script in the order written.

    Args:
        tokens: the script's argument.
        superscript: whether it stands above.
        labels: runs of letters that name one thing (`hh` in `W_{hh}`), and are no list of indices.
    """
    out: list[Piece] = []
    at = 0
    tokens = _unwrapped(tokens)
    run = run_of_letters(tokens)
    if run in labels:
        return [Piece("label", text=run)]
    whole = _special(tokens, superscript)
    if whole is not None:
        return [whole]
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "SEP":
            at += 1
        elif token.kind == "SUP" and at + 1 < len(tokens):
            out.extend(pieces(tokens[at + 1].inner, True))
            at += 2
        elif token.kind == "LP" or (token.kind == "REL" and token.text == "<"):
            close = _closing(tokens, at)
            inner = pieces(tokens[at + 1 : close], False)
            if superscript and [piece.kind for piece in inner] == ["symbol"]:
                inner = [Piece("last", text=inner[0].text)]
            if any(piece.kind not in ("index", "label", "last") for piece in inner):
                return [Piece("power", inner=tuple(tokens))]
            out.extend(Piece(p.kind, p.index, True, p.text) for p in inner)
            at = close + 1
        elif superscript and token.kind == "NAME" and token.text in _TRANSPOSES:
            out.append(Piece("transpose"))
            at += 1
        elif is_letter(token):
            index, at = _affine(tokens, at)
            out.append(Piece("index", index))
        elif token.kind == "NUM" and token.text.isdigit():
            numbers = [token.text] if superscript or "," in _signs(tokens) else list(token.text)
            out.extend(Piece("index", Index(None, int(number))) for number in numbers)
            at += 1
        elif token.kind in ("WORD", "TEXT"):
            out.append(Piece("label", text=token.text))
            at += 1
        elif token.kind == "MUL" and token.text == "star":
            out.append(Piece("star"))
            at += 1
        elif token.kind == "LBRACE" or token.kind == "RBRACE":
            at += 1
        else:
            return [Piece("power", inner=tuple(tokens))]
    return out


def _signs(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens if token.kind == "SEP")


def _unwrapped(tokens: Sequence[Token]) -> list[Token]:
    out = list(tokens)
    while len(out) > 1 and out[0].kind == "LBRACE" and out[-1].kind == "RBRACE":
        depth = 0
        for place, token in enumerate(out):
            depth += (token.kind == "LBRACE") - (token.kind == "RBRACE")
            if depth == 0 and place < len(out) - 1:
                return out
        out = out[1:-1]
    return out


def _special(tokens: Sequence[Token], superscript: bool) -> Piece | None:
    kinds = [token.kind for token in tokens]
    letters = [token for token in tokens if is_letter(token)]
    if kinds in (["NAME", "SUB", "ARG"], ["NAME", "SUP", "ARG"]) and not superscript:
        return Piece("symbol", text=tokens[0].text, inner=tuple(tokens))
    if "REL" in kinds and any(token.text == "=" for token in tokens):
        return Piece("equal", inner=tuple(tokens))
    if len(letters) == len(tokens) and len(tokens) > _LONGEST_INDEX_LIST:
        return Piece("label", text="".join(token.text for token in tokens))
    if superscript and kinds == ["NUM"]:
        return Piece("power", inner=tuple(tokens))
    if kinds == ["NAME", "NUM"] and (superscript or tokens[0].text in _UNIT_LABELS):
        return Piece("label", text="".join(token.text for token in tokens))
    return None


def _affine(tokens: Sequence[Token], at: int) -> tuple[Index, int]:
    letter = tokens[at].text
    following = tokens[at + 1 : at + 3]
    shifted = [token.kind for token in following] == ["ADD", "NUM"]
    if shifted and following[1].text.isdigit():
        sign = 1 if following[0].text == "+" else -1
        return Index(letter, sign * int(following[1].text)), at + 3
    return Index(letter), at + 1


def _closing(tokens: Sequence[Token], at: int) -> int:
    for place in range(at + 1, len(tokens)):
        if tokens[place].kind == "RP" or tokens[place].text == ">":
            return place
    return len(tokens)
