"""Every error that gradcheck raises, and what each one carries.

GradcheckError
├── UsageError                the request cannot be carried out as it was made
│   └── ContractError         a dimension string, domain or keyword makes no sense
├── RuleError                 the user's own code cannot be run as it was declared
├── Abstention                an oracle or a tracer cannot say, and says why
└── VerdictError
    ├── GradientError         a derivative is wrong (also an AssertionError)
    └── InconclusiveError     nothing could be said
ShapeError                    an array has other dimensions than its formula (an AssertionError)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.reports.report import Report

__all__ = [
    "Abstention",
    "BackwardError",
    "ContractError",
    "GradcheckError",
    "GradientError",
    "InconclusiveError",
    "RuleError",
    "ShapeError",
    "UsageError",
    "VerdictError",
]


class GradcheckError(Exception):
    """The base of every error of gradcheck but `ShapeError`."""


class UsageError(GradcheckError, ValueError):
    """The request cannot be carried out as it was made; the message says what to write instead."""


class ContractError(UsageError):
    """A dimension string, a domain or a keyword of a rule makes no sense or contradicts another."""


class RuleError(GradcheckError):
    """The user's code cannot be run as it was declared.

    It raised, returned something that is no array of numbers, or returned another number of
    gradients than it has inputs. The exception that the user's code raised, if any, is the cause
    (`__cause__`).
    """


class BackwardError(RuleError):
    """The backward raised where the forward runs; a check reports it as a failure."""


class Abstention(GradcheckError):
    """An oracle or a tracer cannot say anything here.

    Attributes:
        reason: why, as a clause that reads on after "cannot tell: ".
        where: the user's source line as `path:line`, or None where no line is to blame.
    """

    def __init__(self, reason: str, where: str | None = None) -> None:
        self.reason = reason
        self.where = where
        super().__init__(f"{reason} ({where})" if where else reason)


class VerdictError(GradcheckError):
    """What `gradcheck.check` raises when the verdict is not pass.

    Attributes:
        report: the whole `Report` of the run.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(str(report))


class GradientError(VerdictError, AssertionError):
    """A check of the rule failed: a caller would get a wrong number."""


class InconclusiveError(VerdictError):
    """Too little could be decided to call the rule right or wrong; the report says why."""


class ShapeError(AssertionError):
    """An array has other dimensions than its formula says.

    Attributes:
        quantity: the name of the array, in the words of the formula.
        expected: the dimensions that the formula gives it.
        actual: the dimensions that it has.
    """

    def __init__(
        self, message: str, *, quantity: str, expected: tuple[int, ...], actual: tuple[int, ...]
    ) -> None:
        self.quantity = quantity
        self.expected = expected
        self.actual = actual
        super().__init__(message)
