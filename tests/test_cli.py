"""The command line, run as a process, as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RIGHT = """
import gradcheck
square = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * 2 * x, x="N")
"""
WRONG = RIGHT.replace("2 * x", "2.001 * x")


@pytest.fixture
def command(tmp_path):
    """Run `gradcheck ARGUMENTS` in a folder of its own; return the finished process."""

    def run(*arguments, module=True):
        start = [sys.executable, "-m", "gradcheck"] if module else [script()]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(
            [*start, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def script():
    return str(Path(sys.executable).with_name("gradcheck"))


def test_a_right_rule_exits_with_0_and_says_what_was_compared(command, tmp_path):
    (tmp_path / "layers.py").write_text(RIGHT)
    done = command("verify", "layers.py", "--examples", "10", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "pass  square::gradient" in done.stdout
    assert "pass  square::shapes" in done.stdout
    assert "agree to" in done.stdout
    assert "errors above" in done.stdout
    assert "1 passed" in done.stdout
    assert "--seed 1 draws the same points" in done.stdout


def test_a_wrong_rule_exits_with_1_and_names_the_entry_the_cause_and_a_line_to_paste(
    command, tmp_path
):
    (tmp_path / "layers.py").write_text(WRONG)
    done = command("verify", "layers.py", "--examples", "10", "--seed", "1")
    assert done.returncode == 1, done.stderr
    assert "FAIL  square::gradient" in done.stdout
    assert "square: the gradient of x [1] is wrong in 1 of 1 entry; worst is x[0]" in done.stdout
    assert "claimed = true × 1.0005" in done.stdout
    assert "smallest failing case: N=1" in done.stdout
    assert "gradcheck.verify_at(square, gradcheck.Point((np.array(" in done.stdout
    assert "1 failed" in done.stdout


def test_a_rule_that_claims_nothing_exits_with_2(command, tmp_path):
    (tmp_path / "layers.py").write_text(RIGHT.replace("dout * 2 * x", "None"))
    done = command("verify", "layers.py", "--examples", "5")
    assert done.returncode == 2, done.stderr
    assert "the rule claims no gradient for any input" in done.stdout
    assert "1 inconclusive" in done.stdout


def test_the_console_script_finds_a_module_in_the_current_folder(command, tmp_path):
    (tmp_path / "layers.py").write_text(RIGHT)
    done = command("verify", "layers", "--examples", "5", module=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_is_searched_for_the_files_that_import_gradcheck(command, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text(RIGHT)
    (package / "unrelated.py").write_text("raise SystemExit('must not be imported')")
    done = command("verify", "package", "--examples", "5")
    assert done.returncode == 0, done.stderr
    assert "square::gradient" in done.stdout


UNUSABLE = {
    "no target": ((), "Missing argument 'TARGET...'"),
    "an unknown option": (("layers.py", "--nonsense"), "No such option"),
    "no such file": (("nothing.py",), "there is no file or folder nothing.py"),
    "no such module": (("nothing",), "there is no module, file or folder 'nothing'"),
    "a target without rules": (("empty.py",), "empty.py holds no rules"),
    "a target that cannot be imported": (("broken.py",), "cannot be imported: ZeroDivisionError"),
    "an unknown check": (
        ("layers.py", "--check", "gradients"),
        "there is no check 'gradients'; the checks are",
    ),
    "an unknown profile": (("layers.py", "--profile", "fast"), "there is no profile 'fast'"),
    "no examples": (("layers.py", "--examples", "0"), "0 is not in the range x>=1"),
    "a report of an unknown format": (
        ("layers.py", "--report", "x.csv"),
        ".json or .html, not .csv",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), list(UNUSABLE.values()), ids=list(UNUSABLE))
def test_what_cannot_be_used_exits_with_3_and_one_sentence(command, tmp_path, arguments, sentence):
    (tmp_path / "layers.py").write_text(RIGHT)
    (tmp_path / "empty.py").write_text("import gradcheck\n")
    (tmp_path / "broken.py").write_text("import gradcheck\n1 / 0\n")
    done = command("verify", *arguments)
    assert done.returncode == 3, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


BROKEN_RULES = {
    "a forward that raises": (
        "gradcheck.vjp(lambda x: x @ None, lambda dout, x: dout, x='N')",
        "rule 'broken': no point could be drawn at which the forward runs",
    ),
    "a backward with too many gradients": (
        "gradcheck.vjp(lambda x, y: x + y, lambda dout, x, y: (dout, dout, dout), x='N', y='N')",
        "rule 'broken': the backward returned 3 gradients for the 2 inputs x, y",
    ),
    "a forward without a cache": (
        "gradcheck.pair(lambda x: x, lambda dout, cache: dout, x='N')",
        "gradcheck.pair expects a forward that returns (out, cache)",
    ),
    "a forward that is never finite": (
        "gradcheck.vjp(lambda x: x + float('nan'), lambda dout, x: dout, x='N')",
        "rule 'broken': no point could be drawn at which the forward runs and is finite",
    ),
}


@pytest.mark.parametrize(("rule", "sentence"), list(BROKEN_RULES.values()), ids=list(BROKEN_RULES))
def test_a_rule_that_cannot_be_run_is_named_and_the_others_are_still_verified(
    command, tmp_path, rule, sentence
):
    (tmp_path / "layers.py").write_text(f"{RIGHT}\nbroken = {rule}\n")
    done = command("verify", "layers.py", "--examples", "5")
    assert done.returncode == 3, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "pass  square::gradient" in done.stdout


RAISING_BACKWARDS = {
    "an unknown name": ("lambda dout, x: undefined", "NameError at (float64[1]): name 'undefined'"),
    "the wrong arity": ("lambda dout: dout", "takes 1 positional argument but 2 were given"),
}


@pytest.mark.parametrize(
    ("backward", "sentence"), list(RAISING_BACKWARDS.values()), ids=list(RAISING_BACKWARDS)
)
def test_a_backward_that_raises_where_the_forward_runs_fails(command, tmp_path, backward, sentence):
    (tmp_path / "layers.py").write_text(
        f"import gradcheck\nraising = gradcheck.vjp(lambda x: x, {backward}, x='N')\n"
    )
    done = command("verify", "layers.py", "--examples", "5")
    assert done.returncode == 1, done.stderr
    assert "raising: its backward raised" in done.stdout
    assert sentence in done.stdout
    assert "where its forward runs" in done.stdout


def test_the_traceback_is_shown_on_request(command, tmp_path):
    (tmp_path / "layers.py").write_text("import gradcheck\nimport nowhere\n")
    assert "Traceback" not in command("verify", "layers.py").stderr
    done = command("verify", "layers.py", "--traceback")
    assert "Traceback" in done.stderr
    assert "No module named 'nowhere'" in done.stderr


def test_a_failing_rule_beside_a_broken_one_exits_with_1(command, tmp_path):
    (tmp_path / "layers.py").write_text(WRONG)
    assert command("verify", "layers.py", "nothing", "--examples", "5").returncode == 1


def test_the_json_report_holds_verdicts_findings_seed_and_power(command, tmp_path):
    (tmp_path / "layers.py").write_text(WRONG)
    command("verify", "layers.py", "--examples", "5", "--seed", "7", "--report", "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["format"] == 1
    (report,) = content["reports"]
    assert (report["rule"], report["verdict"], report["seed"]) == ("square", "fail", 7)
    by_name = {check["name"]: check for check in report["checks"]}
    assert by_name["gradient"]["findings"][0]["input"] == "x"
    assert by_name["gradient"]["findings"][0]["index"] == [0]
    assert by_name["shapes"]["verdict"] == "pass"
    assert by_name["shapes"]["power"]["points"] == 5


def test_the_html_report_is_one_page_that_needs_no_network(command, tmp_path):
    (tmp_path / "layers.py").write_text(WRONG)
    command("verify", "layers.py", "--examples", "5", "--report", "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "the gradient of x [1] is wrong" in page
    assert "http" not in page
    assert "<script" not in page


@pytest.mark.parametrize("arguments", [("--help",), ("verify", "--help")])
def test_help_names_the_exit_codes_and_every_option(command, arguments):
    done = command(*arguments)
    assert done.returncode == 0
    words = ["0 pass, 1 fail, 2 inconclusive, 3 usage"] if len(arguments) == 1 else OPTIONS
    for word in words:
        assert word in done.stdout


OPTIONS = [
    "--profile",
    "--examples",
    "--seed",
    "--check",
    "--time-budget",
    "--no-trace",
    "--report",
    "--traceback",
]
