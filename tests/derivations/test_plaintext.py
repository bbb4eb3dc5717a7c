"""An equation as one line of text keeps what belongs together, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.derivations.plaintext import shown
from gradcheck.derivations.sizes import sizes_below

LINES = {
    r"\frac{\partial E}{\partial W_i} = \delta_i x_{i-1}^T": "∂E/∂Wᵢ = δᵢ xᵢ₋₁ᵀ",
    r"f(z) = \frac{1}{1+e^{-z}}": "f(z) = 1/(1+e⁻ᶻ)",
    r"\frac{1}{2m} \sum_{i=1}^m (\hat{y_i} - y_i)^2": "1/(2m) ∑ᵢ₌₁ᵐ (ŷᵢ - yᵢ)²",
    r"\frac{a+b}{c}": "(a+b)/c",
    r"\frac{1}{2}x": "1/2 x",
    r"\sqrt{\sigma^2 + \epsilon}": "√(σ² + ε)",
    r"W^{(l+1)} \in \mathbb{R}^{n \times m}": "W⁽ˡ⁺¹⁾ ∈ ℝ^(n × m)",
    r"\mathbf{x}^\top \odot \mathrm{softmax}(z)": "xᵀ ⊙ softmax(z)",
    r"\begin{bmatrix} a & b \\ c & d \\ \end{bmatrix}": "[a b; c d]",
    r"\left\| y - t \right\|_2^2": "‖ y - t ‖₂²",
    r"\frac{a": r"\frac{a",
}


@pytest.mark.parametrize("latex", LINES)
def test_a_row_is_shown_as_text(latex: str) -> None:
    assert (
        " ".join(shown(latex).text.split()).replace("ϵ", "ε").replace(" ;", ";").replace(" ]", "]")
        == LINES[latex]
    )


def test_sizes_stand_below_the_symbols_of_the_text() -> None:
    latex = r"\frac{1}{2} W^T \delta"
    line = shown(latex)
    below = sizes_below(latex, {"W": "3 × 2", "delta": "5 × 1"}, line.columns)
    for symbol, size in (("W", "3×2"), ("δ", "5×1")):
        assert any(part[line.text.index(symbol) :].startswith(size) for part in below)


@given(
    st.lists(
        st.sampled_from(
            [*"abx12{}_^&()[]' ", "\\frac", "\\sum", "\\hat", "\\begin", "\\\\", "\\text"]
        )
    )
)
def test_no_source_is_too_broken_to_be_shown(parts: list[str]) -> None:
    line = shown("".join(parts))
    assert all(0 <= column <= len(line.text) for column in line.columns.values())
