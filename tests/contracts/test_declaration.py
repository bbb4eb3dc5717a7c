"""Making a contract from keywords, annotations and a signature; the sentences for mistakes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from gradcheck.contracts import Shape, make_contract, one_of, real
from gradcheck.errors import ContractError

RESERVED = frozenset({"name", "output", "inputs", "points", "batch", "dims"})


def affine(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight + bias


def conv(x: Any, w: Any, b: Any = None, stride: int = 1, pad: int = 0) -> Any: ...


DIMENSIONS = {"x": "N D", "weight": "D M", "bias": "M"}


def without(name: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in DIMENSIONS.items() if key != name} | more


def test_the_inputs_come_in_the_order_of_the_forward_not_of_the_keywords() -> None:
    contract = make_contract(affine, dict(reversed(DIMENSIONS.items())))
    assert list(contract.inputs) == ["x", "weight", "bias"]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        (without("bias", bais="M"), "affine has no parameter 'bais'; did you mean 'bias'?"),
        (without("bias", bais="M"), "Its parameters are x, weight, bias"),
        (DIMENSIONS | {"outptu": "N M"}, "'outptu'; did you mean 'output'?"),
        (DIMENSIONS | {"zzz": "N"}, "affine has no parameter 'zzz'. Its parameters are"),
        (
            without("bias"),
            "nothing says what the parameter 'bias' of affine is; add its dimensions",
        ),
        (without("bias", bias=3), "bias is 3; a dimension string such as 'N D' or a domain"),
        (without("bias", bias=[]), "bias is [], which holds no dimension string"),
        (without("bias", bias=["M", 4]), "bias[1] is 4; a dimension string"),
        (without("bias", bias="N,M"), "bias: dimension string 'N,M', character 2"),
    ],
)
def test_a_mistake_in_the_keywords_ends_in_a_sentence_that_helps(keywords: Any, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        make_contract(affine, keywords, reserved=RESERVED)
    assert words in str(caught.value)


def test_a_parameter_whose_name_is_an_option_is_declared_in_dims() -> None:
    def scale(inputs: Any, name: Any) -> Any: ...

    contract = make_contract(scale, {}, dims={"inputs": "N D", "name": "D"}, reserved=RESERVED)
    assert contract.problem.names == ("N", "D")
    with pytest.raises(
        ContractError, match=r"name= is an option of gradcheck; declare it as dims=.'name'"
    ):
        make_contract(scale, {}, dims={"inputs": "N D"}, reserved=RESERVED)


def test_what_is_declared_twice_is_refused() -> None:
    with pytest.raises(ContractError, match="x is declared as a keyword and in dims=; keep one"):
        make_contract(affine, DIMENSIONS, dims={"x": "N D"})


def test_dims_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ContractError, match="dims is 'N D'; a dict of input names"):
        make_contract(affine, DIMENSIONS, dims="N D")  # type: ignore[arg-type]


def test_trailing_parameters_keep_their_default_and_a_gap_is_filled_with_it() -> None:
    plain = make_contract(conv, {"x": "N", "w": "k"})
    assert list(plain.inputs) == ["x", "w"]
    strided = make_contract(conv, {"x": "N", "w": "k", "stride": one_of(1, 2)})
    assert list(strided.inputs) == ["x", "w", "b", "stride"]
    assert strided.inputs["b"].choices == (None,)


def test_a_forward_of_any_number_of_inputs_takes_them_in_the_order_of_the_keywords() -> None:
    contract = make_contract(lambda first, *rest: None, {"b": "M", "a": "N", "first": "K"})
    assert list(contract.inputs) == ["first", "b", "a"]


def test_a_signature_that_cannot_be_read_takes_the_order_of_the_keywords() -> None:
    class Opaque:
        __signature__ = "none"

        def __call__(self, *inputs: Any) -> Any: ...

    with pytest.raises(TypeError):
        inspect.signature(Opaque())
    assert list(make_contract(Opaque(), {"b": "M", "a": "N"}).inputs) == ["b", "a"]


def test_a_keyword_only_parameter_needs_a_wrapper() -> None:
    with pytest.raises(
        ContractError,
        match=r"axis is a keyword-only parameter.*wrap it: lambda x, axis: f\(x, axis=axis\)",
    ):
        make_contract(lambda x, *, axis: x, {"x": "N"})


def test_a_forward_without_inputs_is_refused() -> None:
    with pytest.raises(ContractError, match=r"nothing says what the inputs of .* are; give each"):
        make_contract(lambda: 0, {})


@pytest.mark.parametrize("output", [3, ("N", 3)])
def test_an_output_that_is_no_dimension_string_is_refused(output: Any) -> None:
    with pytest.raises(
        ContractError, match=r"output is .*; a dimension string such as 'N M', or a tuple"
    ):
        make_contract(affine, DIMENSIONS, output=output)


def annotation(dtype: str, text: str) -> Any:
    """Make what `jaxtyping.Float[Array, "N D"]` is: a class with `dtype` and `dim_str`."""
    return type(f"{dtype}[Array, {text!r}]", (), {"dtype": type(dtype, (), {}), "dim_str": text})


def annotated(**annotations: Any) -> Any:
    def forward(x: Any, w: Any) -> Any: ...

    forward.__annotations__ = annotations
    return forward


def test_annotations_are_read_where_there_is_no_keyword() -> None:
    forward = annotated(
        x=annotation("Float", "N D"),
        w=annotation("Complex64", "D"),
        **{"return": annotation("Float", "N")},
    )
    contract = make_contract(forward, {})
    assert [(domain.kind, domain.shape.text) for domain in contract.inputs.values()] == [
        ("real", "N D"),
        ("complex", "D"),
    ]
    assert contract.output is not None
    assert contract.output.text == "N"  # type: ignore[union-attr]
    assert make_contract(forward, {"x": "K D"}).inputs["x"].shape.text == "K D"
    assert (
        make_contract(annotated(x=annotation("Bool", "N"), w=annotation("Shaped", "N")), {})
        .inputs["x"]
        .kind
        == "booleans"
    )


def test_annotated_integers_need_a_range() -> None:
    forward = annotated(x=annotation("Float", "N C"), w=annotation("Int", "N"))
    with pytest.raises(
        ContractError, match=r"w is annotated Int.*add w=gradcheck.integers\('N', below="
    ):
        make_contract(forward, {})


def test_an_annotation_that_cannot_be_evaluated_is_passed_over() -> None:
    forward = annotated(x="NoSuchThing[Array]", w="also missing")
    assert list(make_contract(forward, {"x": "N", "w": real("N")}).inputs) == ["x", "w"]


def test_an_annotation_of_the_result_in_a_string_is_read() -> None:
    forward = annotated(x=annotation("Float", "N"), w=annotation("Float", "N"))
    forward.__annotations__["return"] = "Result"
    forward.__globals__["Result"] = annotation("Float", "N N")
    output = make_contract(forward, {}).output
    assert isinstance(output, Shape)
    assert output.text == "N N"
