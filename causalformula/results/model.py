"""``Model``: a fitted linear or generalised linear model, with R's numbers and R's print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from causalformula.backends.options import flag
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.frame.replay import Replay
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.regression import FittedRegression, refits, studentized
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Bootstrap, Classical, Given, Request
from causalformula.inference.scales import read_measure
from causalformula.numerics.arrays import Array
from causalformula.results.arithmetic import Arithmetic
from causalformula.results.banded import Banded
from causalformula.results.call import grouping_names, told_of_full_leverage
from causalformula.results.models import residuals
from causalformula.results.models.numbers import FitNumbers
from causalformula.results.reading.inequalities import read_claims
from causalformula.results.reading.reading import Reading, check_alpha, check_level, read, two_sided

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.checks.anova import Anova
    from causalformula.results.checks.hypotheses import Hypotheses
    from causalformula.results.checks.inequalities import Inequalities
    from causalformula.results.effects.summary import Summary


@dataclass(frozen=True, eq=False, repr=False)
class Model(FitNumbers, Arithmetic, Banded):
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

    regression: FittedRegression
    covariance: Covariance
    frame: RegressionFrame | ModelFrame
    replay: Replay | None
    call: str
    notes: tuple[str, ...] = field(default=())

    # -- coefficients ----------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """All coefficients, aliased ones included."""
        return self.regression.names

    @property
    def outcome_name(self) -> str:
        """The left side, as text."""
        return "" if self.frame.outcome is None else self.frame.outcome.name

    @property
    def t_based(self) -> bool:
        """Whether the coefficients' own tests use t: for a classical covariance, where the dispersion is estimated."""
        if np.isfinite(self.covariance.df).all():
            return True
        request = self.covariance.request
        return isinstance(request, Classical) and request.df is None and not self.regression.family.dispersion_known

    def read(self, level: float = 0.95, *, normal: bool | None = None) -> Reading:
        """Estimable coefficients with errors, tests and limits as arrays.

        Parameters
        ----------
        normal : bool, optional
            Whether tests are z; R's own choice for the model's summary where not given.
        """
        reading = read(self.regression.theta, self.covariance, read_measure("difference"), level)
        if normal is not None or not self.t_based or np.isfinite(reading.df).all():
            return reading
        # A generalised linear model with an estimated dispersion: R's summary tests by t, its Wald limits use z.
        df = np.full(len(reading.df), float(self.df_residual))
        return replace(reading, df=df, p_value=two_sided(reading.statistic, df))

    def _series(self, values: Array, name: str) -> pd.Series[Any]:
        import pandas as pd

        full = np.full(len(self.names), np.nan)
        full[self.regression.kept] = values
        return pd.Series(full, index=list(self.names), name=name)

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients."""
        return self._series(self.regression.theta, "estimate")

    @property
    def coef(self) -> pd.Series[Any]:
        """Coefficients (R's name)."""
        return self.params

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors."""
        return self._series(self.covariance.std_error, "std.error")

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Test statistics (t or z)."""
        return self._series(self.read().statistic, "statistic")

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values."""
        return self._series(self.read().p_value, "p.value")

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the coefficients; NaN rows and columns where aliased."""
        import pandas as pd

        kept = self.regression.kept
        full = np.full((len(self.names), len(self.names)), np.nan)
        full[np.ix_(kept, kept)] = self.covariance.matrix
        return pd.DataFrame(full, index=list(self.names), columns=list(self.names))

    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the coefficients (R's name)."""
        return self.cov_params()

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence limits at level ``1 - alpha`` (columns 0 and 1, as statsmodels)."""
        import pandas as pd

        reading = self.read(1 - check_alpha(alpha))
        return pd.DataFrame({0: self._series(reading.low, "low"), 1: self._series(reading.high, "high")})

    def confint(self, level: float = 0.95, method: str = "wald") -> pd.DataFrame:
        """Confidence limits with R's column names, ``2.5 %`` and ``97.5 %``.

        Parameters
        ----------
        method : {"wald", "profile"}
            ``wald``: R's ``confint`` of a linear model, ``confint.default`` of a generalised one. ``profile``: R's
            ``confint`` of a generalised linear model, from the profile likelihood.
        """
        from causalformula.results.models.profile import profile_limits
        from causalformula.results.text.coefmat import limit_names

        if not isinstance(method, str) or method not in ("wald", "profile"):
            raise OptionError(f"method must be 'wald' or 'profile', not {method!r}")
        frame = self.conf_int(1 - check_level(level))
        if method == "profile" and not self.regression.linear:
            limits = profile_limits(self.regression, level)
            for k in (0, 1):
                frame[k] = self._series(limits[:, k], "limit")
        frame.columns = list(limit_names(level))
        return frame

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient, with broom's column names.

        Returns
        -------
        DataFrame
            ``term, estimate, std.error, statistic, df, p.value, conf.low, conf.high``.
        """
        import pandas as pd

        reading = self.read(level)
        columns = {
            "estimate": reading.estimate,
            "std.error": reading.std_error,
            "statistic": reading.statistic,
            "df": reading.df,
            "p.value": reading.p_value,
            "conf.low": reading.low,
            "conf.high": reading.high,
        }
        frame = pd.DataFrame({name: self._series(values, name) for name, values in columns.items()})
        return frame.rename_axis("term").reset_index()

    # -- the fit as a whole ----------------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Rows dropped for missing values; ``missing_by`` says in which variables."""
        return self.frame.dropped

    @property
    def missing_by(self) -> dict[str, int]:
        """By variable, the rows in which it is missing."""
        return dict(self.frame.missing_by)

    def glance(self) -> pd.DataFrame:
        """One row with broom's names, and the covariance asked for."""
        from causalformula.results.models.frames import glance

        return glance(self)

    # -- rows ------------------------------------------------------------------------------------------------------

    def _rows(self, values: Array, name: str) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(values, index=self.frame.index, name=name)

    @property
    def fitted(self) -> pd.Series[Any]:
        """Fitted means."""
        return self._rows(self.regression.mu, "fitted")

    def residuals(self, type: str = "response") -> pd.Series[Any]:
        """Residuals.

        Parameters
        ----------
        type : str
            ``response``, ``working``, ``deviance``, ``pearson``, ``standardized`` or ``studentized``.
        """
        return self._rows(residuals.residuals(self.regression, type), "residuals")

    @property
    def rstudent(self) -> pd.Series[Any]:
        """Studentized residuals."""
        return self.residuals("studentized")

    def hatvalues(self) -> pd.Series[Any]:
        """Leverages; zero for a row of weight zero."""
        return self._rows(residuals.leverages(self.regression), "hat")

    def cooks_distance(self) -> pd.Series[Any]:
        """Cook's distance."""
        return self._rows(residuals.cooks_distance(self.regression), "cooksd")

    def augment(self) -> pd.DataFrame:
        """The data used with ``.fitted .resid .hat .sigma .cooksd .std.resid`` and, if there are any, ``.weights``."""
        from causalformula.results.models.frames import augment

        return augment(self)

    def predict(
        self,
        newdata: Any = None,
        type: str = "link",
        se_fit: bool = False,
        interval: str | None = None,
        level: float = 0.95,
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

        Returns
        -------
        Series or DataFrame
            A Series ``fit``; with more asked for, a DataFrame with ``fit``, ``lwr``, ``upr`` and ``se.fit``.

        Raises
        ------
        DataError
            For a factor level that was not there at the fit.
        """
        from causalformula.results.models.predict import predict

        return predict(self, newdata, type, se_fit, interval, level)

    # -- inference -------------------------------------------------------------------------------------------------

    def with_vcov(self, vcov: Any) -> Model:
        """The same coefficients with another covariance; ``"~g"`` may name any column of the data."""
        return replace(self, covariance=model_covariance(self.regression, self.frame, vcov))

    def influence(self) -> Array:
        """Exact influence ``n d theta / d w_i`` (n, rank) of each row on the estimable coefficients."""
        return self.regression.estimate().exact_influence()

    def hypothesis(self, equations: str | Sequence[str]) -> Hypotheses | Inequalities:
        """Test equations among the coefficients.

        Parameters
        ----------
        equations : str or sequence of str
            ``"Drug = 0"``, ``"Drug:I.H = b2"``, ``"2 * a - b = 1"``: a coefficient by its name or as ``b1, b2, ...``,
            its row in ``tidy()``. Nonlinear equations go through the delta method.
            An inequality is a null hypothesis that is no point: ``"b1 <= 0"`` is tested on one side, and
            ``"-1 < b1 < 1"`` asks for equivalence (the null hypothesis is that b1 lies outside; TOST).

        Notes
        -----
        R: ``car::linearHypothesis`` 3.1 (F for a linear model, chi-squared for a generalised one), under the model's
        covariance; under CR2 and CR3 ``clubSandwich::Wald_test`` (HTZ).
        """
        from causalformula.results.checks.hypotheses import hypotheses
        from causalformula.results.checks.inequalities import inequalities

        claims = read_claims(equations)
        if claims:
            return inequalities(claims, [hypotheses(self, claim.equation) for claim in claims])
        return hypotheses(self, equations)

    def permutation_test(self, reps: int = 999, *, strata: str | None = None, seed: int | None = None) -> NoReturn:
        """Refused: coefficients have no assignment that could be permuted; a causal fit has."""
        raise CapabilityError(
            "a model has no treatment whose assignment could be permuted; write it as one, as in "
            "cf.fit('y ~ treat(a) + adjust(x)', data).permutation_test()"
        )

    def drop1(self, test: str | bool | None = "none") -> Anova:
        """What the fit loses without each of its terms, R's ``drop1``; a term inside another stays.

        Parameters
        ----------
        test : {"none", "F", "Chisq"}

        Returns
        -------
        Anova
        """
        from causalformula.results.checks.anova import drop1

        return drop1(self, test)

    def to_statsmodels(self) -> Any:
        """The equivalent fitted statsmodels results."""
        from causalformula.results.models.statsmodels import to_statsmodels

        return to_statsmodels(self)

    def plot(self, ax: Any = None, level: float = 0.95, intercept: bool = False) -> Any:
        """Draw the coefficients with their intervals, without the intercept's unless asked for; returns the axes."""
        from causalformula.plots import draw

        return draw.coefficients(self, ax, level, flag("intercept", intercept))

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self, level: float | None = None) -> Summary:
        """R's ``summary``; under a covariance other than the classical one, R's ``coeftest``.

        Parameters
        ----------
        level : float, optional
            Append a table of confidence limits at this level.
        """
        from causalformula.results.models.summary import model_summary, with_limits

        return model_summary(self) if level is None else with_limits(self, level)

    def coeftest(self) -> Summary:
        """The coefficients' tests as ``lmtest::coeftest`` prints them, under the model's covariance."""
        from causalformula.results.models.summary import coeftest

        return coeftest(self)

    def __repr__(self) -> str:
        from causalformula.results.models.summary import print_text

        return print_text(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def model_covariance(regression: FittedRegression, frame: RegressionFrame | ModelFrame, vcov: Any) -> Covariance:
    """Covariance of the estimable coefficients; the classical one where ``vcov`` is None."""
    request = _of_kept(regression, Classical() if vcov is None else read_request(vcov))
    groups = {name: frame.groups(name).codes for name in grouping_names(request)}
    if isinstance(request, Bootstrap) and regression.earlier:
        raise CapabilityError("refits of this model would hold its weights fixed; bootstrap the fit that it came from")
    refit = partial(refits, regression)
    if isinstance(request, Bootstrap) and request.kind == "studentized":
        refit = partial(studentized, regression, groups[request.cluster] if request.cluster else None)
    found = covariance(regression.estimate(), request, groups=groups, refit=refit)
    return told_of_full_leverage(found, frame.index)


def _of_kept(regression: FittedRegression, request: Request) -> Request:
    """A matrix over all coefficients, aliased ones included, as one over the estimable ones."""
    if isinstance(request, Given) and len(request.matrix) == len(regression.names) != regression.rank:
        return replace(request, matrix=request.matrix[np.ix_(regression.kept, regression.kept)])
    return request
