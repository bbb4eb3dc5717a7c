"""Dimension strings: what they mean, what is refused, and that sizes and names go back and forth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.contracts import parse_shape
from gradcheck.contracts.dimensions import bind_several, several
from gradcheck.contracts.expressions import degree, evaluate, names, parse, solve
from gradcheck.errors import ContractError, ShapeError

SIZES = {"N": 2, "D": 3, "H": 7, "k": 3, "s": 2, "in": 5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N D", (2, 3)),
        ("  N   D ", (2, 3)),
        ("", ()),
        ("()", ()),
        ("3 3", (3, 3)),
        ("4*H", (28,)),
        ("H-k+1", (5,)),
        ("(H-k)//s+1 N", (3, 2)),
        ("H%k", (1,)),
        ("2*(N+D)*k", (30,)),
        ("H-k-1", (3,)),  # from left to right: not 7-(3-1)
        ("H//s*s", (6,)),  # likewise: not 7//(2*2)
        ("in 2*in", (5, 10)),  # a word that Python reserves is a name here
        ("rows=3 N", (3, 2)),
        ("#N D", (2, 3)),
    ],
)
def test_a_dimension_string_gives_these_sizes(text: str, expected: tuple[int, ...]) -> None:
    assert parse_shape(text).sizes(SIZES) == expected


@pytest.mark.parametrize(
    ("text", "character", "words"),
    [
        ("N D/2", 4, "whole number: write // for its quotient"),
        ("N,D", 2, "separated by spaces, not commas"),
        ("H - k", 3, "without spaces, as H-k+1"),
        ("N f(x)", 4, "there are no calls"),
        ("4*", 3, "expected a name or a whole number, got nothing"),
        ("2N", 2, "a product is written with *"),
        ("(H-k", 5, "expected ')', got nothing"),
        ("H-k)", 4, "got ')'"),
        ("-k", 1, "got '-'"),
        ("N==3", 2, "got '='"),
        ("a=", 3, "got nothing"),
        ("**b", 3, "a mark is written twice"),
        ("*4", 2, "expected the name of any number of axes after '*', got '4'"),
        ("*a N *b", 6, "only one of * and ..."),
        ("... *b", 5, "only one of"),
        ("?x", 2, "a dimension string per array"),
        ("N.D", 2, "got '.'"),
        ("N 1.5", 4, "got '.'"),
        ("∂", 1, "got '∂'"),
    ],
)
def test_a_bad_dimension_string_is_refused_at_its_character(
    text: str, character: int, words: str
) -> None:
    with pytest.raises(ContractError) as caught:
        parse_shape(text)
    assert words in str(caught.value)
    assert f"dimension string {text!r}, character {character}:" in str(caught.value)


def test_a_name_cannot_be_one_size_and_several() -> None:
    with pytest.raises(ContractError, match=r"'N' is one size and, with [*], any number"):
        parse_shape("N *N")


def test_what_is_no_string_is_refused() -> None:
    with pytest.raises(ContractError, match="x is 3; a dimension string such as 'N D'"):
        parse_shape(3, "x")  # type: ignore[arg-type]


def test_sizes_that_are_not_given_are_named() -> None:
    with pytest.raises(ContractError, match="the size of 'M' in 'N M' is not given; given are N"):
        parse_shape("N M").sizes({"N": 1})


def test_a_division_by_zero_is_said() -> None:
    with pytest.raises(ContractError, match="'N//s' divides by zero at N = 1, s = 0"):
        parse_shape("N//s").sizes({"N": 1, "s": 0})


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ContractError, match="'H-k' gives the negative size -2"):
        parse_shape("H-k").sizes({"H": 1, "k": 3})


def test_nameless_axes_are_known_by_array_and_place() -> None:
    shape = parse_shape("_ N _note", "x")
    assert shape.names == ("x[0]", "N", "x[2]")
    assert shape.match((4, 5, 6)) == {"x[0]": 4, "N": 5, "x[2]": 6}


def test_a_nameless_axis_after_several_counts_from_the_end() -> None:
    shape = parse_shape("*batch _", "x")
    assert shape.match((2, 3, 4)) == {"batch": 6, "batch[0]": 2, "batch[1]": 3, "x[-1]": 4}


def test_dots_stand_for_any_number_of_axes() -> None:
    shape = parse_shape("... D", "x")
    assert shape.match((5,))["D"] == 5
    assert shape.match((2, 3, 5))["D"] == 5


@given(st.lists(st.integers(0, 9), max_size=4).map(tuple))
def test_the_sizes_of_several_axes_come_back(sizes: tuple[int, ...]) -> None:
    assert several("batch", bind_several("batch", sizes)) == sizes


def expression_texts() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["N", "D", "k"]) | st.integers(0, 12).map(str)
    symbols = st.sampled_from(["+", "-", "*", "//", "%"])
    return st.recursive(
        leaves,
        lambda part: st.builds("{}{}{}".format, part, symbols, part) | part.map("({})".format),
        max_leaves=8,
    )


@given(expression_texts(), st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))
def test_an_expression_has_the_value_that_python_gives_it(
    text: str, values: tuple[int, int, int]
) -> None:
    sizes = dict(zip(["N", "D", "k"], values, strict=True))
    ours = parse(text, text, 0)
    try:
        theirs = eval(text, {}, dict(sizes))  # the independent reference
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            evaluate(ours, sizes)
    else:
        assert evaluate(ours, sizes) == theirs


@given(expression_texts(), st.integers(0, 9), st.integers(1, 9))
def test_a_solution_gives_the_value_that_was_asked_for(text: str, n: int, k: int) -> None:
    expression = parse(text, text, 0)
    sizes = {"N": n, "k": k, "D": 2}
    try:
        value = evaluate(expression, sizes)
    except ZeroDivisionError:
        return
    known = {name: size for name, size in sizes.items() if name != "N"}
    solution = solve(expression, value, known)
    if solution is not None:
        assert solution == ("N", n)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4*H", 1),
        ("H-k+1", 1),
        ("H*H", 2),
        ("(H-k)//s+1", float("inf")),
        ("N", 0),
        ("7", 0),
        ("N*(H+1)", 1),
        ("3*H-H", 1),
    ],
)
def test_the_degree_in_a_name_tells_whether_it_can_be_solved_for(
    text: str, expected: float
) -> None:
    assert degree(parse(text, text, 0), "H") == expected


def test_the_names_of_an_expression_come_once_each() -> None:
    assert names(parse("(H-k)//s+H", "(H-k)//s+H", 0)) == ("H", "k", "s")


@st.composite
def shapes_and_sizes(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """Draw a dimension string in which every name is determined, and a size for each name."""
    words = st.sampled_from(["N", "D", "3", "1", "4*H", "H+2", "H-N+9", "rows=2"])
    parts = draw(st.lists(words, max_size=5))
    if any("-N" in part for part in parts):
        parts.append("N")
    sizes = {
        name: draw(st.integers(0, 9)) for name in ["N", "D", "H"] if any(name in p for p in parts)
    }
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), "*batch")
        sizes.update(bind_several("batch", tuple(draw(st.lists(st.integers(0, 5), max_size=3)))))
    return " ".join(parts), sizes


@given(shapes_and_sizes())
def test_the_names_are_found_again_from_the_sizes_of_their_axes(
    case: tuple[str, dict[str, int]],
) -> None:
    text, sizes = case
    shape = parse_shape(text)
    assert shape.match(shape.sizes(sizes)) == sizes


@given(shapes_and_sizes(), st.data())
def test_one_axis_of_another_size_does_not_fit_the_known_sizes(
    case: tuple[str, dict[str, int]], data: st.DataObject
) -> None:
    text, sizes = case
    shape = parse_shape(text)
    wrong = list(shape.sizes(sizes))
    if not wrong:
        return
    wrong[data.draw(st.integers(0, len(wrong) - 1))] += 1
    with pytest.raises(ShapeError, match="array has shape"):
        shape.match(tuple(wrong), sizes)
