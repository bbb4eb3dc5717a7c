"""Making a contract from what the user wrote: keywords, annotations and the forward's signature."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcheck import trees
from gradcheck.contracts.contract import Contract
from gradcheck.contracts.dimensions import Shape, parse_shape
from gradcheck.contracts.domains import Domain, booleans, complex, constant, real
from gradcheck.errors import ContractError

__all__ = ["make_contract"]

Parameters = dict[str, inspect.Parameter]


def make_contract(
    function: Callable[..., Any],
    keywords: Mapping[str, Any],
    *,
    dims: Mapping[str, Any] | None = None,
    output: str | Sequence[str] | None = None,
    batch: str | None = None,
    reserved: frozenset[str] = frozenset(),
) -> Contract:
    """Return the contract of a forward.

    Args:
        function: the forward; its positional parameters are the inputs. Those that nothing declares
            keep their default. Where it takes `*args`, or its signature cannot be read, further
            inputs come in the order of the keywords.
        keywords: the dimension string or domain of each input by its name, or a list, tuple or dict
            of them for a tree of arrays. A parameter without one is read from its annotation, as
            jaxtyping writes it: `Float[Array, "N D"]`.
        dims: the same, for inputs whose name is an option of the adapter.
        output: the dimension string of the output, several for a tuple of outputs, or None.
        batch: the name of the batch dimension, or None.
        reserved: the names of the adapter's options, for the message.

    Raises:
        ContractError: a name is unknown, missing or declared twice, a dimension string or domain
            makes no sense, or the dimensions contradict each other.

    >>> contract = make_contract(lambda x, w: x @ w, {"x": "N D", "w": "D M"}, output="N M")
    >>> list(contract.inputs), contract.problem.names
    (['x', 'w'], ('N', 'D', 'M'))
    """
    declared = _merged(keywords, dims or {})
    title = getattr(function, "__name__", "the forward")
    parameters, open_ended = _positional(function)
    if not open_ended:
        _refuse_unknown(title, declared, parameters, reserved)
    inputs = {
        name: _named_domains(name, value)
        for name, value in _ordered(title, declared, parameters, reserved).items()
    }
    if not inputs:
        raise ContractError(
            f"nothing says what the inputs of {title} are; give each its dimensions, such as x='N D', or "
            "draw them with inputs=fn(rng) or points=strategy"
        )
    return Contract(inputs, _output(function, output), batch)


def _merged(keywords: Mapping[str, Any], dims: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(dims, Mapping):
        raise ContractError(
            f"dims is {dims!r:.80}; a dict of input names was expected, as dims={{'inputs': 'N D'}}"
        )
    twice = [name for name in dims if name in keywords]
    if twice:
        raise ContractError(f"{twice[0]} is declared as a keyword and in dims=; keep one of them")
    return {**keywords, **dims}


def _positional(function: Callable[..., Any]) -> tuple[Parameters, bool]:
    """Return the positional parameters, and whether further inputs may follow them."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # an annotation that cannot be evaluated names no dimensions
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return {}, True
    found = signature.parameters.values()
    for parameter in found:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise ContractError(
                f"{parameter.name} is a keyword-only parameter, but the forward is called with positional "
                f"arguments; wrap it: lambda x, {parameter.name}: f(x, {parameter.name}={parameter.name})"
            )
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = {parameter.name: parameter for parameter in found if parameter.kind in kinds}
    return positional, any(parameter.kind is parameter.VAR_POSITIONAL for parameter in found)


def _refuse_unknown(
    title: str, declared: Mapping[str, Any], parameters: Parameters, reserved: frozenset[str]
) -> None:
    for name in declared:
        if name not in parameters:
            known = {known.lower(): known for known in [*sorted(reserved), *parameters]}
            near = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=1)]
            hint = f"; did you mean {near[0]!r}?" if near else "."
            names = ", ".join(parameters) or "none"
            raise ContractError(
                f"{title} has no parameter {name!r}{hint} Its parameters are {names}"
            )


def _ordered(
    title: str, declared: Mapping[str, Any], parameters: Parameters, reserved: frozenset[str]
) -> dict[str, Any]:
    """Return what is known of each input, in the order in which the forward takes them."""
    known = dict(declared)
    for name, parameter in parameters.items():
        if (
            name not in known
            and (domain := _from_annotation(name, parameter.annotation)) is not None
        ):
            known[name] = domain
    last = max((place for place, name in enumerate(parameters) if name in known), default=-1)
    ordered: dict[str, Any] = {}
    for place, (name, parameter) in enumerate(parameters.items()):
        if name in known:
            ordered[name] = known.pop(name)
        elif parameter.default is parameter.empty:
            raise _missing(title, name, reserved)
        elif place < last:  # the call is positional, so the gap before the next input is filled
            ordered[name] = constant(parameter.default)
    return {**ordered, **known}


def _missing(title: str, name: str, reserved: frozenset[str]) -> ContractError:
    if name in reserved:
        return ContractError(
            f"nothing says what the parameter {name!r} of {title} is, since {name}= is an option of "
            f"gradcheck; declare it as dims={{{name!r}: 'N D'}}"
        )
    return ContractError(
        f"nothing says what the parameter {name!r} of {title} is; add its dimensions, such as {name}='N D' "
        f"('' for a scalar), or {name}=gradcheck.constant(value)"
    )


def _named_domains(name: str, declared: Any) -> Any:
    """Return the domain, or the tree of domains, that a keyword declares."""
    domains = [_domain(path, value).named(path) for path, value in trees.leaves(declared, name)]
    if not domains:
        raise ContractError(
            f"{name} is {declared!r}, which holds no dimension string and no domain"
        )
    return trees.rebuild(declared, domains)


def _domain(path: str, declared: Any) -> Domain:
    if isinstance(declared, Domain):
        return declared
    if isinstance(declared, str):
        try:
            return real(declared)
        except ContractError as error:
            raise ContractError(f"{path}: {error}") from None
    raise ContractError(
        f"{path} is {declared!r:.80}; a dimension string such as 'N D' or a domain such as "
        f"gradcheck.positive('N D') was expected; a fixed value is gradcheck.constant(...), and arrays of "
        "your own are drawn by inputs=fn(rng)"
    )


def _from_annotation(name: str, annotation: Any) -> Domain | None:
    """Read an annotation as jaxtyping makes it, by its `dim_str` and the name of its `dtype`."""
    text = getattr(annotation, "dim_str", None)
    if not isinstance(text, str):
        return None
    dtype = getattr(getattr(annotation, "dtype", None), "__name__", "Float")
    if dtype.startswith(("Int", "UInt")):
        raise ContractError(
            f"{name} is annotated {dtype}[..., {text!r}], which says no range; add "
            f"{name}=gradcheck.integers({text!r}, below=...)"
        )
    if dtype.startswith("Bool"):
        return booleans(text)
    return complex(text) if dtype.startswith("Complex") else real(text)


def _return_annotation(function: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(function, eval_str=True).return_annotation
    except Exception:  # unreadable, or an annotation that cannot be evaluated
        return None


def _output(
    function: Callable[..., Any], output: str | Sequence[str] | None
) -> Shape | tuple[Shape, ...] | None:
    if output is None:
        text = getattr(_return_annotation(function), "dim_str", None)
        return parse_shape(text, "the output") if isinstance(text, str) else None
    if isinstance(output, str):
        return parse_shape(output, "the output")
    if not isinstance(output, Sequence) or not all(isinstance(text, str) for text in output):
        raise ContractError(
            f"output is {output!r:.80}; a dimension string such as 'N M', or a tuple of them, was expected"
        )
    return tuple(parse_shape(text, f"output[{index}]") for index, text in enumerate(output))
