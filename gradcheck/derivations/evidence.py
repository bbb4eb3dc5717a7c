"""Evidence for claims: sizes first, then one program for all claims, evaluated at random points."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.derivations import expressions as ex
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
from gradcheck.derivations.resolve import NotUnderstood
from gradcheck.derivations.values import Jacobian, Value
from gradcheck.derivations.walks import family_letters, nodes_of

if TYPE_CHECKING:
    from gradcheck.oracles.certificates import Certificate, Side

__all__ = [
    "Case",
    "Program",
    "cases_of",
    "fill_sizes",
    "infer_sizes",
    "judge",
    "judge_all",
    "prepared",
]

AGREEMENT = 1e-9
"""Largest difference, relative to the largest entry of either side, of two sides called equal.

Both sides are computed in float64 from well-scaled numbers by some hundred operations over sizes
below 30, which loses 1e-13 or so; equal sides were never seen to differ by more than 1e-12, and
different ones rarely agree better than to 1e-4. What lies between is left undecided.
"""

DISAGREEMENT = 1e-6
"""Smallest such difference of two sides called different."""

ROOTS = frozenset({"pow", "rsqrt", "sqrt"})
"""Primitives that take square roots."""

DRAWS = 2
"""Independent random points at which a claim must hold, or fail, before it is called so."""


@dataclass(frozen=True, eq=False)
class Program:
    """Claims that were traced together.

    Attributes:
        jaxpr: of the values of all leaves; it returns the left and the right side of each case in turn.
        keys: the leaves, in order.
        points: the arrays of each point at which it was evaluated.
    """

    jaxpr: Any
    keys: Sequence[Any] = ()
    points: list[list[Any]] = field(default_factory=list)

    def moved_to(self, points: list[list[Any]]) -> Program:
        """Return the same program at other points."""
        return Program(self.jaxpr, self.keys, points)

    def sides(self, cases: Sequence[Case]) -> tuple[Side, Side]:
        """Return the programs of the left sides of some cases and of their right sides."""
        from gradcheck.oracles.certificates import Side

        order = np.argsort(np.argsort([case.place for case in cases])).tolist()
        arguments = range(len(self.jaxpr.in_avals))
        left, right = (Side(self._of(cases, {k}), arguments, order) for k in (0, 1))
        return left, right

    def with_roots(self) -> set[int]:
        """Return the places of the cases in which a square root is taken."""
        return self.reached_by(lambda equation: equation.primitive.name in ROOTS)

    def reached_by(self, what: Callable[[Any], bool]) -> set[int]:
        """Return the places of the cases that rest on an equation of some kind."""
        from gradcheck.programs.compat import is_literal, nested_jaxpr, open_jaxpr

        def found(equation: Any) -> bool:
            inner = nested_jaxpr(equation.params)
            nested = () if inner is None else open_jaxpr(inner)[0].eqns
            return what(equation) or any(map(found, nested))

        reached: set[Any] = set()
        for equation in self.jaxpr.jaxpr.eqns:
            read = [atom for atom in equation.invars if not is_literal(atom)]
            if found(equation) or not reached.isdisjoint(read):
                reached.update(equation.outvars)
        outputs = self.jaxpr.jaxpr.outvars
        return {k // 2 for k, out in enumerate(outputs) if not is_literal(out) and out in reached}

    def of(self, cases: Sequence[Case]) -> Any:
        """Return the program of both sides of some cases, without what only others need."""
        return self._of(cases, {0, 1})

    def _of(self, cases: Sequence[Case], sides: Set[int]) -> Any:
        from gradcheck.programs.compat import with_outputs

        places = {case.place for case in cases}
        count = len(self.jaxpr.out_avals)
        return with_outputs(self.jaxpr, [k // 2 in places and k % 2 in sides for k in range(count)])


@dataclass
class Case:
    """One claim for one choice of its family letters.

    Attributes:
        claim: the claim.
        family: what the family letters are.
        problem: why it cannot be evaluated: ("dimension" | "scope" | "range" | "unread", sentence).
        differences: the largest relative difference at each point.
        left, right: the two sides' numbers at each point.
        letters: the component indices of those arrays, in order.
        program: what the numbers were computed by; `place` is the case's number there.
        certificate: the proof that the two sides are one function, where there is one.
        uncertified: why there is none.
        measured: what extended precision found: "equal", "different", "unclear", or "" for nothing.
        digits: to how many digits the sides are equal there.
        elsewhere: whether the sides differ only at points that are not of order one.
        doubt: why equal numbers are not enough to call the sides equal.
        informal: whether one side is a derivative of an array by an array, and the other is no such.
    """

    claim: Claim
    family: dict[str, int]
    problem: tuple[str, str] | None = None
    differences: list[float] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)
    letters: tuple[str, ...] = ()
    program: Program | None = None
    place: int = 0
    certificate: Certificate | None = None
    uncertified: str = ""
    measured: str = ""
    digits: int | None = None
    elsewhere: bool = False
    doubt: str = ""
    informal: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the two sides are equal; None where that is not decided.

        A certificate decides, then extended precision, then float64.
        """
        if self.problem is not None or not self.differences or self.doubt:
            return None
        if self.certificate is not None:
            return True
        if self.measured:
            return {"equal": True, "different": False}.get(self.measured)
        if all(d <= AGREEMENT for d in self.differences):
            return True
        if all(d >= DISAGREEMENT for d in self.differences):
            return False
        return None


def cases_of(model: Model, claims: Iterable[Claim]) -> list[Case]:
    """Return one case for each claim and each choice of its family letters."""
    out = []
    for claim in claims:
        bound = model.table.last_letters
        letters = sorted((family_letters(claim.left) | family_letters(claim.right)) - bound)
        own = family_letters(claim.left)
        if claim.kind == "claim":
            own |= (
                set(letters)
                if own & set(letters) or not isinstance(claim.left, ex.Symbol)
                else set()
            )
        letters = [letter for letter in letters if letter in own]
        steps = [
            (model.depth,) if letter in model.current else range(model.depth + 1)
            for letter in letters
        ]
        for chosen in itertools.product(*steps):
            family = dict(zip(letters, chosen, strict=True))
            if claim.definition is not None and not _in_force(model, claim, family):
                continue
            out.append(Case(claim, family))
    return out


def _in_force(model: Model, claim: Claim, family: dict[str, int]) -> bool:
    """A definition is looked at only for members that it can define."""
    definition = claim.definition
    assert definition is not None
    member = tuple(
        index.offset + (family.get(index.letter, model.depth)) if index.letter else index.offset
        for index in definition.pattern
    )
    counted = [m for m, i in zip(member, definition.pattern, strict=True) if i.letter]
    return all(0 <= m <= model.depth for m in counted) and model._applies(definition, member)


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
            _sides(model, case, Interpreter(model, numeric=False))
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
    free = _component_letters(case.claim.left)
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


def _sides(model: Model, case: Case, interpreter: Interpreter) -> tuple[Any, Any, tuple[str, ...]]:
    """Return the two sides' numbers, spread over the same axes."""
    claim = case.claim
    free = frozenset(_component_letters(claim.left))
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


def _component_letters(side: ex.Expression) -> set[str]:
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


def judge(model: Model, cases: Sequence[Case], seed: int = 0, positive: bool = False) -> None:
    """Evaluate every case that has no problem at random points, by one program."""
    from gradcheck.programs.compat import enable_x64
    from gradcheck.programs.evaluation import evaluate

    live = [case for case in cases if case.problem is None]
    keys = sorted(model.leaves)
    outputs: list[Case] = []

    def program(*arrays: Any) -> list[Any]:
        model.numbers = {
            key: prepared(model, key[0], array) for key, array in zip(keys, arrays, strict=True)
        }
        shared = Interpreter(model, numeric=True)
        outputs.clear()
        results: list[Any] = []
        for case in live:
            shared.active.clear()
            try:
                left, right, case.letters = _sides(model, case, shared)
            except (NotUnderstood, OutOfRange) as error:
                case.problem = ("unread", str(error))
            except FreeIndex as error:
                case.problem = ("scope", str(error))
            except (TypeError, ValueError, ArithmeticError) as error:
                case.problem = ("unread", f"cannot be evaluated ({type(error).__name__})")
            except (IllShaped, DimensionMismatch) as error:
                case.problem = ("dimension", str(error))
            else:
                outputs.append(case)
                results.extend([left, right])
        return results

    import jax

    shapes = [(model.leaves[key].rows.value, model.leaves[key].cols.value) for key in keys]
    with enable_x64():
        traced = Program(jax.make_jaxpr(program)(*(np.ones(shape) for shape in shapes)), keys)
    for place, case in enumerate(outputs):
        case.program, case.place = traced, place
    model.points = []
    for draw in range(DRAWS):
        random = np.random.default_rng([seed, draw])
        points = [_draw(random, shape, positive) for shape in shapes]
        model.points.append(dict(zip(keys, points, strict=True)))
        traced.points.append(points)
        values = evaluate(traced.jaxpr, points)
        for place, case in enumerate(outputs):
            left, right = (np.asarray(v) for v in values[2 * place : 2 * place + 2])
            case.left.append(left)
            case.right.append(right)
            case.differences.append(_difference(left, right))


def judge_all(model: Model, cases: Sequence[Case], seed: int) -> None:
    """Judge all cases; what is not finite, or vanishes at one point, once more at positive points."""
    judge(model, cases, seed)
    odd = [case for case in cases if case.problem is None and any(d != d for d in case.differences)]
    split = [case for case in cases if case.problem is None and _vanishes_at_one_point(case)]
    again = [dataclasses.replace(case, left=[], right=[], differences=[]) for case in split]
    for case in odd:
        case.left, case.right, case.differences = [], [], []
    if odd or again:
        judge(model, [*odd, *again], seed, positive=True)
    for case, new in zip(split, again, strict=True):
        if new.holds is False:
            case.left, case.right, case.differences = new.left, new.right, new.differences
            case.program, case.place = new.program, new.place


def _vanishes_at_one_point(case: Case) -> bool:
    """Whether both sides are zero at one point, behind shut rectifiers, and differ at another."""
    differ = any(d >= DISAGREEMENT for d in case.differences)
    return differ and any(
        not np.any(x) and not np.any(y) for x, y in zip(case.left, case.right, strict=True)
    )


def prepared(model: Model, name: str, array: Any) -> Any:
    """A leaf that is a distribution sums to one; of a matrix each row does."""
    if name not in model.normalised:
        return array
    squares = array * array
    return squares / squares.sum(axis=-1 if min(array.shape) > 1 else None, keepdims=True)


def _draw(random: np.random.Generator, shape: tuple[int, ...], positive: bool) -> Any:
    if positive:
        return random.uniform(0.4, 1.6, shape)
    return random.normal(size=shape)


def _difference(left: Any, right: Any) -> float:
    """Return the largest difference relative to the largest entry; infinite where not finite."""
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
        return float("nan")
    scale = max(float(np.max(np.abs(left), initial=0)), float(np.max(np.abs(right), initial=0)))
    if scale == 0:
        return 0.0
    return float(np.max(np.abs(left - right), initial=0)) / scale
