"""Shapes that do not fit: which array, what it has, what was expected, and where that comes from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.contracts import parse_shape
from gradcheck.contracts.dimensions import bind_several
from gradcheck.contracts.matching import UNKNOWN, Observed, match
from gradcheck.errors import ShapeError


def sizes_of(*arrays: tuple[str, str, tuple[int, ...]]) -> dict[str, int]:
    return match(
        [Observed(name, parse_shape(text, name), actual) for name, text, actual in arrays], {}
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            [("w", "D M", (2, 3)), ("b", "M", (4, 3))],
            "b has shape (4, 3), its contract 'M' says (3,) (M = 3 from w: 'D M')",
        ),
        (
            [("x", "N D", (2, 3)), ("w", "D M", (4, 5))],
            "w has shape (4, 5), its contract 'D M' says (3, 5) (D = 3 from x: 'N D')",
        ),
        (
            [("w", "N N", (2, 3))],
            "w has shape (2, 3), its contract 'N N' says (2, 2) (N = 2 from w: 'N N')",
        ),
        ([("x", "3 3", (3, 2))], "x has shape (3, 2), its contract '3 3' says (3, 3)"),
        ([("t", "", (1,))], "t has shape (1,), its contract '' says ()"),
        ([("x", "N D", (4,))], "x has shape (4,), its contract 'N D' says (?, ?)"),
        ([("x", "N 4*H", (2, 10))], "x has shape (2, 10), its contract 'N 4*H' says (2, 8)"),
        (
            [("x", "H", (7,)), ("w", "k", (3,)), ("y", "H-k+1", (6,))],
            "y has shape (6,), its contract 'H-k+1' says (5,) (H = 7 from x: 'H'; k = 3 from w: 'k')",
        ),
        (
            [("x", "*batch D", (2, 3, 4)), ("m", "*batch", (2, 4))],
            "m has shape (2, 4), its contract '*batch' says (2, 3) (batch = (2, 3) from x: '*batch D')",
        ),
        (
            [("x", "N D", (5, 4)), ("b", "#N D", (3, 4))],
            "b has shape (3, 4), its contract '#N D' says (5, 4) (N = 5 from x: 'N D')",
        ),
        (
            [("x", "*#s", (2, 3)), ("y", "*#s", (4,))],
            "y has shape (4,), its contract '*#s' says (2, 3) (s = (2, 3) from x: '*#s')",
        ),
    ],
)
def test_an_array_that_does_not_fit_is_explained(
    arrays: list[tuple[str, str, tuple[int, ...]]], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        sizes_of(*arrays)
    assert str(caught.value) == message


def test_the_error_carries_the_quantity_and_both_shapes() -> None:
    with pytest.raises(ShapeError) as caught:
        sizes_of(("x", "N D", (2, 3)), ("b", "D M", (3,)))
    error = caught.value
    assert (error.quantity, error.expected, error.actual) == ("b", (3, UNKNOWN), (3,))


def test_a_name_may_stand_alone_after_the_expressions_that_use_it() -> None:
    assert sizes_of(("y", "H-k+1", (5,)), ("x", "H", (7,)), ("w", "k", (3,))) == {"H": 7, "k": 3}


def test_an_expression_with_one_unknown_name_gives_its_size() -> None:
    assert sizes_of(("u", "4*H", (12,)), ("y", "H+k", (5,))) == {"H": 3, "k": 2}


def test_an_expression_that_nothing_determines_is_not_checked() -> None:
    assert sizes_of(("y", "(H-k)//s+1 N", (5, 2))) == {"N": 2}


def test_a_broadcast_axis_may_be_1_before_its_size_is_known() -> None:
    assert sizes_of(("b", "#N D", (1, 4)), ("x", "N D", (5, 4))) == {"N": 5, "D": 4}


def test_an_axis_that_is_only_ever_a_broadcast_1_has_size_1() -> None:
    assert sizes_of(("b", "#N D", (1, 4))) == {"N": 1, "D": 4}


@given(st.lists(st.integers(2, 4), max_size=3), st.data())
def test_several_broadcast_axes_take_the_common_shape(full: list[int], data: st.DataObject) -> None:
    """One array keeps each axis, so the common shape is the full one."""
    part = [size if data.draw(st.booleans()) else 1 for size in full]
    part = part[data.draw(st.integers(0, len(part))) :]
    pair = [("x", "*#s", tuple(full)), ("y", "*#s", tuple(part))]
    for arrays in (pair, pair[::-1]):
        assert sizes_of(*arrays) == bind_several("s", tuple(full))


def test_sizes_known_before_are_kept_and_must_agree() -> None:
    shape = parse_shape("N D")
    assert shape.match((2, 3), {"N": 2}) == {"N": 2, "D": 3}
    with pytest.raises(
        ShapeError, match=r"x has shape \(2, 3\), its contract 'N D' says \(5, 3\) \(N = 5\)"
    ):
        shape.match((2, 3), {"N": 5}, "x")
