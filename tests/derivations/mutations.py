"""Single mutations of the repaired target document: (kind, line, what stands there, what is put)."""

from __future__ import annotations

from pathlib import Path

TARGET = Path(__file__).with_name("target.md")

WRONG_LOSS = r"E&=\|x_L-t\|_2^2"
RIGHT_LOSS = r"E&=\frac{1}{2}\|x_L-t\|_2^2"

MUTATIONS = [
    ("transpose", 88, r"W_{i+1}^T\delta_{i+1}\circ", r"W_{i+1}\delta_{i+1}\circ"),
    ("transpose", 94, r"\delta_ix_{i-1}^T", r"\delta_ix_{i-1}"),
    ("transpose", 69, r"[W_2^T\delta_2 \circ", r"[W_2\delta_2 \circ"),
    ("factor", 81, r"\frac{1}{2}\|x_L", r"\frac{1}{4}\|x_L"),
    ("factor", 94, r"&=\delta_ix_{i-1}^T", r"&=2\delta_ix_{i-1}^T"),
    ("sign", 44, r"(x_3-t)\frac", r"(t-x_3)\frac"),
    ("sign", 87, r"(x_L-t)\circ", r"(t-x_L)\circ"),
    ("sign", 95, r"W_i - \alpha", r"W_i + \alpha"),
    ("prime", 45, r"f_3'(W_3x_2)", r"f_3(W_3x_2)"),
    ("prime", 87, r"f_L'(W_L", r"f_L(W_L"),
    ("prime", 88, r"f_i'(W_ix_{i-1})", r"f_i(W_ix_{i-1})"),
    ("index", 60, r"f_2'(W_2x_1)", r"f_2'(W_2x_2)"),
    ("index", 61, r"\delta_2x_1^T", r"\delta_2x_2^T"),
    ("order", 48, r"\delta_3x_2^T", r"x_2^T\delta_3"),
    ("order", 59, r"W_3^T\delta_3\frac", r"\delta_3W_3^T\frac"),
    ("Hadamard", 46, r"(x_3-t)\circ f_3'", r"(x_3-t) f_3'"),
    ("Hadamard", 88, r"\delta_{i+1}\circ f_i'", r"\delta_{i+1} f_i'"),
    ("argument of f'", 87, r"f_L'(W_Lx_{L-1})", r"f_L'(x_L)"),
    ("argument of f'", 69, r"f_1'(W_1x_0)", r"f_1'(x_1)"),
    ("argument of f'", 88, r"f_i'(W_ix_{i-1})", r"f_i'(W_ix_i)"),
    ("layer index", 88, r"W_{i+1}^T\delta_{i+1}", r"W_{i}^T\delta_{i+1}"),
    ("layer index", 94, r"\delta_ix_{i-1}^T", r"\delta_{i}x_{i}^T"),
    ("layer index", 58, r"\delta_3\frac", r"\delta_2\frac"),
    ("lost term", 44, r"(x_3-t)\frac", r"x_3\frac"),
    ("lost term", 47, r"(x_3-t)\circ f_3'(W_3x_2)", r"(x_3-t)"),
    ("lost term", 88, r"\delta_{i+1}\circ f_i'(W_ix_{i-1})", r"\delta_{i+1}"),
]

FALSIFIED = {47: {48, 61, 69}, 87: {61, 69}, 88: {61, 69}}
"""Rows that use what a mutated definition defines, and stand before or just behind it."""


def repaired() -> str:
    """Return the target document with the 1/2 of its last loss restored."""
    text = TARGET.read_text(encoding="utf-8")
    assert text.count(WRONG_LOSS) == 1
    return text.replace(WRONG_LOSS, RIGHT_LOSS)


def mutated(line: int, old: str, new: str) -> str:
    """Return the repaired document with one edit on one line."""
    lines = repaired().split("\n")
    assert lines[line - 1].count(old) == 1, lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines)
