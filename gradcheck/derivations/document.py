"""Markdown in, formulas with their line numbers out.

Markdown is read by markdown-it-py with its dollar-math plugin. What other renderers take for math
(`\\[ ... \\]`, bare `align` environments, MathJax scripts) is respelled with dollars first, line for
line, so that every formula keeps its line in the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.derivations.limits import LIMITS, DerivationError

__all__ = ["Document", "Formula", "read", "read_text", "respell"]

_SUFFIXES = {".md", ".markdown", ".ipynb"}
_FENCES = {"math", "latex", "tex", "katex"}

_OPENERS = re.compile(
    r"""(?P<fence>^[ ]{0,3}(?P<mark>`{3,}|~{3,})[^\n]*$)
    |(?P<ticks>`+)
    |(?P<comment><!--)
    |(?P<dollars>\$\$)
    |(?P<dollar>\\?\$)
    |(?P<script><script\ type=["']math/tex[^>\n]*>)
    |(?P<display>\\\\?\[)
    |(?P<inline>\\\\?\()
    |(?P<bare>\\begin\{(?P<name>align\*?|equation\*?|eqnarray\*?|gather\*?|multline\*?)\})
    """,
    re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(r"<!--\s*(gradcheck|equation)\s*:\s*(.*?)\s*-->", re.DOTALL)
_FRONT = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)


@dataclass(frozen=True)
class Formula:
    """One formula of a document.

    Attributes:
        latex: its source between the dollars.
        line: the line of the file on which it begins.
        display: whether it stands apart; a formula within a sentence declares and defines, but is
            judged only where it is an equation.
        section: the number of the heading above it.
        name: the name that a comment `<!-- equation: name -->` just above gives it, or "".
    """

    latex: str
    line: int
    display: bool
    section: int = 0
    name: str = ""


@dataclass(frozen=True)
class Document:
    """Formulas, what the author says of them, and the prose between.

    Attributes:
        path: the file, or None for text.
        source: the text that was read (for a notebook, its Markdown cells one below the other).
        formulas: in the order of the document.
        directives: (line, text) of every comment `<!-- gradcheck: ... -->` and front-matter line.
        prose: (line, text) of paragraphs, with formulas left in.
    """

    path: str | None
    source: str
    formulas: tuple[Formula, ...]
    directives: tuple[tuple[int, str], ...]
    prose: tuple[tuple[int, str], ...] = field(default=())


def read(path_or_text: str | Path) -> Document:
    """Return the formulas of a file, or of Markdown text (a string with a line break or a dollar).

    Raises:
        DerivationError: the file is missing, too large, no text, or of a format that is not read.
    """
    text = str(path_or_text)
    if not isinstance(path_or_text, Path) and ("\n" in text or "$" in text):
        return read_text(text)
    path = Path(path_or_text)
    if path.suffix.lower() not in _SUFFIXES:
        raise DerivationError(
            f"{path}: gradcheck reads Markdown (.md) and notebooks (.ipynb), not {path.suffix or 'this'}"
        )
    try:
        size = path.stat().st_size
        if size > LIMITS.document_bytes:
            raise DerivationError(
                f"{path}: {size:,} bytes, and a document may have {LIMITS.document_bytes:,}; split it"
            )
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DerivationError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DerivationError(
            f"{path}: not UTF-8 text (byte {error.start}); is it a binary file?"
        ) from None
    if path.suffix.lower() == ".ipynb":
        content = _markdown_cells(content, path)
    return read_text(content, str(path))


def read_text(text: str, path: str | None = None) -> Document:
    """Return the formulas of Markdown text.

    Raises:
        DerivationError: the text is too large or holds null characters.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LIMITS.document_bytes:
        raise DerivationError(
            f"the text has {len(text):,} characters, and a document may have "
            f"{LIMITS.document_bytes:,} bytes; split it"
        )
    if "\x00" in text:
        raise DerivationError("the text holds null characters; is it a binary file?")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > LIMITS.lines:
        raise DerivationError(
            f"the text has {text.count(chr(10)):,} lines, and a document may have {LIMITS.lines:,}; "
            "split it"
        )
    front = _FRONT.match(text)
    directives = _front_matter(front.group(1)) if front else []
    body = text
    if front:
        body = "\n" * front.group().count("\n") + text[front.end() :]
    speller = _Respeller(body)
    spelled = speller.spell()
    formulas, prose = _formulas(spelled)
    names: dict[int, str] = {}
    line, counted = 1, 0
    for place, comment in speller.comments:
        line, counted = line + spelled.count("\n", counted, place), place
        match = _COMMENT.fullmatch(comment)
        if match is None:
            continue
        if match.group(1) == "gradcheck":
            directives.append((line, match.group(2)))
        else:
            names[line + comment.count("\n")] = match.group(2)
    named = _give_names(formulas, names)
    return Document(path, text, tuple(named), tuple(directives), tuple(prose))


def respell(body: str) -> str:
    """Return Markdown with every spelling of math as dollars, line for line."""
    return _Respeller(body).spell()


class _Respeller:
    """One pass over a text; each region ends at its first closer, which is looked for once only."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.comments: list[tuple[int, str]] = []
        self.hopeless: set[str] = set()

    def spell(self) -> str:
        """Return the text with dollars; comments are collected with their places in it."""
        out: list[str] = []
        at = length = 0
        while (match := _OPENERS.search(self.body, at)) is not None:
            end, text = self._region(match)
            piece = self.body[at : match.start()] + text
            if match.group("comment") and end > match.end():
                self.comments.append((length + len(piece) - len(text), text))
            out.append(piece)
            length += len(piece)
            at = end
        out.append(self.body[at:])
        return "".join(out)

    def _find(self, closer: str, start: int) -> int:
        """Return where a closer stands, or -1; one that was not found is not looked for again."""
        if closer in self.hopeless:
            return -1
        place = self.body.find(closer, start)
        if place < 0:
            self.hopeless.add(closer)
        return place

    def _region(self, match: re.Match[str]) -> tuple[int, str]:
        """Return the end of the region that a match opens, and its spelling with dollars."""
        start, opened = match.end(), match.group()
        if match.group("fence"):
            return self._fence(match)
        if match.group("ticks"):
            return self._code(match)
        if match.group("dollar"):
            line = self.body.find("\n", start)
            line = len(self.body) if line < 0 else line
            close = self.body.find("$", start, line) if opened == "$" else -1
            return (
                (close + 1, self.body[match.start() : close + 1])
                if close > start
                else (start, opened)
            )
        closer, left, right = {
            "comment": ("-->", "<!--", "-->"),
            "dollars": ("$$", "$$", "$$"),
            "script": ("</script>", "$$", "$$"),
            "display": ("\\]", "$$", "$$"),
            "inline": ("\\)", "$", "$"),
            "bare": (f"\\end{{{match.group('name')}}}", opened, ""),
        }[str(next(k for k, v in match.groupdict().items() if v is not None and k != "name"))]
        close = self._find(closer, start)
        if close < 0:
            return start, opened
        inner = self.body[start:close]
        if closer == "$$":
            inner = _without_gaps(inner)
        if closer in ("\\]", "\\)") and inner.endswith("\\"):
            inner = inner[:-1]
        if closer == "\\)":
            left = right = "$$" if "\n" in inner else "$"
            inner = inner if "\n" in inner else inner.strip()
        if match.group("bare"):
            return close + len(closer), f"$${opened}{inner}{closer}$$"
        return close + len(closer), f"{left}{inner}{right}"

    def _fence(self, match: re.Match[str]) -> tuple[int, str]:
        mark = match.group("mark")
        closing = re.compile(
            rf"^[ ]{{0,3}}{re.escape(mark)}{re.escape(mark[0])}*[ \t]*$", re.MULTILINE
        )
        found = closing.search(self.body, match.end() + 1)
        end = len(self.body) if found is None else found.end()
        return end, self.body[match.start() : end]

    def _code(self, match: re.Match[str]) -> tuple[int, str]:
        ticks = match.group("ticks")
        key = f"code{len(ticks)}"
        found = None
        if key not in self.hopeless:
            found = re.compile(rf"(?<!`){ticks}(?!`)").search(self.body, match.end())
        if found is None:
            self.hopeless.add(key)
            return match.end(), ticks
        return found.end(), self.body[match.start() : found.end()]


def _without_gaps(inner: str) -> str:
    """Return a formula with a comment sign on each blank line inside an environment: it ends no paragraph."""
    lines = inner.split("\n")
    depth = 0
    for place, line in enumerate(lines):
        depth += line.count(r"\begin{") - line.count(r"\end{")
        if depth > 0 and not line.strip():
            lines[place] = "%"
    return "\n".join(lines)


def _give_names(formulas: list[Formula], names: dict[int, str]) -> list[Formula]:
    out = []
    pending = sorted(names.items())
    for formula in formulas:
        name = ""
        while formula.display and pending and pending[0][0] <= formula.line:
            name = pending.pop(0)[1]
        out.append(Formula(formula.latex, formula.line, formula.display, formula.section, name))
    return out


def _front_matter(block: str) -> list[tuple[int, str]]:
    """Return the lines under `gradcheck:` of a front matter, without their dashes."""
    lines: list[tuple[int, str]] = []
    inside = False
    for number, line in enumerate(block.splitlines(), start=2):
        if re.match(r"gradcheck\s*:", line):
            inside = True
            rest = line.split(":", 1)[1].strip()
            if rest:
                lines.append((number, rest))
        elif inside and (line.startswith((" ", "-", "\t"))):
            lines.append((number, line.strip().removeprefix("-").strip()))
        elif line.strip():
            inside = False
    return lines


def _formulas(text: str) -> tuple[list[Formula], list[tuple[int, str]]]:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"maxNesting": LIMITS.nesting})
    parser.use(dollarmath_plugin, double_inline=True, allow_space=True, allow_digits=True)
    parser.disable(["emphasis", "image", "link"])  # they hold no formula, and nest at a cost
    found: list[Formula] = []
    prose: list[tuple[int, str]] = []
    lines = text.split("\n")
    section = 0
    for token in parser.parse(text):
        begin, end = token.map or (0, 0)
        if token.type == "heading_open":
            section += 1
        elif token.type in ("math_block", "math_block_label"):
            first = "\n".join(lines[begin:end])
            lead = first[: first.find(token.content.strip()[:20])].count("\n")
            found.extend(_block(token.content.strip("\n"), begin + 1 + lead, section))
        elif token.type == "fence" and token.info.strip().split(" ")[0].lower() in _FENCES:
            if "\\documentclass" not in token.content:
                content = token.content.replace("$$", "  ")
                found.append(Formula(content, begin + 2, True, section))
        elif token.type == "inline":
            prose.append((begin + 1, token.content))
            found.extend(_inline(token, "\n".join(lines[begin:end]), begin + 1, section))
        if len(found) > LIMITS.formulas:
            raise DerivationError(
                f"the document has more than {LIMITS.formulas} formulas; split it"
            )
    return found, prose


def _block(content: str, line: int, section: int) -> list[Formula]:
    """Return the formulas of a block; a line that begins and ends with one may hold prose between."""
    found = []
    for place, piece in enumerate(content.split("$$")):
        if place % 2 == 0:
            lead = len(piece) - len(piece.lstrip("\n"))
            found.append(Formula(piece.strip("\n"), line + lead, True, section))
        line += piece.count("\n")
    return found


def _inline(token: Any, source: str, line: int, section: int) -> list[Formula]:
    found = []
    cursor = 0
    for child in token.children or ():
        if child.type not in ("math_inline", "math_inline_double"):
            continue
        place = source.find(child.content, cursor)
        if place < 0:
            place = source.find(child.content.split("\n")[0], cursor)
        place = max(place, cursor)
        cursor = place + len(child.content)
        lead = len(child.content) - len(child.content.lstrip("\n"))
        at = line + source.count("\n", 0, place) + lead
        display = child.type == "math_inline_double"
        found.append(Formula(child.content.strip("\n"), at, display, section))
    return found


def _markdown_cells(content: str, path: Path) -> str:
    """Return the Markdown cells of a notebook, one below the other."""
    import nbformat

    try:
        reads: Any = nbformat.reads
        notebook = reads(content, as_version=4)
    except Exception as error:
        raise DerivationError(f"{path}: no readable notebook ({type(error).__name__})") from None
    cells = [str(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    return "\n\n".join(cells) + "\n"
