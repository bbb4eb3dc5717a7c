"""What is read of a document: containers, macros, lines, directives; and what is refused."""

from __future__ import annotations

import json

import pytest

from gradcheck.derivations import DerivationError, audit
from gradcheck.derivations.document import read_text
from gradcheck.derivations.rows import cut


def lines_and_sources(text):
    return [(row.line, row.latex) for row in cut(read_text(text).formulas)]


@pytest.mark.parametrize(
    "text",
    [
        "a\n\n$$\ny = 2x\n$$\n",
        "a\n\n\\[\ny = 2x\n\\]\n",
        "a\n\n```math\ny = 2x\n```\n",
        "a\n\n\\begin{align*}\ny = 2x\n\\end{align*}\n",
        'a\n\n<script type="math/tex; mode=display">\ny = 2x\n</script>\n',
    ],
    ids=["dollars", "brackets", "fence", "align", "mathjax"],
)
def test_each_container_of_math_keeps_its_line(text):
    assert lines_and_sources(text) == [(4, "y = 2x")]


def test_rows_of_an_align_environment_have_lines_of_their_own():
    text = "$$\n\\begin{align}\ny &= 2x \\\\\nz &= 3y\n\\end{align}\n$$\n"
    assert lines_and_sources(text) == [(3, "y = 2x"), (4, "z = 3y")]


def test_two_formulas_on_one_line_are_two_with_prose_between():
    assert lines_and_sources("$$y = 2x$$ and so $$z = 3y$$\n") == [(1, "y = 2x"), (1, "z = 3y")]


def test_math_in_a_code_span_or_another_fence_is_no_formula():
    assert lines_and_sources("`$y = 2x$`\n\n```python\ny = '$a = b$'\n```\n") == []


def test_macros_of_the_page_are_expanded():
    text = (
        "$$\\newcommand{\\half}[1]{\\frac{1}{2}{#1}} E = \\half{\\|x\\|^2}$$\n\n"
        "$$\\frac{\\partial E}{\\partial x} = x$$\n"
    )
    assert [row.verdict for row in audit(text).rows] == ["true", "true"]


def test_a_planted_factor_behind_a_macro_is_found():
    text = (
        "$$\\def\\half#1{\\frac{1}{2}{#1}} E = \\half{\\|x\\|^2}$$\n\n"
        "$$\\frac{\\partial E}{\\partial x} = 2x$$\n"
    )
    assert audit(text).first_wrong.reason.startswith("the right side is 2 times the left side")


def markdown_cell(name, source):
    return {"cell_type": "markdown", "metadata": {}, "source": source, "id": name}


def test_a_notebooks_markdown_cells_are_read_and_its_code_is_not_run(tmp_path):
    code = {"cell_type": "code", "metadata": {}, "source": "raise SystemExit", "id": "b"}
    cells = [
        markdown_cell("a", "$$E = \\frac12\\|x\\|^2$$"),
        {**code, "outputs": [], "execution_count": None},
        markdown_cell("c", "$$\\frac{\\partial E}{\\partial x} = -x$$"),
    ]
    path = tmp_path / "note.ipynb"
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    found = audit(path)
    assert [row.verdict for row in found.rows] == ["true", "false"]
    assert found.first_wrong.ratio == pytest.approx(-1)


def test_a_directive_says_what_a_symbol_is():
    text = "$$y = Wx + b$$\n"
    assert dict(audit(text).symbols)["W"].startswith("given, rows")
    scalar = audit("<!-- gradcheck: W is scalar; vectors are rows -->\n\n" + text)
    assert dict(scalar.symbols)["W"] == "given, a number"


def test_front_matter_overrides_like_a_comment():
    text = "---\ngradcheck:\n  - W is scalar\n---\n\n$$y = Wx$$\n"
    assert dict(audit(text).symbols)["W"] == "given, a number"


def test_an_unknown_directive_is_refused_with_its_line():
    with pytest.raises(
        DerivationError, match=r"line 3: the directive 'W matrix' is not understood"
    ):
        audit("$$y = x$$\n\n<!-- gradcheck: W matrix -->\n")


def test_a_row_that_is_not_understood_is_never_true():
    found = audit("$$\\frac{\\partial y}{\\partial x} = \\oint_\\gamma \\heartsuit \\, d\\mu$$\n")
    assert found.rows[0].verdict == "not checked"
    assert found.verdict == "inconclusive"


def test_a_document_without_equations_passes_nothing():
    assert audit("no math\n").verdict == "inconclusive"


def test_broken_math_is_a_syntax_verdict_and_the_rest_is_read():
    found = audit("$$y = ( x$$\n\n$$E = \\|x\\|^2$$\n")
    assert [row.verdict for row in found.rows] == ["syntax", "true"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pdf", b"%PDF", "reads Markdown"),
        ("a.md", b"\xff\xfe\x00\x01", "not UTF-8 text"),
        ("a.md", b"$$a=\x00b$$", "null characters"),
        ("a.md", b"$$x$$ " * 2_000_000, "split it"),
        ("a.ipynb", b"{}", "no readable notebook"),
    ],
    ids=["pdf", "binary", "null", "ten megabytes", "no notebook"],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DerivationError, match=words):
        audit(path)


def test_a_missing_file_is_named():
    with pytest.raises(DerivationError, match=r"nowhere\.md: No such file"):
        audit("nowhere.md")
