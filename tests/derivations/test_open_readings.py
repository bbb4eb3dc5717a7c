r"""What a document leaves open accuses nobody; what it says beside that is still held against it.

Each document is written as people write, and none of its rows is wrong. Beside it stands a twin with one
fault, which is reported at its line.
"""

from __future__ import annotations

import pytest

from gradcheck.derivations import audit

NUMBERED_STEPS = r"""
$$s^t = w x^t + v h^{t-1} + b$$
$$s^0 = w x^0 + b$$
$$h^t = f(s^t)$$

$$\frac{\partial h^0}{\partial b} = f'(s^0)$$
$$\frac{\partial h^t}{\partial b} = f'(s^t) \left[ v \frac{\partial h^{t-1}}{\partial b} + 1 \right]$$
$$\frac{\partial h^0}{\partial w} = f'(s^0) x^0$$
"""
MODEL_OF_DATA = r"""
The data are thought to obey $y = X w + \epsilon$, where $y \in \mathbb{R}^n$, and we minimise
$$J(w) = \frac{1}{2} \|X w - y\|^2$$

$$\nabla_w J(w) = X^T X w - X^T y$$

The minimum is where
$$X^T X w = X^T y$$
"""
FUNCTION_OF_ITS_VALUE = r"""
$$z = w^T x, \quad p = \sigma(z), \quad \sigma(z) = \frac{1}{1 + e^{-z}}$$

$$\sigma'(z) = \sigma(z) (1 - \sigma(z)) = p (1 - p)$$

$$\frac{\partial p}{\partial z} = p (1 - p)$$
"""
GOES_ON = r"""
$$a_j = \frac{e^{z_j}}{\sum_k e^{z_k}}$$

$$L = -\sum_k y_k \log a_k$$

$$\frac{\partial L}{\partial z_i} = -\sum_k \frac{y_k}{a_k} \frac{\partial a_k}{\partial z_i}$$

$$= -y_i (1 - a_i) + \sum_{k \neq i} y_k a_i$$

$$= a_i \sum_k y_k - y_i$$
"""
LAST_LAYER_UNSAID = r"""
$$z^{(l)} = W^{(l)} a^{(l-1)} + b^{(l)}, \quad a^{(l)} = f(z^{(l)})$$

$$C(W, b) = \frac{1}{2} \|a^{(l)} - t\|^2$$

$$\frac{\partial C(W, b)}{\partial b^{(l)}} = (a^{(l)} - t) \odot f'(z^{(l)})$$

$$\frac{\partial a^{(l)}}{\partial z^{(l)}} = \text{diag}(f'(z^{(l)}))$$
"""
ALIAS = r"""
$$c_t = i_t \odot c_{t-1}, \quad h_t = o_t \odot \tanh(c_t)$$

$$
\begin{aligned}
E &= \frac{1}{2} \|\hat{y}_t - y_t\|^2 \\
&= \frac{1}{2} \|h_t - y_t\|^2
\end{aligned}
$$

$$\frac{\partial E}{\partial o_t} = (h_t - y_t) \odot \tanh(c_t)$$
"""
ROOT_MEAN_SQUARE = r"""
$$r = \text{RMS}(x) = \sqrt{\frac{1}{D} \sum_{i=1}^{D} x_i^2 + \epsilon}$$

$$y_i = g_i \frac{x_i}{r}$$

$$\frac{\partial r}{\partial x_i} = \frac{x_i}{D r}$$
"""
GAP = r"""
$$y = f(Wx), \quad E = \frac{1}{2} \|y - t\|^2$$

$$\begin{aligned}
\frac{\partial E}{\partial x} &= W^T \left[ (y - t) \odot f'(Wx) \right] \\

\frac{\partial E}{\partial W} &= \left[ (y - t) \odot f'(Wx) \right] x^T
\end{aligned}$$
"""
NUMBERS = r"""
$$s_t = w x_t + v h_{t-1} + b, \quad h_t = f(s_t)$$
$$y_t = u h_t + d, \quad E_t = \frac{1}{2} (y_t - r_t)^2$$

$$\frac{\partial E_t}{\partial u} = \frac{\partial E_t}{\partial y_t} \cdot h_t = (y_t - r_t) h_t$$
$$\frac{\partial s_t}{\partial v} = v \frac{\partial h_{t-1}}{\partial v} + h_{t-1}$$
$$\frac{\partial h_t}{\partial v} = f'(s_t) \cdot ( v \frac{\partial h_{t-1}}{\partial v} + h_{t-1} )$$
"""
DOCUMENTS = {
    "numbers without a matrix": (NUMBERS, 6, "} + h_{t-1}$$", "} - h_{t-1}$$"),
    "steps numbered above": (NUMBERED_STEPS, 8, "f'(s^0) x^0", "f'(s^0) x^1"),
    "a model of the data": (MODEL_OF_DATA, 5, "- X^T y$$\n\nThe", "+ X^T y$$\n\nThe"),
    "f' beside f's value": (FUNCTION_OF_ITS_VALUE, 6, "z} = p (1 - p)", "z} = p (1 + p)"),
    "a display that goes on": (GOES_ON, 8, r"(1 - a_i) + \sum", r"(1 - a_i) - \sum"),
    "an alias of the output": (ALIAS, 11, r"(h_t - y_t) \odot \tanh", r"(h_t + y_t) \odot \tanh"),
    "a word as a function": (ROOT_MEAN_SQUARE, 6, "{D r}", "{r}"),
    "a blank line inside": (GAP, 7, "f'(Wx) \\right] x^T", "f(Wx) \\right] x^T"),
}


@pytest.mark.parametrize(("text", "line", "right", "wrong"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_accuses_no_row_that_is_right_and_the_one_that_is_not(
    text: str, line: int, right: str, wrong: str
) -> None:
    sound = audit(text)
    assert [f"{row.line} {row.reason}" for row in sound.rows if row.wrong] == []
    assert sum(row.verdict == "true" for row in sound.rows) >= len(sound.rows) - 1
    assert text.count(right) == 1
    faulty = audit(text.replace(right, wrong))
    assert [row.line for row in faulty.rows if row.wrong] == [line]


def test_leaves_rows_unjudged_where_a_loss_is_written_with_a_free_layer() -> None:
    rows = {row.line: row for row in audit(LAST_LAYER_UNSAID).rows}
    assert not any(row.wrong for row in rows.values())
    assert rows[6].verdict == "not checked"
    assert "line 4 writes C with a free index l" in rows[6].reason


def test_leaves_a_condition_on_given_symbols_unjudged() -> None:
    condition = audit(MODEL_OF_DATA).rows[-1]
    assert condition.verdict == "not checked"
    assert "condition on symbols of which no row says more" in condition.reason


def test_leaves_a_chain_of_undefined_letters_unjudged() -> None:
    found = audit("$$a = b = c = d$$\n\n$$P = Q = R$$")
    assert not any(row.wrong for row in found.rows)


def test_names_the_symbol_that_no_forward_row_has() -> None:
    found = audit(
        r"$$E = \frac12 \|Wx - t\|^2$$ so $$\frac{\partial E}{\partial W} = (Wx - y) x^T$$"
    )
    assert found.rows[1].verdict == "not checked"
    assert "has t, which stands" in found.rows[1].reason or "has y, which" in found.rows[1].reason


def test_does_not_judge_what_is_no_number_as_it_was_read() -> None:
    found = audit(
        r"""
$y \in \mathbb{R}^n$ and $w \in \mathbb{R}^d$, $x \in \mathbb{R}^d$.

$$p = \sigma(w^T x), \quad L = -y \log p$$

$$\frac{\partial L}{\partial w} = (p - y) x$$
"""
    )
    assert not any(row.wrong for row in found.rows)
    assert "L is no number as line 4 is read" in found.rows[-1].reason


BATCH_NORM = r"""
$$\mu = \frac{1}{m} \sum_{i=1}^{m} x_i, \quad v = \frac{1}{m} \sum_{i=1}^{m} (x_i - \mu)^2$$

$$n_i = \frac{x_i - \mu}{\sqrt{v + \epsilon}}$$

$$y_i = \gamma n_i + \beta$$

$$\frac{\partial L}{\partial n_i} = \frac{\partial L}{\partial y_i} \gamma$$

$$\frac{\partial n_i}{\partial x_i} = \frac{1}{\sqrt{v + \epsilon}}$$

$$\frac{\partial v}{\partial x_i} = \frac{2 (x_i - \mu)}{m}$$

$$\frac{\partial L}{\partial x_i} = \frac{\partial L}{\partial n_i} \frac{\partial n_i}{\partial x_i}
+ \frac{\partial L}{\partial v} \frac{\partial v}{\partial x_i}
+ \frac{\partial L}{\partial \mu} \frac{\partial \mu}{\partial x_i}$$
"""


def test_calls_what_holds_for_partial_derivatives_ambiguous() -> None:
    rows = {row.line: row for row in audit(BATCH_NORM).rows}
    assert not any(row.wrong for row in rows.values())
    assert rows[10].verdict == rows[14].verdict == "ambiguous"
    assert "partial derivative, with mu, v held fixed, not for the total one" in rows[10].reason


@pytest.mark.parametrize(
    ("line", "right", "wrong"),
    [
        (10, r"x_i} = \frac{1}{\sqrt", r"x_i} = \frac{2}{\sqrt"),
        (14, r"+ \frac{\partial L}{\partial v} ", r"- \frac{\partial L}{\partial v} "),
    ],
)
def test_holds_partial_derivatives_against_their_rows(line: int, right: str, wrong: str) -> None:
    assert BATCH_NORM.count(right) == 1
    found = audit(BATCH_NORM.replace(right, wrong))
    assert [row.line for row in found.rows if row.wrong] == [line]


TWO_TOPICS = r"""
A neuron: $$a = f(w^T x + b)$$

A scale: $$y_i = g x_i$$

$$\frac{\partial L}{\partial x_i} = g \frac{\partial L}{\partial y_i}$$
$$\frac{\partial L}{\partial g} = \sum_i x_i \frac{\partial L}{\partial y_i}$$
$$\frac{\partial L}{\partial b} = \frac{\partial L}{\partial a} f'(w^T x + b)$$
"""


def test_does_not_invent_a_loss_that_a_row_does_not_speak_of() -> None:
    rows = {row.line: row for row in audit(TWO_TOPICS).rows}
    assert not any(row.wrong for row in rows.values())
    assert "holds if L, which no row defines, depends on y only" in rows[6].reason
    wrong = audit(TWO_TOPICS.replace(r"= g \frac", r"= 2 g \frac"))
    assert [row.line for row in wrong.rows if row.wrong] == [6]


def test_reads_an_accumulation_as_an_update() -> None:
    found = audit(r"$$y = W x$$ and then $$b \mathrel{+}= 1, \quad W -= \eta G$$")
    assert [row.verdict for row in found.rows] == ["true", "true"]


def test_leaves_the_class_of_an_example_unjudged_where_nothing_makes_the_truth_one_hot() -> None:
    text = r"$$p = \text{softmax}(z)$$ $$L = CE(y, p) = -\sum_i y_i \log p_i = -\log p_k$$"
    assert audit(text).rows[1].verdict == "not checked"
    assert "holds for the class k only" in audit(text).rows[1].reason
