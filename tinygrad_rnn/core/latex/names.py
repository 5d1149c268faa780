"""Names in LaTeX: whatever users call their things becomes a symbol that every LaTeX can set."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_GREEK = frozenset(
    {
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
        *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
        *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
    }
)
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "^": r"\^{}",
    "~": r"\~{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": "'",
    "-": "{-}",
    **{sign: f"\\{sign}" for sign in "_{}$&#%"},
}
_LONGEST = 40


class Symbol(NamedTuple):
    """A letter with its subscripts.

    Attributes:
        base: LaTeX of the letter, or of a name in italics.
        subscripts: LaTeX of each.
        time: steps from now, None for what is the same at every step.
        prefix: LaTeX in front.
    """

    base: str
    subscripts: tuple[str, ...] = ()
    time: int | None = None
    prefix: str = ""

    def latex(self, later: int = 0) -> str:
        """Return the symbol, `later` steps on."""
        parts = list(self.subscripts)
        if self.time is not None:
            steps = self.time + later
            parts.append("t" if not steps else f"t{steps:+d}")
        return f"{self.prefix}{self.base}" + (f"_{{{','.join(parts)}}}" if parts else "")


def text(name: str) -> str:
    r"""Return a name as LaTeX text in ASCII, no longer than 40 characters.

    Example:
        >>> from tinygrad_rnn.core.latex.names import text
        >>> print(text("50 %_of\\é"))
        50 \%\_of\textbackslash{}e
    """
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST // 2]}...{name[-_LONGEST // 2 + 3 :]}"
    return "".join([_character(sign) for sign in name])


def _character(sign: str) -> str:
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    if " " <= sign <= "~":
        return sign
    plain = unicodedata.normalize("NFKD", sign)[0]
    return plain if plain.isascii() and plain.isalnum() else f"[U+{ord(sign):04X}]"


def symbol(name: str, time: int | None = None) -> Symbol:
    r"""Return the symbol of a variable or a parameter.

    One letter, Latin or Greek, stands as such, what follows it as a subscript; weights are W and biases b, with the
    path of their module as a subscript; longer names are set in italics. A `_t` at the end is the step of
    what has one.

    Example:
        >>> from tinygrad_rnn.core.latex.names import symbol
        >>> print(symbol("from_input.weight").latex(), symbol("h1", time=-1).latex(), symbol("gate", time=0).latex())
        W_{\text{from\_input}} h_{1,t-1} \mathit{gate}_{t}
    """
    owner, _, own = name.rpartition(".")
    path = (_subscript(owner),) if owner else ()
    if own.endswith("_t") and len(own) > 2:
        own = own.removesuffix("_t")
        path = path if time is not None else (_subscript("t"), *path)
    if own in ("weight", "bias"):
        return Symbol("W" if own == "weight" else "b", path, time)
    head, _, rest = own.partition("_")
    letter = re.fullmatch(r"([A-Za-z]|[^\W\d_]+?)(\d*)", head)
    base = _letter(letter[1]) if letter else None
    if base is None or letter is None:
        return Symbol(_italics(own), path, time)
    return Symbol(base, tuple([_subscript(part) for part in (letter[2], rest) if part]) + path, time)


def _letter(name: str) -> str | None:
    """Return a letter that LaTeX knows; None if a name is none."""
    if len(name) == 1 and name.isascii() and name.isalpha():
        return name
    if len(name) == 1:
        name = unicodedata.name(name, "").removeprefix("GREEK ").replace("LAMDA", "LAMBDA")
        size, _, name = name.rpartition(" LETTER ")
        name = name.lower() if size == "SMALL" else name.capitalize()
    return f"\\{name}" if name in _GREEK else None


def _italics(name: str) -> str:
    return f"\\mathit{{{name}}}" if name.isascii() and name.isalnum() else f"\\textit{{{text(name)}}}"


def _subscript(part: str) -> str:
    if part == "t":
        return r"\text{t}"  # a bare t is the step
    if part.isascii() and (part.isdigit() or (len(part) == 1 and part.isalpha())):
        return part
    return _letter(part) or f"\\text{{{text(part)}}}"


class Symbols:
    """Gives out symbols, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: Symbol) -> Symbol:
        """Return a symbol, with an accent or a number if what it looks like is taken."""
        for tried in (wanted, *[wanted._replace(base=f"\\{accent}{{{wanted.base}}}") for accent in _ACCENTS]):
            if self._take(tried):
                return tried
        number = len(_ACCENTS) + 2
        while not self._take(tried := wanted._replace(base=f"{wanted.base}^{{({number})}}")):
            number += 1
        return tried

    def any(self, letters: str, time: int | None) -> Symbol:
        """Return a symbol for what has no name: the first of some letters that is free."""
        for letter in letters:
            found = Symbol(letter, (), time)
            if self._take(found):
                return found
        return self.new(Symbol(letters[0], (), time))

    def _take(self, found: Symbol) -> bool:
        is_index = found.base == "t" and not found.subscripts and found.time is None
        if (found.base in _RESERVED and not found.prefix) or is_index:
            return False
        # What differs by the step alone, or by having none, is too much alike.
        look = found._replace(time=None).latex()
        if look in self._taken:
            return False
        self._taken.add(look)
        return True


_ACCENTS = ("tilde", "hat", "bar")
# Of gradients, in front of a symbol or alone, and of the sigmoid.
_RESERVED = frozenset({r"\delta", r"\Delta", r"\sigma"})
