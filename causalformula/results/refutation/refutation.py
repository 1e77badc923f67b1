"""``Refutation``: what ``fit.refute()`` returns, one table of effects before and after, with verdicts in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import one_of
from causalformula.errors import OptionError, choose
from causalformula.results.effects.core import ResultCore
from causalformula.results.refutation.page import refutation_summary
from causalformula.results.refutation.pictures import distributions, surface
from causalformula.results.refutation.refuted import Refuted
from causalformula.results.text.summary import Summary, Written
from causalformula.words import RefutationPicture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PICTURES = ("distributions", "confounder")


@dataclass(frozen=True, eq=False, repr=False)
class Refutation(Written):
    """An analysis done again where its answer is known, or where it should not matter; made by ``fit.refute()``.

    Attributes
    ----------
    result : Result
        What was refuted.
    found : tuple of Refuted
        One a test, in the order asked for.
    reps : int
        Refits of each test that refits many times.
    seed : int
    left_out : mapping of str to str
        Tests that were not named and that the method cannot take, with the reason.
    """

    result: ResultCore
    found: tuple[Refuted, ...]
    reps: int
    seed: int
    left_out: dict[str, str]

    def to_frame(self) -> pd.DataFrame:
        """One row a test, and effect where there are several.

        Returns
        -------
        DataFrame
            ``test, estimate, refuted, p.value, verdict``, with ``term`` and ``contrast`` after the test where there are
            several effects. ``refuted`` is the mean of the refits (on the working scale, read back), the one refit's
            effect, that without the covariate whose leaving out moves it the most, or that of the grid's strongest
            confounder.
        """
        import pandas as pd

        rows = [
            {
                "test": one.test, "term": label.headed, "contrast": label.contrast, "estimate": float(one.estimate[j]),
                "refuted": float(one.refuted[j]), "p.value": float(one.p_value[j]), "verdict": one.verdicts[j],
            }
            for one in self.found
            for j, label in enumerate(one.labels)
        ]  # fmt: skip
        table = pd.DataFrame(rows)
        several = any(len(one.labels) > 1 for one in self.found)
        return table if several else table.drop(columns=["term", "contrast"])

    def draws(self, test: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The effects of a test's refits.

        Parameters
        ----------
        test : str

        Returns
        -------
        ndarray (R, q)
            One column an effect; without the refits that failed.

        Raises
        ------
        OptionError
            For a test that was not done, or that refits once.
        """
        found = self._of(test).draws
        if found is None:
            many = [one.test for one in self.found if one.draws is not None]
            raise OptionError(f"{test} has no distribution of refits; {', '.join(many) or 'none of these tests'} has")
        return found.copy()

    def table(self, test: str) -> pd.DataFrame:
        """The table of ``leave_one_out`` (a row a covariate), or of ``unobserved_confounder``.

        Parameters
        ----------
        test : str

        Returns
        -------
        DataFrame
            Of the confounder, effects by its partial R2 with the outcome (rows) and the treatment (columns).

        Raises
        ------
        OptionError
            For a test that was not done, or that is no table.
        """
        found = self._of(test).table
        if found is None:
            raise OptionError(f"{test} is one row of to_frame(); leave_one_out and unobserved_confounder are tables")
        return found.copy()

    def _of(self, test: str) -> Refuted:
        done = {one.test: one for one in self.found}
        if test not in done:
            raise OptionError(f"{test!r} was not done{choose(str(test), done)}")
        return done[test]

    def summary(self) -> Summary:
        """The table, and what the tests can and cannot show."""
        return refutation_summary(self.result, self.found, self.reps, self.seed, self.left_out, self.to_frame())

    def to_json(self) -> str:
        """What was asked, the table and those of tests that are tables, as lists of objects; NaN is null."""
        notes = {one.test: list(one.notes) for one in self.found if one.notes}
        tables = {one.test: _objects(_long(one.table)) for one in self.found if one.table is not None}
        document = {
            "formula": self.result.call.text, "method": self.result.call.record.name, "reps": self.reps,
            "seed": self.seed, "tests": _objects(self.to_frame()), "tables": tables, "notes": notes,
            "left_out": self.left_out,
        }  # fmt: skip
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)

    def plot(self, kind: RefutationPicture | None = None, ax: Axes | None = None) -> Axes:
        """Draw the refits beside the effect, or the effect over the strengths of a confounder.

        Parameters
        ----------
        kind : {"distributions", "confounder"}, optional
            The first, where not given, but for a refutation that has the confounder alone.
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes
        """
        alone = {one.test for one in self.found} == {"unobserved_confounder"}
        kind = ("confounder" if alone else "distributions") if kind is None else kind
        one_of("kind", kind, PICTURES)
        if kind == "confounder":
            return surface(self.result, self.table("unobserved_confounder"), ax)
        return distributions(self.result, self.found, ax)


def _long(table: pd.DataFrame) -> pd.DataFrame:
    """A table as rows of values with names: of a confounder's grid, one a cell, by its strengths."""
    if table.index.name is None:
        return table
    return table.reset_index().melt("outcome", var_name="treatment", value_name="refuted")


def _objects(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as objects that JSON knows."""
    return [
        {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
