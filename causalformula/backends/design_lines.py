"""What MatchIt's print says of a distance and of the units that it discards; each text with its own line breaks."""

from __future__ import annotations

REGRESSIONS = {"logit": "logistic regression", "probit": "probit regression"}
SUPPORT = {
    "treated": "treated units dropped",
    "control": "control units dropped",
    "both": "units from both groups dropped",
}
INDENT = " " * 13


def distance_lines(link: str | None, *, discard: str | None = None, sampling: bool = False) -> tuple[str, ...]:
    """The lines of a propensity score, or of a user's distance, that forms strata or matches.

    Parameters
    ----------
    link : str, optional
        Of the propensity model; None for a column of the data.
    discard : str, optional
        The arms that were cut to the common support.
    sampling : bool
        Whether sampling weights were used in the propensity model.

    Notes
    -----
    With a purpose in brackets MatchIt 4.7 leaves a line free.
    """
    purpose = "" if discard is None else " [common support]\n"
    lines = [f" - distance: {'User-defined' if link is None else 'Propensity score'}{purpose}\n"]
    if link is not None:
        lines.append(f"{INDENT}- estimated with {REGRESSIONS.get(link, f'GLM with a {link} link')}\n")
        if sampling:
            lines.append(f"{INDENT}- sampling weights included in estimation\n")
    if discard is not None:
        lines.append(f" - common support: {SUPPORT[discard]}\n")
    return tuple(lines)
