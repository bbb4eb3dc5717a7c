"""Auditing written derivations: Markdown and LaTeX in, a verdict for every equation out.

document    Markdown -> formulas with their lines
tex         macros
tokens      TeX -> mathematical tokens
grammar     tokens -> syntax tree
rows        formulas -> rows
symbols     what each letter is
resolve     syntax -> meaning (expressions)
statements  declarations, equations, updates
model       definitions, leaves, claims
dims, kinds sizes
interpreter expressions -> values
evidence    claims -> a program -> numbers
certification, branches, grounds    programs -> proofs, or digits
diagnosis, repairs   numbers -> verdicts and sentences
audits      what was found
auditing    all of it
code        named equations beside the user's code
sizes, terminal, html    what a reader sees
"""

from __future__ import annotations

from gradcheck.derivations.auditing import audit
from gradcheck.derivations.audits import Audit, AuditRow
from gradcheck.derivations.html import render_html
from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.terminal import render_terminal

__all__ = ["Audit", "AuditRow", "DerivationError", "audit", "render_html", "render_terminal"]
