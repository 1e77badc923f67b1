"""What is scored: the estimator of effects in whatever scikit-learn made of it, and its held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalformula.errors import CapabilityError
from causalformula.results.families.units import UnitResult

if TYPE_CHECKING:
    from causalformula.estimators.effects import EffectEstimator


def last_step(estimator: Any, X: Any) -> tuple[EffectEstimator, Any]:
    """The ``EffectEstimator`` in which an estimator ends, and the rows as the steps before hand them to it.

    Raises
    ------
    CapabilityError
        For what has no effects.
    """
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    from causalformula.estimators.effects import EffectEstimator, estimator_of

    if isinstance(estimator, UnitResult):
        estimator = estimator_of(estimator)
    while isinstance(estimator, Pipeline | BaseSearchCV):
        check_is_fitted(estimator)
        if isinstance(estimator, BaseSearchCV):
            estimator = estimator.best_estimator_
            continue
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    if isinstance(estimator, EffectEstimator):
        check_is_fitted(estimator)
        return estimator, X
    raise CapabilityError(
        f"{type(estimator).__name__} has no effects for units, which this scores: give a cf.EffectEstimator, or a "
        "pipeline or search that ends in one"
    )
