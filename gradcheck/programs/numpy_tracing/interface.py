"""What traced values ask of the recorder of their run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NoReturn

from numpy.typing import NDArray

__all__ = ["Operations"]


class Operations(ABC):
    """Everything that user code does with a traced value; the recorder does it and keeps record."""

    @abstractmethod
    def ufunc(
        self, ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Do what `ufunc.method(*inputs, **keywords)` does."""

    @abstractmethod
    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Do what a function of NumPy does with these arguments."""

    @abstractmethod
    def power(self, base: Any, exponent: Any) -> Any:
        """Return `base ** exponent`, for which NumPy has shortcuts that `np.power` has not."""

    @abstractmethod
    def power_in_place(self, array: Any, exponent: Any) -> None:
        """Do what `array **= exponent` does."""

    @abstractmethod
    def cast(
        self, value: Any, dtype: Any, *, order: Any = "K", casting: Any = "unsafe", copy: Any = 1
    ) -> Any:
        """Return the value in another dtype."""

    @abstractmethod
    def get_item(self, value: Any, index: Any) -> Any:
        """Do what `value[index]` does."""

    @abstractmethod
    def set_item(self, array: Any, index: Any, value: Any) -> None:
        """Do what `array[index] = value` does."""

    @abstractmethod
    def view(self, array: NDArray[Any]) -> Any:
        """Return the traced view of real memory."""

    @abstractmethod
    def reshaped_in_place(self, array: Any, shape: Any) -> NDArray[Any]:
        """Return the memory of an array in another shape."""

    @abstractmethod
    def concrete(self, value: Any) -> Any:
        """Return a value for a place that shapes the run, under a guard."""

    @abstractmethod
    def truth(self, value: Any) -> bool:
        """Return `bool(value)` under a guard."""

    @abstractmethod
    def integer(self, value: Any) -> int:
        """Return `int(value)` under a guard."""

    @abstractmethod
    def values_for_foreign_code(self, value: Any, dtype: Any) -> NDArray[Any]:
        """Return the numbers of a constant; stop where they depend on the inputs."""

    @abstractmethod
    def stop(self, reason: str) -> NoReturn:
        """Give up on the run."""

    @property
    @abstractmethod
    def namespace(self) -> Any:
        """The `numpy` that traced code sees."""
