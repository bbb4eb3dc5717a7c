"""Private globals and modules, in which each name is copied when the code first looks it up."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

__all__ = ["ModuleCopy", "PrivateGlobals", "names_in_classes"]

MODULE_FACTS = ("__name__", "__package__", "__spec__", "__file__", "__doc__", "__loader__")


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

    def attribute(self, module: types.ModuleType, name: str) -> Any:
        """Return the private copy of an attribute of the module whose globals these are."""
        if name not in self:
            self[name] = self._convert(getattr(module, name))
        return self[name]


class ModuleCopy(types.ModuleType):
    """Passes for a module; each attribute is copied when it is first asked for."""

    def __init__(self, module: types.ModuleType, names: PrivateGlobals) -> None:
        super().__init__(module.__name__, module.__doc__)
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_names", names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            return getattr(self._module, name)
        return self._names.attribute(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._names[name] = value

    def __dir__(self) -> list[str]:
        return dir(self._module)


def names_in_classes(code: types.CodeType) -> set[str]:
    """Return the names in class bodies inside a function, which Python looks up without `__missing__`."""
    names: set[str] = set()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if not constant.co_flags & inspect.CO_OPTIMIZED:
                names.update(constant.co_names)
            names |= names_in_classes(constant)
    return names
