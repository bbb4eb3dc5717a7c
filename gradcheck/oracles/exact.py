"""The exact oracle: are two programs the same function, exactly?

Both are evaluated at random residues modulo random primes. The same rational function agrees always;
different ones with a probability of at most degree/prime in each draw (DeMillo and Lipton 1978;
Schwartz 1980; Zippel 1979). A certificate is an identity on one cell, the branch pattern of the
point, off a null set: it says nothing of ties, zeros, overflow, precision or state, and an exp that
underflows at the point counts as the 0 that masks mean by it. A mismatch says
that the programs differ as rational functions of what the finite field knows, and must be confirmed
by numbers: tanh(x) = 2 sigmoid(2x) - 1 deep in a network is no rational identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Certificate, Mismatch, Side
from gradcheck.oracles.exact_draws import INTERPRETED, Attempt
from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR
from gradcheck.programs.evaluation import Decision, evaluate

__all__ = ["MOST_ENTRIES", "prove_equal", "prove_sides_equal"]

MOST_ENTRIES = 64 * 64
"""Entries of one input: the finite field is for small sizes."""


def prove_equal(
    program_a: Any, program_b: Any, point_inputs: Sequence[Any], rng: np.random.Generator
) -> Certificate | Mismatch:
    """Prove that two programs are the same function on the cell of a point, or that they are not.

    Args:
        program_a, program_b: ClosedJaxprs of the same inputs and outputs.
        point_inputs: one array for each input; the real ones decide the branches, and their
            residues are random; integers are what they are.
        rng: draws the residues; fresh ones, or an adversary could aim at them.

    Raises:
        Abstention: a primitive, a size, a degree or too many square roots are beyond the method, or
            the point is a tie, or programs part where rounding decides a branch.

    >>> import jax
    >>> double, twice = (jax.make_jaxpr(f)(1.0) for f in (lambda x: 2 * x, lambda x: x + x))
    >>> prove_equal(double, twice, [np.array(1.0)], np.random.default_rng(0)).draws
    4
    """
    sides = [
        Side(program, range(len(program.in_avals)), range(len(program.out_avals)))
        for program in (program_a, program_b)
    ]
    return prove_sides_equal(sides[0], sides[1], point_inputs, rng)


def prove_sides_equal(
    side_a: Side,
    side_b: Side,
    point_inputs: Sequence[Any],
    rng: np.random.Generator,
) -> Certificate | Mismatch:
    """Prove the same of two programs that take a point's arrays, and give outputs, each in its way.

    Args:
        side_a, side_b: the programs; as many outputs of each are compared, in order.
        point_inputs, rng: as of `prove_equal`.

    Raises:
        Abstention: as `prove_equal`.
    """
    for value in point_inputs:
        if np.size(value) > MOST_ENTRIES:
            raise Abstention(
                f"an input has {np.size(value)} entries, and exact evidence is for at most "
                f"{MOST_ENTRIES}; smaller dimensions decide as much"
            )
    sides = side_a, side_b
    # What holds of unknown functions is the stronger and cheaper proof; exp's own laws come second.
    unknown = Attempt(sides, point_inputs, rng, uninterpreted=True)
    found = unknown.found()
    if isinstance(found, Mismatch) and not INTERPRETED.isdisjoint(unknown.names):
        found = Attempt(sides, point_inputs, rng, uninterpreted=False).found()
    if isinstance(found, Mismatch):
        _require_decided(sides, point_inputs)
    return found


def _require_decided(sides: Sequence[Side], point_inputs: Sequence[Any]) -> None:
    """Require that rounding decides no branch: two forms of one number may round to either side.

    1 - sigmoid(-a) is exactly 0 where sigmoid(a) is 1e-20, and relu takes them to be different.

    Raises:
        Abstention: one is decided by less than the running error of float64.
    """
    decisions: list[Decision] = []
    for side in sides:
        inputs = [point_inputs[number] for number in side.arguments]
        try:
            evaluate(side.program, inputs, RUNNING_ERROR, decisions=decisions)
        except Abstention:  # numbers without a bound refute nothing
            continue
    for decision in decisions:
        if np.any(decision.undecided):
            where = f" at {decision.where}" if decision.where else ""
            raise Abstention(f"{decision.kind}{where} is decided by less than rounding")
