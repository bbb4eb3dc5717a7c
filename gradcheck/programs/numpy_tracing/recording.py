"""The record of one run: which memory holds which value on the tape, and when to give up."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import Abstention
from gradcheck.programs.numpy_tracing.arrays import Buffer, TracedArray, TracedScalar
from gradcheck.programs.numpy_tracing.interface import Operations
from gradcheck.programs.numpy_tracing.memory import (
    Plan,
    compact,
    layout_of,
    plan_of,
    read,
    root_of,
    shows_an_element_twice,
    write,
)
from gradcheck.programs.numpy_tracing.origins import user_line
from gradcheck.programs.numpy_tracing.pure import pack
from gradcheck.programs.numpy_tracing.tape import Call, Guard, Kind, Ref, Tape, has_refs, kind_of
from gradcheck.programs.numpy_tracing.traced import (
    Traced,
    contains_traced,
    flattened,
    map_containers,
    unwrap,
)

__all__ = [
    "CALL_LIMIT",
    "CONSTANT_BYTES_LIMIT",
    "Recording",
    "TracingStopped",
]

CALL_LIMIT = 20_000
"""Calls on one tape. JAX differentiates about three of them in a millisecond, so a longer tape
would cost more than ten seconds at every new shape."""

CONSTANT_BYTES_LIMIT = 2**28
"""Bytes of constants (labels, masks, copies of buffers) that one tape may keep: 256 MiB, so that a
few tapes fit into the memory of a small machine."""

ACTIVE: ContextVar[Recording | None] = ContextVar("gradcheck_recorder", default=None)


class TracingStopped(BaseException):
    """Ends a recorded run; no Exception, so that `except Exception` in user code lets it pass."""


class CopiesOfCode(Protocol):
    """The private copies of the user's functions that are being run."""

    def convert(self, value: Any, /) -> Any:
        """Return the private copy of a value."""

    def of_library(self, function: Any, /) -> Callable[..., Any]:
        """Return a copy of a library's Python function that is traced like the user's code."""


class Recording(Operations):
    """The tape of one run and the memory of its arrays; what is done with them is a `Recorder`'s.

    Attributes:
        tape: what was recorded so far.
        stopped: the abstention that ended the run, even where user code swallowed it.
        clones: the private copies of the user's functions that are being run.
    """

    clones: CopiesOfCode

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
        return map_containers(self.adopt, value)

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
        return self.tape.append(Call(function, arguments, keywords, kind_of(result), self._line))

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

    def is_constant(self, value: Traced) -> bool:
        """Say whether a traced value holds what it holds for any inputs."""
        return type(value) is TracedArray and value.buffer.ref is None

    def packed(self, value: Any, dtype: Any = None) -> Any:
        """Return a sequence that holds traced values as one traced array; anything else as it is."""
        if type(value) not in (list, tuple) or not contains_traced(value):
            return value
        result = np.array(unwrap(value), dtype=dtype)
        leaves = tuple(self.operand(leaf) for leaf in flattened(value))
        return self.emit(pack, (leaves, result.shape, result.dtype), {}, result)

    # Memory that changes

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
            elif plan.is_whole and ref is not None and self.tape.kind(ref) == kind_of(buffer.base):
                buffer.ref = ref
            else:
                self._refuse_overlap(plan)
                content = ref if ref is not None else self._kept(array.concrete)
                old = rest if rest is not None else np.zeros_like(buffer.base)
                buffer.ref = self.record(write, (old, content, plan), {}, buffer.base)

        return store

    def _refuse_overlap(self, plan: Plan) -> None:
        """Stop where a view shows one element twice: the order of the writes would matter."""
        if shows_an_element_twice(plan):
            self.stop("a view that shows one element several times is written to")
