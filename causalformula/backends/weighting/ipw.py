"""Inverse probability weighting by a propensity model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.distance import DISCARD, LINKS
from causalformula.backends.estimands import ATC, ATE, ATM, ATO, ATOS, ATT
from causalformula.backends.fit import Fitted, Query
from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.propensity import learned_propensity
from causalformula.backends.learning.table import (
    GLM,
    Features,
    Learner,
    features,
    is_glm,
    read_learner,
    refuse_kind,
    refuse_unweighted,
)
from causalformula.backends.options import column, flag, is_number, one_of, shown, whole
from causalformula.backends.propensity import (
    Propensity,
    Regressors,
    binary_propensity,
    binary_weights,
    estimand_weights,
    multinomial_propensity,
    propensity_sensitivity,
    warm_scores,
)
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.separation import apart_on, weak_overlap
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.dose import density_weights, read_density
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.weights import (
    Weighting,
    WeightingOptions,
    discarded,
    finite,
    indicators,
    trimmed,
    with_shares,
)
from causalformula.errors import CapabilityError, DataError, OptionError, some
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import first_column
from causalformula.words import Discard, Link

# Estimands whose weights grow without end where a propensity is small.
DIVIDING = (ATE, ATT, ATC)


@dataclass(frozen=True, kw_only=True)
class IPW(WeightingOptions):
    """Options of ``method="ipw"``.

    Parameters
    ----------
    link : str
        Of the binary propensity model: ``"logit"``, ``"probit"``, ``"cloglog"`` or ``"cauchit"``.
    stabilize : bool
        Multiply the weights of the ATE by the arms' proportions.
    trim : number, optional
        Below 1 a quantile, otherwise a count: weights beyond are set to the limit.
    trim_lower : bool
        Trim small weights too.
    discard : str or pair, optional
        ``"treated"``, ``"control"`` or ``"both"``: drop rows of these arms outside the common support of the
        propensity score; ``(low, high)``: drop rows whose propensity lies outside.
    by : str, optional
        A column: the propensity model is fitted within its levels.
    density : str
        For a dose: ``"dnorm"``, ``"dt_4"`` (t with that many degrees of freedom) or ``"kernel"``.
    ps : str, optional
        A column with propensity scores of a binary treatment, used as they are.
    treatment_model : str or estimator
        ``"glm"``, the formula's own regression; a learner whose probabilities are cross-fitted: ``"lasso"``,
        ``"ridge"``, ``"elastic_net"``, ``"spline"``, ``"forest"``, ``"boosting"``, ``"knn"``, ``"stack"``, or a
        scikit-learn classifier or search. Sampling weights reach the last step of a pipeline and the estimator inside a
        search.
    model : str or estimator, optional
        Short for ``treatment_model``.
    folds : int
        Folds of the cross-fitting; 1 fits and predicts on all rows.
    seed : int
        Of the folds.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    link: Link = "logit"
    stabilize: bool = False
    trim: float | None = None
    trim_lower: bool = False
    discard: Discard | tuple[float, float] | None = None
    by: str | None = None
    density: str = "dnorm"
    ps: str | None = None
    treatment_model: Any = GLM
    model: Any = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._read_model()
        one_of("link", self.link, LINKS)
        flag("stabilize", self.stabilize)
        flag("trim_lower", self.trim_lower)
        self._check_trim()
        object.__setattr__(self, "discard", read_discard(self.discard))
        if self.stabilize and self.estimand not in (None, "ATE"):
            raise OptionError(f"stabilize=True is for the ATE; weights for the {self.estimand} have a scale already")
        column("ps", self.ps)
        column("by", self.by)
        whole("folds", self.folds, "folds of the cross-fitting")
        whole("seed", self.seed, "the seed of the folds", least=0, most=2**32 - 1)
        read_density(self.density)
        self._check_scores()

    def _read_model(self) -> None:
        """Set ``treatment_model`` by its short form, and refuse what gives no probabilities."""
        if self.model is not None:
            if self.treatment_model is not self.model and not is_glm(self.treatment_model):
                raise OptionError("model= is short for treatment_model=, and both are given; use one of the two")
            object.__setattr__(self, "treatment_model", self.model)
        option = "treatment_model" if self.model is None else "model"
        refuse_kind(read_learner(self.treatment_model, option), "classification", option)

    @property
    def learner(self) -> Learner | None:
        """What the scores are learned by; None for the formula's own regression, or given scores."""
        return None if is_glm(self.treatment_model) else read_learner(self.treatment_model, "treatment_model")

    def _check_scores(self) -> None:
        """Where the scores come from, and options that would have no effect on them."""
        if self.ps is not None and self.learner is not None:
            raise OptionError("ps= gives the propensity scores and model= fits them: use one of the two")
        if self.learner is None and (self.folds, self.seed) != (IPW.folds, IPW.seed):
            raise OptionError("folds= and seed= are for model=, whose scores are cross-fitted; there is no model=")
        if self.ps is None and self.learner is None:
            return
        source = "model= fits" if self.ps is None else "ps= gives"
        idle = {"link": self.link != IPW.link, "by": self.ps is not None and self.by is not None}
        for name in (name for name, given in idle.items() if given):
            text = f"{source} the propensity scores. Leave out one of the two"
            raise OptionError(f"{name}={getattr(self, name)!r} has no effect: {text}")

    def _check_trim(self) -> None:
        trim = self.trim
        if trim is None:
            if self.trim_lower:
                raise OptionError("trim_lower=True trims small weights too, and trim= says how many: give both")
            return
        if not is_number(trim) or not (0.5 < trim < 1 or (trim >= 1 and trim % 1 == 0)):
            raise OptionError(f"trim={shown(trim)}: give a quantile above 0.5 and below 1, or how many weights to trim")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name."""
        return tuple(name for name in (self.ps, self.by) if name is not None)

    @property
    def own_vcov(self) -> str | None:
        """Weights without estimating equations count as given."""
        kernel = self.density == "kernel"
        return "HC0" if self.ps is not None or self.learner is not None or kernel else None


def read_discard(value: Any) -> Any:
    """Arms whose rows are dropped outside the common support, a range of scores, or None."""
    if value is None or (isinstance(value, str) and value in DISCARD):
        return value
    pair = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(map(is_number, value))
    if pair and 0 <= value[0] < value[1] <= 1:
        return tuple(float(v) for v in value)
    raise OptionError(
        f"discard={shown(value)}: choose from {', '.join(DISCARD)}, or give a pair (low, high) within 0 and 1"
    )


def ipw_weights(frame: ModelFrame, options: IPW) -> Weighting:
    """The design stage: weights, propensity scores, and the equations behind them."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        _refuse_for_dose(options)
        made = density_weights(frame, options.density, propensity_design(frame, options.by))
        return trimmed(made, frame, options, options.trim, options.trim_lower)
    if options.density != IPW.density:
        raise OptionError(f"density={options.density!r} is for a dose; {frame.the_treatment.name!r} has arms")
    hot = indicators(frame)
    arm = target_arm(frame, options)
    refuse_subset(frame, options)
    found, words = _propensity(frame, options)
    made = by_scores(frame, found, options, words)
    made = _noted(made, *found.notes, *_no_overlap(frame, found, options))
    if options.estimand == "ATOS":
        made = _noted(made, subset_words(int(((made.weights == 0) & (frame.unit_weights > 0)).sum())))
    if options.stabilize:
        made = with_shares(made, hot, np.ones(frame.n), frame.unit_weights)
    made = discarded(made, frame, options, options.discard)
    if options.estimand in DIVIDING:
        made = _noted(made, *weak_overlap(frame, found.P, arm, kept=made.weights > 0))
    return finite(trimmed(made, frame, options, options.trim, options.trim_lower), frame)


def refuse_subset(frame: ModelFrame, options: IPW) -> None:
    """A ``CapabilityError`` for the optimal subset of several levels."""
    if options.estimand == "ATOS" and frame.the_treatment.kind is not Kind.BINARY:
        raise CapabilityError("the ATOS is defined for a binary treatment; use the ATO or ATM for several levels")


def subset_words(count: int) -> str:
    """How many rows the optimal subset leaves out."""
    return f"{count} rows outside the optimal subset have weight 0"


def by_scores(frame: ModelFrame, found: Propensity, options: IPW, words: str, most: float | None = None) -> Weighting:
    """Weights by propensity scores, before any are shared, dropped or capped; ``most`` as in ``estimand_weights``."""
    codes, s, arm = frame.the_treatment.codes, frame.unit_weights, target_arm(frame, options)
    w, dlog = estimand_weights(found.P, codes, str(options.estimand), arm, s, most)
    binary = frame.the_treatment.kind is Kind.BINARY
    return Weighting(
        weights=w,
        distance=found.P[:, 1] if binary else None,
        stages=() if found.stage is None else (found.stage,),
        dw={} if found.stage is None else {"propensity": propensity_sensitivity(found, w, dlog)},
        models={} if found.model is None else {"propensity": Fitted(found.model, PROPENSITY)},
        caveats=found.caveats if options.ps is None else (),
        given=() if options.ps is None else found.caveats,
        words=words,
        probabilities=None if binary else found.P,
        learned={} if found.learned is None else {"treatment": found.learned},
        folds=found.folds,
    )


def _no_overlap(frame: ModelFrame, found: Propensity, options: IPW) -> tuple[str, ...]:
    """A note on scores, given or learned, that have no value in common between two arms; a fitted model has its own."""
    if frame.the_treatment.kind is not Kind.BINARY or (options.ps is None and options.learner is None):
        return ()
    return apart_on(frame, found.P[:, 1])


def _noted(made: Weighting, *notes: str) -> Weighting:
    return replace(made, notes=(*made.notes, *notes))


def _refuse_for_dose(options: IPW) -> None:
    given = [name for name in ("stabilize", "discard", "ps") if getattr(options, name)]
    if options.learner is not None:
        given.append("treatment_model" if options.model is None else "model")
    if options.link != "logit":
        given.append("link")
    if options.estimand != "ATE":
        raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
    if given:
        raise OptionError(
            f"{', '.join(given)}: for treatments with arms. Weights for a dose are the ratio of its marginal density "
            "to its conditional one, already stabilised, from a linear model; density= and trim= are their options"
        )


def _propensity(frame: ModelFrame, options: IPW) -> tuple[Propensity, str]:
    """Probabilities of the arms, and how they were found."""
    binary = frame.the_treatment.kind is Kind.BINARY
    if options.ps is not None:
        given = (
            "ps= gives the propensity scores, so propensity(...) models nothing; adjust(...) names what balance() shows"
        )
        frame.refuse_roles(("propensity",), given)
        words = f"inverse probability weighting (propensity scores in {options.ps!r})"
        return given_propensity(frame, options.ps), words
    if options.learner is not None:
        return _learned(frame, options, options.learner)
    design = propensity_design(frame, options.by)
    words = model_words(frame, options)
    return (binary_propensity(frame, options.link, design) if binary else multinomial_propensity(frame, design)), words


def model_words(frame: ModelFrame, options: IPW) -> str:
    """How the scores are modelled, for the print.

    Raises
    ------
    OptionError
        For a link of several levels.
    """
    within = "" if options.by is None else f" by {options.by}"
    if frame.the_treatment.kind is Kind.BINARY:
        return f"inverse probability weighting ({options.link}{within})"
    if options.link != "logit":
        raise OptionError(f"link={options.link!r} is for a binary treatment; several levels use the multinomial logit")
    return f"inverse probability weighting (multinomial logit{within})"


def _learned(frame: ModelFrame, options: IPW, learner: Learner) -> tuple[Propensity, str]:
    """Cross-fitted probabilities, which have no equations."""
    option = "treatment_model" if options.model is None else "model"
    learned, folds = learned_propensity(
        frame, learner, options.folds, options.seed, option, _features(frame, options.by)
    )
    P = learned.predictions[:, 0]
    note = (
        f"the weights come from {learner.name}, which has no estimating equations: standard errors treat them as given"
    )
    notes = learning_notes([learned], folds)
    found = Propensity(P, None, np.empty((frame.n, 0)), notes=notes, caveats=(note,), learned=learned, folds=folds)
    return found, f"inverse probability weighting ({learner.name}, {_folds_text(options.folds)})"


def _features(frame: ModelFrame, by: str | None) -> Features:
    """What the scores are learned from; with ``by``, the covariates of each of its levels as columns of their own."""
    found = features(frame, PROPENSITY)
    if by is None:
        return found
    design, coded = propensity_design(frame, by), frame.groups(by).codes.astype(float)
    return Features(design.X, design.names, np.column_stack([found.coded, coded]), np.append(found.categories, True))


def _folds_text(folds: int) -> str:
    return f"cross-fitted in {folds} folds" if folds > 1 else "not cross-fitted"


def propensity_design(frame: ModelFrame, by: str | None) -> Regressors:
    """Regressors of the treatment model; with ``by``, a set of them a level."""
    design = frame.design(PROPENSITY)
    if by is None:
        return Regressors(design.X, design.names, first_column(design.X, design.intercept))
    groups = frame.groups(by)
    return within_levels(design, by, groups.levels, groups.codes)


def within_levels(design: DesignMatrix, by: str, levels: Sequence[str], codes: Codes) -> Regressors:
    """A set of the regressors for each level of a column."""
    X = np.hstack([design.X * (codes == k)[:, None] for k in range(len(levels))])
    names = tuple(f"{by}={level}: {name}" for level in levels for name in design.names)
    anchors = np.repeat(np.arange(len(levels)) * len(design.names), len(design.names))
    return Regressors(X, names, anchors if design.intercept else None)


def given_propensity(frame: ModelFrame, name: str) -> Propensity:
    """A column of propensity scores.

    Raises
    ------
    DataError
        If they are no numbers between 0 and 1.
    """
    if frame.the_treatment.kind is not Kind.BINARY:
        raise OptionError("ps= is for a binary treatment")
    p = frame.numbers(name)
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        rows = some(frame.index[bad])
        raise DataError(f"propensity scores must lie between 0 and 1; {name!r} does not in rows {rows}")
    note = "standard errors treat the given propensity scores as known"
    return Propensity(np.column_stack([1 - p, p]), None, np.empty((len(p), 0)), caveats=(note,))


def _batch(frame: ModelFrame, options: IPW, query: Query, W: Array) -> Array | None:
    """Many reweighted fits: propensity models of two arms start from the sample's own solution."""
    plain = options.learner is None and options.ps is None and options.trim is None and options.discard is None
    if frame.the_treatment.kind is not Kind.BINARY or not plain or options.stabilize:
        return None
    codes, s, arm = frame.the_treatment.codes, frame.unit_weights, target_arm(frame, options)
    model = ipw_weights(frame, options).models["propensity"].model

    def weigh(W: Array) -> Array:
        P = warm_scores(frame, options.link, model.hat.X, model.inner, W)
        if options.estimand != "ATOS":
            return binary_weights(P, codes == 1, str(options.estimand), arm)
        out = np.full(P.shape, np.nan)
        for r in np.flatnonzero(~np.isnan(P[:, 0])):
            scores = np.column_stack([1 - P[r], P[r]])
            out[r] = estimand_weights(scores, codes, "ATOS", None, s * W[r])[0]
        return out

    return weighted_batch(frame, options, query, W, weigh)


def _resampled(options: IPW) -> None:
    """A learner that takes no weights sees no replicate."""
    if options.learner is not None:
        refuse_unweighted(options.learner)


@Record(
    name="ipw",
    options=IPW,
    aliases=("weighting",),
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC, ATO, ATM, ATOS),
    default_vcov="asympt",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'glm') |> lm_weightit()",
    summary="inverse probability weighting by a propensity model",
    title="Inverse probability weighting",
    face="causalformula.results.families.learned:LearnedResult",
    batch=_batch,
    resampled=_resampled,
    estimate=weighted_fit,
    rebalance="More terms in the treatment model (poly(), ns(), products) may help, or method='ebal', which balances "
    "exactly, estimand='ATO' where the arms hardly overlap, or outcome({x}), which adjusts for what is left",
)
def ipw(frame: ModelFrame, options: IPW) -> Weighting:
    """Average effect by inverse probability weighting.

    The weights ``h(P) / P_own`` make every arm resemble the target population that the tilting function h stands for;
    the weighted outcome regression then compares the arms. Identified when, given the covariates, treatment is
    independent of the potential outcomes, every unit could have had each level, and the propensity model is right.

    Parameters
    ----------
    frame : ModelFrame
    options : IPW

    Returns
    -------
    Weighting

    Raises
    ------
    IdentificationError
        If the covariates predict the treatment perfectly.

    References
    ----------
    Robins, Hernan and Brumback (2000); Li, Morgan and Zaslavsky (2018). R: ``WeightIt::weightit(method = "glm")`` 1.4.
    """
    return ipw_weights(frame, options)
