"""Propensity scores from a scikit-learn classifier, cross-fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.backends.propensity import Propensity
from causalformula.backends.sample_weights import fit_weighted
from causalformula.errors import DataError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Codes


def check_classifier(model: Any) -> None:
    """An ``OptionError`` for what is no scikit-learn classifier."""
    if isinstance(model, type):
        raise OptionError(f"model={model.__name__} is a class; give an object of it, model={model.__name__}()")
    if not (hasattr(model, "fit") and (hasattr(model, "predict_proba") or gives_probabilities(model))):
        raise _without_probabilities(model)


def _without_probabilities(model: Any) -> OptionError:
    return OptionError(
        f"model={shown(model)} gives no probabilities: a scikit-learn classifier with fit and predict_proba is "
        "needed, such as RandomForestClassifier() or GradientBoostingClassifier()"
    )


def gives_probabilities(model: Any) -> bool:
    """Whether a stacking classifier is in it, which shows only once it is fitted whether it gives probabilities."""
    from sklearn.base import BaseEstimator
    from sklearn.ensemble import StackingClassifier

    inside = model.get_params(deep=True).values() if isinstance(model, BaseEstimator) else ()
    return any(isinstance(part, StackingClassifier) for part in (model, *inside))


def model_name(model: Any) -> str:
    """What the print calls a classifier: its class; a pipeline is named by its last step."""
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        return f"Pipeline ending in {type(model.steps[-1][1]).__name__}"
    return type(model).__name__


def learned_propensity(frame: ModelFrame, model: Any, folds: int, seed: int, X: Array) -> Propensity:
    """Probabilities of the arms, each row's from a classifier that did not see it (``folds`` > 1).

    Raises
    ------
    DataError
        If the classifier gives no probabilities, or an arm is too small for the folds.
    OptionError
        If the formula has weights and the classifier takes none.
    """
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold

    treatment = frame.the_treatment
    codes = treatment.codes
    Z = X[:, 1:]
    P = np.zeros((frame.n, len(treatment.levels)))
    if folds == 1:
        splits = [(np.arange(frame.n), np.arange(frame.n))]
    else:
        smallest = int(np.bincount(codes).min())
        if smallest < folds:
            raise DataError(f"the smallest arm of {treatment.name!r} has {smallest} rows, fewer than the {folds} folds")
        splits = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(Z, codes))
    for train, test in splits:
        fitted = _fitted(clone(model), Z[train], codes[train], None if frame.weights is None else frame.weights[train])
        P[np.ix_(test, fitted.classes_)] = fitted.predict_proba(Z[test])
    if not ((P >= 0) & (P <= 1)).all():
        raise DataError(f"{type(model).__name__}.predict_proba gives values that are no probabilities")
    name = model_name(model)
    note = f"the weights come from {name}, which has no estimating equations: standard errors treat them as given"
    return Propensity(P, None, Z[:, :0], caveats=(note,))


def _fitted(model: Any, X: Array, codes: Codes, weights: Array | None) -> Any:
    """The classifier fitted; a row of weight zero takes no part."""
    if weights is None:
        fitted = model.fit(X, codes)
    else:
        used = weights > 0
        fitted = fit_weighted(model, X[used], codes[used], weights[used])
    if not hasattr(fitted, "predict_proba"):
        raise _without_probabilities(model)
    return fitted
