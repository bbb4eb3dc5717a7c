"""Right formulas beside the same with one planted or published fault.

The published ones are retyped, formula by formula, from
- batch norm: talwarabhimanyu.github.io, _posts/2017-06-01-batchnorm-calculus.md (its last block, row 1);
- LSTM: jaketae.github.io, _posts/2020-06-02-dissecting-lstm.md (lines 267-273);
- softmax attention: Goubasarian.github.io, blog "backpropagating through attention", MIT licence (line 315);
- losses of a batch: blackkeys17.github.io, content/posts/neural_net_maths (lines 229, 271).
"""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit


def document(*rows):
    return "\n\n".join(f"$$\n{row}\n$$" for row in rows) + "\n"


NORM = (
    r"\mu = \frac{1}{N} \sum_{j=1}^N x_j",
    r"\sigma^2 = \frac{1}{N} \sum_{j=1}^N (x_j - \mu)^2",
    r"\hat{x_i} = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}",
    r"y_i = \gamma \hat{x_i} + \beta",
)
NORM_GRADIENT = (
    r"\frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}"
    r" \left( \frac{\partial L}{\partial y_i}"
    r" - \frac{1}{N} \sum_{k=1}^N \frac{\partial L}{\partial y_k}"
    r" - \frac{1}{N} \hat{x_i} \sum_{k=1}^N \hat{x_k} %s \right)"
)
SOFTMAX = (
    r"\begin{align*} B &= softmax(W) \\ &= exp(W) \odot ((exp(W)\mathbf{1_n})^{-1}\mathbf{1_n^T}) \\"
    r" &= B_1 \odot ((B_2)^{-1}\mathbf{1_n^T}) \\ &= B_1 \odot (B_3\mathbf{1_n^T}) \\"
    r" &= B_1 \odot B_4 \end{align*}"
)
ATTENTION = (
    r"W = \frac{Q K^T}{\sqrt{d_k}} \in \mathbb{R}^{n \times n}",
    r"C = B V",
    SOFTMAX,
    r"B_4 = B_3\mathbf{1_n^T}",
    r"\frac{\partial L}{\partial B} = \frac{\partial L}{\partial C} V^T = \zeta_2",
    r"\frac{\partial L}{\partial B_4} = B_1 \odot \zeta_2 = \zeta_3",
    r"\frac{\partial L}{\partial B_3} = \zeta_3\mathbf{1_n} = \zeta_4",
    r"\frac{\partial L}{\partial B_2} = -(B_2 \odot B_2)^{-1} \odot \zeta_4 = \zeta_5",
)
CELL = (
    r"o_t = \sigma(W_o h_{t-1} + b_o)",
    r"h_t = o_t \odot \tanh(c_t)",
    r"z = W_y h_t + b_y",
    r"\hat{y} = softmax(z)",
    r"\frac{dL}{dz} = \hat{y} - y",
    r"\sigma(x) = \frac{1}{1 + e^{-x}}",
    r"o_t = \sigma(a_o)",
)
SOFTMAX_INDEX = r"s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
GATE = r"\frac{dL}{da_o} = \frac{dL}{dh_t} \odot \tanh(c_t) \odot "
BATCH = (
    r"X \in \mathbb{R}^{n \times m}",
    r"b \in \mathbb{R}^{1 \times k}",
    r"\mathbf{1_n} \in \mathbb{R}^{n \times 1}",
    r"Z = X W + \mathbf{1_n} b",
)
PAIRS = {
    "batch norm keeps dL/dy in its last sum": (
        (*NORM, NORM_GRADIENT % r"\frac{\partial L}{\partial y_k}"),
        (*NORM, NORM_GRADIENT % ""),
    ),
    "attention's two paths into exp": (
        (*ATTENTION, r"\frac{\partial L}{\partial B_1} = \zeta_5\mathbf{1_n^T} + \zeta_2 \odot B_4"),
        (*ATTENTION, r"\frac{\partial L}{\partial B_1} = \zeta_5\mathbf{1_n^T} + \zeta_3 \odot B_4"),
    ),
    "softmax's Jacobian": (
        (SOFTMAX_INDEX, r"\frac{\partial s_i}{\partial x_j} = s_i (\delta_{ij} - s_j)"),
        (SOFTMAX_INDEX, r"\frac{\partial s_i}{\partial x_j} = s_i (\delta_{ij} + s_j)"),
    ),
    "the derivative of a gate is taken at its own value": (
        (*CELL, GATE + r"o_t \odot (1 - o_t)"),
        (*CELL, GATE + r"\sigma(o_t) \odot (1 - \sigma(o_t))"),
    ),
    "the rows of a batch are summed for the bias": (
        (
            *BATCH, r"\frac{\partial L}{\partial b} = \mathbf{1_n}^T \frac{\partial L}{\partial Z}",
        ),
        (
            *BATCH, r"\frac{\partial L}{\partial b} = \frac{\partial L}{\partial Z}",
        ),
    ),
    "a layer's gradient in index form": (
        (
            r"z_i = \sum_j w_{ij} x_j", r"\frac{\partial z_i}{\partial w_{ij}} = x_j",
        ),
        (
            r"z_i = \sum_j w_{ij} x_j", r"\frac{\partial z_i}{\partial w_{ij}} = x_i",
        ),
    ),
    "the loss of a batch is a mean": (
        (r"C = \sum (y_i - a_i)^2", r"C = \frac{1}{n} \sum_{\forall x} C_x"),
        (r"C = \sum (y_i - a_i)^2", r"C = \frac{1}{n} \sum_{\forall x} C_x", r"C = \sum_{\forall x} C_x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_right_form_is_not_accused_and_its_last_row_is_true(name):
    found = audit(document(*PAIRS[name][0]))
    assert not any(row.wrong for row in found.rows), [row.reason for row in found.rows if row.wrong]
    assert found.rows[-1].verdict == "true"


@pytest.mark.parametrize("name", PAIRS)
def test_the_planted_fault_is_accused_in_the_last_row_and_nowhere_else(name):
    found = audit(document(*PAIRS[name][1]))
    assert [row.wrong for row in found.rows] == [False] * (len(found.rows) - 1) + [True]


def test_sizes_that_a_forward_row_does_not_identify_never_fit_by_accident():
    rows = (r"y = f(Wx)", r"E = \|y\|^2", r"\frac{\partial E}{\partial x} = 2 W (y \circ f'(Wx))")
    assert audit(document(*rows)).rows[-1].verdict == "dimension"


def test_a_sum_from_zero_that_is_divided_by_its_end_is_a_fault_of_range():
    found = audit(document(r"\mu = \frac{1}{N} \sum_{i=0}^{N} x_i"))
    assert found.rows[0].verdict == "scope"
    assert "one term more than it divides by" in found.rows[0].reason


def test_a_case_that_holds_off_the_diagonal_only_is_ambiguous_not_wrong():
    rows = (
        r"s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}",
        r"\frac{\partial s_i}{\partial x_j} = - s_i s_j",
    )
    row = audit(document(*rows)).rows[-1]
    assert row.verdict == "ambiguous"
    assert "holds where i ≠ j, not where i = j" in row.reason


def test_a_row_about_a_function_is_read_for_a_number_whatever_its_letter_is_elsewhere():
    rows = (
        r"a = \sigma(W z)",
        r"\sigma'(z) = \sigma(z) (1 - \sigma(z))",
        r"\sigma'(z) = \sigma(z) (1 + \sigma(z))",
    )
    assert [row.verdict for row in audit(document(*rows)).rows] == ["true", "true", "false"]


def test_an_update_that_adds_the_gradient_is_false():
    rows = (r"E = \|W x\|^2", r"W \leftarrow W + \eta \frac{\partial E}{\partial W}")
    assert audit(document(*rows)).rows[-1].reason == "adds the gradient: this step ascends"
