"""The gradients of a layer's parameters: returned by its backward, or left inside the layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcheck import trees
from gradcheck.adapters.places import Place
from gradcheck.errors import ContractError, RuleError
from gradcheck.gradients import by_input, named

__all__ = ["gradient_reader", "with_parameters_last"]

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


def with_parameters_last(
    raw: Any, inputs: Sequence[str], values: Sequence[Any], parameters: Sequence[str]
) -> Any:
    """Unpack what a backward returned whose last part holds the gradients of all parameters.

    Args:
        raw: such as `(dx, {"w": dw, "b": db})` or `(dx, (dw, db))`; anything else is returned as it is.
        inputs: the names of the forward's inputs.
        values: the parameters.
        parameters: their names.
    """
    if not isinstance(raw, (tuple, list)) or len(raw) != len(inputs) + 1 or not parameters:
        return raw
    *own, last = raw
    if len(parameters) == 1 and isinstance(values[0], (dict, list, tuple)):
        return raw
    if isinstance(last, dict):
        return (*own, *by_input(last, parameters, values, [True] * len(parameters)))
    if isinstance(last, (tuple, list)) and len(last) == len(parameters):
        return (*own, *last)
    return raw


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
    keys = {name: named(name, by_name, names) for name in names}
    missing = [name for name in names if keys[name] is None]
    if missing:
        raise RuleError(
            f"grads= holds no {missing[0]!r} after the backward, only {', '.join(by_name) or 'nothing'}; a "
            "parameter without a gradient is left out of params= by naming the others: "
            "params={'w': 'params.w'}"
        )
    return {name: by_name[key] for name, key in keys.items() if key is not None}
