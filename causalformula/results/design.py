"""``Design``: the weights, strata and matches behind an estimate, without its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.distance import thin_arms
from causalformula.backends.fit import Designed, DesignWeights, effective_size
from causalformula.errors import OptionError
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.call import Call

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.designs.balance import Balance
    from causalformula.results.designs.overlap import Overlap
    from causalformula.results.designs.weights import WeightsSummary
    from causalformula.results.result import Result

STATS = ("smd", "variance_ratio", "ks", "ovl")


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """What a method did to the sample before it looked at the outcome.

    Parameters
    ----------
    design_weights : DesignWeights
        Arrays on the rows used.
    call : Call
    stage : Designed, optional
        What the method's design stage returned, its estimating equations included; what ``fit`` estimates from.
    """

    design_weights: DesignWeights
    call: Call
    stage: Designed | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the weights: trimmed, discarded; and which arms are thin."""
        made = () if self.stage is None else tuple(self.stage.notes)
        frame = self.call.frame
        return made if frame.treatment is None else (*made, *thin_arms(frame, self.design_weights.weights))

    def _series(self, values: NDArray[Any] | None, name: str) -> pd.Series[Any] | None:
        import pandas as pd

        return None if values is None else pd.Series(values, index=self.call.frame.index, name=name)

    @cached_property
    def weights(self) -> pd.Series[Any]:
        """Balancing or matching weights by row label, sampling weights left out; ones where the method has none."""
        found = self._series(self.design_weights.weights, "weights")
        assert found is not None
        return found

    @cached_property
    def distance(self) -> pd.Series[Any] | None:
        """The propensity score, or another distance, by row label."""
        return self._series(self.design_weights.distance, "distance")

    @cached_property
    def subclass(self) -> pd.Series[Any] | None:
        """The stratum or matched set of each row; missing for rows in none."""
        return self._series(self.design_weights.subclass, "subclass")

    @cached_property
    def pairs(self) -> pd.DataFrame | None:
        """Matches: row labels of the focal units as index, those of their matches as columns ``1, 2, ...``."""
        import pandas as pd

        pairs = self.design_weights.pairs
        if pairs is None:
            return None
        labels = np.asarray(self.call.frame.index, dtype=object)
        # A match that was not found is a negative position.
        matches = np.where(pairs[:, 1:] < 0, None, labels[pairs[:, 1:]])
        return pd.DataFrame(matches, index=labels[pairs[:, 0]], columns=range(1, pairs.shape[1]))

    def ess(self) -> pd.DataFrame:
        """Effective sample size ``(sum w)^2 / sum w^2`` of each arm, before and after the design.

        Returns
        -------
        DataFrame
            Rows ``Unweighted`` (sampling weights alone) and ``Weighted`` (times the design's); a column an arm, named
            as WeightIt names them: ``Control`` and ``Treated``, several levels by their own names, a dose ``Total``.
        """
        import pandas as pd

        base = self.call.frame.unit_weights
        rows = {"Unweighted": base, "Weighted": base * self.design_weights.weights}
        sizes = {arm: [effective_size(w[inside]) for w in rows.values()] for arm, inside in self.arms().items()}
        return pd.DataFrame(sizes, index=list(rows))

    def arms(self) -> dict[str, Bools]:
        """Rows of each arm, by WeightIt's names."""
        treatment = self.call.frame.treatment
        if treatment is None or treatment.kind is Kind.CONTINUOUS:
            return {"Total": np.ones(self.call.frame.n, dtype=bool)}
        return {name: treatment.codes == k for k, name in enumerate(self.arm_names())}

    def arm_names(self) -> tuple[str, ...]:
        """``Control`` and ``Treated``, several levels by their own names, a dose ``Total``."""
        treatment = self.call.frame.treatment
        if treatment is None or treatment.kind is Kind.CONTINUOUS:
            return ("Total",)
        return ("Control", "Treated") if treatment.kind is Kind.BINARY else treatment.levels

    def matched_data(
        self, *, weights: str = "weights", distance: str = "distance", subclass: str = "subclass"
    ) -> pd.DataFrame:
        """The data that the design keeps (weight above zero) with its columns, as ``MatchIt::match_data``.

        Parameters
        ----------
        weights, distance, subclass : str
            Names of the columns that are added; the last two where the method has them.

        Returns
        -------
        DataFrame
            With the row labels of the data; ``weights`` include sampling weights.
        """
        data = self.call.frame.data_used()
        made = self.design_weights
        names = {"weights": weights, "distance": distance, "subclass": subclass}
        values = {"weights": self.total_weights(), "distance": made.distance, "subclass": made.subclass}
        added: dict[str, Any] = {}
        for role, name in names.items():
            if not isinstance(name, str):
                raise OptionError(f"{role}= names a column that is added, so it is text, not {name!r}")
            if values[role] is None:
                continue
            if name in data.columns or name in added:
                has = "the data already have" if name in data.columns else "another addition is"
                raise OptionError(f"{has} a column {name!r}; choose another name, as in matched_data({role}='.{role}')")
            added[name] = values[role]
        return data.assign(**added)[self.total_weights() > 0]

    def total_weights(self) -> Array:
        """The design's weights times the sampling weights (n,)."""
        return self.design_weights.weights * self.call.frame.unit_weights

    # -- diagnostics -----------------------------------------------------------------------------------------------

    def balance(
        self,
        stats: Sequence[str] | str = STATS,
        binary: str = "raw",
        un: bool = True,
        threshold: float | Mapping[str, float] | None = 0.1,
        int: bool = False,
        poly: int = 1,
        cluster: str | None = None,
        s_d_denom: str | None = None,
        means: bool = False,
        which_treat: Any = None,
    ) -> Balance:
        """Balance of the covariates before and after the design, as ``cobalt::bal.tab`` has it.

        Parameters
        ----------
        stats : sequence of str
            ``smd, variance_ratio, ks, ovl`` (cobalt's ``mean.diffs, variance.ratios, ks.statistics,
            ovl.coefficients`` and its short names are understood); for a dose ``smd``, or ``correlation``, is the
            correlation and ``ks`` the distance between the weighted and the unweighted sample.
        binary : {"raw", "std"}
            Differences in proportions as they are, or over their standard deviation.
        un : bool
            Show the sample before adjustment too.
        threshold : number or mapping, optional
            For (standardised) mean differences or correlations; a mapping gives one for each statistic, as
            ``{"smd": 0.1, "variance_ratio": 2}``. None gives no verdicts.
        int, poly : bool, int
            Pairwise products, and powers of continuous covariates up to ``poly``, as rows of their own.
        cluster : str, optional
            A column: one table for each of its groups.
        s_d_denom : str, optional
            ``treated, control, pooled, all, weighted, hedges`` or a level; by default the estimand's.
        means : bool
            Means and standard deviations of both arms too.
        which_treat : str or sequence, optional
            For a treatment with several levels: by default one table with the worst over all pairs of levels (also
            where one level is the target of an ATT, as ``cobalt::bal.tab`` of a ``weightit`` object); ``"all"`` gives
            a table for every pair, a level its pairs with the others, several levels all pairs among them. R:
            ``which.treat`` of ``cobalt::bal.tab``.

        Returns
        -------
        Balance

        Raises
        ------
        OptionError
            For a value that an argument does not take, a column or a level that there is not.
        DataError
            Without covariates, or where a group of ``cluster`` lacks an arm.
        """
        from causalformula.results.designs.balancing import design_balance

        return design_balance(self, stats, binary, un, threshold, int, poly, cluster, s_d_denom, means, which_treat)

    def summary(self, top: int = 5) -> WeightsSummary:
        """The weights in numbers, as ``WeightIt``'s summary has them: ranges, the ``top`` largest, variability, ESS."""
        from causalformula.results.designs.balancing import weights_summary

        return weights_summary(self, top)

    def overlap(self) -> Overlap:
        """Propensity ranges by arm, rows beyond the common support, largest weights, effective sample sizes.

        Several levels have a propensity score each (``ipw`` and ``cbps``): every score has its range in each arm and
        its common support, from the largest minimum to the least maximum, and a row lies outside if any of its scores
        does. The ranges are those before weighting. Without scores (``ebal``, ``energy``, a dose) weights and
        effective sample sizes remain.

        Returns
        -------
        Overlap
            ``to_frame()`` has one row an arm.
        """
        from causalformula.results.designs.balancing import design_overlap

        return design_overlap(self)

    def plot(
        self,
        kind: str = "love",
        ax: Any = None,
        *,
        stat: str | None = None,
        binary: str | None = None,
        threshold: float | None = 0.1,
        abs: bool | None = None,
        order: str | None = None,
        covariate: str | None = None,
        bins: int | None = None,
        level: Any = None,
    ) -> Any:
        """Draw the design; returns the axes.

        Parameters
        ----------
        kind : str
            ``"love"``: balance of every covariate before and after.
            ``"overlap"``: densities of the propensity score by arm, before and after; one arm upwards and one
            downwards, of several levels after weighting upwards and before it downwards.
            ``"weights"``: their distribution by arm.
            ``"calibration"``: the share of treated in groups of like score. Before weighting, a calibrated score lies
            on the diagonal; after it, with arms of equal weight, the share should be level, as the score then tells
            nothing of the arm.
            ``"roc"``: how well the score tells the arms apart; after weighting it should not, and lie on the diagonal.
            ``"ecdf"``: distribution functions of a covariate by arm, before and after.
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        stat, binary : str, optional
            Of the love plot: ``smd`` (the default), ``variance_ratio``, ``ks`` or ``ovl``; ``binary="raw"`` leaves
            differences in proportions as they are.
        threshold : number, optional
            Of the love plot; None for none. For variance ratios none is drawn unless one is given, as 2.
        abs : bool, optional
            Of the love plot: without signs (the default).
        order : str, optional
            Of the love plot: ``unadjusted`` (the default), ``adjusted``, ``alphabetical`` or ``formula``.
        covariate : str, optional
            Of ``"ecdf"``; the first continuous one where none is named.
        bins : int, optional
            Of ``"weights"`` and ``"calibration"``: bars and groups of like score.
        level : optional
            Of ``"overlap"``, ``"calibration"`` and ``"roc"``: the level of the treatment whose score is drawn. By
            default the treated one of two; of several the focal one, or else the last.

        Raises
        ------
        OptionError
            For an unknown picture, an option that it does not take, or ``ax`` that is no matplotlib Axes.
        CapabilityError
            For a picture of propensity scores where the method has none, or of arms where the treatment is a dose.
        """
        from causalformula.plots.designs import draw

        given = {"stat": stat, "binary": binary, "abs": abs, "order": order, "covariate": covariate, "bins": bins}
        given["level"] = level
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if (isinstance(kind, str) and kind == "love") or not isinstance(threshold, float) or threshold != 0.1:
            options["threshold"] = threshold
        return draw(self, kind, ax, options)

    # -- estimate --------------------------------------------------------------------------------------------------

    def fit(
        self,
        formula: str | None = None,
        *,
        family: str | None = None,
        measure: str | None = None,
        contrast: Any = None,
        interact: bool | None = None,
        vcov: Any = None,
        **refused: Any,
    ) -> Result:
        """Estimate the effect on an outcome with this design's weights, whose estimation the standard errors know.

        Parameters
        ----------
        formula : str, optional
            ``"Y ~ treat(A)"`` with the design's treatment; ``outcome(f)`` adds covariates to the outcome model. Not
            needed where the design's own formula has an outcome.
        family, measure, contrast, vcov : optional
            As in ``cf.fit``.
        interact : bool, optional
            Cross the treatment with the terms of ``outcome(...)``.

        Raises
        ------
        FormulaError
            For another treatment, or a term that belongs to the design.
        DataError
            If the outcome is missing in a row of the design.
        OptionError
            For an option of the design, which is made already.
        """
        from causalformula.results.design_fit import estimated, refuse_settled

        refuse_settled(self, refused)
        question = {"family": family, "measure": measure, "contrast": contrast, "interact": interact}
        return estimated(self, formula, vcov, question)

    def __repr__(self) -> str:
        from causalformula.results.designs.text import design_text

        return design_text(self)

    __str__ = __repr__
