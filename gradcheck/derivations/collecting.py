"""From statements to definitions and claims."""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.definitions import Claim, Definition
from gradcheck.derivations.losses import Losses
from gradcheck.derivations.spelling import short
from gradcheck.derivations.statements import Statement
from gradcheck.derivations.table import FUNCTIONS
from gradcheck.derivations.unwritten import unwritten
from gradcheck.derivations.walks import (
    family_letters,
    key_of,
    matches,
    nodes_of,
    overlap,
    substituted,
)

__all__ = ["Collecting"]

_NOISE = frozenset(["epsilon", "varepsilon", "xi"])
"""Names of the noise in a model of data."""


class Collecting(Losses):
    """Collect what a document defines and what it claims."""

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
                    seen[key_of(symbol)] += 1
            else:
                self.asides.append(statement)
        self.count_names = {
            node.last.name
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in nodes_of(side)
            if isinstance(node, ex.SumOver) and isinstance(node.last, ex.Symbol)
        }
        self._count_members()
        self._sample_losses()
        self._use_later_names()
        self.redefining = sorted(
            {d.row for d in self.definitions} | {s.row for f in self.declared.values() for s in f}
        )
        self.current = self._current_letters()
        self._find_divisors()
        self.bare_first = self._bare_first()
        self.loose_products = not any(
            isinstance(node, ex.Product) and node.sign in ("circ", "odot")
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in nodes_of(side)
        )
        self._define_unwritten()
        self._settle_losses()

    def _define_unwritten(self) -> None:
        """Define what the document only differentiates."""
        equations = [(claim.left, claim.right) for claim in self.claims if claim.kind == "claim"]
        for symbol, meaning in unwritten(equations).items():
            own = self.by_name[symbol.name]
            if any(overlap(d.pattern, symbol.family) for d in own) or self._is_stated(symbol):
                continue
            self._define(-1, symbol, meaning, inferred=True)
            self.note(f"{symbol} is read as {short(meaning)}, of which a row writes the derivative")

    def _equation(
        self,
        statement: Statement,
        left: ex.Expression,
        right: ex.Expression,
        first: bool,
        seen: Counter[str],
    ) -> None:
        row = statement.row
        reason = self._unclear_display(left, right)
        if reason:
            self.asides.append(dataclasses.replace(statement, kind="unread", reason=reason))
            return
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
        if (
            first
            and isinstance(left, ex.Power)
            and isinstance(left.base, ex.Symbol)
            and left.exponent == ex.Number(Fraction(2))
            and not self.by_name[left.base.name]
        ):
            root = ex.Rooted(right)
            made = self._define(row, left.base, root)
            self.claims.append(Claim(row, left.base, root, "definition", definition=made))
            return
        new = (
            isinstance(right, ex.Symbol) and not self._is_stated(right) and not seen[key_of(right)]
        )
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
        if isinstance(statement.previous, ex.Call):
            self._define_word(statement.previous, right, row)
        if statement.previous is not None or not first:
            self._match(statement.previous or left, right, row, seen)
        if isinstance(left, ex.Symbol) and not first:
            own = [d for d in self.by_name[left.name] if d.pattern == left.family]
            if own:
                self.alternatives[own[-1].number].append(right)
        if isinstance(left, ex.Symbol) and first and self._only_shows(left, right):
            self.claims.append(Claim(row, left, right, "display"))
            return
        if not isinstance(left, ex.Symbol) or not first:
            self.claims.append(Claim(row, left, right, "claim", previous=statement.previous))
            return
        earlier = [
            d
            for d in self.by_name[left.name]
            if overlap(d.pattern, left.family)
            and self.signatures.get(d.number, statement.signature) == statement.signature
        ]
        if not earlier and self._is_data(left, right):
            self.asides.append(
                Statement("aside", row, reason="says how the data are thought to arise")
            )
            return
        made = self._define(row, left, right)
        if statement.signature:
            self.signatures[made.number] = statement.signature
        self.claims.append(Claim(row, left, right, "definition", definition=made))
        for old in earlier:
            if old.pattern == left.family and old.letters == made.letters:
                self._match(right, old.body, old.row, Counter(), strict=True)
                self._match(old.body, right, row, Counter(), strict=True)
        if earlier:
            meant = [d for d in earlier if isinstance(d.body, ex.Derivative)] or earlier
            self.claims.append(Claim(row, left, right, "redefinition", meant[-1], made))

    def _only_shows(self, left: ex.Symbol, right: ex.Expression) -> bool:
        """Whether a row displays the elements that its left side has anyway, as `x = (x_1, ..., x_n)`."""
        if not isinstance(right, ex.Arrayed):
            return False
        own = any(symbol.name == left.name for symbol in ex.symbols(right))
        return own or (not self.table.displays and isinstance(right.entry, ex.Symbol))

    def _unclear_display(self, left: ex.Expression, right: ex.Expression) -> str:
        """Say why a display does not tell what its entries are, or ""."""
        if not isinstance(left, ex.Symbol) or not isinstance(right, ex.Arrayed):
            return ""
        if any(s.name == left.name and s.family != left.family for s in ex.symbols(right)):
            return f"{left} and its elements are not named alike"
        other = isinstance(right.entry, ex.Symbol) and right.entry.name != left.name
        if other and not (right.row and right.column) and left.name.split(" ")[-1][0].isupper():
            return f"the entries of {left} may be numbers, columns or rows"
        return ""

    def _define_word(self, call: ex.Call, body: ex.Expression, row: int) -> None:
        """`r = RMS(x) = sqrt(...)` says what RMS is."""
        name = call.function.name
        unknown = len(name) > 1 and name not in FUNCTIONS and not self.functions[name]
        if unknown and self._defines_function(call):
            names = tuple(a.name for a in call.arguments if isinstance(a, ex.Symbol))
            self.functions[name].append((row, names, body))

    def _is_data(self, left: ex.Symbol, right: ex.Expression) -> bool:
        r"""`y = X w + \epsilon` is a model of the data y, with a noise that no other row has."""
        if not isinstance(right, ex.Plus) or not any(
            isinstance(term, ex.Product) for term in right.terms
        ):
            return False
        noise = [t for t in right.terms if isinstance(t, ex.Symbol) and t.name in _NOISE]
        rows = {
            s.row
            for s in self.statements
            for side in (s.left, s.right)
            if side is not None
            for symbol in ex.symbols(side)
            if noise and symbol.name == noise[0].name
        }
        return len(rows) == 1 and not self.by_name[left.name]

    def _count_members(self) -> None:
        """The m of `sum_{i=1}^m x^{(i)}`, a sum over members of a family, is how many there are."""
        for claim in self.claims:
            for node in (*nodes_of(claim.left), *nodes_of(claim.right)):
                if not (isinstance(node, ex.SumOver) and isinstance(node.last, ex.Symbol)):
                    continue
                if set(node.letters) & family_letters(node.body) and not node.last.family:
                    self.member_counts.add(node.last.name)

    def _use_later_names(self) -> None:
        """`h = f(Wx)` above `z = Wx` is `h = f(z)`, or h would not depend on z."""
        named = [d for d in self.definitions if not isinstance(d.body, ex.Symbol | ex.Number)]
        for d in named:
            others = [o for o in self.by_name[d.name] if o is not d]
            if any(overlap(o.pattern, d.pattern) for o in others) or self.is_backward(d.body):
                continue
            symbol = ex.Symbol(d.name, d.pattern, tuple(ex.Index(letter) for letter in d.letters))
            for e in list(self.definitions):
                inner = any(part == d.body for part in nodes_of(e.body)[1:])
                if e.row < d.row and inner and not self.is_backward(e.body):
                    self._rewrite(e, substituted(e.body, d.body, symbol))

    def _rewrite(self, old: Definition, body: ex.Expression) -> None:
        new = dataclasses.replace(old, body=body)
        self.definitions[old.number] = new
        self.by_name[old.name] = [new if d is old else d for d in self.by_name[old.name]]
        for claim in self.claims:
            if claim.definition is old:
                claim.definition = new
            if claim.earlier is old:
                claim.earlier = new

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
        if isinstance(other, ex.Symbol) or not matches(known, other, found):
            return
        for symbol, meaning in found.items():
            for other_symbol, other_meaning in found.items():
                if other_symbol != symbol and meaning != other_meaning:
                    meaning = substituted(meaning, other_meaning, other_symbol)
            if symbol in ex.symbols(meaning) or (
                strict and not symbol.family and "[" not in symbol.name
            ):
                continue
            if self._is_stated(symbol) or seen[key_of(symbol)] or symbol.components:
                continue
            own = [d for d in self.by_name[symbol.name] if overlap(d.pattern, symbol.family)]
            if not isinstance(meaning, ex.Symbol) and not own:
                self._define(row, symbol, meaning)

    def _is_stated(self, symbol: ex.Symbol) -> bool:
        """Whether some row of the document has a symbol, or its family, alone on the left."""
        return any(
            left.name == symbol.name and overlap(left.family, symbol.family) for left in self.stated
        )

    def _defines_function(self, left: ex.Call) -> bool:
        plain = all(
            isinstance(a, ex.Symbol) and not a.family and not a.components for a in left.arguments
        )
        return plain and not left.primes and not left.function.family

    def _current_letters(self) -> set[str]:
        """Return step letters that stand for one current step, as t in `z = W h_t`.

        A step before the current one is then given, not unrolled.
        """
        found: set[str] = set()
        for definition in self.definitions:
            own = {index.letter for index in definition.pattern}
            if own or self.is_backward(definition.body):
                continue
            found |= family_letters(definition.body) - self.table.last_letters
        return found & {"t"}

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
        self.divisors.clear()
        for claim in self.claims:
            for node in (*nodes_of(claim.left), *nodes_of(claim.right)):
                if isinstance(node, ex.Product) and isinstance(node.left, ex.Divided):
                    right = node.right
                    if isinstance(right, ex.Product):
                        right = right.left
                    below = node.left.below
                    rooted = any(isinstance(n, ex.Rooted | ex.Power) for n in nodes_of(below))
                    if isinstance(right, ex.SumOver) and right.last is None and not rooted:
                        for letter in right.letters:
                            names = {symbol.name for symbol in ex.symbols(below)}
                            examples = letter in self.table.samples
                            self.divisors[letter] |= names if examples else names - self.count_names

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
