"""What a choice by the data does to the interval of a fit, in words."""

from __future__ import annotations

from causalformula.results.confounders.ways import Way

PROTECTED = (
    "Intervals after this choice: those of least squares with the chosen terms (method='regression', vcov='HC1') hold "
    "their level, where few terms matter and the formula has them"
)
ALWAYS = (
    "No choice sees a confounder that is not among the candidates, nor tells one from what the treatment has caused: "
    "let only what came before the treatment be a candidate"
)


def caution(way: Way) -> str:
    """The warning after a choice that intervals do not know of."""
    if not way.outcome:
        return (
            "intervals after this choice take it as given: it did not look at the outcome, and what it left out may "
            "matter to that"
        )
    return (
        f"intervals after this choice do not know of it: {way.name} looked at the outcome in the same rows, so a fit "
        "with the chosen terms has standard errors that are too small and p-values that are too. Choose in other rows "
        "than those of the fit, or by method='double_lasso', whose intervals hold their level"
    )


def note_of(way: Way, method: str) -> str:
    """What a fit with the chosen terms says of them."""
    chosen = f"its confounders were chosen by cf.select_confounders(method='{way.name}')"
    if not way.protects:
        return f"{chosen}: {caution(way)}"
    if method == "regression":
        return f"{chosen}, which its interval allows for by least squares where few terms matter"
    return (
        f"{chosen}, which intervals of least squares allow for, and by method {method!r} are not known to: see "
        "method='regression', or method='dml' with model='double_selection' or 'selected_irm'"
    )
