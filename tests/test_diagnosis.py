"""What a user is told instead of a number."""

import numpy as np
import pytest

from gradcheck.diagnosis import explain, explain_shape

TRUE = np.array([[1.0, -2.0, 0.0], [3.0, 5.0, 7.0], [0.5, 4.0, -6.0]])
SIZES = {"N": 8, "D": 3}

RELATIONS = {
    "a factor of a half": (0.5 * TRUE, "claimed = true × 0.5: a factor is wrong"),
    "a mean for a sum": (TRUE / 8, "claimed = true / 8, and 8 is N: a mean for a sum"),
    "a sum for a mean": (TRUE * 8, "claimed = true × 8, and 8 is N: a sum for a mean"),
    "an unusual factor": (TRUE * 1.7, "claimed = true × 1.7 in every entry"),
    "a lost sign": (-TRUE, "claimed = −true: the sign is wrong"),
    "a transpose": (TRUE.T, "claimed equals the transpose of the true gradient"),
    "one row only": (TRUE * [[1], [0], [0]], "only row 0 is there"),
    "another order": (
        TRUE[::-1],
        "claimed holds the entries of the true gradient in another order",
    ),
    "zero": (0 * TRUE, "claimed is zero"),
    "not finite": (TRUE + np.nan, "claimed is not finite where the true gradient is"),
    "nothing that fits": (TRUE + 1.0, ""),
    "a factor in one entry only": (TRUE * (1 + (TRUE == 7)), ""),
}


@pytest.mark.parametrize(("claimed", "words"), list(RELATIONS.values()), ids=list(RELATIONS))
def test_the_relation_of_claim_and_truth_is_put_into_words(claimed, words):
    assert explain(claimed, TRUE, SIZES).startswith(words)
    assert bool(explain(claimed, TRUE, SIZES)) == bool(words)


def test_an_eps_added_to_the_input_is_told_with_its_size_and_a_shift_by_an_entry_is_not():
    x = np.array([0.2, 0.5, -0.9])
    assert explain(1 / x, 1 / (x + 1e-7), {}, x).startswith(
        "claimed = true × (1 + 1e-07 / x): an eps of 1e-07 that the forward adds"
    )
    assert explain(1 / x, 1 / (x + np.array([1e-7, 2e-7, 1e-7])), {}, x) == ""


SHAPES = {
    "a bias not summed over the batch": ((8, 3), (3,), "the sum over axis 0 (N = 8) is missing"),
    "a kept axis not summed": (
        (3, 8),
        (3, 1),
        "the sum over the broadcast axis 1 (N = 8) is missing",
    ),
    "a transpose": ((3, 8), (8, 3), "it is transposed"),
    "an axis too few": ((3,), (8, 3), "it was summed over an axis too many"),
    "nothing that fits": ((2, 5), (8, 3), ""),
}


@pytest.mark.parametrize(("actual", "expected", "words"), list(SHAPES.values()), ids=list(SHAPES))
def test_a_wrong_shape_is_put_into_words(actual, expected, words):
    assert explain_shape(actual, expected, SIZES) == words
