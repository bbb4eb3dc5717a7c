"""Documents that mean harm, by name; run as a program, it audits each in bounded memory.

For each name it prints one JSON line: the seconds of processor time, and how the audit ended.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from gradcheck.derivations import DerivationError, audit

MOST_MEMORY = 256 * 2**20
"""Bytes that auditing all of them may take, beside what Python and JAX take to be imported."""

DOCUMENTS = {
    "nested braces": "$$y = " + "{" * 5000 + "x" + "}" * 5000 + "$$\n",
    "nested brackets": "$$y = " + "(" * 5000 + "x" + ")" * 5000 + "$$\n",
    "nested fractions": "$$y = " + "\\frac{1}{" * 2000 + "x" + "}" * 2000 + "$$\n",
    "nested scripts": "$$y = x" + "^{a" * 2000 + "}" * 2000 + "$$\n",
    "nested emphasis": "*_" * 100_000 + "$x=y$\n",
    "nested links": "[" * 50_000 + "$x=y$" + "]" * 50_000 + "\n",
    "nested quotes": ">" * 100_000 + " $$x=y$$\n",
    "macro bomb": "$$\\def\\a{xx}"
    + "".join(f"\\def\\{chr(98 + k)}{{\\{chr(97 + k)}\\{chr(97 + k)}}}" for k in range(24))
    + "y = \\y$$\n",
    "macro loop": "$$\\def\\a{\\a\\a} y = \\a$$\n",
    "macro arguments": "$$\\def\\a#1{#1#1#1#1} y = " + "\\a{" * 20 + "x" + "}" * 20 + "$$\n",
    "yaml bomb": "---\na: &a [x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{chr(98 + k)}: &{chr(98 + k)} [{','.join([f'*{chr(97 + k)}'] * 8)}]\n" for k in range(9)
    )
    + "gradcheck:\n  - [*j]\n---\n$$x=y$$\n",
    "ten megabytes": "$$x = y$$ " * 1_000_000,
    "a megabyte of one formula": "$$" + "x+" * 490_000 + "x = y$$\n",
    "a megabyte of formulas": "$$x = y$$\n" * 99_000,
    "a thousand equations": "$$E = \\|x\\|^2$$\n\n$$\\frac{\\partial E}{\\partial x} = 2x$$\n\n"
    * 500,
    "long row": "$$y = " + "+".join(["x"] * 50_000) + "$$\n",
    "many directives": "<!-- gradcheck: x is column -->\n" * 19_000 + "$$x=y$$\n",
    "many dollars": "$" * 100_000 + "\n",
    "many openers": "\\[" * 50_000 + "\n",
    "unclosed comments": "<!--" * 50_000 + "\n",
    "unclosed tags": "<a " * 100_000 + "\n",
    "backticks": "`" * 30_000 + " " + "`" * 29_999 + "\n",
    "binary": "$$\x01\x02 = \udcff\x7f$$\n",
    "null characters": "$$a = \x00 b$$\n",
    "primes": "$$y = f" + "'" * 200 + "(x)$$\n\n$$E = \\|y\\|^2$$\n",
    "a function of itself": "$$f(x) = f(f(x))$$\n\n$$y = f(x)$$\n\n$$E = \\|y\\|^2$$\n",
    "definitions in a circle": "$$a = b$$\n\n$$b = c$$\n\n$$c = a$$\n",
    "tower of powers": "$$y = 10^{10^{10^{10}}} x$$\n\n$$z = x^{99999999999999999999}$$\n",
    "huge number": "$$y = 0." + "9" * 100_000 + " x$$\n",
    "huge sizes": "$$W \\in \\mathbb{R}^{1000000 \\times 1000000}$$\n\n$$y = W x$$\n",
    "sums that go on": "$$y = " + "+".join(["x_1"] * 700) + "+ \\cdots + x_n$$\n",
    "a wide display": "$$A = \\begin{bmatrix} "
    + " \\\\ ".join([" & ".join(["a_1"] * 25) + " & \\cdots & a_n"] * 25)
    + " \\end{bmatrix}$$\n",
    "many indices": "$$y = \\sum_i \\sum_j \\sum_k \\sum_l \\sum_m a_{ij} b_{kl} c_{mn}$$\n",
}


def main() -> None:
    """Audit every document, in an address space that may grow by `MOST_MEMORY` alone."""
    audit(r"$$E = \|x\|^2$$ so $$\frac{\partial E}{\partial x} = 2x$$")
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, text in DOCUMENTS.items():
        began = time.process_time()
        try:
            ended = audit(text).verdict
        except DerivationError as error:
            ended = f"refused: {error}"
        except BaseException as error:
            ended = f"{type(error).__name__}: {error}"
        print(json.dumps([name, time.process_time() - began, ended]), flush=True)


if __name__ == "__main__":
    main()
