"""The derivation that this project implements, its repaired twin, and mutations of that."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit
from tests.derivations.mutations import FALSIFIED, MUTATIONS, TARGET, mutated, repaired

MOST_RISK = 1e-17
"""A certificate that is this likely to be false is none."""


@pytest.fixture(scope="module")
def target():
    return audit(TARGET)


def row_at(found, line):
    return next(row for row in found.rows if row.line == line)


def test_every_row_of_the_target_document_is_read_and_checked(target):
    assert target.counts["rows"] == target.counts["read"] == target.counts["checked"] == 27


def test_the_summarys_gradient_is_exactly_half_of_the_truth_for_every_layer(target):
    row = row_at(target, 94)
    assert row.verdict == "false"
    assert row.ratio == pytest.approx(0.5, rel=1e-12)
    assert "1/2 times the left side, for i = 1, 2, 3" in row.reason


def test_the_redefinition_of_the_loss_is_the_conflict_and_the_first_wrong_line(target):
    row = row_at(target, 81)
    assert row.verdict == "conflict"
    assert row.reason == "defines E differently from line 27, by the factor 2"
    assert target.first_wrong is row


def test_the_wrong_gradient_is_explained_by_the_two_losses(target):
    assert (
        "with the E of line 27 it holds: lines 27 and 81 define E differently, by the factor 2"
        in row_at(target, 94).reason
    )


def test_all_other_rows_of_the_target_document_are_true(target):
    assert [row.line for row in target.rows if row.verdict != "true"] == [81, 94]


def test_chain_rows_with_formal_jacobians_are_read_as_pullbacks(target):
    assert [row_at(target, line).verdict for line in (44, 45, 56, 57, 58, 59, 60)] == ["true"] * 7


def test_the_repaired_twin_is_true_in_every_row_and_every_claim_is_certified():
    found = audit(repaired())
    assert found.verdict == "pass"
    assert {row.verdict for row in found.rows} == {"true"}
    assert found.certified
    claims = [row for row in found.rows if row.kind == "claim"]
    assert len(claims) >= 13
    assert all(row.grounds.functions == ("f",) for row in claims)
    assert all(0 < row.grounds.probability < MOST_RISK for row in claims)


def test_a_document_with_a_wrong_row_is_not_certified_though_its_right_rows_are(target):
    assert not target.certified
    assert row_at(target, 48).certified
    assert not row_at(target, 94).certified


@pytest.mark.parametrize(
    ("kind", "line", "old", "new"), MUTATIONS, ids=[f"{m[0]}-{m[1]}-{m[3]}" for m in MUTATIONS]
)
def test_a_single_mutation_is_reported_where_it_stands_or_where_it_first_shows(
    kind, line, old, new
):
    found = audit(mutated(line, old, new))
    wrong = [row.line for row in found.rows if row.wrong]
    assert found.verdict == "fail"
    assert wrong[0] in {line, *FALSIFIED.get(line, set())}
    known = {81, 94} | FALSIFIED.get(line, set()) | {line, 70, 58, 59, 60, 87}
    assert set(wrong) <= known
