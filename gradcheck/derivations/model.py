"""What a document defines: its definitions by name and member, its leaves, its losses.

A *definition* is the first equation for a symbol, and every later one that has it alone on the left;
a *leaf* is a symbol that is used and never defined. Each symbol means what the last definition above
the row says, or, where there is none above, the first below.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Core
from gradcheck.derivations.definitions import Claim, Definition
from gradcheck.derivations.dims import ONE, DimensionMismatch
from gradcheck.derivations.interpreter import Frame, IllShaped, Interpreter, OutOfRange
from gradcheck.derivations.leaves import Leaves
from gradcheck.derivations.statements import Statement
from gradcheck.derivations.table import SymbolTable
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Value

__all__ = ["MISFITS", "Claim", "Definition", "Model"]


MISFITS = (NotUnderstood, IllShaped, OutOfRange, DimensionMismatch)
"""What a walk for sizes may meet; later rows judge it."""


class Model(Leaves):
    """Definitions, leaves and claims of one document."""

    def __init__(self, table: SymbolTable, statements: Sequence[Statement]) -> None:
        super().__init__(table, statements)
        self._collect()
        self.reset()

    def settle(self) -> None:
        """Let declarations and inferred definitions identify sizes, as forward rows do."""
        walker = Interpreter(self, numeric=False)
        for definition in self.definitions:
            if definition.inferred and definition.name not in self.scalar_functions:
                member = tuple(
                    self.depth if index.letter else index.offset for index in definition.pattern
                )
                with suppress(*MISFITS), self.dims.attempt():
                    self.define(definition, member, walker)
        for statement in [s for found in self.declared.values() for s in found]:
            assert isinstance(statement.left, ex.Symbol)
            if any(self.is_backward(d.body) for d in self.by_name[statement.left.name]):
                continue
            for value in range(self.depth + 1) if statement.left.family else (0,):
                letters = {i.letter for i in statement.left.family if i.letter}
                family = dict.fromkeys(letters, value)
                with suppress(*MISFITS), self.dims.attempt():
                    self._declare(statement, family, walker)

    def _declare(self, statement: Statement, family: dict[str, int], walker: Core) -> None:
        assert isinstance(statement.left, ex.Symbol)
        if len(statement.shape) not in (1, 2):
            return
        symbol = ex.Symbol(statement.left.name, statement.left.family)
        dims = [self._declared_dim(part, family, symbol.name) for part in statement.shape]
        value = walker.whole(symbol, Frame(statement.row, family))
        if len(dims) == 2:
            self.dims.unify(value.rows, dims[0])
            self.dims.unify(value.cols, dims[1])
        elif value.is_column:
            self.dims.unify(value.rows, dims[0])
        elif value.is_row:
            self.dims.unify(value.cols, dims[0])

    def define(
        self,
        definition: Definition,
        member: tuple[int, ...],
        interpreter: Core,
        row: int | None = None,
    ) -> Value:
        """Return the array that a definition gives a member.

        Its symbols mean what they mean at the row that asks; at its own where none is given.
        """
        family = self.bind(definition.pattern, member)
        assert family is not None
        place = definition.row if row is None else row
        frame = Frame(place, family, free=frozenset(definition.letters))
        body = self.replaced.get(definition.number, self._spelled_for(definition, interpreter))
        if isinstance(body, ex.Call) and body.function.name == "given":
            return self._given(body, frame, interpreter)
        value = interpreter.value(body, frame)
        if not definition.letters:
            if value.axes:
                raise NotUnderstood(f"{definition.name} is defined with a free index")
            return value
        return self.as_matrix(value, definition, interpreter)

    def _spelled_for(self, definition: Definition, interpreter: Core) -> ex.Expression:
        """Return the side of a chain `B = softmax(W) = B_1 B_4` that shows what is varied."""
        varied = interpreter.overrides
        if not varied or not self.alternatives.get(definition.number):
            return definition.body

        def shows(body: ex.Expression) -> bool:
            near = [body, *(d.body for s in ex.symbols(body) for d in self.by_name[s.name])]
            near += [d.body for b in near[1:] for s in ex.symbols(b) for d in self.by_name[s.name]]
            return any(
                (s.name, tuple(i.offset for i in s.family)) in varied
                for one in near
                for s in ex.symbols(one)
                if all(i.letter is None for i in s.family)
            )

        if shows(definition.body):
            return definition.body
        for body in reversed(self.alternatives[definition.number]):
            if shows(body):
                return body
        return definition.body

    def as_matrix(self, value: Value, definition: Definition, interpreter: Core) -> Value:
        """Return the array whose components a definition gives."""
        letters = definition.letters
        stacked = self.table.stacked and tuple(value.letters) == letters and len(letters) == 1
        if stacked and (value.is_column or value.is_row) and not value.is_number:
            n, d = dict(value.axes)[letters[0]], value.rows if value.is_column else value.cols
            return interpreter.make((), n, d, lambda: value.data.reshape(n.value, d.value))
        if not value.is_number and set(letters) & set(value.letters):
            raise IllShaped(f"a component of {definition.name} is {value.spelled()}, not a number")
        missing = [letter for letter in letters if letter not in value.letters]
        extra = [letter for letter in value.letters if letter not in letters]
        if missing or extra or len(set(letters)) < len(letters):
            raise NotUnderstood(f"the indices of {definition.name} differ on its two sides")
        dims = dict(value.axes)
        if len(letters) == 1:
            n = dims[letters[0]]
            if self.kind(definition.name, definition_member(definition)) == "row":
                return interpreter.make((), ONE, n, lambda: value.data.reshape(1, n.value))
            return interpreter.make((), n, ONE, lambda: value.data.reshape(n.value, 1))
        if len(letters) == 2:
            order = [value.letters.index(letter) for letter in letters]
            return interpreter.make(
                (), dims[letters[0]], dims[letters[1]],
                lambda: interpreter.xp.transpose(value.data[..., 0, 0], order),
            )  # fmt: skip
        raise NotUnderstood("more than two component indices are not read")

    def _given(self, body: ex.Call, frame: Frame, interpreter: Core) -> Value:
        """A loss of which one gradient is given: that gradient, held fixed, times its variable."""
        gradient, variable = body.arguments
        fixed = (interpreter.base or interpreter).value(gradient, frame)
        value = interpreter.value(variable, frame)
        share = 1
        if self.examples is not None and self.examples.root() in (
            value.rows.root(),
            value.cols.root(),
        ):
            share = self.examples.value if interpreter.numeric else 1
        try:
            interpreter.unify(fixed.rows, value.rows)
            interpreter.unify(fixed.cols, value.cols)
        except DimensionMismatch:
            raise IllShaped(
                f"the gradient given is {fixed.spelled()}, its variable {value.spelled()}"
            ) from None
        return interpreter.make(
            (), ONE, ONE, lambda: interpreter.xp.sum(fixed.data * value.data).reshape(1, 1) / share
        )

    def size_of(self, symbol: ex.Symbol, family: dict[str, int], row: int) -> str:
        """Return the sizes of a symbol as numbers, `2 × 3`, or "" where they are not known."""
        interpreter = Interpreter(self, numeric=False)
        try:
            value = interpreter.whole(
                ex.Symbol(symbol.name, symbol.family), Frame(row, dict(family))
            )
            return f"{value.rows.value} × {value.cols.value}"
        except (NotUnderstood, IllShaped, OutOfRange, DimensionMismatch, AssertionError):
            return ""


def definition_member(definition: Definition) -> tuple[int, ...]:
    """Return a stand-in member that says whether a definition has family indices."""
    return (0,) * len(definition.pattern)
