"""Sizes first: each row is walked without numbers, and what does not fit is noted."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case
from gradcheck.derivations.dims import DimensionMismatch
from gradcheck.derivations.interpreter import (
    Frame,
    FreeIndex,
    IllShaped,
    Interpreter,
    OutOfRange,
)
from gradcheck.derivations.model import Claim, Model
from gradcheck.derivations.sides import component_letters, sides_of
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.walks import nodes_of

__all__ = ["fill_sizes", "infer_sizes"]


def infer_sizes(model: Model, cases: Sequence[Case]) -> None:
    """Infer all sizes: forward rows may identify them, later rows only fill in what is new."""
    forward = [c for c in cases if c.claim.kind == "definition" and not _is_backward(model, c)]
    later = [c for c in cases if c not in forward]
    for case in forward:
        _try(model, case)
    model.settle()
    model.dims.freeze()
    for case in later:
        _try(model, case)
    model.dims.freeze()
    model.assign_sizes()


def fill_sizes(model: Model, cases: Sequence[Case]) -> None:
    """Walk further cases for their sizes; nothing that is known is identified."""
    for case in cases:
        _try(model, case)
    model.dims.freeze()
    model.assign_sizes()


def _is_backward(model: Model, case: Case) -> bool:
    return model.is_backward(case.claim.right)


def _try(model: Model, case: Case) -> None:
    """Walk a case for its sizes, and note what is wrong with it."""
    case.problem = None
    try:
        with model.dims.attempt():
            sides_of(model, case, Interpreter(model, numeric=False))
    except (IllShaped, DimensionMismatch) as error:
        mixed = _mixes(model, case) or _shows_example(case.claim)
        case.problem = ("unread", mixed) if mixed else ("dimension", str(error))
    except FreeIndex as error:
        case.problem = ("scope", str(error))
    except OutOfRange as error:
        case.problem = ("range", str(error))
    except NotUnderstood as error:
        case.problem = ("unread", str(error))
    except RecursionError:
        case.problem = ("unread", "refers to itself without end")


def _shows_example(claim: Claim) -> str:
    """Say that a row displays an array, whose size or entries need not be the document's own.

    `x = (x_1, x_2)` is an example of two elements, and the entries of `X = (x_1, ..., x_n)` may be columns.
    """
    for node in (*nodes_of(claim.left), *nodes_of(claim.right)):
        if isinstance(node, ex.Written):
            return "an example of a size of its own"
        if isinstance(node, ex.Arrayed) and not (node.row and node.column):
            return "a list whose entries may be arrays"
    return ""


def _mixes(model: Model, case: Case) -> str:
    """Say that a row puts components beside whole arrays: an index that counts examples."""
    free = component_letters(case.claim.left)
    if not free or case.claim.kind not in ("claim", "definition", "redefinition"):
        return ""
    if case.claim.definition is not None and not case.claim.definition.letters:
        return ""
    walker = Interpreter(model, numeric=False)
    for symbol in _top_symbols(case.claim.right):
        if symbol.components:
            continue
        try:
            with model.dims.attempt():
                whole = walker.whole(symbol, Frame(case.claim.row, case.family))
        except (NotUnderstood, OutOfRange, IllShaped, DimensionMismatch):
            continue
        if not whole.is_number:
            return f"puts components beside the whole {symbol.name}"
    return ""


def _top_symbols(body: ex.Expression) -> list[ex.Symbol]:
    """Return the symbols of a body, those under a norm, a sum or a derivative left out."""
    if isinstance(body, ex.Symbol):
        return [body]
    if isinstance(body, ex.NormOf | ex.Derivative | ex.SumOver):
        return []
    return [symbol for part in ex.children(body) for symbol in _top_symbols(part)]
