"""``Design``: the weights, strata and matches behind an estimate, without its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from causalformula.errors import OptionError, asks
from causalformula.inference.requests import Vcov
from causalformula.results.design_fit import estimated, refuse_settled
from causalformula.results.designs.balance import Balance
from causalformula.results.designs.balancing import design_balance, design_overlap, weights_summary
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.overlap import Overlap
from causalformula.results.designs.pictures import draw
from causalformula.results.designs.text import design_text
from causalformula.results.designs.weights import WeightsSummary
from causalformula.results.made import R
from causalformula.results.text.notebook import Shown
from causalformula.words import BalanceStatistic, Binary, Contrast, FamilyName, Measure, Order, Picture

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from causalformula.numerics.families import Family

STATS: tuple[BalanceStatistic, ...] = ("smd", "variance_ratio", "ks", "ovl")


@dataclass(frozen=True, eq=False, repr=False)
class Design(Shown, DesignCore, Generic[R]):
    """What a method did to the sample before it looked at the outcome.

    Parameters
    ----------
    design_weights : DesignWeights
        Arrays on the rows used.
    call : Call
    designed : Designed, optional
        What the method's design stage returned, its estimating equations included; what ``fit`` estimates from.
    """

    def matched_data(
        self, *, distance: str = "distance", weights: str = "weights", subclass: str = "subclass"
    ) -> pd.DataFrame:
        """The data that the design keeps (weight above zero) with its columns, as ``MatchIt::match_data``.

        Parameters
        ----------
        distance, weights, subclass : str
            Names of the columns that are added; the first and the last where the method has them.

        Returns
        -------
        DataFrame
            With the row labels of the data; ``weights`` include sampling weights.

        Raises
        ------
        OptionError
            For a name that the data have already, or that is no text.
        """
        data = self.call.frame.data_used()
        made = self.design_weights
        names = {"distance": distance, "weights": weights, "subclass": subclass}
        values = {"distance": made.distance, "weights": self.total_weights(), "subclass": made.subclass}
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

    # -- diagnostics -----------------------------------------------------------------------------------------------

    def balance(
        self,
        stats: Sequence[BalanceStatistic] | BalanceStatistic = STATS,
        binary: Binary = "raw",
        un: bool = True,
        threshold: float | Mapping[str, float] | None = 0.1,
        int: bool = False,
        poly: int = 1,
        cluster: str | None = None,
        s_d_denom: str | None = None,
        means: bool = False,
        which_treat: Any = None,
        compare: Mapping[str, DesignCore] | None = None,
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
        compare : mapping of str to Design, optional
            Other designs of the same treatment and rows, ``{"cem": other}``: one table with the columns ``Diff.Un,
            Diff.nearest, Diff.cem``. Covariates and divisors are this design's, which goes by its method unless the
            mapping has it too under another name. R: ``weights = list(...)`` of ``cobalt::bal.tab``.

        Returns
        -------
        Balance

        Raises
        ------
        OptionError
            For a value that an argument does not take, a column or a level that there is not, or a design in
            ``compare`` of another treatment or of other rows.
        DataError
            Without covariates, or where a group of ``cluster`` lacks an arm.
        """
        return design_balance(
            self, stats, binary, un, threshold, int, poly, cluster, s_d_denom, means, which_treat, compare
        )

    def summary(self, top: int = 5) -> WeightsSummary:
        """The weights in numbers, as ``WeightIt``'s summary has them: ranges, the largest, variability, ESS.

        Parameters
        ----------
        top : int
            How many of the largest weights of each arm are shown.

        Returns
        -------
        WeightsSummary
        """
        return weights_summary(self, top)

    @asks
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
        return design_overlap(self)

    # "all" is also text, which names one covariate
    @overload
    def plot(  # type: ignore[overload-overlap]
        self,
        kind: Literal["ecdf", "density", "qq"],
        ax: None = None,
        *,
        covariate: list[str] | tuple[str, ...] | Literal["all"],
    ) -> NDArray[np.object_]: ...

    @overload
    def plot(
        self,
        kind: Picture = "love",
        ax: Axes | None = None,
        *,
        stat: BalanceStatistic | None = None,
        binary: Binary | None = None,
        threshold: float | None = 0.1,
        abs: bool | None = None,
        order: Order | None = None,
        covariate: str | None = None,
        bins: int | None = None,
        level: Any = None,
        compare: Mapping[str, DesignCore] | None = None,
    ) -> Axes: ...

    def plot(
        self,
        kind: Picture = "love",
        ax: Axes | None = None,
        *,
        stat: str | None = None,
        binary: str | None = None,
        threshold: float | None = 0.1,
        abs: bool | None = None,
        order: str | None = None,
        covariate: str | Sequence[str] | None = None,
        bins: int | None = None,
        level: Any = None,
        compare: Mapping[str, DesignCore] | None = None,
    ) -> Axes | NDArray[np.object_]:
        """Draw the design.

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
            ``"jitter"``: the distance of every row, in bands of those matched and unmatched in each arm; the area of
            a point is its weight. Where strata are of the distance, their ends are vertical lines.
            ``"hist"``: histograms of the distance by arm, before and after, mirrored as those of ``"overlap"``.
            ``"ecdf"``: distribution functions of a covariate by arm, before and after.
            ``"density"``: its densities, or the shares of its levels.
            ``"qq"``: its quantiles among the treated against those of the controls; the dashed lines are a tenth of
            the range off.
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
        covariate : str or list of str, optional
            Of ``"ecdf"``, ``"density"`` and ``"qq"``; the first continuous one where none is named. A list, or
            ``"all"``, gives a figure with a row of panels a covariate, before and after side by side; ``"all"`` of
            ``"qq"`` leaves covariates of 0 and 1 out, of which quantiles tell nothing, and says so.
        bins : int, optional
            Of ``"weights"``, ``"hist"`` and ``"calibration"``: bars and groups of like score.
        compare : mapping of str to Design, optional
            Of the love plot: other designs of the same rows, as in ``balance``, with a mark each.
        level : optional
            Of ``"overlap"``, ``"calibration"``, ``"roc"``, ``"jitter"`` and ``"hist"``: the level of the treatment
            whose score is drawn. By default the treated one of two; of several the focal one, or else the last.

        Returns
        -------
        Axes, or an array of them for several covariates

        Raises
        ------
        OptionError
            For an unknown picture, an option that it does not take, a covariate that there is not, or ``ax`` that is
            no matplotlib Axes, or where there are several panels.
        CapabilityError
            For a picture of propensity scores or distances where the method has none, of arms where the treatment is a
            dose, or of two arms where there are more.
        """
        given: dict[str, Any] = {
            "stat": stat,
            "binary": binary,
            "abs": abs,
            "order": order,
            "covariate": covariate,
            "bins": bins,
        }
        given |= {"level": level, "compare": compare}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if (isinstance(kind, str) and kind == "love") or not isinstance(threshold, float) or threshold != 0.1:
            options["threshold"] = threshold
        drawn: Axes | NDArray[np.object_] = draw(self, kind, ax, options)
        return drawn

    # -- estimate --------------------------------------------------------------------------------------------------

    @asks
    def fit(
        self,
        formula: str | None = None,
        *,
        family: FamilyName | str | Family | None = None,
        measure: Measure | None = None,
        contrast: Contrast | None = None,
        interact: bool | None = None,
        vcov: Vcov | None = None,
        **refused: Any,
    ) -> R:
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

        Returns
        -------
        Result

        Raises
        ------
        FormulaError
            For another treatment, or a term that belongs to the design.
        DataError
            If the outcome is missing in a row of the design.
        OptionError
            For an option of the design, which is made already.
        """
        refuse_settled(self, refused)
        question = {"family": family, "measure": measure, "contrast": contrast, "interact": interact}
        found: R = estimated(self, formula, vcov, question)
        return found

    def __repr__(self) -> str:
        return design_text(self)

    __str__ = __repr__
