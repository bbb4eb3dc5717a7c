"""The vocabulary of TeX that is read: which command is what."""

from __future__ import annotations

__all__ = [
    "ACCENTS",
    "ALIGNMENTS",
    "ALPHABETS",
    "CLOSE",
    "COMBINING",
    "DOTS",
    "FONTS",
    "FRACTIONS",
    "FUNCTIONS",
    "GREEK",
    "GREEK_ALIAS",
    "KNOWN_WORDS",
    "LAYOUT",
    "MATRICES",
    "MODULES",
    "MULTIPLY",
    "OPEN",
    "PROSE",
    "RELATIONS",
    "SUMS",
    "SWALLOW",
    "SWITCHES",
    "TRANSPARENT",
    "UNICODE",
    "UPRIGHT",
    "WORD_LENGTH",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYOUT = _words(
    r"""
    \left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl \Biggr
    \middle \, \; \! \: \> \ ~ \displaystyle \textstyle \scriptstyle \limits \nolimits
    \nonumber \notag \medspace \thinspace \space \enspace \hfill \hline \allowbreak \strut
    \noindent \normalsize \small \large \Large \centering \negthinspace
    """
) | {"\\ "}
SWALLOW = _words(
    r"""
    \tag \tag* \label \eqref \ref \cite \hspace \vspace \hspace* \vspace* \color \phantom
    \vphantom \hphantom \style \class \id
    """
)
TRANSPARENT = _words(
    r"""
    \boxed \mathord \mathop \mathrel \mathbin \mathinner \fbox \cancel \smash \overbrace_
    \ensuremath \bm@
    """
)
FONTS = _words(
    r"""
    \mathbf \boldsymbol \bm \bold \mathit \mathsf \mathtt \pmb \textbf \symbf \mathnormal
    \vec \matr \mat \vect \mx \vc \bs \bf \it \sf \boldmath
    """
)
SWITCHES = _words(
    r"""
    \bf \it \rm \sf \boldmath \cal
    """
)
UPRIGHT = _words(
    r"""
    \mathrm \operatorname \operatorname* \rm
    """
)
ALPHABETS = {
    r"\mathcal": "cal",
    r"\mathscr": "cal",
    r"\cal": "cal",
    r"\mathbb": "bb",
    r"\mathfrak": "frak",
}
PROSE = _words(
    r"""
    \text \mbox \textrm \textit \textnormal \hbox \intertext \shortintertext \texttt \textsf
    """
)
ACCENTS = {
    r"\hat": "hat",
    r"\widehat": "hat",
    r"\tilde": "tilde",
    r"\widetilde": "tilde",
    r"\bar": "bar",
    r"\overline": "bar",
    r"\dot": "dot",
    r"\ddot": "ddot",
    r"\check": "check",
    r"\overrightarrow": "vec",
    r"\underline": "under",
}
MULTIPLY = {
    r"\circ": "circ",
    r"\odot": "odot",
    r"\otimes": "otimes",
    r"\cdot": "cdot",
    r"\times": "times",
    "*": "star",
    r"\ast": "star",
    r"\star": "star",
    r"\bullet": "cdot",
    r"\bigodot": "odot",
    r"\circledast": "odot",
}
RELATIONS = {
    "=": "=",
    r"\equiv": ":=",
    r"\triangleq": ":=",
    r"\coloneqq": ":=",
    r"\coloneq": ":=",
    r"\doteq": ":=",
    r"\leftarrow": "<-",
    r"\gets": "<-",
    r"\rightarrow": "->",
    r"\to": "->",
    r"\in": "in",
    r"\approx": "~",
    r"\sim": "~",
    r"\simeq": "~",
    r"\propto": "propto",
    r"\neq": "!=",
    r"\ne": "!=",
    r"\leq": "<=",
    r"\le": "<=",
    r"\geq": ">=",
    r"\ge": ">=",
    "<": "<",
    ">": ">",
    r"\ll": "<",
    r"\gg": ">",
    r"\implies": "=>",
    r"\Rightarrow": "=>",
    r"\Longrightarrow": "=>",
    r"\iff": "=>",
    r"\Leftrightarrow": "=>",
    r"\mapsto": "->",
    r"\xrightarrow": "->",
    r"\longrightarrow": "->",
    r"\subset": "in",
    r"\subseteq": "in",
    r"\hookrightarrow": "->",
    r"\stackrel": "=",
    r"\overset": "=",
    r"\lt": "<",
    r"\gt": ">",
    r"\cong": "~",
    r"\therefore": "=>",
}
OPEN = {
    "(": "(",
    "[": "[",
    r"\{": "{",
    r"\lbrace": "{",
    r"\lbrack": "[",
    r"\langle": "<",
    r"\lfloor": "floor",
    r"\lceil": "ceil",
    r"\lparen": "(",
}
CLOSE = {
    ")": ")",
    "]": "]",
    r"\}": "}",
    r"\rbrace": "}",
    r"\rbrack": "]",
    r"\rangle": ">",
    r"\rfloor": "floor",
    r"\rceil": "ceil",
    r"\rparen": ")",
}
FRACTIONS = _words(
    r"""
    \frac \dfrac \tfrac \cfrac \nicefrac \sfrac
    """
)
DOTS = _words(
    r"""
    \dots \ldots \cdots \vdots \ddots \dotsc \dotsb \dotsm \hdots \iddots
    """
)
FUNCTIONS = _words(
    r"""
    \log \ln \exp \tanh \sinh \cosh \sin \cos \tan \max \min \arg \argmax \argmin \det \dim
    \sup \inf \lim \Pr \sec \csc \cot \arctan \sgn
    """
)
SUMS = {r"\sum": "sum", r"\prod": "prod", r"\int": "int", r"\bigsum": "sum", "∑": "sum"}
ALIGNMENTS = _words(
    """
    align align* aligned alignat alignat* alignedat eqnarray eqnarray* equation equation*
    gather gather* gathered split multline multline* flalign flalign* displaymath math
    subequations
    """
)
MATRICES = _words(
    """
    matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases dcases rcases
    bmatrix* pmatrix* matrix* substack
    """
)
GREEK_ALIAS = {
    "varepsilon": "epsilon",
    "vartheta": "theta",
    "varphi": "phi",
    "varsigma": "sigma",
    "varrho": "rho",
    "ell": "ell",
    "hbar": "hbar",
}
KNOWN_WORDS = _words(
    """
    softmax exp log ln tanh sigmoid relu ReLU ReLu RELU Relu diag Diag tr Tr trace vec max
    min sin cos tan sum mean var norm softplus loss Loss cost Batch batch Input Output else
    for all if otherwise where Let let and or with sign Attention Softmax erf gelu silu sgn
    prod net out CE BCE KL MSE SSE MAE NLL RMS RMSE
    """
)
MODULES = frozenset(["np", "numpy", "torch", "jnp", "tf"])
"""Prefixes of functions in code, `np.sum(...)`."""
WORD_LENGTH = 4
UNICODE = {
    "∂": r"\partial",
    "∇": r"\nabla",
    "∘": r"\circ",
    "⊙": r"\odot",
    "⊗": r"\otimes",
    "·": r"\cdot",
    "×": r"\times",
    "∈": r"\in",
    "≈": r"\approx",
    "≠": r"\neq",
    "≤": r"\leq",
    "≥": r"\geq",
    "−": "-",
    "′": "'",
    "…": r"\dots",
    "←": r"\leftarrow",
    "→": r"\rightarrow",
    "‖": r"\|",
    "≡": r"\equiv",
    "≔": r"\coloneqq",
    "∑": r"\sum",
    "ℓ": r"\ell",
    "⋅": r"\cdot",
    "∗": "*",
    "⊤": r"\top",
    "ᵀ": "^T",
    "ℝ": r"\mathbb R",
    "√": r"\sqrt",
    "∞": r"\infty",
}
GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "ζ": "zeta",
    "η": "eta",
    "θ": "theta",
    "ι": "iota",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "υ": "upsilon",
    "φ": "phi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Γ": "Gamma",
    "Δ": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Φ": "Phi",
    "Ψ": "Psi",
    "Ω": "Omega",
    "ϵ": "epsilon",
    "ϕ": "phi",
    "µ": "mu",
}
COMBINING = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot"}

PROSE_WORDS = _words(
    """
    a all and are as at be by else for from has have if in is it Let let not of on or otherwise
    since so such that the then thus to we when where which with yields
    """
)
"""Words in text that are prose wherever they stand."""
