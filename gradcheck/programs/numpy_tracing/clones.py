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
import inspect
import random
import sys
import types
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.programs.numpy_tracing.origins import is_library, is_own, is_users
from gradcheck.programs.numpy_tracing.shims import RandomSource, numpy_function, stand_in_of

if TYPE_CHECKING:
    from gradcheck.programs.numpy_tracing.recorder import Recorder

__all__ = ["Clones"]

ATOMS = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis),
    np.generic, np.dtype, np.ufunc, types.CodeType,
)  # fmt: skip
"""Values that cannot change, or that NumPy dispatches by itself."""

MODULE_FACTS = ("__name__", "__package__", "__spec__", "__file__", "__doc__", "__loader__")


class Clones:
    """Copies whatever a function reaches, each object once, for one trace.

    With a recorder the copies are traced: arrays become traced constants and NumPy's functions
    their stand-ins. Without one they are plain copies, which run as the originals would, without
    changing any state of theirs.
    """

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._copies: dict[int, Any] = {}
        self._library: dict[int, Callable[..., Any]] = {}
        self._originals: list[Any] = []
        self._globals: dict[int, PrivateGlobals] = {}
        self._pending: list[Callable[[], None]] = []
        self._is_filling = False
        self.random_sources: list[tuple[Any, Any]] = []
        self._builtins = self._private_builtins()

    def convert(self, value: Any) -> Any:
        """Return the private copy of a value, made at the first call."""
        result = self._copy(value)
        self._fill_pending()
        return result

    def of_library(self, function: types.FunctionType) -> Callable[..., Any]:
        """Return a copy of a library's Python function that is traced like the user's code."""
        if id(function) not in self._library:
            self._library[id(function)] = self._rebuilt(function)
            self._originals.append(function)
            self._fill_pending()
        return self._library[id(function)]

    def _fill_pending(self) -> None:
        if self._is_filling:
            return
        self._is_filling = True
        try:
            while self._pending:
                self._pending.pop()()
        finally:
            self._is_filling = False

    def _remember(self, original: Any, copied: Any) -> Any:
        self._copies[id(original)] = copied
        self._originals.append(original)  # or its id could be reused
        return copied

    def _copy(self, value: Any) -> Any:
        if id(value) in self._copies:
            return self._copies[id(value)]
        if self._recorder is not None and isinstance(value, (type, *CALLABLES)):
            stand_in = stand_in_of(self._recorder, value)
            if stand_in is not None:
                return self._remember(value, stand_in)
        kind: Any = type(value)
        copier = _copier_of(kind)
        if copier == "_other":
            return self._other(value)
        return value if copier is None else getattr(self, copier)(value)

    def _other(self, value: Any) -> Any:
        if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
            return self._cached_function(value)
        if callable(value) and is_library(getattr(value, "__module__", None) or ""):
            return self._library_function(value)
        return self._instance(value) if is_users(_home(type(value))) else value

    # Functions

    def _any_function(self, function: types.FunctionType) -> Any:
        if is_library(function.__globals__.get("__name__", "")):
            return self._library_function(function)
        return self._function(function)

    def _library_function(self, function: Any) -> Any:
        if self._recorder is None:
            return function
        return self._remember(function, numpy_function(self._recorder, function))

    def _function(self, function: types.FunctionType) -> Any:
        return self._remember(function, self._rebuilt(function))

    def _rebuilt(self, function: types.FunctionType) -> types.FunctionType:
        is_private = not is_own(function.__globals__) and (
            is_users(function.__globals__) or is_library(function.__globals__.get("__name__", ""))
        )
        names = self._private_globals(function.__globals__) if is_private else function.__globals__
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        copied = types.FunctionType(
            function.__code__, names, function.__name__, None, cells if cells else None
        )
        self._pending.append(lambda: self._fill_function(function, copied, is_private))
        return copied

    def _fill_function(
        self, function: types.FunctionType, copied: types.FunctionType, is_private: bool
    ) -> None:
        copied.__defaults__ = self._copy(function.__defaults__)
        copied.__kwdefaults__ = self._copy(function.__kwdefaults__)
        copied.__qualname__ = function.__qualname__
        copied.__module__ = function.__module__
        for name, value in function.__dict__.items():
            copied.__dict__[name] = self._copy(value)
        cells = zip(function.__closure__ or (), copied.__closure__ or (), strict=True)
        for original, private in cells:
            try:
                content = original.cell_contents
            except ValueError:  # a name that is not bound yet
                continue
            private.cell_contents = self._copy(content)
        for name in _names_in_classes(function.__code__) if is_private else ():
            if name in function.__globals__:
                copied.__globals__[name] = self._copy(function.__globals__[name])

    def _private_globals(self, original: dict[str, Any]) -> PrivateGlobals:
        if id(original) not in self._globals:
            self._globals[id(original)] = PrivateGlobals(original, self._builtins, self.convert)
        return self._globals[id(original)]

    def _private_builtins(self) -> dict[str, Any]:
        names = dict(vars(builtins))

        def import_copy(*arguments: Any, **keywords: Any) -> Any:
            return self.convert(builtins.__import__(*arguments, **keywords))

        names["__import__"] = import_copy
        names["float"] = self._copy(float)
        return names

    def _method(self, method: types.MethodType) -> Any:
        if isinstance(method.__self__, (np.random.Generator, np.random.RandomState)):
            if method.__self__ is GLOBAL_RANDOM_STATE:
                recorder = self._recorder
                source = (
                    method.__self__ if recorder is None else RandomSource(method.__self__, recorder)
                )
                return getattr(source, method.__name__)
            return getattr(self._copy(method.__self__), method.__name__)
        return types.MethodType(self._copy(method.__func__), self._copy(method.__self__))

    def _partial(self, value: Any) -> Any:
        parts = (self._copy(part) for part in value.args)
        return type(value)(self._copy(value.func), *parts, **self._copy(value.keywords))

    def _cached_function(self, function: Any) -> Any:
        settings = function.cache_parameters()
        return self._remember(
            function, functools.lru_cache(**settings)(self._copy(function.__wrapped__))
        )

    def _descriptor(self, value: Any) -> Any:
        if isinstance(value, property):
            parts = (value.fget, value.fset, value.fdel)
            return self._remember(value, type(value)(*(self._copy(part) for part in parts)))
        inner = value.func if isinstance(value, functools.cached_property) else value.__func__
        copied = self._remember(value, type(value)(self._copy(inner)))
        if isinstance(value, functools.cached_property):
            copied.attrname = value.attrname
        return copied

    # Modules and classes

    def _module(self, module: types.ModuleType) -> Any:
        stands_in = is_users(module) or is_library(module.__name__) or module.__name__ == "math"
        if not stands_in or (self._recorder is None and not is_users(module)):
            return module
        return self._remember(module, ModuleCopy(module, self))

    def attribute_of(self, module: types.ModuleType, name: str) -> Any:
        """Return the private copy of a module's attribute."""
        private = self._private_globals(module.__dict__)
        if name not in private:
            private[name] = self.convert(getattr(module, name))
        return private[name]

    def set_attribute_of(self, module: types.ModuleType, name: str, value: Any) -> None:
        """Set an attribute of the private copy of a module."""
        self._private_globals(module.__dict__)[name] = value

    def _class(self, original: type) -> Any:
        kept = (BaseException, enum.Enum)
        home = _home(original)
        if not is_users(home) or issubclass(original, kept) or not _has_code(original):
            return original
        if is_own(home) and home.get(original.__name__) is original:
            return original
        slots = original.__dict__.get("__slots__", ())
        left_out = {"__dict__", "__weakref__", *((slots,) if isinstance(slots, str) else slots)}
        names = {key: value for key, value in vars(original).items() if key not in left_out}
        bases = tuple(self._copy(base) for base in original.__bases__)
        try:
            namespace = {key: self._member(value) for key, value in names.items()}
            metaclass: Any = type(original)
            copied = metaclass(original.__name__, bases, namespace)
        except Exception:  # a class that resists copying runs as it is; what it makes is plain
            return original
        copied.__qualname__ = original.__qualname__
        self._remember(original, copied)
        return copied

    def _member(self, value: Any) -> Any:
        return value if isinstance(value, types.MemberDescriptorType) else self._copy(value)

    # Data

    def _array(self, array: Any) -> Any:
        if array.dtype == object:
            return self._remember(array, array)
        root, chain = array, []
        while isinstance(root.base, np.ndarray):
            chain.append(root)
            root = root.base
        if id(root) not in self._copies:
            plain = np.array(root, order="K", copy=True)
            self._remember(root, plain if self._recorder is None else self._recorder.view(plain))
        if array is root:
            return self._copies[id(root)]
        copied = self._copies[id(root)]
        base = copied if self._recorder is None else copied.concrete
        if base.strides != root.strides:
            view = np.array(array, order="K", copy=True)
        else:
            distance = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            view = np.ndarray(array.shape, array.dtype, base, distance, array.strides)
        return self._remember(array, view if self._recorder is None else self._recorder.view(view))

    def _container(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, (tuple, frozenset)):
            parts = [self._copy(part) for part in value]
            is_same = all(new is old for new, old in zip(parts, value, strict=True))
            if is_same or not (kind in (tuple, frozenset) or hasattr(value, "_fields")):
                return value
            return self._remember(value, kind(*parts) if hasattr(value, "_fields") else kind(parts))
        copied = self._remember(value, copy.copy(value))
        if isinstance(value, dict):
            for key, part in value.items():
                dict.__setitem__(copied, key, self._copy(part))
        elif isinstance(value, list):
            list.__setitem__(copied, slice(None), [self._copy(part) for part in value])
        else:
            copied.clear()
            for part in value:
                getattr(copied, "add" if isinstance(value, set) else "append")(self._copy(part))
        if is_users(_home(kind)):
            copied.__class__ = self._copy(kind)
            for name, part in value.__dict__.items():
                copied.__dict__[name] = self._copy(part)
        return copied

    def _instance(self, value: Any) -> Any:
        kind = self._copy(type(value))
        try:
            copied = object.__new__(kind)
        except TypeError:  # a class written in C: nothing is known of what it holds
            return value
        self._remember(value, copied)
        self._pending.append(lambda: self._fill_instance(value, copied))
        return copied

    def _fill_instance(self, value: Any, copied: Any) -> None:
        for name, part in getattr(value, "__dict__", {}).items():
            copied.__dict__[name] = self._copy(part)
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    object.__setattr__(copied, name, self._copy(getattr(value, name)))

    def _random_source(self, source: Any) -> Any:
        copied = copy.deepcopy(source)
        self.random_sources.append((source, copied))
        if self._recorder is None or isinstance(source, random.Random):
            return self._remember(source, copied)
        return self._remember(source, RandomSource(copied, self._recorder))

    def _generator(self, value: Any) -> Any:
        return self._remember(value, RunningGenerator(self._recorder))


class PrivateGlobals(dict[str, Any]):
    """The globals of private functions; each is copied when it is first looked up."""

    def __init__(
        self,
        original: dict[str, Any],
        private_builtins: dict[str, Any],
        convert: Callable[[Any], Any],
    ) -> None:
        facts = {key: original[key] for key in MODULE_FACTS if key in original}
        super().__init__(facts, __builtins__=private_builtins)
        self._original = original
        self._convert = convert

    def __missing__(self, name: str) -> Any:
        is_global = name in self._original
        self[name] = (
            self._convert(self._original[name]) if is_global else self["__builtins__"][name]
        )
        return self[name]


class ModuleCopy(types.ModuleType):
    """Passes for a module; each attribute is copied when it is first asked for."""

    def __init__(self, module: types.ModuleType, clones: Clones) -> None:
        super().__init__(module.__name__, module.__doc__)
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_clones", clones)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            return getattr(self._module, name)
        return self._clones.attribute_of(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._clones.set_attribute_of(self._module, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._module)


class RunningGenerator:
    """Stands for a generator that has started: it cannot be copied, so using it stops the trace."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder

    def __iter__(self) -> Any:
        return self.__next__()

    def __next__(self) -> Any:
        if self._recorder is not None:
            self._recorder.stop("a generator that is shared between calls cannot be repeated")
        raise StopIteration

    send = __next__


GLOBAL_RANDOM_STATE = np.random.rand.__self__  # type: ignore[attr-defined]
"""The hidden generator whose methods are the functions of `np.random`."""

METHODS_OF_NAMED_TUPLES = frozenset(vars(collections.namedtuple("Empty", ())))
"""What every named tuple has, and calls no other code."""

CALLABLES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


@lru_cache(maxsize=1024)
def _copier_of(kind: type) -> str | None:
    """Return the method that copies values of a type; None for values that stay what they are."""
    if kind in ATOMS or issubclass(kind, (np.generic, np.dtype, enum.Enum)):
        return None
    for kinds, copier in (
        (types.FunctionType, "_any_function"),
        (types.ModuleType, "_module"),
        (type, "_class"),
        (types.MethodType, "_method"),
        ((list, dict, set, tuple, frozenset, collections.deque), "_container"),
        (functools.partial, "_partial"),
        ((staticmethod, classmethod, property, functools.cached_property), "_descriptor"),
        ((np.random.Generator, np.random.RandomState, random.Random), "_random_source"),
        (types.GeneratorType, "_generator"),
        (types.SimpleNamespace, "_instance"),
    ):
        if issubclass(kind, kinds):
            return copier
    return "_array" if kind is np.ndarray else "_other"


def _home(kind: type) -> dict[str, Any]:
    module = sys.modules.get(kind.__module__)
    return module.__dict__ if module is not None else {"__name__": kind.__module__}


def _has_code(kind: type) -> bool:
    """Say whether a class has methods that its author wrote, or that may call what they wrote."""
    return any(
        isinstance(value, (types.FunctionType, classmethod, staticmethod, property))
        for base in kind.__mro__
        if base is not object
        for name, value in vars(base).items()
        if not (name in METHODS_OF_NAMED_TUPLES and "_fields" in vars(base))
    )


def _names_in_classes(code: types.CodeType) -> set[str]:
    """Return the names in class bodies inside a function, which Python looks up without `__missing__`."""
    names: set[str] = set()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if not constant.co_flags & inspect.CO_OPTIMIZED:
                names.update(constant.co_names)
            names |= _names_in_classes(constant)
    return names
