"""The audited document as one HTML page: rendered math, a mark on each row, nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape, unescape
from typing import TYPE_CHECKING, Any

from gradcheck.derivations.document import respell
from gradcheck.derivations.limits import LIMITS
from gradcheck.derivations.sizes import annotated

if TYPE_CHECKING:
    from gradcheck.derivations.audits import Audit, AuditRow

__all__ = ["STYLE", "render_html", "rows_table"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table.rows { border-collapse: collapse; width: 100%; margin: .5rem 0; }
table.rows td { padding: .3rem .6rem; vertical-align: top; border-top: 1px solid #ddd; }
td.line { color: #777; text-align: right; width: 3rem; }
td.verdict { white-space: nowrap; width: 8rem; }
tr.true td.verdict { color: #17692f; }
tr.wrong { background: #fdecea; } tr.wrong td.verdict { color: #a11; font-weight: bold; }
tr.open td.verdict { color: #8a6d00; }
.reason { color: #444; font-size: .9em; } .sizes { display: none; }
body.sizes .sizes { display: block; } body.sizes .plain { display: none; }
.first { border: 2px solid #a11; padding: .5rem 1rem; }
"""


def render_html(audit: Audit) -> str:
    """Return a page with the document's prose, its rows, and the first wrong line on top."""
    title = escape(audit.path or "derivation")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{title}: audit</title><style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{escape(audit.summary)}</p>",
    ]
    first = audit.first_wrong
    if first is not None:
        parts.append(f"<div class='first'><p>First wrong line</p>{rows_table([first])}</div>")
    parts.append(
        "<p><label><input type='checkbox' onchange=\"document.body.classList.toggle('sizes')\"> "
        "show sizes</label></p>"
    )
    parts.extend(_body(audit))
    if audit.symbols or audit.notes:
        parts.append("<h2>Read as</h2><ul>")
        parts.extend(
            f"<li><b>{escape(name)}</b>: {escape(what)}</li>" for name, what in audit.symbols
        )
        parts.extend(f"<li>{escape(note)}</li>" for note in audit.notes)
        parts.append("</ul>")
    parts.append("</body></html>")
    return "\n".join(parts)


def _body(audit: Audit) -> list[str]:
    """Render the document block by block, with the rows of each block below it."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": LIMITS.nesting})
    parser.use(
        dollarmath_plugin, double_inline=True, allow_space=True, allow_digits=True,
        renderer=lambda content, options: mathml(content, bool(options.get("display_mode"))),
    )  # fmt: skip
    tokens = parser.parse(respell(audit.source))
    parts: list[str] = []
    block: list[Any] = []
    done = 0
    rows = list(audit.rows)
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            end = max((t.map[1] for t in block if t.map), default=done)
            own = [row for row in rows if done < row.line <= end]
            only_math = own and all(
                t.type.startswith("math_block") or t.type == "fence" for t in block
            )
            if not only_math:
                parts.append(parser.renderer.render(block, parser.options, {}))
            if own:
                parts.append(rows_table(own))
            done, block = max(done, end), []
    rest = [row for row in rows if row.line > done]
    if rest:
        parts.append(rows_table(rest))
    return parts


def rows_table(rows: Sequence[AuditRow]) -> str:
    """Return rows as one HTML table, each with its mark."""
    return f"<table class='rows'>{''.join(_row(row) for row in rows)}</table>"


def _row(row: AuditRow) -> str:
    kind = "wrong" if row.wrong else "true" if row.verdict == "true" else "open"
    sizes = dict(row.sizes)
    told = row.needs_reason or row.certified
    reason = f"<div class='reason'>{escape(row.reason)}</div>" if told else ""
    shown = mathml(row.equation, True)
    if sizes:
        sized = mathml(annotated(row.equation, sizes), True)
        shown = f"<div class='plain'>{shown}</div><div class='sizes'>{sized}</div>"
    return (
        f"<tr class='{kind}'><td class='line'>{row.line}</td>"
        f"<td class='verdict'>{escape(row.label)}</td>"
        f"<td>{shown}{reason}</td></tr>"
    )


def mathml(latex: str, display: bool) -> str:
    """Return a formula as MathML, or its source where that cannot be made."""
    import xml.etree.ElementTree as Tree

    from latex2mathml.converter import convert_to_element

    try:
        root = convert_to_element(latex, display="block" if display else "inline")
        for element in root.iter():
            element.text = unescape(element.text or "")
        return Tree.tostring(root, encoding="unicode")
    except Exception:  # the converter raises whatever its walk meets; the source still shows
        return f"<code>{escape(latex)}</code>"
