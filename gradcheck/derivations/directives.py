"""What an author says of symbols in `<!-- gradcheck: ... -->` or under `gradcheck:` in a front matter.

Statements are separated by semicolons:

    W is matrix            x is column, row, scalar or matrix
    f is function          applied to each element
    i is family            an index letter that counts layers or steps
    j is component         an index letter that counts components
    N is last              the last layer or step
    y is distribution      its elements sum to one
    z is x_L               one symbol stands for another (names without layer indices)
    vectors are rows       or columns
    times is hadamard      a sign (circ, odot, otimes, cdot, times, star) is hadamard or matmul
    E is loss              what `dX` differentiates
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.table import SymbolTable

__all__ = ["apply_directives"]

_KINDS = {
    "matrix": "matrix",
    "column": "column",
    "row": "row",
    "scalar": "scalar",
    "number": "scalar",
    "vector": "column",
}
_SIGNS = {"circ", "odot", "otimes", "cdot", "times", "star", "juxtaposition"}


def apply_directives(directives: Iterable[tuple[int, str]], table: SymbolTable) -> None:
    """Change the table as the author says.

    Raises:
        DerivationError: a directive is not understood; the message names its line.
    """
    for line, text in directives:
        for statement in filter(None, (part.strip() for part in text.split(";"))):
            _apply(line, statement, table)


def _apply(line: int, statement: str, table: SymbolTable) -> None:
    match = re.fullmatch(r"(.+?)\s+(?:is|are)\s+(?:an?\s+)?(\S+)", statement)
    if match is None:
        raise DerivationError(
            f"line {line}: the directive {statement!r} is not understood; write for example 'W is matrix'"
        )
    names = [name.strip().lstrip("\\") for name in re.split(r",|\band\b", match.group(1))]
    what = match.group(2)
    for name in names:
        if name == "vectors" and what in ("rows", "columns"):
            table.kinds["orientation"] = what.removesuffix("s")
        elif name in _SIGNS and what in ("hadamard", "matmul"):
            table.signs["" if name == "juxtaposition" else name] = what
        elif what in _KINDS:
            table.kinds[name] = _KINDS[what]
        elif what == "function":
            table.functions.add(name)
        elif what == "family":
            table.family_letters.add(name)
            for found in table.components.values():
                found.discard(name)
        elif what == "last":
            table.last_letters.add(name)
            table.family_letters.add(name)
        elif what == "component":
            table.family_letters.discard(name)
            table.last_letters.discard(name)
            for found in table.shifted.values():
                found.discard(name)
        elif what == "loss":
            table.loss = name
        elif what == "distribution":
            table.distributions.add(name)
        elif re.fullmatch(r"\\?\w+", what):
            table.aliases[name] = what.lstrip("\\")
        else:
            raise DerivationError(
                f"line {line}: {what!r} in the directive {statement!r} is not understood"
            )
