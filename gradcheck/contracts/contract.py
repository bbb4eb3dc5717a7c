"""The contract of a rule: the dimensions and domain of each input, and the shape of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.contracts import expressions
from gradcheck.contracts.dimensions import Axes, Axis, Shape
from gradcheck.contracts.domains import Domain
from gradcheck.contracts.expressions import Expression, Name, Number
from gradcheck.contracts.feasibility import LARGEST_SIZE, Requirement, SizeProblem
from gradcheck.contracts.matching import Observed, match
from gradcheck.errors import ContractError, ShapeError, UsageError

__all__ = ["Contract"]

Shapes = tuple[tuple[int, ...], ...]

KEPT_SHAPES = 64
"""Combinations of shapes whose sizes a contract remembers: the forward of a layer object asks for them
at each of the dozens of runs that one point takes."""


@dataclass(frozen=True, eq=False)
class Contract:
    """The named dimensions of a rule's inputs and outputs; made by `make_contract`.

    Attributes:
        inputs: the domain of each input, or a tree of domains for a tree of arrays, by the name of
            the input, in the forward's order.
        output: the shape of the output, a tuple of shapes for several outputs, None if unspecified.
        batch: the name of the batch dimension, or None.

    Raises:
        ContractError: the dimensions contradict each other.
    """

    inputs: Mapping[str, Any]
    output: Shape | tuple[Shape, ...] | None = None
    batch: str | None = None

    def __post_init__(self) -> None:
        self._refuse_mixed_names()
        self._refuse_undetermined_names()
        self._refuse_unknown_batch()
        self._refuse_impossible_sizes()

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """Every domain by the path of its array, such as `weights[2]`."""
        return {
            path: domain
            for name, tree in self.inputs.items()
            for path, domain in trees.leaves(tree, name)
        }

    @cached_property
    def arguments(self) -> dict[str, tuple[int, ...]]:
        """The values of every whole-number argument that a dimension uses, such as a stride."""
        used = {
            name for _, expression in self._expressions() for name in expressions.names(expression)
        }
        return {
            path: domain.choices
            for path, domain in self.domains.items()
            if path in used
            and domain.shape is None
            and all(
                isinstance(choice, int) and not isinstance(choice, bool)
                for choice in domain.choices
            )
        }

    @cached_property
    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The values of every input that is one of several, by its path."""
        return {path: item.choices for path, item in self.domains.items() if item.kind == "one_of"}

    @cached_property
    def variadics(self) -> tuple[str, ...]:
        """The names that stand for any number of axes of an input."""
        found = [shape.variadic for shape in self._input_shapes().values()]
        return tuple(dict.fromkeys(axes.name for axes in found if axes is not None))

    @cached_property
    def problem(self) -> SizeProblem:
        """What the sizes of the inputs' names must satisfy, with those of the output where they say."""
        names = dict.fromkeys(
            name for shape in self._input_shapes().values() for name in shape.names
        )
        known = {*names, *self.arguments}
        requirements = tuple(
            Requirement(expression, text)
            for text, expression in self._expressions()
            if not isinstance(expression, (Name, Number))
            and known.issuperset(expressions.names(expression))
        )
        free = tuple(name for name in names if name not in self.arguments)
        return SizeProblem(free, requirements, self.arguments)

    def bind(self, inputs: Sequence[Any]) -> dict[str, int]:
        """Return the size of every named dimension at concrete inputs.

        Args:
            inputs: one array, or tree of arrays, per input in the forward's order.

        Raises:
            ShapeError: an input has other dimensions than the contract says.
            UsageError: the number of inputs, or of arrays in an input, differs.
        """
        shapes, known = [], []
        for path, domain, value in self._paired(inputs):
            if domain.shape is not None:
                shapes.append(_shape_of(path, value))
            elif path in self.arguments:
                known.append(int(value))
        return dict(self._sizes_at(tuple(shapes), tuple(known)))

    @cached_property
    def _sizes_at(self) -> Callable[[Shapes, tuple[int, ...]], dict[str, int]]:
        """How the sizes follow from the shapes of the arrays and the arguments, in their order."""
        expected = self._input_shapes()
        arguments = [path for path, domain in self.domains.items() if domain.shape is None]
        names = [path for path in arguments if path in self.arguments]
        origins = {name: f"the argument {name}" for name in names}

        @lru_cache(maxsize=KEPT_SHAPES)
        def sizes_at(shapes: Shapes, known: tuple[int, ...]) -> dict[str, int]:
            pairs = zip(expected.items(), shapes, strict=True)
            arrays = [Observed(path, shape, actual) for (path, shape), actual in pairs]
            return match(arrays, dict(zip(names, known, strict=True)), origins)

        return sizes_at

    def contains(self, inputs: Sequence[Any]) -> str | None:
        """Return a sentence on the first input that is not of its domain; None if all are.

        Raises:
            ShapeError, UsageError: as `bind`.
        """
        sizes = self.bind(inputs)
        for path, domain, value in self._paired(inputs):
            reason = domain.contains(value, sizes)
            if reason is not None:
                return f"{path} {reason}"
        return None

    def assert_output(self, out: Any, sizes: Mapping[str, int]) -> None:
        """Raise unless the output has the dimensions that the contract gives it at these sizes.

        Args:
            out: the output, a tuple or list of arrays where the contract names several.
            sizes: what `bind` returned for the inputs.

        Raises:
            ShapeError: the output, or the number of outputs, is another.
        """
        if self.output is None:
            return
        if isinstance(self.output, Shape):
            named = [("the output", self.output, out)]
        else:
            parts = tuple(out) if isinstance(out, (tuple, list)) else (out,)
            if len(parts) != len(self.output):
                raise ShapeError(
                    f"the forward returned {len(parts)} output{'s' * (len(parts) != 1)}, its contract names "
                    f"{len(self.output)}: {', '.join(repr(shape.text) for shape in self.output)}",
                    quantity="the number of outputs",
                    expected=(len(self.output),),
                    actual=(len(parts),),
                )
            named = [
                (f"output[{index}]", shape, part)
                for index, (shape, part) in enumerate(zip(self.output, parts, strict=True))
            ]
        arrays = [Observed(path, shape, _shape_of(path, part)) for path, shape, part in named]
        match(arrays, sizes, self._origins())

    def _paired(self, inputs: Sequence[Any]) -> Iterator[tuple[str, Domain, Any]]:
        """Yield every array of the inputs with its path and domain."""
        if len(inputs) != len(self.inputs):
            raise UsageError(
                f"{len(inputs)} inputs are given, but the contract names {len(self.inputs)}: "
                f"{', '.join(self.inputs)}"
            )
        for (name, tree), value in zip(self.inputs.items(), inputs, strict=True):
            domains = trees.leaves(tree, name)
            whole = isinstance(tree, Domain)
            values = [(name, value)] if whole else trees.leaves(value, name)
            if len(values) != len(domains):
                raise UsageError(
                    f"{name} holds {len(values)} arrays, but its contract names {len(domains)}: "
                    f"{', '.join(path for path, _ in domains)}"
                )
            for (path, domain), (_, part) in zip(domains, values, strict=True):
                yield path, domain, part

    def _input_shapes(self) -> dict[str, Shape]:
        return {
            path: domain.shape for path, domain in self.domains.items() if domain.shape is not None
        }

    def _output_shapes(self) -> tuple[Shape, ...]:
        if self.output is None:
            return ()
        return (self.output,) if isinstance(self.output, Shape) else self.output

    def _expressions(self) -> Iterator[tuple[str, Expression]]:
        """Yield every size that a dimension string writes, with its text."""
        for path, domain in self.domains.items():
            if domain.shape is not None:
                for axis in domain.shape.axes:
                    if isinstance(axis, Axis):
                        yield f"{path}: {domain.shape.text!r}", axis.size
            if domain.below is not None:
                below = expressions.Operation("-", domain.below, Number(domain.at_least))
                yield f"the range of {path}: {domain}", below
        for shape in self._output_shapes():
            for axis in shape.axes:
                if isinstance(axis, Axis):
                    yield f"output: {shape.text!r}", axis.size

    def _origins(self) -> dict[str, str]:
        """Say which input determines each name."""
        origins: dict[str, str] = {}
        for path, shape in reversed(self._input_shapes().items()):
            alone = {_alone(axis): f"{path}: {shape.text!r}" for axis in shape.axes}
            origins.update({name: origin for name, origin in alone.items() if name is not None})
        return {**origins, **{name: f"the argument {name}" for name in self.arguments}}

    def _refuse_mixed_names(self) -> None:
        shapes = [*self._input_shapes().values(), *self._output_shapes()]
        single = {name: shape for shape in shapes for name in shape.names}
        for shape in shapes:
            if shape.variadic is not None and shape.variadic.name in single:
                name = shape.variadic.name
                raise ContractError(
                    f"{name} stands for any number of axes in {shape.text!r} and for one size in "
                    f"{single[name].text!r}; give one of them another name"
                )

    def _refuse_undetermined_names(self) -> None:
        """Refuse a name of the inputs whose size the inputs' dimensions would not tell."""
        shapes = self._input_shapes()
        sizes = [
            axis.size for shape in shapes.values() for axis in shape.axes if isinstance(axis, Axis)
        ]
        known = set(self.arguments)
        while found := [
            name
            for size in sizes
            for name in expressions.names(size)
            if name not in known
            and expressions.degree(size, name) == 1
            and known.issuperset(set(expressions.names(size)) - {name})
        ]:
            known.update(found)
        for path, shape in shapes.items():
            for name in shape.names:
                if name not in known:
                    raise ContractError(
                        f"{path}: the size of {name} cannot be told from {shape.text!r}; let {name} stand "
                        "alone as a dimension of an input, or make it a whole-number argument: "
                        f"{name}=gradcheck.one_of(1, 2)"
                    )
        for path, domain in self.domains.items():
            for name in expressions.names(domain.below) if domain.below is not None else ():
                if name not in known:
                    raise ContractError(
                        f"{path}: {name} in below={name!r} is no dimension of an input; the dimensions are "
                        f"{', '.join(sorted(known)) or 'none'}"
                    )

    def _refuse_unknown_batch(self) -> None:
        names = [_alone(axis) for shape in self._input_shapes().values() for axis in shape.axes]
        if self.batch is not None and self.batch not in names:
            listed = ", ".join(dict.fromkeys(name for name in names if name)) or "none"
            raise ContractError(
                f"batch is {self.batch!r}, which is no dimension of an input; the dimensions are {listed}"
            )

    def _refuse_impossible_sizes(self) -> None:
        """Refuse requirements without a solution, and a choice of an argument that leaves none."""
        texts = "; ".join(dict.fromkeys(item.text for item in self.problem.requirements))
        if self.problem.smallest({}) is None:
            raise ContractError(
                f"no sizes from 1 to {LARGEST_SIZE} give every dimension a size of 1 or more: {texts}"
            )
        for name, choices in self.arguments.items():
            for choice in choices:
                if self.problem.smallest({name: choice}) is None:
                    raise ContractError(
                        f"{name} = {choice} leaves no sizes from 1 to {LARGEST_SIZE} at which every "
                        f"dimension has a size of 1 or more: {texts}"
                    )


def _alone(axis: Axis | Axes) -> str | None:
    """Return the name that stands alone at an axis, or None."""
    if isinstance(axis, Axes):
        return axis.name
    return axis.size.name if isinstance(axis.size, Name) else None


def _shape_of(path: str, value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] | None = getattr(value, "shape", None)
    if shape is not None:
        return shape if isinstance(value, np.ndarray) else tuple(int(size) for size in shape)
    if isinstance(value, (int, float)) or type(value).__name__ == "complex":
        return ()
    raise UsageError(f"{path} is a {type(value).__name__}, not an array; pass numpy.asarray of it")
