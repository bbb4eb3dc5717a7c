"""Losses that a document differentiates and does not define, or not connect with its network."""

from __future__ import annotations

from collections import defaultdict

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.definitions import Definition, Definitions
from gradcheck.derivations.walks import (
    derivatives_of,
    nodes_of,
    plain_symbols,
)

__all__ = ["Losses"]


class Losses(Definitions):
    """Say what each differentiated quantity is that no row defines."""

    def _settle_losses(self) -> None:
        """Say what each differentiated quantity is that no row defines."""
        derivatives = [
            (claim, node)
            for claim in self.claims
            for side in (claim.left, claim.right)
            for node in derivatives_of(side)
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
                self._take_gradient_of_loose(name, by_names)
            elif not self._loss_by_statement(name) and not self._loss_by_gradient(name):
                self._arbitrary_loss(name, by_names)

    def differentiated(self) -> tuple[set[str], set[str]]:
        """Return the names that stand above derivatives of symbols, and those that stand below."""
        of: set[str] = set()
        by: set[str] = set()
        for claim in self.claims:
            for node in (n for side in (claim.left, claim.right) for n in derivatives_of(side)):
                below = node.by
                while isinstance(below, ex.Transposed | ex.Picked):
                    below = below.body
                if isinstance(node.of, ex.Symbol) and isinstance(below, ex.Symbol):
                    of.add(node.of.name)
                    by.add(below.name)
        return of, by

    def is_aside(self, definition: Definition) -> bool:
        """Whether no loss rests on a definition: it may be wrong, where the forward pass only defines.

        A gradient that lost its prime, `d = V^T e o f(z)`, looks like any other definition.
        """
        if self.is_backward(definition.body):
            return True
        losses = {name for name in self.differentiated()[0] if self.by_name[name]}
        reached = losses.union(*(self.names_below(name) for name in losses))
        return bool(losses) and definition.name not in reached

    def _is_used(self, name: str) -> bool:
        """Whether an undefined symbol stands anywhere else than above a derivative."""
        if self.by_name[name]:
            return False
        return any(
            symbol.name == name
            for claim in self.claims
            for side in (claim.left, claim.right)
            for symbol in plain_symbols(side)
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

    def _take_gradient_of_loose(self, name: str, by_names: set[str]) -> None:
        """A loss that was read, but not down to what it is differentiated by, is as good as undefined."""
        shorthand = name == self.table.loss and self.table.shorthand
        if shorthand and not self.names_below(name) & by_names and self._loss_by_gradient(name):
            self.banned |= {d.number for d in self.by_name[name] if not d.inferred}
            self.loose_losses.add(name)

    def _mentions_derivative(self, body: ex.Expression, seen: set[str]) -> bool:
        if any(True for _ in derivatives_of(body)):
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
        outputs = [output for output in outputs if not self.names_below(output) & others]
        if len(outputs) == 1 and len(free) == 1:
            output = self._last(outputs[0])
            family = self._family_within(loss, free[0])
            if len(family) == len(output.family):
                output = ex.Symbol(output.name, family)
            self._define(-1, ex.Symbol(free[0], family), output, inferred=True)
            self.note(
                f"{free[0]} is read as {output}, the output, because {loss} depends on no weight else"
            )

    def _family_within(self, loss: str, name: str) -> tuple[ex.Index, ...]:
        """Return the family indices with which a symbol stands in the definition of a loss."""
        return next(
            (
                symbol.family
                for definition in self.by_name[loss]
                for symbol in ex.symbols(definition.body)
                if symbol.name == name
            ),
            (),
        )

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
        depending = {n for n in names if n in by_names or self.names_below(n) & by_names}
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
                        isinstance(n, ex.SumOver) and letter in n.letters for n in nodes_of(d.body)
                    )
                ]
                used = any(s.name == label for d in self.definitions for s in ex.symbols(d.body))
                if plain and used:
                    self._define(-1, ex.Symbol(label), plain[0].body, inferred=True)
                    self.note(f"{name}_{letter} is read as the {name} of one example")
