"""README and docs: what they show is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(folder, *arguments):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTEST_ADDOPTS", None)  # a reader of the README has none
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def without_times(text):
    """Blank out seconds, and the last digits of what random directions measured."""
    text = re.sub(r"in [\d.]+ s", "in … s", text)
    return re.sub(r"true     \S+ +± \S+ \(finite", "true … (finite", text)


def test_the_first_example_prints_what_the_readme_says(tmp_path):
    (tmp_path / "layers.py").write_text(blocks("python")[0])
    shown = blocks("console")[0].split("\n", 1)[1].rstrip()
    done = run(tmp_path, "gradcheck", "verify", "layers.py", "--seed", "1")
    assert done.returncode == 1, done.stderr
    assert without_times(done.stdout.rstrip()) == without_times(shown)


def test_the_pytest_example_prints_what_the_readme_says(tmp_path):
    layer = blocks("python")[0].replace("dout.mean(axis=0)", "dout.sum(axis=0)")
    (tmp_path / "test_layers.py").write_text(layer)
    done = run(tmp_path, "pytest", "test_layers.py", "-v", "-p", "no:cacheprovider")
    for line in blocks("console")[1].splitlines()[1:]:
        assert line in done.stdout


def test_the_readme_names_every_option_of_the_command_line():
    from gradcheck.cli import commands

    documented = README + (ROOT / "docs" / "command-line.md").read_text()
    for command in commands.commands.values():
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in documented


def test_the_readme_opens_with_two_commands_for_the_main_job_and_the_tests():
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert any(line.endswith("&& gradcheck verify reference") for line in commands)
    assert any(line.endswith("&& pytest") for line in commands)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(link):
    assert link.startswith("https://") or (ROOT / link).exists()


def test_the_audit_example_prints_what_the_readme_says(tmp_path):
    (tmp_path / "notes.md").write_text(
        "$$E = \\frac12 \\|x\\|^2$$\n\n$$\\frac{\\partial E}{\\partial x} = 2x$$\n"
    )
    done = run(tmp_path, "gradcheck", "audit", "notes.md")
    assert done.returncode == 1, done.stderr
    assert done.stdout.rstrip() == blocks("console")[2].split("\n", 1)[1].rstrip()
