"""README and docs: what they show is what happens."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import gradcheck
from tests.everyday import Dense

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


class DenseWrong(Dense):
    factor = 0.5


def square_of_torch(factor):
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, dout):
            return factor * dout * ctx.saved_tensors[0]

    return Square


FAULTS = {
    "pair": ("dout.sum(axis=0)", "dout.mean(axis=0)"),
    "vjp": ("np.exp(-x)", "np.exp(x)"),
    "jvp": ("np.cos", "-np.cos"),
    "gradient": ("12 * x**2 * v", "12 * x * v"),
    "layer": ("import Dense", "import DenseWrong as Dense"),
    "jax_rule": ("1 - y**2", "1 - y"),
    "torch_function": ("import Square", "import SquareWrong as Square"),
}
"""A fault in the README's example of each way to declare a rule."""


@pytest.mark.parametrize("kind", FAULTS)
def test_a_layer_of_each_kind_is_verified_in_six_lines(kind, monkeypatch):
    code = re.search(rf"\*\*`{kind}`\*\*:.*?```python\n(.*?)```", README, re.DOTALL).group(1)
    assert len([line for line in code.splitlines() if line]) <= 6
    layers = types.ModuleType("layers")
    layers.Dense, layers.DenseWrong = Dense, DenseWrong
    if kind == "torch_function":
        layers.Square, layers.SquareWrong = square_of_torch(2), square_of_torch(1)
    monkeypatch.setitem(sys.modules, "layers", layers)
    check = gradcheck.check
    monkeypatch.setattr(gradcheck, "check", lambda rule: check(rule, examples=8, seed=1))
    names = {"np": np, "gradcheck": gradcheck, "jax": jax, "jnp": jax.numpy}
    exec(code, dict(names))
    right, wrong = FAULTS[kind]
    assert right in code
    with pytest.raises(gradcheck.GradientError, match="claimed"):
        exec(code.replace(right, wrong), dict(names))


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
