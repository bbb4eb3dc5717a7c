"""What traced arrays and scalars have in common: operators, functions and methods.

A traced value holds a real NumPy value, so that shapes, dtypes and errors are NumPy's own. It is no
subclass of ndarray: a subclass would be copied silently into a plain array, where this one is asked
for its values and stops the trace.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.interface import Operations

__all__ = ["Traced", "contains_traced", "flattened", "map_containers", "unwrap"]

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


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def operation(self: Traced) -> Any:
        return self.recorder.ufunc(ufunc, "__call__", (self,), {})

    return operation


class Traced:
    """What arrays and scalars have in common: operators, functions and methods."""

    __slots__ = ("concrete", "recorder")

    concrete: Any
    recorder: Operations

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
        if self.dtype.kind == "c" and isinstance(part.concrete, np.ndarray):
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


def unwrap(value: Any) -> Any:
    """Return nested arguments with every traced value replaced by the real one."""
    if isinstance(value, Traced):
        return value.concrete
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(unwrap(part) for part in value)
    if kind is dict:
        return {key: unwrap(part) for key, part in value.items()}
    return value


def contains_traced(value: Any) -> bool:
    """Say whether a traced value is among nested arguments."""
    kind = type(value)
    if kind is tuple or kind is list:
        return any(contains_traced(part) for part in value)
    if kind is dict:
        return any(contains_traced(part) for part in value.values())
    return isinstance(value, Traced)


def flattened(value: Any) -> list[Any]:
    """List what nested lists and tuples hold."""
    if type(value) in (list, tuple):
        return [leaf for part in value for leaf in flattened(part)]
    return [value]


def map_containers(function: Any, value: Any) -> Any:
    """Return lists, tuples and dicts with `function` applied to what they hold."""
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(function(part) for part in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(function(part) for part in value))
    if kind is dict:
        return {key: function(part) for key, part in value.items()}
    return value
