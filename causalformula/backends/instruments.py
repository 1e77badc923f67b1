"""Instrumental variables: two-stage least squares, LIML, Fuller's estimator and the k-class, and GMM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causalformula.backends.estimands import LATE
from causalformula.backends.fit import Fit
from causalformula.backends.options import Options, is_number, shown, whole
from causalformula.backends.registry import Record
from causalformula.backends.structural import FACE, ROLES, UNREAD, answered, refuse_nonlinear
from causalformula.errors import OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Cluster
from causalformula.inference.structural import TWO_STAGES, KClass, Weighting


@dataclass(frozen=True, kw_only=True)
class IV(Options):
    """Options of ``method="iv"``, two-stage least squares.

    Parameters
    ----------
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the equations are linear.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_nonlinear(self, "iv")


@dataclass(frozen=True, kw_only=True)
class LIML(Options):
    """Options of ``method="liml"``.

    Parameters
    ----------
    fuller : float
        What LIML's k is lowered by, over the rows less the instruments: 1 is nearly unbiased, 4 has the least mean
        squared error (Fuller 1977). 0 is LIML.
    k : float, optional
        A k of one's own: 0 for least squares, 1 for two-stage least squares.
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the equations are linear.
    """

    fuller: float = 0.0
    k: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_nonlinear(self, "liml")
        if not is_number(self.fuller) or self.fuller < 0:
            raise OptionError(f"fuller={shown(self.fuller)}: a number from 0, as 1 or 4; 0 is LIML itself")
        if self.k is not None and not is_number(self.k):
            raise OptionError(f"k={shown(self.k)}: a number, as 1 for two-stage least squares")
        if self.k is not None and self.fuller:
            raise OptionError("fuller= lowers LIML's own k; give it or k=, not both")

    @property
    def words(self) -> str:
        """The estimator, for the print."""
        if self.k is not None:
            return f"k-class (k = {self.k:g})"
        return f"Fuller's estimator ({self.fuller:g})" if self.fuller else "limited information maximum likelihood"


@dataclass(frozen=True, kw_only=True)
class GMM(Options):
    """Options of ``method="gmm"``, efficient GMM.

    Parameters
    ----------
    steps : int, "iterated" or "cue"
        Steps, the first of which is two-stage least squares and each other one weights the moments by their covariance
        at the residuals of the one before; ``"iterated"`` until the estimates stay; ``"cue"`` updates the weight matrix
        with the estimates themselves (continuously updated). 1 is two-stage least squares.
    wmatrix : str, optional
        What the weight matrix takes the moments' covariance for: ``"robust"``, to unequal variances (White's,
        uncentred); ``"~g"``, to correlation within clusters too; ``"unadjusted"``, for that of equal variances, by
        which steps are two-stage least squares, and continuously updated is LIML. By default clustered by what
        ``cluster(g)`` names, or by the groups of ``loo(g)``, else robust. Standard errors are by ``vcov=``, which is
        another choice.
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the equations are linear.
    """

    steps: int | Literal["iterated", "cue"] = 2
    wmatrix: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_nonlinear(self, "gmm")
        if not (isinstance(self.steps, str) and self.steps in ("iterated", "cue")):
            whole("steps", self.steps, "a number of steps, 'iterated' or 'cue' (continuously updated)", 1000)
        known = self.wmatrix is None or (isinstance(self.wmatrix, str) and self.wmatrix in ("robust", "unadjusted"))
        if not known and self.cluster is None:
            raise OptionError(f"wmatrix={shown(self.wmatrix)}: 'robust', 'unadjusted', or one grouping, as in '~g'")

    @property
    def cluster(self) -> str | None:
        """The grouping that ``wmatrix`` names."""
        if not isinstance(self.wmatrix, str) or not self.wmatrix.strip().startswith("~"):
            return None
        asked = read_request(self.wmatrix)
        return asked.by[0] if isinstance(asked, Cluster) and len(asked.by) == 1 else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping of the weight matrix."""
        return () if self.cluster is None else (self.cluster,)

    @property
    def own_vcov(self) -> str | None:
        """Standard errors clustered as the weight matrix is."""
        return None if self.cluster is None else f"~`{self.cluster}`"

    @property
    def words(self) -> str:
        """The estimator, for the print."""
        if self.steps == 1:
            return "one-step GMM, which is two-stage least squares"
        named = {2: "two-step GMM", "iterated": "iterated GMM", "cue": "continuously updated GMM"}
        words = named.get(self.steps, f"GMM in {self.steps} steps")
        if self.wmatrix != "unadjusted":
            return words
        return f"{words} of equal variances, which is {'LIML' if self.steps == 'cue' else 'two-stage least squares'}"


def _weighting(frame: ModelFrame, options: GMM) -> KClass | Weighting:
    """The estimator: of moments of equal variance a member of the k-class."""
    if options.wmatrix == "unadjusted":
        return KClass(None, 0.0, int(frame.sampled.sum())) if options.steps == "cue" else TWO_STAGES
    own = list(frame.cluster_names) if options.wmatrix is None else []
    by = [options.cluster] if options.cluster else own
    if len(by) > 1:
        raise OptionError(
            f"cluster(...) names {some(by)}, and the weight matrix of moments has one grouping: say which, as in "
            f"wmatrix='~{by[0]}', or wmatrix='robust'"
        )
    codes = frame.codes(by)[by[0]] if by else None
    return Weighting(None if options.steps == "iterated" else options.steps, codes, by[0] if by else "")


EXEMPT = {
    "singleton_clusters": "leverages of HC2 and HC3 are AER's, by which a response moves its fitted value; those of "
    "CR2 and CR3 are the projected regressors'",
}


@Record(
    name="iv",
    options=IV,
    aliases=("2sls", "tsls"),
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(LATE,),
    default_vcov="classical",
    weighted_vcov="linearised",
    roles=ROLES,
    required=("iv",),
    unread=UNREAD,
    default_for=("iv",),
    face=FACE,
    r="AER::ivreg(y ~ a + x | z + x)",
    summary="instruments: two-stage least squares",
    title="Two-stage least squares",
    exempt=EXEMPT,
)
def iv(frame: ModelFrame, options: IV) -> Fit:
    """Effect of a treatment by two-stage least squares.

    Solves ``X^' W (y - X b) = 0`` with ``X^ = P_Z X``: the part of the treatment that instruments and covariates
    predict. Identified when the instruments reach the outcome through the treatment alone, given the covariates, share
    no cause with it, and move the treatment; the effect is then that of all, if it is the same for all, or an average
    over those whom the instruments move, if these move nobody the other way.

    ``iv(loo(judge))`` is the leniency of who decides: the mean of the treatment in the other rows of the judge, with
    their weights, standard errors clustered by judge. Without covariates this is the jackknife estimator with judges'
    dummies (JIVE1). With covariates or absorbed effects, as court by year, the treatment is first regressed on these,
    and the residuals are averaged without the row's own (Dobbie, Goldin and Yang 2018); ``loo(judge, raw = TRUE)``
    averages the treatment as it is. Either way a row's own treatment stays in the mean of its court and year, which
    matters where few rows share one. Rows of judges without another case are left out and counted.

    Parameters
    ----------
    frame : ModelFrame
    options : IV

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If there are too few instruments, or they do not move the treatment.

    References
    ----------
    Theil (1953); Imbens and Angrist (1994); Angrist, Imbens and Krueger (1999) for JIVE1; Kolesár, Chetty, Friedman,
    Glaeser and Imbens (2015) for many instruments. R: ``AER::ivreg`` 1.2.
    """
    return answered(frame, options, TWO_STAGES, "two-stage least squares")


@Record(
    name="liml",
    options=LIML,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(LATE,),
    default_vcov="classical",
    weighted_vcov="linearised",
    roles=ROLES,
    required=("iv",),
    unread=UNREAD,
    face=FACE,
    r="ivmodel::LIML()",
    summary="instruments: LIML, Fuller's estimator and the k-class",
    title="LIML",
    exempt=EXEMPT,
)
def liml(frame: ModelFrame, options: LIML) -> Fit:
    """Effect of a treatment by limited information maximum likelihood, or another member of the k-class.

    Solves ``(X - k M_Z X)' W (y - X b) = 0``; LIML's k is the smallest root of ``|Y' M_X Y - k Y' M_Z Y| = 0``, with
    Y the outcome beside the treatment. Identified as two-stage least squares is; with many or weak instruments its
    median is nearer to the truth, and its tails are heavier.

    Parameters
    ----------
    frame : ModelFrame
    options : LIML

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If there are too few instruments, or they do not move the treatment.

    References
    ----------
    Anderson and Rubin (1949); Fuller (1977). R: ``ivmodel::LIML``, ``ivmodel::Fuller``.
    """
    rule = KClass(options.k, options.fuller, int(frame.sampled.sum()))
    return answered(frame, options, rule, options.words)


@Record(
    name="gmm",
    options=GMM,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(LATE,),
    default_vcov="HC0",
    weighted_vcov="linearised",
    roles=ROLES,
    required=("iv",),
    unread=UNREAD,
    face=FACE,
    r="momentfit::gmm4(type = 'twostep', vcov = 'MDS', initW = 'tsls', centeredVcov = FALSE)",
    summary="instruments: efficient GMM, in steps or continuously updated",
    title="GMM",
    exempt={
        **EXEMPT,
        "integer_weights": "sampling weights multiply the moments, whose covariance has their squares: that of "
        "duplicated rows where the weight matrix is clustered by the original row",
    },
)
def gmm(frame: ModelFrame, options: GMM) -> Fit:
    """Effect of a treatment by the generalised method of moments, efficiently weighted.

    With all instruments q and ``g(b) = sum w e q``, minimises ``g(b)' S^{-1} g(b)``, S the covariance of g at the step
    before, ``sum (w e)^2 q q'`` (two steps: at two-stage least squares; ``steps="cue"``: at b itself). Identified as
    two-stage least squares is; more precise where variances are unequal, or rows correlated, and there are more
    instruments than terms of the treatment. Of effects that differ among those whom each instrument moves it takes
    another average. Hansen's J, the minimum, tests that surplus instruments agree. Standard errors hold the weight
    matrix fixed, as is usual; ``vcov="asympt"`` does not.

    Parameters
    ----------
    frame : ModelFrame
    options : GMM

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If there are too few instruments, or they do not move the treatment.
    DataError
        If rows, or clusters, are too few to tell the covariance of the moments.
    ConvergenceError
        If iterated or continuously updated estimates are not found.

    References
    ----------
    Hansen (1982); Hansen, Heaton and Yaron (1996); Hall and Inoue (2003) for the exact influence. R:
    ``momentfit::gmm4``, ``gmm::gmm``; Python: linearmodels 7 ``IVGMM``, ``IVGMMCUE``.
    """
    return answered(frame, options, _weighting(frame, options), options.words)
