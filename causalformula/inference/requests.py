"""Covariance requests: small frozen objects, and the strings that are short for them.

``"HC3"`` is ``HC("HC3")``, ``"~g + h"`` is ``Cluster(["g", "h"])``, ``"CR2 ~ g"`` is ``Cluster("g", type="CR2")``,
``"bootstrap"`` is ``Bootstrap()``; a square array is ``Given(matrix)``. Those that refit are in
``inference.resampling``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from causalformula.descriptions import spell_out
from causalformula.errors import OptionError, asks
from causalformula.inference.checks import (
    check_column,
    check_covariance,
    check_flag,
    check_lag,
    check_positive_number,
    check_word,
    column_names,
    is_whole,
    shown,
)
from causalformula.inference.small_sample import RULED, SmallSample, check_rules
from causalformula.numerics.arrays import Array, HasArray
from causalformula.words import (
    CRType,
    FirstStages,
    HACType,
    HCType,
    Kernel,
)

# The covariance of sampling weights: HC0 times n / (n - 1).
LINEARISED: Literal["linearised"] = "linearised"
HC_TYPES = ("HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5", LINEARISED)
CR_TYPES = ("CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3")
WEIGHTS = ("estimated", "fixed")
HAC_TYPES = ("NeweyWest", "Andrews")
HAC_KERNELS = ("QuadraticSpectral", "Bartlett", "Parzen", "TukeyHanning", "Truncated")


@dataclass(frozen=True)
class Request:
    """What every request can say.

    Parameters
    ----------
    df : float, optional
        Degrees of freedom to use instead of the rule's (``inf`` for the normal distribution).
    unconditional : bool
        Add the sampling term of the covariates over which the effect is averaged.
    """

    _: KW_ONLY
    df: float | None = None
    unconditional: bool = False

    def __init_subclass__(cls) -> None:
        spell_out(cls)

    def __post_init__(self) -> None:
        check_positive_number("df", self.df)
        check_flag("unconditional", self.unconditional)


@asks
@dataclass(frozen=True)
class Classical(Request):
    """Model-based variance: the inverse information times the dispersion.

    Parameters
    ----------
    ssc : SmallSample, optional
        Small-sample rules, as ``cf.ssc`` makes them; those of fixest where effects are absorbed.
    df, unconditional : optional
        As in ``Request``.
    """

    _: KW_ONLY
    ssc: SmallSample | None = None

    def __post_init__(self) -> None:
        check_rules(self.ssc)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class HC(Request):
    """Heteroscedasticity-consistent sandwich, ``sandwich::vcovHC``.

    Parameters
    ----------
    type : str
        ``HC0`` to ``HC5`` or ``HC4m``; ``linearised``, HC0 times ``n / (n - 1)`` with residual degrees of freedom, is
        that of samples with sampling weights (``survey::svyglm``).
    weights : {"estimated", "fixed"}, optional
        Whether estimated first stages enter or are treated as given. By default HC0 and HC1 treat them as given, as
        WeightIt does, and the others, whose leverage is not defined after estimated weights, are refused.
    ssc : SmallSample, optional
        Small-sample rules of ``HC1``, as ``cf.ssc`` makes them.
    df, unconditional : optional
        As in ``Request``.
    """

    type: HCType = "HC3"
    _: KW_ONLY
    weights: FirstStages | None = None
    ssc: SmallSample | None = None

    def __post_init__(self) -> None:
        check_word("type", self.type, HC_TYPES)
        check_rules(self.ssc, "" if self.type == "HC1" else self.type)
        if self.weights is not None:
            check_word("weights", self.weights, WEIGHTS)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class Asympt(Request):
    """Stacked M-estimation sandwich with every stage estimated, observed information and no small-sample factor.

    Parameters
    ----------
    weights : {"estimated", "fixed"}
        Whether estimated first stages enter or are treated as given.
    df, unconditional : optional
        As in ``Request``.
    """

    _: KW_ONLY
    weights: FirstStages = "estimated"

    def __post_init__(self) -> None:
        check_word("weights", self.weights, WEIGHTS)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class Cluster(Request):
    """Cluster-robust sandwich over one or several groupings, ``sandwich::vcovCL``.

    Parameters
    ----------
    by : str or sequence of str
        Columns that define the clusters.
    type : str, optional
        ``CR0``, ``CR1``, ``CR1S``, ... The default is what ``vcovCL`` does: ``CR1S`` for least squares, else ``CR1``.
    fix : bool
        With several groupings the matrix may have negative eigenvalues, even negative variances, which give no standard
        error. Set them to zero in the covariance of the model's coefficients, as ``vcovCL(fix = TRUE)``.
    weights : {"estimated", "fixed"}
        Whether estimated first stages enter or are treated as given.
    ssc : SmallSample, optional
        Small-sample rules of the default type, as ``cf.ssc`` makes them; those of fixest where effects are absorbed.
    df, unconditional : optional
        As in ``Request``.
    """

    by: str | Sequence[str] = ()
    type: CRType | None = None
    _: KW_ONLY
    weights: FirstStages = "estimated"
    fix: bool = False
    ssc: SmallSample | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", column_names(self.by))
        check_flag("fix", self.fix)
        if not self.by:
            raise OptionError("Cluster needs at least one column, as in Cluster('g') or '~g'")
        if self.type is not None:
            check_word("type", self.type, CR_TYPES)
        check_rules(self.ssc, "" if self.type in (None, "CR1S") else str(self.type))
        check_word("weights", self.weights, WEIGHTS)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class HAC(Request):
    """Heteroscedasticity- and autocorrelation-consistent sandwich, for rows in time order or for panels.

    Parameters
    ----------
    type : {"NeweyWest", "Andrews"}
        ``sandwich::NeweyWest`` (Bartlett weights), or ``sandwich::kernHAC`` (any kernel).
    lag : int, optional
        Number of lags of ``NeweyWest``; Newey and West's (1994) automatic choice where not given, in panels
        ``floor(T^(1/4))``.
    order_by : str, optional
        Column that holds the time; the rows are taken in their order where not given.
    unit : str, optional
        Column that holds the units of a panel: lags are between rows of one unit, counted in periods of ``order_by``
        (fixest's ``NW(2) ~ unit + time``).
    kernel : {"QuadraticSpectral", "Bartlett", "Parzen", "TukeyHanning", "Truncated"}
        Of ``Andrews``.
    bandwidth : float, optional
        Of ``Andrews``; Andrews' (1991) automatic choice where not given.
    prewhite : bool, optional
        Fit a first-order vector autoregression to the scores, and recolour afterwards; by default, but not in panels.
    adjust : bool, optional
        Multiply by ``n / (n - k)``; by default ``Andrews`` does and ``NeweyWest`` does not, as in sandwich.
    ssc : SmallSample, optional
        Small-sample rules of ``NeweyWest``, as ``cf.ssc`` makes them, which in panels are fixest's where not given.
    df, unconditional : optional
        As in ``Request``.
    """

    type: HACType = "NeweyWest"
    lag: int | None = None
    _: KW_ONLY
    order_by: str | None = None
    unit: str | None = None
    kernel: Kernel = "QuadraticSpectral"
    bandwidth: float | None = None
    prewhite: bool | None = None
    adjust: bool | None = None
    ssc: SmallSample | None = None

    def __post_init__(self) -> None:
        check_word("type", self.type, HAC_TYPES)
        check_word("kernel", self.kernel, HAC_KERNELS)
        check_lag(self.lag)
        if self.type == "Andrews" and self.lag is not None:
            raise OptionError("Andrews' estimator takes bandwidth=, not lag=; lag= goes with type='NeweyWest'")
        if self.type == "NeweyWest" and (self.bandwidth is not None or self.kernel != "QuadraticSpectral"):
            raise OptionError("NeweyWest has Bartlett weights and lag=; kernel= and bandwidth= go with type='Andrews'")
        _check_bandwidth(self.bandwidth)
        check_column("order_by", self.order_by)
        check_flag("prewhite", self.prewhite, optional=True)
        check_flag("adjust", self.adjust, optional=True)
        check_rules(self.ssc, "Andrews" if self.type == "Andrews" else "")
        self._check_panel()
        super().__post_init__()

    def _check_panel(self) -> None:
        check_column("unit", self.unit)
        if self.unit is None:
            return
        if self.type == "Andrews" or self.prewhite:
            raise OptionError("the units of a panel go with type='NeweyWest', and without prewhitening")
        if self.order_by is None:
            raise OptionError("a panel needs the column of the time too, as in 'NW(2) ~ unit + time'")

    @property
    def whitens(self) -> bool:
        """Whether the scores are prewhitened."""
        return self.unit is None if self.prewhite is None else self.prewhite

    @property
    def adjusts(self) -> bool:
        """Whether the factor ``n / (n - k)`` applies."""
        return self.type == "Andrews" if self.adjust is None else self.adjust


@asks
@dataclass(frozen=True)
class DriscollKraay(Request):
    """Driscoll and Kraay's (1998) covariance for panels, ``sandwich::vcovPL``.

    Units of one period may be correlated in any way, periods serially.

    Parameters
    ----------
    time : str
        Column that holds the period.
    lag : int, optional
        Number of lags of the Bartlett weights; ``floor(T^(1/4))`` where not given.
    adjust : bool
        Multiply by ``n / (n - k)``, or by the factor of small-sample rules.
    ssc : SmallSample, optional
        Small-sample rules, as ``cf.ssc`` makes them; those of fixest where effects are absorbed.
    df, unconditional : optional
        As in ``Request``.
    """

    time: str = ""
    lag: int | None = None
    _: KW_ONLY
    adjust: bool = True
    ssc: SmallSample | None = None

    def __post_init__(self) -> None:
        check_column("time", self.time)
        check_rules(self.ssc)
        check_flag("adjust", self.adjust)
        if not self.time:
            raise OptionError("DriscollKraay needs the column of the periods, as in DriscollKraay('year')")
        check_lag(self.lag)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class AbadieImbens(Request):
    """Abadie and Imbens' variance of a matching estimator with replacement, ``Matching::Match``.

    The matches, and a propensity score that they are made on, count as given.

    Parameters
    ----------
    sample : bool
        The variance for the average effect in this sample, not in the population that it comes from (R: ``sample``).
    matches : int
        How many nearest units of the same arm tell each unit's conditional variance; 0 for one variance of all (R:
        ``Var.calc``).
    kept_only : bool
        Where calipers or exact matching drop units of the target: the variance of those that are kept. By default, as
        in Matching, dropped units count in the target's size with no effect, and units without neighbours within the
        limits have no conditional variance: these standard errors are too small where many are dropped.
    df : float, optional
        Degrees of freedom to use instead of the normal distribution.
    unconditional : bool
        Of regressions; ``sample`` says whom the effect is about.

    References
    ----------
    Abadie and Imbens (2006), Econometrica 74, 235-267; Abadie, Drukker, Herr and Imbens (2004), Stata Journal 4.
    """

    sample: bool = False
    matches: int = 0
    _: KW_ONLY
    kept_only: bool = False

    def __post_init__(self) -> None:
        check_flag("sample", self.sample)
        check_flag("kept_only", self.kept_only)
        if not is_whole(self.matches) or self.matches < 0:
            raise OptionError(f"matches is a number of units of the same arm, from 0, not {shown(self.matches)}")
        super().__post_init__()
        if self.unconditional:
            raise OptionError("AbadieImbens has sample=False for the population; unconditional= is of regressions")


@dataclass(frozen=True, eq=False)
class Given(Request):
    """A covariance matrix supplied by the caller."""

    matrix: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        try:
            value = np.array(self.matrix, dtype=float)
        except (TypeError, ValueError):
            raise OptionError("a covariance matrix must hold numbers; this one does not") from None
        if value.ndim != 2 or value.shape[0] != value.shape[1]:
            raise OptionError(f"a covariance matrix must be square; this one has shape {value.shape}")
        if not np.isfinite(value).all():
            raise OptionError("a covariance matrix must be finite; this one has missing or infinite values")
        if not np.allclose(value, value.T, rtol=1e-8, atol=1e-12):
            raise OptionError("a covariance matrix must be symmetric")
        check_covariance(value)
        value.setflags(write=False)
        object.__setattr__(self, "matrix", value)
        super().__post_init__()


def with_rules(request: Request, ssc: SmallSample | None) -> Request:
    """A request under small-sample rules; as it is where none are given.

    Raises
    ------
    OptionError
        For a covariance that has none.
    """
    if ssc is None:
        return request
    if not isinstance(request, (Classical, HC, Cluster, HAC, DriscollKraay)):
        raise OptionError(f"ssc= is of {RULED}; {type(request).__name__} has no small-sample factor")
    return replace(request, ssc=ssc)


# What ``vcov=`` takes: text, a request, a matrix.
Vcov: TypeAlias = str | Request | HasArray


def _check_bandwidth(value: object) -> None:
    if isinstance(value, str):
        hint = "; that is a type of its own: cf.HAC('NeweyWest')" if value in HAC_TYPES else ""
        raise OptionError(f"bandwidth is a number, or None for Andrews' automatic choice, not {value!r}{hint}")
    check_positive_number("bandwidth", value)
