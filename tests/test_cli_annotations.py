"""Under GitHub Actions the command line prints workflow commands, each on a line of its own."""

import sys

import pytest

from gradcheck import cli

LAYERS = """import gradcheck

def halved(dout, x):
    return dout * x

wrong = gradcheck.vjp(lambda x: x**2, halved, x="N")
silent = gradcheck.vjp(lambda x: x, lambda dout, x: None, x="N")
right = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * 2 * x, x="N")
"""


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """Run `gradcheck ARGUMENTS` in a narrow terminal; return the lines it prints."""
    (tmp_path / "annotated_layers.py").write_text(LAYERS)
    (tmp_path / "notes.md").write_text("$$f(x) = x^2$$\n\n$$\\frac{df}{dx} = 3 x$$\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gradcheck", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out.splitlines()

    return run


VERIFY = ("verify", "annotated_layers.py", "--check", "gradient", "--examples", "3", "--seed", "1")


def test_findings_stand_at_the_line_of_the_backward_and_open_questions_at_the_file(
    printed, monkeypatch
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    error, warning = (line for line in printed(*VERIFY, "--no-trace") if line.startswith("::"))
    start = "::error file=annotated_layers.py,line=3,title=wrong%3A%3Agradient fails::"
    assert error.startswith(f"{start}wrong: the gradient of x [1] is wrong in 1 of 1 entry")
    assert "%0A    claimed  " in error
    assert "claimed = true × 0.5: a factor is wrong" in error
    start = "::warning file=annotated_layers.py,title=silent%3A%3Agradient is inconclusive::"
    assert warning == f"{start}the rule claims no gradient for any input"


def test_elsewhere_nothing_is_annotated(printed, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert not [line for line in printed(*VERIFY, "--no-trace") if line.startswith("::")]


def test_a_wrong_equation_is_annotated_at_its_line(printed, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (error,) = (line for line in printed("audit", "notes.md") if line.startswith("::error"))
    assert error.startswith("::error file=notes.md,line=3,title=false::")
