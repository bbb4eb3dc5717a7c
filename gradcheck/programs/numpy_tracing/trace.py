"""One recorded run as a program of the inputs: the jaxpr, its guards, and the run repeated."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.floating import AS_TRACED
from gradcheck.programs.compat import source_line
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing.agreement import (
    ROUNDING_STEPS,
    is_number,
    require_agreement,
    rounding_unit,
)
from gradcheck.programs.numpy_tracing.clones import Clones
from gradcheck.programs.numpy_tracing.lowering import lower
from gradcheck.programs.numpy_tracing.origins import is_users_file
from gradcheck.programs.numpy_tracing.randomness import preserved, state_of
from gradcheck.programs.numpy_tracing.recorder import Recorder
from gradcheck.programs.numpy_tracing.recording import TracingStopped
from gradcheck.programs.numpy_tracing.rules.elementwise import add_special_functions
from gradcheck.programs.numpy_tracing.tape import Guard, Kind, Tape, fill
from gradcheck.programs.numpy_tracing.traced import unwrap

__all__ = ["Trace", "trace"]


@dataclass(frozen=True)
class Witness:
    """What the untraced function returned at a point, which every lowered program must reproduce."""

    program: str
    arguments: tuple[Any, ...]
    code: str
    numbers: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a function computed at one point, as a program of its floating inputs.

    The recorded calls are lowered to a jaxpr when one is asked for, and no more of them than it needs.

    Attributes:
        outputs: the output of the recorded run, a tree of plain arrays and values.
        random: whether random numbers were drawn; they are constants of this very run.
        random_sources: the generators that the function reaches.
    """

    outputs: Any
    random: bool
    random_sources: tuple[Any, ...]
    _tape: Tape
    _arguments: Any
    _results: tuple[Any, ...]
    _witnesses: list[Witness] = field(default_factory=list)

    @cached_property
    def jaxpr(self) -> Any:
        """The ClosedJaxpr from floating leaves of the arguments to floating leaves of the output.

        Both are in leaf order and in the dtypes that they had.
        """
        jaxpr = lower(self._tape, list(self._results))
        self._compare(jaxpr, slice(None), self._witnesses)
        return jaxpr

    @property
    def source_lines(self) -> tuple[str | None, ...]:
        """For each equation of the jaxpr the user's line as `path:line`, or None."""
        return tuple(source_line(equation.source_info) for equation in self.jaxpr.jaxpr.eqns)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The values that decided the course of the run, each with its outcome and line."""
        return tuple(self._tape.guards)

    @property
    def dtypes(self) -> set[Any]:
        """The floating dtypes that occur in the run."""
        kinds = [*self._tape.inputs, *(call.kind for call in self._tape.calls)]
        found = {part.dtype for kind in kinds for part in _parts_of(kind)}
        return {dtype for dtype in found if dtype.kind in "fc" or "float" in dtype.name}

    def program_of(self, outputs: slice) -> Any:
        """Return the ClosedJaxpr of some outputs alone, followed by the values that guards test.

        What only the other outputs need is left out. The guards' values come last so that an
        evaluation meets the comparisons that decided the course of the run.

        Raises:
            Abstention: a call has no twin in `lax`, or the program and the untraced code part at a
                point at which the trace was validated.
        """
        tested = [guard.ref for guard in self._tape.guards]
        program = lower(self._tape, [*self._results[outputs], *tested])
        self._compare(program, outputs, self._witnesses)
        return program

    def testify(self, program: str, arguments: tuple[Any, ...], code: str, output: Any) -> None:
        """Require every program of this trace, lowered already or later, to give `output`.

        Args:
            program: what to call the program at these arguments.
            arguments: where the untraced function was run.
            code: what to call the untraced function.
            output: what it returned.
        """
        numbers = tuple(leaf for _, leaf in trees.leaves(output) if is_number(leaf))
        witness = Witness(program, arguments, code, numbers)
        self._witnesses.append(witness)
        if "jaxpr" in self.__dict__:
            self._compare(self.jaxpr, slice(None), [witness])

    def _compare(self, program: Any, outputs: slice, witnesses: Sequence[Witness]) -> None:
        tolerance = ROUNDING_STEPS * rounding_unit(self.dtypes)
        places = [path for path, leaf in trees.leaves(self.outputs) if is_number(leaf)][outputs]
        for witness in witnesses:
            found = evaluate(program, trees.variables(witness.arguments), AS_TRACED)
            ours = dict(zip(places, found, strict=False))  # the guards' values come after them
            theirs = dict(zip(places, witness.numbers[outputs], strict=True))
            require_agreement(witness.program, ours, witness.code, theirs, tolerance)

    def holds_at(self, arguments: tuple[Any, ...]) -> bool:
        """Say whether the program is that of the function at other arguments as well.

        So it is where all that is no floating array is equal, shapes and dtypes are, and every
        guard has the outcome that was recorded. What the function reads from elsewhere, such as a
        closure, is taken to be unchanged.
        """
        return self._fits(arguments) and self.broken_guard(arguments) is None

    def broken_guard(self, arguments: tuple[Any, ...]) -> Guard | None:
        """Return the first guard that does not hold at other arguments of the same shapes."""
        if not self._tape.guards:
            return None
        return self._tape.broken_guard(self._tape.replay(trees.variables(arguments)))

    def replay(self, arguments: tuple[Any, ...]) -> Any:
        """Repeat the recorded NumPy calls at other arguments; return the output's tree.

        Only floating leaves of the output change; they are new arrays. The guards are not checked.
        """
        values = self._tape.replay(trees.variables(arguments))
        with np.errstate(all="ignore"):
            results = iter([np.array(fill(result, values)) for result in self._results])
        return trees.map_leaves(
            lambda leaf: next(results) if is_number(leaf) else leaf, self.outputs
        )

    @cached_property
    def _leaves(self) -> list[tuple[str, Any]]:
        return trees.leaves(self._arguments)

    def _fits(self, arguments: tuple[Any, ...]) -> bool:
        mine, theirs = self._leaves, trees.leaves(arguments)
        return len(mine) == len(theirs) and all(
            path == other_path and _is_interchangeable(leaf, other)
            for (path, leaf), (other_path, other) in zip(mine, theirs, strict=True)
        )


def trace(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Trace:
    """Record `function(*arguments)` and return the program that it amounts to.

    See `gradcheck.programs.tracing.trace`.
    """
    add_special_functions()
    recorder = Recorder()
    clones = recorder.clones = Clones(recorder)
    with preserved() as drew_globally:
        inputs = trees.map_leaves(
            lambda leaf: recorder.input(leaf) if trees.is_variable(leaf) else clones.convert(leaf),
            arguments,
        )
        copied = clones.convert(function)
        with recorder.running():
            output = _run(recorder, copied, inputs)
            leaves = [leaf for _, leaf in trees.leaves(output)]
            results = tuple(recorder.operand(leaf) for leaf in leaves if is_number(unwrap(leaf)))
        is_random = drew_globally() or any(
            state_of(original) != state_of(copy) for original, copy in clones.random_sources
        )
    kept = trees.map_leaves(_copied, (arguments, trees.map_leaves(unwrap, output)))
    sources = tuple(original for original, _ in clones.random_sources)
    return Trace(kept[1], is_random, sources, recorder.tape, kept[0], results)


def _parts_of(kind: Any) -> list[Kind]:
    return [kind] if isinstance(kind, Kind) else [p for part in kind for p in _parts_of(part)]


def _run(recorder: Recorder, function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    output = None
    try:
        output = function(*inputs)
    except TracingStopped:
        pass
    except Exception as error:
        if recorder.stopped is None:
            raise Abstention(
                f"the code raised {type(error).__name__}: {error} while it was recorded",
                _line_of(error),
            ) from error
    if recorder.stopped is not None:
        raise recorder.stopped
    return output


def _line_of(error: Exception) -> str | None:
    users = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if is_users_file(frame.filename)
    ]
    return users[-1] if users else None


def _is_interchangeable(leaf: Any, other: Any) -> bool:
    if trees.is_variable(leaf):
        return (
            trees.is_variable(other)
            and np.shape(leaf) == np.shape(other)
            and leaf.dtype == other.dtype
        )
    if isinstance(leaf, np.ndarray) or isinstance(other, np.ndarray):
        return (
            type(leaf) is type(other) and leaf.dtype == other.dtype and np.array_equal(leaf, other)
        )
    return leaf is other or (type(leaf) is type(other) and bool(leaf == other))


def _copied(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf
