"""The check `layout`: how arrays lie in memory does not matter.

Law: the gradients at a point depend on the numbers in the inputs and in the cotangent, not on their
strides. The numbers are laid out in Fortran's order, with gaps, backwards, as a stride of 0 (what
broadcasting gives) and read-only; NumPy's `ravel(order="K")`, `resize`, raw pointers and torch's `view`
are where code takes contiguous memory for granted.

A read-only cotangent that makes the backward raise is a note: who writes into it fails `purity`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import difference_finding, differences, outputs_agree
from gradcheck.checks.running import (
    Case,
    away_from_zero,
    copied,
    forward_is_random,
    last_place_spread,
    like,
)
from gradcheck.errors import BackwardError, RuleError
from gradcheck.rules import Rule

__all__ = ["LayoutCheck"]

Array = NDArray[Any]


class LayoutCheck(BehaviourCheck):
    """How arrays lie in memory does not matter."""

    name = "layout"

    def applies(self, rule: Rule) -> str:
        """Say so for JAX, whose arrays have no strides."""
        return "arrays of JAX have no memory layout" if rule.kind == "jax_rule" else ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare the gradients with those of each other layout of the same numbers."""
        notes: list[str] = []
        for layout, laid_out in LAYOUTS.items():
            finding = self._finding(case, layout, laid_out, notes, bench)
            if finding is not None and _forward_follows_memory(case, laid_out, bench.rng):
                finding = self._finding(case, layout, laid_out, notes, bench, inputs_too=False)
            if finding is not None:
                if forward_is_random(case, bench.rng):
                    return does_not_apply("the forward draws random numbers")
                return self.outcome(case.rule, [finding])
        return self.outcome(case.rule, [], notes)

    def _finding(
        self,
        case: Case,
        layout: str,
        laid_out: Callable[[Array], Array],
        notes: list[str],
        bench: Bench,
        inputs_too: bool = True,
    ) -> Finding | None:
        cotangent = case.cotangent
        expected = case.gradients
        inputs = copied(case.inputs)
        if inputs_too:
            inputs = _mapped(laid_out, inputs)
        if layout == CONSTANT:
            if case.rule.scalar:
                return None
            cotangent, inputs = like(cotangent, lambda leaf: np.ones(leaf.shape)), case.inputs
            expected = case.fresh(cotangent)
        try:
            _, found = case.run(inputs, _mapped(laid_out, copied(cotangent)))
        except BackwardError as error:
            if layout in (READ_ONLY, CONSTANT):  # what is broadcast is read-only as well
                notes.append("the backward raises where the cotangent is read-only")
                return None
            message = f"{error}, and takes contiguous arrays (here {layout})"
            return Finding(self.name, "", None, None, None, "", "", message)
        except RuleError:
            notes.append(f"the forward raises where its inputs are {layout}")
            return None
        wrong = differences(
            case.values,
            found,
            expected,
            case.size(cotangent),
            lambda: last_place_spread(case, cotangent, bench.rng),
        )
        if not wrong:
            return None
        says = f"depends on the memory layout: it differs where inputs and cotangent are {layout}"
        if layout == CONSTANT:
            says = f"depends on the memory layout: it differs where the cotangent is {layout}"
        labels = (layout.split(" (")[0], "contiguous")
        return difference_finding(self.name, case.rule, says, wrong[0], labels, CAUSE)


CAUSE = (
    "the code takes the order of memory for the order of entries; use reshape and copy() in C order"
)
CONSTANT, READ_ONLY = "of stride 0 (broadcast)", "read-only"


def _forward_follows_memory(
    case: Case, laid_out: Callable[[Array], Array], rng: np.random.Generator
) -> bool:
    """Say whether the output of a rule of torch is another where its inputs lie otherwise in memory.

    So it is where torch draws the mask of a dropout, in the order of memory. A mask does not show on
    zeros, so inputs moved away from them are looked at.
    """
    if not case.rule.holds("torch_function"):
        return False
    moved = away_from_zero(case.inputs, rng)
    try:
        with np.errstate(all="ignore"):
            here = case.rule.primal(copied(moved))
            there = case.rule.primal(_mapped(laid_out, copied(moved)))
    except Exception:  # outside the domain nothing shows that it does not
        return True
    pairs = zip(trees.leaves(there), trees.leaves(here), strict=True)
    return not all(
        outputs_agree(np.asarray(one), np.asarray(other), entry_by_entry=True)
        for (_, one), (_, other) in pairs
    )


def _fortran(array: Array) -> Array:
    return np.asfortranarray(array) if array.ndim else array


def _with_gaps(array: Array) -> Array:
    if not array.ndim:
        return array
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    gapped: Array = wide[..., ::2]
    return gapped


def _backwards(array: Array) -> Array:
    return array[::-1].copy()[::-1] if array.ndim else array


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _constant(array: Array) -> Array:
    return np.broadcast_to(np.ones((), array.dtype), array.shape)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "in Fortran order": _fortran,
    "non-contiguous (every other entry)": _with_gaps,
    "reversed (negative strides)": _backwards,
    CONSTANT: _constant,
    READ_ONLY: _read_only,
}
"""What is done to arrays of C order: each gives the same numbers in other memory."""


def _mapped(function: Callable[[Array], Array], tree: Any) -> Any:
    """Apply `function` to every NumPy array; of stride 0 are only those of real numbers."""

    def changed(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        return function(leaf) if function is not _constant or trees.is_variable(leaf) else leaf

    return trees.map_leaves(changed, tree)
