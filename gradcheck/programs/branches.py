"""Branches of the code under test: which sides of its comparisons points took, and which none did.

A *site* is one comparison in the source, however often it is run; a *branch* is one of its sides. Only
what divides the inputs into regions is a site: comparisons, maxima and minima of two numbers, signs
and clips, and equality with a constant, not the choice among many of argmax or sort.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.decisions import Decision

__all__ = [
    "EQUALITIES",
    "SIGN",
    "Branch",
    "Branches",
    "Site",
    "margin",
    "nearest_operands",
    "sides_of",
    "taken_together",
    "written_decisions",
]

Array = np.ndarray[Any, Any]

COMPARISONS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
EQUALITIES = frozenset({"eq", "ne"})
EXTREMA = {"max": "maximum", "min": "minimum"}
CLIP = "clamp"
SIGN = "sign"
SIGNS = {"abs": SIGN, "sign": SIGN}
"""Both ask for a sign."""

SIDES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys([*COMPARISONS, *EXTREMA], (1, 0)),
    SIGN: (1, -1),
    CLIP: (1, 0, -1),
}
"""The outcomes of each kind of decision that hold on whole regions of inputs."""


class Site(NamedTuple):
    """One comparison in the source code.

    Attributes:
        where: the user's line as `path:line`.
        kind: a key of `SIDES`.
        constant: the number compared with, if the code writes one.
        first: whether that number is the first operand.
    """

    where: str
    kind: str
    constant: float | None = None
    first: bool = False

    @property
    def source(self) -> str:
        """The text of the line, empty where the file cannot be read."""
        path, _, line = self.where.rpartition(":")
        return linecache.getline(path, int(line)).strip()


class Branch(NamedTuple):
    """One side of a site."""

    site: Site
    side: int

    def __str__(self) -> str:
        """Say what never happened: `layers.py:12: > 6 was never true`."""
        return f"{self.site.where}: {self.phrase}"

    @property
    def phrase(self) -> str:
        """What never happened, without the place."""
        (_, kind, constant, first), side = self.site, self.side
        if kind in COMPARISONS:
            symbol = COMPARISONS[kind]
            written = "" if constant is None else f"{constant:g}"
            compared = f"{written} {symbol}" if first else f"{symbol} {written}"
            return f"{compared.strip()} was never {'true' if side else 'false'}"
        if kind in EXTREMA:
            if constant is not None:
                often = "always" if bool(side) is not first else "never"
                return f"the {EXTREMA[kind]} with {constant:g} was {often} {constant:g}"
            return f"the {EXTREMA[kind]} was never its {'first' if side else 'second'} operand"
        if kind == SIGN:
            return (
                f"the number whose sign matters was never {'positive' if side > 0 else 'negative'}"
            )
        limit = {1: "above its upper", 0: "within its", -1: "below its lower"}[side]
        return f"the clip was never {limit} {'limits' if side == 0 else 'limit'}"


class Branches:
    """What the points of one search have entered.

    Attributes:
        entered: the sides taken of each site.
    """

    def __init__(self) -> None:
        self.entered: dict[Site, set[int]] = {}
        self._smallest: dict[Site, tuple[int, Any]] = {}
        self._latest: dict[Site, Any] = {}
        self._sites: dict[int, tuple[Operation, Site | None]] = {}

    def visit(self, point: Any, size: int, decisions: Iterable[Decision]) -> None:
        """Count the branches that a point of `size` numbers took."""
        for decision in decisions:
            site = self.site_of(decision.operation)
            if site is None:
                continue
            sides = self.entered.setdefault(site, set())
            if len(sides) < len(SIDES[site.kind]):
                sides.update(sides_of(decision))
            if size < self._smallest.setdefault(site, (size, point))[0]:
                self._smallest[site] = size, point
            self._latest[site] = point

    def others(self, branch: Branch) -> list[Branch]:
        """List the branches of all other sites, those of its own line first."""
        sides = [
            Branch(site, side)
            for site in self.entered
            if site != branch.site
            for side in SIDES[site.kind]
        ]
        return sorted(sides, key=lambda other: other.site.where != branch.site.where)

    def points_at(self, site: Site) -> list[Any]:
        """Return the smallest point that came to a site, and the latest one if it is another."""
        (_, smallest), latest = self._smallest[site], self._latest[site]
        return [smallest] if smallest is latest else [smallest, latest]

    def never_entered(self) -> list[Branch]:
        """List the branches that no point has entered, in the order of their sites in the source."""
        missing = [
            Branch(site, side)
            for site, sides in self.entered.items()
            for side in SIDES[site.kind]
            if side not in sides
        ]
        return sorted(missing, key=lambda branch: _in_source_order(branch.site))

    def site_of(self, operation: Operation) -> Site | None:
        """Return the site of an equation, found once."""
        # To find a source line takes longer than to evaluate the equation.
        known = self._sites.get(id(operation))
        if known is None:
            known = self._sites[id(operation)] = operation, _site_of(operation)
        return known[1]


def _in_source_order(site: Site) -> tuple[str, int]:
    path, _, line = site.where.rpartition(":")
    return path, int(line)


def _site_of(operation: Operation) -> Site | None:
    """Return the site of an equation, or None if it has no sides or no line."""
    kind = SIGNS.get(operation.name, operation.name)
    if kind not in SIDES:
        return None
    constants = [_uniform(value) for value in operation.written]
    known = [constant for constant in constants if constant is not None]
    if not all(map(np.isfinite, known)) or len(known) == len(constants):
        return None
    if kind in EQUALITIES and not known:
        return None
    where = operation.where
    if where is None:
        return None
    if kind == CLIP or not known:
        return Site(where, kind)
    return Site(where, kind, known[0], first=constants[0] is not None)


def _uniform(written: Any) -> float | None:
    """Return the one number that an operand is everywhere, if the program writes it."""
    if written is None or not np.size(written) or np.iscomplexobj(written):
        return None
    values = np.asarray(written, np.float64)
    first = float(values.flat[0])
    return first if np.all(values == first) else None


def sides_of(decision: Decision) -> set[int]:
    """Return the sides that the entries of a decision took; a tie takes none."""
    outcome = np.broadcast_to(decision.outcome, np.shape(decision.undecided))
    decided = outcome[~decision.undecided]
    return {side for side in SIDES[_kind(decision)] if np.any(decided == side)}


def taken_together(first: Decision, side: int, second: Decision, other_side: int) -> bool:
    """Say whether one entry of two decisions took both sides; of unlike shapes, whether any did each."""
    masks = [
        (item.outcome == own) & ~item.undecided
        for item, own in ((first, side), (second, other_side))
    ]
    if masks[0].shape == masks[1].shape:
        return bool(np.any(masks[0] & masks[1]))
    return all(map(np.any, masks))


def _kind(decision: Decision) -> str:
    return SIGNS.get(decision.kind, decision.kind)


def _difference(a: Array, b: Array) -> Array:
    return np.asarray(a - b)


def _reversed(a: Array, b: Array) -> Array:
    return np.asarray(b - a)


MARGINS: dict[str, Callable[..., Array]] = {
    "gt": _difference,
    "ge": _difference,
    "lt": _reversed,
    "le": _reversed,
    "max": _difference,
    "min": _reversed,
    "eq": lambda a, b: -np.abs(a - b),
    "ne": lambda a, b: np.abs(a - b),
    SIGN: lambda x: x,
}
"""By how much an entry takes side 1; the other side is taken by as much less than 0."""


def margins(decision: Decision, side: int) -> Array:
    """Return by how much each entry takes a side; less than 0 where it takes another."""
    with np.errstate(all="ignore"):
        if decision.kind == CLIP:
            low, x, high = decision.operands
            by = {1: x - high, 0: np.minimum(x - low, high - x), -1: low - x}[side]
        else:
            by = MARGINS[_kind(decision)](*decision.operands) * (1 if side == 1 else -1)
    return np.asarray(np.where(np.isnan(by), -np.inf, by))


def margin(decision: Decision, side: int) -> float:
    """Return the largest of the margins."""
    return float(np.max(margins(decision, side), initial=-np.inf))


def nearest_operands(decision: Decision, side: int) -> list[float]:
    """Return the numbers that are compared at the entry which is nearest to a side."""
    by = margins(decision, side)
    if not by.size:
        return []
    place = np.unravel_index(int(np.argmax(by)), by.shape)
    found = [float(np.broadcast_to(x, by.shape)[place]) for x in decision.operands]
    return [value for value in dict.fromkeys(found) if np.isfinite(value)]


def written_decisions(true: Sequence[Decision], claimed: Sequence[Decision]) -> list[Decision]:
    """Return the decisions of both programs that the user's code made.

    The derivative of a maximum compares it with its operands; nobody wrote these equalities.
    """
    return [decision for decision in true if decision.kind not in EQUALITIES] + list(claimed)
