"""The network learns to read handwritten digits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from reference import digits as module
from reference.digits import METHODS, accuracy, descend, load, main, train

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def digits():
    return load()


def test_the_digits_are_split_and_scaled(digits):
    images = digits.x.shape[1], digits.x_test.shape[1]
    assert images == (1438, 359)
    assert (digits.x.min(), digits.x.max()) == (0.0, 1.0)
    assert (digits.t.sum(axis=0) == 1).all()
    together = np.hstack([digits.x, digits.x_test])
    assert together.shape == (64, 1797)
    other = load(seed=1)
    assert (other.x_test[:, :1] != digits.x_test[:, :1]).any()


def test_a_few_epochs_of_batch_descent_lower_the_loss_at_each_and_read_digits(digits):
    states = list(descend(digits, "batch", epochs=30))
    assert all(after.loss < before.loss for before, after in pairwise(states[2:]))
    chance = 1 / 10
    untrained = accuracy(states[0], digits.x_test, digits.t_test)
    assert untrained < 3 * chance
    assert accuracy(states[-1], digits.x_test, digits.t_test) > 5 * chance


def test_one_epoch_of_stochastic_descent_reads_most_digits(digits):
    [state] = descend(digits, "stochastic", epochs=1)
    assert accuracy(state, digits.x_test, digits.t_test) > 0.8


def test_a_gradient_of_the_wrong_sign_does_not_learn(digits, monkeypatch):
    monkeypatch.setitem(METHODS, "batch", METHODS["batch"]._replace(rate=-0.1))
    losses = train(digits, "batch", epochs=30).losses
    assert losses[-1] > losses[0]


def test_the_demonstration_draws_the_losses_and_says_how_many_are_read(tmp_path, capsys):
    curve = tmp_path / "loss.png"
    main(["--method", "batch", "--epochs", "3", "--curve", str(curve)])
    assert curve.read_bytes().startswith(PNG_SIGNATURE)
    said = capsys.readouterr().out
    assert "batch descent: loss " in said
    assert "of the test images right after 3 epochs" in said
    assert f"loss curves: {curve}" in said


def test_the_demonstration_refuses_no_epochs(capsys):
    with pytest.raises(SystemExit):
        main(["--epochs", "0"])
    assert "--epochs must be at least 1, not 0" in capsys.readouterr().err


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"scikit-learn, which is not installed: pip install"):
        module.load()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_whole_training_run_reads_95_percent_of_the_test_images(method, digits):
    assert train(digits, method).accuracy >= 0.95
