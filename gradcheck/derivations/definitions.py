"""Definitions: by name and member, in force at a row, and what they rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.dims import Dim
from gradcheck.derivations.statements import Statement
from gradcheck.derivations.table import SymbolTable
from gradcheck.derivations.walks import (
    calls_of,
    derivatives_of,
    nodes_of,
    used_symbols,
)

__all__ = ["Claim", "Definition", "Definitions"]

LEAST_DEPTH = 3
"""Layers or steps that families are unrolled to: the first, a middle and the last one differ."""


@dataclass(frozen=True)
class Definition:
    """One definition.

    Attributes:
        number: its place among all definitions.
        row: the row that makes it (-1: inferred).
        name, pattern: the symbol and the family indices of its left side.
        letters: the component indices of its left side, in their order.
        body: the right side.
        inferred: whether no row says it.
    """

    number: int
    row: int
    name: str
    pattern: tuple[ex.Index, ...]
    letters: tuple[str, ...]
    body: ex.Expression
    inferred: bool = False


@dataclass
class Claim:
    """One thing to be judged: that two expressions are equal.

    Attributes:
        row: the row that claims it.
        left, right: the two sides.
        kind: "claim"; "redefinition" where `right` is another definition of `left`, which
            `earlier` defines; or "definition" or "display" (of the left side's own entries), of
            which only sizes are checked.
        previous: the side just before `right` in a chain.
    """

    row: int
    left: ex.Expression
    right: ex.Expression
    kind: str = "claim"
    earlier: Definition | None = None
    definition: Definition | None = None
    previous: ex.Expression | None = None


class Definitions:
    """Look definitions up, and what they reach."""

    def __init__(self, table: SymbolTable, statements: Sequence[Statement]) -> None:
        self.table = table
        self.statements = list(statements)
        self.definitions: list[Definition] = []
        self.by_name: dict[str, list[Definition]] = defaultdict(list)
        self.functions: dict[str, list[tuple[int, tuple[str, ...], ex.Expression]]] = defaultdict(
            list
        )
        self.scalar_functions: set[str] = set()
        self.declared: dict[str, list[Statement]] = defaultdict(list)
        self.claims: list[Claim] = []
        self.asides: list[Statement] = []
        self.meanings: dict[str, str] = {}
        self.normalised: set[str] = set(table.distributions)
        self.notes: list[str] = []
        self.orientation = "column"
        self.numerator_layout = False
        self.kinds: dict[str, str] = dict(table.kinds)
        self.spreads = False
        self.loose_products = False
        self.loose_rows: set[int] = set()
        self.depth = self._needed_depth()
        self.replaced: dict[int, ex.Expression] = {}
        self.banned: set[int] = set()
        self._in_force: dict[Any, Definition | None] = {}
        self._backward: dict[int, tuple[ex.Expression, bool]] = {}
        self.current: set[str] = set()
        self.conditions: dict[int, str] = {}
        self.loose_losses: set[str] = set()
        self.examples: Dim | None = None
        self.bare_first: set[str] = set()
        self.redefining: list[int] = []
        self.count_names: set[str] = set()
        self.member_counts: set[str] = set()
        self.stated: set[ex.Symbol] = set()
        self.divisors: dict[str, set[str]] = defaultdict(set)
        self.signatures: dict[int, str] = {}
        self.alternatives: dict[int, list[ex.Expression]] = defaultdict(list)

    def _needed_depth(self) -> int:
        deepest = LEAST_DEPTH
        for symbol in self._all_symbols():
            for index in symbol.family:
                if index.letter is None:
                    deepest = max(deepest, index.offset)
                else:
                    deepest = max(deepest, abs(index.offset) + 1)
        return min(deepest, 6)

    def _all_symbols(self) -> Iterable[ex.Symbol]:
        for statement in self.statements:
            for side in (statement.left, statement.right):
                if side is not None:
                    yield from ex.symbols(side)

    def _define(
        self, row: int, symbol: ex.Symbol, body: ex.Expression, inferred: bool = False
    ) -> Definition:
        letters = tuple(index.letter for index in symbol.components if index.letter)
        made = Definition(
            len(self.definitions), row, symbol.name, symbol.family, letters, body, inferred
        )
        self.definitions.append(made)
        self.by_name[symbol.name].append(made)
        return made

    def definition(self, name: str, member: tuple[int, ...], row: int) -> Definition | None:
        """Return the definition in force at a row: the last above it, or the first below."""
        meaning = frozenset(self.banned), frozenset(self.current)
        key = (name, member, row, meaning, len(self.definitions))
        if key not in self._in_force:
            self._in_force[key] = self._find_definition(name, member, row)
        return self._in_force[key]

    def _find_definition(self, name: str, member: tuple[int, ...], row: int) -> Definition | None:
        candidates = [
            d
            for d in self.by_name.get(name, ())
            if d.number not in self.banned and self._applies(d, member)
        ]
        above = [d for d in candidates if d.row <= row]
        if above:
            stated = [d for d in above if not d.inferred]
            return (stated or above)[-1]
        for statement in self.declared.get(name, ()):
            assert isinstance(statement.left, ex.Symbol)
            if statement.row <= row and self.bind(statement.left.family, member) is not None:
                return None
        return candidates[0] if candidates else None

    def _applies(self, definition: Definition, member: tuple[int, ...]) -> bool:
        family = self.bind(definition.pattern, member)
        if family is None:
            return False
        if not family:
            return True
        if any(letter in self.current and value != self.depth for letter, value in family.items()):
            return False
        own = {i.letter for symbol in used_symbols(definition.body) for i in symbol.family}
        if any(
            len(p) == len(definition.pattern) and d is not definition
            for d in self.by_name[definition.name]
            for p in (d.pattern,)
        ) and (
            not own
            and ex.symbols(definition.body)
            and any(v != self.depth for v in family.values())
        ):
            return False
        for symbol in used_symbols(definition.body):
            for index in symbol.family:
                if (
                    index.letter in family
                    and not 0 <= family[index.letter] + index.offset <= self.depth
                ):
                    return False
        return True

    def bind(self, pattern: Sequence[ex.Index], member: Sequence[int]) -> dict[str, int] | None:
        """Return what each family letter must be for a pattern to name a member, or None."""
        if len(pattern) != len(member):
            return None
        family: dict[str, int] = {}
        for index, value in zip(pattern, member, strict=True):
            if index.letter is None:
                if index.offset != value:
                    return None
            elif index.letter in self.table.last_letters:
                if self.depth + index.offset != value:
                    return None
            elif (
                family.setdefault(index.letter, value - index.offset) != value - index.offset
                or family[index.letter] < 0
                or family[index.letter] > self.depth
            ):
                return None
        return family

    def last_member(self, name: str, row: int) -> tuple[str, tuple[int, ...]]:
        """Return the member that a bare name stands for where it is a family elsewhere: the last."""
        if (
            self.definition(name, (), row) is not None
            or name not in self.table.layered | self.table.counted
        ):
            return name, ()
        if name in self.bare_first:
            return name, ()
        if any(d.pattern for d in self.by_name.get(name, ())):
            return name, (self.depth,)
        return name, ()

    def function(self, name: str, row: int) -> tuple[tuple[str, ...], ex.Expression, int] | None:
        """Return the arguments and the body of a function that the document defines."""
        found = self.functions.get(name)
        if not found:
            return None
        above = [f for f in found if f[0] <= row] or found[:1]
        return above[-1][1], above[-1][2], above[-1][0]

    def epoch(self, row: int) -> int:
        """Return the last row up to this one that redefines anything: between two such rows all
        symbols keep their meaning."""
        return max((r for r in self.redefining if r <= row), default=-1)

    def names_below(self, name: str) -> set[str]:
        """Return every name that the definitions of a name reach."""
        return set().union(*(self._reached_by(d.body) for d in self.by_name[name]))

    def _reached_by(self, body: ex.Expression) -> set[str]:
        seen: set[str] = set()
        stack = [body]
        while stack:
            for symbol in ex.symbols(stack.pop()):
                if symbol.name not in seen:
                    seen.add(symbol.name)
                    stack.extend(d.body for d in self.by_name[symbol.name])
        return seen

    def is_backward(self, body: ex.Expression) -> bool:
        """Return whether an expression rests on a derivative: no row of the forward pass."""
        key = id(body)
        if key not in self._backward:
            self._backward[key] = (body, self._is_backward(body, set()))
        return self._backward[key][1]

    def _is_backward(self, body: ex.Expression, seen: set[str]) -> bool:
        if any(True for _ in derivatives_of(body)) or any(call.primes for call in calls_of(body)):
            return True
        for symbol in ex.symbols(body):
            if symbol.name.startswith("nabla "):
                return True
            if symbol.name not in seen:
                seen.add(symbol.name)
                if any(self._is_backward(d.body, seen) for d in self.by_name[symbol.name]):
                    return True
        return False

    def forward_uses(self, name: str) -> int:
        """Return on how many right sides of the forward pass a symbol stands, displays aside."""
        sides = [s.right for s in self.statements if s.kind == "equation" and s.right is not None]
        return sum(
            any(symbol.name == name for symbol in ex.symbols(side)) and not self.is_backward(side)
            for side in sides
            if not isinstance(side, ex.Arrayed)
        )

    def leaves_below(self, body: ex.Expression) -> set[str]:
        """Return the names of the symbols without definition that an expression rests on."""
        names = {s.name for s in ex.symbols(body)} | self._reached_by(body)
        return {name for name in names if not self.by_name[name] and name not in self.count_names}

    def sums_samples(self, body: ex.Expression) -> bool:
        """Return whether an expression sums over examples."""
        return any(
            isinstance(node, ex.SumOver) and bool(set(node.letters) & self.table.samples)
            for node in nodes_of(body)
        )

    def note(self, sentence: str) -> None:
        """Keep a sentence about what was inferred."""
        if sentence not in self.notes:
            self.notes.append(sentence)
