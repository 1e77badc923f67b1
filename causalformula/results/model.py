"""``Model``: a fitted linear or generalised linear model, with R's numbers and R's print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from causalformula.backends.options import flag
from causalformula.errors import CapabilityError, asks
from causalformula.numerics.arrays import Array
from causalformula.plots import forest
from causalformula.results.arithmetic import Arithmetic
from causalformula.results.checks.anova import Anova, drop1
from causalformula.results.checks.hypotheses import Hypotheses, hypotheses
from causalformula.results.checks.inequalities import Inequalities, inequalities
from causalformula.results.joint.bands import Banded
from causalformula.results.models import residuals
from causalformula.results.models.effects import fixed_effects
from causalformula.results.models.frames import augment, glance
from causalformula.results.models.marginaleffects import to_marginaleffects
from causalformula.results.models.predict import predict
from causalformula.results.models.statsmodels import to_statsmodels
from causalformula.results.models.summary import coeftest, model_summary, print_text, with_limits
from causalformula.results.reading.estimates import respelled
from causalformula.results.reading.inequalities import read_claims
from causalformula.results.sensitivity.verb import QuestionedModel
from causalformula.results.text.summary import Paged, Summary
from causalformula.words import Interval, PredictType, ResidualType, Spelling, TermTest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Model(Paged, QuestionedModel, Arithmetic, Banded):
    """A fitted regression: coefficients, their covariance, and everything that R says of an ``lm`` or a ``glm``.

    Attributes
    ----------
    regression : FittedRegression
        The arrays.
    covariance : Covariance
        Of the estimable coefficients.
    frame : RegressionFrame or ModelFrame
        The data, on the rows kept.
    replay : Replay or None
        Makes the design of other data; None where the model was not made from a formula.
    call : str
        What is printed below ``Call:``.

    Notes
    -----
    A coefficient that the data do not determine (an aliased column) is NaN everywhere, R's NA.
    """

    @property
    def coef(self) -> pd.Series[Any]:
        """Coefficients (R's name)."""
        return self.params

    def glance(self, names: Spelling = "broom") -> pd.DataFrame:
        """One row with broom's names, and the covariance asked for.

        Parameters
        ----------
        names : {"broom", "snake"}
            ``adj.r.squared`` or ``adj_r_squared``.

        Returns
        -------
        DataFrame
        """
        return respelled(glance(self), names)

    # -- rows ------------------------------------------------------------------------------------------------------

    def _rows(self, values: Array, name: str) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(values, index=self.frame.index, name=name)

    @property
    def fitted(self) -> pd.Series[Any]:
        """Fitted means."""
        return self._rows(self.regression.mu, "fitted")

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """``fitted``, by statsmodels' name."""
        return self.fitted

    @property
    def resid(self) -> pd.Series[Any]:
        """``residuals()``, by statsmodels' name."""
        return self.residuals()

    def residuals(self, type: ResidualType = "response") -> pd.Series[Any]:
        """Residuals.

        Parameters
        ----------
        type : str
            ``response``, ``working``, ``deviance``, ``pearson``, ``standardized`` or ``studentized``.

        Returns
        -------
        Series
            One value a row of the data that was used.
        """
        return self._rows(residuals.residuals(self.regression, type), "residuals")

    def rstandard(self) -> pd.Series[Any]:
        """Residuals over their estimated standard deviation: ``residuals("standardized")``."""
        return self.residuals("standardized")

    def rstudent(self) -> pd.Series[Any]:
        """Residuals over a standard deviation estimated without the row itself: ``residuals("studentized")``."""
        return self.residuals("studentized")

    def hatvalues(self) -> pd.Series[Any]:
        """Leverages; zero for a row of weight zero."""
        return self._rows(residuals.leverages(self.regression), "hat")

    def cooks_distance(self) -> pd.Series[Any]:
        """Cook's distance."""
        return self._rows(residuals.cooks_distance(self.regression), "cooksd")

    def augment(self) -> pd.DataFrame:
        """The data used with ``.fitted .resid .hat .sigma .cooksd .std.resid`` and, if there are any, ``.weights``.

        Beside absorbed effects of so many levels that there are no leverages, what needs these is left out.
        """
        return augment(self)

    def predict(
        self,
        newdata: Any = None,
        type: PredictType = "link",
        se_fit: bool = False,
        interval: Interval | None = None,
        level: float = 0.95,
        fixed_effects: bool = True,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predictions for the rows of the fit, or for new data by the same recipes.

        Parameters
        ----------
        newdata : any frame that narwhals reads, optional
        type : {"link", "response"}
            The linear predictor or the mean; the same for a linear model.
        se_fit : bool
            Add standard errors, under the model's covariance.
        interval : {"confidence", "prediction"}, optional
            Add limits for the mean, or (linear models) for a new observation.
        level : float
            Of the limits.
        fixed_effects : bool
            Whether absorbed effects are added; without them there are standard errors too.

        Returns
        -------
        Series or DataFrame
            A Series ``fit``; with more asked for, a DataFrame with ``fit``, ``lwr``, ``upr`` and ``se.fit``.

        Raises
        ------
        DataError
            For a level of a factor, or of a fixed effect, that was not there at the fit.
        """
        return predict(self, newdata, type, se_fit, interval, level, fixed_effects)

    def fixed_effects(self, factor: str | None = None) -> pd.DataFrame:
        """The effects that are absorbed, fixest's ``fixef``.

        Of the first factor all levels have a value; of each later one the first level that is met is the reference,
        whose value is 0 (one in each part of the data that no level connects with the rest).

        Parameters
        ----------
        factor : str, optional
            One factor's alone.

        Returns
        -------
        DataFrame
            ``factor, level, value, count``: a row a level, and for ``a[x]`` a row a level for ``a[[x]]``, its slope.
            Its ``plot(ax, level)`` draws them sorted, each less the mean of its factor, with classical intervals.

        Raises
        ------
        CapabilityError
            Where none are absorbed.
        OptionError
            For a factor that there is not.
        """
        return fixed_effects(self, factor)

    # -- inference -------------------------------------------------------------------------------------------------

    @asks
    def hypothesis(self, equations: str | Sequence[str]) -> Hypotheses | Inequalities:
        """Test equations among the coefficients.

        Parameters
        ----------
        equations : str or sequence of str
            ``"Drug = 0"``, ``"Drug:I.H = b2"``, ``"2 * a - b = 1"``: a coefficient by its name or as ``b1, b2, ...``,
            its row in ``tidy()``. Nonlinear equations go through the delta method.
            An equation is the null hypothesis, against a difference on either side. One inequality is a null hypothesis
            too: ``"b1 <= 0"`` is rejected by estimates well above 0. An interval is the alternative: ``"-1 < b1 < 1"``,
            or ``"abs(b1) < 1"``, asks for equivalence, with the null hypothesis that b1 lies outside (TOST). The print
            and ``tidy()`` say which is which.

        Returns
        -------
        Hypotheses, or Inequalities
            One row an equation (left minus right side); ``.test`` is the joint test.

        Raises
        ------
        OptionError
            For a name that the model does not have, or a text that is no equation.

        Notes
        -----
        R: ``car::linearHypothesis`` 3.1 (F for a linear model, chi-squared for a generalised one), under the model's
        covariance; under CR2 and CR3 ``clubSandwich::Wald_test`` (HTZ).
        """
        claims = read_claims(equations)
        if claims:
            return inequalities(claims, [hypotheses(self, claim.equation) for claim in claims])
        return hypotheses(self, equations)

    def permutation_test(self, reps: int = 999, *, strata: str | None = None, seed: int | None = None) -> NoReturn:
        """Refused: coefficients have no assignment that could be permuted; a causal fit has.

        Parameters
        ----------
        reps, strata, seed
            As in ``Result.permutation_test``.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError(
            "a model has no treatment whose assignment could be permuted; write it as one, as in "
            "cf.fit('y ~ treat(a) + adjust(x)', data).permutation_test()"
        )

    def drop1(self, test: TermTest | Literal[False] | None = "none") -> Anova:
        """What the fit loses without each of its terms, R's ``drop1``; a term inside another stays.

        Parameters
        ----------
        test : {"none", "F", "Chisq"}

        Returns
        -------
        Anova
        """
        return drop1(self, test)

    def to_statsmodels(self) -> Any:
        """The equivalent fitted statsmodels results."""
        return to_statsmodels(self)

    def to_marginaleffects(self) -> Any:
        """The model for the functions of the package marginaleffects (the extra ``marginaleffects``).

        ``marginaleffects.avg_comparisons(model.to_marginaleffects(), variables="Drug")``; its ``vcov=`` takes what
        ``with_vcov`` takes, and by default is the model's own. marginaleffects 0.6 does not run beside polars 2.
        """
        return to_marginaleffects(self)

    def plot(self, ax: Axes | None = None, level: float = 0.95, intercept: bool = False) -> Axes:
        """Draw the coefficients with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals.
        intercept : bool
            Whether the intercept is drawn, whose scale is seldom that of the others.

        Returns
        -------
        Axes
        """
        return forest.coefficients(self, ax, level, flag("intercept", intercept))

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self, level: float | None = None) -> Summary:
        """R's ``summary``; under a covariance other than the classical one, R's ``coeftest``.

        Parameters
        ----------
        level : float, optional
            Append a table of confidence limits at this level.

        Returns
        -------
        Summary
        """
        return model_summary(self) if level is None else with_limits(self, level)

    def coeftest(self) -> Summary:
        """The coefficients' tests as ``lmtest::coeftest`` prints them, under the model's covariance."""
        return coeftest(self)

    def __repr__(self) -> str:
        return print_text(self)

    __str__ = __repr__

    def _page(self) -> Summary:
        return self.summary()
