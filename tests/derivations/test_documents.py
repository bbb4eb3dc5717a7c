"""Right derivations in many notations are not accused; a fault planted in one is, at its line."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit
from tests.derivations.planted import DOCUMENTS, planted

UNREAD = {"conv": 3, "ng_batch": 2, "rowbatch": 1, "dout": 1}
"""How many rows of a document say what is not read, or rest on it: shifted component indices, `a^{(i)}`
as a column of A, one row of a batch."""

FAULTS = planted()
ONE_EACH = list({fault.document: fault for fault in FAULTS}.values())

LEAST_SHARE = 0.85
"""Share of all planted faults that are reported at their line."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_no_row_of_a_right_derivation_is_accused_and_what_is_read_is_true(path):
    rows = audit(path).rows
    assert [(row.line, row.reason) for row in rows if row.wrong] == []
    assert sum(row.verdict != "true" for row in rows) == UNREAD.get(path.stem, 0)


@pytest.mark.parametrize("fault", ONE_EACH, ids=str)
def test_a_planted_fault_is_reported_at_its_line(fault):
    wrong = [row.line for row in audit(fault.text).rows if row.wrong]
    assert fault.line in wrong


@pytest.mark.slow
def test_most_planted_faults_are_reported_at_their_line():
    reported = [
        any(row.wrong and row.line == fault.line for row in audit(fault.text).rows)
        for fault in FAULTS
    ]
    assert sum(reported) >= LEAST_SHARE * len(FAULTS)
