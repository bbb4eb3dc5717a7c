"""What each row says: a declaration, a definition, a claim, an update, or nothing that is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.derivations import expressions as ex
from gradcheck.derivations import syntax
from gradcheck.derivations.resolve import Resolver
from gradcheck.derivations.rows import Row
from gradcheck.derivations.table import SymbolTable, name_of
from gradcheck.derivations.tokens import Token
from gradcheck.derivations.unread import NotUnderstood

__all__ = ["Statement", "read_statements"]


@dataclass
class Statement:
    """One thing that a row says.

    Attributes:
        kind: "declaration", "equation", "update", "aside" (an index range, a case, a label) or
            "unread"; what an equation is, a definition or a claim, is found by `model`.
        row: the number of the row.
        left, right: the two sides of an equation; of a declaration, the symbol and None.
        explicit: whether the sign says "is defined as" (`:=`).
        chain: the number of the chain of equal signs it belongs to; claims of one chain share their
            left side.
        previous: the side just before `right` in the chain, where that is not `left`.
        shape: the declared dimensions, as expressions or numbers.
        reason: why it is unread.
        verdict: "syntax" or "scope" where reading alone shows an error.
        signature: the arguments of a left side like `H(y, s)`.
    """

    kind: str
    row: int
    left: ex.Expression | None = None
    right: ex.Expression | None = None
    explicit: bool = False
    chain: int = 0
    previous: ex.Expression | None = None
    shape: tuple[ex.Expression | int | None, ...] = ()
    reason: str = ""
    verdict: str = ""
    signature: str = ""


def read_statements(rows: Sequence[Row], table: SymbolTable) -> list[Statement]:
    """Return the statements of all rows, in order."""
    reader = _Reader(table)
    for row in rows:
        reader.read(row)
    _find_intermediate(reader.out, rows)
    return reader.out


def _find_intermediate(statements: Sequence[Statement], rows: Sequence[Row]) -> None:
    """A gradient that a later row of the same formula changes (`dy = f'(y) dy`) is no claim yet."""
    changed = [
        (rows[s.row].block, s.row, s.left)
        for s in statements
        if s.kind == "update" and isinstance(s.left, ex.Derivative)
    ]
    for statement in statements:
        for block, row, left in changed:
            same = rows[statement.row].block == block and statement.left == left
            if statement.kind == "equation" and same and statement.row < row:
                statement.kind, statement.reason = "unread", "a value that a later row changes"


@dataclass(frozen=True)
class _Left:
    """The left side of a displayed row, for rows that go on with it in a display of their own."""

    section: int
    head: ex.Expression | None
    tail: ex.Expression | None
    problem: NotUnderstood | None
    signature: str


class _Reader:
    def __init__(self, table: SymbolTable) -> None:
        self.table = table
        self.out: list[Statement] = []
        self.chain = 0
        self.head: ex.Expression | None = None
        self.tail: ex.Expression | None = None
        self.head_problem: NotUnderstood | None = None
        self.block = -1
        self.signature = ""
        self.displayed: _Left | None = None

    def read(self, row: Row) -> None:
        if row.block != self.block:
            self._begin_block(row)
        if row.error:
            self.out.append(Statement("unread", row.number, reason=row.error, verdict="syntax"))
            self.head = self.displayed = None
            return
        resolver = Resolver(self.table, row.block)
        pending: list[syntax.Node] = []
        for item in row.items:
            for relations, sides in _pieces(item):
                if not relations:
                    pending.extend(side for side in sides if side is not None)
                    continue
                self._equation(row, resolver, list(relations), list(sides), pending)
                pending = []
        if row.display:
            self.displayed = _Left(
                row.section, self.head, self.tail, self.head_problem, self.signature
            )

    def _begin_block(self, row: Row) -> None:
        """Forget the left side, but where a displayed row goes on with the one displayed before."""
        goes_on = bool(row.items) and row.items[0].sides[0] is None and row.display
        before = self.displayed
        if goes_on and before is not None and before.section == row.section:
            self.head, self.tail = before.head, before.tail
            self.head_problem, self.signature = before.problem, before.signature
        else:
            self.head = self.tail = None
            self.head_problem = NotUnderstood("nothing stands left of the equal sign")
        self.block = row.block

    def _equation(
        self,
        row: Row,
        resolver: Resolver,
        relations: list[str],
        sides: list[syntax.Node | None],
        pending: list[syntax.Node],
    ) -> None:
        if _is_aside(relations, sides):
            self.out.append(Statement("aside", row.number, reason="names an index range or a case"))
            return
        if "in" in relations:
            place = relations.index("in")
            named = [s for s in sides[: place + 1] if s is not None and _is_name(s)] or sides[
                place : place + 1
            ]
            self._declaration(row, resolver, [*pending, *named[:1]], sides[place + 1])
            relations, sides = relations[:place], sides[: place + 1]
            if not relations:
                return
        if any(r in ("!=", "<=", ">=", "<", ">", "~", "propto") for r in relations):
            self.out.append(Statement("aside", row.number, reason="no equation"))
            return
        if "<-" in relations or "->" in relations:
            self._update(row, resolver, sides)
            return
        if sides[0] is not None and _is_label(sides[0], self.table):
            sides, relations = sides[1:], relations[1:]
            if len(sides) < 2:
                self._lone(row, resolver, sides)
                return
        if sides[-1] is None:
            sides, relations = sides[:-1], relations[:-1]
            if not relations:
                self._lone(row, resolver, sides)
                return
        start = 0
        if sides[0] is not None:
            self.chain += 1
            self.head, self.head_problem = self._resolved(row, resolver, sides[0])
            self.signature = _signature(sides[0], self.table)
            self.tail = self.head
            start = 1
            if isinstance(sides[0], syntax.Juxtaposed) and _is_step(sides[0]):
                self._update(row, resolver, sides)
                return
        for relation, side in zip(relations[max(start - 1, 0) :], sides[1:], strict=False):
            right, problem = self._resolved(row, resolver, side)
            right = _own_function(self.head, side, resolver) or right
            if right is None or self.head is None:
                self.out.append(_unread(row, problem or self.head_problem))
                self.tail = right
                continue
            kind = "update" if _is_update(self.head, right) else "equation"
            if (
                not row.display
                and isinstance(right, ex.Number)
                and isinstance(self.head, ex.Symbol)
            ):
                self.out.append(Statement("aside", row.number, reason="names a case"))
                continue
            previous = self.tail if self.tail is not self.head else None
            self.out.append(
                Statement(
                    kind,
                    row.number,
                    self.head,
                    right,
                    relation == ":=",
                    self.chain,
                    previous,
                    signature=self.signature,
                )
            )
            self.tail = right

    def _lone(self, row: Row, resolver: Resolver, sides: Sequence[syntax.Node | None]) -> None:
        """An expression with a caption, `Output = f(Wx + b)`."""
        right, problem = self._resolved(row, resolver, sides[-1] if sides else None)
        if right is None:
            self.out.append(_unread(row, problem))
        else:
            self.out.append(Statement("aside", row.number, None, right, reason="a caption"))
            self.head = self.tail = right

    def _update(self, row: Row, resolver: Resolver, sides: Sequence[syntax.Node | None]) -> None:
        left, problem = self._resolved(row, resolver, _target(sides[0]))
        right, other = self._resolved(row, resolver, _without_time(sides[-1]))
        if left is None or right is None:
            self.out.append(_unread(row, problem or other))
        elif isinstance(left, ex.Symbol):
            self.out.append(Statement("update", row.number, left, right))
        else:
            self.out.append(Statement("aside", row.number, reason="an arrow between expressions"))

    def _declaration(
        self,
        row: Row,
        resolver: Resolver,
        sides: Sequence[syntax.Node | None],
        space: syntax.Node | None,
    ) -> None:
        shape = _shape(space, resolver)
        if shape is None:
            self.out.append(
                Statement("aside", row.number, reason="says to what set something belongs")
            )
            return
        for side in sides:
            symbol, problem = self._resolved(row, resolver, side)
            if isinstance(symbol, ex.Symbol) or (
                symbol is not None
                and isinstance(symbol, ex.Transposed | ex.Derivative | ex.Product)
            ):
                self.out.append(Statement("declaration", row.number, symbol, shape=shape))
            elif isinstance(symbol, ex.Known):
                self.out.append(Statement("aside", row.number, reason="declares a constant"))
            else:
                self.out.append(_unread(row, problem or NotUnderstood("declares no symbol")))

    def _resolved(
        self, row: Row, resolver: Resolver, side: syntax.Node | None
    ) -> tuple[ex.Expression | None, NotUnderstood | None]:
        try:
            return resolver.expression(side), None
        except NotUnderstood as problem:
            return None, problem
        except RecursionError:
            return None, NotUnderstood(f"line {row.line} nests too deeply")


def _unread(row: Row, problem: NotUnderstood | None) -> Statement:
    assert problem is not None
    return Statement("unread", row.number, reason=str(problem), verdict=problem.verdict)


def _signature(side: syntax.Node, table: SymbolTable) -> str:
    """Return the arguments that a left side names, `y,s` for `H(y, s)`."""
    if not isinstance(side, syntax.Juxtaposed) or name_of(side.factors[0]) not in table.called:
        return ""
    bracket = side.factors[-1]
    if not isinstance(bracket, syntax.Bracket):
        return ""
    return ",".join(str(name_of(s)) for item in bracket.items for s in item.sides if s is not None)


def _own_function(
    head: ex.Expression | None, side: syntax.Node | None, resolver: Resolver
) -> ex.Expression | None:
    """`L = L(a)` says that L is some function of a."""
    if not (isinstance(head, ex.Symbol) and isinstance(side, syntax.Juxtaposed)):
        return None
    name, bracket = name_of(side.factors[0]), side.factors[-1]
    if name != head.name or len(side.factors) != 2 or not isinstance(bracket, syntax.Bracket):
        return None
    try:
        arguments = tuple(resolver.expression(item.sides[0]) for item in bracket.items)
    except NotUnderstood:
        return None
    return ex.Call(ex.Symbol(name), 0, arguments)


def _is_name(side: syntax.Node) -> bool:
    return name_of(side.base if isinstance(side, syntax.Scripted) else side) is not None


def _pieces(item: syntax.Item) -> list[tuple[tuple[str, ...], tuple[syntax.Node | None, ...]]]:
    """Split an item at implication arrows; an arrow between two equations is one as well."""
    arrows = [k for k, r in enumerate(item.relations) if r == "=>"]
    plain = [k for k, r in enumerate(item.relations) if r == "->"]
    if plain and any(r == "=" for r in item.relations):
        arrows = sorted([*arrows, *plain])
    out = []
    start = 0
    for arrow in [*arrows, len(item.relations)]:
        relations, sides = item.relations[start:arrow], item.sides[start : arrow + 1]
        if not (len(sides) == 1 and sides[0] is None):
            out.append((relations, sides))
        start = arrow + 1
    return out


def _is_aside(relations: Sequence[str], sides: Sequence[syntax.Node | None]) -> bool:
    """An index range (`k = 1, ..., N`) or a case (`i = j`) is no equation."""
    if len(sides) != 2 or relations[0] != "=":
        return False
    left, right = sides
    if not (isinstance(left, syntax.Leaf) and left.kind == "NAME" and len(left.text) == 1):
        return False
    if left.text not in "ijklmnt":
        return False
    if isinstance(right, syntax.Leaf):
        return right.kind == "NUM" or (right.kind == "NAME" and len(right.text) == 1)
    return isinstance(right, syntax.Scripted) and right.base != left and name_of(right.base) == "y"


def _is_label(side: syntax.Node, table: SymbolTable) -> bool:
    """A word in front of an equal sign captions what follows."""
    if isinstance(side, syntax.Leaf) and side.kind in ("WORD", "TEXT"):
        return side.text not in table.functions | table.words
    if isinstance(side, syntax.Juxtaposed):
        return all(isinstance(f, syntax.Leaf) and f.kind in ("WORD", "TEXT") for f in side.factors)
    return False


def _is_step(side: syntax.Juxtaposed) -> bool:
    """`W(t+1)` on a left side is the next value of W."""
    bracket = side.factors[-1]
    if len(side.factors) != 2 or not isinstance(bracket, syntax.Bracket) or len(bracket.items) != 1:
        return False
    inner = bracket.items[0].sides[0]
    return (
        isinstance(inner, syntax.Summed)
        and len(inner.terms) == 2
        and isinstance(inner.terms[1], syntax.Leaf)
        and inner.terms[1].kind == "NUM"
    )


def _target(side: syntax.Node | None) -> syntax.Node | None:
    if isinstance(side, syntax.Juxtaposed) and _is_step(side):
        return side.factors[0]
    return side


def _without_time(side: syntax.Node | None) -> syntax.Node | None:
    """Drop `(t)` behind a name."""
    match side:
        case syntax.Juxtaposed(factors, slashes):
            last = factors[-1]
            timed = (
                len(factors) == 2
                and isinstance(last, syntax.Bracket)
                and len(last.items) == 1
                and isinstance(last.items[0].sides[0], syntax.Leaf)
                and last.items[0].sides[0].text == "t"
            )
            return factors[0] if timed else syntax.Juxtaposed(factors, slashes)
        case syntax.Summed(signs, terms):
            return syntax.Summed(signs, tuple(_without_time(t) or t for t in terms))
    return side


def _is_update(left: ex.Expression, right: ex.Expression) -> bool:
    """`W = W - alpha dE/dW` changes W; it is no equation."""
    if isinstance(left, ex.Symbol) and isinstance(right, ex.Plus):
        return any(term == left for term in right.terms)
    if isinstance(left, ex.Derivative):
        return any(node == left for node in _nodes(right))
    return False


def _nodes(expression: ex.Expression) -> list[ex.Expression]:
    return [expression, *(n for part in ex.children(expression) for n in _nodes(part))]


def _shape(
    space: syntax.Node | None, resolver: Resolver
) -> tuple[ex.Expression | int | None, ...] | None:
    """Return the dimensions of `\\mathbb R^{n \\times m}`, or None where it is another set."""
    if isinstance(space, syntax.Leaf) and space.text in ("bb R", "R"):
        return ()
    if not (isinstance(space, syntax.Scripted) and isinstance(space.base, syntax.Leaf)):
        return None
    if space.base.text not in ("bb R", "R"):
        return None
    tokens = [t for script in space.scripts if script.kind == "SUP" for t in script.inner]
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.kind in ("LP", "LBRACE")) - (token.kind in ("RP", "RBRACE"))
        if depth == 0 and (
            (token.kind == "MUL" and token.text in ("times", "star", "cdot")) or token.kind == "SEP"
        ):
            parts.append([])
        else:
            parts[-1].append(token)
    out: list[ex.Expression | int | None] = []
    for part in parts:
        if len(part) == 1 and part[0].kind == "NUM" and part[0].text.isdigit():
            out.append(1 if part[0].text == "1" else int(part[0].text))
            continue
        try:
            found = resolver.tokens(part)
        except NotUnderstood:
            out.append(None)
            continue
        out.append(found if isinstance(found, ex.Symbol) else None)
    return tuple(out)
