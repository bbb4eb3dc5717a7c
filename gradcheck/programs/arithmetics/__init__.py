"""Arithmetics: the numbers in which a program is evaluated.

floating        float16, bfloat16, float32, float64, complex: NumPy's own numbers
running_error   a number with a bound on the rounding error that it has gathered
extended        running error over numbers wider than float64
finite_field    residues modulo two primes, for exact answers
"""
