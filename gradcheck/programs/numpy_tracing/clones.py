"""Private copies of the user's functions, in which NumPy's constructors make traced arrays.

Patching the numpy module would reach every thread and NumPy's own internals, and would miss
`from numpy import zeros`. Instead the functions themselves are rebuilt from their code objects over
private globals and closures, in which every function of the user's, every object that holds one,
and every array is a copy, and every function of NumPy's has its stand-in. State that the code
changes is private to the trace for the same reason.
"""

from __future__ import annotations

import builtins
import collections
import copy
import enum
import functools
import random
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.copied_data import (
    copy_array,
    copy_container,
    copy_generator,
    copy_instance,
    copy_random_source,
)
from gradcheck.programs.numpy_tracing.copies import Copies
from gradcheck.programs.numpy_tracing.loops import IndexTrick, Vectorized
from gradcheck.programs.numpy_tracing.namespaces import (
    ModuleCopy,
    PrivateGlobals,
    names_in_classes,
)
from gradcheck.programs.numpy_tracing.origins import home_of, is_library, is_own, is_users
from gradcheck.programs.numpy_tracing.random_source import RandomSource
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.shims import numpy_function, stand_in_of

__all__ = ["Clones"]

ATOMS = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis),
    np.generic, np.dtype, np.ufunc, types.CodeType,
)  # fmt: skip
"""Values that cannot change, or that NumPy dispatches by itself."""


class Clones(Copies):
    """Copies whatever a function reaches, each object once, for one trace.

    With a recorder the copies are traced: arrays become traced constants and NumPy's functions
    their stand-ins. Without one they are plain copies, which run as the originals would, without
    changing any state of theirs.
    """

    def __init__(self, recorder: Recording | None = None) -> None:
        super().__init__(recorder)
        self._library: dict[int, Callable[..., Any]] = {}
        self._globals: dict[int, PrivateGlobals] = {}
        self._builtins = self._private_builtins()

    def of_library(self, function: types.FunctionType) -> Callable[..., Any]:
        """Return a copy of a library's Python function that is traced like the user's code."""
        if id(function) not in self._library:
            self._library[id(function)] = self._rebuilt(function)
            self.keep(function)
            self.fill_pending()
        return self._library[id(function)]

    def made(self, value: Any) -> Any:
        if self.recorder is not None and isinstance(value, (type, *CALLABLES)):
            stand_in = stand_in_of(self.recorder, value)
            if stand_in is not None:
                return self.remember(value, stand_in)
        kind: Any = type(value)
        copier = _copier_of(kind)
        return value if copier is None else copier(self, value)

    def _other(self, value: Any) -> Any:
        if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
            return self._cached_function(value)
        if callable(value) and is_library(getattr(value, "__module__", None) or ""):
            return self._library_function(value)
        return copy_instance(self, value) if is_users(home_of(type(value))) else value

    # Functions

    def _any_function(self, function: types.FunctionType) -> Any:
        if is_library(function.__globals__.get("__name__", "")):
            return self._library_function(function)
        return self._function(function)

    def _library_function(self, function: Any) -> Any:
        if self.recorder is None:
            return function
        return self.remember(function, numpy_function(self.recorder, function))

    def _function(self, function: types.FunctionType) -> Any:
        return self.remember(function, self._rebuilt(function))

    def _rebuilt(self, function: types.FunctionType) -> types.FunctionType:
        is_private = not is_own(function.__globals__) and (
            is_users(function.__globals__) or is_library(function.__globals__.get("__name__", ""))
        )
        names = self._private_globals(function.__globals__) if is_private else function.__globals__
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        copied = types.FunctionType(
            function.__code__, names, function.__name__, None, cells if cells else None
        )
        self.later(lambda: self._fill_function(function, copied, is_private))
        return copied

    def _fill_function(
        self, function: types.FunctionType, copied: types.FunctionType, is_private: bool
    ) -> None:
        copied.__defaults__ = self.copy(function.__defaults__)
        copied.__kwdefaults__ = self.copy(function.__kwdefaults__)
        copied.__qualname__ = function.__qualname__
        copied.__module__ = function.__module__
        for name, value in function.__dict__.items():
            copied.__dict__[name] = self.copy(value)
        cells = zip(function.__closure__ or (), copied.__closure__ or (), strict=True)
        for original, private in cells:
            try:
                content = original.cell_contents
            except ValueError:  # a name that is not bound yet
                continue
            private.cell_contents = self.copy(content)
        for name in names_in_classes(function.__code__) if is_private else ():
            if name in function.__globals__:
                copied.__globals__[name] = self.copy(function.__globals__[name])

    def _private_globals(self, original: dict[str, Any]) -> PrivateGlobals:
        if id(original) not in self._globals:
            self._globals[id(original)] = PrivateGlobals(original, self._builtins, self.convert)
        return self._globals[id(original)]

    def _private_builtins(self) -> dict[str, Any]:
        names = dict(vars(builtins))

        def import_copy(*arguments: Any, **keywords: Any) -> Any:
            return self.convert(builtins.__import__(*arguments, **keywords))

        names["__import__"] = import_copy
        names["float"] = self.copy(float)
        return names

    def _method(self, method: types.MethodType) -> Any:
        if isinstance(method.__self__, (np.random.Generator, np.random.RandomState)):
            if method.__self__ is GLOBAL_RANDOM_STATE:
                recorder = self.recorder
                source = (
                    method.__self__ if recorder is None else RandomSource(method.__self__, recorder)
                )
                return getattr(source, method.__name__)
            return getattr(self.copy(method.__self__), method.__name__)
        return types.MethodType(self.copy(method.__func__), self.copy(method.__self__))

    def _vectorized(self, value: Any) -> Any:
        function = self.copy(value.pyfunc)
        if self.recorder is None:
            copied = copy.copy(value)
            copied.pyfunc = function
        else:
            copied = Vectorized(
                self.recorder,
                function,
                value.otypes,
                excluded=value.excluded,
                signature=value.signature,
            )
        return self.remember(value, copied)

    def _index_trick(self, value: Any) -> Any:
        if self.recorder is None:
            return value
        return self.remember(value, IndexTrick(value, self.of_library(type(value).__getitem__)))

    def _partial(self, value: Any) -> Any:
        parts = (self.copy(part) for part in value.args)
        return type(value)(self.copy(value.func), *parts, **self.copy(value.keywords))

    def _cached_function(self, function: Any) -> Any:
        settings = function.cache_parameters()
        return self.remember(
            function, functools.lru_cache(**settings)(self.copy(function.__wrapped__))
        )

    def _descriptor(self, value: Any) -> Any:
        if isinstance(value, property):
            parts = (value.fget, value.fset, value.fdel)
            return self.remember(value, type(value)(*(self.copy(part) for part in parts)))
        inner = value.func if isinstance(value, functools.cached_property) else value.__func__
        copied = self.remember(value, type(value)(self.copy(inner)))
        if isinstance(value, functools.cached_property):
            copied.attrname = value.attrname
        return copied

    # Modules and classes

    def _module(self, module: types.ModuleType) -> Any:
        stands_in = is_users(module) or is_library(module.__name__) or module.__name__ == "math"
        if not stands_in or (self.recorder is None and not is_users(module)):
            return module
        return self.remember(module, ModuleCopy(module, self._private_globals(module.__dict__)))

    def _class(self, original: type) -> Any:
        kept = (BaseException, enum.Enum)
        home = home_of(original)
        if not is_users(home) or issubclass(original, kept) or not _has_code(original):
            return original
        if is_own(home) and home.get(original.__name__) is original:
            return original
        slots = original.__dict__.get("__slots__", ())
        left_out = {"__dict__", "__weakref__", *((slots,) if isinstance(slots, str) else slots)}
        names = {key: value for key, value in vars(original).items() if key not in left_out}
        bases = tuple(self.copy(base) for base in original.__bases__)
        try:
            namespace = {key: self._member(value) for key, value in names.items()}
            metaclass: Any = type(original)
            copied = metaclass(original.__name__, bases, namespace)
        except Exception:  # a class that resists copying runs as it is; what it makes is plain
            return original
        copied.__qualname__ = original.__qualname__
        self.remember(original, copied)
        return copied

    def _member(self, value: Any) -> Any:
        return value if isinstance(value, types.MemberDescriptorType) else self.copy(value)


GLOBAL_RANDOM_STATE = np.random.rand.__self__  # type: ignore[attr-defined]
"""The hidden generator whose methods are the functions of `np.random`."""

INDEX_TRICKS = (type(np.r_), type(np.c_))
"""Objects of NumPy's that make arrays when they are indexed."""

METHODS_OF_NAMED_TUPLES = frozenset(vars(collections.namedtuple("Empty", ())))
"""What every named tuple has, and calls no other code."""

CALLABLES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


@lru_cache(maxsize=1024)
def _copier_of(kind: type) -> Callable[[Clones, Any], Any] | None:
    """Return what copies values of a type; None for values that stay what they are."""
    if kind in ATOMS or issubclass(kind, (np.generic, np.dtype, enum.Enum)):
        return None
    for kinds, copier in (
        (types.FunctionType, Clones._any_function),
        (types.ModuleType, Clones._module),
        (type, Clones._class),
        (types.MethodType, Clones._method),
        ((list, dict, set, tuple, frozenset, collections.deque), copy_container),
        (functools.partial, Clones._partial),
        ((staticmethod, classmethod, property, functools.cached_property), Clones._descriptor),
        ((np.random.Generator, np.random.RandomState, random.Random), copy_random_source),
        (types.GeneratorType, copy_generator),
        (np.vectorize, Clones._vectorized),
        (INDEX_TRICKS, Clones._index_trick),
        (types.SimpleNamespace, copy_instance),
    ):
        if issubclass(kind, kinds):
            return copier
    return copy_array if kind is np.ndarray else Clones._other


def _has_code(kind: type) -> bool:
    """Say whether a class has methods that its author wrote, or that may call what they wrote."""
    return any(
        isinstance(value, (types.FunctionType, classmethod, staticmethod, property))
        for base in kind.__mro__
        if base is not object
        for name, value in vars(base).items()
        if not (name in METHODS_OF_NAMED_TUPLES and "_fields" in vars(base))
    )
