"""The two sides of a case, brought to one shape."""

from __future__ import annotations

from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case
from gradcheck.derivations.dims import DimensionMismatch
from gradcheck.derivations.factors import as_factor, pulled_alike
from gradcheck.derivations.interpreter import (
    Frame,
    FreeIndex,
    IllShaped,
    Interpreter,
    OutOfRange,
)
from gradcheck.derivations.model import Claim, Definition, Model
from gradcheck.derivations.values import Jacobian, Value

__all__ = ["component_letters", "sides_of"]


def sides_of(
    model: Model, case: Case, interpreter: Interpreter
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return the two sides' numbers, spread over the same axes."""
    claim = case.claim
    free = frozenset(component_letters(claim.left))
    frame = Frame(claim.row, case.family, free=free)
    if claim.kind in ("definition", "redefinition"):
        definition = claim.definition
        assert definition is not None
        member = interpreter.member(ex.Symbol(definition.name, definition.pattern), frame)
        new = model.define(definition, member, interpreter)
        if claim.kind == "definition":
            return new.data, new.data, ()
        old = _earlier(model, claim, member, interpreter)
        return _matched(old, new, interpreter)
    if claim.kind in ("function", "given"):
        return _only(model, claim, interpreter, frame)
    if isinstance(claim.left, ex.Call):
        _bind_arguments(model, claim.left, claim.right, frame, interpreter)
    left = interpreter.evaluate(claim.left, frame)
    frame.target = left if isinstance(left, Value) else None
    right = interpreter.evaluate(claim.right, frame)
    case.informal = isinstance(left, Jacobian) != isinstance(right, Jacobian)
    place = f"{claim.row}:{sorted(case.family.items())}"
    matched = _matched(left, right, interpreter, place)
    return (matched[0], matched[0], matched[2]) if claim.kind == "display" else matched


def _bind_arguments(
    model: Model, call: ex.Call, other: ex.Expression, frame: Frame, interpreter: Interpreter
) -> None:
    """A row that begins with f'(z) is of the function: z is a number of its own there.

    Not where the row also has what z goes into, as in f'(z) = y (1 - y) with y = f(z).
    """
    own = {argument.name for argument in call.arguments if isinstance(argument, ex.Symbol)}
    others = {symbol.name for symbol in ex.symbols(other)} - own
    within = set().union(*(model.names_below(name) for name in others))
    for argument in call.arguments:
        if isinstance(argument, ex.Symbol) and not argument.family and not argument.components:
            if argument.name in within:
                continue
            frame.bound[argument.name] = model.argument(argument.name, interpreter)


def _only(
    model: Model, claim: Claim, interpreter: Interpreter, frame: Frame
) -> tuple[Any, Any, tuple[str, ...]]:
    del model
    if claim.kind == "given":
        value = interpreter.value(claim.right, frame)
        return value.data, value.data, ()
    assert isinstance(claim.left, ex.Call)
    names = [a.name for a in claim.left.arguments if isinstance(a, ex.Symbol)]
    frame.bound.update({name: interpreter.number(0.7) for name in names})
    value = interpreter.value(claim.right, frame)
    return value.data, value.data, ()


def _earlier(
    model: Model, claim: Claim, member: tuple[int, ...], interpreter: Interpreter
) -> Value:
    assert claim.earlier is not None
    earlier: Definition | None = claim.earlier
    stated = isinstance(claim.earlier.body, ex.Derivative) and model._applies(claim.earlier, member)
    if not stated:
        earlier = model.definition(claim.earlier.name, member, claim.row - 1)
    if earlier is None or earlier.row >= claim.row:
        raise OutOfRange("no earlier definition of this member")
    return model.define(earlier, member, interpreter)


def component_letters(side: ex.Expression) -> set[str]:
    return {
        index.letter for symbol in ex.symbols(side) for index in symbol.components if index.letter
    }


def _matched(
    left: Any, right: Any, interpreter: Interpreter, place: str = ""
) -> tuple[Any, Any, tuple[str, ...]]:
    """Bring two sides to one shape.

    Raises:
        IllShaped: their sizes differ.
        FreeIndex: the right side has an index that the left side has not.
    """
    if isinstance(left, Jacobian) and isinstance(right, Jacobian):
        if left.matrix is None or right.matrix is None:
            left, right = pulled_alike(left, right, place, interpreter)
        else:
            left, right = left.matrix(), right.matrix()
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Jacobian):
            left, right = _against_jacobian(one, other, place, interpreter)
            break
    assert isinstance(left, Value)
    assert isinstance(right, Value)
    extra = [letter for letter in right.letters if letter not in left.letters]
    if extra:
        raise FreeIndex(f"the index {extra[0]} is free on the right side only")
    axes, (x, y) = interpreter.align([left, right])
    if left.is_number != right.is_number:
        number, array = (left, right) if left.is_number else (right, left)
        del number
        raise IllShaped(f"one side is a number, the other {array.spelled()}")
    try:
        interpreter.unify(left.rows, right.rows)
        interpreter.unify(left.cols, right.cols)
    except DimensionMismatch:
        raise IllShaped(
            f"the left side is {left.spelled()}, the right side {right.spelled()}"
        ) from None
    letters = tuple(letter for letter, _ in axes)
    if not interpreter.numeric:
        return None, None, letters
    xp = interpreter.xp
    shape = xp.broadcast_shapes(x.shape, y.shape)
    return xp.broadcast_to(x, shape), xp.broadcast_to(y, shape), letters


def _against_jacobian(
    jacobian: Jacobian, other: Value, place: str, interpreter: Interpreter
) -> tuple[Value, Value]:
    """A Jacobian is compared as a matrix, in the layout that fits, or as a factor of the chain rule."""
    same = interpreter.model.dims.compatible
    if jacobian.matrix is None or other.is_number or other.is_column or other.is_row:
        return as_factor(jacobian, other, place, interpreter)
    whole = jacobian.matrix()
    if same(whole.rows, other.rows) and same(whole.cols, other.cols):
        return whole, other
    flipped = interpreter._transposed(whole)
    assert isinstance(flipped, Value)
    return flipped, other
