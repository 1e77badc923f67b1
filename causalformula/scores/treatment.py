"""Scores of a model of the treatment: the balance that its weights bring, and its probabilities by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.estimands import ATE, ATOS, ESTIMANDS, LATE, denominator_of
from causalformula.backends.fit import effective_size
from causalformula.backends.options import is_level, one_of, shown, whole
from causalformula.backends.propensity import estimand_weights
from causalformula.diagnostics.balance import Sample
from causalformula.diagnostics.covariates import Covariate, columns_of
from causalformula.diagnostics.imbalance import imbalance
from causalformula.errors import CapabilityError, DataError, OptionError, asks, counted, some
from causalformula.formula.expressions.values import missing
from causalformula.frame.columns import Table
from causalformula.frame.treatment import level_label
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.ties import tied
from causalformula.plots.calibration import alike_groups
from causalformula.words import BalancedEstimand, BalanceMeasure, ProbabilityLoss

SIZES: dict[str, Callable[[Array], float]] = {"max": lambda x: float(x.max()), "mean": lambda x: float(x.mean())}
LOSSES = ("log", "brier")
# Those that weights by probabilities are there for, of any number of arms.
WEIGHTED = tuple(name for name in ESTIMANDS if name not in (ATOS, LATE))
GROUPS, MOST_GROUPS = 10, 1000
# As scikit-learn's log-loss has it: probabilities stay this far from 0 and 1.
LEAST = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Held:
    """Held-out rows with the probabilities of their arms.

    Parameters
    ----------
    P : ndarray (n, K)
    codes : ndarray (n,) of int
        The arm that each row has.
    levels : tuple of str
        In the order of the model's classes, the reference first.
    X : object
        The covariates, as they were handed over.
    """

    P: Array
    codes: Codes
    levels: tuple[str, ...]
    X: Any

    def weights(self, estimand: str, focal: Any) -> Array:
        """Weights of an estimand by these probabilities (n,)."""
        w, _ = estimand_weights(self.P, self.codes, estimand, self.arm(estimand, focal), np.ones(len(self.codes)))
        return w

    def arm(self, estimand: str, focal: Any) -> int | None:
        """Position of the arm that is the target; None where none is."""
        if not ESTIMANDS[estimand].focal:
            return None
        if focal is not None:
            label = level_label(focal)
            if label not in self.levels:
                raise OptionError(f"focal={shown(focal)} is no class of the model, which has {some(self.levels)}")
            return self.levels.index(label)
        if len(self.levels) > 2:
            raise OptionError(f"estimand={estimand!r} of several classes needs focal=, one of {some(self.levels)}")
        return ESTIMANDS[estimand].arm

    def arms(self) -> dict[str, Bools]:
        """Rows of each arm."""
        return {level: self.codes == k for k, level in enumerate(self.levels)}


@dataclass(frozen=True, kw_only=True)
class TreatmentScorer:
    """A score of a classifier of the treatment: ``(estimator, X, y)`` to a number, of which the greater is the better.

    Parameters
    ----------
    score : {"balance", "calibration", "overlap", "loss"}
    estimand, focal, measure, groups, kind
        As in the functions of these names.
    """

    score: str
    estimand: str = ATE
    focal: Any = None
    measure: str = "max"
    groups: int = GROUPS
    kind: str = "log"

    def __post_init__(self) -> None:
        one_of("score", self.score, SCORES)
        one_of("estimand", self.estimand, WEIGHTED)
        one_of("measure", self.measure, SIZES)
        one_of("kind", self.kind, LOSSES)
        whole("groups", self.groups, "groups of like probability", MOST_GROUPS, 2)
        if self.focal is not None and not (is_level(self.focal) and ESTIMANDS[self.estimand].focal):
            raise OptionError(f"focal={shown(self.focal)} names the arm that an ATT or ATC is of, a class of the model")

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of a fitted classifier on held-out rows."""
        return SCORES[self.score](read_held(estimator, X, y), self)


def read_held(estimator: Any, X: Any, y: Any) -> Held:
    """A classifier's probabilities of the arms that rows have.

    Raises
    ------
    CapabilityError
        For what gives none.
    DataError
        For no treatment, one of another length or with a class that the model does not know, or a single arm.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "predict_proba"):
        name = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
        raise CapabilityError(
            f"{name} gives no probabilities of the treatment: a fitted classifier with predict_proba is scored here"
        )
    if y is None:
        raise DataError("the score of a treatment model needs the treatment: y, beside the covariates X")
    P = np.asarray(estimator.predict_proba(X), dtype=float)
    classes, treatment = list(estimator.classes_), np.asarray(y)
    if treatment.shape != P.shape[:1]:
        raise DataError(f"y has the shape {treatment.shape}, and X {counted(len(P), 'row')}")
    codes = np.full(len(P), -1, dtype=np.intp)
    for k, level in enumerate(classes):
        codes[treatment == level] = k
    if (codes < 0).any():
        unknown = some(dict.fromkeys(treatment[codes < 0].tolist()))
        raise DataError(f"y has {unknown}, which the model was not fitted to; its classes are {some(classes)}")
    levels = tuple(level_label(level) for level in classes)
    empty = [level for k, level in enumerate(levels) if not (codes == k).any()]
    if empty:
        raise DataError(f"the held-out rows have none with the treatment {some(empty)}; take fewer folds")
    P = np.clip(P, LEAST, 1 - LEAST)
    return Held(P / P.sum(axis=1, keepdims=True), codes, levels, X)


# ---- the scores ------------------------------------------------------------------------------------------------------


def _balance(held: Held, how: TreatmentScorer) -> float:
    """Minus the largest, or mean, difference between the weighted arms."""
    w = held.weights(how.estimand, how.focal)
    arm = held.arm(how.estimand, how.focal)
    focal = None if arm is None else held.levels[arm]
    sample = Sample(held.arms(), None, np.ones(len(w)), w, focal)
    found = imbalance(_covariates(held.X), sample, denominator_of(how.estimand), threshold=0.0)
    return -SIZES[how.measure](np.abs(found.values))


def _covariates(X: Any) -> list[Covariate]:
    """The columns of a frame or an array as rows of a balance table; text by its levels."""
    import pandas as pd

    if hasattr(X, "toarray"):
        X = X.toarray()
    if isinstance(X, np.ndarray):
        X = pd.DataFrame(X, columns=[f"x{j + 1}" for j in range(X.shape[1])]).infer_objects()
    table = Table(X)
    values = {name: table.column(name) for name in table.names}
    holes = [name for name, value in values.items() if (rows := missing(value)) is not None and rows.any()]
    if holes:
        raise DataError(f"values of {some(holes)} are missing, so that balance is unknown; fill them, or drop the rows")
    return [column for name, value in values.items() for column in columns_of(name, value, value)]


def _calibration(held: Held, how: TreatmentScorer) -> float:
    """Minus the mean distance, over groups and classes, of the share of an arm from its mean probability."""
    errors = []
    for k in [1] if len(held.levels) == 2 else range(len(held.levels)):
        p = tied(held.P[:, k])
        off = np.bincount(alike_groups(p, how.groups), (held.codes == k) - p)
        errors.append(float(np.abs(off).sum()) / len(p))
    return -float(np.mean(errors))


def _overlap(held: Held, how: TreatmentScorer) -> float:
    """The least share of its size that an arm has left after weighting."""
    w = held.weights(how.estimand, how.focal)
    return min(effective_size(w[rows]) / int(rows.sum()) for rows in held.arms().values())


def _loss(held: Held, how: TreatmentScorer) -> float:
    """Minus the mean log-loss, or squared error, of the probabilities."""
    own = held.P[np.arange(len(held.codes)), held.codes]
    if how.kind == "log":
        return float(np.log(own).mean())
    hot = held.codes[:, None] == np.arange(len(held.levels))
    errors = ((held.P - hot) ** 2).sum(axis=1)
    return -float(errors.mean() / (2 if len(held.levels) == 2 else 1))


SCORES: dict[str, Callable[[Held, TreatmentScorer], float]] = {
    "balance": _balance,
    "calibration": _calibration,
    "overlap": _overlap,
    "loss": _loss,
}


# ---- by name ---------------------------------------------------------------------------------------------------------


@asks
def balance(
    *, estimand: BalancedEstimand | str = "ATE", focal: Any = None, measure: BalanceMeasure | str = "max"
) -> TreatmentScorer:
    """A scorer of the balance that weights by a model's probabilities bring to held-out rows.

    Minus the largest, or the mean, absolute difference between the weighted arms in the covariates that the model is
    handed: standardised, and of 0/1 covariates (levels of text among them) in proportions, as the balance table has it.

    Parameters
    ----------
    estimand : {"ATE", "ATT", "ATC", "ATO", "ATM"}
        Whose weights, as of ``method="ipw"``, and whose standard deviations.
    focal : optional
        For ATT and ATC: the class whose units are the target; the second, or the first, of two where not given.
    measure : {"max", "mean"}
        Over the covariates.

    Returns
    -------
    callable
        ``(estimator, X, y)`` to a number, of which the greater is the better: 0 is balance.

    Raises
    ------
    OptionError
        For an unknown estimand or measure.

    Notes
    -----
    The estimator is a classifier of the treatment y, a pipeline or search that ends in one among them. The model that
    predicts the treatment best need not balance best. Probabilities are kept one rounding from 0 and 1, as by
    scikit-learn's log-loss.

    References
    ----------
    Imai and Ratkovic (2014); Pirracchio, Petersen and van der Laan (2015); Stuart, Lee and Leacy (2013).

    Examples
    --------
    >>> import causalformula as cf
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> search = GridSearchCV(LogisticRegression(), {"C": [0.00001, 1.0]}, scoring=cf.scores.balance(), cv=4)
    >>> infants = cf.datasets.load("infants")
    >>> search.fit(infants[["mother_age", "twin", "married"]], infants["treatment"]).best_params_
    {'C': 1.0}
    """
    return TreatmentScorer(score="balance", estimand=estimand, focal=focal, measure=measure)


@asks
def calibration(*, groups: int = GROUPS) -> TreatmentScorer:
    """A scorer of whether a model's probabilities of the treatment are the shares of held-out rows that have it.

    Minus the mean distance between the share of an arm and its mean probability in groups of like probability, weighted
    by their sizes; over the classes, where there are more than two.

    Parameters
    ----------
    groups : int
        Of as many rows each; equal probabilities are in one.

    Returns
    -------
    callable
        ``(estimator, X, y)`` to a number, of which the greater is the better. One probability for all is calibrated
        where it is the share.

    Raises
    ------
    OptionError
        For a number of groups below 2.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015).
    """
    return TreatmentScorer(score="calibration", groups=groups)


@asks
def overlap(*, estimand: BalancedEstimand | str = "ATE", focal: Any = None) -> TreatmentScorer:
    """A scorer of the effective size that weights by a model's probabilities leave: of the arm that keeps least.

    Kish's effective sample size as a share of the arm's rows. A model that learns nothing has the best, so it is a
    score beside others: ``scoring={"balance": ..., "overlap": ...}, refit="balance"``.

    Parameters
    ----------
    estimand, focal
        As in ``balance``.

    Returns
    -------
    callable
        ``(estimator, X, y)`` to a number from 0 to 1, of which the greater is the better.

    Raises
    ------
    OptionError
        For an unknown estimand.

    References
    ----------
    Kish (1965).
    """
    return TreatmentScorer(score="overlap", estimand=estimand, focal=focal)


@asks
def loss(*, kind: ProbabilityLoss | str = "log") -> TreatmentScorer:
    """A scorer of a model's probabilities of the treatment by themselves: minus the log-loss, or the Brier score.

    scikit-learn's ``"neg_log_loss"`` and ``"neg_brier_score"``, for comparisons with ``balance``.

    Parameters
    ----------
    kind : {"log", "brier"}
        The Brier score of more than two classes is the sum of squares over all of them.

    Returns
    -------
    callable
        ``(estimator, X, y)`` to a number, of which the greater is the better.

    Raises
    ------
    OptionError
        For an unknown kind.

    References
    ----------
    Brier (1950).
    """
    return TreatmentScorer(score="loss", kind=kind)
