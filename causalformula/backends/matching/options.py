"""The options of matching methods, and what calipers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.distance import DistanceOptions
from causalformula.backends.estimands import ATE
from causalformula.backends.matching.calipers import DISTANCE, Caliper, read_calipers
from causalformula.backends.options import Options, column, flag, is_number, one_of, shown, whole
from causalformula.errors import OptionError
from causalformula.frame.side import side_columns, side_text
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.numerics.matching.coarsen import QUANTILES, RULES
from causalformula.numerics.matching.metrics import METRICS
from causalformula.words import MatchOrder, Metric

ORDERS = ("largest", "smallest", "closest", "farthest", "data", "random")
MOST_MATCHES = 10_000
# The Mahalanobis distance by the covariance of the whole sample, as Matching::Match has it.
WHOLE_SAMPLE = "mahalanobis_all"
# Distances of covariates, as MatchIt's print names them.
METRIC_WORDS = {
    "mahalanobis": "Mahalanobis",
    "robust_mahalanobis": "Robust Mahalanobis",
    "scaled_euclidean": "Scaled Euclidean",
    "euclidean": "Euclidean",
    "mahalanobis_all": "Mahalanobis",
}


@dataclass(frozen=True, kw_only=True)
class Nearest(DistanceOptions):
    """Options of ``method="nearest"``.

    Parameters
    ----------
    distance : str or classifier
        ``"glm"``, the propensity score; a scikit-learn classifier; a column of the data; or the distance of the
        covariates themselves: ``"mahalanobis"``, ``"robust_mahalanobis"``, ``"scaled_euclidean"``, ``"euclidean"``.
    link, discard, reestimate
        Of the score, and whom its common support leaves; as in ``DistanceOptions``.
    ratio : number
        How many matches each unit should have; with ``min_controls`` or ``max_controls`` how many on average.
    min_controls, max_controls : int, optional
        Matching with a variable ratio: between so many and so many, the fewest for those whose score leaves them the
        least to choose from (Ming and Rosenbaum 2000).
    replace : bool
        Whether a unit may be the match of several.
    reuse_max : int, optional
        Of how many at most; 1 is without replacement.
    caliper : number or mapping, optional
        The largest distance of partners on the distance measure; a mapping has one for each variable,
        ``{"distance": 0.25, "age": 3}``. A negative number is the distance that partners must exceed.
    std_caliper : bool or mapping
        Whether calipers are in standard deviations (of the sample without the discarded), or in the variable's units;
        by name, ``{"age": False}``, where they differ.
    m_order : str, optional
        Who chooses first: ``"largest"`` or ``"smallest"`` distance measure, ``"closest"`` or ``"farthest"`` pair,
        ``"data"`` or ``"random"``. By default the largest (for the ATC the smallest), and for distances of covariates
        the order of the data.
    seed : int, optional
        Of ``m_order="random"``; one is drawn, and reported, where none is given.
    exact, antiexact : str, optional
        One-sided formulas, ``"~ race + married"``: partners are the same, or not the same, in these.
    mahvars : str, optional
        A one-sided formula: units are matched on the Mahalanobis distance of these, and the score is for calipers and
        the common support.
    unit_id : str, optional
        A column: rows of one unit, of which only one can be a match.
    ties : bool
        With replacement: all units as near as the ``ratio``-th match are matches too and share its weight, and the
        default covariance of a difference in means is Abadie and Imbens', as ``Matching::Match`` (with an outcome model
        or another measure it is HC3). Distances are over the whole sample's variances (``"scaled_euclidean"``), by its
        covariance (``"mahalanobis_all"``), or of a score. The ATE too.
    tolerance : float
        Of ``ties``: squared distances (over variances) closer than this are ties.
    bias_adjust : bool
        Of ``ties``: move the outcomes of matches to the covariates of the unit, by a regression on the formula's
        confounders among the matches (Abadie and Imbens 2011).
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC: the level whose units are the target, where it is not the usual one.

    Notes
    -----
    Ties are broken as MatchIt breaks them. Who chooses: units of one score in the order of the data. Whom: of two
    matches at the same distance the one with the smaller score; of several with one score the nearest in the order of
    scores and rows, from below the last row, from above the first. On distances of covariates: walking outwards in the
    order of the first coordinate, down and up by turns, the last of those at the least distance.
    """

    ratio: float = 1
    min_controls: int | None = None
    max_controls: int | None = None
    replace: bool = False
    reuse_max: int | None = None
    caliper: Any = None
    std_caliper: Any = True
    m_order: MatchOrder | None = None
    seed: int | None = None
    exact: str | None = None
    antiexact: str | None = None
    mahvars: str | None = None
    unit_id: str | None = None
    ties: bool = False
    tolerance: float = 1e-5
    bias_adjust: bool = False
    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("exact", "antiexact", "mahvars"):
            object.__setattr__(self, name, side_text(name, getattr(self, name)))
        flag("replace", self.replace)
        flag("interact", self.interact)
        flag("ties", self.ties)
        flag("bias_adjust", self.bias_adjust)
        column("unit_id", self.unit_id)
        self._check_ratio()
        self._check_reuse()
        self._check_order()
        self.calipers  # noqa: B018  a caliper of a wrong kind is refused here
        self._check_metric()
        self._check_ties()

    def _check_ties(self) -> None:
        if not is_number(self.tolerance) or self.tolerance < 0:
            raise OptionError(f"tolerance={shown(self.tolerance)}: the largest difference of tied distances, from 0")
        if not self.ties:
            idle = {"bias_adjust=True": self.bias_adjust, "tolerance=": self.tolerance != Nearest.tolerance}
            for name in (name for name, given in idle.items() if given):
                raise OptionError(
                    f"{name} is of the estimator of Abadie and Imbens: give replace=True and ties=True too"
                )
            if self.metric == WHOLE_SAMPLE:
                raise OptionError(f"distance={WHOLE_SAMPLE!r} is of ties=True; 'mahalanobis' is MatchIt's, within arms")
            if self.estimand == ATE:
                raise OptionError(
                    "nearest neighbours estimate the ATT or the ATC; the ATE is of replace=True with ties=True, the "
                    "estimator of Abadie and Imbens"
                )
            return
        if not (self.replaced and self.reuse_max is None):
            raise OptionError("ties=True matches with replacement: give replace=True")
        idle = {name: getattr(self, name) is not None for name in ("m_order", "antiexact", "mahvars", "min_controls")}
        idle["max_controls"] = self.max_controls is not None
        for name in (name for name, given in idle.items() if given):
            raise OptionError(f"{name}= has no part in matching with ties=True, where nobody chooses before others")

    def _check_ratio(self) -> None:
        varies = self.varies
        if not is_number(self.ratio) or self.ratio < 1 or not (varies or float(self.ratio).is_integer()):
            more = " (with max_controls= a number that need not be whole)" if not varies else ""
            raise OptionError(f"ratio={shown(self.ratio)}: matches for each unit, a whole number from 1{more}")
        if self.ratio > MOST_MATCHES:
            raise OptionError(f"ratio={shown(self.ratio)}: at most {MOST_MATCHES} matches for each unit")
        if not varies:
            return
        if self.max_controls is None:
            raise OptionError("min_controls= goes with max_controls=, and ratio= between the two is their average")
        whole("max_controls", self.max_controls, "the most matches of a unit", MOST_MATCHES)
        if self.min_controls is not None:
            whole("min_controls", self.min_controls, "the fewest matches of a unit", MOST_MATCHES)
        if not self.least < self.ratio < self.max_controls:
            raise OptionError(
                f"ratio={self.ratio:g} is the average number of matches, between min_controls={self.least} and "
                f"max_controls={self.max_controls}, and not one of the two"
            )
        if not self.on_score:
            raise OptionError(
                "a variable ratio gives those with the most extreme scores the fewest matches, so units are matched "
                "on a score: leave out mahvars= and distances of covariates"
            )

    def _check_reuse(self) -> None:
        if self.reuse_max is not None:
            whole("reuse_max", self.reuse_max, "of how many a unit may be the match")
            if self.replace and self.reuse_max == 1:
                raise OptionError("reuse_max=1 is matching without replacement, and replace=True is with: use one")
        if self.unit_id is not None and self.replaced:
            raise OptionError(
                "unit_id= lets one row of a unit be a match, once; with replacement there is no such limit"
            )

    def _check_order(self) -> None:
        if self.m_order is not None:
            one_of("m_order", self.m_order, ORDERS)
        if self.m_order in ("largest", "smallest") and self.metric:
            raise OptionError(
                f"m_order={self.m_order!r} orders units by a score, and distance={self.distance!r} has none; choose "
                "'data', 'closest', 'farthest' or 'random'"
            )
        if self.seed is not None:
            whole("seed", self.seed, "the seed of m_order='random'", least=0)
            if self.m_order != "random":
                raise OptionError("seed= is of m_order='random'; nothing else is drawn")
        elif self.m_order == "random":
            object.__setattr__(self, "seed", fresh_seed(None))  # which the print says, so that it can be repeated

    def _check_metric(self) -> None:
        if self.mahvars is not None and self.metric:
            raise OptionError(
                f"mahvars= names what units are matched on where distance= is a score; with distance={self.distance!r} "
                "they are matched on the formula's covariates"
            )
        if not self.metric:
            return
        if self.discard is not None:
            raise OptionError(f"discard= needs a score, and distance={self.distance!r} has none; use mahvars=")
        if any(each.name == DISTANCE for each in self.calipers) and not self.ties:
            raise OptionError(
                f"a caliper on the distance needs a score, and distance={self.distance!r} has none; use mahvars= with "
                "distance='glm', or name covariates, as caliper={'age': 2}"
            )

    def _other(self) -> str:
        return "is between covariates, and has no model" if self.metric else super()._other()

    @property
    def _known(self) -> tuple[str, ...]:
        """Distances that are named by words; any other name is that of a column."""
        return (*super()._known, *METRICS, WHOLE_SAMPLE)

    @property
    def metric(self) -> str:
        """The distance of covariates that ``distance=`` names; empty where it is a score."""
        return self.distance if isinstance(self.distance, str) and self.distance in (*METRICS, WHOLE_SAMPLE) else ""

    @property
    def on_score(self) -> bool:
        """Whether units are matched on a score."""
        return not self.metric and self.mahvars is None

    @property
    def varies(self) -> bool:
        """Whether numbers of matches vary."""
        return self.min_controls is not None or self.max_controls is not None

    @property
    def least(self) -> int:
        """The fewest matches of a unit where numbers vary."""
        return 1 if self.min_controls is None else self.min_controls

    @property
    def replaced(self) -> bool:
        """Whether a unit may be the match of several."""
        return self.replace if self.reuse_max is None else self.reuse_max > 1

    @property
    def own_vcov(self) -> str | None:
        """Abadie and Imbens' variance for their estimator."""
        return "AI" if self.ties else None

    @property
    def calipers(self) -> tuple[Caliper, ...]:
        """The calipers, by the variables that they are on."""
        return read_calipers(self.caliper, self.std_caliper)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name."""
        named = [each.name for each in self.calipers if each.name != DISTANCE]
        unit = [] if self.unit_id is None else [self.unit_id]
        own = () if self.metric else super().columns
        return tuple(dict.fromkeys([*own, *named, *unit, *side_columns((self.exact, self.antiexact, self.mahvars))]))


# A rule, a number of bins, or where they end.
Cut = str | int | tuple[float, ...]
MOST_BINS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Exact(Options):
    """Options of ``method="exact"``: all of the formula's covariates are matched exactly.

    Parameters
    ----------
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC: the level whose units are the target, where it is not the usual one.
    """

    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("interact", self.interact)


@dataclass(frozen=True, kw_only=True)
class CEM(Exact):
    """Options of ``method="cem"``.

    Parameters
    ----------
    cutpoints : str, int, sequence of numbers or mapping
        How numbers are cut into bins, closed on the left: ``"sturges"``, ``"scott"`` or ``"fd"``; a number of bins of
        equal width, 0 for none (values must be the same); ``"q4"``, at the quartiles, and likewise; or where bins end.
        A mapping has one for each covariate that it names, ``{"age": [20, 30, 40], "educ": "q4"}``.
    grouping : mapping, optional
        Levels that count as one: ``{"race": [["white", "hispan"], ["black"]]}``; others stay as they are.
    k2k : bool
        Keep as many of either arm in every stratum: the nearest pairs, the others are left out.
    k2k_method : str
        The distance of ``k2k``: ``"mahalanobis"``, ``"robust_mahalanobis"``, ``"scaled_euclidean"`` or ``"euclidean"``.
    interact : bool
        As in ``Exact``.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC: the level whose units are the target, where it is not the usual one.
    """

    cutpoints: Any = "sturges"
    grouping: Any = None
    k2k: bool = False
    k2k_method: Metric = "mahalanobis"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "cutpoints", read_cutpoints(self.cutpoints))
        if self.grouping is not None and not _are_groups(self.grouping):
            raise OptionError(
                f"grouping={shown(self.grouping)}: give lists of levels that count as one, by covariate, as "
                "{'race': [['white', 'hispan'], ['black']]}"
            )
        _refuse_loose(self.grouping or {})
        flag("k2k", self.k2k)
        one_of("k2k_method", self.k2k_method, METRICS)
        if self.k2k_method != CEM.k2k_method and not self.k2k:
            raise OptionError("k2k_method= is the distance of k2k=True, which is not given")
        if self.k2k and self.estimand == ATE:
            raise OptionError("k2k=True keeps pairs, whose target is one arm: estimand='ATT' or 'ATC'")


def read_cutpoints(value: Any) -> Any:
    """A rule for all numbers, or one for each that a mapping names."""
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise OptionError(f"cutpoints={shown(value)}: covariates are named by text")
        return {name: _cut(each, f" of {name!r}") for name, each in value.items()}
    return _cut(value, "")


def _cut(value: Any, of: str) -> Cut:
    if isinstance(value, str) and (value in RULES or QUANTILES.fullmatch(value)):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value <= MOST_BINS:
        return int(value)
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) and all(map(is_number, value)):
        return tuple(float(point) for point in value)
    raise OptionError(
        f"cutpoints{of}={shown(value)}: choose from {', '.join(RULES)}, 'q4' for quartiles (and likewise), or give a "
        "number of bins (0: not coarsened) or a list of numbers where bins end"
    )


def _are_groups(value: Any) -> bool:
    """Whether a value is lists of levels, by the name of a covariate."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return False
    return all(
        isinstance(groups, (list, tuple)) and all(isinstance(group, (str, list, tuple)) for group in groups)
        for groups in value.values()
    )


def _refuse_loose(grouping: Mapping[str, Any]) -> None:
    """An ``OptionError`` for levels in one list, each a group by itself, which groups nothing."""
    for name, groups in grouping.items():
        if groups and all(isinstance(group, str) for group in groups):
            raise OptionError(
                f"grouping= of {name!r} is a list of groups, each a list of the levels that count as one: "
                f"{{{name!r}: {[list(groups)]}}}"
            )
