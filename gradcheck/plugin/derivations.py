"""Derivations in pytest: a Markdown file that the user names is collected, one item for each equation."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.errors import GradcheckError
from gradcheck.plugin.session import ROW, session_of

if TYPE_CHECKING:
    from gradcheck.derivations import Audit, AuditRow

__all__ = ["DerivationFile", "EquationItem", "EquationOpen", "EquationWrong", "is_derivation"]

SUFFIXES = frozenset({".md", ".markdown", ".ipynb"})
"""The files that may hold a derivation."""


class EquationWrong(AssertionError):
    """An equation is false, does not fit in its sizes, or contradicts another; the message says how."""


class EquationOpen(Exception):
    """An equation was read in no way, or in more than one, that could be judged."""


def is_derivation(file: Path, session: pytest.Session) -> bool:
    """Whether a file is to be audited: named to pytest itself, or by the ini key `gradcheck_derivations`.

    A file that is named for its doctests (`--doctest-glob`) is left to them.
    """
    if file.suffix not in SUFFIXES:
        return False
    root = session.config.rootpath
    patterns = session.config.getini("gradcheck_derivations")
    if any(file in root.glob(pattern) for pattern in patterns):
        return True
    doctests = session.config.getoption("doctestglob", None) or []
    return session.isinitpath(file) and not any(file.match(pattern) for pattern in doctests)


class DerivationFile(pytest.File):
    """A document; its items are its equations."""

    def collect(self) -> Iterator[pytest.Item]:
        self.add_marker("gradcheck")
        try:
            from gradcheck.derivations.document import read
            from gradcheck.derivations.rows import cut

            rows = cut(read(self.path).formulas)
        except ModuleNotFoundError as error:
            raise self.CollectError(
                f"auditing needs {error.name}: pip install 'gradcheck[audit]'"
            ) from error
        except GradcheckError as error:
            raise self.CollectError(str(error)) from error
        lines = Counter(row.line for row in rows)
        seen: Counter[int] = Counter()
        for place, row in enumerate(rows):
            seen[row.line] += 1
            name = f"line-{row.line}"
            if lines[row.line] > 1:
                name += f"-{seen[row.line]}"
            yield EquationItem.from_parent(self, name=name, place=place, line=row.line)

    @cached_property
    def audited(self) -> Audit:
        """The audit of the whole document, made when the first equation is judged."""
        from gradcheck.derivations import audit

        return audit(self.path, seed=session_of(self.config).options.given_seed or 0)


class EquationItem(pytest.Item):
    """One equation of a document."""

    parent: DerivationFile

    def __init__(self, name: str, parent: DerivationFile, place: int, line: int) -> None:
        super().__init__(name, parent)
        self.place = place
        self.line = line

    def runtest(self) -> None:
        row = self.parent.audited.rows[self.place]
        self.stash[ROW] = {"path": self.nodeid.split("::")[0], **row.as_dict()}
        self.user_properties += [
            ("gradcheck_verdict", row.verdict),
            ("gradcheck_certified", row.certified),
        ]
        self.add_report_section("call", "gradcheck", self._told(row))
        if row.wrong:
            raise EquationWrong(self._told(row))
        if row.verdict != "true":
            self._conclude(self._told(row))

    def _conclude(self, told: str) -> None:
        """Fail, warn or skip as the session does for what is inconclusive."""
        wanted = session_of(self.config).options.inconclusive
        if wanted == "fail":
            raise EquationOpen(told)
        if wanted == "skip":
            pytest.skip(told)
        warnings.warn(pytest.PytestWarning(told), stacklevel=2)

    def _told(self, row: AuditRow) -> str:
        lines = [f"{self.path}:{row.line}: {row.verdict}: {row.reason}", f"    {row.equation}"]
        if row.wrong and row.sizes:
            lines.append("    " + ", ".join(f"{name}: {size}" for name, size in row.sizes))
        return "\n".join(lines)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, EquationWrong | EquationOpen):
            return str(excinfo.value)
        if isinstance(excinfo.value, GradcheckError) and style is None:
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, self.line - 1, self.name
