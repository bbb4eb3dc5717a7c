"""One notation at a time: the right row is true, and the same row with one fault is accused."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit

SOFTMAX = r"""
$$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}$$

$$L = -\log p_y$$

"""
ROWS = {
    "an indicator of the class": (
        SOFTMAX,
        r"$$\frac{\partial L}{\partial z_k} = p_k - \mathbb{1}(y = k)$$",
        r"$$\frac{\partial L}{\partial z_k} = p_k + \mathbb{1}(y = k)$$",
    ),
    "cases of the class": (
        SOFTMAX + "$$\\frac{\\partial L}{\\partial z_k} = p_k - \\mathbb{1}(y = k)$$\n\n",
        (r"$$\frac{\partial L}{\partial z_k} = "
        r"\begin{cases} p_k - 1 & \text{if } k = y \\ p_k & \text{otherwise} \end{cases}$$"),
        (r"$$\frac{\partial L}{\partial z_k} = "
        r"\begin{cases} p_k & \text{if } k = y \\ p_k - 1 & \text{otherwise} \end{cases}$$"),
    ),
    "cases of two indices": (
        SOFTMAX,
        (r"$$\frac{\partial p_k}{\partial z_i} = "
        r"\begin{cases} p_k (1 - p_i), & i = k \\ -p_k p_i, & i \neq k \end{cases}$$"),
        (r"$$\frac{\partial p_k}{\partial z_i} = "
        r"\begin{cases} p_k (1 - p_i), & i = k \\ p_k p_i, & i \neq k \end{cases}$$"),
    ),
    "a logarithm of a sum": (
        ("$$L = -\\sum_k y_k z_k + \\log \\sum_k e^{z_k}$$\n\n"
        "$$\\frac{\\partial L}{\\partial y_k} = -z_k$$\n\n"),
        r"$$\frac{\partial L}{\partial z_i} = -y_i + \frac{e^{z_i}}{\sum_k e^{z_k}}$$",
        r"$$\frac{\partial L}{\partial z_i} = -y_i + \frac{1}{\sum_k e^{z_k}}$$",
    ),
    "a second derivative": (
        "$$L = \\frac{1}{2} \\sum_i x_i^4$$\n\n$$\\frac{\\partial L}{\\partial x_i} = 2 x_i^3$$\n\n",
        r"$$\frac{\partial^2 L}{\partial x_i \partial x_j} = 6 x_i^2 \delta_{ij}$$",
        r"$$\frac{\partial^2 L}{\partial x_i \partial x_j} = 3 x_i^2 \delta_{ij}$$",
    ),
    "a sum over steps with letters for the weights": (
        ("$$h_t = \\tanh(W_{hh} h_{t-1} + W_{xh} x_t)$$\n\n"
        "$$L = \\sum_{t=1}^T \\frac{1}{2} \\|V h_t - y_t\\|^2$$\n\n"),
        r"$$\frac{\partial L}{\partial V} = \sum_{t=1}^T (V h_t - y_t) h_t^T$$",
        r"$$\frac{\partial L}{\partial V} = \sum_{t=1}^T (V h_t - y_t) h_{t-1}^T$$",
    ),
    "a sum over examples": (
        "$$J = \\frac{1}{2m} \\sum_{i=1}^m \\| W x^{(i)} - y^{(i)} \\|^2$$\n\n",
        r"$$\frac{\partial J}{\partial W} = \frac{1}{m} \sum_{i=1}^m (W x^{(i)} - y^{(i)}) (x^{(i)})^T$$",
        r"$$\frac{\partial J}{\partial W} = \sum_{i=1}^m (W x^{(i)} - y^{(i)}) (x^{(i)})^T$$",
    ),
    "a mask": (
        ("$$a = \\mathrm{ReLU}(W x), \\quad L = \\|a\\|^2$$\n\n"
        "$$\\frac{\\partial L}{\\partial a} = 2 a$$\n\n"),
        r"$$\frac{\partial L}{\partial W} = (2 a \odot \mathbb{1}[W x > 0]) x^T$$",
        r"$$\frac{\partial L}{\partial W} = (a \odot \mathbb{1}[W x > 0]) x^T$$",
    ),
    "the factor of an activation": (
        "$$a = f(W x), \\quad L = \\|a\\|^2$$\n\n$$z = W x$$\n\n",
        r"$$\frac{\partial a}{\partial z} = f'(z)$$",
        r"$$\frac{\partial a}{\partial z} = f(z)$$",
    ),
    "the factor of a weight": (
        "$$z = W x, \\quad u = V x, \\quad L = \\|z\\|^2 + \\|u\\|^2$$\n\n",
        r"$$\frac{\partial z}{\partial W} = x^T$$",
        r"$$\frac{\partial z}{\partial W} = 2 x^T$$",
    ),
    "a loss that sums others of its name": (
        ("$$P_{ik} = \\frac{e^{Z_{ik}}}{\\sum_j e^{Z_{ij}}}$$\n\n"
        "$$L_i = -\\sum_k Y_{ik} Z_{ik} + \\log \\sum_j e^{Z_{ij}}$$\n\n"
        "$$L = \\sum_i L_i$$\n\n"),
        r"$$\frac{\partial L}{\partial Z_{ik}} = P_{ik} - Y_{ik}$$",
        r"$$\frac{\partial L}{\partial Z_{ik}} = Y_{ik} - P_{ik}$$",
    ),
    "gradients as rows": (
        ("$$z = W x, \\quad L = \\frac{1}{2} \\|z - t\\|^2$$\n\n$$\\frac{\\partial z}{\\partial x} = W$$\n\n"
        "$$\\frac{\\partial L}{\\partial z} = (z - t)^T$$\n\n"),
        r"$$\frac{\partial L}{\partial x} = (z - t)^T W$$",
        r"$$\frac{\partial L}{\partial x} = (t - z)^T W$$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_right_row_is_true_with_all_above_it(name):
    above, right, _ = ROWS[name]
    found = audit(above + right)
    assert [row.verdict for row in found.rows if row.verdict != "true"] == []


@pytest.mark.parametrize("name", ROWS)
def test_the_wrong_row_is_accused_and_no_other(name):
    above, _, wrong = ROWS[name]
    found = audit(above + wrong)
    assert [row.wrong for row in found.rows] == [False] * (len(found.rows) - 1) + [True]


def test_a_row_that_fails_for_a_wrong_definition_only_is_not_accused_with_it():
    text = (
        "$$z = W x + b, \\quad a = f(z), \\quad E = \\frac{1}{2} \\|a - t\\|^2$$\n\n"
        "$$\\delta = (a - t) \\odot f(z)$$\n\n"
        "$$\\frac{\\partial E}{\\partial W} = \\delta x^T$$\n\n"
        "$$\\frac{\\partial E}{\\partial b} = \\delta$$\n"
    )
    rows = {row.line: row for row in audit(text).rows}
    assert [line for line, row in rows.items() if row.wrong] == [3]
    assert rows[5].verdict == rows[7].verdict == "not checked"
    assert rows[5].reason.startswith("follows from line 3, which is wrong")


def test_a_sum_over_components_that_begins_at_another_index_is_not_read_as_a_sum_over_all():
    text = "$$E = \\sum_i x_i^2$$\n\n$$y_j = \\sum_{i=j}^n x_i$$"
    assert audit(text).rows[-1].verdict == "not checked"


def test_one_letter_counts_examples_beside_a_sum_over_them_and_units_elsewhere():
    text = (
        "$$s = \\sum_{i=1}^n a_i$$\n\n"
        "$$C = \\sum (y_i - a_i)^2$$\n\n"
        "$$C = \\frac{1}{n} \\sum_{\\forall x} C_x$$\n\n"
        "$$%s$$"
    )
    right = audit(text % r"\frac{\partial C}{\partial a_k} = 2 (a_k - y_k)")
    assert not any(row.wrong for row in right.rows)
    wrong = audit(text % r"C = \sum_{\forall x} C_x")
    assert [row.verdict for row in wrong.rows][-1] == "conflict"
