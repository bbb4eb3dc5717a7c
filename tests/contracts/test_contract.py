"""Contracts: binding inputs, asserting outputs, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.contracts import Contract, constant, integers, make_contract, one_of, positive
from gradcheck.errors import ContractError, ShapeError, UsageError


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


AFFINE = make_contract(affine, {"x": "N D", "w": "D M", "b": "M"}, output="N M", batch="N")


def of(*, output: Any = None, batch: str | None = None, **keywords: Any) -> Contract:
    """Make a contract of a forward whose inputs are the keywords."""
    return make_contract(lambda *inputs: None, keywords, output=output, batch=batch)


def test_binding_gives_the_size_of_every_name() -> None:
    sizes = AFFINE.bind((np.zeros((2, 3)), np.zeros((3, 4)), np.zeros(4)))
    assert sizes == {"N": 2, "D": 3, "M": 4}


def test_an_input_of_another_shape_is_named() -> None:
    with pytest.raises(
        ShapeError, match=r"b has shape \(4, 3\), its contract 'M' says \(3,\) \(M = 3 from w"
    ):
        AFFINE.bind((np.zeros((2, 5)), np.zeros((5, 3)), np.zeros((4, 3))))


def test_the_right_output_passes_and_a_transposed_one_is_told() -> None:
    sizes = AFFINE.bind((np.zeros((2, 3)), np.zeros((3, 4)), np.zeros(4)))
    AFFINE.assert_output(np.zeros((2, 4)), sizes)
    with pytest.raises(ShapeError) as caught:
        AFFINE.assert_output(np.zeros((4, 2)), sizes)
    assert str(caught.value) == (
        "the output has shape (4, 2), its contract 'N M' says (2, 4) "
        "(N = 2 from x: 'N D'; M = 4 from w: 'D M')"
    )


def test_an_unspecified_output_may_be_anything() -> None:
    of(x="N").assert_output("anything", {"N": 2})


def test_a_scalar_output_is_the_empty_string() -> None:
    contract = of(x="N", output="")
    contract.assert_output(3.0, {"N": 2})
    with pytest.raises(ShapeError, match=r"the output has shape \(1,\), its contract '' says \(\)"):
        contract.assert_output(np.zeros(1), {"N": 2})


def test_several_outputs_are_each_checked_and_counted() -> None:
    contract = of(x="N D", output=("N", "D"))
    contract.assert_output((np.zeros(2), np.zeros(3)), {"N": 2, "D": 3})
    with pytest.raises(
        ShapeError, match=r"output\[1\] has shape \(2,\), its contract 'D' says \(3,\)"
    ):
        contract.assert_output((np.zeros(2), np.zeros(2)), {"N": 2, "D": 3})
    with pytest.raises(ShapeError, match="returned 1 output, its contract names 2: 'N', 'D'"):
        contract.assert_output(np.zeros(2), {"N": 2, "D": 3})


def test_a_name_that_only_the_output_has_agrees_within_the_output() -> None:
    contract = of(x="N", output=("K N", "K"))
    contract.assert_output((np.zeros((5, 2)), np.zeros(5)), {"N": 2})
    with pytest.raises(ShapeError, match=r"output\[1\] has shape \(4,\)"):
        contract.assert_output((np.zeros((5, 2)), np.zeros(4)), {"N": 2})


def test_an_argument_is_a_size_in_expressions() -> None:
    contract = of(
        x="H", w="k", stride=one_of(1, 2), pad=constant(1), output="(H+2*pad-k)//stride+1"
    )
    sizes = contract.bind((np.zeros(7), np.zeros(3), 2, 1))
    assert sizes == {"H": 7, "k": 3, "stride": 2, "pad": 1}
    contract.assert_output(np.zeros(4), sizes)
    with pytest.raises(ShapeError, match="stride = 2 from the argument stride"):
        contract.assert_output(np.zeros(7), sizes)


def test_a_tree_of_arrays_has_a_dimension_string_for_each() -> None:
    contract = of(x="N D", params={"w": "D M", "b": "M"}, layers=["M K", "K"])
    inputs = (
        np.zeros((2, 3)),
        {"w": np.zeros((3, 4)), "b": np.zeros(4)},
        [np.zeros((4, 5)), np.zeros(5)],
    )
    assert contract.bind(inputs) == {"N": 2, "D": 3, "M": 4, "K": 5}
    with pytest.raises(ShapeError, match=r"params\['b'\] has shape \(5,\)"):
        contract.bind((inputs[0], {"w": np.zeros((3, 4)), "b": np.zeros(5)}, inputs[2]))
    with pytest.raises(
        UsageError, match=r"layers holds 1 arrays, but its contract names 2: layers\[0\]"
    ):
        contract.bind((inputs[0], inputs[1], [np.zeros((4, 5))]))


def test_a_wrong_number_of_inputs_is_counted() -> None:
    with pytest.raises(UsageError, match="2 inputs are given, but the contract names 3: x, w, b"):
        AFFINE.bind((np.zeros((2, 3)), np.zeros((3, 4))))


def test_an_input_that_is_no_array_is_named() -> None:
    with pytest.raises(UsageError, match=r"x is a list, not an array; pass numpy.asarray of it"):
        AFFINE.bind(([[1.0]], np.zeros((3, 4)), np.zeros(4)))


def test_inputs_outside_their_domain_are_told_by_name() -> None:
    contract = of(x="N C", variance=positive("C"), labels=integers("N", below="C"))
    right = (np.zeros((1, 2)), np.ones(2), np.array([1]))
    assert contract.contains(right) is None
    assert contract.contains((right[0], -right[1], right[2])) == (
        "variance has the entry -1.0 at (0,), but a positive input is above 0"
    )
    assert "labels has the entry 2 at (0,)" in str(contract.contains((*right[:2], np.array([2]))))
    assert "labels has dtype float64, but integers" in str(
        contract.contains((*right[:2], np.array([1.0])))
    )


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        (
            {"x": "(H-k)//s", "w": "k", "v": "s"},
            "x: the size of H cannot be told from '(H-k)//s'; let H stand alone",
        ),
        ({"x": "H*k"}, "x: the size of H cannot be told"),
        (
            {"x": "N D", "y": "*N"},
            "N stands for any number of axes in '*N' and for one size in 'N D'",
        ),
        ({"x": "N", "y": integers("N", below="C")}, "C in below='C' is no dimension of an input"),
        (
            {"x": "N", "batch": "B"},
            "batch is 'B', which is no dimension of an input; the dimensions are N",
        ),
        ({"x": "2*N M", "batch": "N"}, "batch is 'N', which is no dimension"),
        (
            {"x": "H", "w": "H-70"},
            "no sizes from 1 to 64 give every dimension a size of 1 or more: w: 'H-70'",
        ),
        ({"x": "H", "w": "k", "output": "H-k-64"}, "output: 'H-k-64'"),
        ({"x": "H", "w": "k", "s": one_of(1, 0), "output": "(H-k)//s+1"}, "s = 0 leaves no sizes"),
        ({"x": "H", "s": one_of(1, 99), "output": "H-s"}, "s = 99 leaves no sizes from 1 to 64"),
    ],
)
def test_a_contradictory_contract_is_refused_when_it_is_made(keywords: Any, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        of(**keywords)
    assert words in str(caught.value)


def test_sizes_that_just_exist_are_found() -> None:
    contract = of(x="H", w="H-63", a="A", b="B", c="C")
    assert contract.problem.smallest({}) == {"H": 64, "A": 1, "B": 1, "C": 1}


def test_an_expression_with_an_argument_determines_its_other_name() -> None:
    contract = of(x="H*groups", groups=one_of(1, 2, 4))
    assert contract.bind((np.zeros(12), 4)) == {"groups": 4, "H": 3}
    with pytest.raises(
        ShapeError, match=r"x has shape \(13,\), its contract 'H[*]groups' says \(12,\)"
    ):
        contract.bind((np.zeros(13), 4))


def test_choices_that_are_no_whole_numbers_are_no_sizes() -> None:
    contract = of(x="N", mode=one_of("same", "valid"), axis=one_of(0, -1))
    assert contract.arguments == {}
    assert contract.choices == {"mode": ("same", "valid"), "axis": (0, -1)}


def test_names_without_requirements_do_not_slow_the_search_for_sizes() -> None:
    contract = of(x="H A B C", w="H-k-9")
    assert contract.problem.smallest({}) == {"H": 11, "A": 1, "B": 1, "C": 1, "k": 1}


def test_a_range_of_integers_asks_for_sizes_that_leave_one() -> None:
    contract = of(x="C", labels=integers("N", below="C", at_least=2))
    assert contract.problem.smallest({}) == {"C": 3, "N": 1}


def test_a_flag_is_no_size() -> None:
    assert of(x="N keep", keep=one_of(True, False)).arguments == {}
