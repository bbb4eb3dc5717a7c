"""Backpropagation in matrix form, written by hand from `derivation.md`.

The specimen that the checker is pointed at, and an example of code that reads as its derivation:

    shapes        the dimension checks of the derivation, as assertions that always run
    activations   each f beside its f'
    layer         one affine layer f(W x + b) and its backward
    network       L layers: forward, loss, backward
    descent       stochastic and batch gradient descent
    digits        training on real handwritten digits (`python -m reference.digits`)

Arrays may come from any library that keeps the Python array API standard: the functions take their
operations from the namespace of the arrays that they are given. An example is a column; a batch is
the columns of one matrix.
"""
