"""Reports in the terminal: a progress bar, a line per check, a summary of what was compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from gradcheck.reports.annotations import annotate, annotate_audit
from gradcheck.reports.figures import COUNTED, finest, totals
from gradcheck.reports.report import CheckResult, Report
from gradcheck.reports.text import never_entered, table
from gradcheck.verdicts import Verdict

if TYPE_CHECKING:
    from gradcheck.derivations import Audit
    from gradcheck.discovery import FoundRule

__all__ = ["Terminal"]

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}
TARGET_STYLE = "dim"


class Terminal:
    """Writes what happens to the standard output, and errors to the standard error."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def under_progress(
        self, found: Sequence[FoundRule], points: int
    ) -> Iterator[tuple[FoundRule, Callable[[], None]]]:
        """Yield each rule with the call that moves the progress bar on by one of its `points`."""
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("points"),
            TimeElapsedColumn(),
        ]
        target = None
        bar = Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )
        with bar as progress:
            task = progress.add_task("", total=points * len(found))
            for done, item in enumerate(found):
                progress.update(task, description=item.rule.name, completed=done * points)
                if item.target != target:
                    target = item.target
                    self.console.print(Text(target, style=TARGET_STYLE))
                yield item, lambda: progress.advance(task)

    def report(self, report: Report) -> None:
        """Print the lines of `text.table`, then what is wrong and how to see it again."""
        for mark, verdict, names, detail in table(report):
            line = Text("  ").append(mark, style=STYLES[verdict] if verdict else "dim")
            line.append(f"  {report.rule}::{names}  ").append(detail, style="dim")
            self.console.print(line)
        for finding in report.findings:
            self.console.print(Text(f"\n{finding.message}"))
        if report.reproduction:
            self.console.print(Text(f"\nreproduce:\n    {report.reproduction}"))
        for branch in never_entered(report):
            self.console.print(Text(f"        never entered: {branch}"))
        for note in report.notes:
            self.console.print(Text(f"        note: {note}"))

    def annotate(self, report: Report, file: str) -> None:
        """Print what GitHub Actions shows beside the source."""
        for line in annotate(report.as_dict(), file):
            self.console.print(Text(line))

    def annotate_audit(self, audit: Audit) -> None:
        """Print what GitHub Actions shows beside the equations."""
        for line in annotate_audit(audit.as_dict()):
            self.console.print(Text(line))

    def summary(self, reports: Sequence[Report]) -> None:
        """Print what was compared, and the smallest error that would have been seen."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("check", "rules", *COUNTED, "digits", "visible"):
            table.add_column(heading, justify="left" if heading == "check" else "right")
        results = [check for report in reports for check in report.checks]
        counted = dict.fromkeys(
            check.name for check in results if sum(check.tally.entries.values())
        )
        for name in counted:
            powers = [check.power for check in results if check.name == name]
            table.add_row(name, *totals(powers), *finest(powers))
        self.console.print()
        if counted:
            self.console.print(table)
        self._print_counts([check for check in results if check.name not in counted])
        counts = {
            verdict: sum(report.verdict is verdict for report in reports) for verdict in Verdict
        }
        words = {
            Verdict.PASS: "passed",
            Verdict.INCONCLUSIVE: "inconclusive",
            Verdict.FAIL: "failed",
        }
        line = Text()
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
            if counts[verdict]:
                line.append(", " if line.plain else "")
                line.append(f"{counts[verdict]} {words[verdict]}", style=STYLES[verdict])
        seconds = sum(report.seconds for report in reports)
        seed = f"--seed {reports[0].seed} draws the same points"
        line.append(f" in {seconds:.1f} s, {seed}", style="dim")
        self.console.print(line)

    def _print_counts(self, results: Sequence[CheckResult]) -> None:
        """Print of how many rules each check that compares no entries ran, and of how many it did not."""
        for applies, label in ((True, "ran"), (False, "do not apply")):
            counts = Counter(check.name for check in results if check.applies is applies)
            if counts:
                words = ", ".join(f"{name} {count}" for name, count in counts.items())
                self.console.print(Text(f"{label}: {words}", style="dim"))

    def error(self, message: str) -> None:
        """Print one sentence about something that cannot be used."""
        self.errors.print(Text("error: ", style="bold red").append(message, style="default"))

    def traceback(self, error: BaseException | None) -> None:
        """Print the traceback of an error of the user's code."""
        if error is not None:
            import traceback

            self.errors.print(Text("".join(traceback.format_exception(error))))
