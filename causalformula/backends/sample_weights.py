"""Sampling weights on their way into a scikit-learn estimator: through pipelines and searches to whatever is fitted."""

from __future__ import annotations

import re
import warnings
from typing import Any

from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array, Codes

WEIGHT = "sample_weight"
# By name, as not every scikit-learn has them all.
THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
ENSEMBLES = ("StackingClassifier", "VotingClassifier", "StackingRegressor", "VotingRegressor")
CLASSIFIERS = "LogisticRegression(), RandomForestClassifier() or HistGradientBoostingClassifier()"
REGRESSORS = "LinearRegression(), RandomForestRegressor() or HistGradientBoostingRegressor()"


def fit_weighted(model: Any, X: Array, y: Array | Codes, weights: Array) -> Any:
    """The estimator fitted to weighted rows, whose weights are given a mean of one.

    Penalties and least sizes of a learner's own are in the unit of the weights, in which nothing is to depend on.

    Raises
    ------
    OptionError
        Where the weights would not reach what is fitted, which would then ignore them.
    """
    model = _without_threshold(model)
    names, weights = _names(model), weights / weights.mean()
    with warnings.catch_warnings():
        # a calibrated pipeline is thought to take none, and is given them under the name of its step
        warnings.filterwarnings("ignore", "Since .* does not appear to accept sample_weight")
        try:
            return model.fit(X, y, **dict.fromkeys(names, weights))
        except (TypeError, ValueError) as error:
            # a part that takes none, or the caller's own routing that stops on the way
            if re.search("sample.weight", str(error)) is None:
                raise
            raise OptionError(f"sample weights do not reach all that {type(model).__name__} fits: {error}") from error


def refuse_unweighted(model: Any) -> None:
    """An ``OptionError`` for an estimator that sampling weights, or those of a replicate, do not reach."""
    _names(_without_threshold(model))


def _names(model: Any) -> tuple[str, ...]:
    """The arguments of ``fit`` that the weights are given under."""
    return (WEIGHT,) if _routes(model) else weight_arguments(model)


def _without_threshold(model: Any) -> Any:
    """The classifier inside one with a threshold of its own, which takes no weights and has the same probabilities."""
    from sklearn.pipeline import Pipeline

    if type(model).__name__ in THRESHOLDS:
        return _without_threshold(model.estimator)
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        return Pipeline([*model.steps[:-1], (name, _without_threshold(last))], memory=model.memory)
    return model


def weight_arguments(model: Any) -> tuple[str, ...]:
    """Arguments of ``fit`` under which every part that is fitted to the outcome gets its weights.

    The last step of a pipeline is named by ``step__sample_weight``; a search hands its arguments on.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        return tuple(f"{name}__{argument}" for argument in weight_arguments(last))
    if isinstance(model, BaseSearchCV):
        return weight_arguments(model.estimator)
    if isinstance(model, CalibratedClassifierCV) and model.estimator is not None:
        # its own are for the calibration
        return tuple(dict.fromkeys((WEIGHT, *weight_arguments(model.estimator))))
    if type(model).__name__ in ENSEMBLES:
        return _of_ensemble(model)
    if not has_fit_parameter(model, WEIGHT):
        raise takes_none(type(model).__name__, f"use one whose fit takes sample_weight, such as {_such_as(model)}")
    return (WEIGHT,)


def takes_none(name: str, remedy: str) -> OptionError:
    """The error for a learner that has no use for the weights there are."""
    return OptionError(f"{name} takes no sample weights, and the formula or the bootstrap has some; {remedy}")


def _such_as(model: Any) -> str:
    return CLASSIFIERS if hasattr(model, "predict_proba") else REGRESSORS


def _of_ensemble(model: Any) -> tuple[str, ...]:
    """A stack or a vote hands weights on only under their own name."""
    last = getattr(model, "final_estimator", None)
    parts = [part for _, part in model.estimators if part not in ("drop", "passthrough")]
    for part in [*parts, *([] if last is None else [last])]:
        if weight_arguments(part) != (WEIGHT,):
            raise OptionError(
                f"{type(model).__name__} does not hand sample weights on to the {type(part).__name__} in it, and the "
                "formula or the bootstrap has some; use sklearn.set_config(enable_metadata_routing=True) and "
                "set_fit_request(sample_weight=True) on its parts"
            )
    return (WEIGHT,)


def _routes(model: Any) -> bool:
    """Whether the caller has turned scikit-learn's routing on, and the estimator is one that routes."""
    from sklearn import get_config
    from sklearn.base import BaseEstimator
    from sklearn.utils.metadata_routing import MetadataRouter

    if not get_config().get("enable_metadata_routing", False) or not isinstance(model, BaseEstimator):
        return False
    return isinstance(model.get_metadata_routing(), MetadataRouter)
