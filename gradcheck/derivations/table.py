"""The symbol table, and what names, scripts and index lists look like in a syntax tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradcheck.derivations import syntax

__all__ = [
    "CLASS_LETTERS",
    "COMPONENT_LETTERS",
    "FUNCTIONS",
    "LAST",
    "USUAL_FUNCTIONS",
    "USUAL_LOSSES",
    "SymbolTable",
    "array_index",
    "base_of",
    "bound_letters",
    "is_sum",
    "name_of",
    "scripts_of",
    "sub_nodes",
]

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
        "prod",
    ]
)
"""Words that are functions wherever they stand."""

LAST = "@"
"""The index letter that stands for the last layer where a document labels it `o`."""

USUAL_FUNCTIONS = frozenset(["f", "g", "h", "F", "sigma", "phi", "psi", "varphi", "s", "Sigma"])
"""Letters that are functions where a bracket follows, unless the document defines them as a value."""

USUAL_LOSSES = frozenset(["J", "L", "E", "C", "cal J", "cal L", "cal E", "cal C", "ell", "loss"])
"""Names of losses, of which `dX` is the gradient where no row writes a derivative in full."""

CLASS_LETTERS = frozenset(["y", "c"])
"""Letters that may name the class of an example, as in `log p_y`."""

COMPONENT_LETTERS = frozenset("ijklmnpqrstuv")
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
        words: names of more than one letter that a row defines: `dout` is the gradient by `out`.
        shorthand: whether `dX` stands for the gradient by X.
        called: names written once with their variables, as `C(W, b)`.
        matrices, vectors: names that occur with two, with one component index.
        labelled: names whose single subscript letters are labels (`W_f`, `W_o`), not components.
        label_runs: runs of letters that label one thing (`hh` in `W_{hh}`), and are no indices.
        ranks: for (name, whether it has a family index), the numbers of component indices seen.
        classes: letters that name one class (`y` in `log p_y`): one fixed component.
        stated_classes: those of which a row says whether an index is it (`k = y`): the next rows are a case.
        samples: letters that count the examples of a batch (`sum_x C_x`).
        per_sample: names that keep such a letter as a label, beside the same name without it.
        summed_losses: losses that are the sum of others of their name, `L = sum_i L_i`.
        distributions: names whose elements sum to one.
        counted, layered: names with a family index below, above.
        displays: whether a display `W = (w_11 ... w_nm)` says that w_jk is an element of W.
        entries: names whose numbered members fill a matrix, and are numbers.
        displayed: the arrays whose elements names with indices are, by those names.
        numbered_above: names with a layer or step above, without brackets, that a row numbers `a^0` or `a^1`.
        stacked: names of which each member of an index is a vector (`x_i` in `w^T x_i`): rows of a matrix.
        indexed: names that a row defines component by component (`n_i = x_i / s`).
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
    words: set[str] = field(default_factory=set)
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
    label_runs: set[str] = field(default_factory=set)
    ranks: dict[tuple[str, bool], set[int]] = field(default_factory=lambda: defaultdict(set))
    classes: set[str] = field(default_factory=set)
    stated_classes: set[str] = field(default_factory=set)
    samples: set[str] = field(default_factory=set)
    per_sample: set[str] = field(default_factory=set)
    summed_losses: set[str] = field(default_factory=set)
    distributions: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    layered: set[str] = field(default_factory=set)
    numbered_above: set[str] = field(default_factory=set)
    arrays: bool = False
    entries: set[str] = field(default_factory=set)
    displayed: dict[str, str] = field(default_factory=dict)
    displays: bool = True
    stacked: set[str] = field(default_factory=set)
    indexed: set[str] = field(default_factory=set)
    loss: str | None = None
    notes: list[str] = field(default_factory=list)

    def numbered_family(self, name: str) -> bool:
        """Return whether numbers under a name count members of its family (`x_0` beside `x_i`)."""
        return name in self.counted

    def is_family(self, letter: str, block: int) -> bool:
        """Return whether a letter counts layers or steps in this block, not components."""
        if letter in self.last_letters or letter in self.shifted[block]:
            return True
        if letter == "t" and letter in self.family_letters:
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
        case syntax.Array(entry, diagonal):
            yield from sub_nodes(entry)
            yield from sub_nodes(diagonal)
        case syntax.Juxtaposed(factors, _) | syntax.Multiplied(_, factors):
            for factor in factors:
                yield from sub_nodes(factor)
        case syntax.Summed(_, terms):
            for term in terms:
                yield from sub_nodes(term)


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


def array_index(left: syntax.Node, right: syntax.Node) -> list[str]:
    """Return the letters of `right` where it is an index list `[i,j]` behind a name, else []."""
    base = left.base if isinstance(left, syntax.Scripted) else left
    if name_of(base) is None or not isinstance(right, syntax.Bracket) or right.sign != "[":
        return []
    letters = []
    for item in right.items:
        side = item.sides[0] if len(item.sides) == 1 else None
        own = side.base if isinstance(side, syntax.Scripted) and name_of(side.base) == "y" else side
        if not (isinstance(own, syntax.Leaf) and own.kind == "NAME" and len(own.text) == 1):
            return []
        letters.append(own.text)
    return letters


def base_of(node: syntax.Node) -> syntax.Node:
    return node.base if isinstance(node, syntax.Scripted) else node


def is_sum(node: syntax.Node) -> bool:
    """Return whether a node is the sign of a sum or a product."""
    return isinstance(node, syntax.Leaf) and node.kind == "SUM"
