"""The sizes of a layer: dimensions of its parameters read off examples, and sizes that are fixed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.contracts import constant, make_contract
from gradcheck.contracts.dimensions import parse_shape
from gradcheck.contracts.domains import Domain
from gradcheck.errors import ContractError, RuleError

__all__ = ["dimensions_of_parameters", "fixed_sizes", "with_fixed_sizes"]

TELLING_SIZES = (7, 11, 13, 17, 19, 23, 29, 31)
"""Sizes given to the names one by one: primes, so that a product tells its factors."""

MOST_FACTOR = 8
"""The largest number of gates, heads or the like that multiplies a size, as 4 does in an LSTM."""

TRIED = (2, 3, 4, 5, 6, 8, 10, 1)
"""Sizes tried where a layer that takes none turns out to have some, after those of its parameters."""

MOST_TRIALS = 4000
"""Combinations of sizes that are tried: below a second for a small layer."""


def dimensions_of_parameters(
    values_at: Callable[[Mapping[str, int]], Mapping[str, Any]],
    declared: Mapping[str, Any],
    sample: Mapping[str, Any],
    free: list[str],
) -> dict[str, Any]:
    """Return the dimensions of each parameter, by its name; those without an array are left out.

    Args:
        values_at: the parameters of a layer of given sizes, by name.
        declared: what the user declared of each, or None.
        sample: arguments with which the layer can be made.
        free: the names of the sizes that it takes.

    Raises:
        ContractError: the dimensions of a parameter cannot be told from examples.
    """
    small = values_at({})
    wanted = [name for name in declared if declared[name] is None]
    telling: Mapping[str, Any] = small
    sizes: dict[str, int] = {}
    if free and wanted:
        sizes = dict(zip(free, itertools.cycle(TELLING_SIZES), strict=False))
        try:
            telling = values_at(sizes)
        except Exception as error:
            given = ", ".join(f"{name}={size}" for name, size in sizes.items())
            raise ContractError(
                f"gradcheck.layer: make({given}) raised {type(error).__name__}: {error}; it is called so to "
                f"learn the dimensions of {', '.join(wanted)}: declare them by keyword, such as "
                f"{wanted[0]}='D M'"
            ) from error
    found: dict[str, Any] = {}
    for name, given in declared.items():
        if given is not None:
            found[name] = given
            continue
        leaves = trees.leaves(telling[name], name)
        if any(trees.is_variable(leaf) for _, leaf in leaves):
            others = [np.shape(leaf) for _, leaf in trees.leaves(small[name])]
            found[name] = trees.rebuild(
                telling[name],
                [
                    _dimensions(path, np.shape(leaf), other, sizes, sample)
                    if trees.is_variable(leaf)
                    else constant(leaf)
                    for (path, leaf), other in zip(leaves, others, strict=True)
                ],
            )
    return found


def _dimensions(
    path: str,
    shape: tuple[int, ...],
    other: tuple[int, ...],
    sizes: Mapping[str, int],
    sample: Mapping[str, Any],
) -> str:
    """Write a shape in terms of the names, as two examples agree on it."""
    words = []
    for place, size in enumerate(shape):
        smaller = other[place] if len(other) == len(shape) else None
        candidates = [str(size)] if size == smaller else []
        for name, value in sizes.items():
            factor = size // value
            if (
                size == factor * value
                and factor <= MOST_FACTOR
                and smaller == factor * sample[name]
            ):
                candidates.append(name if factor == 1 else f"{factor}*{name}")
            if size == value + 1 and smaller == sample[name] + 1:  # a bias among the weights
                candidates.append(f"{name}+1")
        for one, two in itertools.combinations(sizes, 2):
            if size == sizes[one] * sizes[two] and smaller == sample[one] * sample[two]:
                candidates.append(f"{one}*{two}")
            if size == sizes[one] + sizes[two] and smaller == sample[one] + sample[two]:
                candidates.append(f"{one}+{two}")
        if len(candidates) != 1:
            raise ContractError(
                f"gradcheck.layer: the dimensions of {path} cannot be told from examples (it is "
                f"{list(shape)} at "
                f"{', '.join(f'{n}={v}' for n, v in sizes.items()) or 'no sizes'}); declare them by keyword: "
                f"{path.split('[')[0]}='D M'"
            )
        words.append(candidates[0])
    return " ".join(words)


def fixed_sizes(
    run: Callable[[tuple[Any, ...]], Any],
    declared: Mapping[str, Any],
    title: str,
    holds: Mapping[str, Any],
) -> dict[str, int]:
    """Return the dimensions of the inputs at which alone a layer runs that takes no sizes.

    Args:
        run: the forward of a new layer at given inputs.
        declared: the dimensions or domain of each input by name, in the order of the forward.
        title: what messages call the layer.
        holds: what the layer holds; the sizes of its arrays are tried first.

    Raises:
        RuleError: the forward runs at no sizes that were tried.
    """
    contract = make_contract(_open_ended, declared)
    free = contract.problem.names
    tried = tuple(dict.fromkeys([*_sizes_within(holds), *TRIED]))
    last: Exception | None = None

    def runs(sizes: Mapping[str, int]) -> bool:
        nonlocal last
        complete = contract.problem.smallest(dict(sizes))
        if complete is None:
            return False
        rng = np.random.default_rng(0)
        domains = [
            domain.sample(rng, complete, start=place)
            for place, domain in enumerate(contract.domains.values(), 1)
        ]
        try:
            with np.errstate(all="ignore"):
                run(tuple(trees.rebuild(tuple(contract.inputs.values()), domains)))
        except Exception as error:
            last = error
            return False
        return True

    if contract.variadics:
        return {}
    combinations = itertools.product(tried, repeat=len(free))
    for sizes in itertools.islice(combinations, MOST_TRIALS):
        working = dict(zip(free, sizes, strict=True))
        if runs(working):
            return {
                name: size
                for name, size in working.items()
                if not any(runs({**working, name: other}) for other in tried if other != size)
            }
    raise RuleError(
        f"the forward of {title} runs at no sizes of {', '.join(free) or 'its inputs'} "
        f"that were tried ({type(last).__name__}: {last}); write its sizes as numbers, or let make "
        "take them: make(D)"
    ) from last


def with_fixed_sizes(declared: Any, fixed: Mapping[str, int]) -> Any:
    """Return a declaration with these names written as numbers."""

    def written(leaf: Any) -> Any:
        if isinstance(leaf, str):
            return _numbered(leaf, fixed)
        if isinstance(leaf, Domain) and leaf.shape is not None:
            return replace(leaf, shape=parse_shape(_numbered(leaf.shape.text, fixed), "input"))
        return leaf

    return trees.map_leaves(written, declared) if fixed else declared


def _numbered(text: str, fixed: Mapping[str, int]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda name: str(fixed.get(name.group(), name.group())), text)


def _sizes_within(holds: Mapping[str, Any]) -> list[int]:
    """List the sizes of the arrays in a tree of what a layer holds."""
    shapes = [getattr(leaf, "shape", ()) for _, leaf in trees.leaves(dict(holds))]
    return [int(size) for shape in shapes if isinstance(shape, tuple) for size in shape if size > 1]


def _open_ended(*inputs: Any) -> Any:
    return inputs
