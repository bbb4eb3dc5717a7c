"""What a document defines: its definitions by name and member, its leaves, its losses.

A *definition* is the first equation for a symbol, and every later one that has it alone on the left;
a *leaf* is a symbol that is used and never defined. Each symbol means what the last definition above
the row says, or, where there is none above, the first below.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch, Dims
from gradcheck.derivations.interpreter import Frame, IllShaped, Interpreter, OutOfRange
from gradcheck.derivations.resolve import NotUnderstood
from gradcheck.derivations.statements import Statement
from gradcheck.derivations.symbols import SymbolTable
from gradcheck.derivations.values import Value

__all__ = ["Claim", "Definition", "Model"]

LEAST_DEPTH = 3
"""Layers or steps that families are unrolled to: the first, a middle and the last one differ."""

_GREEK_SCALARS = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "epsilon",
        "eta",
        "lambda",
        "theta",
        "mu",
        "sigma",
        "rho",
        "tau",
        "kappa",
        "nu",
    ]
)

LeafKey = tuple[str, tuple[int, ...], int]


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
            `earlier` defines; or "definition", of which only sizes are checked.
        previous: the side just before `right` in a chain.
    """

    row: int
    left: ex.Expression
    right: ex.Expression
    kind: str = "claim"
    earlier: Definition | None = None
    definition: Definition | None = None
    previous: ex.Expression | None = None


class Model:
    """Definitions, leaves and claims of one document."""

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
        self.normalised: set[str] = set()
        self.notes: list[str] = []
        self.orientation = "column"
        self.kinds: dict[str, str] = dict(table.kinds)
        self.spreads = False
        self.loose_products = False
        self.depth = self._needed_depth()
        self.replaced: dict[int, ex.Expression] = {}
        self.banned: set[int] = set()
        self._in_force: dict[Any, Definition | None] = {}
        self._backward: dict[int, tuple[ex.Expression, bool]] = {}
        self.signatures: dict[int, str] = {}
        self.alternatives: dict[int, list[ex.Expression]] = defaultdict(list)
        self._collect()
        self.reset()

    # ---- definitions and claims ------------------------------------------------------------------

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

    def _collect(self) -> None:
        seen: Counter[str] = Counter()
        chains: set[int] = set()
        self.stated = {
            s.left
            for s in self.statements
            if s.kind == "equation" and isinstance(s.left, ex.Symbol)
        }
        for statement in self.statements:
            left, right = statement.left, statement.right
            first = statement.chain not in chains
            if statement.kind == "declaration":
                if isinstance(left, ex.Symbol) and not left.components:
                    self.declared[left.name].append(statement)
                self.asides.append(statement)
            elif statement.kind == "equation":
                assert left is not None
                assert right is not None
                chains.add(statement.chain)
                self._equation(statement, left, right, first, seen)
                for symbol in (*ex.symbols(left), *ex.symbols(right)):
                    seen[_key(symbol)] += 1
            else:
                self.asides.append(statement)
        self.count_names = {
            node.last.name
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in _nodes(side)
            if isinstance(node, ex.SumOver) and isinstance(node.last, ex.Symbol)
        }
        self._sample_losses()
        self._redefining = sorted(
            {d.row for d in self.definitions} | {s.row for f in self.declared.values() for s in f}
        )
        self.current = self._current_letters()
        self._find_divisors()
        self.bare_first = self._bare_first()
        self.loose_products = not any(
            isinstance(node, ex.Product) and node.sign in ("circ", "odot")
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in _nodes(side)
        )
        self._settle_losses()

    def _equation(
        self,
        statement: Statement,
        left: ex.Expression,
        right: ex.Expression,
        first: bool,
        seen: Counter[str],
    ) -> None:
        row = statement.row
        if isinstance(left, ex.Call) and self._defines_function(left):
            names = tuple(a.name for a in left.arguments if isinstance(a, ex.Symbol))
            if right in left.arguments:
                return
            if first and not self.functions[left.function.name]:
                self.functions[left.function.name].append((row, names, right))
                self.claims.append(Claim(row, left, right, "function"))
            else:
                self.claims.append(Claim(row, left, right, "claim", previous=statement.previous))
            return
        if isinstance(left, ex.Power) and isinstance(left.base, ex.Symbol) and first:
            if left.exponent == ex.Number(Fraction(2)) and not self.by_name[left.base.name]:
                made = self._define(row, left.base, ex.Rooted(right))
                self.claims.append(
                    Claim(row, left.base, ex.Rooted(right), "definition", definition=made)
                )
                return
        new = isinstance(right, ex.Symbol) and not self._is_stated(right) and not seen[_key(right)]
        if new and isinstance(right, ex.Symbol) and any(i.letter for i in right.family):
            new = not self.by_name[right.name]
        if new and not isinstance(left, ex.Symbol) and isinstance(right, ex.Symbol):
            made = self._define(row, right, left)
            self.claims.append(Claim(row, right, left, "definition", definition=made))
            return
        if (
            isinstance(left, ex.Symbol)
            and isinstance(right, ex.Call)
            and right.function.name == left.name
        ):
            self.scalar_functions.add(left.name)
        if statement.previous is not None or not first:
            self._match(statement.previous or left, right, row, seen)
        if isinstance(left, ex.Symbol) and not first:
            own = [d for d in self.by_name[left.name] if d.pattern == left.family]
            if own:
                self.alternatives[own[-1].number].append(right)
        if not isinstance(left, ex.Symbol) or not first:
            self.claims.append(Claim(row, left, right, "claim", previous=statement.previous))
            return
        earlier = [
            d
            for d in self.by_name[left.name]
            if _overlap(d.pattern, left.family)
            and self.signatures.get(d.number, statement.signature) == statement.signature
        ]
        made = self._define(row, left, right)
        if statement.signature:
            self.signatures[made.number] = statement.signature
        self.claims.append(Claim(row, left, right, "definition", definition=made))
        for old in earlier:
            if old.pattern == left.family and old.letters == made.letters:
                self._match(right, old.body, old.row, Counter(), strict=True)
                self._match(old.body, right, row, Counter(), strict=True)
        if earlier:
            self.claims.append(Claim(row, left, right, "redefinition", earlier[-1], made))

    def _match(
        self,
        known: ex.Expression,
        other: ex.Expression,
        row: int,
        seen: Counter[str],
        strict: bool = False,
    ) -> None:
        """Where a side repeats the one before but for a new symbol, the symbol names the rest."""
        found: dict[ex.Symbol, ex.Expression] = {}
        if isinstance(other, ex.Symbol) or not _matches(known, other, found):
            return
        for symbol, meaning in found.items():
            for other_symbol, other_meaning in found.items():
                if other_symbol != symbol and meaning != other_meaning:
                    meaning = _substituted(meaning, other_meaning, other_symbol)
            if symbol in ex.symbols(meaning) or (
                strict and not symbol.family and "[" not in symbol.name
            ):
                continue
            if self._is_stated(symbol) or seen[_key(symbol)] or symbol.components:
                continue
            own = [d for d in self.by_name[symbol.name] if _overlap(d.pattern, symbol.family)]
            if not isinstance(meaning, ex.Symbol) and not own:
                self._define(row, symbol, meaning)

    def _is_stated(self, symbol: ex.Symbol) -> bool:
        """Whether some row of the document has a symbol, or its family, alone on the left."""
        return any(
            left.name == symbol.name and _overlap(left.family, symbol.family)
            for left in self.stated
        )

    def _defines_function(self, left: ex.Call) -> bool:
        plain = all(
            isinstance(a, ex.Symbol) and not a.family and not a.components for a in left.arguments
        )
        return plain and not left.primes and not left.function.family

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

    def _current_letters(self) -> set[str]:
        """Return step letters that stand for one current step, as t in `z = W h_t`.

        A step before the current one is then given, not unrolled.
        """
        found: set[str] = set()
        for definition in self.definitions:
            own = {index.letter for index in definition.pattern}
            if own or self.is_backward(definition.body):
                continue
            for symbol in _used(definition.body):
                found |= {
                    i.letter
                    for i in symbol.family
                    if i.letter and i.letter not in self.table.last_letters
                }
        return found & {"t"}

    def _sample_losses(self) -> None:
        """`C_x` without a definition is the C that was defined before a sum over x came."""
        for name in self.table.per_sample:
            for letter in self.table.samples:
                label = f"{name}[{letter}]"
                if self.by_name.get(label) or not self.by_name.get(name):
                    continue
                plain = [
                    d
                    for d in self.by_name[name]
                    if not any(
                        isinstance(n, ex.SumOver) and letter in n.letters for n in _nodes(d.body)
                    )
                ]
                used = any(s.name == label for d in self.definitions for s in ex.symbols(d.body))
                if plain and used:
                    self._define(-1, ex.Symbol(label), plain[0].body, inferred=True)
                    self.note(f"{name}_{letter} is read as the {name} of one example")

    def _bare_first(self) -> set[str]:
        """Return names that stand without layer index before they stand with one: leaves of their own."""
        met: set[str] = set()
        bare: set[str] = set()
        for claim in self.claims:
            for side in (claim.left, claim.right):
                for symbol in ex.symbols(side):
                    if symbol.family:
                        met.add(symbol.name)
                    elif symbol.name not in met:
                        bare.add(symbol.name)
        return bare

    def _find_divisors(self) -> None:
        """The n of `1/n sum_x` is the number of the examples x."""
        self.divisors: dict[str, set[str]] = defaultdict(set)
        for claim in self.claims:
            for node in (*_nodes(claim.left), *_nodes(claim.right)):
                if isinstance(node, ex.Product) and isinstance(node.left, ex.Divided):
                    right = node.right
                    if isinstance(right, ex.Product):
                        right = right.left
                    if isinstance(right, ex.SumOver) and right.last is None:
                        for letter in right.letters:
                            for symbol in ex.symbols(node.left.below):
                                self.divisors[letter].add(symbol.name)

    # ---- losses ----------------------------------------------------------------------------------

    def _settle_losses(self) -> None:
        """Say what each differentiated quantity is that no row defines."""
        derivatives = [
            (claim, node)
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in _derivatives(side)
        ]
        numerators: dict[str, set[str]] = defaultdict(set)
        for _, node in derivatives:
            by = node.by
            while isinstance(by, ex.Transposed | ex.Picked):
                by = by.body
            if isinstance(node.of, ex.Symbol) and isinstance(by, ex.Symbol):
                numerators[node.of.name].add(by.name)
        for name, by_names in numerators.items():
            if (
                name in self.table.functions
                or "[" in name
                or name in by_names
                or self._is_used(name)
            ):
                continue
            if self.by_name[name]:
                self._alias_output(name, by_names)
            elif not self._loss_by_statement(name) and not self._loss_by_gradient(name):
                self._arbitrary_loss(name, by_names)

    def _is_used(self, name: str) -> bool:
        """Whether an undefined symbol stands anywhere else than above a derivative."""
        if self.by_name[name]:
            return False
        return any(
            symbol.name == name
            for claim in self.claims
            for side in (claim.left, claim.right)
            for symbol in _plain_symbols(side)
        )

    def _loss_by_statement(self, name: str) -> bool:
        """`dJ/dW = d(...)/dW` says what J is."""
        for claim in self.claims:
            left, right = claim.left, claim.right
            if isinstance(left, ex.Derivative) and isinstance(right, ex.Derivative):
                same = left.of == ex.Symbol(name) and left.by == right.by
                if same and not isinstance(right.of, ex.Symbol):
                    self._define(-1, ex.Symbol(name), right.of, inferred=True)
                    self.note(f"{name} is read as what its first derivative differentiates")
                    return True
        return False

    def _loss_by_gradient(self, name: str) -> bool:
        """A first gradient that is stated and not derived is taken as given."""
        for claim in self.claims:
            left = claim.left
            stated = (
                isinstance(left, ex.Derivative)
                and left.of == ex.Symbol(name)
                and isinstance(left.by, ex.Symbol)
                and not left.by.components
            )
            if not stated or claim.kind != "claim":
                continue
            assert isinstance(left, ex.Derivative)
            assert isinstance(left.by, ex.Symbol)
            if self._mentions_derivative(claim.right, set()) or not self.by_name[left.by.name]:
                continue
            given = ex.Call(ex.Symbol("given"), 0, (claim.right, left.by))
            self._define(-1, ex.Symbol(name), given, inferred=True)
            claim.kind = "given"
            self.note(f"{name} is not defined; its first gradient is taken as given")
            return True
        return False

    def _mentions_derivative(self, body: ex.Expression, seen: set[str]) -> bool:
        if any(True for _ in _derivatives(body)):
            return True
        for symbol in ex.symbols(body):
            if symbol.name.startswith("nabla "):
                return True
            if symbol.name in seen:
                continue
            seen.add(symbol.name)
            if any(self._mentions_derivative(d.body, seen) for d in self.by_name[symbol.name]):
                return True
        return False

    def _arbitrary_loss(self, name: str, by_names: set[str]) -> None:
        outputs = self._outputs(by_names) or sorted(by_names - {name})
        outputs = [output for output in outputs if output in by_names] or outputs
        if not outputs:
            return
        arguments = tuple(self._last(output) for output in outputs)
        self.scalar_functions.add(name)
        self._define(-1, ex.Symbol(name), ex.Call(ex.Symbol(name), 0, arguments), inferred=True)
        spelled = ", ".join(str(argument) for argument in arguments)
        self.note(f"{name} is not defined; it is read as any smooth function of {spelled}")

    def _alias_output(self, loss: str, by_names: set[str]) -> None:
        """A prediction in the loss that no row connects with the network is the network's output."""
        reached: set[str] = set()
        for definition in self.by_name[loss]:
            below = self._reached_by(definition.body)
            reached |= set() if below & by_names else below
        if not reached:
            return
        outputs = self._outputs(by_names - {loss}, without=loss)
        rows = {d.row for d in self.by_name[loss]}
        elsewhere = {
            symbol.name
            for s in self.statements
            if s.row not in rows
            for side in (s.left, s.right)
            if side is not None
            for symbol in ex.symbols(side)
        }
        leaves = [n for n in sorted(reached) if not self.by_name[n] and n not in by_names]
        free = [n for n in leaves if n.startswith("hat ")] or [
            n for n in leaves if n not in elsewhere
        ]
        others = set(leaves) - set(free)
        outputs = [output for output in outputs if not self._below(output) & others]
        if len(outputs) == 1 and len(free) == 1:
            output = self._last(outputs[0])
            self._define(-1, ex.Symbol(free[0]), output, inferred=True)
            self.note(
                f"{free[0]} is read as {output}, the output, because {loss} depends on no weight else"
            )

    def _below(self, name: str) -> set[str]:
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

    def _outputs(self, by_names: set[str], without: str = "") -> list[str]:
        """Return the forward values that depend on the given names and that nothing else uses."""
        forward = [
            d
            for d in self.definitions
            if not d.inferred
            and d.name != without
            and not any(self.is_backward(other.body) for other in self.by_name[d.name])
        ]
        names = {d.name for d in forward}
        depending = {n for n in names if n in by_names or self._below(n) & by_names}
        used = {
            symbol.name
            for d in forward
            if d.name in depending
            for symbol in ex.symbols(d.body)
            if symbol.name != d.name
            and not any(index.letter and index.offset < 0 for index in symbol.family)
            and not (
                symbol.family
                and symbol.family[0].letter is None
                and symbol.family[0].offset < self.depth
            )
        }
        return sorted(depending - used)

    def is_backward(self, body: ex.Expression) -> bool:
        """Return whether an expression rests on a derivative: no row of the forward pass."""
        key = id(body)
        if key not in self._backward:
            self._backward[key] = (body, self._is_backward(body, set()))
        return self._backward[key][1]

    def _is_backward(self, body: ex.Expression, seen: set[str]) -> bool:
        if any(True for _ in _derivatives(body)) or any(call.primes for call in _calls(body)):
            return True
        for symbol in ex.symbols(body):
            if symbol.name.startswith("nabla "):
                return True
            if symbol.name not in seen:
                seen.add(symbol.name)
                if any(self._is_backward(d.body, seen) for d in self.by_name[symbol.name]):
                    return True
        return False

    def _last(self, name: str) -> ex.Symbol:
        patterns = [d.pattern for d in self.by_name[name] if d.pattern]
        if not patterns or any(not d.pattern for d in self.by_name[name]):
            return ex.Symbol(name)
        return ex.Symbol(name, (ex.Index(None, self._highest(name)),) * len(patterns[0]))

    def _highest(self, name: str) -> int:
        for member in range(self.depth, 0, -1):
            if self.definition(name, (member,), 10**9) is not None:
                return member
        return self.depth

    # ---- looking up ------------------------------------------------------------------------------

    def definition(self, name: str, member: tuple[int, ...], row: int) -> Definition | None:
        """Return the definition in force at a row: the last above it, or the first below."""
        key = (name, member, row, frozenset(self.banned), len(self.definitions))
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
        own = {i.letter for symbol in _used(definition.body) for i in symbol.family}
        if any(
            len(p) == len(definition.pattern) and d is not definition
            for d in self.by_name[definition.name]
            for p in (d.pattern,)
        ):
            if (
                not own
                and ex.symbols(definition.body)
                and any(v != self.depth for v in family.values())
            ):
                return False
        for symbol in _used(definition.body):
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
        return max((r for r in self._redefining if r <= row), default=-1)

    def define(
        self,
        definition: Definition,
        member: tuple[int, ...],
        interpreter: Interpreter,
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

    def _spelled_for(self, definition: Definition, interpreter: Interpreter) -> ex.Expression:
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

    def as_matrix(self, value: Value, definition: Definition, interpreter: Interpreter) -> Value:
        """Return the array whose components a definition gives."""
        letters = definition.letters
        if not value.is_number:
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

    def _given(self, body: ex.Call, frame: Frame, interpreter: Interpreter) -> Value:
        """A loss of which one gradient is given: that gradient, held fixed, times its variable."""
        gradient, variable = body.arguments
        fixed = (interpreter.base or interpreter).value(gradient, frame)
        value = interpreter.value(variable, frame)
        try:
            interpreter.unify(fixed.rows, value.rows)
            interpreter.unify(fixed.cols, value.cols)
        except DimensionMismatch:
            raise IllShaped(
                f"the gradient given is {fixed.spelled()}, its variable {value.spelled()}"
            ) from None
        return interpreter.make(
            (), ONE, ONE, lambda: interpreter.xp.sum(fixed.data * value.data).reshape(1, 1)
        )

    # ---- leaves ------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all sizes, to infer them anew."""
        self.dims = Dims()
        self.leaves: dict[LeafKey, Value] = {}
        self.numbers: dict[LeafKey, Any] = {}
        self.points: list[dict[LeafKey, Any]] = []
        self.counts: dict[tuple[str, tuple[int, ...]], list[Dim]] = defaultdict(list)
        self.count_dims: dict[tuple[str, tuple[int, ...]], Dim] = {}
        self._fitting: dict[Any, tuple[Any, Dim]] = {}
        self._stacked: dict[tuple[str, ...], tuple[tuple[Dim, ...], Dim]] = {}
        self._samples: dict[str, Dim] = {}

    def settle(self) -> None:
        """Let declarations and inferred definitions identify sizes, as forward rows do."""
        walker = Interpreter(self, numeric=False)
        for definition in self.definitions:
            if definition.inferred and definition.name not in self.scalar_functions:
                members = [(self.depth,) * len(definition.pattern)]
                for member in members:
                    with suppress(NotUnderstood, IllShaped, OutOfRange, DimensionMismatch):
                        with self.dims.attempt():
                            self.define(definition, member, walker)
        for statement in [s for found in self.declared.values() for s in found]:
            assert isinstance(statement.left, ex.Symbol)
            if any(self.is_backward(d.body) for d in self.by_name[statement.left.name]):
                continue
            for value in range(self.depth + 1) if statement.left.family else (0,):
                letters = {i.letter for i in statement.left.family if i.letter}
                family = dict.fromkeys(letters, value)
                with suppress(NotUnderstood, IllShaped, OutOfRange, DimensionMismatch):
                    with self.dims.attempt():
                        self._declare(statement, family, walker)

    def _declare(self, statement: Statement, family: dict[str, int], walker: Interpreter) -> None:
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

    def kind(self, name: str, member: tuple[int, ...] = ()) -> str:
        """Return what a leaf is: "scalar", "column", "row" or "matrix"."""
        named = self.kinds.get(f"{name}^" if member else name, self.table.kinds.get(name))
        if named is not None:
            return named
        base = name.split("[")[0].rstrip("'*").split(" ")[-1]
        if "[" in name and base in ("d", "n", "m", "N", "M", "D"):
            return "scalar"
        for shown in (name, base):
            ranks = self.table.ranks.get((shown, bool(member)))
            if ranks:
                return "matrix" if max(ranks) == 2 else self.orientation
        if name in self.count_names or any(key[0] == name for key in self.counts):
            return "scalar"
        if len(base) > 1 and base[0].isupper():
            return "matrix"
        if len(base) > 1:
            return "scalar" if base in _GREEK_SCALARS else self.orientation
        if name.startswith(("cal ", "bb ")) or name == "N":
            return "scalar"
        if base.isupper():
            return "matrix"
        return "scalar" if base in ("c", "d", "e", "m", "n") else self.orientation

    def leaf(self, name: str, member: tuple[int, ...], interpreter: Interpreter) -> Value:
        """Return the value of a symbol that no row defines."""
        if (name, member) in self.counts and self.kind(name, member) == "scalar":
            counted = self.counts[name, member]
            if any(name in found for found in self.divisors.values()):
                examples = [dim for dim in counted if dim in self._samples.values()]
                counted = examples or counted
            roots = {dim.root() for dim in counted}
            if len(roots) > 1:
                raise NotUnderstood(f"{name} counts more than one thing")
            (dim,) = roots
            return interpreter.make(
                (), ONE, ONE, lambda: interpreter.xp.full((1, 1), float(dim.value))
            )
        if (name, member) in self.count_dims:
            dim = self.count_dims[name, member]
            return interpreter.make(
                (), ONE, ONE, lambda: interpreter.xp.full((1, 1), float(dim.value))
            )
        key = (name, member, 0)
        if key not in self.leaves:
            if interpreter.numeric:
                raise NotUnderstood(f"the size of {name} is not known")
            self.leaves[key] = self._new_leaf(name, member)
        return self._filled(key, interpreter)

    def _filled(self, key: LeafKey, interpreter: Interpreter) -> Value:
        value = self.leaves[key]
        if not interpreter.numeric:
            return value
        return Value(value.axes, value.rows, value.cols, self.numbers[key])

    def _new_leaf(self, name: str, member: tuple[int, ...]) -> Value:
        spelled = f"{name}_{','.join(map(str, member))}" if member else name
        declared = self._declared_shape(name, member)
        if declared is not None:
            return Value((), *declared)
        kind = self.kind(name, member)
        dims = self.dims
        rows = ONE if kind in ("scalar", "row") else dims.fresh(f"rows({spelled})")
        cols = ONE if kind in ("scalar", "column") else dims.fresh(f"columns({spelled})")
        return Value((), rows, cols)

    def _declared_shape(self, name: str, member: tuple[int, ...]) -> tuple[Dim, Dim] | None:
        for statement in self.declared.get(name, ()):
            assert isinstance(statement.left, ex.Symbol)
            family = self.bind(statement.left.family, member)
            if family is None or len(statement.shape) > 2:
                continue
            dims = [self._declared_dim(part, family, name) for part in statement.shape]
            if not dims:
                return (ONE, ONE)
            if len(dims) == 1:
                return (ONE, dims[0]) if self.orientation == "row" else (dims[0], ONE)
            return (dims[0], dims[1])
        return None

    def _declared_dim(
        self, part: ex.Expression | int | None, family: dict[str, int], name: str
    ) -> Dim:
        if part == 1:
            return ONE
        if isinstance(part, ex.Symbol):
            member = []
            for index in part.family:
                letter = index.letter
                if letter is None:
                    member.append(index.offset)
                elif letter in family:
                    member.append(family[letter] + index.offset)
                else:
                    member.append(self.depth + index.offset)
            key = (part.name, tuple(member))
            if key not in self.count_dims:
                spelled = f"{part.name}_{','.join(map(str, member))}" if member else part.name
                self.count_dims[key] = self.dims.fresh(spelled)
            return self.count_dims[key]
        return self.dims.fresh(f"a size of {name}")

    def parameters(self, name: str, member: tuple[int, ...]) -> list[Any]:
        """Return the four parameters of the generic function of a name (numbers 1 x 1)."""
        out = []
        for letter in "abcd":
            key = (f"{name}:{letter}", member, 0)
            self.leaves.setdefault(key, Value((), ONE, ONE))
            out.append(self.numbers.get(key))
        return out

    def arbitrary(
        self, name: str, arguments: Sequence[Value | None], interpreter: Interpreter
    ) -> Value:
        """Return a smooth function of all arguments together, of which nothing else is known."""
        values = []
        for place, argument in enumerate(arguments):
            if argument is None:
                continue
            if argument.axes:
                raise NotUnderstood(f"{name} of components is not read")
            weights = []
            for part in ("c", "d", "e"):
                key = (f"{name}:{part}{place}", (), 0)
                if key not in self.leaves:
                    self.leaves[key] = Value((), argument.rows, argument.cols)
                weights.append(self._filled(key, interpreter))
            values.append((argument, weights))

        def compute() -> Any:
            xp = interpreter.xp
            linear = sum(xp.sum(w[0].data * x.data) for x, w in values)
            squares = sum(xp.sum(w[1].data * x.data * x.data) for x, w in values)
            mixed = sum(xp.sum(w[2].data * x.data) for x, w in values)
            return (linear + squares / 2 + mixed * mixed).reshape(1, 1)

        return interpreter.make((), ONE, ONE, compute)

    def fitting(self, node: ex.Expression, row: int, family: dict[str, int]) -> Dim:
        """Return the size of an identity, of ones or of a delta; the same at every evaluation."""
        if isinstance(node, ex.Known) and node.size:
            for (name, member), dim in self.count_dims.items():
                if name == node.size and not member:
                    return dim
        key = (id(node), row, tuple(sorted(family.items())))
        if key not in self._fitting:
            self._fitting[key] = (node, self.dims.fresh("fitting"))
        return self._fitting[key][1]

    def stacked(self, names: tuple[str, ...], parts: tuple[Dim, ...]) -> Dim:
        """Return the size of vectors stacked on each other; the same at every step.

        Raises:
            DimensionMismatch: the same symbols have other sizes at another step.
        """
        if names not in self._stacked:
            total = self.dims.fresh("+".join(part.root().name for part in parts))
            self._stacked[names] = (parts, total)
        known, total = self._stacked[names]
        for one, other in zip(known, parts, strict=True):
            self.dims.unify(one, other)
        return total

    def assign_sizes(self) -> None:
        """Give every size its number; that of stacked vectors is the sum."""
        self.dims.assign()
        for _ in range(2):
            for parts, dim in self._stacked.values():
                dim.root().size = sum(part.value for part in parts)

    def sample_size(self, letter: str) -> Dim:
        """Return the number of examples that a letter counts."""
        if letter not in self._samples:
            self._samples[letter] = self.dims.fresh(f"examples({letter})")
            for name in self.divisors.get(letter, ()):
                self.counts[name, ()].append(self._samples[letter])
        return self._samples[letter]

    def note_count(self, symbol: ex.Symbol, member: tuple[int, ...], dim: Dim) -> None:
        """Note that a symbol is the upper end of a sum over a size."""
        if symbol.components or (symbol.name, member) in self.count_dims:
            return
        self.counts[symbol.name, member].append(dim)

    def power_symbol(self, power: ex.Power) -> ex.Expression:
        """Return what a derivative by a power differentiates by; only symbols are read."""
        raise NotUnderstood("a derivative by a power is not read")

    def leaves_below(self, body: ex.Expression) -> set[str]:
        """Return the names of the symbols without definition that an expression rests on."""
        names = {s.name for s in ex.symbols(body)} | self._reached_by(body)
        return {name for name in names if not self.by_name[name] and name not in self.count_names}

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

    def alike(self, symbol: ex.Symbol) -> list[str]:
        """Return names that could have been meant: defined or given, with as many indices."""
        patterns = {
            (s.name, len(s.family), len(s.components))
            for claim in self.claims
            for side in (claim.left, claim.right)
            for s in ex.symbols(side)
        }
        own = len(symbol.family), len(symbol.components)
        names = [n for n, f, c in sorted(patterns) if (f, c) == own and n != symbol.name]
        return names[:20]

    def sums_samples(self, body: ex.Expression) -> bool:
        """Return whether an expression sums over examples."""
        return any(
            isinstance(node, ex.SumOver) and bool(set(node.letters) & self.table.samples)
            for node in _nodes(body)
        )

    def note(self, sentence: str) -> None:
        """Keep a sentence about what was inferred."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def _key(symbol: ex.Symbol) -> str:
    """Return what tells a symbol from others of its name: numbered members are symbols of their own."""
    return str(ex.Symbol(symbol.name, symbol.family))


def definition_member(definition: Definition) -> tuple[int, ...]:
    """Return a stand-in member that says whether a definition has family indices."""
    return (0,) * len(definition.pattern)


def _matches(
    known: ex.Expression, other: ex.Expression, found: dict[ex.Symbol, ex.Expression]
) -> bool:
    """Match two expressions; collect what the symbols of `other` stand for where they differ."""
    if known == other:
        return True
    if isinstance(other, ex.Symbol) and not isinstance(known, ex.Symbol):
        return found.setdefault(other, known) == known
    if type(known) is not type(other):
        return False
    if isinstance(known, ex.Call) and isinstance(other, ex.Call):
        if (known.function, known.primes) != (other.function, other.primes):
            return False
    if isinstance(known, ex.SumOver) and isinstance(other, ex.SumOver):
        if (known.letters, known.product) != (other.letters, other.product):
            return False
    if isinstance(known, ex.Product) and isinstance(other, ex.Product) and known.sign != other.sign:
        return False
    if isinstance(known, ex.Plus) and isinstance(other, ex.Plus) and known.signs != other.signs:
        return False
    a, b = ex.children(known), ex.children(other)
    if not a or len(a) != len(b):
        return False
    return all(_matches(x, y, found) for x, y in zip(a, b, strict=True))


def _substituted(body: ex.Expression, part: ex.Expression, by: ex.Expression) -> ex.Expression:
    """Return a body with every occurrence of a part replaced."""
    if body == part:
        return by
    if isinstance(part, ex.Symbol):
        return body
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(body):
        value = getattr(body, field.name)
        if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            if not isinstance(value[0], ex.Index):
                changes[field.name] = tuple(_substituted(v, part, by) for v in value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, ex.Index):
            if field.name != "function":
                changes[field.name] = _substituted(value, part, by)  # type: ignore[arg-type]
    return dataclasses.replace(body, **changes)


def _overlap(a: Sequence[ex.Index], b: Sequence[ex.Index]) -> bool:
    """Return whether two family patterns can name one member."""
    if len(a) != len(b):
        return False
    return all(x.letter or y.letter or x.offset == y.offset for x, y in zip(a, b, strict=True))


def _used(body: ex.Expression) -> list[ex.Symbol]:
    """Return the symbols of a body, functions included."""
    out = list(ex.symbols(body))
    out.extend(call.function for call in _calls(body))
    return out


def _nodes(body: ex.Expression) -> list[ex.Expression]:
    return [body, *(node for part in ex.children(body) for node in _nodes(part))]


def _plain_symbols(body: ex.Expression) -> list[ex.Symbol]:
    """Return the symbols of a body but those that are differentiated."""
    if isinstance(body, ex.Symbol):
        return [body]
    parts = ex.children(body)
    if isinstance(body, ex.Derivative) and isinstance(body.of, ex.Symbol):
        parts = ()
    return [symbol for part in parts for symbol in _plain_symbols(part)]


def _calls(body: ex.Expression) -> list[ex.Call]:
    own = [body] if isinstance(body, ex.Call) else []
    return own + [call for part in ex.children(body) for call in _calls(part)]


def _derivatives(body: ex.Expression) -> list[ex.Derivative]:
    own = [body] if isinstance(body, ex.Derivative) else []
    return own + [node for part in ex.children(body) for node in _derivatives(part)]
