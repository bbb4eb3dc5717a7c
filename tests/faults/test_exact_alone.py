"""The wrong derivatives that other checkers pass, told from the right ones by the exact oracle alone."""

import numpy as np
import pytest

import gradcheck
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.programs import Programs
from gradcheck.rules import claim_at
from gradcheck.strategies.points import point_at
from tests.faults.test_wrong_derivatives import ROWS

POINTS = 12

VALUE_FAULTS = [row for row in ROWS if row.name != "a shape that broadcasts"]
"""A gradient of another shape has no entries to compare."""


def proofs(row, backward):
    """What the oracle proves at some points of different sizes and styles."""
    forward = row.forward if hasattr(row.forward, "__code__") else lambda x: row.forward(x)
    rule, oracle = gradcheck.vjp(forward, backward, **row.inputs), Exact(Programs())
    for seed in range(POINTS):
        sizes = (
            {}
            if rule.contract is None
            else dict.fromkeys(rule.contract.problem.names, 2 + seed % 3)
        )
        style = ("normal", "large")[seed % 2]
        claim = claim_at(rule, point_at(rule, sizes, seed, style=style))
        yield oracle.examine(rule, claim, np.random.default_rng(seed)).proof


@pytest.mark.parametrize("row", VALUE_FAULTS, ids=str)
def test_a_wrong_value_is_refused_and_the_right_one_certified(row):
    right = list(proofs(row, row.right))
    assert any(proof.certificate for proof in right)
    assert not any(proof.differs for proof in right)
    assert any(proof.differs for proof in proofs(row, row.wrong))
