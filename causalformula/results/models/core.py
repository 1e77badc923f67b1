"""``ModelCore``: the fields of a fitted regression, and its coefficients read under their covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from causalformula.backends.options import flag
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.frame.replay import Replay
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.evidence import Accumulated
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Classical, Given, Request, Vcov
from causalformula.inference.resampling.regressions import refits, studentized
from causalformula.inference.resampling.requests import Bootstrap, Jackknife
from causalformula.inference.scales import read_measure
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.full_leverage import told_of_full_leverage
from causalformula.results.models.profile import profile_limits
from causalformula.results.models.statistics import FitNumbers
from causalformula.results.named import grouping_names
from causalformula.results.reading.estimates import Estimates
from causalformula.results.reading.reading import Reading, check_level, read, two_sided
from causalformula.results.text.coefmat import limit_names
from causalformula.results.units import in_units
from causalformula.scale.bootstrap import regressed
from causalformula.scale.whole import WholeRegression
from causalformula.words import Limits

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class ModelCore(FitNumbers, Estimates):
    """What every part of a model's print, tests and tables reads.

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
    response : str
        The left side, where it is not the frame's outcome: the treatment of a propensity model.
    """

    regression: FittedRegression
    covariance: Covariance
    frame: RegressionFrame | ModelFrame
    replay: Replay | None
    call: str
    notes: tuple[str, ...] = field(default=())
    response: str = ""

    # -- coefficients ----------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """All coefficients, aliased ones included."""
        return self.regression.names

    @property
    def outcome_name(self) -> str:
        """The left side, as text."""
        if self.response:
            return self.response
        return "" if self.frame.outcome is None else self.frame.outcome.name

    # -- statsmodels' names ----------------------------------------------------------------------------------------

    @property
    def endog_names(self) -> str:
        """The left side, as text (statsmodels' name)."""
        return self.outcome_name

    @property
    def exog_names(self) -> list[str]:
        """All coefficients' names (statsmodels' name)."""
        return list(self.names)

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
        level : float
            Of the limits.
        normal : bool, optional
            Whether tests are z; R's own choice for the model's summary where not given.

        Returns
        -------
        Reading
        """
        if normal is not None:
            flag("normal", normal)
        reading = read(self.regression.theta, self.covariance, read_measure("difference"), level)
        if normal is not None or not self.t_based or np.isfinite(reading.df).all():
            return reading
        # A generalised linear model with an estimated dispersion: R's summary tests by t, its Wald limits use z.
        df = np.full(len(reading.df), float(self.df_residual))
        return replace(reading, df=df, p_value=two_sided(reading.statistic, df))

    @property
    def _labels(self) -> list[str]:
        return list(self.names)

    def _spread(self, values: Array) -> Array:
        """NaN, R's NA, for coefficients that the data do not determine."""
        full = np.full(len(self.names), np.nan)
        full[self.regression.kept] = values
        return full

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

    def confint(self, level: float = 0.95, method: Limits = "wald") -> pd.DataFrame:
        """Confidence limits with R's column names, ``2.5 %`` and ``97.5 %``.

        Parameters
        ----------
        level : float
        method : {"wald", "profile"}
            ``wald``: R's ``confint`` of a linear model, ``confint.default`` of a generalised one. ``profile``: R's
            ``confint`` of a generalised linear model, from the profile likelihood.

        Returns
        -------
        DataFrame

        Raises
        ------
        OptionError
            For another method, or no level.
        """
        if not isinstance(method, str) or method not in ("wald", "profile"):
            raise OptionError(f"method must be 'wald' or 'profile', not {method!r}")
        frame = super().confint(level)
        if method == "profile" and not self.regression.linear:
            limits = profile_limits(self.regression, check_level(level))
            for k, name in enumerate(limit_names(level)):
                frame[name] = self._series(limits[:, k], name)
        return frame

    # -- rows and inference ----------------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Rows dropped for missing values; ``missing_by`` says in which variables."""
        return self.frame.dropped

    @property
    def missing_by(self) -> dict[str, int]:
        """By variable, the rows in which it is missing."""
        return dict(self.frame.missing_by)

    @asks
    def with_vcov(self, vcov: Vcov | None, ssc: SmallSample | None = None) -> Self:
        """The same coefficients with another covariance.

        Parameters
        ----------
        vcov : str, request or matrix
            As in ``cf.fit``; ``"~g"`` may name any column of the data. A resampling that names no clusters draws those
            of the causal fit behind the model.
        ssc : SmallSample, optional
            Its small-sample rules, as ``cf.ssc`` makes them.

        Returns
        -------
        Model
        """
        request = read_request("classical" if vcov is None else vcov, ssc)
        if isinstance(self.frame, ModelFrame):  # of a causal fit, whose formula may name the units
            request = in_units(self.frame, request, self.frame.groups)
        return replace(self, covariance=model_covariance(self.regression, self.frame, request))

    def influence(self) -> Array:
        """Exact influence ``n d theta / d w_i`` (n, rank) of each row on the estimable coefficients."""
        return self.regression.estimate().exact_influence()


def model_covariance(
    regression: FittedRegression,
    frame: RegressionFrame | ModelFrame,
    vcov: Any,
    codes: Callable[[Iterable[str]], Mapping[str, Codes]] | None = None,
    *,
    rests: Callable[[Request, Mapping[str, Codes]], float] = lambda request, groups: np.inf,
) -> Covariance:
    """Covariance of the estimable coefficients; the classical one where ``vcov`` is None.

    ``codes`` gives the groups of columns, where a design has some that the data have not; ``rests`` says from
    which share on what rests on one of the groups, or rows, has no standard error at all.
    """
    request = _of_kept(regression, Classical() if vcov is None else read_request(vcov))
    groups = (codes or frame.codes)(grouping_names(request))
    if isinstance(request, (Bootstrap, Jackknife)) and regression.earlier:
        raise CapabilityError("refits of this model would hold its weights fixed; resample the fit that it came from")
    refit = partial(refits, regression)
    if isinstance(request, Bootstrap) and request.kind == "studentized":
        refit = partial(studentized, regression, groups[request.cluster] if request.cluster else None)
    estimate = regression.estimate()
    if isinstance(estimate.evidence, Accumulated):
        if isinstance(request, Bootstrap):
            if not isinstance(frame, WholeRegression):
                raise CapabilityError(
                    "where the data are, the bootstrap refits a whole fit: ask it of the one behind this"
                )
            return regressed(frame, regression, request)
        return covariance(estimate, request, rests=rests(request, groups))
    found = covariance(estimate, request, groups=groups, refit=refit, rests=rests(request, groups))
    return told_of_full_leverage(found, frame.index)


def _of_kept(regression: FittedRegression, request: Request) -> Request:
    """A matrix over all coefficients, aliased ones included, as one over the estimable ones."""
    if isinstance(request, Given) and len(request.matrix) == len(regression.names) != regression.rank:
        return replace(request, matrix=request.matrix[np.ix_(regression.kept, regression.kept)])
    return request
