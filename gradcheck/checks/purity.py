"""The check `purity`: forward and backward change nothing that belongs to their caller.

Law: after the forward and after the backward, every bit of the inputs (parameters among them) and of the
cotangent is what it was. A caller who uses an activation or a cotangent again, as a residual
connection or a sibling branch does, computes a wrong number otherwise. Tensors of torch and the parameters
inside a layer object are looked at where they are; what a torch Function marks dirty is declared.

A gradient that shares memory with the cotangent, an input or another gradient is a note: nothing is
wrong until somebody writes into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import plain
from gradcheck.checks.running import Case, copied
from gradcheck.rules import Rule, by_leaf

__all__ = ["PurityCheck"]

Named = dict[str, Any]


class PurityCheck(BehaviourCheck):
    """Forward and backward change nothing that belongs to their caller."""

    name = "purity"

    def applies(self, rule: Rule) -> str:
        """Say so for JAX, whose arrays are values."""
        return "arrays of JAX cannot be changed" if rule.kind == "jax_rule" else ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Run the rule on arrays that are watched, and look at what was changed or is shared."""
        rule = case.rule
        findings: list[Finding] = []
        notes: list[str] = []
        if rule.kind != "torch_function":  # whose tensors are copies of the arrays
            findings, notes = self._on_arrays(case)
        if not findings and rule.watched is not None:
            steps = rule.watched(copied(case.inputs), copied(case.cotangent))
            findings = [
                finding
                for function, before, after in steps
                for finding in _changed(
                    self.name, rule, function, _named(rule, *after), _named(rule, *before)
                )
            ]
        return self.outcome(rule, findings[:1], notes)

    def _on_arrays(self, case: Case) -> tuple[list[Finding], list[str]]:
        """Watch the very arrays that the rule is given."""
        rule, inputs, cotangent = case.rule, copied(case.inputs), copied(case.cotangent)
        before = {path: value.copy() for path, value in _named(rule, inputs, cotangent).items()}
        _, pullback = rule.vjp(inputs)
        found = _changed(self.name, rule, "forward", _named(rule, inputs, cotangent), before)
        if not found:
            claims = by_leaf(rule, inputs, pullback(cotangent))
            found = _changed(self.name, rule, "backward", _named(rule, inputs, cotangent), before)
        if found:
            return found, []
        gradients = {f"the gradient of {path}": value for path, value in claims.items()}
        return [], _shared(_arrays(gradients), _named(rule, inputs, cotangent))


def _named(rule: Rule, inputs: tuple[Any, ...], cotangent: Any) -> Named:
    """Return the arrays of the caller by what messages call them."""
    named = dict(zip(rule.input_names, inputs, strict=True))
    return _arrays({**named, "the cotangent": cotangent})


def _arrays(tree: Named) -> dict[str, np.ndarray[Any, Any]]:
    """Return the NumPy arrays among the leaves by their paths."""
    return {
        path: value
        for name, part in tree.items()
        for path, value in trees.leaves(part, name)
        if isinstance(value, np.ndarray) and value.size
    }


def _changed(check: str, rule: Rule, function: str, now: Named, before: Named) -> list[Finding]:
    """Report the first array that is not what it was, at its first changed entry; nothing if none."""
    for path, value in now.items():
        old = before[path]
        with np.errstate(all="ignore"):
            changed = (value != old) & ~((value != value) & (old != old))  # NaN stays NaN
        if not np.any(changed):
            continue
        index = tuple(int(axis) for axis in np.argwhere(changed)[0])
        entry = f"[{', '.join(map(str, index))}]" if index else ""
        count = f"{np.count_nonzero(changed)} of {changed.size}"
        message = (
            f"{rule.name}: the {function} writes into {path} {list(value.shape)}, in {count} entries; "
            f"first at {entry or 'the number itself'}\n"
            f"    before  {_shown(old[index])}\n"
            f"    after   {_shown(value[index])}\n"
            f"    {CAUSE}"
        )
        shown = _shown(value[index]), _shown(old[index])
        return [Finding(check, path, index, *shown, CAUSE, "", message)]
    return []


CAUSE = "a caller who uses the array again gets a wrong number; work on a copy"


def _shared(gradients: Named, others: Named) -> list[str]:
    """Say which gradients lie in memory that belongs to something else."""
    paths = list(gradients)
    pairs = [(path, other, array) for path in paths for other, array in others.items()]
    pairs += [
        (path, other, gradients[other]) for at, path in enumerate(paths) for other in paths[:at]
    ]
    return [
        f"{path} shares memory with {other}: writing into one changes both"
        for path, other, array in pairs
        if np.may_share_memory(gradients[path], array)
    ]


def _shown(value: Any) -> Any:
    return plain(value) if np.asarray(value).dtype.kind in "fc" else np.asarray(value).item()
