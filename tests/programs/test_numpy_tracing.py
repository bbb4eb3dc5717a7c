"""What a trace is, when it holds, what it refuses, and that it disturbs nobody."""

from __future__ import annotations

import functools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

import gradcheck.programs.numpy_tracing.recording as recorder_module
from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.floating import AS_TRACED
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing.clones import Clones
from gradcheck.programs.numpy_tracing.recording import TracingStopped
from gradcheck.programs.numpy_tracing.registry import LOOPS
from gradcheck.programs.tracing import Trace, trace, validated_trace

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def validated(function: Any, *arguments: Any, **options: Any) -> Trace:
    return validated_trace(function, arguments, rng=np.random.default_rng(0), **options)


def value_of(program: Trace, *inputs: Any) -> Any:
    return evaluate(program.jaxpr, inputs, AS_TRACED)[0]


# Inputs, outputs, lines


def test_floating_leaves_are_inputs_and_all_others_are_constants() -> None:
    def function(weights: Any, options: Any, labels: Any) -> Any:
        return {"a": weights[1][labels] * options["scale"], "b": [weights[0]["w"] + 1, "name", 3]}

    arguments = ([{"w": X}, np.arange(4.0)], {"scale": np.float32(2), "power": 3}, np.array([0, 2]))
    program = trace(function, arguments)
    assert [str(aval.dtype) for aval in program.jaxpr.in_avals] == ["float64", "float64", "float32"]
    assert [aval.shape for aval in program.jaxpr.out_avals] == [(2,), (2, 3)]
    assert program.outputs["b"][1:] == ["name", 3]
    assert type(program.outputs["a"]) is np.ndarray


def test_outputs_that_do_not_depend_on_the_inputs_are_outputs_all_the_same() -> None:
    program = trace(lambda x: (np.ones(2), 3.5, 7, x), (X,))
    ones, number, same = evaluate(program.jaxpr, [X])
    assert ones.tolist() == [1, 1]
    assert number == 3.5
    assert same is X or np.array_equal(same, X)


def test_every_equation_names_the_users_line() -> None:
    def function(x: Any) -> Any:
        y = np.tanh(x)
        return y.sum(axis=0)

    start = function.__code__.co_firstlineno
    program = trace(function, (X,))
    names = {
        str(equation.primitive): line.rpartition(":")[2]
        for equation, line in zip(program.jaxpr.jaxpr.eqns, program.source_lines, strict=True)
        if line is not None and line.startswith(__file__)
    }
    assert names == {"tanh": str(start + 1), "reduce_sum": str(start + 2)}


def test_complex_and_single_precision_inputs_keep_their_dtype() -> None:
    z = np.array([1 + 2j, -0.5j])
    program = validated(lambda z: np.abs(z) ** 2 + (z * z.conj()).real + np.exp(z).imag, z)
    assert program.jaxpr.in_avals[0].dtype == np.complex128
    single = validated(lambda x: np.tanh(x) * 2, X.astype(np.float32))
    assert single.jaxpr.out_avals[0].dtype == np.float32


def test_a_fortran_ordered_or_strided_input_gives_what_numpy_gives() -> None:
    def function(x: Any) -> Any:
        flat = x.ravel(order="K")
        flat[:2] = 0.0
        return flat * np.arange(6.0)

    for x in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[:, ::-1]):
        program = trace(function, (x,))
        assert np.array_equal(value_of(program, x), function(x.copy(order="K")))


def test_a_trace_is_validated_in_the_order_of_memory_of_its_arguments() -> None:
    def in_order_of_memory(x: Any) -> Any:
        return np.tanh(x).ravel(order="K")

    x = np.asfortranarray(X)
    program = validated(in_order_of_memory, x)
    assert np.array_equal(value_of(program, x), in_order_of_memory(x))
    assert not np.array_equal(in_order_of_memory(x), in_order_of_memory(X))


# Guards


def clipped_or_scaled(x: Any) -> Any:
    if x.max() > 1:
        return np.minimum(x, 1)
    return x * int(x[0, 0] * 4)


def test_a_trace_holds_where_its_guards_do() -> None:
    program = validated(clipped_or_scaled, X)
    assert [guard.outcome.item() for guard in program.guards] == [True]
    assert program.guards[0].line == f"{__file__}:{clipped_or_scaled.__code__.co_firstlineno + 1}"
    assert program.holds_at((X * 3,))
    assert not program.holds_at((X * 0.1,))
    other = validated(clipped_or_scaled, X / 4)
    assert [guard.outcome.item() for guard in other.guards] == [False, 0]
    assert not other.holds_at((X / 4 + 0.2,))


def test_a_trace_does_not_hold_for_other_constants_shapes_or_dtypes() -> None:
    program = trace(lambda x, labels, scale: x[labels] * scale, (X, np.array([1, 0]), 2))
    assert program.holds_at((X + 1, np.array([1, 0]), 2))
    assert not program.holds_at((X, np.array([0, 1]), 2))
    assert not program.holds_at((X, np.array([1, 0]), 3))
    assert not program.holds_at((X, np.array([1, 0]), 2.0))
    assert not program.holds_at((X[:, :2], np.array([1, 0]), 2))
    assert not program.holds_at((X.astype(np.float32), np.array([1, 0]), 2))
    assert not program.holds_at(([X], np.array([1, 0]), 2))


def test_a_run_is_repeated_at_other_arguments() -> None:
    def function(x: Any) -> Any:
        out = np.zeros(3)
        for row in x:
            out += np.exp(row)
        return out, [x[0]]

    replayed = trace(function, (X,)).replay((2 * X,))
    assert np.array_equal(replayed[0], function(2 * X)[0])
    assert np.array_equal(replayed[1][0], 2 * X[0])


def test_the_program_of_some_outputs_leaves_out_what_the_others_need() -> None:
    program = trace(lambda x: (np.sin(x), np.cos(x) if x[0, 0] > 0 else x), (X,))
    first = program.program_of(slice(1))
    assert [str(e.primitive) for e in first.jaxpr.eqns if "cos" in str(e.primitive)] == []
    sine, positive = evaluate(first, [X])
    np.testing.assert_allclose(sine, np.sin(X), rtol=1e-15)
    assert positive


# Randomness


def test_random_draws_are_constants_of_the_point_and_every_state_is_put_back() -> None:
    generator = np.random.default_rng(8)

    def function(x: Any) -> Any:
        return x * np.random.rand(3) + generator.normal(size=3)  # noqa: NPY002 - drawn globally

    before = np.random.get_state()[1].tobytes(), generator.bit_generator.state  # noqa: NPY002
    program = validated(function, X)
    assert program.random
    after = np.random.get_state()[1].tobytes(), generator.bit_generator.state  # noqa: NPY002
    assert before == after
    expected = function(X)
    assert np.array_equal(program.outputs, expected)
    assert not validated(lambda x: x * 2, X).random


# Private copies


class Base:
    scale = np.array([1.0, 2.0, 3.0])

    def __init__(self, power: int = 2) -> None:
        self.power = power
        self.seen: list[Any] = []

    def forward(self, x: Any) -> Any:
        self.seen.append(x)
        return x**self.power


class Derived(Base):
    __slots__ = ("extra",)

    def __init__(self) -> None:
        super().__init__(3)
        self.extra = np.zeros(3)

    @property
    def offset(self) -> Any:
        return self.extra + 1

    @classmethod
    def scaled(cls, x: Any) -> Any:
        return x * cls.scale

    @staticmethod
    def halved(x: Any) -> Any:
        return x / 2

    def forward(self, x: Any) -> Any:
        self.extra += x.sum(axis=0)
        assert isinstance(self, Derived)
        return self.halved(self.scaled(super().forward(x))) + self.offset


@dataclass(frozen=True)
class Frozen:
    layer: Base

    def __call__(self, x: Any) -> Any:
        return self.layer.forward(x)


def test_objects_classes_and_what_they_inherit_are_copied() -> None:
    layer = Derived()
    program = validated(Frozen(layer), X)
    assert np.array_equal(program.outputs, Derived().forward(X.copy()))
    assert len(layer.seen) == 1, "the object itself has run once, for the comparison"
    trace(layer.forward, (X,))
    assert len(layer.seen) == 1, "and not at all for a trace alone"


def test_partials_closures_defaults_and_cached_functions_are_copied() -> None:
    calls = []

    @functools.lru_cache
    def window(size: int) -> Any:
        calls.append(size)
        return np.full(size, 1 / size)

    def outer(scale: Any, x: Any, *, shift: Any = np.ones(3)) -> Any:  # noqa: B008  # noqa: B008
        def inner(y: Any) -> Any:
            return y * window(3) + scale

        return inner(x) + shift

    program = validated(functools.partial(outer, 2.0, shift=np.arange(3.0)), X)
    assert np.allclose(value_of(program, X), X / 3 + 2 + np.arange(3))
    assert calls == [3], "the cache of the function itself was filled by its own run alone"


def test_two_names_for_one_array_stay_one_array() -> None:
    room = np.zeros((2, 3))
    row = room[1]

    def function(x: Any) -> Any:
        room[...] = x
        return row * 2

    program = validated(function, X)
    assert np.array_equal(value_of(program, 2 * X), 4 * X[1])
    assert Clones().convert([room, room])[0] is not room


def test_a_plain_copy_runs_without_changing_the_original() -> None:
    layer = Derived()
    copied = Clones().convert(layer.forward)
    assert np.array_equal(copied(X), Derived().forward(X))
    assert layer.seen == []
    assert layer.extra.tolist() == [0, 0, 0]


# Refusals


def test_an_abstention_names_the_function_and_the_line() -> None:
    def function(x: Any) -> Any:
        return np.fft.fft(x).real

    with pytest.raises(Abstention) as caught:
        trace(function, (X,))
    assert caught.value.reason == "np.fft is not covered"
    assert caught.value.where == f"{__file__}:{function.__code__.co_firstlineno + 1}"


def test_what_the_code_raises_is_reported_with_its_line() -> None:
    def function(x: Any) -> Any:
        return x @ x

    with pytest.raises(Abstention, match="raised ValueError: matmul") as caught:
        trace(function, (X,))
    assert caught.value.where == f"{__file__}:{function.__code__.co_firstlineno + 1}"


def test_a_tape_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        for _ in range(30):
            x = x * 1.5
        return x

    monkeypatch.setattr(recorder_module, "CALL_LIMIT", 30)
    trace(function, (X,))
    monkeypatch.setattr(recorder_module, "CALL_LIMIT", 29)
    with pytest.raises(Abstention, match="more than 29 array operations; use smaller sizes"):
        trace(function, (X,))
    monkeypatch.setattr(recorder_module, "CONSTANT_BYTES_LIMIT", 100)
    with pytest.raises(Abstention, match="constants exceed 100 bytes"):
        trace(lambda x: x * np.arange(30.0)[:, None, None], (X,))


def test_a_value_kept_from_a_trace_is_of_no_use_later() -> None:
    stolen: list[Any] = []

    def function(x: Any, keep: Any) -> Any:
        keep(x)
        return x

    trace(function, (X, stolen.append))
    with pytest.raises(TracingStopped, match="after its trace has ended"):
        stolen[0] * 2
    assert np.array_equal(np.asarray(stolen[0]), X)


def test_the_untraced_function_decides() -> None:
    """A trace of code that tells traced arrays from plain ones is refused."""

    def function(x: Any) -> Any:
        return x * (2.0 if type(x).__module__ == "numpy" else 1.0)

    trace(function, (X,))
    with pytest.raises(Abstention, match=r"part at output\[0, 0\]: ") as caught:
        validated(function, X)
    traced, untraced = map(float, str(caught.value).partition("0]: ")[2].split(" and "))
    assert untraced == 2 * traced


def test_the_recorded_run_must_agree_to_the_last_bit() -> None:
    def function(x: Any) -> Any:
        return x * (1.0 + np.finfo(float).eps if type(x) is np.ndarray else 1.0)

    with pytest.raises(Abstention, match="the recorded and the untraced code part at output"):
        validated(function, X)


def test_a_wrong_twin_is_found_by_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    validated(np.tanh, X)
    monkeypatch.setitem(LOOPS, np.tanh, lax.sin)
    with pytest.raises(Abstention, match="the program at a second point and untraced code part"):
        validated(np.tanh, X)


def test_a_wrong_derivative_is_found_by_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    @jax.custom_jvp
    def tanh(x: Any) -> Any:
        return lax.tanh(x)

    tanh.defjvp(lambda x, t: (lax.tanh(*x), t[0]))
    monkeypatch.setitem(LOOPS, np.tanh, tanh)
    with pytest.raises(Abstention, match=r"derivative along a direction is .* finite difference"):
        validated(np.tanh, X)
    assert len(validated(np.tanh, X, lowered=False).jaxpr.jaxpr.eqns) == 1


def test_code_that_answers_differently_each_time_is_refused() -> None:
    source = iter(range(100))

    def function(x: Any) -> Any:
        return x * next(source)

    with pytest.raises(Abstention, match="part at output"):
        validated(function, X)


def test_a_point_that_no_other_point_resembles_is_refused() -> None:
    def function(x: Any) -> Any:
        return x * 2 if x[0, 0] == 0.5 else x

    with pytest.raises(Abstention, match="no second point near this one takes the same branches"):
        validated(function, X)


# Nothing global


def slow_layer(x: Any) -> Any:
    out = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(x.shape[1]):
            out[i, j] = math.exp(x[i, j]) if x[i, j] > 0 else x[i, j]
    return out


def test_concurrent_traces_and_untraced_runs_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(4)
    points = [rng.normal(size=(4, 5)) for _ in range(8)]
    ready = threading.Barrier(4)

    def trace_some(which: int) -> list[Any]:
        ready.wait()
        return [trace(slow_layer, (x,)) for x in points[which::3]]

    def run_untraced() -> list[Any]:
        ready.wait()
        return [slow_layer(x) for _ in range(20) for x in points]

    with ThreadPoolExecutor(4) as pool:
        traces = [pool.submit(trace_some, which) for which in range(3)]
        plain = pool.submit(run_untraced).result()
        found = [traced.result() for traced in traces]
    for x, out in zip(points * 20, plain, strict=True):
        assert type(out) is np.ndarray
        assert np.array_equal(out, slow_layer(x))
    for which, programs in enumerate(found):
        for x, program in zip(points[which::3], programs, strict=True):
            assert np.array_equal(program.outputs, slow_layer(x))
            assert np.allclose(value_of(program, x), slow_layer(x), rtol=1e-14)


def test_nothing_of_numpy_or_of_the_users_module_is_replaced() -> None:
    names = ("zeros", "array", "asarray", "sum", "ndarray", "float64")
    before = [getattr(np, name) for name in names], math.exp, dict(globals())
    validated(slow_layer, X)
    assert [getattr(np, name) for name in names] == before[0]
    assert math.exp is before[1]
    assert {key: value for key, value in globals().items() if before[2][key] is not value} == {}
