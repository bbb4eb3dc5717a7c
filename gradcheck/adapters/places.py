"""Places inside an object, such as `layers[0].params['w']`: reading arrays there, and setting them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradcheck import trees
from gradcheck.errors import ContractError, RuleError

__all__ = ["Place", "places_of", "snapshot"]

STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(-?\d+)\]|\[(['\"])(.*?)\3\]")
"""One step of a path: an attribute, an index, or a key in quotes."""


@dataclass(frozen=True)
class Place:
    """Where something lies inside an object.

    Attributes:
        path: the path from the object, as Python would write it after a dot.
    """

    path: str

    def __post_init__(self) -> None:
        if not self.path or "".join(match.group() for match in self._matches()) != self.path:
            raise ContractError(
                f"{self.path!r} is no place inside a layer; write it as Python does after the dot, "
                "such as 'params', 'linear.weight' or \"layers[0].params['w']\""
            )

    @property
    def name(self) -> str:
        """The last attribute or key of the path."""
        last = self.steps[-1]
        return last if isinstance(last, str) else self.path

    def inside(self, key: str) -> Place:
        """Return the place of an entry of the dict, or of an attribute of the object, that is here."""
        return Place(f"{self.path}[{key!r}]")

    def get(self, owner: Any) -> Any:
        """Return what lies here.

        Raises:
            RuleError: there is nothing.
        """
        for number, step in enumerate(self.steps, 1):
            try:
                owner = _one_step(owner, step)
            except (AttributeError, KeyError, IndexError, TypeError) as error:
                so_far = "".join(map(_written, self.steps[:number])).removeprefix(".")
                raise RuleError(
                    f"the layer has no {so_far!r} ({type(error).__name__}); params= and grads= name "
                    "the places of its parameters and gradients"
                ) from error
        return owner

    def set(self, owner: Any, value: Any) -> None:
        """Put a tree of arrays here, into the arrays and containers that are here if they fit.

        What else refers to them, such as an optimizer, then sees the new values too.
        """
        *before, last = self.steps
        for step in before:
            owner = _one_step(owner, step)
        current = _one_step(owner, last)
        filled = _filled(current, value)
        if filled is current:
            return
        if isinstance(last, str) and not isinstance(owner, dict):
            setattr(owner, last, filled)
        else:
            owner[last] = filled

    @cached_property
    def steps(self) -> list[str | int]:
        """The attributes, indices and keys of the path, in order."""
        groups = (match.groups() for match in self._matches())
        return [attribute or (int(index) if index else key) for attribute, index, _, key in groups]

    def _matches(self) -> Iterator[re.Match[str]]:
        return STEP.finditer(self.path)


def places_of(spec: Any, owner: Any, option: str) -> dict[str, Place]:
    """Return the places that a declaration names, by the names of the parameters.

    Args:
        spec: the path of a dict of arrays (or of an object that has them as attributes), which
            gives one name for each key; the path of an array or list, named by its last step; a
            list of paths, likewise; or a dict from names to paths.
        owner: the object.
        option: what the declaration calls it, for the messages.

    Raises:
        ContractError: the declaration makes no sense.
        RuleError: the object has nothing at one of the paths.
    """
    if isinstance(spec, dict) and all(isinstance(path, str) for path in spec.values()):
        return {name: Place(path) for name, path in spec.items()}
    if isinstance(spec, (list, tuple)) and all(isinstance(path, str) for path in spec):
        return _named(list(map(Place, spec)))
    if not isinstance(spec, str):
        raise ContractError(
            f"gradcheck.layer: {option} is {spec!r:.80}; the path of a dict, list or array inside the layer "
            "was expected, or a dict from names to paths, such as {'w': 'linear.weight'}"
        )
    place = Place(spec)
    found = place.get(owner)
    if isinstance(found, dict):
        return {str(key): place.inside(key) for key in found}
    if not isinstance(found, (list, tuple)) and not trees.is_variable(found) and found is not None:
        return {key: Place(f"{spec}.{key}") for key in vars(found)}
    return {place.name: place}


def _named(places: list[Place]) -> dict[str, Place]:
    """Name places by their last step, or where all share it by the one before: `w` for `w.data`.

    >>> list(_named([Place("w.data"), Place("b.data")]))
    ['w', 'b']
    """
    names = [place.name for place in places]
    for drop in range(1, min(len(place.steps) for place in places) if places else 0):
        if len(set(names)) == len(names):
            break
        names = [str(place.steps[-1 - drop]) for place in places]
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        names = [re.sub(r"\W+", "_", place.path).strip("_") for place in places]
    return dict(zip(names, places, strict=True))


def snapshot(value: Any) -> Any:
    """Copy the arrays of a tree, so that what happens to the layer later does not reach it."""
    return trees.map_leaves(lambda leaf: leaf.copy() if trees.is_variable(leaf) else leaf, value)


def _one_step(owner: Any, step: str | int) -> Any:
    if isinstance(step, str) and not isinstance(owner, dict):
        return getattr(owner, step)
    return owner[step]


def _written(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _filled(current: Any, value: Any) -> Any:
    """Return `current` with the arrays of `value`; the same object where it could be filled."""
    if isinstance(current, (dict, list)):
        for key in current if isinstance(current, dict) else range(len(current)):
            current[key] = _filled(current[key], value[key])
        return current
    if isinstance(current, tuple):
        parts = (_filled(old, new) for old, new in zip(current, value, strict=True))
        return type(current)(*parts) if hasattr(current, "_fields") else tuple(parts)
    if not trees.is_variable(value):
        return current
    if type(current) is not type(value) or current.shape != value.shape or not current.shape:
        return value
    if current.dtype != value.dtype or not current.flags.writeable:
        return value
    current[...] = value
    return current
