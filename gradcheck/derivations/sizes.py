"""Sizes shown under the factors of an equation: as a line of text, or within its TeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.tex import Raw, lex, read_group, skip_space, text_of

__all__ = ["annotated", "sizes_below"]

_PROSE = frozenset(
    {r"\mbox", r"\mathrm", r"\operatorname", r"\text", r"\textbf", r"\textit", r"\textrm"}
)
"""Commands whose argument holds words, not symbols."""

_MARKS = str.maketrans("", "", "{}()[]<> ")
"""What surrounds an index in TeX: the symbol `W_1` may be written `W^{[1]}`."""


def sizes_below(
    latex: str, sizes: Mapping[str, str], columns: Mapping[int, int] | None = None
) -> list[str]:
    r"""Return one or two lines with each factor's sizes under it, as `rows×columns`.

    The equation is shown as its TeX, or so that the places of the TeX stand in the given columns.

    Each symbol is shown once: on the second line where the first has no room, else behind it.

    >>> print("\n".join([r"\delta = W^Txy", *sizes_below(
    ...     r"\delta = W^Txy", {"delta": "2 × 1", "W": "3 × 2", "x": "3 × 1", "y": "1 × 1"})]))
    \delta = W^Txy
    2×1      3×2 1×1
                3×1
    """
    first: dict[str, int] = {}
    for begin, _, name in _occurrences(latex, sizes):
        column = begin if columns is None else columns.get(begin)
        if column is not None:
            first.setdefault(name, column)
    lines, rest = ["", ""], []
    for name, place in sorted(first.items(), key=lambda pair: pair[1]):
        size = sizes[name].replace(" ", "")
        room = next((k for k, line in enumerate(lines) if not line or place > len(line)), None)
        if room is None:
            rest.append(f"{name}: {size}")
        else:
            lines[room] = lines[room].ljust(place) + size
    if rest:
        lines[0] += "  " + ", ".join(rest)
    return [line for line in lines if line]


def annotated(latex: str, sizes: Mapping[str, str]) -> str:
    r"""Return the TeX of an equation with each factor's sizes set under it.

    >>> annotated(r"y = W^Tx", {"W": "2 × 3"})
    'y = \\underset{2×3}{W}^Tx'
    """
    parts, done = [], 0
    for begin, end, name in _occurrences(latex, sizes):
        size = sizes[name].replace(" ", "")
        parts += [latex[done:begin], rf"\underset{{{size}}}{{{latex[begin:end]}}}"]
        done = end
    return "".join([*parts, latex[done:]])


def _occurrences(latex: str, sizes: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield where each symbol begins, where it ends with its index, and its name."""
    tokens = lex(latex)
    if text_of(tokens) != latex:  # a comment was dropped: places are not known
        return
    bases = {_base(name) for name in sizes}
    place = at = 0
    while at < len(tokens):
        text = tokens[at].text
        end = at + 1
        if text in _PROSE | {"_", "^"}:
            with_script = _group_end(tokens, at)
            place, at = place + len(text_of(tokens[at:with_script])), with_script
            continue
        if text in bases:
            index, behind = "", at + 1
            if behind < len(tokens) and tokens[behind].text in ("_", "^"):
                behind = _group_end(tokens, behind)
                index = text_of(tokens[at + 2 : behind]).translate(_MARKS)
            names = [n for n in sizes if _base(n) == text and _index(n) == index]
            if not names:
                names, behind = [n for n in sizes if _base(n) == text and not _index(n)], at + 1
            if names:
                length = len(text_of(tokens[at:behind]))
                yield place, place + length, names[0]
                end = behind
        place, at = place + len(text_of(tokens[at:end])), end


def _group_end(tokens: Sequence[Raw], at: int) -> int:
    """Return the place behind the script that stands at a place."""
    try:
        return read_group(tokens, skip_space(tokens, at + 1))[1]
    except DerivationError:
        return len(tokens)


def _base(name: str) -> str:
    """Return the token that begins a symbol: `delta_{i+1}` begins with the command for delta."""
    letter = name.split("_")[0].split(" ")[-1]
    return letter if len(letter) == 1 else f"\\{letter}"


def _index(name: str) -> str:
    return name.partition("_")[2].translate(_MARKS)
