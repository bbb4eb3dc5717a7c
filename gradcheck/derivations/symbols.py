"""The symbol table of a document: what each letter is, inferred from how it is used.

The table is printed with every report, and an author overrides it with a comment
`<!-- gradcheck: ... -->` (see `directives`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gradcheck.derivations import syntax
from gradcheck.derivations.rows import Row
from gradcheck.derivations.scripts import Piece, pieces
from gradcheck.derivations.tokens import Token

__all__ = ["FUNCTIONS", "LAST", "SymbolTable", "infer", "name_of", "sub_nodes"]

FUNCTIONS = frozenset(
    [
        "softmax",
        "Softmax",
        "exp",
        "log",
        "ln",
        "tanh",
        "sinh",
        "cosh",
        "sigmoid",
        "relu",
        "ReLU",
        "ReLu",
        "RELU",
        "Relu",
        "diag",
        "Diag",
        "tr",
        "Tr",
        "trace",
        "sin",
        "cos",
        "tan",
        "max",
        "min",
        "softplus",
        "sum",
        "mean",
        "sqrt",
        "norm",
        "var",
        "vec",
        "erf",
        "gelu",
        "silu",
        "sgn",
        "arctan",
        "sec",
        "csc",
        "cot",
        "det",
    ]
)
"""Words that are functions wherever they stand."""

LAST = "@"
"""The index letter that stands for the last layer where a document labels it `o`."""

_USUAL_FUNCTIONS = frozenset(["f", "g", "h", "F", "sigma", "phi", "psi", "varphi", "s", "Sigma"])
"""Letters that are functions where a bracket follows, unless the document defines them as a value."""

_COMPONENT_LETTERS = frozenset("ijklmnpqrstuv")
"""Letters that count components where nothing else says what they are."""


@dataclass
class SymbolTable:
    """What the document's letters are.

    Attributes:
        functions: names that are applied to arguments.
        family_letters: index letters that count layers or time steps.
        last_letters: those of them that name the last member (`L` beside `l`).
        components: for each block, the letters that count components there.
        shifted: for each block, the letters that occur with a shift (`l-1`) or in brackets.
        shorthand: whether `dX` stands for the gradient by X.
        called: names written once with their variables, as `C(W, b)`.
        matrices, vectors: names that occur with two, with one component index.
        labelled: names whose single subscript letters are labels (`W_f`, `W_o`), not components.
        ranks: for (name, whether it has a family index), the numbers of component indices seen.
        samples: letters that count the examples of a batch (`sum_x C_x`).
        per_sample: names that keep such a letter as a label, beside the same name without it.
        distributions: names whose elements sum to one.
        counted, layered: names with a family index below, above.
        kinds: what the author says of leaves: "scalar", "column", "row" or "matrix".
        signs: what the author says of multiplication signs: "hadamard" or "matmul".
        aliases: names that stand for other symbols, with the reason.
        sizes: names of counts that the author ties to an index letter.
        loss: the quantity that is differentiated most, or None.
        notes: sentences about what was inferred, for the report.
    """

    functions: set[str] = field(default_factory=set)
    family_letters: set[str] = field(default_factory=set)
    last_letters: set[str] = field(default_factory=set)
    components: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    shifted: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    shorthand: bool = False
    called: set[str] = field(default_factory=set)
    matrices: set[str] = field(default_factory=set)
    vectors: set[str] = field(default_factory=set)
    numbered: set[str] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    signs: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)
    ranks: dict[tuple[str, bool], set[int]] = field(default_factory=lambda: defaultdict(set))
    samples: set[str] = field(default_factory=set)
    per_sample: set[str] = field(default_factory=set)
    distributions: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    layered: set[str] = field(default_factory=set)
    arrays: bool = False
    loss: str | None = None
    notes: list[str] = field(default_factory=list)

    def numbered_family(self, name: str) -> bool:
        """Return whether numbers under a name count members of its family (`x_0` beside `x_i`)."""
        return name in self.counted

    def is_family(self, letter: str, block: int) -> bool:
        """Return whether a letter counts layers or steps in this block, not components."""
        if letter in self.last_letters or letter in self.shifted[block]:
            return True
        return letter in self.family_letters and letter not in self.components[block]


def name_of(node: syntax.Node) -> str | None:
    """Return the name of a symbol without scripts, or None where the node is no name."""
    match node:
        case syntax.Leaf(token) if token.kind in ("NAME", "WORD"):
            return token.text
        case syntax.Accented(accent, body):
            inner = body.base if isinstance(body, syntax.Scripted) else body
            name = name_of(inner)
            return None if name is None else f"{accent} {name}"
        case syntax.Scripted(base, scripts) if all(s.kind == "PRIME" for s in scripts):
            return name_of(base)
    return None


def scripts_of(node: syntax.Node) -> tuple[syntax.Script, ...]:
    """Return the scripts of a symbol, those under its accent included."""
    match node:
        case syntax.Scripted(base, scripts):
            return (*scripts_of(base), *scripts)
        case syntax.Accented(_, body):
            return scripts_of(body)
    return ()


def sub_nodes(node: syntax.Node | None) -> Iterator[syntax.Node]:
    """Yield a node and everything below it, scripts left out."""
    if node is None:
        return
    yield node
    match node:
        case syntax.Scripted(base, _):
            yield from sub_nodes(base)
        case syntax.Accented(_, body) | syntax.Norm(_, body) | syntax.Root(body):
            yield from sub_nodes(body)
        case syntax.Bracket(_, items):
            for item in items:
                for side in item.sides:
                    yield from sub_nodes(side)
        case syntax.Fraction_(above, below):
            yield from sub_nodes(above)
            yield from sub_nodes(below)
        case syntax.Table(_, rows):
            for row in rows:
                for cell in row:
                    yield from sub_nodes(cell)
        case syntax.Juxtaposed(factors, _) | syntax.Multiplied(_, factors):
            for factor in factors:
                yield from sub_nodes(factor)
        case syntax.Summed(_, terms):
            for term in terms:
                yield from sub_nodes(term)


def infer(rows: Sequence[Row]) -> SymbolTable:
    """Return the symbol table of a document."""
    table = SymbolTable()
    table.last_letters.add(LAST)
    for row in rows:
        for node in _row_nodes(row):
            _note_indices(node, row.block, table)
    _choose_last_letters(rows, table)
    _find_samples(rows, table)
    _find_functions(rows, table)
    _find_called(rows, table)
    _find_shorthand(rows, table)
    _find_ranks(rows, table)
    return table


def _row_nodes(row: Row) -> Iterator[syntax.Node]:
    for item in row.items:
        for side in item.sides:
            yield from sub_nodes(side)


def _script_pieces(node: syntax.Node) -> Iterator[tuple[str, list[Piece]]]:
    for script in scripts_of(node):
        if script.kind != "PRIME":
            yield script.kind, pieces(script.inner, script.kind == "SUP")


def bound_letters(script: syntax.Script) -> tuple[list[str], bool]:
    """Return the letters that a sum's subscript binds, and whether they range over a set."""
    tokens = [token for token in script.inner if token.kind not in ("LBRACE", "RBRACE")]
    over_set = any(token.kind == "REL" and token.text == "in" for token in tokens)
    over_set |= any(token.text == "forall" for token in tokens)
    letters = []
    for token in tokens:
        if token.kind == "REL":
            break
        if token.kind == "NAME" and (len(token.text) == 1 or token.text == "ell"):
            letters.append(token.text)
    return letters, over_set


def _note_indices(node: syntax.Node, block: int, table: SymbolTable) -> None:
    if not isinstance(node, syntax.Scripted):
        _note_array_index(node, block, table)
        return
    if isinstance(node.base, syntax.Leaf) and node.base.kind == "SUM":
        for script in node.scripts:
            if script.kind == "SUB":
                table.components[block].update(bound_letters(script)[0])
        return
    name = name_of(node.base)
    if name is None or name in ("e", "exp"):
        return
    for kind, found in _script_pieces(node):
        letters = [p.index for p in found if p.kind == "index" and p.index and p.index.letter]
        for piece in found:
            index = piece.index
            if piece.kind != "index" or index is None or index.letter is None:
                continue
            if (piece.bracketed and kind == "SUP") or index.offset:
                table.family_letters.add(index.letter)
                table.shifted[block].add(index.letter)
        if kind == "SUB" and len(letters) > 1:
            table.components[block].update(i.letter for i in letters if i.letter)


def _note_array_index(node: syntax.Node, block: int, table: SymbolTable) -> None:
    """`X[i,p]` has component indices."""
    if not isinstance(node, syntax.Juxtaposed):
        return
    for left, right in zip(node.factors, node.factors[1:], strict=False):
        letters = array_index(left, right)
        if letters and len(letters) > 1:
            table.arrays = True
            table.components[block].update(letters)


def array_index(left: syntax.Node, right: syntax.Node) -> list[str]:
    """Return the letters of `right` where it is an index list `[i,j]` behind a name, else []."""
    base = left.base if isinstance(left, syntax.Scripted) else left
    if name_of(base) is None or not isinstance(right, syntax.Bracket) or right.sign != "[":
        return []
    letters = []
    for item in right.items:
        side = item.sides[0] if len(item.sides) == 1 else None
        if not (isinstance(side, syntax.Leaf) and side.kind == "NAME" and len(side.text) == 1):
            return []
        letters.append(side.text)
    return letters


def _choose_last_letters(rows: Sequence[Row], table: SymbolTable) -> None:
    """A capital beside a small family letter names the last member: `x_L` beside `x_i`."""
    slots: dict[tuple[str, str], set[str]] = defaultdict(set)
    rising: set[str] = set()
    for row in rows:
        for node in _row_nodes(row):
            name = name_of(node.base) if isinstance(node, syntax.Scripted) else None
            if name is None:
                continue
            for kind, found in _script_pieces(node):
                for piece in found:
                    if piece.kind == "index" and piece.index and piece.index.letter:
                        slots[name, kind].add(piece.index.letter)
                        if piece.index.offset > 0:
                            rising.add(piece.index.letter)
    for letters in slots.values():
        if letters & table.family_letters:
            for letter in letters:
                small = letter == "L" or letter.lower() in table.family_letters
                if letter.isupper() and letter not in rising and small and letter != "T":
                    table.last_letters.add(letter)
    table.last_letters |= {x for x in table.family_letters if x.isupper() and x not in rising}
    small = table.family_letters - table.last_letters
    if not small and table.last_letters:
        table.family_letters |= table.last_letters
    table.family_letters |= table.last_letters


def _find_functions(rows: Sequence[Row], table: SymbolTable) -> None:
    applied: Counter[str] = Counter()
    primed: set[str] = set()
    words: set[str] = set()
    defined: set[str] = set()
    for row in rows:
        for item in row.items:
            for place, side in enumerate(item.sides):
                if place < len(item.sides) - 1 and side is not None:
                    own = side.base if isinstance(side, syntax.Scripted) else side
                    name = name_of(own)
                    if name is not None and item.relations and item.relations[0] in ("=", ":="):
                        defined.add(name)
        for node in _row_nodes(row):
            factors = node.factors if isinstance(node, syntax.Juxtaposed) else ()
            for left, right in zip(factors, factors[1:], strict=False):
                name = name_of(left.base if isinstance(left, syntax.Scripted) else left)
                if (
                    name
                    and isinstance(right, syntax.Bracket)
                    and right.sign in "([{"
                    and not array_index(left, right)
                ):
                    applied[name] += 1
                    if isinstance(left, syntax.Leaf) and left.kind == "WORD":
                        words.add(name)
                    scripts = left.scripts if isinstance(left, syntax.Scripted) else ()
                    if any(script.kind == "PRIME" for script in scripts):
                        primed.add(name)
    for name in applied:
        usual = name in _USUAL_FUNCTIONS and name not in defined
        if name in FUNCTIONS or name in primed or usual or name in words:
            if name not in defined or name in FUNCTIONS:
                table.functions.add(name)


def _find_samples(rows: Sequence[Row], table: SymbolTable) -> None:
    """A sum over a letter that no array is indexed with (`x`, `e`) runs over examples."""
    for row in rows:
        for node in _row_nodes(row):
            if isinstance(node, syntax.Scripted) and isinstance(node.base, syntax.Leaf):
                if node.base.kind == "SUM":
                    for script in node.scripts:
                        letters, over_set = (
                            bound_letters(script) if script.kind == "SUB" else ([], False)
                        )
                        if len(letters) == 1 and (over_set or letters[0] not in _COMPONENT_LETTERS):
                            table.samples.update(letters if not over_set else [])
                            if letters[0] not in _COMPONENT_LETTERS:
                                table.samples.update(letters)
    for row in rows:
        for item in row.items:
            head = item.sides[0]
            name = name_of(_base(head)) if head is not None else None
            inner = [n for side in item.sides[1:] for n in sub_nodes(side)]
            if name and len(item.sides) > 1 and not scripts_of(head or item.sides[1]):  # type: ignore[arg-type]
                if any(isinstance(n, syntax.Scripted) and name_of(n.base) == name for n in inner):
                    table.per_sample.add(name)


def _find_called(rows: Sequence[Row], table: SymbolTable) -> None:
    """`C(W, b) = ...` names the variables of C once; elsewhere C stands bare."""
    bare: set[str] = set()
    for row in rows:
        for item in row.items:
            for side in item.sides:
                for node in sub_nodes(side):
                    parts = (node.above,) if isinstance(node, syntax.Fraction_) else (node,)
                    for part in parts:
                        factors = part.factors if isinstance(part, syntax.Juxtaposed) else ()
                        bare.update(name_of(_base(f)) or "" for f in factors[-1:])
            head = item.sides[0]
            bare.add(name_of(_base(head)) or "" if head is not None else "")
    for row in rows:
        for item in row.items:
            head = item.sides[0]
            if (
                len(item.sides) < 2
                or not isinstance(head, syntax.Juxtaposed)
                or len(head.factors) != 2
            ):
                continue
            name, bracket = name_of(_base(head.factors[0])), head.factors[1]
            named = isinstance(bracket, syntax.Bracket) and bracket.sign == "("
            if name and named and name in bare and not array_index(*head.factors):
                table.called.add(name)
                table.functions.discard(name)


def _base(node: syntax.Node) -> syntax.Node:
    return node.base if isinstance(node, syntax.Scripted) else node


def _find_shorthand(rows: Sequence[Row], table: SymbolTable) -> None:
    """`dW = ...` on a left side makes `dX` the gradient by X throughout."""
    for row in rows:
        for item in row.items:
            side = item.sides[0]
            if (
                len(item.sides) > 1
                and isinstance(side, syntax.Juxtaposed)
                and len(side.factors) == 2
            ):
                first, second = side.factors
                base = second.base if isinstance(second, syntax.Scripted) else second
                head = isinstance(first, syntax.Leaf) and first.text == "d"
                if head and name_of(base) is not None and not any(side.slashes):
                    table.shorthand = True
    numerators: Counter[str] = Counter()
    for row in rows:
        for node in _row_nodes(row):
            above = node.above if isinstance(node, syntax.Fraction_) else None
            if isinstance(above, syntax.Juxtaposed) and len(above.factors) == 2:
                head, name = above.factors[0], name_of(above.factors[1])
                if isinstance(head, syntax.Leaf) and head.text in ("partial", "d") and name:
                    numerators[name] += 1
    if numerators:
        table.loss = numerators.most_common(1)[0][0]
    if table.shorthand and (table.loss is None or not table.loss.split(" ")[-1][0].isupper()):
        table.loss = "loss"


def _find_ranks(rows: Iterable[Row], table: SymbolTable) -> None:
    for row in rows:
        for node in _row_nodes(row):
            if isinstance(node, syntax.Juxtaposed):
                for left, right in zip(node.factors, node.factors[1:], strict=False):
                    found = array_index(left, right)
                    name = name_of(left.base if isinstance(left, syntax.Scripted) else left)
                    if found and name and table.arrays:
                        (table.matrices if len(found) == 2 else table.vectors).add(name)
                        table.ranks[name, bool(scripts_of(left))].add(len(found))
            if not isinstance(node, syntax.Scripted | syntax.Accented):
                continue
            base = node.base if isinstance(node, syntax.Scripted) else node
            name = name_of(base)
            if name is None:
                continue
            count = 0
            for kind, found in _script_pieces(node):
                for piece in found:
                    index = piece.index
                    if (
                        piece.kind == "index"
                        and index
                        and (
                            piece.bracketed
                            or (index.letter and table.is_family(index.letter, row.block))
                        )
                    ):
                        (table.counted if kind == "SUB" else table.layered).add(name)
                    if piece.kind == "index" and index and index.letter and kind == "SUB":
                        count += not table.is_family(index.letter, row.block)
                    elif piece.kind == "index" and index and kind == "SUB":
                        table.numbered.add(name)
            single = [
                piece.index.letter
                for kind, found in _script_pieces(node)
                for piece in found
                if kind == "SUB"
                and piece.kind == "index"
                and piece.index
                and piece.index.letter
                and not piece.index.offset
            ]
            if len(single) == 1 and single[0] not in _COMPONENT_LETTERS | table.family_letters:
                table.labelled.add(name)
            layered = any(
                piece.kind == "index"
                and piece.index is not None
                and (
                    piece.bracketed
                    or (
                        piece.index.letter is not None
                        and table.is_family(piece.index.letter, row.block)
                    )
                )
                for _, found in _script_pieces(node)
                for piece in found
            )
            labels = name in table.labelled or (single and single[0] in table.samples)
            if count and not (count == 1 and labels):
                table.ranks[name, layered].add(min(count, 2))
            if count == 1:
                table.vectors.add(name)
            elif count == 2:
                table.matrices.add(name)


def tokens_text(tokens: Sequence[Token]) -> str:
    """Return a readable spelling of tokens."""
    return "".join(token.text for token in tokens)
