"""What a true row rests on: a proof over the finite field, else so many digits; and hairs."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.derivations import audit, certification
from gradcheck.errors import Abstention

LAYER = (r"y = f(Wx)", r"E = \frac12 \|y - t\|^2")
GRADIENT = r"\frac{\partial E}{\partial W} = %s \left[ (y - t) \circ f'(Wx) \right] x^T"


def document(*rows):
    return "\n\n".join(f"$$\n{row}\n$$" for row in rows) + "\n"


def last_row(*rows):
    return audit(document(*rows)).rows[-1]


def test_a_claim_about_an_unknown_activation_is_certified_for_any_function():
    row = last_row(*LAYER, GRADIENT % "")
    assert row.certified
    assert row.grounds.functions == ("f",)
    assert row.reason.startswith("certified for any f, false with a probability below")


def test_f_and_its_derivative_are_different_unknowns():
    """For f = exp the two are one function; a claim that holds for that f only is no claim about f."""
    wrong = last_row(*LAYER, GRADIENT.replace("f'", "f") % "")
    assert wrong.verdict == "false"


@pytest.mark.parametrize(
    "hair",
    [
        "(1 + 10^{-13})",
        r"\left(1 - \frac{1}{10000000000000}\right)",
        r"\frac{10000000000001}{10000000000000}",
        "1.0000000000001",
        "1.00000000000000001",
        r"\frac{100000000000000001}{100000000000000000}",
    ],
)
def test_a_claim_that_is_wrong_by_a_hair_is_never_certified_nor_true(hair):
    row = last_row(*LAYER, GRADIENT % hair)
    assert row.verdict in ("false", "not checked")
    assert not row.certified


def test_a_hair_that_no_rounded_decimal_explains_is_false_and_says_how_thin_it_is():
    row = last_row(*LAYER, GRADIENT % "(1 + 10^{-13})")
    assert row.verdict == "false"
    assert (
        row.reason == "the two sides differ by 1e-13 of their size, and no rounding explains that"
    )


def test_a_hair_in_a_long_decimal_may_be_its_rounding():
    row = last_row(*LAYER, GRADIENT % "1.0000000000001")
    assert row.verdict == "not checked"
    assert "too little to call them different" in row.reason


def test_a_hair_in_a_second_definition_is_a_conflict():
    row = last_row(*LAYER, r"E = (1 + 10^{-12}) \frac12 \|y - t\|^2")
    assert row.verdict == "conflict"
    assert "differ by 1e-12" in row.reason


def test_one_member_of_a_family_that_is_wrong_by_a_hair_taints_the_row():
    rows = (r"x_i = W_i x_{i-1}", r"E = \frac12 \|x_L\|^2", r"\delta_L = 1.0000000000001 x_L",
            r"\delta_i = W_{i+1}^T \delta_{i+1}", r"\frac{\partial E}{\partial x_i} = \delta_i")  # fmt: skip
    right = (*rows[:2], r"\delta_L = x_L", *rows[3:])
    assert last_row(*right).certified
    assert last_row(*rows).verdict == "not checked"


def test_what_is_zero_but_for_rounding_is_certified_not_accused():
    softmax = r"s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
    right = last_row(softmax, r"\sum_i \frac{\partial s_i}{\partial x_j} = 0")
    wrong = last_row(softmax, r"\sum_i \frac{\partial s_i}{\partial x_j} = s_j")
    assert right.certified
    assert wrong.verdict != "true"


def test_a_true_row_without_certificate_says_to_how_many_digits_and_why(monkeypatch):
    def abstain(*_):
        raise Abstention("a reason")

    monkeypatch.setattr(certification, "prove_sides_equal", abstain)
    row = last_row(*LAYER, GRADIENT % "")
    assert row.verdict == "true"
    assert not row.certified
    assert row.grounds.digits >= np.finfo(np.float64).precision
    assert row.reason.endswith("digits at 2 points; not certified: a reason")


def test_without_a_certificate_a_hair_is_still_found(monkeypatch):
    def abstain(*_):
        raise Abstention("a reason")

    monkeypatch.setattr(certification, "prove_sides_equal", abstain)
    assert last_row(*LAYER, GRADIENT % "(1 + 10^{-13})").verdict == "false"


def test_an_exact_mismatch_alone_accuses_nothing():
    """The field knows no addition theorem of the sine that it takes for an unknown."""
    rows = (r"y = \sin(x + z)", r"E = \|y\|^2")
    row = last_row(
        *rows,
        r"\frac{\partial E}{\partial x} = 2 y \circ (\cos(x) \circ \cos(z) - \sin(x) \circ \sin(z))",
    )
    assert row.verdict == "true"
    assert not row.certified
    assert "not the same by algebra alone" in row.reason


KINK = (r"E = relu(x - 20)^2 + x^2",)
KINK_GRADIENT = r"\frac{\partial E}{\partial x} = %s 2 relu(x - 20) + 2 x"


def test_a_right_claim_with_a_kink_is_certified_on_both_of_its_sides():
    assert last_row(*KINK, KINK_GRADIENT % "").certified


def test_a_sign_that_is_wrong_under_an_unlikely_branch_only_is_false():
    """Of 2 points of order one none lies beyond 20, where alone the rows differ."""
    row = last_row(*KINK, KINK_GRADIENT % "-")
    assert row.verdict == "false"
    assert "equal on one side of a kink only" in row.reason


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_claim_about_a_branch_that_no_point_takes_is_neither_true_nor_false(sign):
    kink = KINK[0].replace("20", "10^6")
    row = last_row(kink, KINK_GRADIENT.replace("20", "10^6") % sign)
    assert row.verdict == "not checked"
    assert "lie on one side of a kink" in row.reason


def test_a_layer_of_relus_is_certified_and_a_value_for_its_slope_is_false():
    layer = [row.replace("f(", "relu(") for row in LAYER]
    gradient = GRADIENT.replace("f'", "relu'") % ""
    assert last_row(*layer, gradient).certified
    assert last_row(*layer, gradient.replace("relu'", "relu")).verdict == "false"


def test_a_norm_is_certified_though_it_takes_a_square_root():
    rows = (r"n = \|x\|", r"y = \frac{1}{n} x", r"E = \frac12 \|y - t\|^2")
    gradient = r"\frac{\partial E}{\partial n} = %s \frac{1}{n^2} x^T (y - t)"
    assert last_row(*rows, gradient % "-").certified
    assert last_row(*rows, gradient % "").verdict != "true"


def test_a_kink_beside_an_exponential_that_overflows_far_out_is_certified_all_the_same():
    rows = (r"E = relu(x - 2)^2 + e^{x} + e^{-x}",)
    gradient = r"\frac{\partial E}{\partial x} = %s 2 relu(x - 2) + e^{x} - e^{-x}"
    assert last_row(*rows, gradient % "").certified
    assert last_row(*rows, gradient % "-").verdict != "true"
