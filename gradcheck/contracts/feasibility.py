"""Which sizes a contract allows: every dimension that is an expression must have at least size 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gradcheck.contracts import expressions
from gradcheck.contracts.expressions import Expression

__all__ = ["LARGEST_SIZE", "Requirement", "SizeProblem"]

LARGEST_SIZE = 64
"""The largest size tried for a name: larger arrays show no further fault and cost seconds a point."""

SEARCH_STEPS = 20_000
"""Assignments tried before a search for sizes gives up: all pairs of sizes, and a tenth of a second."""


@dataclass(frozen=True)
class Requirement:
    """An expression that must be at least 1, and the text that it comes from."""

    expression: Expression
    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names it depends on."""
        return expressions.names(self.expression)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Say whether it holds, or cannot be told yet because a name has no size."""
        try:
            return expressions.evaluate(self.expression, sizes) >= 1
        except KeyError:
            return True
        except ZeroDivisionError:
            return False


@dataclass(frozen=True)
class SizeProblem:
    """The names that need a size, what the sizes must satisfy, and the arguments that are sizes too.

    Attributes:
        names: the names, in the order in which they get their sizes.
        requirements: the expressions that must be at least 1.
        arguments: the whole-number values of each argument that expressions use, such as a stride.
    """

    names: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()
    arguments: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def allowed(self, name: str, known: Mapping[str, int]) -> Iterator[int]:
        """Yield the values of `name`, smallest first, that no requirement excludes so far."""
        own = [item for item in self.requirements if name in item.names]
        for size in self.arguments.get(name, range(1, LARGEST_SIZE + 1)):
            if all(item.holds({**known, name: size}) for item in own):
                yield size

    def smallest(self, known: Mapping[str, int]) -> dict[str, int] | None:
        """Return the smallest sizes of all names that agree with `known`, in the order of `names`.

        None where there are none up to `LARGEST_SIZE`, or none was found in `SEARCH_STEPS` steps.

        >>> wide = Requirement(expressions.parse("H-k-3", "H-k-3", 0), "H-k-3")
        >>> SizeProblem(("k", "H"), (wide,)).smallest({})
        {'k': 1, 'H': 5}
        """
        if not all(item.holds(known) for item in self.requirements):
            return None
        required = {name for item in self.requirements for name in item.names}
        open_names = [name for name in (*self.arguments, *self.names) if name not in known]
        found = self._complete(
            dict(known),
            [name for name in open_names if name in required],
            iter(range(SEARCH_STEPS)),
        )
        if found is None:
            return None
        free = {name: 1 for name in open_names if name not in required}
        return {name: {**free, **found}[name] for name in dict.fromkeys([*known, *open_names])}

    def _complete(
        self, known: dict[str, int], names: list[str], steps: Iterator[int]
    ) -> dict[str, int] | None:
        if not names:
            return known
        name, *rest = names
        for size in self.allowed(name, known):
            if next(steps, None) is None:
                return None
            found = self._complete({**known, name: size}, rest, steps)
            if found is not None:
                return found
        return None
