"""`gradcheck.torch_function`: a `torch.autograd.Function`, a module, or a function that uses such."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.adapters import torch_calls
from gradcheck.adapters.beside import drawn_beside
from gradcheck.adapters.declaration import OPTIONS, declare
from gradcheck.adapters.layer_sizes import fixed_sizes, with_fixed_sizes
from gradcheck.adapters.second_order import rule_of_backward
from gradcheck.complex_parts import on_parts
from gradcheck.errors import Abstention, ContractError
from gradcheck.rules import Pullback, Rule, Step

__all__ = ["TorchCall", "torch_function"]


def torch_function(f: Any, /, *, device: str = "cpu", **keywords: Any) -> Rule:
    """Make a rule of a `torch.autograd.Function`, of a module, or of a function of tensors.

    The claimed derivative is that of the hand-written backwards. The true one is torch's own autodiff of
    the forwards (those of Functions inside a module or function too), and finite differences. torch
    code is not traced, so that there is no certificate.

    Args:
        f: a subclass of `torch.autograd.Function`, whose `apply` is called; a `torch.nn.Module`, whose
            parameters become the input `parameters`, a dict by their names; or a function of tensors.
        device: where torch runs it, such as "cuda".
        **keywords: the dimensions or the domain of each input by its name, and the options of
            `gradcheck.pair`. Inputs are drawn as NumPy arrays in float64 and passed as tensors;
            `derivative_of=` takes and returns tensors.

    Every run starts from the same random state, so that dropout is one function.

    Raises:
        ContractError: a keyword is unknown or contradicts another.
        UsageError: torch is not installed.
    """
    torch = torch_calls.imported_torch()
    if isinstance(f, type) and issubclass(f, torch.autograd.Function):
        return _declared(_of_function(f, torch, device), keywords)
    if isinstance(f, torch.nn.Module):
        return _of_module(f, device, keywords)
    if not callable(f):
        raise ContractError(
            f"gradcheck.torch_function: f is {f!r:.80}; a torch.autograd.Function, a torch.nn.Module or a "
            "function of tensors was expected"
        )
    return _declared(TorchCall(f, device, f, getattr(f, "__name__", "function")), keywords)


class TorchCall:
    """A function of tensors with a name and a signature.

    Attributes:
        function: from tensors to tensors.
        device: where it runs.
        node_of: the `torch.autograd.Function` that is all of it, or None.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        device: str,
        like: Any,
        name: str,
        *,
        node_of: Any = None,
        parameters: list[inspect.Parameter] | None = None,
    ) -> None:
        self.function = function
        self.device = device
        self.node_of = node_of
        self.source = like
        self.__name__ = name
        self.__signature__ = (
            inspect.signature(like) if parameters is None else inspect.Signature(parameters)
        )

    def __call__(self, *tensors: Any) -> Any:
        return self.function(*tensors)


def _declared(call: TorchCall, keywords: Mapping[str, Any]) -> Rule:
    def run(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        return torch_calls.run(function, inputs, call.device)

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = torch_calls.backward(call, inputs, call.device, call.node_of)

        def gradients(cotangent: Any) -> tuple[Any, ...]:
            found = iter(pullback(cotangent))
            return tuple(
                trees.map_leaves(
                    lambda leaf: next(found) if trees.is_variable(leaf) else None, value
                )
                for value in inputs
            )

        return output, gradients

    def watched(inputs: tuple[Any, ...], cotangent: Any) -> list[Step]:
        return torch_calls.watch(call, inputs, cotangent, call.device, call.node_of)

    def pushforward(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        return torch_calls.pushforward(call, inputs, tangents, call.device)

    rule = declare(
        "torch_function",
        {"f": call},
        keywords,
        linearise=linearise,
        primal=lambda inputs: run(call, inputs),
        run=run,
    )
    assert rule.parts is not None  # torch has a convention
    parts = replace(rule.parts, functions=(on_parts(rule.functions[0]), *rule.functions))
    return replace(
        rule,
        name=keywords.get("name") or call.__name__,
        pushforward=pushforward if torch_calls.has_jvp(call.node_of) else None,
        parts=parts,
        watched=watched,
        second_order=_backward_of(call, rule, keywords.get("derivative_of") or call),
    )


def _backward_of(call: TorchCall, rule: Rule, differentiated: Callable[..., Any]) -> Rule:
    """Return the rule of the backward, as torch differentiates it where a caller creates its graph."""
    backward = TorchCall(
        torch_calls.gradients_of(call), call.device, call, "backward", parameters=[]
    )

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = torch_calls.backward(backward, inputs, call.device, whole=True)

        def gradients(cotangent: Any) -> tuple[Any, ...]:
            try:
                found = iter(pullback(cotangent))
            except RuntimeError as error:
                raise Abstention(
                    f"torch does not differentiate the backward again ({error})"
                ) from error
            # A caller's graph adds nothing up where there is no path, and says nothing.
            return tuple(
                trees.map_leaves(
                    lambda leaf: _or_zeros(next(found), leaf) if trees.is_variable(leaf) else None,
                    value,
                )
                for value in inputs
            )

        return output, gradients

    true = torch_calls.gradients_of(differentiated)
    return replace(
        rule_of_backward(rule, linearise, (true, backward)),
        primal=lambda inputs: torch_calls.run(backward, inputs, call.device),
    )


def _or_zeros(gradient: Any, value: Any) -> Any:
    return np.zeros_like(value) if gradient is None else gradient


def _of_function(f: Any, torch: Any, device: str) -> TorchCall:
    parameters = list(inspect.signature(f.forward).parameters.values())
    if f.setup_context is torch.autograd.Function.setup_context:
        parameters = parameters[1:]  # the context
    return TorchCall(f.apply, device, f.backward, f.__name__, node_of=f, parameters=parameters)


def _of_module(module: Any, device: str, keywords: Mapping[str, Any]) -> Rule:
    torch = torch_calls.imported_torch()
    own = dict(module.named_parameters())
    buffers = dict(module.named_buffers())

    def function(*inputs: Any) -> Any:
        *values, parameters = inputs if own else (*inputs, {})
        # buffers, such as running statistics, are new at each run, for the forward may change them
        state = {
            name: (value.double() if value.is_floating_point() else value).clone().to(device)
            for name, value in buffers.items()
        }
        return torch.func.functional_call(module, {**state, **parameters}, tuple(values))

    initial = torch_calls.to_arrays({name: value.double() for name, value in own.items()})
    taken = list(inspect.signature(module.forward).parameters.values())
    declared = {key: value for key, value in keywords.items() if key not in OPTIONS}
    declared |= dict(keywords.get("dims") or {})
    inputs = [
        item for item in taken if item.name in declared or item.default is inspect.Parameter.empty
    ]
    options = {key: value for key, value in keywords.items() if key in OPTIONS and key != "dims"}
    last = [inspect.Parameter("parameters", inspect.Parameter.POSITIONAL_ONLY)] if own else []
    ahead = [
        item.replace(kind=inspect.Parameter.POSITIONAL_ONLY, annotation=item.empty)
        for item in inputs
    ]
    call = TorchCall(
        function, device, module.forward, type(module).__name__, parameters=[*ahead, *last]
    )
    if "inputs" in options or "points" in options:
        named = {"parameters": initial} if own else {}
        return _declared(call, {**declared, **drawn_beside(options, len(inputs), named)})
    fixed = fixed_sizes(
        lambda x: torch_calls.run(call, (*x, initial) if own else x, device),
        {item.name: declared[item.name] for item in inputs if item.name in declared},
        type(module).__name__,
        initial,
    )
    dims = {name: with_fixed_sizes(value, fixed) for name, value in declared.items()}
    if own:
        dims["parameters"] = {
            name: " ".join(map(str, value.shape)) for name, value in initial.items()
        }
    return _declared(call, {**options, "dims": dims})
