"""A document that differentiates a forward pass and never writes it down."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit

EXAMPLES_IN_ROWS = r"""
$$\frac{\partial J}{\partial W_2} = \frac{\partial \sum \frac12 (y - \hat y)^2}{\partial W_2}$$

$$\frac{\partial J}{\partial W_2} = -(y - \hat y) \frac{\partial \hat y}{\partial z_3}
\frac{\partial z_3}{\partial W_2}$$

$$\frac{\partial J}{\partial W_2} = -(y - \hat y) \odot f'(z_3) \frac{\partial z_3}{\partial W_2}$$

$$\delta_3 = -(y - \hat y) \odot f'(z_3)$$

$$\frac{\partial J}{\partial W_2} = \delta_3 \frac{\partial z_3}{\partial W_2}$$

$$\frac{\partial J}{\partial W_2} = A_2^T \delta_3$$
"""
WRITTEN = r"""
$$E = \frac12 \|y - t\|^2$$

$$\frac{\partial E}{\partial x} = (y - t) \frac{\partial y}{\partial z} \frac{\partial z}{\partial x}$$

$$\frac{\partial E}{\partial x} = (y - t) f'(z) \frac{\partial z}{\partial x}$$

$$\frac{\partial E}{\partial x} = W^T (y - t) f'(z)$$
"""


def verdicts(text: str) -> list[str]:
    return [row.verdict for row in audit(text).rows]


def test_what_a_derivative_is_put_in_place_of_tells_the_function() -> None:
    found = audit(EXAMPLES_IN_ROWS)
    assert {row.verdict for row in found.rows} == {"true"}
    assert found.notes[0].startswith("hat y is read as f(z_3)")
    assert any("z_3 is read as A_2 W_2" in note for note in found.notes)


@pytest.mark.parametrize(
    ("right", "wrong", "row"),
    [
        ("= -(y - \\hat y) \\frac", "= (y - \\hat y) \\frac", 1),
        ("= \\delta_3 \\frac", "= -\\delta_3 \\frac", 4),
    ],
)
def test_a_fault_against_the_unwritten_pass_is_reported_at_its_row(
    right: str, wrong: str, row: int
) -> None:
    assert EXAMPLES_IN_ROWS.count(right) == 1
    found = audit(EXAMPLES_IN_ROWS.replace(right, wrong))
    assert [k for k, other in enumerate(found.rows) if other.wrong] == [row]


@pytest.mark.parametrize(
    ("right", "wrong"), [("odot f'(z_3) ", "odot f'(z_2) "), ("^T \\d", " \\d")]
)
def test_a_derivative_that_rows_write_differently_infers_nothing_and_accuses_no_right_row(
    right: str, wrong: str
) -> None:
    assert EXAMPLES_IN_ROWS.count(right) >= 1
    found = audit(EXAMPLES_IN_ROWS.replace(right, wrong))
    assert not any(row.wrong for row in found.rows)
    assert found.verdict == "inconclusive"


def test_juxtaposed_arrays_of_one_size_are_multiplied_elementwise_where_no_row_has_a_sign() -> None:
    found = audit(WRITTEN)
    assert [row.verdict for row in found.rows[:3]] == ["true"] * 3
    assert "only so far as arrays of one size side by side" in found.rows[2].reason


def test_within_one_term_juxtaposition_keeps_its_meaning() -> None:
    rows = audit(
        "$$Z = X W$$\n\n$$Y = f(Z)$$\n\n$$E = \\frac12 \\|Y - T\\|^2$$\n\n"
        "$$\\frac{\\partial E}{\\partial Z} = (Y - T) f'(Z)$$\n\n"
        "$$\\frac{\\partial E}{\\partial W} = X^T (Y - T) f'(Z)$$\n"
    ).rows
    assert [row.verdict for row in rows[3:]] == ["true", "dimension"]


@pytest.mark.parametrize("sign", ["\\odot", "\\circ"])
def test_a_document_that_has_a_sign_for_the_elementwise_product_must_use_it(sign: str) -> None:
    text = (
        "$$Z = X W$$\n\n$$E = \\frac12 \\|f(Z)\\|^2$$\n\n"
        f"$$\\frac{{\\partial E}}{{\\partial Z}} = f(Z) {sign} f'(Z)$$\n\n"
        "$$\\frac{\\partial E}{\\partial Z} = f(Z) f'(Z)$$\n"
    )
    assert verdicts(text)[2:] == ["true", "dimension"]
