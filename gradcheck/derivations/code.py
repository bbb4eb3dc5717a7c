"""Text and code side by side: named equations compared with what a function computes for them.

The function is called with the values of the document's given symbols at a random point, as a dict from
spelling (`W_1`, `x_0`, `t`) to array, and returns a dict from equation name to array; for an equation
over a family, to a dict from member (1, 2, 3) to array. Its attribute `functions`, a dict such as
`{"f": "tanh"}`, says which activation it uses for a function letter of the document.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.derivations.cases import AGREEMENT, Case
from gradcheck.derivations.expressions import member_name
from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.model import Model
from gradcheck.derivations.rows import Row

__all__ = ["compare", "load"]


def load(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that `module:function` names.

    Raises:
        DerivationError: there is no such module or function.
    """
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    if not module or not name:
        raise DerivationError(f"code {target!r}: write it as module:function")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise DerivationError(f"code {target!r}: {error}") from error
    if not callable(found):
        raise DerivationError(f"code {target!r}: {module} has no function {name}")
    return found  # type: ignore[no-any-return]


def compare(
    code: Callable[..., Any], model: Model, rows: Sequence[Row], cases: Sequence[Case]
) -> dict[int, tuple[str, str]]:
    """Return the rows whose equation and code differ, as row number -> (verdict, sentence).

    Raises:
        DerivationError: the function returns no dict, or a name that no equation has.
    """
    named = {row.name: row for row in rows if row.name}
    out: dict[int, tuple[str, str]] = {}
    for draw, point in enumerate(model.points):
        given = {
            member_name(*key[:2]): np.array(value)
            for key, value in point.items()
            if ":" not in key[0]
        }
        results = code(given)
        if not isinstance(results, Mapping):
            raise DerivationError("the code must return a dict from equation name to array")
        unknown = sorted(set(results) - set(named))
        if unknown:
            raise DerivationError(
                f"the code computes {unknown[0]!r}, and no equation of the document has that name"
            )
        for name, value in results.items():
            row = named[name]
            for case in cases:
                if case.claim.row == row.number and case.holds is not None:
                    sentence = _difference(case, case.left[draw], value)
                    if sentence:
                        out[row.number] = ("false", f"the code computes {name} otherwise{sentence}")
    return out


def _difference(case: Case, written: Any, computed: Any) -> str:
    """Return how the code's value differs from the text's, or "" where it does not."""
    members = tuple(case.family.values())
    where = ""
    if isinstance(computed, Mapping):
        if not members or members[0] not in computed:
            return ""
        computed = computed[members[0]]
        where = f" for {next(iter(case.family))} = {members[0]}"
    value = np.asarray(computed, dtype=float)
    if value.size != written.size:
        return f"{where}: its array is {value.shape}, the text's {written.shape}"
    value = value.reshape(written.shape)
    scale = max(np.abs(written).max(initial=0), np.abs(value).max(initial=0))
    difference = float(np.abs(value - written).max(initial=0))
    if difference <= AGREEMENT * scale:
        return ""
    return f"{where}: they differ by {difference / scale:.2g} of their size"
