"""From syntax to meaning: bind sums, derivatives and functions, and say what each script is."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce

from gradcheck.derivations import expressions as ex
from gradcheck.derivations import syntax
from gradcheck.derivations.case_lines import matrix_entry, value_and_condition
from gradcheck.derivations.names import Names
from gradcheck.derivations.notation import (
    differential,
    excluded,
    free_labels,
    is_d,
    is_differential,
    is_flag,
    is_indicator,
    is_list,
    keyword_of,
    second_derivative,
    side_by_side,
    starts_at,
    with_signed_bodies,
    without_components,
)
from gradcheck.derivations.table import (
    FUNCTIONS,
    array_index,
    base_of,
    bound_letters,
    name_of,
    scripts_of,
)
from gradcheck.derivations.unread import BrokenPattern, MissingDifferential, NotUnderstood

__all__ = ["Resolver"]

CASES = frozenset(["cases", "dcases", "rcases"])
"""Environments that list cases."""


class Resolver(Names):
    """Resolve the sides of one row."""

    def expression(self, node: syntax.Node | None) -> ex.Expression:
        """Return the meaning of one side.

        Raises:
            NotUnderstood: it says something that is not read.
        """
        match node:
            case None:
                raise NotUnderstood("a side is empty")
            case syntax.Summed():
                return self._summed(node)
            case syntax.Multiplied():
                return self._multiplied(list(node.signs), list(node.factors))
            case syntax.Juxtaposed():
                return self._juxtaposed(list(node.factors), list(node.slashes))
            case syntax.Fraction_():
                return self._fraction(node)
            case syntax.Root(body):
                return ex.Rooted(self.expression(body))
            case syntax.Norm(double, body):
                inner = self.expression(body)
                return ex.NormOf(inner, "2", False) if double else ex.Absolute(inner)
            case syntax.Bracket():
                return self._bracket(node)
            case syntax.Scripted() | syntax.Leaf() | syntax.Accented():
                return self._single(node)
            case syntax.Table(name, rows) if name in CASES:
                return self._cases(rows)
            case syntax.Table(_, rows):
                return self._written(rows)
            case syntax.Array():
                return self._array(node)
        raise NotUnderstood("this is not read")

    def _summed(self, node: syntax.Summed) -> ex.Expression:
        node = with_signed_bodies(node, self._opener)
        terms = tuple(self.expression(term) for term in node.terms)
        if any(isinstance(n, syntax.Leaf) and n.kind == "DOTS" for n in node.terms):
            raise NotUnderstood("an ellipsis is not read")
        return ex.Plus(node.signs, terms)

    def _multiplied(self, signs: list[str], factors: list[syntax.Node]) -> ex.Expression:
        """Multiply left to right; a sum, or a derivative without numerator, takes all that follows."""
        for place, factor in enumerate(factors):
            opener = self._opener(factor)
            if opener is not None and place < len(factors) - 1:
                tail = syntax.Multiplied(tuple(signs[place + 1 :]), tuple(factors[place + 1 :]))
                rest: syntax.Node = tail if len(factors) - place > 2 else factors[place + 1]
                before, head, own = opener
                if own is None:
                    inner: ex.Expression = self._apply(head, rest)
                else:
                    joined = syntax.Multiplied(
                        (signs[place], *signs[place + 1 :]), (own, *factors[place + 1 :])
                    )
                    inner = self._apply(head, joined)
                inner = self._behind(before, inner)
                if place == 0:
                    return inner
                left = self._multiplied(signs[: place - 1], factors[:place])
                return ex.Product(signs[place - 1], left, inner)
        out = self.expression(factors[0])
        for sign, factor in zip(signs, factors[1:], strict=True):
            out = self._times(sign, out, factor)
        return out

    def _times(self, sign: str, left: ex.Expression, factor: syntax.Node) -> ex.Expression:
        return ex.Product(sign, left, self.expression(factor))

    def _opener(
        self, node: syntax.Node
    ) -> tuple[syntax.Node | None, syntax.Node, syntax.Node | None] | None:
        """Return (what stands before, the sum or operator, what it already holds), if any."""
        factors = node.factors if isinstance(node, syntax.Juxtaposed) else (node,)
        for place, factor in enumerate(factors):
            if self._is_operator(factor):
                before = factors[:place]
                after = factors[place + 1 :]
                slashes = node.slashes if isinstance(node, syntax.Juxtaposed) else (False,)
                return (
                    side_by_side(before, slashes[:place]),
                    factor,
                    side_by_side(after, (False, *slashes[place + 2 :])),
                )
        return None

    def _behind(self, before: syntax.Node | None, inner: ex.Expression) -> ex.Expression:
        """Return what stands before a sum times the sum; a function in front, `log sum_j z_j`, takes it."""
        if before is None:
            return inner
        factors = before.factors if isinstance(before, syntax.Juxtaposed) else (before,)
        last = factors[-1]
        name = name_of(base_of(last))
        if name in FUNCTIONS and name is not None:
            head = self._single(last, function=True)
            power = head.exponent if isinstance(head, ex.Power) else None
            head = head.base if isinstance(head, ex.Power) else head
            if not isinstance(head, ex.Symbol):
                raise NotUnderstood(f"the scripts of the function {name} are not read")
            primes = sum(script.kind == "PRIME" for script in scripts_of(last))
            inner = ex.Call(head, primes, (inner,))
            inner = inner if power is None else ex.Power(inner, power)
            slashes = before.slashes if isinstance(before, syntax.Juxtaposed) else (False,)
            rest = side_by_side(factors[:-1], slashes[:-1])
            if slashes[-1]:
                assert rest is not None
                return ex.Divided(self.expression(rest), inner)
            return self._behind(rest, inner)
        return ex.Product("", self.expression(before), inner)

    def _is_operator(self, node: syntax.Node) -> bool:
        base = node.base if isinstance(node, syntax.Scripted) else node
        if isinstance(base, syntax.Leaf) and base.kind == "SUM":
            return True
        return isinstance(node, syntax.Fraction_) and is_differential(node.above)

    def _apply(self, head: syntax.Node, body: syntax.Node) -> ex.Expression:
        if isinstance(head, syntax.Fraction_):
            return ex.Derivative(self.expression(body), self._denominator(head.below))
        return self._sum(head, self.expression(body))

    def _sum(self, head: syntax.Node, body: ex.Expression) -> ex.Expression:
        base = head.base if isinstance(head, syntax.Scripted) else head
        assert isinstance(base, syntax.Leaf)
        if base.text == "int":
            raise NotUnderstood("integrals are not read")
        letters: list[str] = []
        skipped: list[tuple[str, str]] = []
        first: int | None = None
        start: ex.Index | None = None
        last: ex.Expression | None = None
        for script in head.scripts if isinstance(head, syntax.Scripted) else ():
            if script.kind == "SUP":
                last = self.tokens(script.inner)
                continue
            letters, over_set = bound_letters(script)
            if over_set and not set(letters) & self.table.samples:
                return self._over_samples(letters, body)
            skipped = excluded(script)
            letters = [x for x in letters if x not in {b for _, b in skipped} or x == letters[0]]
            first, start = starts_at(script)
        if skipped:
            letters = [skipped[0][0]]
        bound = tuple(dict.fromkeys(letters))
        return ex.SumOver(bound, body, base.text == "prod", tuple(skipped), first, last, start)

    def _over_samples(self, letters: list[str], body: ex.Expression) -> ex.Expression:
        """A sum over a batch is read for a batch of one: the sample's index falls away."""
        if any(letter in free_labels(body) for letter in letters):
            raise NotUnderstood("a sum over samples of a quantity that has no other definition")
        return without_components(body, set(letters))

    def _juxtaposed(self, factors: list[syntax.Node], slashes: list[bool]) -> ex.Expression:
        opener = self._opener(syntax.Juxtaposed(tuple(factors), tuple(slashes)))
        if opener is not None:
            before, head, own = opener
            if own is None:
                raise NotUnderstood("a sum or an operator has nothing behind it")
            return self._behind(before, self._apply(head, own))
        out: ex.Expression | None = None
        at = 0
        while at < len(factors):
            part, used = self._factor(factors, slashes, at)
            if out is None:
                out = part
            elif slashes[at]:
                out = ex.Divided(out, part)
            else:
                out = ex.Product("", out, part)
            at += used
        assert out is not None
        return out

    def _factor(
        self, factors: Sequence[syntax.Node], slashes: Sequence[bool], at: int
    ) -> tuple[ex.Expression, int]:
        """Return the factor that begins at `at`, and how many nodes it takes."""
        node = factors[at]
        following = factors[at + 1] if at + 1 < len(factors) and not slashes[at + 1] else None
        base = node.base if isinstance(node, syntax.Scripted) else node
        name = name_of(base)
        if isinstance(base, syntax.Leaf) and base.kind == "NABLA":
            return self._nabla(node, factors, at)
        if isinstance(base, syntax.Leaf) and base.kind == "PARTIAL":
            if isinstance(node, syntax.Scripted) and node.scripts[0].kind == "SUB":
                return self._nabla(node, factors, at)
            if (
                at + 2 < len(factors)
                and slashes[at + 2]
                and isinstance(factors[at + 2], syntax.Leaf)
            ):
                below = side_by_side(factors[at + 3 :], (False,) * len(factors[at + 3 :]))
                assert following is not None
                return ex.Derivative(self.expression(following), self.expression(below)), len(
                    factors
                ) - at
            raise NotUnderstood("a differential that stands alone is not read")
        if name == "d" and following is not None and self.table.shorthand:
            return self.shorthand(self.expression(following)), 2
        if is_indicator(node) and isinstance(following, syntax.Bracket):
            item = following.items[0]
            if len(following.items) == 1 and item.relations:
                return self.condition(item), 2
        if (
            name in ("J", "bf J")
            and isinstance(node, syntax.Scripted)
            and isinstance(following, syntax.Bracket)
        ):
            sub = [script for script in node.scripts if script.kind == "SUB"]
            if sub and len(following.items) == 1:
                return ex.Derivative(self._bracket(following), self.tokens(sub[0].inner)), 2
        if name is not None and following is not None and self.table.arrays:
            letters = array_index(node, base_of(following))
            symbol = self._single(node) if letters else None
            if isinstance(symbol, ex.Symbol):
                found = tuple(ex.Index(letter) for letter in letters)
                entry = ex.Symbol(symbol.name, symbol.family, (*symbol.components, *found))
                return self._scripted(entry, scripts_of(following)), 2
        if (
            name in self.table.called
            and isinstance(following, syntax.Bracket)
            and following.sign == "("
        ):
            return self._single(node), 2
        if name is not None and name not in self.table.functions and self._is_sample(following):
            return self._single(node), 2
        several = isinstance(following, syntax.Bracket) and is_list(following)
        if name is not None and (name in self.table.functions or name in FUNCTIONS or several):
            return self._call(node, name, factors, slashes, at)
        return self.expression(node), 1

    def _is_sample(self, node: syntax.Node | None) -> bool:
        """`a(x)` is a at the example x, not a product."""
        if not isinstance(node, syntax.Bracket) or len(node.items) != 1 or node.sign != "(":
            return False
        side = node.items[0].sides[0]
        return isinstance(side, syntax.Leaf) and side.text in self.table.samples

    def _nabla(
        self, node: syntax.Node, factors: Sequence[syntax.Node], at: int
    ) -> tuple[ex.Expression, int]:
        if at + 1 >= len(factors):
            raise NotUnderstood("a nabla that stands alone is not read")
        of = factors[at + 1]
        scripts = node.scripts if isinstance(node, syntax.Scripted) else ()
        if not scripts:
            name = name_of(of.base if isinstance(of, syntax.Scripted) else of)
            if name is None:
                raise NotUnderstood("a nabla without subscript is read only before a name")
            variable = _only_variable(factors[at + 2 : at + 3])
            if variable is not None and name in self.table.called:
                return ex.Derivative(ex.Symbol(name), self.expression(variable)), 3
            return ex.Symbol(f"nabla {name}"), 2
        slashes = [False] * len(factors)
        inner, used = self._factor(factors, slashes, at + 1)
        return ex.Derivative(inner, self.tokens(scripts[0].inner)), 1 + used

    def _call(
        self,
        node: syntax.Node,
        name: str,
        factors: Sequence[syntax.Node],
        slashes: Sequence[bool],
        at: int,
    ) -> tuple[ex.Expression, int]:
        named = self._single(node, function=True)
        power = named.exponent if isinstance(named, ex.Power) else None
        head = named.base if isinstance(named, ex.Power) else named
        primes = sum(script.kind == "PRIME" for script in scripts_of(node))
        if not isinstance(head, ex.Symbol):
            raise NotUnderstood(f"the scripts of the function {name} are not read")
        following = factors[at + 1] if at + 1 < len(factors) and not slashes[at + 1] else None
        outer: syntax.Node | None = following
        scripts: tuple[syntax.Script, ...] = ()
        if isinstance(following, syntax.Scripted) and isinstance(following.base, syntax.Bracket):
            outer, scripts = following.base, following.scripts
        if isinstance(outer, syntax.Bracket) and outer.sign in "([{":
            arguments = tuple(self._argument(item) for item in outer.items if not is_flag(item))
            call: ex.Expression = ex.Call(head, primes, arguments)
            if name == "prod":
                call = reduce(lambda a, b: ex.Product("", a, b), arguments)
            call = call if power is None else ex.Power(call, power)
            return self._scripted(call, scripts), 2
        if name in FUNCTIONS and following is not None:
            rest = list(factors[at + 1 :])
            stop = next((k for k in range(1, len(rest)) if slashes[at + 1 + k]), len(rest))
            if name not in ("log", "ln", "exp") and not isinstance(rest[0], syntax.Bracket):
                stop = min(stop, len(rest))
            argument = self._juxtaposed(rest[:stop], [False] * stop)
            call = ex.Call(head, primes, (argument,))
            return (call if power is None else ex.Power(call, power)), 1 + stop
        if following is None and primes == 0 and name not in FUNCTIONS:
            return head, 1
        raise NotUnderstood(f"the function {name} has no argument")

    def _argument(self, item: syntax.Item) -> ex.Expression:
        """Return one argument; `axis=1` is the number behind the sign."""
        if keyword_of(item) == "axis":
            return self.expression(item.sides[1])
        return self.item(item)

    def _cases(self, rows: Sequence[Sequence[syntax.Node]]) -> ex.Expression:
        """Cases are a sum of values, each times what is 1 where its condition holds."""
        terms: list[ex.Expression] = []
        met: list[ex.Expression] = []
        for row in rows:
            value, item = value_and_condition(row)
            if item is not None:
                where = self.condition(item)
                met.append(where)
            elif value is None:
                continue
            elif not met:
                raise NotUnderstood("a case has no condition")
            else:
                one = ex.Number(Fraction(1))
                where = ex.Plus((1, *(-1 for _ in met)), (one, *met))
            terms.append(ex.Product("", where, self.expression(value)))
        if not terms:
            raise NotUnderstood("no case is given")
        return ex.Plus((1,) * len(terms), tuple(terms))

    def _array(self, node: syntax.Array) -> ex.Expression:
        """Return an array by the entry at any place."""
        if node.flaw:
            raise BrokenPattern(node.flaw)
        entry = self.expression(node.entry)
        if node.diagonal is not None:
            same = ex.Kronecker(ex.Index(node.row), ex.Index(node.column))
            other = ex.Plus((1, -1), (ex.Number(Fraction(1)), same))
            on = ex.Product("", same, self.expression(node.diagonal))
            entry = ex.Plus((1, 1), (on, ex.Product("", other, entry)))
        counts = tuple(
            self.tokens(last) if last and first and first[0].text == "1" else None
            for first, last in zip(node.firsts, node.lasts, strict=True)
        )
        return ex.Arrayed(entry, node.row, node.column, counts[0], counts[1], node.loose)

    def _written(self, rows: Sequence[Sequence[syntax.Node]]) -> ex.Expression:
        """Return a matrix whose entries are all written."""
        lines = [[matrix_entry(cell) for cell in row] for row in rows]
        lines = [line for line in lines if any(cell is not None for cell in line)]
        wide = {len(line) for line in lines}
        entries = tuple(self.expression(cell) for line in lines for cell in line)
        if len(wide) != 1:
            raise NotUnderstood("the rows of a matrix differ in length")
        return ex.Written(entries, wide.pop())

    def _fraction(self, node: syntax.Fraction_) -> ex.Expression:
        above = differential(node.above)
        below = differential(node.below)
        if is_differential(node.above) and below is not None:
            raise NotUnderstood("a derivative has nothing behind it")
        if above is not None and below is None and is_d(node.above):
            raise MissingDifferential("the d is missing in the denominator")
        second = second_derivative(node)
        if second is not None:
            of, one, other = (self.expression(part) for part in second)
            return ex.Derivative(ex.Derivative(of, one), other)
        if above is not None and below is not None:
            of = (
                self._juxtaposed(above, [False] * len(above))
                if len(above) > 1
                else self.expression(above[0])
            )
            return ex.Derivative(of, self._denominator(node.below))
        return ex.Divided(self.expression(node.above), self.expression(node.below))

    def _denominator(self, node: syntax.Node) -> ex.Expression:
        factors = differential(node)
        if factors is None or not factors:
            raise NotUnderstood("the denominator of this derivative is not read")
        return (
            self._juxtaposed(factors, [False] * len(factors))
            if len(factors) > 1
            else self.expression(factors[0])
        )

    def _bracket(self, node: syntax.Bracket) -> ex.Expression:
        if len(node.items) == 1:
            item = node.items[0]
            return self.condition(item) if item.relations else self.item(item)
        if node.sign == "[" and len(node.items) == 2:
            return ex.Concatenated(tuple(self.item(item) for item in node.items))
        raise NotUnderstood("a list in brackets is not read")


def _only_variable(behind: Sequence[syntax.Node]) -> syntax.Node | None:
    """Return the w of `(w)`, or None where what stands behind a name is no such bracket."""
    bracket = behind[0] if behind else None
    if not (isinstance(bracket, syntax.Bracket) and len(bracket.items) == 1):
        return None
    side = bracket.items[0].sides[0]
    return side if side is not None and name_of(side) is not None else None
