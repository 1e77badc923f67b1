"""Covariance requests that refit: the bootstraps and the jackknife."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from causalformula.errors import OptionError, asks
from causalformula.inference.checks import check_column, check_flag, check_jobs, check_reps, check_seed, check_word
from causalformula.inference.requests import Request
from causalformula.words import BootstrapKind, Centre, Resampling, Tails, WildWeights

INTERVALS = ("percentile", "normal", "basic", "bca", "studentized")
RESAMPLING = ("frequency", "exponential")
WILD_WEIGHTS = ("rademacher", "webb", "mammen")
TAILS = ("symmetric", "equal")
CENTRES = ("mean", "estimate")


@asks
@dataclass(frozen=True)
class Bootstrap(Request):
    """Nonparametric bootstrap: the whole estimator is refitted on resampled weights.

    Parameters
    ----------
    reps : int
        Number of replicates.
    kind : {"percentile", "normal", "basic", "bca", "studentized"}
        The interval, as ``boot::boot.ci``. ``bca`` takes its acceleration from the exact influence, so there are no n
        jackknife refits; ``studentized`` takes each replicate's standard error from that replicate's influence.
    cluster, strata : str, optional
        Resample whole clusters; resample within strata.
    seed : int, optional
        One is drawn, and reported, where none is given. The same seed gives the same draws at any ``n_jobs``.
    weights : {"frequency", "exponential"}
        How often each unit was drawn (Efron 1979), or independent exponential weights scaled to mean one within strata
        (the Bayesian bootstrap, Rubin 1981), under which no unit, and so no rare level, ever drops out.
    n_jobs : int, optional
        Processes, through joblib; as ``joblib.parallel_config(n_jobs=)`` has it where not given, one without that.
    df, unconditional : optional
        As in ``Request``; refits have the latter in any case.
    """

    reps: int = 999
    kind: BootstrapKind = "percentile"
    cluster: str | None = None
    strata: str | None = None
    seed: int | None = None
    _: KW_ONLY
    weights: Resampling = "frequency"
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        check_word("kind", self.kind, INTERVALS)
        check_word("weights", self.weights, RESAMPLING)
        check_reps(self.reps)
        check_seed(self.seed)
        check_column("cluster", self.cluster)
        check_column("strata", self.strata)
        check_jobs(self.n_jobs)
        if self.weights == "exponential" and self.kind in ("bca", "studentized"):
            raise OptionError(
                f"kind={self.kind!r} refines resampling with replacement; with weights='exponential' use 'percentile', "
                "'normal' or 'basic'"
            )
        super().__post_init__()


@asks
@dataclass(frozen=True)
class Wild(Request):
    """Wild bootstrap-t of linear models, by clusters where there are some.

    R: ``fwildclusterboot::boottest``; Stata: ``boottest``. Standard errors are CR1S (HC1 without clusters); p-values
    and limits come from the replicates' t statistics.

    Parameters
    ----------
    reps : int
        Number of replicates; where Rademacher weights have no more sign patterns than that, all are enumerated.
    weights : {"rademacher", "webb", "mammen"}
        Distribution of the multipliers. ``webb`` for fewer than about 12 clusters.
    null : bool
        Impose the null hypothesis on the replicates (WCR11, limits by inversion of the test), or not (WCU11).
    cluster : str, optional
        Clusters; the formula's ``cluster(g)`` where not given, else every row is its own.
    seed : int, optional
        One is drawn, and reported, where none is given.
    tails : {"symmetric", "equal"}
        p-value of ``|t|``, or twice the smaller tail of t.
    df, unconditional : optional
        As in ``Request``; ``unconditional=True`` is refused.
    """

    reps: int = 9999
    weights: WildWeights = "rademacher"
    null: bool = True
    cluster: str | None = None
    seed: int | None = None
    _: KW_ONLY
    tails: Tails = "symmetric"

    def __post_init__(self) -> None:
        check_flag("unconditional", self.unconditional)
        if self.unconditional:
            raise OptionError(
                "the wild bootstrap holds the covariates as they are, so it has no unconditional=True; use cf.Bootstrap"
            )
        check_word("weights", self.weights, WILD_WEIGHTS)
        check_word("tails", self.tails, TAILS)
        check_flag("null", self.null)
        check_reps(self.reps)
        check_seed(self.seed)
        check_column("cluster", self.cluster)
        super().__post_init__()


@asks
@dataclass(frozen=True)
class Jackknife(Request):
    """Jackknife: the estimator is refitted without each row, or without each cluster.

    ``V = (G - 1)/G sum_g (theta_(-g) - centre)^2``, with ``G - 1`` degrees of freedom: Stata's ``vce(jackknife)``, and
    with ``centre="estimate"`` its ``vce(jackknife, mse)``. For least-squares coefficients the latter is ``(G - 1)/G``
    times CR3 (HC3 without clusters), and is what the literature on few clusters calls CV3.

    Parameters
    ----------
    cluster : str, optional
        Clusters to leave out whole; the formula's ``cluster(g)`` where not given, else rows.
    centre : {"mean", "estimate"}
        Spread about the mean of the leave-one-out estimates, or about the estimate.
    n_jobs : int, optional
        Processes, through joblib; as ``joblib.parallel_config(n_jobs=)`` has it where not given, one without that.
    df, unconditional : optional
        As in ``Request``; refits have the latter in any case.
    """

    cluster: str | None = None
    _: KW_ONLY
    centre: Centre = "mean"
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        check_word("centre", self.centre, CENTRES)
        check_jobs(self.n_jobs)
        check_column("cluster", self.cluster)
        super().__post_init__()
