"""The command line: `gradcheck verify TARGET…` and `gradcheck audit FILE…`.

Exit codes: 0 all rules pass, 1 a rule fails, 3 a usage, import or input error (and no rule failed),
2 otherwise: a rule is inconclusive.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.status import Status

    from gradcheck.derivations import Audit
    from gradcheck.discovery import FoundRule
    from gradcheck.reports.report import Report
    from gradcheck.reports.terminal import Terminal

try:
    import click
except ModuleNotFoundError as error:  # pragma: no cover
    raise SystemExit(
        "the gradcheck command needs click and rich: pip install click rich"
    ) from error

__all__ = ["main"]

PASSED, FAILED, INCONCLUSIVE, UNUSABLE = 0, 1, 2, 3


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        code = commands.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = UNUSABLE
    sys.exit(code if isinstance(code, int) else PASSED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradcheck")
def commands() -> None:
    """Say whether hand-written derivatives are right, in code and on paper.

    Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 usage, import or input error.
    """


@commands.command("verify")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--profile", default="standard", show_default=True, help="quick, standard or thorough."
)
@click.option("--examples", type=click.IntRange(min=1), help="Points drawn for each check.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw the points of this seed again.")
@click.option("--check", "checks", multiple=True, help="Run only this check; may be repeated.")
@click.option(
    "--time-budget", type=click.FloatRange(min=0, min_open=True), help="Seconds for each check."
)
@click.option("--no-trace", is_flag=True, help="Decide by finite differences alone.")
@click.option("--report", "report_file", help="Write the reports to this .json or .html file.")
@click.option(
    "--traceback", is_flag=True, help="Show the traceback of an error in the user's code."
)
def verify(
    targets: tuple[str, ...], report_file: str | None, traceback: bool, **options: Any
) -> int:
    """Verify every rule and derivation of each TARGET: a module, a .py or .md file, or a folder."""
    from gradcheck.checks import select
    from gradcheck.checks.check import points_for
    from gradcheck.discovery import find_derivations, find_rules
    from gradcheck.errors import GradcheckError, UsageError
    from gradcheck.reports.files import require_writable, write
    from gradcheck.reports.terminal import Terminal
    from gradcheck.seeds import new_seed
    from gradcheck.verdicts import profile_named
    from gradcheck.verification import verify

    terminal = Terminal()
    settings = {
        "profile": options["profile"],
        "examples": options["examples"],
        "seed": new_seed() if options["seed"] is None else options["seed"],
        "time_budget": options["time_budget"],
        "trace": not options["no_trace"],
        "replay": options["seed"] is None,
        "checks": list(options["checks"]) or None,
    }
    errors = 0
    reports: list[Report] = []
    try:
        profile = profile_named(settings["profile"])
        if settings["examples"]:
            profile = replace(profile, examples=settings["examples"])
        points = sum(points_for(check, profile) for check in select(settings["checks"]))
        if report_file is not None:
            require_writable(report_file)
    except UsageError as error:
        terminal.error(str(error))
        return UNUSABLE
    found: list[FoundRule] = []
    documents: list[Path] = []
    for target in targets:
        try:
            own = find_derivations(target)
            documents += own
            if own != [Path(target)]:
                found += find_rules(target, may_be_empty=bool(own))
        except GradcheckError as error:
            errors += 1
            terminal.error(str(error))
            terminal.traceback(error.__cause__ if traceback else None)
    for item, advance in terminal.under_progress(found, points):
        try:
            reports.append(verify(item.rule, **settings, progress=advance))
            terminal.report(reports[-1])
            if os.environ.get("GITHUB_ACTIONS") == "true":
                terminal.annotate(reports[-1], item.target)
        except GradcheckError as error:
            errors += 1
            terminal.error(f"{item.target}: {error}")
            terminal.traceback(error.__cause__ if traceback else None)
    if reports:
        terminal.summary(reports)
    audits, unread = audit_documents(documents, terminal, seed=options["seed"] or 0)
    if report_file is not None:
        write(report_file, [report.as_dict() for report in reports], audits)
    return exit_code([*reports, *audits], errors + unread)


@commands.command("audit")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--code", help="module:function that computes the named equations, to compare with.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the random points.")
@click.option("--no-symbols", is_flag=True, help="Leave out what the symbols were read as.")
@click.option(
    "--report", "report_file", help="Write the audit of one FILE to this .json or .html file."
)
def audit_command(
    files: tuple[str, ...], code: str | None, seed: int, no_symbols: bool, report_file: str | None
) -> int:
    """Audit written derivations: a verdict for every equation of each FILE (.md or .ipynb)."""
    import json

    from gradcheck.errors import UsageError
    from gradcheck.reports.files import require_writable
    from gradcheck.reports.terminal import Terminal

    terminal = Terminal()
    try:
        if report_file is not None:
            require_writable(report_file)
            if len(files) > 1:
                raise click.UsageError("--report takes the audit of one FILE")
    except UsageError as error:
        terminal.error(str(error))
        return UNUSABLE
    if code is not None:
        sys.path.insert(0, str(Path.cwd()))
    audits, errors = audit_documents(
        map(Path, files), terminal, code=code, seed=seed, symbols=not no_symbols
    )
    if report_file is not None and audits:
        if report_file.endswith(".json"):
            content = json.dumps(audits[0].as_dict(), indent=1, ensure_ascii=False)
            Path(report_file).write_text(content + "\n", encoding="utf-8")
        else:
            audits[0].to_html(report_file)
    return exit_code(audits, errors)


def audit_documents(
    files: Iterable[Path],
    terminal: Terminal,
    *,
    code: str | None = None,
    seed: int = 0,
    symbols: bool = False,
) -> tuple[list[Audit], int]:
    """Audit documents and print what was found; return the audits, and how many could not be read."""
    from gradcheck.errors import GradcheckError, UsageError

    def tell(status: Status, file: Path) -> Callable[[str], None]:
        return lambda stage: status.update(f"{file}: {stage}")

    audits: list[Audit] = []
    errors = 0
    for file in files:
        try:
            from gradcheck.derivations import audit, render_terminal

            if not file.is_file():
                raise UsageError(f"there is no file {file}")
            with terminal.console.status(str(file)) as status:
                found = audit(file, code=code, seed=seed, progress=tell(status, file))
        except ModuleNotFoundError as error:
            errors += 1
            terminal.error(f"auditing needs {error.name}: pip install 'gradcheck[audit]'")
            continue
        except GradcheckError as error:
            errors += 1
            terminal.error(str(error) if str(file) in str(error) else f"{file}: {error}")
            continue
        audits.append(found)
        terminal.console.print(str(file), style="dim")
        render_terminal(found, terminal.console, symbols=symbols)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            terminal.annotate_audit(found)
    return audits, errors


def exit_code(reports: Sequence[Report | Audit], errors: int) -> int:
    """Return the exit code of a run with these reports or audits and this many errors."""
    verdicts = {str(report.verdict) for report in reports}
    if "fail" in verdicts:
        return FAILED
    if errors or not reports:
        return UNUSABLE
    return INCONCLUSIVE if "inconclusive" in verdicts else PASSED
