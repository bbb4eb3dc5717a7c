"""Matrices and sums written out entry by entry, with ellipses or in full."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit
from gradcheck.derivations.displays import folded
from gradcheck.derivations.document import read_text
from gradcheck.derivations.rows import cut

FORWARD = r"""
$$a^{l} = \sigma(a^{l-1} W^{l})$$

$$a^L = \sigma(a^{L-1} W^L)$$

$$a^l_j = \sigma(\sum_{k} a^{l-1}_k w^l_{kj})$$

$$z^l_j = \sum_{k} a^{l-1}_k w^l_{kj}$$

$$C = \frac12 \|a^L - y\|^2$$

$$\frac{\partial C}{\partial a^L} = a^L - y$$

"""

JACOBIAN = r"""
$$s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$

$$\frac{\partial s}{\partial x} = \begin{bmatrix}
s_1 - s_1^2 & -s_1 s_2 & \cdots & -s_1 s_n \\
\vdots & \vdots & \ddots & \vdots \\
-s_n s_1 & -s_n s_2 & \cdots & s_n - s_n^2 \end{bmatrix}$$
"""

NEURON = r"""
$$z = w_1 x_1 + w_2 x_2 + \cdots + w_n x_n + b$$

$$\frac{\partial z}{\partial w_i} = x_i$$
"""

BLOCKS = r"""
$$y = \begin{pmatrix} U & V \end{pmatrix} \begin{pmatrix} x \\ t \end{pmatrix}$$

$$E = \frac12 \|y\|^2$$

$$\frac{\partial E}{\partial x} = U^T y$$

$$\frac{\partial E}{\partial V} = y t^T$$
"""

EXAMPLE = r"""
$$\begin{bmatrix} a_{11} & a_{12} \\ a_{21} & a_{22} \end{bmatrix} \circ
\begin{bmatrix} b_{11} & b_{12} \\ b_{21} & b_{22} \end{bmatrix} =
\begin{bmatrix} a_{11} b_{11} & a_{12} b_{12} \\ a_{21} b_{21} & a_{22} b_{22} \end{bmatrix}$$
"""


def display(first: str, second: str) -> str:
    """Return W^l by its entries; `first` counts its rows, `second` its columns."""
    cells = [
        [rf"w^l_{{{r}{c}}}" for c in ("1", "2", second)] for r in ("1", "2", first)
    ]  # fmt: skip
    rows = [rf"{a} & {b} & \cdots & {c}" for a, b, c in cells]
    rows.insert(2, r"\vdots & \vdots & \ddots & \vdots")
    return "$$W^l = \\begin{bmatrix} " + " \\\\ ".join(rows) + " \\end{bmatrix}$$\n"


def verdicts(text: str) -> list[str]:
    return [row.verdict for row in audit(text).rows]


@pytest.mark.parametrize("text", [JACOBIAN, NEURON, BLOCKS, EXAMPLE], ids="JNBE")
def test_what_is_written_out_is_read_as_the_family_that_it_shows(text: str) -> None:
    assert set(verdicts(text)) == {"true"}


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        (JACOBIAN, "s_n - s_n^2", "s_n + s_n^2"),
        (JACOBIAN.replace("s_n - s_n^2", "s_n + s_n^2"), "s_1 - s_1^2", "s_1 + s_1^2"),
        (NEURON, "= x_i", "= w_i"),
        (BLOCKS, "= U^T y", "= V^T y"),
        (BLOCKS, "y t^T", "y x^T"),
        (EXAMPLE, "a_{22} b_{22} ", "a_{21} b_{22} "),
    ],
)
def test_a_fault_in_what_is_written_out_never_passes(text: str, right: str, wrong: str) -> None:
    assert right in text
    assert verdicts(text.replace(right, wrong)) != verdicts(text)


def test_an_entry_with_a_wrong_index_in_an_example_is_named() -> None:
    found = audit(EXAMPLE.replace("a_{22} b_{22} ", "a_{21} b_{22} "))
    assert found.first_wrong is not None
    assert "in place of" in found.first_wrong.reason


def test_a_display_that_the_forward_rows_bear_out_names_the_entries_of_its_array() -> None:
    found = audit(FORWARD + display("n", "m"))
    assert {row.verdict for row in found.rows} <= {"true", "not checked"}
    assert found.rows[-1].verdict == "true"


def test_a_display_that_is_turned_over_is_wrong_in_its_dimensions() -> None:
    turned = FORWARD.replace("w^l_{kj}", "w^l_{jk}")
    row = audit(turned + display("n", "m")).rows[-1]
    assert (row.verdict, "the left side is" in row.reason) == ("dimension", True)


def test_one_entry_that_breaks_the_pattern_of_the_others_is_accused() -> None:
    wrong = display("n", "m").replace("w^l_{22}", "w^l_{12}")
    assert wrong != display("n", "m")
    row = audit(FORWARD + wrong).rows[-1]
    assert row.verdict == "scope"
    assert "row 2, column 2 has the index 1" in row.reason


@pytest.mark.parametrize(
    "shown",
    [
        r"\begin{bmatrix} x_1 & y_2 & \cdots & x_n \end{bmatrix}",
        r"\begin{bmatrix} x_1 & x_1 & \cdots & x_n \end{bmatrix}",
        r"\begin{bmatrix} 0 & 0 & \cdots & 1 & \cdots & 0 \end{bmatrix}",
        r"x_1 + y_2 + \cdots + x_n",
    ],
)
def test_what_shows_no_family_stays_unread(shown: str) -> None:
    (row,) = audit(f"$$z = {shown}$$\n").rows
    assert row.verdict == "not checked"


def test_letters_of_the_document_are_not_taken_for_the_indices_of_a_display() -> None:
    letters = " ".join("ijklmnpqrstuv"[:11])
    rows = cut(read_text(f"$${letters} = 1$$\n\n$$x = (x_1, \\ldots, x_N)$$\n").formulas)
    assert folded(rows) == rows
