"""Scores of effects for units that need no true ones: by nuisances that are learned on the held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalformula.backends import registry
from causalformula.backends.learning.table import GLM, read_learner
from causalformula.backends.options import flag, one_of, shown, whole
from causalformula.errors import CapabilityError, DataError, IdentificationError, OptionError, asks, counted
from causalformula.estimators.rows import asked
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.spec import Spec
from causalformula.frame.bind import bind
from causalformula.frame.columns import Table
from causalformula.numerics.arrays import Array
from causalformula.results.families.judged import Curve, Judged
from causalformula.results.families.units import UnitResult
from causalformula.scores.held_out import last_step
from causalformula.verbs import fit

if TYPE_CHECKING:
    from causalformula.estimators.effects import EffectEstimator

# The fit whose nuisances judge: those of the outcome in each arm, and of the treatment.
JUDGE = "t_learner"
GROUPS, MOST_GROUPS = 5, 1000


def _number(found: Judged, label: str) -> float:
    return float(found.found.estimate[found.labels.index(label)])


def _area(found: Curve) -> float:
    return float(found.found.estimate[0])


def _r_loss(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    return -_number(judge.losses(effect), "R-loss")


def _dr_loss(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    return -_number(judge.losses(effect), "DR-loss")


def _autoc(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    return _area(judge.rate("AUTOC", effect, reps=0))


def _qini(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    return _area(judge.qini(effect, observed=how.observed, reps=0))


def _uplift(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    return _area(judge.uplift(effect, observed=how.observed, reps=0))


def _effect_calibration(judge: UnitResult, effect: Array, how: EffectScorer) -> float:
    groups = judge.calibration(how.groups, effects=effect).groups
    assert groups is not None
    return -groups.error


SCORES: dict[str, Callable[[UnitResult, Array, EffectScorer], float]] = {
    "r_loss": _r_loss,
    "dr_loss": _dr_loss,
    "autoc": _autoc,
    "qini": _qini,
    "uplift": _uplift,
    "effect_calibration": _effect_calibration,
}


@dataclass(frozen=True, kw_only=True)
class EffectScorer:
    """A score of effects that needs no true ones; see ``scorer``.

    Parameters
    ----------
    score : str
    outcome_model, treatment_model, folds, seed, observed, groups, formula, family
        As in ``scorer``.
    """

    score: str
    outcome_model: Any = GLM
    treatment_model: Any = GLM
    folds: Any = 5
    seed: int = 0
    observed: bool = False
    groups: int = GROUPS
    formula: Any = None
    family: Any = None

    def __post_init__(self) -> None:
        one_of("score", self.score, SCORES)
        for name in ("outcome_model", "treatment_model"):
            read_learner(getattr(self, name), name)
        registry.read_options(JUDGE, self._given)
        if not (self.formula is None or isinstance(self.formula, str | Spec)):
            raise OptionError(f"formula is a text, or a Spec, not {shown(self.formula)}")
        flag("observed", self.observed)
        whole("groups", self.groups, "groups of like prediction", MOST_GROUPS, 2)
        if self.observed and self.score not in ("qini", "uplift"):
            raise OptionError(f"observed= is of 'qini' and 'uplift', and the score is {self.score!r}")
        if self.groups != GROUPS and self.score != "effect_calibration":
            raise OptionError(f"groups= is of 'effect_calibration', and the score is {self.score!r}")

    @property
    def _given(self) -> dict[str, Any]:
        """Options of the judge."""
        learners = {name: getattr(self, name) for name in ("outcome_model", "treatment_model", "folds", "seed")}
        return learners if self.family is None else {**learners, "family": self.family}

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of an estimator on held-out rows, of which the greater is the better."""
        found, rows = last_step(estimator, X)
        return SCORES[self.score](self._judge(found, rows, y), found.predict(rows), self)

    def _judge(self, found: EffectEstimator, rows: Any, y: Any) -> UnitResult:
        """The nuisances of the held-out rows, by these learners whatever the estimator's own are."""
        _refuse_dose(found)
        question = {name: value for name, value in asked(found, rows, y).items() if name in QUESTION}
        if self.formula is not None:
            outcome = found.result_.call.spec.outcome
            assert outcome is not None
            question |= {"formula": str(self.formula), "outcome": deparse(outcome, exact=True)}
        table = Table(question["data"])
        try:
            _refuse_other_arms(found, table)
            judge = fit(**{**question, **self._given, "method": JUDGE})
        except (DataError, IdentificationError) as error:
            size, name = counted(table.n, "held-out row"), found.result_.call.frame.the_treatment.name
            raise DataError(f"{size} cannot score effects: {error}. {STRATIFY.format(name=repr(name))}") from error
        assert isinstance(judge, UnitResult)
        return judge


# What the judge has in common with the estimator that it judges.
QUESTION = ("formula", "data", "outcome", "contrast", "family", "na_action", "contrasts", "env")


STRATIFY = (
    "Every fold needs rows of each arm, as many as the scorer has folds and more: deal them out by arm, "
    "cv=list(StratifiedKFold(5).split(X, X[{name}])), take fewer folds, or cf.scores.scorer(..., folds=2)"
)


def _refuse_dose(found: EffectEstimator) -> None:
    """A ``CapabilityError`` for effects of a dose."""
    treatment = found.result_.call.frame.the_treatment
    if not treatment.levels:
        raise CapabilityError(
            f"scores of held-out effects judge treatments with levels, and {treatment.name!r} is a dose; its fit has "
            "losses(), calibration(), rate() and qini()"
        )


def _refuse_other_arms(found: EffectEstimator, table: Table) -> None:
    """A ``DataError`` for held-out rows without an arm that the effects are of, or with another one."""
    call = found.result_.call
    mine = call.frame.the_treatment.levels
    held = bind(call.spec, table, contrasts=call.frame.contrasts, env=call.frame.env).the_treatment.levels
    if held != mine:
        raise DataError(
            f"they have the levels {', '.join(held)} of the treatment, and effects are of {', '.join(mine)}"
        )


@asks
def scorer(
    score: str,
    *,
    outcome_model: Any = GLM,
    treatment_model: Any = GLM,
    folds: Any = 5,
    seed: int = 0,
    observed: bool = False,
    groups: int = GROUPS,
    formula: Any = None,
    family: Any = None,
) -> EffectScorer:
    """A scorer of effects whose nuisances are learned as is said here.

    Parameters
    ----------
    score : {"r_loss", "dr_loss", "autoc", "qini", "uplift", "effect_calibration"}
    outcome_model, treatment_model : str or estimator
        Learners of the nuisances, the same for every candidate, cross-fitted among the held-out rows.
    folds : int
        Of that, 2 or more.
    seed : int
        Of these folds, and of learners that draw.
    observed : bool
        Of ``"qini"`` and ``"uplift"``: of the outcomes of both arms as they are, as scikit-uplift has it, which only an
        experiment allows.
    groups : int
        Of ``"effect_calibration"``.
    formula : str, optional
        What the nuisances are adjusted for, in roles, of the same outcome, which may be left out; the estimator's
        formula where not given. Give one where candidates differ in theirs.
    family : str, optional
        Of the outcome model; the estimator's where not given.

    Returns
    -------
    callable
        ``(estimator, X, y=None)`` to a number, of which the greater is the better.

    Raises
    ------
    OptionError
        For an unknown score or learner, or an option that is not of this score.

    Examples
    --------
    >>> import causalformula as cf
    >>> cf.scores.scorer("dr_loss", outcome_model="boosting", folds=2).score
    'dr_loss'
    """
    return EffectScorer(
        score=score, outcome_model=outcome_model, treatment_model=treatment_model, folds=folds, seed=seed,
        observed=observed, groups=groups, formula=formula, family=family,
    )  # fmt: skip


@asks
def r_loss(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the R-loss of the effects predicted for held-out rows, ``-mean (Y - m(X) - (A - e(X)) tau(X))^2``.

    ``m`` and ``e`` are glms; ``scorer("r_loss")`` has other learners. An error of the effect counts most where both
    arms are likely.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Nie and Wager (2021).
    """
    return EffectScorer(score="r_loss")(estimator, X, y)


@asks
def dr_loss(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the doubly robust loss of the effects predicted for held-out rows, ``-mean (score - tau(X))^2``.

    Up to what no prediction can change it is minus the square of the PEHE. Nuisances are glms; ``scorer("dr_loss")``
    has other learners.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Kennedy (2023).
    """
    return EffectScorer(score="dr_loss")(estimator, X, y)


@asks
def autoc(estimator: Any, X: Any, y: Any = None) -> float:
    """Rank-weighted average treatment effect (AUTOC) of ranking held-out rows by their predicted effects.

    The area under the TOC of doubly robust scores, ``fit.rate("AUTOC")``; of the order of the effects alone.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Yadlowsky et al. (2021).
    """
    return EffectScorer(score="autoc")(estimator, X, y)


@asks
def qini(estimator: Any, X: Any, y: Any = None) -> float:
    """Area under the Qini curve of treating held-out rows by their predicted effects, beyond treating at random.

    Of doubly robust scores, as ``fit.qini()``; ``scorer("qini", observed=True)`` is of an experiment's outcomes.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Yadlowsky et al. (2021); Radcliffe (2007).
    """
    return EffectScorer(score="qini")(estimator, X, y)


@asks
def uplift(estimator: Any, X: Any, y: Any = None) -> float:
    """Area between the uplift curve of held-out rows and their average effect.

    Of doubly robust scores, as ``fit.uplift()``, where it is the same number as ``autoc``; ``scorer("uplift",
    observed=True)`` is of an experiment's outcomes, per head.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Yadlowsky et al. (2021); Devriendt, Guns and Verbeke (2020).
    """
    return EffectScorer(score="uplift")(estimator, X, y)


@asks
def effect_calibration(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the mean squared calibration error of the effects predicted for held-out rows.

    In five groups of like prediction: of the mean prediction against the mean doubly robust score, less what the
    scores' own errors add, so that it may be above 0 by chance. One effect for all is calibrated where it
    is the average.

    Parameters
    ----------
    estimator : EffectEstimator, UnitResult, Pipeline or search
        Fitted to other rows.
    X : data frame
        Held-out rows.
    y : array, optional
        The outcome, where it is no column of X.

    Returns
    -------
    float

    References
    ----------
    Xu and Yadlowsky (2022).
    """
    return EffectScorer(score="effect_calibration")(estimator, X, y)
