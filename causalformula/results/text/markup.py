"""A summary's parts as HTML, as LaTeX and as markdown."""

from __future__ import annotations

import re
from html import escape

from causalformula.results.text.coefmat import Cells
from causalformula.results.text.notebook import fenced, pre
from causalformula.results.text.numbers import STAR_LEGEND

_NUMBER = re.compile(r"-?(\d[\d.]*(e[-+]?\d+)?|Inf)|NaN?|NA")
STARS = f"Signif. codes:  {STAR_LEGEND}"

# ---- HTML -----------------------------------------------------------------------------------------------------------

_RULED = ' style="border-top: 1px solid"'


def html(part: str | Cells) -> str:
    """Text as it stands; a table as a table, with what its stars mean below it."""
    if isinstance(part, str):
        return pre(part.strip("\n")) if part.strip() else ""
    head = "".join(f"<th>{escape(c.strip())}</th>" for c in ("", *part.cols))
    body = "".join(
        f"<tr{_RULED if k in part.rules else ''}><th>{escape(row)}</th>"
        f"{''.join(f'<td>{escape(cell.strip())}</td>' for cell in cells)}</tr>"
        for k, (row, cells) in enumerate(zip(part.rows, part.body, strict=True))
    )
    legend = pre(STARS) if part.legend else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{legend}"


# ---- markdown -------------------------------------------------------------------------------------------------------


def markdown(part: str | Cells) -> str:
    """Text in a block of its own, as it stands; a table as a pipe table, with what its stars mean below it."""
    if isinstance(part, str):
        return fenced(part.strip("\n")) if part.strip() else ""
    lines = [("", *part.cols), (":--", *("--:" for _ in part.cols))]
    lines += [(row, *cells) for row, cells in zip(part.rows, part.body, strict=True)]
    table = "\n".join("| " + " | ".join(piped(cell.strip()) for cell in line) + " |" for line in lines)
    return table + (f"\n\n{piped(STARS)}" if part.legend else "")


def piped(text: str) -> str:
    """Text as markdown shows it: stars, bars, backquotes and a leading plus are no mark-up."""
    text = text.replace("|", "\\|").replace("*", "\\*").replace("`", "\\`")
    return f"\\{text}" if text.startswith("+ ") else text


# ---- LaTeX ----------------------------------------------------------------------------------------------------------

# Less, greater and bar are other signs in LaTeX's usual encoding, and R's legend has curly quotes.
NAMED = {"\\": "backslash", "<": "less", ">": "greater", "|": "bar"}
NAMED |= {"~": "asciitilde", "^": "asciicircum", "`": "asciigrave"}
LATEX = str.maketrans(
    {c: "\\" + c for c in "&%$#_{}"}
    | {c: f"\\text{name}{{}}" for c, name in NAMED.items()}
    | {"‘": "`", "’": "'", "“": "``", "”": "''", "\t": " "}
)


def latex(part: str | Cells) -> str:
    """Text line by line, aligned columns in typewriter letters; a table as ``tabular``, its stars explained below."""
    if isinstance(part, str):
        return _paragraph(_lines([line.expandtabs(1).rstrip() for line in part.split("\n") if line.strip()]))
    head = " & ".join(_text(c.strip()) for c in ("", *part.cols))
    rows = [
        # the header and the end of the table have their lines already
        "\\hline\n" * (k in part.rules and k > 0)
        + _guarded(" & ".join([_text(row), *(_text(cell.strip()) for cell in cells)]))
        + r" \\"
        for k, (row, cells) in enumerate(zip(part.rows, part.body, strict=True))
    ]
    body = "\n".join(rows)
    columns = f"l{'r' * len(part.cols)}"
    table = f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{head} \\\\\n\\hline\n{body}\n\\hline\n\\end{{tabular}}"
    return table + (f"\n\n{_paragraph([_text(STARS)])}" if part.legend else "")


def _text(text: str) -> str:
    return text.translate(LATEX)


def _lines(lines: list[str]) -> list[str]:
    """Lines of text; numbers that stand below their names keep their places."""
    words = [line.split() for line in lines]
    numbers = [len(w) > 1 and all(_NUMBER.fullmatch(word) for word in w) for w in words]
    names = [k + 1 < len(lines) and numbers[k + 1] and len(w) == len(words[k + 1]) for k, w in enumerate(words)]
    return [
        f"\\texttt{{{_text(line).replace(' ', '~')}}}" if number or name else _text(line.strip())
        for line, number, name in zip(lines, numbers, names, strict=True)
    ]


def _guarded(line: str) -> str:
    """A star or bracket after a line break would be read as the break's own."""
    return f"{{}}{line}" if line.startswith(("*", "[")) else line


def _paragraph(lines: list[str]) -> str:
    return "\\noindent\n" + " \\\\\n".join(_guarded(line) for line in lines) if lines else ""
