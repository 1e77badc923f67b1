"""The caller's own estimator objects: what they are called, and what they can give."""

from __future__ import annotations

from typing import Any

from causalformula.backends.options import shown
from causalformula.errors import OptionError


def model_name(model: Any) -> str:
    """What the print calls an estimator: its class; a pipeline is named by its last step."""
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        return f"Pipeline ending in {type(model.steps[-1][1]).__name__}"
    return type(model).__name__


def gives_probabilities(model: Any) -> bool:
    """Whether it has ``predict_proba``, or a stacking classifier in it, which shows only once it is fitted."""
    from sklearn.base import BaseEstimator
    from sklearn.ensemble import StackingClassifier

    if hasattr(model, "predict_proba"):
        return True
    inside = model.get_params(deep=True).values() if isinstance(model, BaseEstimator) else ()
    return any(isinstance(part, StackingClassifier) for part in (model, *inside))


def classifies(model: Any) -> bool:
    """Whether it predicts classes."""
    from sklearn.base import is_classifier

    return bool(is_classifier(model))


def without_probabilities(model: Any, option: str) -> OptionError:
    """The error for an estimator whose target has classes, and that gives no probabilities of them."""
    return OptionError(
        f"{option}={shown(model)} gives no probabilities: its target has classes, so a scikit-learn classifier with "
        "fit and predict_proba is needed, such as RandomForestClassifier() or GradientBoostingClassifier()"
    )


def drawing(model: Any, seed: int) -> Any:
    """A copy that is not fitted, with seeds where it would draw without one."""
    from sklearn.base import clone

    copy = clone(model)
    params = copy.get_params(deep=True)
    drawn = {name: seed for name, value in params.items() if value is None and name.split("__")[-1] == "random_state"}
    return copy.set_params(**drawn) if drawn else copy
