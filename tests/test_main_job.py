"""The main job: the specimen verified over random architectures, and every line of it mutated.

A mutation replaces one piece of one line of the specimen's source by a wrong one, in a private copy of
the module. Each stands for a class of mistakes people make in this very derivation.
"""

import importlib
import re
import sys
import types
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import gradcheck
from benchmarks import power
from gradcheck.reports.report import Report
from gradcheck.rules import Rule
from reference import verification

EXAMPLES = 30
SEED = 20


def mutant(module_name: str, old: str, new: str) -> types.ModuleType:
    """Return a private copy of a module in which `old`, which must stand there once, is `new`."""
    original = importlib.import_module(module_name)
    source = Path(original.__file__).read_text()
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module_name}"
    module = types.ModuleType(module_name + "_mutant")
    exec(compile(source.replace(old, new), original.__file__, "exec"), module.__dict__)
    return module


def network_rule(module: types.ModuleType) -> Rule:
    points = verification.networks()
    return gradcheck.gradient(module.loss, module.loss_gradients, points=points, name="network")


def layer_rule(module: types.ModuleType) -> Rule:
    def forward(x, w, b, activation):
        return module.affine(x, w, b, activation)

    points = verification.layers()
    return gradcheck.pair(forward, module.affine_backward, points=points, name="layer")


def verify(rule, **options):
    return gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, **options)


def verify_where_all_is_square(rule: Rule) -> Report:
    """Verify a rule where no shape gives a fault away: 3 layers of 3 units, 3 examples."""
    rng = np.random.default_rng(SEED)
    weights = [rng.normal(size=(3, 3)) for _ in range(3)]
    biases = [rng.normal(size=(3, 1)) for _ in range(3)]
    x, t = rng.normal(size=(2, 3, 3))
    if rule.name == "network":
        inputs = weights, biases, x, t, ("sine", "softplus", "tanh")
        return gradcheck.verify_at(rule, inputs, checks=["gradient"])
    point = gradcheck.Point((x, weights[0], biases[0], "tanh"), cotangent=t)
    return gradcheck.verify_at(rule, point, checks=["gradient"])


@cache
def unmutated(module_name: str) -> Report:
    make = {"reference.network": network_rule, "reference.layer": layer_rule}[module_name]
    return verify(make(importlib.import_module(module_name)))


NETWORK = {
    "the derivative of the last layer is missing": (
        "delta[L] = (x[L] - t) * slope",
        "delta[L] = x[L] - t",
    ),
    "the error has the wrong sign": ("(x[L] - t) * slope", "(t - x[L]) * slope"),
    "the factor 1/2 of the loss is lost": ("(x[L] - t) * slope", "2 * (x[L] - t) * slope"),
    "the error is that of the wrong layer": ("(x[L] - t) * slope", "(x[L] - 1.001 * t) * slope"),
    "the last derivative is taken at the activation": (
        "slope = f[L].f_prime(z[L])",
        "slope = f[L].f_prime(x[L])",
    ),
    "a hidden derivative is taken at the activation": (
        "f[i].f_prime(z[i]), f",
        "f[i].f_prime(x[i]), f",
    ),
    "a hidden derivative is that of the last layer's function": (
        "f[i].f_prime(z[i]), f",
        "f[L].f_prime(z[i]), f",
    ),
    "the derivative of a hidden layer is missing": ("@ delta[i + 1]) * slope", "@ delta[i + 1])"),
    "the transpose of the weights is lost": (
        "(W[i + 1].T @ delta[i + 1]) * slope",
        "(W[i + 1] @ delta[i + 1]) * slope",
    ),
    "the weights are those of the wrong layer": (
        "(W[i + 1].T @ delta[i + 1]) * slope",
        "(W[i].T @ delta[i + 1]) * slope",
    ),
    "the last delta is used in every layer": (
        "(W[i + 1].T @ delta[i + 1]) * slope",
        "(W[i + 1].T @ delta[L]) * slope",
    ),
    "the transpose of the input is lost": (
        "dW[i] = delta[i] @ x[i - 1].T",
        "dW[i] = delta[i] @ x[i - 1]",
    ),
    "the input is that of the wrong layer": (
        "dW[i] = delta[i] @ x[i - 1].T",
        "dW[i] = delta[i] @ x[i].T",
    ),
    "the input is the pre-activation": (
        "dW[i] = delta[i] @ x[i - 1].T",
        "dW[i] = delta[i] @ (x if i == 1 else z)[i - 1].T",
    ),
    "the batch is averaged": (
        "dW[i] = delta[i] @ x[i - 1].T",
        "dW[i] = delta[i] @ x[i - 1].T / t.shape[1]",
    ),
    "the gradient is transposed": (
        "dW[i] = delta[i] @ x[i - 1].T",
        "dW[i] = x[i - 1] @ delta[i].T",
    ),
    "the bias gets the last layer's delta": (
        "bias_gradient(delta[i], b[i], i)",
        "bias_gradient(delta[L], b[i], i)",
    ),
    "the input gradient stops a layer too early": ("gradients.delta[1]\n", "gradients.delta[-1]\n"),
    "the transpose of the first weights is lost": ("dx = W_1.T @ delta_1", "dx = W_1 @ delta_1"),
    "the gradient of the truth has the wrong sign": (
        "dt = t - passed.x[-1]",
        "dt = passed.x[-1] - t",
    ),
}

LAYER = {
    "the derivative is taken at the output": (
        "slope = activation(name).f_prime(z)",
        "slope = activation(name).f_prime(activation(name).f(z))",
    ),
    "the derivative is missing": ("delta = dout * slope", "delta = dout"),
    "the cotangent is ignored": ("delta = dout * slope", "delta = slope"),
    "the weight gradient is transposed": ("dw = delta @ x.T", "dw = x @ delta.T"),
    "the weight gradient lost its transpose": ("dw = delta @ x.T", "dw = delta @ x"),
    "the input gradient lost its transpose": ("dx = w.T @ delta", "dx = w @ delta"),
    "the input gradient skips the derivative": ("dx = w.T @ delta", "dx = w.T @ dout"),
    "the bias gradient is a mean": (
        "namespace(delta).sum(delta, axis=1, keepdims=True)",
        "namespace(delta).mean(delta, axis=1, keepdims=True)",
    ),
    "the bias gradient sums over the units": (
        "namespace(delta).sum(delta, axis=1, keepdims=True)",
        "namespace(delta).sum(delta, axis=0, keepdims=True).T",
    ),
    "the bias gradient is a maximum": (
        "namespace(delta).sum(delta, axis=1, keepdims=True)",
        "namespace(delta).max(delta, axis=1, keepdims=True)",
    ),
}


MUTATIONS = [
    pytest.param(make, module, *lines, id=f"{module}: {what}")
    for make, module, table in (
        (network_rule, "reference.network", NETWORK),
        (layer_rule, "reference.layer", LAYER),
    )
    for what, lines in table.items()
]


@pytest.mark.parametrize("module", ["reference.network", "reference.layer"])
def test_the_unmutated_network_and_layer_pass(module):
    report = unmutated(module)
    assert report.verdict == "pass", str(report)
    oracles = report.power["gradient"]["oracles"]
    assert set(oracles) == {"extended precision", "autodiff", "finite differences"}


@pytest.mark.parametrize(("make", "module", "old", "new"), MUTATIONS)
def test_a_mutated_line_is_caught_where_its_shapes_are_right(make, module, old, new):
    right = verify_where_all_is_square(make(importlib.import_module(module)))
    assert right.verdict == "pass", str(right)
    wrong = verify_where_all_is_square(make(mutant(module, old, new)))
    assert wrong.verdict == "fail", str(wrong)
    assert "claimed" in wrong.findings[0].message, "not the gradient's value, but its shape"


@pytest.mark.slow
@pytest.mark.parametrize(("make", "module", "old", "new"), MUTATIONS)
def test_a_mutated_line_is_caught_over_random_architectures(make, module, old, new):
    report = verify(make(mutant(module, old, new)), checks=["gradient"])
    assert report.verdict == "fail", str(report)


def test_a_failing_network_shrinks_to_the_smallest_that_shows_the_fault():
    """A derivative that is missing in hidden layers needs two layers to show, and no more."""
    old, new = NETWORK["the derivative of a hidden layer is missing"]
    report = verify(network_rule(mutant("reference.network", old, new)), checks=["gradient"])
    case = report.findings[0].message.split("smallest failing case: ")[1]
    assert case.startswith("weights [1, 1] [1, 1], biases=")
    assert "gradcheck.verify_at(network, gradcheck.Point(([np.array(" in report.reproduction


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_relative_fault_of_a_millionth_in_one_entry_is_caught_and_nothing_else_is(count):
    clean, faulty, missed = power.measure(count)
    assert clean.get("fail", 0) == 0
    assert faulty == {"fail": count}, missed


def plain_numpy() -> types.ModuleType:
    """Return the network with NumPy written where it asks its arrays for their namespace."""
    modules = {}
    for name in ("reference.activations", "reference.layer", "reference.network"):
        source = Path(importlib.import_module(name).__file__).read_text()
        source = source.replace(
            "from reference.arrays import Array, namespace", "import numpy as np"
        )
        source = re.sub(r"namespace\((\w+)\)", "np", source).replace(": Array", ": object")
        for other in modules:
            source = source.replace(f"from {other} import", f"from {modules[other]} import")
        module = types.ModuleType(name.replace("reference.", "plain_numpy_"))
        modules[name] = module.__name__
        module.__dict__["Array"] = object
        sys.modules[module.__name__] = module
        exec(compile(source, name, "exec"), module.__dict__)
    return module


def test_a_plain_numpy_copy_of_the_network_gets_the_same_verdicts_and_figures():
    try:
        module = plain_numpy()
        assert "namespace" not in vars(module)
        reports = [unmutated("reference.network"), verify(network_rule(module))]
    finally:
        for name in ("activations", "layer", "network"):
            sys.modules.pop(f"plain_numpy_{name}", None)
    ours, plain = (report.as_dict()["checks"] for report in reports)
    assert reports[0].verdict == reports[1].verdict == "pass"
    assert [check["power"] for check in ours] == [check["power"] for check in plain]
