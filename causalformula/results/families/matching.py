"""``MatchedDesign``: matches and strata, with the tables, prints and data that MatchIt has for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalformula.backends.fit import Held
from causalformula.diagnostics.matched_covariates import variable_names
from causalformula.errors import CapabilityError, counted
from causalformula.results.design import Design
from causalformula.results.designs.matched import MatchSummary, match_summary, sample_sizes
from causalformula.results.designs.pairs import match_matrix, pair_data
from causalformula.results.designs.text import design_notes
from causalformula.results.made import R
from causalformula.results.result import Result
from causalformula.results.wording import missing_line

if TYPE_CHECKING:
    import pandas as pd

# MatchIt names no more covariates.
MOST_NAMES = 40


@dataclass(frozen=True, eq=False, repr=False)
class MatchedDesign(Design[R]):
    """A ``Design`` of matches or strata, which are held fixed: as MatchIt shows them."""

    @property
    def match_matrix(self) -> pd.DataFrame | None:
        """Row labels of the focal units as index, those of their matches as columns ``1, 2, ...``, None where none.

        None for a design without a list of matches (strata, full matching).
        """
        return match_matrix(self.call.frame, self.design_weights)

    @property
    def nn(self) -> pd.DataFrame:
        """Sample sizes of both arms: ``All (ESS), All, Matched (ESS), Matched, Unmatched, Discarded``."""
        return sample_sizes(self)

    def summary(  # type: ignore[override]  # MatchIt's summary takes other arguments than WeightIt's
        self,
        *,
        un: bool = True,
        interactions: bool = False,
        standardize: bool = True,
        pair_dist: bool | None = None,
        subclass: bool = False,
    ) -> MatchSummary:
        """Balance before and after matching, as MatchIt's ``summary`` has it.

        Parameters
        ----------
        un : bool
            The sample before matching too.
        interactions : bool
            Squares and products of the covariates too.
        standardize : bool
            Differences over the standard deviation in the target arm of the unmatched sample (pooled for the ATE), and
            of distribution functions; otherwise raw differences, and of quantiles.
        pair_dist : bool, optional
            Mean distances within pairs or matched sets; by default not for strata.
        subclass : bool
            The tables within the strata instead of the one across them.

        Returns
        -------
        MatchSummary

        Raises
        ------
        CapabilityError
            For ``subclass=True`` where there are no strata.
        """
        return match_summary(
            self, un=un, interactions=interactions, standardize=standardize, pair_dist=pair_dist, subclass=subclass
        )

    def pair_data(
        self, *, id: str = "id", subclass: str = "subclass", weights: str = "weights", distance: str = "distance"
    ) -> pd.DataFrame:
        """The data pair by pair, as MatchIt's ``get_matches``: a row for each time that a unit is used.

        Parameters
        ----------
        id, subclass, weights, distance : str
            Names of the columns that are added: row labels, numbers of the matched sets, weights (sampling weights
            included) and, where the method has one, the distance.

        Returns
        -------
        DataFrame
            Set by set, treated units first. A focal unit weighs 1 and its matches share 1.

        Raises
        ------
        CapabilityError
            For strata and matched sets without a list of matches.
        OptionError
            If the data have a column of such a name.
        """
        made = self.design_weights
        if made.pairs is None:
            raise CapabilityError(
                "pair_data() is of matches one by one, and this design has sets of units; matched_data() has them, "
                "with their number in the column 'subclass'"
            )
        names = {"id": id, "subclass": subclass, "weights": weights, "distance": distance}
        return pair_data(self.call.frame, made, names)

    def __repr__(self) -> str:
        return matched_text(self)

    __str__ = __repr__


@dataclass(frozen=True, eq=False, repr=False)
class MatchedResult(Result):
    """A ``Result`` of a matched sample, whose ``design`` is a ``MatchedDesign``."""

    design: MatchedDesign[MatchedResult]


def matched_text(design: MatchedDesign[R]) -> str:
    """The printed design in MatchIt's words, without a newline at the end."""
    frame, made = design.call.frame, design.designed
    matched, names = int((design.total_weights() > 0).sum()), variable_names(frame)
    how = "".join(made.lines) if isinstance(made, Held) else f" - method: {design.call.record.words}\n"
    lines = [f" - number of obs.: {frame.nobs} (original), {matched} (matched)"]
    if frame.weights is not None:
        lines.append(" - sampling weights: present")
    lines.append(f" - target estimand: {design.call.options.estimand}")
    lines.append(f" - covariates: {', '.join(names) if len(names) <= MOST_NAMES else 'too many to name'}")
    if frame.dropped:
        lines.append(missing_line(frame))
    idle = frame.n - frame.nobs
    if idle:
        takes = "takes no part, and is" if idle == 1 else "take no part, and are"
        lines.append(f"Note: {counted(idle, 'row')} of sampling weight zero {takes} not counted")
    lines += [f"Note: {note}" for note in design_notes(design)]
    return f"A matched design\n{how}" + "\n".join(lines)
