"""Drawn sizes: every dimension exists, corners are visited, and shrinking ends at 1."""

from __future__ import annotations

from typing import Any

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.contracts import Contract, make_contract, one_of, parse_shape
from gradcheck.contracts.dimensions import bind_several
from gradcheck.contracts.matching import Observed, match
from gradcheck.strategies import dimensions

drawn_shape, sizes = (st.composite(draw) for draw in (dimensions.drawn_shape, dimensions.sizes))


def of(output: Any = None, batch: str | None = None, **keywords: Any) -> Contract:
    return make_contract(lambda *inputs: None, keywords, output=output, batch=batch)


AFFINE = of(x="N D", w="D M", b="M")
CONV = of(
    x="N C H W",
    w="F C k k",
    stride=one_of(1, 2, 3),
    pad=one_of(0, 1),
    output="N F (H+2*pad-k)//stride+1 (W+2*pad-k)//stride+1",
)
DEAD_ENDS = of(x="H", a="H-k", w="k-3")
"""Most sizes of H leave none for k: H must be 5 or more, and is drawn first."""


@given(sizes(AFFINE))
def test_every_name_gets_a_size(drawn: dict[str, int]) -> None:
    assert set(drawn) == {"N", "D", "M"}
    assert min(drawn.values()) >= 1


@given(st.data(), st.sampled_from([1, 2, 3]), st.sampled_from([0, 1]))
def test_an_output_that_is_an_expression_has_a_size_of_1_or_more(
    data: st.DataObject, stride: int, pad: int
) -> None:
    drawn = data.draw(sizes(CONV, {"stride": stride, "pad": pad}))
    assert drawn["stride"] == stride
    assert (drawn["H"] + 2 * pad - drawn["k"]) // stride + 1 >= 1
    assert (drawn["W"] + 2 * pad - drawn["k"]) // stride + 1 >= 1


@given(sizes(DEAD_ENDS))
def test_a_dead_end_falls_back_to_sizes_that_exist(drawn: dict[str, int]) -> None:
    assert drawn["H"] > drawn["k"] > 3


@given(sizes(of(x="H", a="H-k", w="k-s", s=one_of(1, 3)), {"s": 3}))
def test_a_dead_end_keeps_the_arguments(drawn: dict[str, int]) -> None:
    assert drawn["s"] == 3
    assert drawn["H"] > drawn["k"] > 3


def test_sizes_shrink_to_1() -> None:
    assert hypothesis.find(sizes(AFFINE), lambda drawn: True) == {"N": 1, "D": 1, "M": 1}


def test_a_fault_that_needs_unequal_sizes_shrinks_to_the_smallest_unequal_ones() -> None:
    drawn = hypothesis.find(sizes(AFFINE), lambda drawn: len(set(drawn.values())) == 3)
    assert sorted(drawn.values()) == [1, 2, 3]


def seen(strategy: st.SearchStrategy[Any], count: int = 200) -> list[Any]:
    """List what Hypothesis draws, the same at each run."""
    found: list[Any] = []

    @hypothesis.seed(0)
    @hypothesis.settings(max_examples=count, database=None)
    @given(strategy)
    def collect(drawn: Any) -> None:
        found.append(drawn)

    collect()
    return found


def test_unequal_sizes_are_favoured_and_equal_ones_and_ones_are_visited() -> None:
    drawn = seen(sizes(AFFINE))
    unequal = sum(len(set(item.values())) == 3 for item in drawn)
    assert unequal > len(drawn) / 2
    assert any(len(set(item.values())) == 1 for item in drawn)
    for name in AFFINE.problem.names:
        assert any(item[name] == 1 for item in drawn)
        assert any(item[name] > 3 for item in drawn)


def test_several_axes_are_none_one_and_more() -> None:
    drawn = seen(sizes(of(x="*batch D")))
    ranks = {sum(name.startswith("batch[") for name in item) for item in drawn}
    assert ranks == {0, 1, 2, 3}


BROADCAST = parse_shape("*#batch #N D")


@given(st.data(), st.lists(st.integers(2, 3), max_size=3))
def test_a_shape_that_broadcasts_still_fits_its_dimension_string(
    data: st.DataObject, batch: list[int]
) -> None:
    bindings = {**bind_several("batch", tuple(batch)), "N": 4, "D": 5}
    drawn = data.draw(drawn_shape(BROADCAST, bindings))
    assert match([Observed("x", BROADCAST, drawn)], bindings) == bindings


def test_a_broadcast_axis_is_drawn_full_and_as_1_and_is_missing() -> None:
    drawn = seen(drawn_shape(BROADCAST, {**bind_several("batch", (3,)), "N": 4, "D": 5}))
    assert set(drawn) == {(3, 4, 5), (3, 1, 5), (1, 4, 5), (1, 1, 5), (4, 5), (1, 5)}
