"""Sizes of arrays before they are numbers: which are the same, which are one.

Declarations and forward rows may identify sizes; then they are frozen, and a later row that needs two
frozen sizes to be equal is wrong in its dimensions. Frozen sizes become pairwise distinct primes, so
that an order or a transpose that is wrong cannot fit by accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

__all__ = ["ONE", "Dim", "DimensionMismatch", "Dims"]


class DimensionMismatch(Exception):
    """Two sizes that must be equal are not."""


class Dim:
    """One size. Two of them are the same size where `root` returns the same object."""

    __slots__ = ("frozen", "name", "parent", "size")

    def __init__(self, name: str, size: int | None = None, frozen: bool = False) -> None:
        self.name = name
        self.parent: Dim | None = None
        self.size = size
        self.frozen = frozen

    def root(self) -> Dim:
        """Return the size that stands for all that are equal to this one."""
        dim = self
        while dim.parent is not None:
            dim = dim.parent
        return dim

    def __repr__(self) -> str:
        root = self.root()
        return f"{root.name}={root.size}" if root.size else root.name

    @property
    def value(self) -> int:
        """The number that was given to this size."""
        size = self.root().size
        assert size is not None, f"{self.root().name} has no size yet"
        return size


ONE = Dim("1", 1, frozen=True)


class Dims:
    """All sizes of a document."""

    def __init__(self) -> None:
        self.all: list[Dim] = []
        self._trail: list[Dim] = []
        self._fixed: dict[int, Dim] = {}

    def fresh(self, name: str) -> Dim:
        """Return a new size."""
        dim = Dim(name)
        self.all.append(dim)
        return dim

    def fixed(self, size: int) -> Dim:
        """Return the size of an example written out in full, a number."""
        if size not in self._fixed:
            self._fixed[size] = Dim(str(size), size, frozen=True)
            self.all.append(self._fixed[size])
        return ONE if size == 1 else self._fixed[size]

    def unify(self, a: Dim, b: Dim) -> Dim:
        """Make two sizes the same and return it.

        Raises:
            DimensionMismatch: one is 1 and the other is not, or both are frozen.
        """
        a, b = a.root(), b.root()
        if a is b:
            return a
        if ONE in (a, b) or (a.frozen and b.frozen):
            raise DimensionMismatch(f"{a.name} is not {b.name}")
        if a.frozen:
            a, b = b, a
        a.parent = b
        self._trail.append(a)
        return b

    def same(self, a: Dim, b: Dim) -> bool:
        """Return whether two sizes are known to be the same."""
        return a.root() is b.root()

    def compatible(self, a: Dim, b: Dim) -> bool:
        """Return whether two sizes are the same or could be made so."""
        a, b = a.root(), b.root()
        return a is b or not (ONE in (a, b) or (a.frozen and b.frozen))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo every unification of the block if it raises."""
        mark = len(self._trail)
        try:
            yield
        except BaseException:
            while len(self._trail) > mark:
                self._trail.pop().parent = None
            raise

    def freeze(self) -> None:
        """Freeze every size that exists."""
        for dim in self.all:
            dim.root().frozen = True

    def assign(self, smallest: int = 2) -> None:
        """Give each size that has none the next free prime, from the smallest on."""
        taken = {dim.root().size for dim in self.all}
        primes = (p for p in _primes(smallest) if p not in taken)
        for dim in self.all:
            root = dim.root()
            if root.size is None:
                root.size = next(primes)

    def sizes(self) -> dict[str, int]:
        """Return the number of every size by its name."""
        return {dim.name: dim.value for dim in self.all if dim.parent is None and dim.size}


def _primes(smallest: int) -> Iterator[int]:
    for number in count(smallest):
        if all(number % k for k in range(2, int(number**0.5) + 1)):
            yield number
