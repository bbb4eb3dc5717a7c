"""The recorder of one run: which memory holds which value on the tape, and when to give up."""

from __future__ import annotations

import operator
import os
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import Abstention
from gradcheck.programs.numpy_tracing import calls, indexing
from gradcheck.programs.numpy_tracing.memory import (
    compact,
    layout_of,
    plan_of,
    read,
    root_of,
    write,
)
from gradcheck.programs.numpy_tracing.origins import is_users_file
from gradcheck.programs.numpy_tracing.tape import Call, Guard, Kind, Ref, Tape, has_refs
from gradcheck.programs.numpy_tracing.traced import Buffer, Traced, TracedArray, TracedScalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from gradcheck.programs.numpy_tracing.clones import Clones

__all__ = ["CALL_LIMIT", "CONSTANT_BYTES_LIMIT", "Recorder", "TracingStopped"]

CALL_LIMIT = 20_000
"""Calls on one tape. JAX differentiates about three of them in a millisecond, so a longer tape
would cost more than ten seconds at every new shape."""

CONSTANT_BYTES_LIMIT = 2**28
"""Bytes of constants (labels, masks, copies of buffers) that one tape may keep: 256 MiB, so that a
few tapes fit into the memory of a small machine."""

CALLER_OF_USER_CODE = os.path.join("numpy_tracing", "trace.py")
"""Where the search for the user's line ends: further out is code that asked for the trace."""

ACTIVE: ContextVar[Recorder | None] = ContextVar("gradcheck_recorder", default=None)


class TracingStopped(BaseException):
    """Ends a recorded run; no Exception, so that `except Exception` in user code lets it pass."""


class Recorder:
    """Records the pure NumPy calls behind one run of user code.

    Attributes:
        tape: what was recorded so far.
        stopped: the abstention that ended the run, even where user code swallowed it.
        clones: the private copies of the user's functions that are being run.
    """

    clones: Clones

    def __init__(self) -> None:
        self.tape = Tape()
        self.stopped: Abstention | None = None
        self._buffers: WeakValueDictionary[int, Buffer] = WeakValueDictionary()
        self._guarded: set[Ref] = set()
        self._constant_bytes = 0
        self._line: str | None = None
        self._calling: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the recorder of the current context, for as long as the run takes."""
        token = ACTIVE.set(self)
        try:
            yield
        finally:
            ACTIVE.reset(token)

    @property
    def is_running(self) -> bool:
        """Whether this recorder records in the current thread."""
        return ACTIVE.get() is self

    @property
    def namespace(self) -> Any:
        """The `numpy` that traced code sees, also as its array API namespace."""
        return self.clones.convert(np)

    def stop(self, reason: str) -> NoReturn:
        """Give up on the run: it cannot be told what it computes from its inputs."""
        if self.stopped is None:
            self.stopped = Abstention(reason, user_line())
        raise TracingStopped(reason)

    # What goes in and what comes out

    def input(self, array: Any) -> Any:
        """Return the traced stand-in for an input; inputs are declared before anything is run."""
        self.tape.inputs.append(Kind(np.shape(array), array.dtype))
        ref = Ref(len(self.tape.inputs) - 1)
        return self._fresh(compact(array) if isinstance(array, np.ndarray) else array, ref)

    def adopt(self, value: Any) -> Any:
        """Return constants with every array in them made traceable, views of known memory kept."""
        if type(value) is np.ndarray and value.dtype != object:
            return self.view(value)
        return _map_containers(self.adopt, value)

    def view(self, array: NDArray[Any]) -> TracedArray:
        """Return the traced view of memory that is known already, or of new constants."""
        root = root_of(array)
        if root.dtype != array.dtype:
            # A write through it could not be followed: it is refused, by NumPy.
            array = root = compact(array)
            array.flags.writeable = False
        buffer = self._buffers.get(id(root))
        if buffer is None:
            layout = layout_of(root)
            if layout is None:
                array = root = compact(array)
                layout = layout_of(root)
                assert layout is not None
            buffer = self._buffers[id(root)] = Buffer(root, layout, None, root)
        return TracedArray(array, buffer, self)

    def is_known(self, array: Any) -> bool:
        """Say whether an array shows, in its own dtype, memory that a traced array owns."""
        if not isinstance(array, np.ndarray):
            return False
        buffer = self._buffers.get(id(root_of(array)))
        return buffer is not None and buffer.base.dtype == array.dtype

    def operand(self, value: Any) -> Any:
        """Return a value as an argument on the tape: a `Ref`, or a constant that stays as it is."""
        kind = type(value)
        if kind is TracedScalar:
            return value.ref
        if kind is TracedArray:
            if value.recorder is not self:
                self.stop("an array of another trace is used")
            if value.seen is None or value.seen[0] != value.buffer.version:
                value.seen = (value.buffer.version, self._content(value))
            return value.seen[1]
        if isinstance(value, np.ndarray):
            return self._kept(value)
        if kind is list or kind is tuple:
            return kind(self.operand(part) for part in value)
        return value

    def _content(self, array: TracedArray) -> Any:
        buffer = array.buffer
        if buffer.ref is None:
            return self._kept(array.concrete)
        if array.concrete is buffer.base:
            return buffer.ref
        plan = plan_of(array.concrete, buffer.base, buffer.layout)
        if plan.is_whole:
            return buffer.ref
        return self.record(read, (buffer.ref, plan), {}, array.concrete)

    def _kept(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype == object or type(array) is not np.ndarray:
            self.stop(f"a {type(array).__name__} of dtype {array.dtype} is no array of numbers")
        self._constant_bytes += array.nbytes
        if self._constant_bytes > CONSTANT_BYTES_LIMIT:
            self.stop(f"the constants exceed {CONSTANT_BYTES_LIMIT} bytes; use smaller sizes")
        return compact(array)

    # The tape

    def record(
        self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> Ref:
        """Append a call whose arguments are operands, and whose result was `result`."""
        if not self.is_running:
            self.stop("an array is used in another thread, or after its trace has ended")
        if len(self.tape.calls) >= CALL_LIMIT:
            self.stop(f"the run makes more than {CALL_LIMIT} array operations; use smaller sizes")
        self._line = user_line() or self._line  # outputs are read after the user's code has ended
        return self.tape.append(Call(function, arguments, keywords, _kind_of(result), self._line))

    def emit(
        self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> Any:
        """Record a call and return its result as a traced value; a constant result is adopted."""
        if not has_refs(arguments) and not has_refs(keywords):
            return self.adopt(result)
        return self._fresh(result, self.record(function, arguments, keywords, result))

    def _fresh(self, result: Any, ref: Ref) -> Any:
        if type(result) is np.ndarray and result.dtype != object:
            return self._fresh_array(result, ref)
        if isinstance(result, np.generic):
            return TracedScalar(result, ref, self)
        if isinstance(result, (bool, int, float, complex)):
            return TracedScalar(np.asarray(result)[()], ref, self)
        if isinstance(result, (tuple, list)):
            parts = [
                self.emit(operator.getitem, (ref, index), {}, part)
                for index, part in enumerate(result)
            ]
            return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
        return self.stop(f"a {type(result).__name__} is no array of numbers")

    def _fresh_array(self, result: NDArray[Any], ref: Ref) -> TracedArray:
        layout = layout_of(result)
        if layout is None or result.base is not None:
            result = compact(result)
            layout = layout_of(result)
            assert layout is not None
        buffer = self._buffers[id(result)] = Buffer(result, layout, ref, result)
        return TracedArray(result, buffer, self)

    def guard(self, value: Traced) -> None:
        """Record that the course of the run depends on a value of integers or booleans."""
        ref = self.operand(value)
        if isinstance(ref, Ref) and ref not in self._guarded:
            self._guarded.add(ref)
            self.tape.guards.append(Guard(ref, np.array(value.concrete), user_line()))

    # Values that leave the trace

    def is_constant(self, value: Traced) -> bool:
        """Say whether a traced value holds what it holds for any inputs."""
        return type(value) is TracedArray and value.buffer.ref is None

    def concrete(self, value: Any) -> Any:
        """Return a value for a place that shapes the run, such as an index, under a guard."""
        if not isinstance(value, Traced):
            if type(value) is slice:
                parts = (value.start, value.stop, value.step)
                return slice(*(self.concrete(part) for part in parts))
            return _map_containers(self.concrete, value)
        if not self.is_constant(value):
            if value.concrete.dtype.kind not in "biu":
                self.stop("a floating value that depends on the inputs is used as a parameter")
            self.guard(value)
        return value.concrete

    def truth(self, value: Traced) -> bool:
        """Return `bool(value)` under a guard."""
        outcome = bool(value.concrete)
        if not self.is_constant(value):
            is_boolean = value.concrete.dtype == bool
            self.guard(
                value if is_boolean else self.ufunc(np.not_equal, "__call__", (value, 0), {})
            )
        return outcome

    def integer(self, value: Traced) -> int:
        """Return `int(value)` under a guard."""
        outcome = int(value.concrete)
        if not self.is_constant(value):
            is_integer = value.concrete.dtype.kind in "biu"
            self.guard(value if is_integer else self.cast(value, np.int64))
        return outcome

    def values_for_foreign_code(self, value: Traced, dtype: Any) -> NDArray[Any]:
        """Return the numbers of a constant; stop where they depend on the inputs."""
        if self.is_running and not self.is_constant(value):
            who = self._calling[-1] if self._calling else "code that cannot be traced"
            self.stop(
                f"{who} asks for plain numbers that depend on the inputs (as do float(), "
                "np.vectorize, other libraries, and plain arrays that are assigned to)"
            )
        copy = np.array(value.concrete, dtype=dtype)
        copy.flags.writeable = False
        return copy

    # What user code does

    def ufunc(
        self, ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        return calls.ufunc_method(self, ufunc, method, inputs, keywords)

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        self._calling.append(calls.name_of(function))
        try:
            return calls.call(self, function, arguments, keywords)
        finally:
            self._calling.pop()

    def power(self, base: Any, exponent: Any) -> Any:
        """Return `base ** exponent`, for which NumPy has shortcuts that `np.power` has not."""
        result = operator.pow(calls.unwrap(base), calls.unwrap(exponent))
        return self.emit(operator.pow, (self.operand(base), self.operand(exponent)), {}, result)

    def power_in_place(self, array: TracedArray, exponent: Any) -> None:
        operands = self.operand(array), self.operand(exponent)
        result = operator.pow(array.concrete.copy(), calls.unwrap(exponent))
        calls.refuse_cast(result, array)
        indexing.set_item(self, array, ..., self.emit(operator.pow, operands, {}, result))

    def cast(
        self, value: Traced, dtype: Any, *, order: Any = "K", casting: Any = "unsafe", copy: Any = 1
    ) -> Any:
        dtype = np.dtype(dtype)
        if not copy and dtype == value.concrete.dtype:
            return value
        result = value.concrete.astype(dtype, order=order, casting=casting)
        return self.emit(cast, (self.operand(value), dtype), {}, result)

    def get_item(self, value: Traced, index: Any) -> Any:
        return indexing.get_item(self, value, index)

    def set_item(self, array: TracedArray, index: Any, value: Any) -> None:
        indexing.set_item(self, array, index, value)

    def reshaped_in_place(self, array: TracedArray, shape: Any) -> NDArray[Any]:
        array.seen = None
        return np.asarray(array.concrete.reshape(self.concrete(shape), copy=False))

    def overwriting(self, array: TracedArray, depends: Any) -> Callable[[Ref | None], None]:
        """Announce that the memory of `array` is about to change.

        What the rest of the buffer holds goes onto the tape now, where its new content will depend
        on the inputs (`depends`) or its old content did.

        Returns:
            `store(ref)`, to be called after the change with the new content of `array` on the tape,
            which may be of another dtype or shape that NumPy casts and broadcasts; `store(None)`
            says that the new content is the constants in memory.
        """
        buffer = array.buffer
        plan = plan_of(array.concrete, buffer.base, buffer.layout)
        is_traced = bool(depends) or buffer.ref is not None
        rest: Any = buffer.ref
        if is_traced and rest is None and not plan.is_whole:
            rest = self._kept(buffer.base)

        def store(ref: Ref | None) -> None:
            buffer.version += 1
            if not is_traced or (ref is None and plan.is_whole):
                buffer.ref = None
            elif plan.is_whole and self._kind(ref) == _kind_of(buffer.base):
                buffer.ref = ref
            else:
                indexing.refuse_overlap(self, plan)
                content = ref if ref is not None else self._kept(array.concrete)
                old = rest if rest is not None else np.zeros_like(buffer.base)
                buffer.ref = self.record(write, (old, content, plan), {}, buffer.base)

        return store

    def _kind(self, ref: Any) -> Kind | None:
        if not isinstance(ref, Ref):
            return None
        index = ref.number - len(self.tape.inputs)
        kind = self.tape.inputs[ref.number] if index < 0 else self.tape.calls[index].kind
        return kind if isinstance(kind, Kind) else None


def cast(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return `value` in another dtype."""
    return value.astype(dtype)


def user_line() -> str | None:
    """Return the innermost line of the user's own code that is running, as `path:line`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if is_users_file(path):
            return f"{path}:{frame.f_lineno}"
        if path.endswith(CALLER_OF_USER_CODE):
            return None
        frame = frame.f_back
    return None


def _kind_of(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return tuple(_kind_of(part) for part in result)
    array = result if hasattr(result, "dtype") else np.asarray(result)
    return Kind(array.shape, array.dtype)


def _map_containers(function: Any, value: Any) -> Any:
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(function(part) for part in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(function(part) for part in value))
    if kind is dict:
        return {key: function(part) for key, part in value.items()}
    return value
