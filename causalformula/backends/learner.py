"""Propensity scores from a scikit-learn classifier, cross-fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.backends.propensity import Propensity
from causalformula.errors import DataError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Codes


def check_classifier(model: Any) -> None:
    """An ``OptionError`` for what is no scikit-learn classifier."""
    if isinstance(model, type):
        raise OptionError(f"model={model.__name__} is a class; give an object of it, model={model.__name__}()")
    if not (hasattr(model, "fit") and (hasattr(model, "predict_proba") or _stacks(model))):
        raise OptionError(
            f"model={shown(model)} gives no probabilities: a scikit-learn classifier with fit and predict_proba is "
            "needed, such as RandomForestClassifier() or GradientBoostingClassifier()"
        )


def _stacks(model: Any) -> bool:
    """A stacking classifier shows that it gives probabilities only once it is fitted; its default last one does."""
    from sklearn.ensemble import StackingClassifier
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        model = model.steps[-1][1]
    if not isinstance(model, StackingClassifier):
        return False
    last = model.final_estimator
    return last is None or hasattr(last, "predict_proba") or _stacks(last)


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
    if weights is None:
        return model.fit(X, codes)
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(model, "sample_weight"):
        raise OptionError(f"{type(model).__name__} takes no sample weights; the formula or the bootstrap has some")
    return model.fit(X, codes, sample_weight=weights)
