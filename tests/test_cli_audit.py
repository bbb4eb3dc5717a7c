"""`gradcheck audit`, run as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RIGHT = r"""
$$E = \frac12 \|x\|^2$$

$$\frac{\partial E}{\partial x} = x$$
"""
WRONG = RIGHT.replace(r"\partial x} = x", r"\partial x} = 2x")


@pytest.fixture
def command(tmp_path):
    def run(*arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "gradcheck", "audit", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_a_right_derivation_exits_with_0_and_a_wrong_one_with_1_and_its_line(command, tmp_path):
    (tmp_path / "right.md").write_text(RIGHT)
    (tmp_path / "wrong.md").write_text(WRONG)
    done = command("right.md")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rows: 2 read, 2 checked, 0 wrong" in done.stdout
    done = command("wrong.md")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the first wrong one is line 4" in done.stdout
    assert "the right side is 2 times the left side" in done.stdout


def test_the_derivation_of_the_specimen_is_right_in_every_row(command):
    done = command(str(ROOT / "reference" / "derivation.md"))
    assert done.returncode == 0, done.stdout
    assert "0 wrong" in done.stdout


def test_a_document_in_which_a_row_is_not_checked_is_inconclusive(command, tmp_path):
    (tmp_path / "open.md").write_text(RIGHT + "\n$$\\frac{\\partial E}{\\partial q} = q$$\n")
    done = command("open.md")
    assert done.returncode == 2, done.stdout
    assert "3 rows: 3 read, 2 checked, 0 wrong" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Missing argument 'FILE...'"),
        (("nothing.md",), "there is no file nothing.md"),
        (("notes.docx",), "notes.docx"),
        (("right.md", "--report", "x.csv"), ".json or .html, not .csv"),
        (("right.md", "--code", "nowhere:function"), "nowhere"),
    ],
)
def test_what_cannot_be_audited_exits_with_3_and_one_sentence(
    command, tmp_path, arguments, sentence
):
    (tmp_path / "right.md").write_text(RIGHT)
    (tmp_path / "notes.docx").write_bytes(b"PK\x03\x04")
    done = command(*arguments)
    assert done.returncode == 3, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reports_hold_every_row(command, tmp_path):
    (tmp_path / "wrong.md").write_text(WRONG)
    command("wrong.md", "--report", "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["verdict"] == "fail"
    assert content["first_wrong"] == 4
    assert [row["verdict"] for row in content["rows"]] == ["true", "false"]
    command("wrong.md", "--report", "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "<math" in page
    assert "<script" not in page
