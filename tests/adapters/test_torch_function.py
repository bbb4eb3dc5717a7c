"""`gradcheck.torch_function`: Functions, modules and functions of tensors."""

import numpy as np
import pytest

import gradcheck
from gradcheck import torch_function, verify

torch = pytest.importorskip("torch", reason="needs torch: pip install 'gradcheck[torch]'")

from tests.adapters import torch_functions  # noqa: E402  (imports torch)

EXAMPLES, SEED = 15, 3
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def verdict_of(rule, **options):
    report = verify(rule, examples=EXAMPLES, seed=SEED, checks=["gradient", "shapes"], **options)
    return report.verdict, report


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("right", "wrong", "options"), torch_functions.CASES, ids=lambda it: getattr(it, "__name__", "")
)
def test_the_right_function_passes_and_its_wrong_twin_fails(right, wrong, options, device):
    verdict, report = verdict_of(torch_function(right, device=device, **options))
    assert verdict == "pass", str(report)
    assert report.power["gradient"]["oracles"]["torch autodiff"] == EXAMPLES
    assert report.power["gradient"]["oracles"]["finite differences"] == EXAMPLES
    verdict, report = verdict_of(torch_function(wrong, device=device, **options))
    assert verdict == "fail", str(report)


def test_the_report_says_that_there_is_no_certificate():
    _, report = verdict_of(torch_function(torch_functions.Square, x="N"))
    assert not report.certified
    assert any("torch code is not traced" in note for note in report.notes)
    assert any("no certificate" in note for note in report.notes)


def test_a_gradient_that_the_engine_would_sum_is_named_by_its_shape():
    rule = torch_function(torch_functions.AffineBroadcastBias, x="N D", w="D M", b="M")
    _, report = verdict_of(rule)
    assert "sum over the batch" in str(report) or "has shape" in str(report)


class Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 0.5 * g * torch.cos(x)


captured = Inner.apply


@pytest.mark.parametrize("apply", [lambda x: Inner.apply(x), captured], ids=["looked up", "held"])
def test_a_wrong_function_inside_does_not_vouch_for_the_outer_one(apply):
    def outer(x):
        return (apply(x) * x).sum()

    rule = torch_function(outer, x="N")
    verdict, report = verdict_of(rule)
    assert verdict == "fail"
    assert rule.name == "outer"
    assert "torch autodiff" in report.findings[0].message


def test_functions_have_their_backward_again_after_a_verification():
    x = torch.ones(2, requires_grad=True)
    verdict_of(torch_function(Inner, x="N"))
    captured(x).sum().backward()
    torch.testing.assert_close(x.grad, 0.5 * torch.cos(torch.ones(2)))


class Network(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.activation = activation

    def forward(self, x):
        return self.activation.apply(self.norm(self.first(x)))


def test_the_parameters_of_a_module_are_inputs():
    rule = torch_function(Network(torch_functions.Sigmoid), x="N D")
    assert rule.input_names == ("x", "parameters")
    assert rule.contract.domains["x"].shape.text == "N 3"
    verdict, report = verdict_of(rule)
    assert verdict == "pass", str(report)
    verdict, report = verdict_of(torch_function(Network(torch_functions.SigmoidOfOutput), x="N D"))
    assert verdict == "fail"


def test_the_parameters_of_a_module_are_drawn_beside_the_users_inputs():
    def draw(rng):
        return (rng.normal(size=(5, 3)),)

    right = torch_function(Network(torch_functions.Sigmoid), inputs=draw)
    assert verdict_of(right)[0] == "pass"
    wrong = torch_function(Network(torch_functions.SigmoidOfOutput), inputs=draw)
    verdict, _ = verdict_of(wrong)
    assert verdict == "fail"


def test_a_module_is_left_as_it_was():
    module = Network(torch_functions.Sigmoid)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    verdict_of(torch_function(module, x="N D"))
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name])


class Numpys(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(np.sin(x.detach().numpy()))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.cos(x)


def test_a_forward_that_leaves_torch_is_decided_by_differences():
    verdict, report = verdict_of(torch_function(Numpys, x="N"))
    assert verdict == "pass", str(report)
    assert "torch autodiff" not in report.power["gradient"]["oracles"]


def test_a_kink_nearby_is_not_decided_by_torch():
    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.clamp(x, min=0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * (x > 0)

    rule = torch_function(Relu, x="N")
    from gradcheck.oracles.torch_autodiff import TorchAutodiff
    from gradcheck.rules import Point, claim_at

    claim = claim_at(rule, Point((np.array([0.0, 1.0]),), np.array([1.0, 1.0])))
    entries = TorchAutodiff().examine(rule, claim, np.random.default_rng(0)).entries["x"]
    assert np.isinf(entries.bound[0]) or entries.bound[0] >= 1
    assert entries.bound[1] < 1e-6
    assert verdict_of(rule)[0] == "pass"


def test_something_else_is_refused():
    with pytest.raises(gradcheck.ContractError, match=r"f is 3; a torch.autograd.Function"):
        torch_function(3, x="N")


def test_without_torch_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(gradcheck.UsageError, match=r"pip install 'gradcheck\[torch\]'"):
        torch_function(lambda x: x, x="N")
