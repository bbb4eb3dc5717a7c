"""A jaxpr as a plan: equations in order, numbered registers, nested calls inlined, nothing unneeded.

A plan knows no arithmetic. It is made once for each jaxpr, and every arithmetic compiles it.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.compat import (
    CUSTOM_CALLS,
    PLAIN_CALLS,
    is_array_type,
    is_literal,
    literal_value,
    nested_jaxpr,
    open_jaxpr,
)
from gradcheck.programs.operations import ArrayType

__all__ = ["Plan", "Planned", "plan_of"]

CALLS = PLAIN_CALLS | CUSTOM_CALLS | {"composite", "custom_lin"}
"""Primitives that do no more than call their jaxpr in an evaluation, here inlined."""

ENTRIES_OF_THEIR_OPERAND = frozenset(
    {
        "broadcast_in_dim",
        "copy",
        "cummax",
        "cummin",
        "expand_dims",
        "reduce_max",
        "reduce_min",
        "reduce_window_max",
        "reduce_window_min",
        "reshape",
        "rev",
        "squeeze",
        "stop_gradient",
        "transpose",
    }
)
"""Primitives whose results are entries of their operand, moved or chosen."""


class Planned(NamedTuple):
    """One equation of a plan.

    Attributes:
        source_infos: JAX's notes on where it was traced: its own, then those of enclosing calls.
        sources: the registers that it reads.
        targets: the registers that it writes.
        origins: for each source the register of which it holds entries, moved or chosen; else itself.
    """

    primitive: Any
    parameters: dict[str, Any]
    inputs: tuple[ArrayType, ...]
    outputs: tuple[ArrayType, ...]
    source_infos: tuple[Any, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    origins: tuple[int, ...]


class Plan:
    """The equations of a jaxpr over numbered registers.

    Attributes:
        types: what each register holds.
        constants: the registers that hold a value from the beginning, with that value.
    """

    def __init__(self, closed_jaxpr: Any) -> None:
        jaxpr, constants = open_jaxpr(closed_jaxpr)
        self.constants: list[tuple[int, Any]] = []
        self._origins: dict[int, int] = {}
        self._planned: list[Planned] = []
        self.types: list[ArrayType] = []
        self._known_types: dict[int, ArrayType] = {}
        self.inputs = [self._register(variable.aval) for variable in jaxpr.invars]
        self.input_types = self.types.copy()
        self.outputs = self._add(jaxpr, constants, self.inputs, ())
        self.equations = _needed(self._planned, self.outputs)
        read = {*self.outputs, *(source for eqn in self.equations for source in eqn.sources)}
        self.constants = [
            (register, value) for register, value in self.constants if register in read
        ]

    @property
    def registers(self) -> int:
        """How many registers there are."""
        return len(self.types)

    def _register(self, aval: Any) -> int:
        self.types.append(self._type(aval))
        return len(self.types) - 1

    def _constant(self, aval: Any, value: Any) -> int:
        register = self._register(aval)
        self.constants.append((register, value))
        return register

    def _type(self, aval: Any) -> ArrayType:
        # One type object serves many variables; the jaxpr keeps it alive, and with it its id.
        known = self._known_types.get(id(aval))
        if known is None:
            dtype = aval.dtype if is_array_type(aval) else np.dtype(object)
            known = ArrayType.of(tuple(getattr(aval, "shape", ())), dtype)
            self._known_types[id(aval)] = known
        return known

    def _add(
        self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[int], callers: tuple[Any, ...]
    ) -> tuple[int, ...]:
        """Append the equations of `jaxpr` and return the registers of its outputs."""
        registers: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, value in zip(jaxpr.constvars, constants, strict=True):
            registers[variable] = self._constant(variable.aval, value)

        def read(atoms: Sequence[Any]) -> tuple[int, ...]:
            return tuple(
                [
                    self._constant(atom.aval, literal_value(atom))
                    if is_literal(atom)
                    else registers[atom]
                    for atom in atoms
                ]
            )

        for equation in jaxpr.eqns:
            sources = read(equation.invars)
            infos = (equation.source_info, *callers)
            if equation.primitive.name in CALLS:
                inner, inner_constants = open_jaxpr(nested_jaxpr(equation.params))
                targets = self._add(inner, inner_constants, sources, infos)
            else:
                targets = tuple([self._register(variable.aval) for variable in equation.outvars])
                self._plan(equation, infos, sources, targets)
            registers.update(zip(equation.outvars, targets, strict=True))
        return read(jaxpr.outvars)

    def _plan(
        self,
        equation: Any,
        infos: tuple[Any, ...],
        sources: tuple[int, ...],
        targets: tuple[int, ...],
    ) -> None:
        origins = tuple([self._origins.get(source, source) for source in sources])
        if equation.primitive.name in ENTRIES_OF_THEIR_OPERAND:
            self._origins[targets[0]] = origins[0]
        self._planned.append(
            Planned(
                equation.primitive,
                equation.params,
                tuple([self.types[source] for source in sources]),
                tuple([self.types[target] for target in targets]),
                infos,
                sources,
                targets,
                origins,
            )
        )


_plans: weakref.WeakKeyDictionary[Any, Plan] = weakref.WeakKeyDictionary()


def plan_of(closed_jaxpr: Any) -> Plan:
    """Return the plan of a jaxpr, made at most once."""
    plan = _plans.get(closed_jaxpr)
    if plan is None:
        plan = _plans[closed_jaxpr] = Plan(closed_jaxpr)
    return plan


def _needed(equations: Sequence[Planned], outputs: Sequence[int]) -> list[Planned]:
    """Keep the equations on whose results an output depends, in order."""
    alive, kept = set(outputs), []
    for equation in reversed(equations):
        if not alive.isdisjoint(equation.targets):
            alive.update(equation.sources)
            kept.append(equation)
    return kept[::-1]
