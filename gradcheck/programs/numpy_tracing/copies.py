"""Private copies of objects, each made once: what copying code and copying data have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from gradcheck.programs.numpy_tracing.recording import Recording

__all__ = ["Copies"]


class Copies(ABC):
    """The copies that were made for one run.

    Attributes:
        recorder: of the run in which the copies are traced; None for plain copies.
        random_sources: pairs of a random generator and its copy.
    """

    def __init__(self, recorder: Recording | None) -> None:
        self.recorder = recorder
        self.random_sources: list[tuple[Any, Any]] = []
        self._copies: dict[int, Any] = {}
        self._originals: list[Any] = []
        self._pending: list[Callable[[], None]] = []
        self._is_filling = False

    @abstractmethod
    def made(self, value: Any) -> Any:
        """Return a new copy of a value, perhaps still to be filled."""

    def copy(self, value: Any) -> Any:
        """Return the private copy of a value, perhaps still to be filled."""
        return self._copies[id(value)] if id(value) in self._copies else self.made(value)

    def convert(self, value: Any) -> Any:
        """Return the private copy of a value, made at the first call."""
        result = self.copy(value)
        self.fill_pending()
        return result

    def remember(self, original: Any, copied: Any) -> Any:
        """Note the copy of an object, and return it."""
        self._copies[id(original)] = copied
        self.keep(original)
        return copied

    def keep(self, original: Any) -> None:
        """Keep an object alive as long as these copies, or its id could be reused."""
        self._originals.append(original)

    def is_known(self, original: Any) -> bool:
        """Say whether an object has been copied."""
        return id(original) in self._copies

    def later(self, fill: Callable[[], None]) -> None:
        """Fill a copy once the one that is being made has been noted: objects may hold each other."""
        self._pending.append(fill)

    def fill_pending(self) -> None:
        """Fill the copies that were put off, and those that they need."""
        if self._is_filling:
            return
        self._is_filling = True
        try:
            while self._pending:
                self._pending.pop()()
        finally:
            self._is_filling = False
