"""An accusation stands only where finite differences side with the derivative that was taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck.derivations import audit, auditing, witness

TARGET = (Path(__file__).parent / "target.md").read_text(encoding="utf-8")
HALVED = r"""
$$y = f(W x)$$

$$E = \frac12 \|y - t\|^2$$

$$\frac{\partial E}{\partial y} = 2 (y - t)$$

$$\frac{\partial E}{\partial W} = \frac12 \left[ (y - t) \circ f'(W x) \right] x^T$$
"""


@pytest.mark.parametrize(("text", "accused"), [(HALVED, 2), (TARGET, 3)], ids=["leaf", "family"])
def test_differences_side_with_the_truth_and_refute_a_derivative_that_is_off_by_a_thousandth(
    text: str, accused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    def listen(model, cases, seed):
        for case in witness._accused(cases):
            for point, left in zip(witness._points(case), case.left, strict=True):
                heard.append(
                    tuple(
                        witness._refuted(
                            model, case, point, factor * left, np.random.default_rng(seed)
                        )
                        for factor in (1.0, 1.001, 2.0)
                    )
                )

    monkeypatch.setattr(auditing, "hear_witness", listen)
    audit(text)
    assert heard == [(False, True, True)] * 2 * accused


def test_a_row_whose_accusation_is_not_confirmed_is_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [row.verdict for row in audit(HALVED).rows] == ["true", "true", "false", "false"]
    monkeypatch.setattr(witness, "_refuted", lambda *_: True)
    rows = audit(HALVED).rows
    assert [row.verdict for row in rows] == ["true", "true", "not checked", "not checked"]
    assert rows[-1].reason == witness.UNCONFIRMED
