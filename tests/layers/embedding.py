"""An embedding, whose backward adds up the rows of repeated words."""

import numpy as np

from tests.layers import Pair


def embedding_forward(table, words):
    return table[words], (table.shape, words)


def embedding_backward(dout, cache):
    shape, words = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, words, dout)
    return dtable, None


def embedding_backward_overwrites(dout, cache):
    shape, words = cache
    dtable = np.zeros(shape)
    dtable[words] += dout
    return dtable, None


def embedding_backward_average(dout, cache):
    dtable, _ = embedding_backward(dout, cache)
    counts = np.bincount(cache[1].ravel(), minlength=cache[0][0])
    return dtable / np.maximum(counts, 1)[:, None], None


def embedding_backward_forgets_first_word(dout, cache):
    dtable, _ = embedding_backward(dout, cache)
    dtable[0] = 0
    return dtable, None


LAYERS = [
    Pair(
        "embedding",
        embedding_forward,
        embedding_backward,
        (
            embedding_backward_overwrites,
            embedding_backward_average,
            embedding_backward_forgets_first_word,
        ),
        lambda rng: (rng.normal(size=(5, 3)), np.array([[0, 2, 2], [4, 2, 0]])),
    )
]
