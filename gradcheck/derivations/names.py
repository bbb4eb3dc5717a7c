"""Names with their scripts: which script is a transpose, a power, a layer, a component, a label."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gradcheck.derivations import expressions as ex
from gradcheck.derivations import syntax
from gradcheck.derivations.grammar import parse
from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.scripts import Piece, pieces
from gradcheck.derivations.table import (
    LAST,
    SymbolTable,
    name_of,
    scripts_of,
)
from gradcheck.derivations.tokens import Token
from gradcheck.derivations.unread import NotUnderstood

__all__ = ["Names"]

_LAYER_LABELS = {"o": 0, "O": 0, "h": -1}
"""Superscripts that name a layer where others number it: output, and the hidden one before it."""

_SIZE_NAMES = frozenset(["d", "n", "m", "N", "M", "D"])
"""Letters of sizes: a subscript says of what (`d_k`), it is no component."""

_LABELLED_ABOVE = frozenset(["delta", "W", "U", "V", "b"])
"""Names of which there is one for each gate, head or variable; nobody raises them to a letter's power."""

_EXPONENTS = frozenset(["k", "n", "p", "q", "T"])
"""Letters above that are exponents, or a transpose, where no index is named so."""

_CONSTANTS = {"I": "I", "ones": "1", "bb 1": "1", "zeros": "0", "bb I": "I", "pi": "pi"}


class Names:
    """Resolve names and scripts; `Resolver` adds what they are combined to."""

    def __init__(self, table: SymbolTable, block: int) -> None:
        self.table = table
        self.block = block

    def expression(self, node: syntax.Node | None) -> ex.Expression:
        """Return the meaning of one side."""
        raise NotImplementedError

    def item(self, item: syntax.Item) -> ex.Expression:
        """Return the meaning of an item without a relation."""
        if len(item.sides) != 1:
            raise NotUnderstood("a relation inside a bracket is not read")
        return self.expression(item.sides[0])

    def _single(self, node: syntax.Node, function: bool = False) -> ex.Expression:
        base = node.base if isinstance(node, syntax.Scripted) else node
        name = name_of(base)
        if self.table.shorthand and name and name[0] == "d" and name[1:] in self.table.words:
            return self.shorthand(self._symbol(name[1:], scripts_of(node)))
        if isinstance(node, syntax.Leaf):
            return self._leaf(node)
        scripts = tuple(s for s in scripts_of(node) if not (function and s.kind == "PRIME"))
        if isinstance(base, syntax.Leaf) and base.kind == "NUM":
            return self._number_with_scripts(base, scripts)
        if isinstance(base, syntax.Norm):
            return self._norm(base, scripts)
        if isinstance(base, syntax.Leaf) and base.kind == "SUM":
            raise NotUnderstood("a sum has nothing behind it")
        if isinstance(base, syntax.Leaf) and base.kind == "NABLA":
            raise NotUnderstood("a nabla that stands alone is not read")
        if name is None:
            if isinstance(base, syntax.Accented):
                raise NotUnderstood(f"a {base.accent} over an expression is not read")
            own = node.scripts if isinstance(node, syntax.Scripted) else ()
            return self._scripted(self.expression(base), own)
        if name == "e" and scripts:
            exponents = [s for s in scripts if s.kind == "SUP"]
            if len(exponents) == len(scripts) == 1:
                return ex.Call(ex.Symbol("exp"), 0, (self.tokens(exponents[0].inner),))
        if name in ("ones", "bb 1", "1"):
            condition = self._condition(scripts)
            if condition is not None:
                return condition
        return self._symbol(name, scripts)

    def shorthand(self, by: ex.Expression) -> ex.Expression:
        """Return the gradient of the document's loss, written `dX`."""
        if self.table.loss is None:
            raise NotUnderstood("dX is a gradient, but nothing says of which loss")
        return ex.Derivative(ex.Symbol(self.table.loss), by, shorthand=True)

    def _leaf(self, leaf: syntax.Leaf) -> ex.Expression:
        match leaf.kind:
            case "NUM":
                return ex.Number(Fraction(leaf.text))
            case "NAME" | "WORD":
                if leaf.text in _CONSTANTS and leaf.text not in self.table.kinds:
                    return ex.Known(_CONSTANTS[leaf.text])
                return ex.Symbol(self.table.aliases.get(leaf.text, leaf.text))
            case "DOTS":
                raise NotUnderstood("an ellipsis is not read")
            case "NABLA" | "PARTIAL":
                raise NotUnderstood("a derivative sign that stands alone is not read")
            case "SUM":
                raise NotUnderstood("a sum has nothing behind it")
        raise NotUnderstood(f"{leaf.text!r} is not read")

    def _number_with_scripts(
        self, base: syntax.Leaf, scripts: Sequence[syntax.Script]
    ) -> ex.Expression:
        if base.text == "1":
            condition = self._condition(scripts)
            if condition is not None:
                return condition
        return self._scripted(ex.Number(Fraction(base.text)), tuple(scripts))

    def _condition(self, scripts: Sequence[syntax.Script]) -> ex.Expression | None:
        """`1_{i=j}` is Kronecker's delta, `1_{z>0}` a step."""
        for script in scripts:
            if any(token.kind == "REL" for token in script.inner):
                items = parse(list(script.inner))
                return self.condition(items[0]) if len(items) == 1 else None
        return None

    def condition(self, item: syntax.Item) -> ex.Expression:
        """Return what is 1 where a relation holds, and 0 elsewhere.

        Raises:
            NotUnderstood: the relation is none of two indices, nor an inequality.
        """
        if len(item.sides) != 2:
            raise NotUnderstood("this condition is not read")
        (left, right), relation = item.sides, item.relations[0]
        if relation in ("=", "!="):
            a, b = self._index_of(left), self._index_of(right)
            if a is None or b is None:
                raise NotUnderstood("a condition that compares no indices is not read")
            equal = ex.Kronecker(a, b)
            one = ex.Number(Fraction(1))
            return equal if relation == "=" else ex.Plus((1, -1), (one, equal))
        if relation in (">", ">=", "<", "<="):
            difference = ex.Plus((1, -1), (self.expression(left), self.expression(right)))
            above = difference if relation[0] == ">" else ex.Plus((-1,), (difference,))
            return ex.Call(ex.Symbol("step"), 0, (above,))
        raise NotUnderstood("this condition is not read")

    def _index_of(self, node: syntax.Node | None) -> ex.Index | None:
        """Return the component index that one side of a condition is, or None."""
        base = node.base if isinstance(node, syntax.Scripted) else node
        name = None if base is None else name_of(base)
        if name in self.table.classes:
            return ex.Index(name)
        plain = isinstance(node, syntax.Leaf) and node.kind == "NAME" and len(node.text) == 1
        if not plain or name is None or self.table.is_family(name, self.block):
            return None
        return ex.Index(name)

    def _norm(self, base: syntax.Norm, scripts: Sequence[syntax.Script]) -> ex.Expression:
        body = self.expression(base.body)
        order, squared = "2", False
        for script in scripts:
            text = "".join(token.text for token in script.inner)
            if script.kind == "SUP" and text == "2":
                squared = True
            elif script.kind == "SUB" and text in ("1", "2", "F"):
                order = "1" if text == "1" else "2"
            else:
                raise NotUnderstood(f"a norm with the script {text!r} is not read")
        if not base.double:
            inner: ex.Expression = ex.Absolute(body)
            return ex.Power(inner, ex.Number(Fraction(2))) if squared else inner
        return ex.NormOf(body, order, squared)

    def tokens(self, tokens: Sequence[Token]) -> ex.Expression:
        """Return the meaning of a script that is an expression of its own."""
        try:
            items = parse(list(tokens))
        except DerivationError as error:
            raise NotUnderstood(f"a script is no formula: {error}") from None
        if len(items) != 1:
            raise NotUnderstood("a list in a script is not read")
        return self.item(items[0])

    def _scripted(self, body: ex.Expression, scripts: Sequence[syntax.Script]) -> ex.Expression:
        """Apply scripts to a compound expression: transposes, powers, components."""
        for script in scripts:
            if script.kind == "PRIME":
                raise NotUnderstood("a prime on an expression is not read")
            found = pieces(script.inner, script.kind == "SUP")
            for piece in found:
                if piece.kind == "transpose":
                    body = ex.Transposed(body)
                elif piece.kind == "power" and script.kind == "SUP":
                    body = ex.Power(body, self.tokens(piece.inner))
                elif piece.kind == "index" and script.kind == "SUP" and piece.index:
                    if piece.bracketed:
                        raise NotUnderstood("an index on an expression is not read")
                    body = ex.Power(body, self._index_value(piece.index))
                elif piece.kind == "index" and piece.index and piece.index.letter:
                    if isinstance(body, ex.Picked):
                        body = ex.Picked(body.body, (*body.components, piece.index))
                    else:
                        body = ex.Picked(body, (piece.index,))
                else:
                    raise NotUnderstood("a script on an expression is not read")
        return body

    def _index_value(self, index: ex.Index) -> ex.Expression:
        if index.letter is None:
            return ex.Number(Fraction(index.offset))
        letter: ex.Expression = ex.Symbol(index.letter)
        if index.offset:
            letter = ex.Plus((1, 1), (letter, ex.Number(Fraction(index.offset))))
        return letter

    def _symbol(self, name: str, scripts: Sequence[syntax.Script]) -> ex.Expression:
        family: list[ex.Index] = []
        components: list[ex.Index] = []
        after: list[Piece] = []
        table = self.table
        stepped = self._is_stepped(scripts)
        for script in scripts:
            if script.kind == "PRIME":
                name += "'"
                continue
            for piece in pieces(script.inner, script.kind == "SUP", self.table.label_runs):
                if self._is_numbered(name, script.kind, piece):
                    family.append(ex.Index(None, int(piece.inner[0].text)))
                elif piece.kind in ("transpose", "power"):
                    after.append(piece)
                elif piece.kind == "star":
                    name += "*"
                elif piece.kind == "label":
                    name += f"[{piece.text}]"
                elif piece.kind == "last":
                    family.append(ex.Index(LAST))
                elif piece.kind == "symbol" and piece.text in table.classes:
                    components.append(ex.Index(piece.text))
                elif piece.kind == "symbol":
                    inner = self.tokens(piece.inner)
                    if not isinstance(inner, ex.Symbol):
                        raise NotUnderstood(f"the script of {name} is not read")
                    name += f"[{inner.name}]"
                    family.extend(inner.family)
                    components.extend(inner.components)
                elif piece.kind == "index" and piece.index is not None:
                    letter = piece.index.letter
                    if script.kind == "SUP" and stepped and letter and self._labels(letter):
                        name += f"[{letter}]"
                        continue
                    name = self._place(name, piece, script.kind, family, components, after)
                else:
                    raise NotUnderstood(f"the script of {name} is not read")
        if name == "delta" and len(components) == 2 and not family and name not in table.kinds:
            return ex.Kronecker(components[0], components[1])
        if name in _CONSTANTS and not family and not components:
            body: ex.Expression = ex.Known(_CONSTANTS[name])
        elif name.startswith(("I[", "ones[", "zeros[")):
            body = ex.Known({"I": "I", "o": "1", "z": "0"}[name[0]], name.split("[")[1].rstrip("]"))
        else:
            alias = table.aliases.get(name, name)
            body = ex.Symbol(alias, tuple(family), tuple(components))
        for piece in after:
            if piece.kind == "transpose":
                body = ex.Transposed(body)
            elif piece.kind == "power":
                body = ex.Power(body, self.tokens(piece.inner))
            elif piece.index is not None:
                body = ex.Power(body, self._index_value(piece.index))
        return body

    def _labels(self, letter: str) -> bool:
        """Whether a letter above says of what something is: `W^Q`, `b^h`, the `a^u_t` of a gate."""
        return letter not in _EXPONENTS and not self.table.is_family(letter, self.block)

    def _is_stepped(self, scripts: Sequence[syntax.Script]) -> bool:
        """Whether a name has a step or layer below: what is above is then no power by a letter."""
        return any(
            piece.index is not None
            and piece.index.letter is not None
            and self.table.is_family(piece.index.letter, self.block)
            for script in scripts
            if script.kind == "SUB"
            for piece in pieces(script.inner, False, self.table.label_runs)
        )

    def _is_numbered(self, name: str, kind: str, piece: Piece) -> bool:
        """Whether a number above a name counts members of its family: `a^0` beside `a^t`."""
        number = len(piece.inner) == 1 and piece.inner[0].text.isdigit()
        return kind == "SUP" and number and name in self.table.numbered_above

    def _place(
        self,
        name: str,
        piece: Piece,
        kind: str,
        family: list[ex.Index],
        components: list[ex.Index],
        after: list[Piece],
    ) -> str:
        """Say whether an index counts members, components, or only labels."""
        index = piece.index
        assert index is not None
        base = name.rstrip("'*").split("[")[0]
        if index.letter is None:
            if kind == "SUP" and not piece.bracketed:
                after.append(piece)
            elif (
                kind == "SUB"
                and not self.table.arrays
                and base in self.table.vectors | self.table.matrices
                and not self.table.numbered_family(base)
            ):
                components.append(index)
            else:
                family.append(index)
        elif index.letter in self.table.samples:
            if base in self.table.per_sample:
                name += f"[{index.letter}]"
        elif piece.bracketed or self.table.is_family(index.letter, self.block):
            family.append(index)
        elif kind == "SUP":
            if name == "delta" and components:
                components.append(index)
            elif base in self.table.layered and index.letter in _LAYER_LABELS:
                family.append(ex.Index(LAST, _LAYER_LABELS[index.letter]))
            elif base in self.table.layered or (
                base in _LABELLED_ABOVE and not index.offset and self._labels(index.letter)
            ):
                name += f"[{index}]"
            else:
                after.append(piece)
        elif (
            kind == "SUB"
            and base in _SIZE_NAMES
            and not components
            and base not in self.table.indexed
        ) or (
            base in self.table.labelled and index.letter not in self.table.components[self.block]
        ):
            name += f"[{index}]"
        elif base in ("I", "ones", "zeros", "bb 1", "bb I"):
            name = f"{_CONSTANTS[base].replace('1', 'ones').replace('0', 'zeros')}[{index}]"
        else:
            if base in self.table.summed_losses and name == base:
                name += "[each]"
            components.append(index)
        return name
