"""Private copies of data: arrays, containers, objects, random generators."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.copies import Copies
from gradcheck.programs.numpy_tracing.origins import home_of, is_users
from gradcheck.programs.numpy_tracing.random_source import RandomSource
from gradcheck.programs.numpy_tracing.recording import Recording

__all__ = ["copy_array", "copy_container", "copy_generator", "copy_instance", "copy_random_source"]


def copy_array(copies: Copies, array: Any) -> Any:
    if array.dtype == object:
        return copies.remember(array, array)
    root, chain = array, []
    while isinstance(root.base, np.ndarray):
        chain.append(root)
        root = root.base
    if not copies.is_known(root):
        plain = np.array(root, order="K", copy=True)
        copies.remember(root, plain if copies.recorder is None else copies.recorder.view(plain))
    if array is root:
        return copies.copy(root)
    copied = copies.copy(root)
    base = copied if copies.recorder is None else copied.concrete
    if base.strides != root.strides:
        view = np.array(array, order="K", copy=True)
    else:
        distance = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        view = np.ndarray(array.shape, array.dtype, base, distance, array.strides)
    return copies.remember(array, view if copies.recorder is None else copies.recorder.view(view))


def copy_container(copies: Copies, value: Any) -> Any:
    kind = type(value)
    if isinstance(value, (tuple, frozenset)):
        parts = [copies.copy(part) for part in value]
        is_same = all(new is old for new, old in zip(parts, value, strict=True))
        if is_same or not (kind in (tuple, frozenset) or hasattr(value, "_fields")):
            return value
        return copies.remember(value, kind(*parts) if hasattr(value, "_fields") else kind(parts))
    copied = copies.remember(value, copy.copy(value))
    if isinstance(value, dict):
        for key, part in value.items():
            dict.__setitem__(copied, key, copies.copy(part))
    elif isinstance(value, list):
        list.__setitem__(copied, slice(None), [copies.copy(part) for part in value])
    else:
        copied.clear()
        for part in value:
            getattr(copied, "add" if isinstance(value, set) else "append")(copies.copy(part))
    if is_users(home_of(kind)):
        copied.__class__ = copies.copy(kind)
        for name, part in value.__dict__.items():
            copied.__dict__[name] = copies.copy(part)
    return copied


def copy_instance(copies: Copies, value: Any) -> Any:
    kind = copies.copy(type(value))
    try:
        copied = object.__new__(kind)
    except TypeError:  # a class written in C: nothing is known of what it holds
        return value
    copies.remember(value, copied)
    copies.later(lambda: _fill_instance(copies, value, copied))
    return copied


def _fill_instance(copies: Copies, value: Any, copied: Any) -> None:
    for name, part in getattr(value, "__dict__", {}).items():
        copied.__dict__[name] = copies.copy(part)
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                object.__setattr__(copied, name, copies.copy(getattr(value, name)))


def copy_random_source(copies: Copies, source: Any) -> Any:
    copied = copy.deepcopy(source)
    copies.random_sources.append((source, copied))
    if copies.recorder is None or isinstance(source, random.Random):
        return copies.remember(source, copied)
    return copies.remember(source, RandomSource(copied, copies.recorder))


def copy_generator(copies: Copies, value: Any) -> Any:
    return copies.remember(value, RunningGenerator(copies.recorder))


class RunningGenerator:
    """Stands for a generator that has started: it cannot be copied, so using it stops the trace."""

    def __init__(self, recorder: Recording | None) -> None:
        self._recorder = recorder

    def __iter__(self) -> Any:
        return self.__next__()

    def __next__(self) -> Any:
        if self._recorder is not None:
            self._recorder.stop("a generator that is shared between calls cannot be repeated")
        raise StopIteration

    send = __next__
