"""A reading of the whole document is named in each row that holds for its sake, and hides no fault.

Each document is right under one reading only. The faults planted in it are such as that reading could
be suspected to excuse; each is reported at its line nevertheless.
"""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit

CROSS_ENTROPY = r"""
$$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$

$$L = -\sum_i y_i \log p_i$$

$$\frac{\partial L}{\partial p_i} = -\frac{y_i}{p_i}$$

$$\frac{\partial p_i}{\partial z_j} = p_i (\delta_{ij} - p_j)$$

$$\frac{\partial L}{\partial z_i} = p_i - y_i$$
"""
LOGISTIC = r"""
$$a = f(W x), \quad E = \frac{1}{2} \|a - t\|^2$$

$$\frac{\partial E}{\partial a} = a - t$$

$$\frac{\partial E}{\partial W} = \left[ (a - t) \odot a \odot (1 - a) \right] x^T$$

$$\frac{\partial E}{\partial x} = W^T \left[ (a - t) \odot a \odot (1 - a) \right]$$
"""
EXAMPLES = r"""
$X \in \mathbb{R}^{n \times m}$, $Y \in \mathbb{R}^{k \times m}$.

$$Z = W X + b$$

$$J = \frac{1}{2m} \|Z - Y\|^2$$

$$dZ = Z - Y$$

$$dW = \frac{1}{m} dZ X^T$$

$$db = \frac{1}{m} np.sum(dZ, axis=1, keepdims=True)$$
"""
STEPS = r"""
$$h_t = \tanh(U x_t + W h_{t-1})$$

$$E_t = \frac{1}{2} \|h_t - d_t\|^2$$

$$\frac{\partial E_t}{\partial h_t} = h_t - d_t$$

$$\frac{\partial E_t}{\partial U} = \left[ (h_t - d_t) \odot (1 - h_t \odot h_t) \right] x_t^T$$

$$\frac{\partial E_t}{\partial W} = \left[ (h_t - d_t) \odot (1 - h_t \odot h_t) \right] h_{t-1}^T$$
"""
READINGS = {
    "distribution": (CROSS_ENTROPY, "the elements of y are read as summing to one"),
    "logistic": (LOGISTIC, "f is read as the logistic function"),
    "each example": (
        EXAMPLES,
        "dX of an array over the m examples is read as the gradient of each example's own loss",
    ),
    "one step": (STEPS, "t is read as one step"),
}
FAULTS = [
    ("distribution", "p_i - y_i", "y_i - p_i"),
    ("distribution", "p_i - y_i", "p_i + y_i"),
    ("distribution", "p_i - y_i", "2 p_i - y_i"),
    ("distribution", "= -\\frac{y_i}{p_i}", "= -\\frac{1}{p_i}"),
    ("distribution", "(\\delta_{ij} - p_j)", "(\\delta_{ij} - p_i)"),
    ("logistic", "(1 - a) \\right] x^T", "(1 + a) \\right] x^T"),
    ("logistic", "a \\odot (1 - a) \\right] x^T", "(1 - a) \\right] x^T"),
    ("logistic", "W^T \\left[", "W \\left["),
    ("logistic", "\\partial a} = a - t", "\\partial a} = t - a"),
    ("each example", "dW = \\frac{1}{m} dZ", "dW = dZ"),
    ("each example", "dZ = Z - Y", "dZ = Y - Z"),
    ("each example", "dZ X^T", "dZ X"),
    ("each example", "np.sum(dZ, axis=1, keepdims=True)", "dZ"),
    ("one step", "h_t)) \\right] x_t^T".replace("))", ")"), "h_t) \\right] x_{t-1}^T"),
    ("one step", "\\right] h_{t-1}^T", "\\right] h_t^T"),
    ("one step", "(1 - h_t \\odot h_t) \\right] h", "(1 - h_t) \\right] h"),
    ("one step", "= h_t - d_t", "= d_t - h_t"),
]


@pytest.mark.parametrize("name", READINGS)
def test_a_row_that_is_true_for_the_sake_of_a_reading_says_so(name):
    text, words = READINGS[name]
    rows = audit(text).rows
    assert {row.verdict for row in rows} == {"true"}
    assert [row for row in rows if f"only so far as {words}" in row.reason]


@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS)
def test_a_reading_excuses_no_planted_fault(name, right, wrong):
    text = READINGS[name][0]
    assert text.count(right) == 1
    line = text[: text.index(right)].count("\n") + 1
    found = audit(text.replace(right, wrong))
    assert line in [row.line for row in found.rows if row.wrong]


def test_a_row_that_holds_without_any_reading_names_none():
    rows = audit(CROSS_ENTROPY).rows
    assert [row.line for row in rows if "only so far as" in row.reason] == [10]
