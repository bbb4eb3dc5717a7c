"""The options of the pytest plugin: on the command line, or as ini keys of the same names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

__all__ = ["Options", "add_options", "read_options"]

HELP = {
    "profile": ("NAME", "quick, standard or thorough: how much each check looks at"),
    "examples": ("N", "points drawn for each rule (default: the profile's number)"),
    "seed": ("SEED", "draw the points of this seed again (default: a new one, printed at the end)"),
    "time_budget": ("SECONDS", "end the search of each check after so long"),
    "report": ("FILE", "write what was found to this .json or .html file"),
}
INCONCLUSIVE = ("fail", "warn", "skip")


def add_options(parser: pytest.Parser) -> None:
    """Declare every option, and the ini key that stands for it where it is not given."""
    group = parser.getgroup("gradcheck", "verifying hand-written derivatives")
    for name, (metavar, text) in HELP.items():
        option = f"--gradcheck-{name.replace('_', '-')}"
        group.addoption(option, metavar=metavar, help=text)
        parser.addini(f"gradcheck_{name}", f"{text}; as {option}", default="")
    text = "decide by finite differences of the untraced forward alone"
    group.addoption("--gradcheck-no-trace", action="store_true", default=None, help=text)
    parser.addini("gradcheck_no_trace", text, type="bool", default=False)
    text = "documents to audit: patterns from the root folder, as docs/*.md, one item for each equation"
    parser.addini("gradcheck_derivations", text, type="args", default=[])
    text = "what an inconclusive check is in pytest: fail, warn or skip"
    parser.addini("gradcheck_inconclusive", text, default="fail")


@dataclass(frozen=True)
class Options:
    """What the session was asked for, validated.

    Attributes:
        profile, examples, time_budget, trace: as `gradcheck.verify` takes them.
        given_seed: the seed that was asked for, or None.
        report: the file for the reports, or an empty string.
        inconclusive: "fail", "warn" or "skip".
    """

    profile: str
    examples: int | None
    time_budget: float | None
    trace: bool
    given_seed: int | None
    report: str
    inconclusive: str

    @cached_property
    def seed(self) -> int:
        """The one seed of all rules of the session."""
        from gradcheck.seeds import new_seed

        return new_seed() if self.given_seed is None else self.given_seed

    @property
    def of_verify(self) -> dict[str, Any]:
        """The keyword arguments of `gradcheck.verify`.

        Failures of earlier runs are replayed unless a seed is given: that alone then says what is drawn.
        """
        return {
            "profile": self.profile,
            "examples": self.examples,
            "time_budget": self.time_budget,
            "trace": self.trace,
            "seed": self.seed,
            "replay": self.given_seed is None,
        }


def read_options(config: pytest.Config) -> Options:
    """Return the options of a session.

    Raises:
        pytest.UsageError: a value has no meaning; the message names its option and what is expected.
    """
    options = Options(
        profile=_read(config, "profile", _profile) or "standard",
        examples=_read(config, "examples", _whole_number(1)),
        time_budget=_read(config, "time_budget", _seconds),
        trace=not (config.getoption("gradcheck_no_trace") or config.getini("gradcheck_no_trace")),
        given_seed=_read(config, "seed", _whole_number(0)),
        report=_read(config, "report", _report) or "",
        inconclusive=_inconclusive(config),
    )
    return _with_seed_of_session(config, options)


def _with_seed_of_session(config: pytest.Config, options: Options) -> Options:
    """Take the seed that xdist's controller drew, or the one that Hypothesis was given."""
    shared = getattr(config, "workerinput", {}).get("gradcheck_seed")
    if shared is not None:
        object.__setattr__(options, "seed", shared)
    hypothesis = str(config.getoption("--hypothesis-seed", None) or "")
    if options.given_seed is None and hypothesis.isdigit():
        object.__setattr__(options, "given_seed", int(hypothesis))
    return options


def _read(config: pytest.Config, name: str, convert: Callable[[str], Any]) -> Any:
    option, key = f"--gradcheck-{name.replace('_', '-')}", f"gradcheck_{name}"
    given, value = option, config.getoption(key)
    if value is None:
        given, value = key, config.getini(key)
    if value == "":
        return None
    try:
        return convert(value)
    except ValueError as error:
        raise pytest.UsageError(f"{given} is {value!r}: {error}") from None


def _profile(value: str) -> str:
    from gradcheck.verdicts import profile_named

    profile_named(value)
    return value


def _whole_number(least: int) -> Callable[[str], int]:
    def convert(value: str) -> int:
        if not value.strip().isdigit() or int(value) < least:
            raise ValueError(f"a whole number of at least {least} was expected")
        return int(value)

    return convert


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise ValueError("a number of seconds above 0 was expected")
    return seconds


def _report(value: str) -> str:
    from gradcheck.reports.files import require_writable

    require_writable(value)
    return value


def _inconclusive(config: pytest.Config) -> str:
    value = str(config.getini("gradcheck_inconclusive"))
    if value not in INCONCLUSIVE:
        raise pytest.UsageError(
            f"gradcheck_inconclusive is {value!r}: one of {', '.join(INCONCLUSIVE)} was expected"
        )
    return value
