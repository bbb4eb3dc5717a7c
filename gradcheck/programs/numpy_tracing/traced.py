"""The values that user code sees while it is recorded: they pass for arrays and NumPy scalars.

A `TracedArray` holds a real NumPy array, so that shapes, dtypes, views and errors are NumPy's own,
and the `Buffer` whose memory it shows. It is no subclass of ndarray: a subclass would be copied
silently into a plain array, where this one is asked for its values and stops the trace.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.programs.numpy_tracing.memory import Layout
from gradcheck.programs.numpy_tracing.tape import Ref

if TYPE_CHECKING:
    from gradcheck.programs.numpy_tracing.recorder import Recorder

__all__ = ["Buffer", "Traced", "TracedArray", "TracedScalar"]

METHODS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        *("all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip"),
        *("compress", "conj", "conjugate", "cumprod", "cumsum", "diagonal", "dot", "max"),
        *("mean", "min", "nonzero", "prod", "put", "ravel", "repeat", "round"),
        *("searchsorted", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var"),
    )
}
"""Methods of an array that take the same arguments as the function of the same name."""

READ_FROM_MEMORY = frozenset(
    ("dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides")
)
"""Attributes that the real array answers: they depend on no value, and give no access to any."""


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


def _takes_over(other: Any) -> bool:
    """Say whether an array leaves `array + other` to `other`, by NEP 13 or by its older priority.

    A priority is compared with that of an ndarray, 0.
    """
    missing = object()
    protocol = getattr(other, "__array_ufunc__", missing)
    if protocol is not missing:
        return protocol is None
    return bool(getattr(other, "__array_priority__", 0.0) > 0.0)


def _binary(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operation(self: Traced, other: Any) -> Any:
        if _takes_over(other):
            return NotImplemented
        return self.recorder.ufunc(ufunc, "__call__", (self, other), {})

    return operation


def _reflected(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operation(self: Traced, other: Any) -> Any:
        if _takes_over(other):
            return NotImplemented
        return self.recorder.ufunc(ufunc, "__call__", (other, self), {})

    return operation


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operation(self: TracedArray, other: Any) -> Any:
        self.recorder.ufunc(ufunc, "__call__", (self, other), {"out": (self,)})
        return self

    return operation


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def operation(self: Traced) -> Any:
        return self.recorder.ufunc(ufunc, "__call__", (self,), {})

    return operation


class Traced:
    """What arrays and scalars have in common: operators, functions and methods."""

    __slots__ = ("concrete", "recorder")

    concrete: Any
    recorder: Recorder

    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.true_divide), _reflected(np.true_divide)
    __floordiv__, __rfloordiv__ = _binary(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__ = _binary(np.remainder), _reflected(np.remainder)
    __divmod__, __rdivmod__ = _binary(np.divmod), _reflected(np.divmod)
    __matmul__, __rmatmul__ = _binary(np.matmul), _reflected(np.matmul)
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lshift__, __rlshift__ = _binary(np.left_shift), _reflected(np.left_shift)
    __rshift__, __rrshift__ = _binary(np.right_shift), _reflected(np.right_shift)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __neg__, __pos__ = _unary(np.negative), _unary(np.positive)
    __abs__, __invert__ = _unary(np.absolute), _unary(np.invert)
    __hash__ = None  # type: ignore[assignment]

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.concrete)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        return self.recorder.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.recorder.power(other, self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return self.recorder.ufunc(ufunc, method, inputs, keywords)

    def __array_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        return self.recorder.call(function, arguments, keywords)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.recorder.values_for_foreign_code(self, dtype)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else array

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.recorder.namespace

    def __bool__(self) -> bool:
        return self.recorder.truth(self)

    def __int__(self) -> int:
        return self.recorder.integer(self)

    def __index__(self) -> int:
        return operator.index(self.recorder.concrete(self))

    def __float__(self) -> float:
        return float(self.recorder.values_for_foreign_code(self, None))

    def __complex__(self) -> complex:
        return complex(self.recorder.values_for_foreign_code(self, None))

    def __getitem__(self, index: Any) -> Any:
        return self.recorder.get_item(self, index)

    def __repr__(self) -> str:
        return repr(self.concrete)

    def __str__(self) -> str:
        return str(self.concrete)

    def __format__(self, specification: str) -> str:
        return format(self.concrete, specification)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.recorder.stop("a value that depends on the inputs is pickled")

    def __getattr__(self, name: str) -> Any:
        concrete = object.__getattribute__(self, "concrete")
        if name in READ_FROM_MEMORY:
            return getattr(concrete, name)
        if name in METHODS:
            function = METHODS[name]
            return lambda *arguments, **keywords: self.recorder.call(
                function, (self, *arguments), keywords
            )
        if name.startswith("__") or not hasattr(concrete, name):
            raise AttributeError(
                f"'{type(concrete).__name__}' object has no attribute {name!r}", name=name
            )
        return self.recorder.stop(f"ndarray.{name} is not covered")

    @property
    def real(self) -> Any:
        return self._part(np.real)

    @property
    def imag(self) -> Any:
        return self._part(np.imag)

    def _part(self, function: Callable[..., Any]) -> Any:
        part = self.recorder.call(function, (self,), {})
        if self.dtype.kind == "c" and isinstance(part, TracedArray):
            part.concrete.flags.writeable = False  # in NumPy it is a view, which is not followed
        return part

    @property
    def device(self) -> str:
        return "cpu"

    def to_device(self, _device: str, /, *, stream: Any = None) -> Any:  # noqa: ARG002
        return self

    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = "unsafe",
        subok: Any = True,  # noqa: ARG002 - NumPy's signature
        copy: Any = 1,
    ) -> Any:
        return self.recorder.cast(self, dtype, order=order, casting=casting, copy=copy)

    def copy(self, order: Any = "C") -> Any:
        return self.recorder.call(np.copy, (self,), {"order": order})

    def flatten(self, order: Any = "C") -> Any:
        return self.recorder.call(np.ravel, (self, order), {}).copy()

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        if not shape and "shape" in keywords:
            shape = (keywords.pop("shape"),)
        size = shape[0] if len(shape) == 1 else shape
        return self.recorder.call(np.reshape, (self, size), keywords)

    def transpose(self, *axes: Any) -> Any:
        is_sequence = len(axes) == 1 and (axes[0] is None or np.ndim(axes[0]) == 1)
        order = axes[0] if is_sequence else axes or None
        return self.recorder.call(np.transpose, (self, order), {})

    def item(self, *index: Any) -> Any:
        place = index[0] if len(index) == 1 and isinstance(index[0], tuple) else index
        if not place and self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        if not place:
            return self.reshape(-1)[0] if self.ndim else self[()]
        return self[place] if len(place) > 1 else self.reshape(-1)[place[0]]

    def tolist(self) -> Any:
        return [self[index].tolist() for index in range(self.shape[0])] if self.ndim else self[()]

    def ptp(self, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        return self.recorder.call(np.ptp, (self, axis, out), keywords)


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

    def __init__(self, concrete: NDArray[Any], buffer: Buffer, recorder: Recorder) -> None:
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

    def __init__(self, concrete: Any, ref: Ref, recorder: Recorder) -> None:
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
