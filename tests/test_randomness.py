"""The program's random numbers: fixed while user code runs, and put back."""

import random

import numpy as np
from numpy.random.mtrand import get_bit_generator

from gradcheck.randomness import fixed_random_state


def drawn():
    return np.random.normal(size=3).tolist(), np.random.randint(100), random.random()  # noqa: NPY002


def test_the_numbers_are_those_of_seed_0_and_the_programs_own_follow_as_if_nothing_had_been():
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before, after = drawn(), drawn()
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    assert drawn() == before
    with fixed_random_state():
        first = drawn()
    assert drawn() == after
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    assert first == drawn()


def test_one_inside_another_leaves_the_outer_numbers_as_they_were():
    """Three normal numbers leave half a pair waiting, which both must not share."""
    with fixed_random_state():
        whole = [np.random.randint(1000) for _ in range(6)]  # noqa: NPY002
    with fixed_random_state():
        halves = [np.random.randint(1000) for _ in range(3)]  # noqa: NPY002
        with fixed_random_state():
            inner = drawn()
            np.random.seed(7)  # noqa: NPY002
        with fixed_random_state():
            again = drawn()
        halves += [np.random.randint(1000) for _ in range(3)]  # noqa: NPY002
    assert halves == whole
    assert inner == again


def test_an_error_inside_puts_them_back_too():
    generator = get_bit_generator()
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.randint(1000)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    for depth in (1, 2):
        try:
            with fixed_random_state():
                if depth == 2:
                    with fixed_random_state():
                        raise ValueError
                raise ValueError
        except ValueError:
            pass
    assert np.random.randint(1000) == expected  # noqa: NPY002
    assert get_bit_generator() is generator
