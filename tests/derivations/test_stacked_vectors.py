r"""Examples with an index below are vectors, `x_i` in `w^T x_i`; a matrix X beside them has them as rows."""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit

LOGISTIC = r"""
$x_i \in \mathbb{R}^d$ and $w \in \mathbb{R}^d$, $b \in \mathbb{R}$.

$$z_i = w^\top x_i + b, \quad p_i = \sigma(z_i), \quad \sigma(z) = \frac{1}{1 + e^{-z}}$$

$$J(w, b) = -\sum_{i=1}^n \left[ y_i \log p_i + (1 - y_i) \log(1 - p_i) \right]$$

$$J_i = -\left[ y_i \log p_i + (1 - y_i) \log(1 - p_i) \right]$$

$$\frac{d J_i}{d z_i} = p_i - y_i$$

$$\frac{\partial z_i}{\partial w} = x_i$$

$$\nabla_w J = \sum_{i=1}^n \frac{d J_i}{d z_i} \frac{\partial z_i}{\partial w} = \sum_i (p_i - y_i) x_i$$

With $X \in \mathbb{R}^{n \times d}$ and $p = \sigma(X w + b \mathbf{1})$:

$$\nabla_w J = X^\top (p - y)$$

$$\frac{\partial J}{\partial b} = \mathbf{1}^\top (p - y)$$
"""
LAYER = r"""
$$h_i = f(W x_i), \quad E = \frac{1}{2} \sum_i (h_i - t_i)^T (h_i - t_i)$$

$$\frac{\partial E}{\partial h_i} = h_i - t_i$$

$$\frac{\partial E}{\partial W} = \sum_i \left[ (h_i - t_i) \odot f'(W x_i) \right] x_i^T$$

$$\frac{\partial E}{\partial x_i} = W^T \left[ (h_i - t_i) \odot f'(W x_i) \right]$$
"""
FENCED = r"""
$$J(w) = \frac{1}{2} \|X w - y\|^2$$

```math
$$\nabla J(w) = X^T (X w - y)$$
```
"""
FAULTS = {
    "the sign of a gradient by numbers": (LOGISTIC, 10, "= p_i - y_i$$", "= p_i + y_i$$"),
    "a sign beside a vector": (LOGISTIC, 14, "(p_i - y_i) x_i$$", "(p_i + y_i) x_i$$"),
    "a factor in matrix form": (LOGISTIC, 18, r"X^\top (p", r"2 X^\top (p"),
    "the transpose lost": (LOGISTIC, 18, r"X^\top (p", "X (p"),
    "a lost prime": (LAYER, 6, "f'(W x_i) \\right] x", "f(W x_i) \\right] x"),
    "the sign in a layer": (LAYER, 8, "W^T \\left[ (h_i - t", "W^T \\left[ (h_i + t"),
    "the factor of a nabla": (FENCED, 5, "= X^T", "= 2 X^T"),
}


@pytest.mark.parametrize("text", [LOGISTIC, LAYER, FENCED])
def test_reads_examples_that_are_vectors(text: str) -> None:
    assert {row.verdict for row in audit(text).rows} == {"true"}


@pytest.mark.parametrize(("text", "line", "right", "wrong"), FAULTS.values(), ids=FAULTS)
def test_reports_a_fault_beside_vectors(text: str, line: int, right: str, wrong: str) -> None:
    assert text.count(right) == 1
    found = audit(text.replace(right, wrong))
    assert [row.line for row in found.rows if row.wrong] == [line]


def test_does_not_take_examples_in_columns_for_rows() -> None:
    found = audit(
        r"""
$x_i \in \mathbb{R}^d$, $X \in \mathbb{R}^{d \times n}$, $w \in \mathbb{R}^d$.

$$E = \frac{1}{2} \sum_i (w^T x_i - y_i)^2$$

$$\frac{\partial E}{\partial w} = \sum_i (w^T x_i - y_i) x_i$$

$$\frac{\partial E}{\partial w} = X (X^T w - y)$$
"""
    )
    assert not any(row.wrong for row in found.rows)
    assert [row.verdict for row in found.rows[-2:]] == ["true", "not checked"]
