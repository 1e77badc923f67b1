"""The caller's own estimator objects: what they are called, and what they can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from causalformula.backends.options import shown
from causalformula.errors import OptionError


@dataclass(frozen=True)
class Said:
    """What a fitted learner says of itself.

    Parameters
    ----------
    text : str
    title : str
        What ``values`` are.
    values : mapping of str to str
        Weights of a stack's members, or parameters that a search chose.
    """

    text: str = ""
    title: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def said_of(fitted: Any) -> Said:
    """Weights, what was selected, or what a search object chose, wherever it stands in a pipeline."""
    from sklearn.pipeline import Pipeline

    while isinstance(fitted, Pipeline):
        fitted = fitted.steps[-1][1]
    if hasattr(fitted, "weights_") and hasattr(fitted, "told_"):
        return Said(fitted.told_, "Weights", {name: f"{share:.2f}" for name, share in fitted.weights_.items()})
    if isinstance(chosen := getattr(fitted, "best_params_", None), Mapping):
        values = {str(name): _value(value) for name, value in chosen.items()}
        return Said(", ".join(f"{name} = {value}" for name, value in values.items()), "Parameters chosen", values)
    return Said(str(getattr(fitted, "told_", "")))


def _value(value: Any) -> str:
    """A parameter, short: an estimator by its name."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return model_name(value) if hasattr(value, "get_params") else str(value)


def model_name(model: Any) -> str:
    """What the print calls an estimator: its class; a pipeline is named by its last step, a search by what it tunes."""
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        return f"Pipeline ending in {model_name(model.steps[-1][1])}"
    name = type(model).__name__
    return f"{name} of {model_name(model.estimator)}" if isinstance(model, BaseSearchCV) else name


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
