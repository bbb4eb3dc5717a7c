"""The gradients of a layer: what its backward returned, and what it left inside the layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcheck import trees
from gradcheck.adapters.places import Place
from gradcheck.errors import ContractError, RuleError
from gradcheck.rules import describe

__all__ = ["gathered", "gradient_reader"]

Reader = Callable[[Any], dict[str, Any]]


def gradient_reader(spec: Any, names: list[str]) -> Reader | None:
    """Return how the gradients of the parameters are read from a layer after its backward.

    Args:
        spec: the `grads=` of `gradcheck.layer`.
        names: the names of the parameters.

    Returns:
        A function from the layer to the gradients by name; None where the backward returns them.

    Raises:
        ContractError: `spec` makes no sense.
    """
    if spec is None:
        return None
    if callable(spec):
        return lambda made: _by_name(spec(made), names)
    if isinstance(spec, (list, tuple)):
        if len(spec) != len(names):
            raise ContractError(
                f"gradcheck.layer: grads names {len(spec)} places, params {len(names)}: "
                f"{', '.join(names)}; name them in the same order, or as a dict"
            )
        spec = dict(zip(names, spec, strict=True))
    if isinstance(spec, dict):
        unknown = [name for name in spec if name not in names]
        if unknown:
            raise ContractError(
                f"gradcheck.layer: grads names {unknown[0]!r}, which is none of the parameters "
                f"{', '.join(names)}"
            )
        places = {name: Place(path) for name, path in spec.items()}
        return lambda made: {name: place.get(made) for name, place in places.items()}
    place = Place(spec)
    return lambda made: _by_name(place.get(made), names)


def gathered(
    raw: Any,
    made: Any,
    gradients: Reader | None,
    inputs: list[str],
    parameters: list[str],
) -> Any:
    """Join what the backward returned with the gradients that it left in the layer, by name."""
    if gradients is None:
        if _has_parameters_last(raw, parameters):
            return {**_returned(raw[0], inputs), **raw[1]}
        return raw
    left = gradients(made)
    return {**_returned(raw, inputs), **{name: left[name] for name in left if name in parameters}}


def _has_parameters_last(raw: Any, parameters: list[str]) -> bool:
    """Say whether the backward returned `dx, {"w": dw, "b": db}`."""
    is_pair = isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[1], dict)
    return is_pair and set(raw[1]) <= set(parameters)


def _returned(raw: Any, names: list[str]) -> dict[str, Any]:
    if isinstance(raw, dict):
        return raw
    if len(names) == 1 and not (isinstance(raw, (tuple, list)) and len(raw) == 1):
        return {names[0]: raw}
    if isinstance(raw, (tuple, list)) and len(raw) == len(names):
        return dict(zip(names, raw, strict=True))
    if raw is None:
        return {}
    raise RuleError(
        f"the backward returned {describe(raw)} for the {len(names)} inputs {', '.join(names)} of the "
        "forward; grads= says that the gradients of parameters lie in the layer, so return one for each input"
    )


def _by_name(found: Any, names: list[str]) -> dict[str, Any]:
    """Read the gradient of each parameter from a dict, a list in their order, or an object."""
    if isinstance(found, (list, tuple)):
        if len(names) == 1 and len(found) != 1:
            return {names[0]: found}
        if len(found) == len(names):
            return dict(zip(names, found, strict=True))
        raise RuleError(f"grads= holds {len(found)} gradients, params= {len(names)} parameters")
    if isinstance(found, dict):
        by_name = {str(key): value for key, value in found.items()}
    elif trees.is_variable(found) or found is None:
        return dict.fromkeys(names, found) if len(names) == 1 else {}
    else:
        by_name = vars(found)
    missing = [name for name in names if name not in by_name]
    if missing:
        raise RuleError(
            f"grads= holds no {missing[0]!r} after the backward, only {', '.join(by_name) or 'nothing'}; a "
            "parameter without a gradient is left out of params= by naming the others: "
            "params={'w': 'params.w'}"
        )
    return {name: by_name[name] for name in names}
