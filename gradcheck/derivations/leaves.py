"""Leaves: symbols that are given, what they are, and their sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.collecting import Collecting
from gradcheck.derivations.core import Core
from gradcheck.derivations.dims import ONE, Dim, Dims
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Value

__all__ = ["LeafKey", "Leaves"]

_GREEK_SCALARS = frozenset(
    {"alpha", "beta", "gamma", "epsilon", "eta", "lambda", "theta", "mu", "sigma", "rho", "tau"}
    | {"kappa", "nu"}
)

SMALLEST_MEAN = 3
"""The smallest size where sizes are divided by: a vector of two elements that is normalised by its mean and
deviation is constant, and every gradient by it zero."""

LeafKey = tuple[str, tuple[int, ...], int]


class Leaves(Collecting):
    """Sizes and numbers of given symbols."""

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

    @property
    def vector(self) -> str:
        """What a vector is that is known to be one: "column" or "row"."""
        return "row" if self.orientation == "row" else "column"

    def kind(self, name: str, member: tuple[int, ...] = ()) -> str:
        """Return what a leaf is: "scalar", "column", "row" or "matrix"."""
        named = self.kinds.get(f"{name}^" if member else name, self.table.kinds.get(name))
        if named is not None:
            return named
        if name in self.table.stacked and not member:
            return "matrix"
        base = name.split("[")[0].rstrip("'*").split(" ")[-1]
        if "[" in name and base in ("d", "n", "m", "N", "M", "D"):
            return "scalar"
        for shown in (name, base):
            ranks = self.table.ranks.get((shown, bool(member)))
            if ranks:
                return "matrix" if max(ranks) == 2 else self.vector
        if (
            (member and name in self.table.entries)
            or name in self.count_names
            or any(key[0] == name for key in self.counts)
        ):
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

    def leaf(self, name: str, member: tuple[int, ...], interpreter: Core) -> Value:
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
        if name in self.member_counts and not member:
            return interpreter.number(self.depth)
        key = (name, member, 0)
        if key not in self.leaves:
            if interpreter.numeric:
                raise NotUnderstood(f"the size of {name} is not known")
            self.leaves[key] = self._new_leaf(name, member)
        return self._filled(key, interpreter)

    def _filled(self, key: LeafKey, interpreter: Core) -> Value:
        value = self.leaves[key]
        if not interpreter.numeric:
            return value
        return Value(value.axes, value.rows, value.cols, self.numbers[key])

    def _new_leaf(self, name: str, member: tuple[int, ...]) -> Value:
        spelled = ex.member_name(name, member)
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
                spelled = ex.member_name(part.name, tuple(member))
                self.count_dims[key] = self.dims.fresh(spelled)
            return self.count_dims[key]
        return self.dims.fresh(f"a size of {name}")

    def argument(self, name: str, interpreter: Core) -> Value:
        """Return a number that stands for any argument of a function."""
        key = (f"{name}:argument", (), 0)
        self.leaves.setdefault(key, Value((), ONE, ONE))
        return self._filled(key, interpreter)

    def upstream(self, place: str, like: Value, interpreter: Core) -> Value:
        """Return an upstream gradient of which nothing is known, of the sizes of an array."""
        key = (f"upstream:{place}", (), 0)
        self.leaves.setdefault(key, Value((), like.rows, like.cols))
        return self._filled(key, interpreter)

    def parameters(self, name: str, member: tuple[int, ...]) -> list[Any]:
        """Return the four parameters of the generic function of a name (numbers 1 x 1)."""
        out = []
        for letter in "abcd":
            key = (f"{name}:{letter}", member, 0)
            self.leaves.setdefault(key, Value((), ONE, ONE))
            out.append(self.numbers.get(key))
        return out

    def arbitrary(self, name: str, arguments: Sequence[Value | None], interpreter: Core) -> Value:
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
        self.dims.assign(SMALLEST_MEAN if self.counts else 2)
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
