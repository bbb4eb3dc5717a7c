"""`gradcheck.layer`: an object with a forward and a backward, parameters and gradients inside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gradcheck import trees
from gradcheck.adapters.beside import drawn_beside
from gradcheck.adapters.declaration import OPTIONS, declare
from gradcheck.adapters.layer_gradients import gradient_reader, with_parameters_last
from gradcheck.adapters.layer_sizes import dimensions_of_parameters, fixed_sizes, with_fixed_sizes
from gradcheck.adapters.places import Place, places_of, snapshot
from gradcheck.contracts import make_contract
from gradcheck.errors import ContractError, RuleError
from gradcheck.gradients import by_input
from gradcheck.randomness import fixed_random_state
from gradcheck.rules import Pullback, Rule, Step

__all__ = ["layer"]


def layer(
    make: Callable[..., Any],
    /,
    *,
    params: Any = None,
    grads: Any = None,
    forward: str | Callable[..., Any] = "forward",
    backward: str | Callable[..., Any] = "backward",
    accumulates: bool | None = None,
    **keywords: Any,
) -> Rule:
    """Make a rule of a factory of objects with `forward(x)` and `backward(dout)`.

    Every evaluation gets a fresh object, whose parameters are inputs of the rule: they are drawn like
    all others and set before the forward, so that no initial value hides a fault.

    Args:
        make: returns a new object. Its own parameters are sizes, given by the names of dimensions
            (`make(D, M)`), or arguments declared by keyword, such as `training=one_of(True, False)`.
        params: where the parameters are: the path of a dict, a list, an array or an object inside the layer
            (`"params"`, `"layers[0].weights"`), a list of paths, or a dict from names to paths; None
            for a layer without parameters.
        grads: where the backward leaves the gradients of the parameters, likewise (a list of paths is in
            the order of `params`), or a function of the layer that returns them by name; None where the
            backward returns them after those of its inputs.
        forward: the method that takes the inputs, or a function `forward(layer, *inputs)`.
        backward: the method that takes the cotangent and returns the gradients of the inputs, or a
            function `backward(layer, dout)`. One that needs a second argument gets the cache of a
            forward that returns `(out, cache)`.
        accumulates: whether the gradients of the parameters add up over the backwards of one object
            until they are cleared; None accepts either, if all do the same.
        **keywords: the dimensions or the domain of each input of the forward, and the options of
            `gradcheck.pair`. The dimensions of a parameter may be declared by its name; they
            are otherwise read off the objects that `make` returns for several sizes.

    Raises:
        ContractError: a keyword is unknown or contradicts another, or the dimensions of a parameter
            cannot be told.
        RuleError: the layer cannot be made, or has no such places.

    >>> import numpy as np
    >>> from gradcheck import layer, verify
    >>> class Scale:
    ...     def __init__(self, width):
    ...         self.params, self.grads = {"w": np.ones(width)}, {}
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.params["w"]
    ...     def backward(self, dout):
    ...         self.grads["w"] = (dout * self.x).sum(axis=0)
    ...         return dout * self.params["w"]
    >>> rule = layer(lambda D: Scale(D), x="N D", params="params", grads="grads")
    >>> verify(rule, examples=20, seed=1).verdict
    'pass'
    """
    if not callable(make):
        raise ContractError(
            f"gradcheck.layer: make is {make!r:.80}, not a factory; pass the class, or a function that "
            "returns a new layer"
        )
    parameters = inspect.signature(make).parameters
    arguments = {name: keywords[name] for name in parameters if name in keywords}
    free = [
        name
        for name, parameter in parameters.items()
        if name not in keywords
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    options = {key: value for key, value in keywords.items() if key in OPTIONS}
    others = {
        key: value for key, value in keywords.items() if key not in OPTIONS and key not in arguments
    }
    return _Layer(make, params, grads, forward, backward, accumulates).rule(
        free, arguments, others, options
    )


@dataclass(frozen=True)
class _Layer:
    """How objects of one factory are made, filled, run and read."""

    make: Callable[..., Any]
    params: Any
    grads: Any
    forward: str | Callable[..., Any]
    backward: str | Callable[..., Any]
    accumulates: bool | None

    def rule(
        self,
        free: list[str],
        arguments: Mapping[str, Any],
        declared: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Rule:
        """Make the rule; `free` names the sizes that `make` takes."""
        if options.get("inputs") is not None or options.get("points") is not None:
            return self._rule_of_draws(free, arguments, declared, options)
        dims = {**declared, **(options.get("dims") or {})}
        own = {key: value for key, value in options.items() if key != "dims"}
        sample = _sample_sizes(dims, arguments, free)
        example = self.made(sample)
        places = self._places(example)
        inputs = {name: dims[name] for name in dims if name not in places}
        names = self._input_names(example, inputs)
        if not free:
            fixed = fixed_sizes(
                lambda x: self.run(self.made(sample), x),
                {name: inputs[name] for name in names if name in inputs},
                self._title(),
                vars(example),
            )
            dims = {name: with_fixed_sizes(value, fixed) for name, value in dims.items()}
            inputs = {name: dims[name] for name in inputs}
        shapes = dimensions_of_parameters(
            lambda sizes: self._values(self.made({**sample, **sizes}), places),
            {name: dims.get(name) for name in places},
            sample,
            free,
        )
        ordered = [*names, *shapes, *arguments]
        every = {**inputs, **shapes, **arguments}
        return self._declared(ordered, len(names), list(shapes), places, free, own, dims=every)

    def _rule_of_draws(
        self,
        free: list[str],
        arguments: Mapping[str, Any],
        declared: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Rule:
        """Make the rule of a layer whose inputs the user draws; its parameters are drawn beside them."""
        if free or arguments or declared:
            given = next(iter([*free, *arguments, *declared]))
            raise ContractError(
                f"gradcheck.layer: {given} and inputs= or points= both say what is drawn; let make take no "
                "arguments where the inputs are drawn by your own function"
            )
        example = self.made({})
        places = self._places(example)
        names = self._input_names(example, {})
        initial = self._values(example, places)
        kept = {name: value for name, value in initial.items() if trees.has_variables(value)}

        own = drawn_beside(options, len(names), kept)
        return self._declared([*names, *kept], len(names), list(kept), places, [], own)

    def _declared(
        self,
        ordered: list[str],
        count: int,
        parameters: list[str],
        places: dict[str, Place],
        free: list[str],
        options: dict[str, Any],
        dims: dict[str, Any] | None = None,
    ) -> Rule:
        """Declare the rule of the inputs `ordered`: `count` of the forward, parameters, arguments."""
        last = count + len(parameters)
        names = [ordered[:count], ordered[count:last], ordered[last:]]
        signature = _signature(self._title(), ordered)
        sizes_of = (lambda _: {}) if dims is None else _sizes(signature, dims, free)
        gradients = gradient_reader(self.grads, list(places))

        def prepared(inputs: tuple[Any, ...]) -> Any:
            made = self.made(
                {**sizes_of(inputs), **dict(zip(names[2], inputs[last:], strict=True))}
            )
            for name, value in zip(names[1], inputs[count:last], strict=True):
                places[name].set(made, snapshot(value))
            return made

        def primal(inputs: tuple[Any, ...]) -> Any:
            return self._forward(prepared(inputs), inputs[:count])[0]

        def claimed(made: Any, cache: tuple[Any, ...], inputs: Any, cotangent: Any) -> Any:
            raw = self._back(made, cotangent, *cache)
            if gradients is None:
                self._require_all(raw, names[1])
                return with_parameters_last(raw, names[0], inputs[count:last], names[1])
            if raw is None and any(rule.expected(inputs)[:count]):
                raise RuleError(
                    f"the backward of {self._title()} returned None for {', '.join(names[0])} (a return is "
                    "missing?); return (None,) if the layer claims no gradient of its inputs"
                )
            own = by_input(raw, names[0], inputs[:count], rule.expected(inputs)[:count])
            left = gradients(made)
            kept = {name: left[name] for name in left if name in names[1]}
            return {**dict(zip(names[0], own, strict=True)), **kept}

        def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
            made = prepared(inputs)
            output, cache = self._forward(made, inputs[:count])
            ready = [(made, cache)]

            def pullback(cotangent: Any) -> Any:
                if not ready:  # gradients that accumulate by design start from zero again
                    again = prepared(inputs)
                    ready.append((again, self._forward(again, inputs[:count])[1]))
                return claimed(*ready.pop(), inputs, cotangent)

            return output, pullback

        def repeated(runs: Sequence[tuple[tuple[Any, ...], Any]]) -> list[Any]:
            made, found = prepared(runs[0][0]), []
            for inputs, cotangent in runs:
                cache = self._forward(made, inputs[:count])[1]
                found.append(snapshot(claimed(made, cache, inputs, cotangent)))
            return found

        def watched(inputs: tuple[Any, ...], cotangent: Any) -> list[Step]:
            made = prepared(inputs)

            def parameters() -> tuple[Any, ...]:
                left = [snapshot(places[name].get(made)) for name in names[1]]
                return *inputs[:count], *left, *inputs[last:]

            before = parameters()
            cache = self._forward(made, inputs[:count])[1]
            between = parameters()
            self._back(made, cotangent, *cache)
            return [
                ("forward", (before, None), (between, None)),
                ("backward", (between, None), (parameters(), None)),
            ]

        rule = declare(
            "layer",
            {"forward": signature, "backward": self._source()},
            {**options, **({} if dims is None else {"dims": dims})},
            linearise=linearise,
            primal=primal,
        )
        return replace(
            rule,
            name=options.get("name") or self._title(),
            parameters=tuple(names[1]),
            accumulates=self.accumulates,
            repeated=repeated,
            watched=watched if names[1] else None,
        )

    def made(self, arguments: Mapping[str, Any]) -> Any:
        """Return a new object, the same one each time but for its parameters.

        Its own random numbers are drawn from a fixed state, and that of the program is put back.
        """
        with fixed_random_state():
            return self.make(**arguments)

    def run(self, made: Any, inputs: tuple[Any, ...]) -> Any:
        """Run the forward of an object."""
        if isinstance(self.forward, str):
            return getattr(made, self.forward)(*inputs)
        return self.forward(made, *inputs)

    def _forward(self, made: Any, inputs: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """Run the forward; return its output, and the cache if the backward takes one."""
        returned = self.run(made, inputs)
        backward = self.backward
        taken = 2 if callable(backward) else 1
        function = backward if callable(backward) else getattr(made, backward)
        if _required(function) != taken + 1:
            return returned, ()
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise RuleError(
                f"the backward of {self._title()} needs a second argument, but its forward returned "
                f"{trees.describe(returned)}, not (out, cache); pass what it needs by a function: "
                "backward=lambda layer, dout: layer.backward(dout, layer.x)"
            )
        return returned[0], (returned[1],)

    def _back(self, made: Any, *arguments: Any) -> Any:
        if isinstance(self.backward, str):
            return getattr(made, self.backward)(*arguments)
        return self.backward(made, *arguments)

    def _require_all(self, raw: Any, parameters: Sequence[str]) -> None:
        """Refuse what can be the gradient of one input alone where nothing says where the others are."""
        if parameters and (raw is None or trees.is_variable(raw)):
            raise RuleError(
                f"the backward of {self._title()} returned {trees.describe(raw)}, and nothing says where the "
                f"gradients of {', '.join(parameters)} are; name the places where it leaves them, such as "
                "grads='grads' or grads=['dw', 'db'], or return them behind the gradients of the inputs"
            )

    def _places(self, example: Any) -> dict[str, Place]:
        return {} if self.params is None else places_of(self.params, example, "params")

    def _values(self, made: Any, places: Mapping[str, Place]) -> dict[str, Any]:
        return {name: snapshot(place.get(made)) for name, place in places.items()}

    def _input_names(self, example: Any, declared: Mapping[str, Any]) -> list[str]:
        """Return the names of the forward's inputs in its order."""
        function = (
            getattr(example, self.forward, None) if isinstance(self.forward, str) else self.forward
        )
        if function is None:
            raise RuleError(
                f"{type(example).__name__} has no method {self.forward!r}; name the one that takes the "
                "inputs with forward="
            )
        if isinstance(self.backward, str) and not hasattr(example, self.backward):
            raise RuleError(
                f"{type(example).__name__} has no method {self.backward!r}; name the one that takes the "
                "cotangent with backward="
            )
        found = list(inspect.signature(function).parameters.values())
        found = found if isinstance(self.forward, str) else found[1:]
        names = [item.name for item in found if item.kind in POSITIONAL]
        if any(item.kind is item.VAR_POSITIONAL for item in found):
            return [*names, *(name for name in declared if name not in names)]
        needed = [item.name for item in found if item.default is item.empty]
        return [name for name in names if name in declared or name in needed]

    def _title(self) -> str:
        name = getattr(self.make, "__name__", "layer")
        return "layer" if name == "<lambda>" else name

    def _source(self) -> Callable[..., Any]:
        """Return the function whose source line a report names."""
        if not isinstance(self.backward, str):
            return self.backward
        found = getattr(self.make, self.backward, None)
        return found if callable(found) else self.make


def _required(function: Callable[..., Any]) -> int:
    """Return how many positional arguments a function must be given."""
    if inspect.ismethod(function):  # of another object at each run
        return max(_required_once(function.__func__) - 1, 0)
    count = _required_once if inspect.isfunction(function) else _required_once.__wrapped__
    return count(function)


@lru_cache
def _required_once(function: Callable[..., Any]) -> int:
    parameters = inspect.signature(function).parameters.values()
    return sum(item.kind in POSITIONAL and item.default is item.empty for item in parameters)


POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _sample_sizes(
    dims: Mapping[str, Any], arguments: Mapping[str, Any], free: list[str]
) -> dict[str, Any]:
    """Return arguments with which an example of the layer can be made."""
    real = {name: value for name, value in dims.items() if name not in arguments}
    known = {"sizes of make": " ".join(free)} if free else {}
    contract = make_contract(_open_ended, {**real, **arguments, **known})
    smallest = contract.problem.smallest({}) or {}
    chosen = {
        path: domain.choices[0]
        for path, domain in contract.domains.items()
        if path in arguments and domain.shape is None
    }
    return {**{name: smallest.get(name, 1) for name in free}, **chosen}


def _open_ended(*inputs: Any) -> Any:
    """Stand for a forward whose inputs are whatever is declared."""
    return inputs


def _signature(title: str, names: list[str]) -> Callable[..., Any]:
    """Return a function that has these parameters, for the contract and for reports."""

    def forward(*inputs: Any) -> Any:
        return inputs

    kind = inspect.Parameter.POSITIONAL_ONLY
    try:
        parameters = [inspect.Parameter(name, kind) for name in names]
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    except ValueError as error:
        raise ContractError(
            f"gradcheck.layer: an input and a parameter have a name that is taken or no name at "
            f"all ({error}); give the parameters names: params={'w': 'linear.weight'}"
        ) from error
    forward.__name__ = title
    return forward


def _sizes(
    signature: Callable[..., Any], dims: dict[str, Any], free: list[str]
) -> Callable[[tuple[Any, ...]], dict[str, int]]:
    """Return how the sizes that `make` takes are read from the inputs."""
    if not free:
        return lambda _: {}
    contract = make_contract(signature, {}, dims=dims)
    unknown = [name for name in free if name not in contract.problem.names]
    if unknown:
        raise ContractError(
            f"gradcheck.layer: {unknown[0]!r}, which make takes, is no dimension of an input or parameter; "
            "say where the parameters are, such as params='params', or declare it, such as "
            f"{unknown[0]}=gradcheck.one_of(1, 2)"
        )

    def sizes_of(inputs: tuple[Any, ...]) -> dict[str, int]:
        sizes = contract.bind(inputs)
        return {name: sizes[name] for name in free}

    return sizes_of
