"""What passes for NumPy's arrays and scalars while user code is recorded.

A `TracedArray` holds a real NumPy array, so that shapes, dtypes, views and errors are NumPy's own,
and the `Buffer` whose memory it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.programs.numpy_tracing.interface import Operations
from gradcheck.programs.numpy_tracing.memory import Layout
from gradcheck.programs.numpy_tracing.tape import Ref
from gradcheck.programs.numpy_tracing.traced import Traced

__all__ = ["Buffer", "TracedArray", "TracedScalar"]


class Buffer:
    """A piece of memory that traced arrays share.

    Attributes:
        base: the real array without gaps whose memory it is.
        layout: how `base` lies in memory.
        ref: the value on the tape that the memory holds; None while it holds constants.
        version: how often the memory was written to.
    """

    __slots__ = ("__weakref__", "base", "layout", "ref", "root", "snapshot", "version")

    def __init__(
        self, base: NDArray[Any], layout: Layout, ref: Ref | None, root: NDArray[Any]
    ) -> None:
        self.base = base
        self.layout = layout
        self.ref = ref
        self.root = root
        self.version = 0
        self.snapshot: tuple[int, NDArray[Any]] | None = None


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operation(self: TracedArray, other: Any) -> Any:
        self.recorder.ufunc(ufunc, "__call__", (self, other), {"out": (self,)})
        return self

    return operation


def _refusal(name: str) -> Callable[[TracedArray, Any], None]:
    def refuse(self: TracedArray, value: Any) -> None:
        del value
        self.recorder.stop(f"ndarray.{name} is assigned to")

    return refuse


class TracedArray(Traced):
    """Passes for an ndarray: the memory is real, and what it holds is a value on the tape."""

    __slots__ = ("buffer", "seen")

    __iadd__, __isub__ = _in_place(np.add), _in_place(np.subtract)
    __imul__, __itruediv__ = _in_place(np.multiply), _in_place(np.true_divide)
    __ifloordiv__, __imod__ = _in_place(np.floor_divide), _in_place(np.remainder)
    __imatmul__ = _in_place(np.matmul)
    __iand__, __ior__ = _in_place(np.bitwise_and), _in_place(np.bitwise_or)
    __ixor__ = _in_place(np.bitwise_xor)
    __ilshift__, __irshift__ = _in_place(np.left_shift), _in_place(np.right_shift)

    def __init__(self, concrete: NDArray[Any], buffer: Buffer, recorder: Operations) -> None:
        self.concrete = concrete
        self.buffer = buffer
        self.recorder = recorder
        self.seen: tuple[int, Any] | None = None

    def __ipow__(self, other: Any) -> Any:  # type: ignore[override, misc]
        self.recorder.power_in_place(self, other)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        return self.concrete.shape  # type: ignore[no-any-return]

    @shape.setter
    def shape(self, shape: Any) -> None:
        self.concrete = self.recorder.reshaped_in_place(self, shape)

    dtype = property(lambda self: self.concrete.dtype, _refusal("dtype"))
    strides = property(lambda self: self.concrete.strides, _refusal("strides"))
    real = property(lambda self: self._part(np.real), _refusal("real"))
    imag = property(lambda self: self._part(np.imag), _refusal("imag"))

    def __len__(self) -> int:
        return len(self.concrete)

    def __iter__(self) -> Iterator[Any]:
        if self.concrete.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[index] for index in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recorder.set_item(self, index, value)

    def __delitem__(self, index: Any) -> None:
        raise ValueError("cannot delete array elements")

    @property
    def T(self) -> Any:
        return self.recorder.view(self.concrete.T)

    @property
    def mT(self) -> Any:
        return self.recorder.view(self.concrete.mT)

    @property
    def base(self) -> Any:
        return None if self.concrete.base is None else self.recorder.view(self.buffer.base)

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[:] = value

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, **settings: Any) -> None:
        self[...] = self.recorder.call(np.sort, (self, axis), settings)


class TracedScalar(Traced):
    """Passes for a NumPy scalar: immutable, so that `s += 1` binds a new one."""

    __slots__ = ("ref",)

    def __init__(self, concrete: Any, ref: Ref, recorder: Operations) -> None:
        self.concrete = concrete
        self.ref = ref
        self.recorder = recorder

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.recorder.concrete(self))

    def __round__(self, digits: int | None = None) -> Any:
        rounded = self.recorder.call(np.round, (self, digits or 0), {})
        return rounded if digits is not None else int(rounded)

    def __trunc__(self) -> int:
        return int(self)

    def __floor__(self) -> int:
        return int(self.recorder.ufunc(np.floor, "__call__", (self,), {}))

    def __ceil__(self) -> int:
        return int(self.recorder.ufunc(np.ceil, "__call__", (self,), {}))

    def is_integer(self) -> bool:
        return bool(self == self.recorder.ufunc(np.trunc, "__call__", (self,), {}))

    @property
    def T(self) -> Any:
        return self


class Flat:
    """Passes for `array.flat`: elements in C order, read and written through."""

    def __init__(self, array: TracedArray) -> None:
        self.array = array

    def __len__(self) -> int:
        return int(self.array.size)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        picked = self.array.reshape(-1)[index]
        return picked.copy() if isinstance(picked, np.ndarray) else picked

    def __setitem__(self, index: Any, value: Any) -> None:
        positions = np.arange(self.array.size)[index]
        if np.ndim(value):
            value = self.array.recorder.call(np.reshape, (value, np.shape(positions)), {})
        self.array[np.unravel_index(positions, self.array.shape)] = value
