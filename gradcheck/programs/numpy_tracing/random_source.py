"""What passes for a random generator while user code is recorded."""

from __future__ import annotations

import functools
from typing import Any

from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.recording import Recording

__all__ = ["RandomSource"]


class RandomSource:
    """Passes for a random generator, whose draws become constants that can be written to."""

    def __init__(self, source: Any, recorder: Recording) -> None:
        self._source = source
        self._recorder = recorder

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._source)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._source, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def draw(*arguments: Any, **keywords: Any) -> Any:
            concrete = self._recorder.concrete((arguments, keywords))
            result = found(*concrete[0], **concrete[1])
            for argument in arguments:  # shuffled in place
                if isinstance(argument, TracedArray):
                    argument.buffer.version += 1
            return self._recorder.adopt(result)

        return draw
