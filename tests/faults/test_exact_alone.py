"""The wrong derivatives that other checkers pass, told from the right ones by the exact oracle alone."""

import numpy as np
import pytest

import gradcheck
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.programs import Programs
from gradcheck.rules import Point, claim_at
from gradcheck.strategies.points import point_at
from tests.faults.test_wrong_derivatives import AT_A_POINT, ROWS

POINTS = 12

NO_VALUE = (
    "no wrong value of a first derivative inside a cell, which is what the exact oracle judges: "
)

SIGN_FLIPPED_JVP = "a sign-flipped JVP"

TABLE = {
    "off by 0.05 %": ("off by 0.05 %",),
    "any error below 1e-5": ("below any absolute tolerance, zero", "below any absolute tolerance, sign"),
    "abs(g)": ("right for positive cotangents",),
    "g·g": ("right for one-hot cotangents",),
    "one flipped sign": ("one flipped sign of 300", "one flipped sign of 1000"),
    "sign-flipped JVP": (SIGN_FLIPPED_JVP,),
    "one zeroed entry": ("one zeroed entry of 1000 in float32",),
    "a small wrong entry": ("a small wrong entry beside large ones",),
    "null space of ones": ("batch norm without its third term", "softmax with a mean for a sum"),
    "assumes a contiguous cotangent": NO_VALUE + "layout",
    "writes into its cotangent": NO_VALUE + "purity",
    "last forward in shared state": NO_VALUE + "reuse",
    "overwrites where it must accumulate": NO_VALUE + "reuse",
    "bias gradient mean": ("bias gradient a mean",),
    "transposed where square": ("transposed where square",),
    "a branch that is never entered": ("a branch that is rarely entered",),
    "a wrong shape": NO_VALUE + "shapes",
    "an exact kink": NO_VALUE + "a tie lies between cells",
    "wrong in the second derivative": NO_VALUE + "second_order",
    "sigma'(a)": ("derivative at the activation", "the derivative by the output, of the input"),
    "missing 1/2": ("missing one half",),
    "missing 1/N": ("missing 1/N",),
    "missing activation derivative": ("missing activation derivative",),
    "last layer only": ("the last layer only",),
    "off-by-one layer": ("the weights of another layer",),
    "the wrong order": ("gradients in the wrong order",),
    "NaN where the true one is finite": NO_VALUE + "extremes",
}  # fmt: skip
"""Each fault of the table of wrong derivatives that a peer passes, and the rows that plant it here."""


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


def proof_at(rule, inputs):
    rng = np.random.default_rng(3)
    point = Point(inputs, rng.normal(size=np.shape(rule.primal(inputs))))
    return Exact(Programs()).examine(rule, claim_at(rule, point), rng).proof


VALUE_FAULTS = [row for row in ROWS if row.name != "a shape that broadcasts"]
"""A gradient of another shape has no entries to compare."""

FAULTS_AT_A_POINT = [
    "the last layer only",
    "the weights of another layer",
    "another mask than the forward's",
    "the derivative by the output, of the input",
]
"""The others are ties, overflows and infinities."""


@pytest.mark.parametrize("row", VALUE_FAULTS, ids=str)
def test_a_wrong_value_is_refused_and_the_right_one_certified(row):
    right = list(proofs(row, row.right))
    assert any(proof.certificate for proof in right)
    assert not any(proof.differs for proof in right)
    assert any(proof.differs for proof in proofs(row, row.wrong))


@pytest.mark.parametrize("name", FAULTS_AT_A_POINT)
def test_a_wrong_value_at_a_point_is_refused_and_the_right_one_certified(name):
    forward, right, wrong, inputs = AT_A_POINT[name]
    assert proof_at(gradcheck.vjp(forward, right, inputs=lambda rng: inputs), inputs).certificate
    assert proof_at(gradcheck.vjp(forward, wrong, inputs=lambda rng: inputs), inputs).differs


def test_a_sign_flipped_jvp_is_refused_and_the_right_one_certified():
    inputs = (np.linspace(0.3, 2, 40),)

    def rule(sign):
        def tangent(inputs, tangents):
            return tangents[0] * np.where(np.arange(40) == 7, sign, 1.0) * np.cos(inputs[0])

        return gradcheck.jvp(np.sin, tangent, x="N")

    assert proof_at(rule(1.0), inputs).certificate
    assert proof_at(rule(-1.0), inputs).differs == "x"


def test_every_value_fault_of_the_table_is_planted_here():
    planted = {row.name for row in VALUE_FAULTS} | {*FAULTS_AT_A_POINT} | {SIGN_FLIPPED_JVP}
    asked = {name for rows in TABLE.values() if not isinstance(rows, str) for name in rows}
    assert asked <= planted
    assert planted - asked == {"another mask than the forward's"}  # randomness not replayed
