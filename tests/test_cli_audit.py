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
    def run(*arguments, command="audit"):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "gradcheck", command, *arguments],
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


RULE = """
import gradcheck
square = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * 2 * x, x="N")
"""
SPEAKING = "<!-- gradcheck: x is column -->\n" + WRONG


def test_verify_audits_a_document_too_and_its_wrong_row_fails_the_run(command, tmp_path):
    (tmp_path / "layers.py").write_text(RULE)
    (tmp_path / "wrong.md").write_text(WRONG)
    arguments = ("layers.py", "wrong.md", "--examples", "5", "--report", "out.json")
    done = command(*arguments, command="verify")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pass  square::gradient" in done.stdout
    assert "the first wrong one is line 4" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["reports"][0]["verdict"] == "pass"
    assert content["derivations"][0]["first_wrong"] == 4


def test_verify_takes_those_documents_of_a_folder_that_speak_to_gradcheck(command, tmp_path):
    (tmp_path / "README.md").write_text(WRONG)
    (tmp_path / "example.md").write_text(f"````markdown\n{SPEAKING}````\n")
    (tmp_path / "speaking.md").write_text(SPEAKING)
    done = command(".", command="verify")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "speaking.md" in done.stdout
    assert "README.md" not in done.stdout
    assert "example.md" not in done.stdout


def test_verify_of_a_document_alone_has_the_exit_codes_of_audit(command, tmp_path):
    (tmp_path / "right.md").write_text(RIGHT)
    done = command("./right.md", command="verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert command("nothing.md", command="verify").returncode == 3


def test_a_report_of_rules_and_documents_is_one_page(command, tmp_path):
    (tmp_path / "wrong.md").write_text(WRONG)
    command("wrong.md", "--report", "out.html", command="verify")
    page = (tmp_path / "out.html").read_text()
    assert "wrong.md" in page
    assert "<math" in page
    assert "the right side is 2 times the left side" in page


def test_under_github_actions_a_wrong_row_is_annotated(command, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (tmp_path / "wrong.md").write_text(WRONG)
    done = command("wrong.md")
    assert "::error file=wrong.md,line=4,title=false::the right side is 2 times" in done.stdout
