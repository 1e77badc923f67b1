"""The options of ``method="did"``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from causalformula.backends.did.estimators import Estimator
from causalformula.backends.learning.folds import GivenFolds, read_folds
from causalformula.backends.learning.table import read_learner
from causalformula.backends.options import Options, flag, is_number, one_of, shown, whole
from causalformula.errors import OptionError
from causalformula.numerics.families import family as read_family
from causalformula.words import BasePeriod, ComparisonGroup, DidEstimator

ESTIMATORS = {
    "dr": "doubly robust",
    "dr_improved": "improved doubly robust",
    "ipw": "inverse probability weighting",
    "reg": "outcome regression",
}
CONTROLS = ("nevertreated", "notyettreated")
BASES = ("varying", "universal")
LEARNED = ("outcome_model", "treatment_model")


# What the records of these methods say alike: which roles they read, what to write in place of others, and the law that
# none obeys.
ROLES = ("did", "adjust", "outcome", "cluster", "weights", "offset")
UNREAD = {
    "treat": "write did(first_treated, time, unit = id) in place of treat(A)",
    "fe": "the effects of units and periods are absorbed already; leave fe(...) out",
}
# Families of an extended two-way regression, with their canonical links, whose trends are parallel on that scale.
NONLINEAR = ("poisson", "quasipoisson", "binomial", "quasibinomial")
EXEMPT = {"label_swap": "the treated are those whose trend is unknown: with labels swapped the question is another"}


@dataclass(frozen=True, kw_only=True)
class Staggered(Options):
    """Options of every difference in differences.

    Parameters
    ----------
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``.
    anticipation : float
        How long before its first treated period a group may react, in the unit of time.
    """

    families: ClassVar[tuple[str, ...]] = ("gaussian",)

    anticipation: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        family = read_family(self.family)
        if family.name not in self.families or not family.canonical:
            raise OptionError(
                f"family={str(self.family)!r}: a difference in differences takes trends to be parallel on the scale of "
                "the outcome, so its model is linear (family='gaussian'), also for an outcome of 0 and 1. On the scale "
                "of a link they are parallel in method='etwfe', with family='poisson' or 'binomial'"
            )
        if self.focal is not None:
            raise OptionError("focal= has no place here: a difference in differences is for the treated group")
        if not is_number(self.anticipation) or self.anticipation < 0:
            raise OptionError(f"anticipation={shown(self.anticipation)}: a time before treatment, from 0")


def refuse_measures(options: Options, what: str = "group-time effects, and est_method=, compare") -> None:
    """An ``OptionError`` for what changes cannot be compared by."""
    if options.measure != "difference" or options.contrast != "reference":
        raise OptionError(f"{what} changes: measure='difference' and contrast='reference' are all there is")


@dataclass(frozen=True, kw_only=True)
class DiD(Staggered):
    """Options of ``method="did"``: those that every method takes, and those of group-time effects.

    The outcome model is linear, as parallel trends are an assumption on the outcome's own scale.

    Parameters
    ----------
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    est_method : {"dr", "dr_improved", "ipw", "reg"}, optional
        How changes of the treated are compared with those of the others, given the covariates before the treatment:
        doubly robust (Sant'Anna and Zhao 2020), the same with nuisance models that leave its variance alone, inverse
        probability weights, or a regression of the others' changes. Where not given, two groups over two periods are
        the regression ``y ~ A * time + x``, and groups treated at different times ``"dr"``.
    control_group : {"nevertreated", "notyettreated"}
        Who a group is compared with.
    base_period : {"varying", "universal"}
        Before its treatment a group is compared with its previous period, or always with the last one before it.
    anticipation : float
        How long before its first treated period a group may react, in the unit of time.
    allow_unbalanced_panel : bool
        Whether units that are not observed in all periods take part, the periods then being samples of different units;
        otherwise they are left out, and counted.
    normalized : bool
        Whether the weights of ``"ipw"`` are divided by their sum (Hajek); False for Horvitz and Thompson's.
    locally_efficient : bool
        Without ``unit=``, whether the doubly robust estimators have regressions of the treated too.
    trim_level : float
        Controls whose probability of treatment is at least this are not compared.
    event_study : bool
        Two-way fixed effects with leads and lags in place of group-time effects: one effect for each time since
        treatment, the same in all groups.
    reference : float or tuple of float, optional
        Of the event study: the event times that the others are compared with; the last one before the treatment, and
        its anticipation, where not given. Where nobody is never treated there must be two.
    bins : tuple of float, optional
        Of the event study: the first and the last event time, which stand for all before and after them too.
    outcome_model, treatment_model : str or estimator, optional
        Learners, as of ``method="aipw"``, of the comparison group's change and of the treatment in each cell, for
        doubly robust effects of units that are observed throughout. Both are cross-fitted where one is given.
    folds : int, str or array
        Of the cross-fitting, on whole units; or the folds themselves.
    seed : int
        Of the folds, and of learners that draw.
    """

    est_method: DidEstimator | None = None
    control_group: ComparisonGroup = "nevertreated"
    base_period: BasePeriod = "varying"
    allow_unbalanced_panel: bool = False
    normalized: bool = True
    locally_efficient: bool = True
    trim_level: float = 0.995
    event_study: bool = False
    reference: float | tuple[float, ...] | None = None
    bins: tuple[float, float] | None = None
    outcome_model: Any = None
    treatment_model: Any = None
    folds: Any = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.est_method is not None:
            one_of("est_method", self.est_method, ESTIMATORS)
        one_of("control_group", self.control_group, CONTROLS)
        one_of("base_period", self.base_period, BASES)
        for name in ("allow_unbalanced_panel", "normalized", "locally_efficient"):
            flag(name, getattr(self, name))
        self._check_event_study()
        if not is_number(self.trim_level) or not 0 < self.trim_level <= 1:
            raise OptionError(f"trim_level={shown(self.trim_level)}: a probability above 0, 1 to leave nobody out")
        for name in LEARNED:
            if getattr(self, name) is not None:
                read_learner(getattr(self, name), name)
        if self.learns and self.est_method not in (None, "dr"):
            raise OptionError(f"est_method={self.est_method!r}: with learners the effects are doubly robust, 'dr'")
        object.__setattr__(self, "folds", read_folds(self.folds))
        whole("seed", self.seed, "the seed of the folds", 2**32 - 1, 0)
        if not self.normalized and self.est_method != "ipw":
            raise OptionError("normalized=False is about weights: it needs est_method='ipw'")
        if not self.locally_efficient and self.est_method in ("ipw", "reg"):
            raise OptionError("locally_efficient=False is about est_method='dr' and 'dr_improved'")

    def _check_event_study(self) -> None:
        flag("event_study", self.event_study)
        given = self.reference
        if given is not None:
            many = tuple(given) if isinstance(given, (tuple, list)) else (given,)
            if not many or not all(map(is_number, many)):
                raise OptionError(f"reference={shown(given)}: an event time, or several, as in reference=(-1, -5)")
            object.__setattr__(self, "reference", many)
        if self.bins is not None:
            pair = self.bins
            fits = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(is_number, pair))
            if not fits or not pair[0] < 0 <= pair[1]:
                raise OptionError(
                    f"bins={shown(pair)}: the first and the last event time, before 0 and from 0 on, as in bins=(-5, 5)"
                )
            object.__setattr__(self, "bins", tuple(pair))
        if not self.event_study:
            if self.reference is not None or self.bins is not None:
                raise OptionError("reference= and bins= are of event_study=True")
            return
        read = (*(name for name in OF_CHANGES if name != "anticipation"), "est_method", *LEARNED, "folds", "seed")
        if given := given_of(self, read):
            raise OptionError(
                f"{given}: an event study by two-way fixed effects is one regression, which reads no such option; "
                "leave it out"
            )

    @property
    def learns(self) -> bool:
        """Whether learners take part."""
        return any(getattr(self, name) is not None for name in LEARNED)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that hold given folds."""
        return self.folds.columns if isinstance(self.folds, GivenFolds) else ()


# Options that are about several groups and periods, and those that the regression of two periods does not read.
OF_MANY = ("control_group", "base_period", "anticipation")
OF_CHANGES = (*OF_MANY, "allow_unbalanced_panel", "normalized", "locally_efficient", "trim_level")


def estimator_of(options: DiD) -> Estimator:
    """How one group in one period is compared."""
    name = options.est_method or "dr"
    return Estimator(name, options.normalized, options.locally_efficient, float(options.trim_level))


def given_of(options: DiD, names: Sequence[str]) -> str:
    """Those of some options that are not the defaults, as they were given."""
    usual = DiD()
    values = {name: getattr(options, name) for name in names}
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if value != getattr(usual, name))
