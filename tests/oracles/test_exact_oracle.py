"""The oracle `exact`, what it certifies of a rule, and what it must never certify."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import gradcheck
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.programs import Programs
from gradcheck.rules import Point, claim_at

HAIR = 1 + 1e-13
"""A factor that no float check at the profile's power can see."""


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_backward(g, x, factor=1.0):
    return g * factor * np.exp(-x) / (1 + np.exp(-x)) ** 2


def proof_of(rule, *inputs, cotangent=None, oracle=None):
    """What the oracle proves at one point; several points share an oracle's memory."""
    oracle = oracle or Exact(Programs())
    inputs = tuple(np.asarray(x, float) for x in inputs)
    if cotangent is None and not rule.scalar:
        cotangent = np.full(np.shape(rule.primal(inputs)), 1.3)
    claim = claim_at(rule, Point(inputs, cotangent))
    return oracle.examine(rule, claim, np.random.default_rng(0)).proof


def test_a_right_backward_is_certified_and_one_off_by_a_hair_is_not():
    right = gradcheck.vjp(sigmoid, sigmoid_backward, x="N")
    wrong = gradcheck.vjp(sigmoid, lambda g, x: sigmoid_backward(g, x, HAIR), x="N")
    certificate = proof_of(right, [0.5, -2.0]).certificate
    assert certificate.probability < 1e-15
    assert certificate.uninterpreted == ("exp",)
    proof = proof_of(wrong, [0.5, -2.0])
    assert proof.certificate is None
    assert proof.differs == "x"


def test_where_exp_underflows_nothing_is_proven_of_where_it_does_not():
    """At 900 the wrong gradient is the right 0, in a cell of its own."""
    wrong = gradcheck.vjp(sigmoid, lambda g, x: sigmoid_backward(g, x, HAIR), x="N")
    oracle = Exact(Programs())
    far, near = (proof_of(wrong, [x], oracle=oracle) for x in (900.0, 1.0))
    assert far.certificate
    assert "exp is 0" in far.names[0]
    assert near.differs == "x"
    assert near.cell != far.cell


def test_a_cell_with_a_mismatch_is_certified_at_no_other_point():
    wrong = gradcheck.vjp(sigmoid, lambda g, x: sigmoid_backward(g, x, HAIR), x="N")
    oracle = Exact(Programs())
    assert all(proof_of(wrong, [x], oracle=oracle).differs for x in (1.0, -2.0, 5.0, 1e-9))


def test_a_cell_that_is_known_is_not_proven_again_and_another_is():
    rule = gradcheck.vjp(
        lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x > 0, 1, 1e-12), x="N"
    )
    oracle = Exact(Programs())
    first, second, below = (proof_of(rule, [x], oracle=oracle) for x in (1.0, 2.0, -1.0))
    assert first.certificate is second.certificate
    assert first.cell == second.cell
    assert below.differs == "x"


def test_a_tie_lies_in_no_cell():
    rule = gradcheck.vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), x="N")
    proof = proof_of(rule, [0.0, 1.0])
    assert proof.on_boundary
    assert proof.certificate is None


def test_empty_gradients_prove_nothing():
    rule = gradcheck.vjp(lambda x: x**2, lambda g, x: 3 * g * x, x="N")
    assert proof_of(rule, np.zeros(0)) is None


def test_an_input_without_a_claim_is_no_part_of_the_certificate():
    def forward(x, y):
        return x * y

    assert proof_of(
        gradcheck.vjp(forward, lambda g, x, y: (g * y, None), x="N", y="N"), [1.0], [2.0]
    ).certificate
    wrong = gradcheck.vjp(forward, lambda g, x, y: (g * y, g * x * HAIR), x="N", y="N")
    assert proof_of(wrong, [1.0], [2.0]).differs == "y"


def test_the_cotangent_of_a_scalar_is_one():
    rule = gradcheck.gradient(lambda x: np.sum(x**2), lambda x: 2 * x, x="N")
    assert proof_of(rule, [1.0, 2.0]).certificate
    assert "cotangent of a scalar is not 1" in proof_of(rule, [1.0], cotangent=np.array(0.5)).reason


@pytest.mark.parametrize("hair", [1.001, 1 + 1e-10, 1 + 1e-13])
def test_code_that_counts_its_calls_has_no_certificate(hair):
    calls = []

    def backward(g, x):
        calls.append(None)
        return 2 * g * x * (1.0 if len(calls) % 2 else hair)

    rule = gradcheck.vjp(lambda x: x**2, backward, x="N")
    oracle = Exact(Programs())
    proofs = [proof_of(rule, [x], oracle=oracle) for x in (1.0, 2.0, 3.0, 4.0)]
    assert not all(proof.certificate for proof in proofs)
    assert any("depends on more than its inputs" in proof.reason for proof in proofs)


def test_a_gradient_of_rounding_errors_is_certified():
    """Of one entry x/|x| has the gradient 0, of which float64 shows other digits in every order."""

    def forward(x):
        return x / np.sqrt(np.sum(x * x, -1, keepdims=True))

    def backward(g, x):
        r = np.sqrt(np.sum(x * x, -1, keepdims=True))
        return g / r - x * np.sum(g * x, -1, keepdims=True) / r**3

    rule = gradcheck.vjp(forward, backward, x="N D")
    x, g = [[0.55721276], [0.0619641], [0.18049058]], [[-1.0], [0.0], [2.0]]
    assert proof_of(rule, x, cotangent=np.array(g)).certificate
    wrong = gradcheck.vjp(forward, lambda g, x: backward(g, x) + 1e-12 * g * x, x="N D")
    assert not proof_of(wrong, x, cotangent=np.array(g)).certificate
    report = gradcheck.verify(rule, examples=20, seed=1, checks=["gradient"])
    assert report.certified
    assert "depends on more than its inputs" not in str(report)


def test_dropout_is_certified_draw_by_draw():
    rng = np.random.default_rng(3)

    def forward(x):
        mask = (rng.random(x.shape) < 0.5) / 0.5
        return x * mask, mask

    right = gradcheck.pair(forward, lambda g, mask: g * mask, x="N")
    wrong = gradcheck.pair(forward, lambda g, mask: g * mask * HAIR, x="N")
    assert proof_of(right, np.ones(9)).certificate
    assert proof_of(wrong, np.ones(9)).differs == "x"


def test_two_forms_of_one_function_pass_without_certificate_and_are_both_named():
    """tanh(y) = 2 sigmoid(2y) - 1 is known, but behind another exp no more."""

    def by_tanh(x):
        return np.tanh(np.tanh(x))

    def by_sigmoid(g, x):
        inner = np.tanh(x)
        outer = 2 / (1 + np.exp(-2 * inner)) - 1
        return g * (1 - outer**2) * (1 - inner**2)

    def deep(x):
        return np.tanh(np.exp(np.exp(by_tanh(x))))

    def deep_backward(g, x):
        inner = np.tanh(x)
        outer = 2 / (1 + np.exp(-2 * inner)) - 1
        grown = np.exp(np.exp(outer))
        return g * (1 - np.tanh(grown) ** 2) * grown * np.exp(outer) * by_sigmoid(1, x)

    assert proof_of(gradcheck.vjp(by_tanh, by_sigmoid, x="N"), [0.3]).certificate
    report = gradcheck.verify(
        gradcheck.vjp(deep, deep_backward, x="N"), examples=5, seed=1, checks=["gradient"]
    )
    assert report.verdict == "pass"
    assert not report.certified
    assert "no certificate: the claimed gradient of x is not the true one by algebra alone" in str(
        report
    )
    by_line = r"{} at \S*test_exact_oracle\.py:{}"
    tanh = by_line.format("tanh", by_tanh.__code__.co_firstlineno + 1)
    minus_one = by_line.format("sub", deep_backward.__code__.co_firstlineno + 2)
    parting = f"{minus_one} and {tanh} have equal numbers and are not known to be one function"
    assert re.search(parting, str(report))


def test_a_report_is_certified_if_it_passes_and_every_cell_is_proven():
    right = gradcheck.vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), x="N")
    report = gradcheck.verify(right, examples=10, seed=1)
    assert report.certified
    certificate = report.checks[0].certificate
    assert certificate["cells"] == certificate["certified_cells"] > 1
    assert certificate["probability"] < 1e-15
    assert "certified in" in str(report)
    visited = report.as_dict()["checks"][0]["certificate"]["visited"]
    assert any("test_exact_oracle.py" in name for cell in visited for name in cell["branches"])


def test_a_failure_that_is_expected_is_no_certificate():
    wrong = gradcheck.vjp(
        lambda x: x**2, lambda g, x: 3 * g * x, x="N", expected_failures={"gradient": "known"}
    )
    report = gradcheck.verify(wrong, examples=5, seed=1)
    assert report.verdict == "pass"
    assert not report.certified
    tally = gradcheck.verify(
        gradcheck.vjp(lambda x: x**2, lambda g, x: 2 * g * x, x="N"), examples=5, seed=1
    ).checks[0]
    assert tally.certified
    assert not replace(tally, reason="fails as expected: known").certified


def test_without_tracing_there_is_no_certificate():
    rule = gradcheck.vjp(lambda x: x**2, lambda g, x: 2 * g * x, x="N")
    report = gradcheck.verify(rule, examples=5, seed=1, trace=False)
    assert report.verdict == "pass"
    assert not report.certified


def test_long_integer_inputs_are_told_apart():
    """The repr of a long array leaves entries out; two of them must not share a program."""
    import jax.numpy as jnp

    rule = gradcheck.vjp(
        lambda x, i: jnp.sum(x[i]) + 0 * x,
        lambda g, x, i: (jnp.zeros(3).at[i].add(jnp.sum(g)), None),
        x="N",
        i=gradcheck.integers("M", below="N"),
    )
    programs, rng = Programs(), np.random.default_rng(0)
    some, other = np.zeros(1500, int), np.zeros(1500, int)
    other[700] = 1
    traced = [
        programs.at(rule, claim_at(rule, Point((np.ones(3), i), np.ones(3))), rng)
        for i in (some, other)
    ]
    assert traced[0] is not traced[1]


def test_the_specimen_is_certified_for_any_activation_with_its_cells_and_probability():
    from reference.verification import affine_layer, batch_loss

    for rule in (batch_loss, affine_layer):
        report = gradcheck.verify(rule, examples=12, seed=1, checks=["gradient"])
        assert report.certified, str(report)
        (check,) = report.checks
        proofs = check.tally.certified_cells
        assert len(proofs) == check.certificate["cells"] > 1
        assert 0 < check.certificate["probability"] < 1e-15
        assert any("activations.py" in name for proof in proofs for name in proof.names)
        assert any(proof.certificate.uninterpreted for proof in proofs)
