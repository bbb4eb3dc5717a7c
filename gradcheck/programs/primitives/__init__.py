"""What each jaxpr primitive does to arrays, sorted by what it asks of an arithmetic.

structure      moves entries, computes none: acts on every component of a value alike
decisions      branches on comparisons of entries: decided by one component for all
composites     written in the elementary operations that every arithmetic has
elementwise    a function of each entry: one table for floating numbers, others elsewhere
"""
