"""The public surface: names, arguments and attributes that users may rely on."""

import dataclasses
import inspect
import sys

import numpy as np
import pytest

import gradcheck
from gradcheck.cli import main

CALLABLES = {
    "pair": ["forward", "backward"],
    "vjp": ["forward", "vjp"],
    "jvp": ["forward", "jvp"],
    "gradient": ["f", "grad"],
    "layer": ["make"],
    "jax_rule": ["f"],
    "torch_function": ["f"],
}
"""The callables of each adapter, which are positional-only."""

OWN_OPTIONS = {
    "gradient": {"hvp"},
    "layer": {"params", "grads", "forward", "backward", "accumulates"},
    "torch_function": {"device"},
}

OPTIONS = {
    "name": "square",
    "output": "N D",
    "batch": "N",
    "derivative_of": lambda x: x**2,
    "kinks": {"x": 0},
    "expected_failures": {"dtype": "float64 tables"},
    "strict": True,
}
"""An option of every adapter, with a value for a rule of one input x of dimensions N and D."""

DOMAINS = [
    "positive",
    "integers",
    "one_hot",
    "probabilities",
    "elements",
    "complex",
    "constant",
    "one_of",
    "booleans",
]


def square(factor=2):
    return gradcheck.vjp(lambda x: x**2, lambda dout, x: factor * dout * x, x="N D")


class Square:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, dout):
        return 2 * dout * self.x


def declared(kind, **options):
    options = {"x": "N D", **options}
    options = {key: value for key, value in options.items() if value is not None}
    if kind == "pair":
        return gradcheck.pair(lambda x: (x**2, x), lambda dout, x: 2 * dout * x, **options)
    if kind == "vjp":
        return gradcheck.vjp(lambda x: x**2, lambda dout, x: 2 * dout * x, **options)
    if kind == "jvp":
        return gradcheck.jvp(lambda x: x**2, lambda ins, ts: 2 * ins[0] * ts[0], **options)
    if kind == "gradient":
        options = {key: value for key, value in options.items() if key != "output"}
        return gradcheck.gradient(lambda x: np.sum(x**2), lambda x: 2 * x, **options)
    if kind == "layer":
        return gradcheck.layer(Square, **options)
    if kind == "jax_rule":
        return gradcheck.jax_rule(lambda x: x**2, **options)
    pytest.importorskip("torch", reason="torch is not installed")
    return gradcheck.torch_function(lambda x: x**2, **options)


@pytest.mark.parametrize("kind", CALLABLES)
def test_callables_are_positional_and_everything_else_is_a_keyword(kind):
    parameters = inspect.signature(getattr(gradcheck, kind)).parameters.values()
    positional = [item.name for item in parameters if item.kind is item.POSITIONAL_ONLY]
    keywords = {item.name for item in parameters if item.kind is item.KEYWORD_ONLY}
    assert positional == CALLABLES[kind]
    assert keywords == OWN_OPTIONS.get(kind, set())
    assert any(item.kind is item.VAR_KEYWORD for item in parameters)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", CALLABLES)
def test_every_adapter_takes_every_option_and_refuses_it_misspelt(kind, option):
    assert declared(kind, **{option: OPTIONS[option]}).kind == kind
    with pytest.raises(gradcheck.ContractError, match=f"did you mean '{option}'"):
        declared(kind, **{f"{option}_": "N"})


@pytest.mark.parametrize("kind", CALLABLES)
def test_every_adapter_takes_dims_for_a_name_that_is_taken(kind):
    assert list(declared(kind, x=None, dims={"x": "A B"}).contract.problem.names) == ["A", "B"]


def test_complex_rules_declare_their_convention():
    for convention in ("jax", "torch"):
        assert declared("vjp", conjugation=convention).conjugation == convention


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (
            gradcheck.verify,
            {
                "examples": None,
                "seed": None,
                "time_budget": None,
                "trace": True,
                "checks": None,
                "profile": "standard",
            },
        ),
        (gradcheck.verify_at, {"trace": True, "checks": None, "profile": "standard"}),
    ],
    ids=["verify", "verify_at"],
)
def test_the_doors_take_these_keywords_with_these_defaults(function, keywords):
    parameters = inspect.signature(function).parameters
    assert next(iter(parameters)) == "rule"
    assert {name: parameters[name].default for name in keywords} == keywords


def test_check_raises_what_verify_reports():
    assert gradcheck.check(square(), examples=8, seed=1, checks=["shapes"]).verdict == "pass"
    with pytest.raises(gradcheck.GradientError) as caught:
        gradcheck.check(square(1), examples=8, seed=1, checks=["gradient"])
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.verdict == "fail"
    silent = gradcheck.vjp(lambda x: x**2, lambda dout, x: None, x="N")
    with pytest.raises(gradcheck.InconclusiveError):
        gradcheck.check(silent, examples=8, seed=1, checks=["gradient"])


def test_a_report_has_its_attributes(tmp_path):
    report = gradcheck.verify(square(1), examples=8, seed=1, checks=["gradient", "shapes"])
    assert (report.verdict, report.certified) == ("fail", False)
    assert [check.name for check in report.checks] == ["gradient", "shapes"]
    assert {check.verdict for check in report.checks} == {"fail", "pass"}
    assert report.checks[1].reason == ""
    assert list(report.notes) == []
    assert "digits" in report.power["shapes"]
    finding = report.findings[0]
    for name in ("check", "input", "index", "claimed", "true", "diagnosis", "line", "message"):
        assert name in {field.name for field in dataclasses.fields(finding)}
    assert (finding.check, finding.input) == ("gradient", "x")
    assert report.as_dict()["verdict"] == "fail"
    report.to_html(tmp_path / "report.html")
    assert "wrong" in (tmp_path / "report.html").read_text()


def test_an_audit_has_its_attributes(tmp_path):
    pytest.importorskip("lark", reason="gradcheck[audit] is not installed")
    audit = gradcheck.audit(
        "$$E = \\frac12 \\|x\\|^2$$\n\n$$\\frac{\\partial E}{\\partial x} = 2x$$\n"
    )
    assert audit.verdict == "fail"
    assert [row.verdict for row in audit.rows] == ["true", "false"]
    assert audit.first_wrong is audit.rows[1]
    assert audit.rows[1].line == 3
    assert "partial" in audit.rows[1].equation
    assert audit.rows[1].reason
    assert audit.as_dict()["verdict"] == "fail"
    audit.to_html(tmp_path / "audit.html")
    assert (tmp_path / "audit.html").exists()


def test_every_domain_of_the_design_is_public():
    for name in DOMAINS:
        assert callable(getattr(gradcheck, name))
    assert gradcheck.strategies.points(square()) is not None


RULES = """
import gradcheck
right = gradcheck.vjp(lambda x: x**2, lambda dout, x: 2 * dout * x, x="N")
wrong = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * x, x="N")
silent = gradcheck.vjp(lambda x: x**2, lambda dout, x: None, x="N")
"""


@pytest.mark.parametrize(
    ("rule", "code"), [("right", 0), ("wrong", 1), ("silent", 2), ("unknown", 3)]
)
def test_the_exit_code_says_the_verdict(rule, code, tmp_path, monkeypatch):
    lines = [line for line in RULES.splitlines() if "=" not in line or line.startswith(f"{rule} =")]
    broken = ["import no_such_module"] if rule == "unknown" else []
    (tmp_path / "layers_of_this_test.py").write_text("\n".join([*lines, *broken]))
    options = ["--seed", "1", "--examples", "8", "--check", "gradient"]
    target = str(tmp_path / "layers_of_this_test.py")
    monkeypatch.setattr(sys, "argv", ["gradcheck", "verify", target, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
