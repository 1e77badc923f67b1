"""Learners by name: each a scikit-learn estimator for mixed covariates; any estimator object is one too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends import sample_weights
from causalformula.backends.learning.objects import (
    classifies,
    drawing,
    gives_probabilities,
    model_name,
    without_probabilities,
)
from causalformula.backends.options import shown
from causalformula.errors import OptionError, choose
from causalformula.formula.matrix.recipe import LOGICAL_LEVELS, Prepared, Recipe
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.replay import Replay
from causalformula.numerics.arrays import Array, Bools

GLM = "glm"
MORE = 10  # A column with more values than this is a number with a shape to learn.
WIDE = 200  # With more columns than this, second derivatives take longer than they save.


@dataclass(frozen=True, eq=False)
class Features:
    """Covariates in two forms: the columns of the formula's design, and the variables with levels as codes.

    Parameters
    ----------
    design : ndarray (n, p)
        Without the intercept.
    names : tuple of str
    coded : ndarray (n, q)
    categories : ndarray (q,) of bool
        Which of them are codes of levels.
    """

    design: Array
    names: tuple[str, ...]
    coded: Array
    categories: Bools


def features(frame: ModelFrame, part: Part) -> Features:
    """The covariates of one of the frame's designs; parts of the same terms share them."""
    found: Features = frame.remembered(("features", frame.design_key(part)), partial(_of_frame, frame, part))
    return found


def _of_frame(frame: ModelFrame, part: Part) -> Features:
    design = frame.design(part)
    found = {i: design.recipe.blocks[i].prepare(design.values[i]) for i in sorted(design.recipe.blocks)}
    return _features(design.recipe, found, design.X)


def features_of(frame: ModelFrame, part: Part, data: Any) -> tuple[Features, Any]:
    """The same of other data, NaN wherever a variable is missing, and row labels.

    Raises
    ------
    FormulaError
        If a column is not there.
    DataError
        For a level that was not there at the fit, or a column of another kind.
    """
    recipe = frame.design(part).recipe
    found, X, index = Replay(recipe, memory=frame.memory).prepared(data)
    return _features(recipe, found, X), index


def _features(recipe: Recipe, found: Mapping[int, Prepared], X: Array) -> Features:
    columns, categories = [], []
    for place in sorted(found):
        each = found[place]
        codes = each.codes
        own = each.arrays if codes is None else [np.where(codes < 0, np.nan, codes.astype(float))]
        columns += [np.asarray(column, dtype=float) for column in own]
        levels = each.block.levels
        categories += [levels is not None and levels != LOGICAL_LEVELS] * len(own)
    coded = np.column_stack(columns) if columns else np.empty((len(X), 0))
    skip = int(recipe.terms.intercept)
    return Features(np.ascontiguousarray(X[:, skip:]), recipe.names[skip:], coded, np.array(categories, dtype=bool))


Maker = Callable[[str, Features, int], Any]


@dataclass(frozen=True, eq=False)
class Learner:
    """What learns a nuisance function.

    Parameters
    ----------
    name : str
    maker : callable
        ``maker(kind, features, seed)``: an estimator that is not fitted.
    coded : bool
        Whether it reads variables with levels as codes instead of the design's columns.
    given : object, optional
        The caller's own estimator.
    """

    name: str
    maker: Maker
    coded: bool = False
    given: Any = field(default=None)

    def make(self, kind: str, found: Features, seed: int) -> Any:
        """An estimator that is not fitted yet."""
        return self.maker(kind, found, seed)

    def matrix(self, found: Features) -> Array:
        """The covariates in the form that it reads."""
        return found.coded if self.coded else found.design


def read_learner(value: Any, option: str) -> Learner:
    """A learner by name, or an estimator object of the caller's.

    Raises
    ------
    OptionError
        For an unknown name, a class instead of an object, or what has no ``fit``.
    """
    if isinstance(value, Learner):
        return value
    if isinstance(value, str):
        if value not in LEARNERS:
            raise OptionError(f"unknown {option} {value!r}{choose(value, LEARNERS)}, or a scikit-learn estimator")
        return LEARNERS[value]
    if isinstance(value, type):
        raise OptionError(f"{option}={value.__name__} is a class; give an object of it, {option}={value.__name__}()")
    if not hasattr(value, "fit") or not (hasattr(value, "predict") or gives_probabilities(value)):
        raise OptionError(
            f"{option}={shown(value)} is no learner: choose from {', '.join(LEARNERS)}, or give a scikit-learn "
            "estimator"
        )
    return Learner(model_name(value), _Given(value), given=value)


def is_glm(model: Any) -> bool:
    """Whether a model is the formula's own regression."""
    return isinstance(model, str) and model == GLM


def refuse_unweighted(learner: Learner, kind: str = "classification") -> None:
    """An ``OptionError`` for a learner that sampling weights, or those of a replicate, do not reach."""
    if learner.given is not None:
        sample_weights.refuse_unweighted(learner.make(kind, _NOTHING, 0))
    elif not _weighted(learner, kind):
        able = ", ".join(repr(name) for name, other in LEARNERS.items() if _weighted(other, kind))
        raise sample_weights.takes_none(repr(learner.name), f"these take them: {able}")


def _weighted(learner: Learner, kind: str) -> bool:
    try:
        sample_weights.refuse_unweighted(learner.make(kind, _NOTHING, 0))
    except OptionError:
        return False
    return True


_NOTHING = Features(np.empty((0, 0)), (), np.empty((0, 0)), np.empty(0, dtype=bool))


def refuse_kind(learner: Learner, kind: str, option: str) -> None:
    """An ``OptionError`` for a regressor that should give probabilities, or a classifier that should give numbers."""
    if learner.given is None:
        return
    if kind == "classification" and not gives_probabilities(learner.given):
        raise without_probabilities(learner.given, option)
    if kind == "regression" and classifies(learner.given):
        raise OptionError(
            f"{option}={learner.name} is a classifier, and its target is a number; give a regressor"
            + (", or family='binomial' for an outcome of 0 and 1" if option != "effect_model" else "")
        )


@dataclass(frozen=True)
class _Given:
    """Copies of the caller's estimator."""

    model: Any

    def __call__(self, kind: str, found: Features, seed: int) -> Any:
        return drawing(self.model, seed)


# ---- by name ---------------------------------------------------------------------------------------------------------


def _glm(kind: str, found: Features, seed: int) -> Any:
    from causalformula.backends.learning.own import GLMClassifier, GLMRegressor

    return GLMRegressor(found.names) if kind == "regression" else GLMClassifier(found.names)


def _logistic(solver: str, seed: int, ratio: float = 0.0) -> Any:
    """Penalised logistic regression; ``ratio`` is the lasso's share of the penalty, which older releases name too."""
    from sklearn.linear_model import LogisticRegressionCV

    known = inspect.signature(LogisticRegressionCV).parameters
    named = known["penalty"].default != "deprecated"
    kind: dict[str, Any] = {"l1_ratios": [ratio]} if not named or ratio else {}
    if named and ratio:
        kind["penalty"] = "elasticnet"
    if "use_legacy_attributes" in known:
        kind["use_legacy_attributes"] = False
    return LogisticRegressionCV(
        Cs=10, cv=5, scoring="neg_log_loss", solver=solver, max_iter=2000, random_state=seed, **kind
    )


def _smooth(found: Features) -> str:
    """The solver of a ridge: steps by second derivatives are few, and each is cheap with few columns."""
    return "newton-cholesky" if found.design.shape[1] <= WIDE else "lbfgs"


def _linear(penalty: str, kind: str, found: Features, seed: int) -> Any:
    from sklearn.linear_model import ElasticNetCV, LassoCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "classification":
        ratio = {"ridge": 0.0, "lasso": 1.0, "elastic_net": 0.5}[penalty]
        last = _logistic(_smooth(found) if penalty == "ridge" else "saga", seed, ratio)
    elif penalty == "ridge":
        last = RidgeCV(alphas=np.logspace(-3, 4, 30))
    elif penalty == "lasso":
        last = LassoCV(cv=5, random_state=seed, max_iter=10_000)
    else:
        last = ElasticNetCV(cv=5, l1_ratio=0.5, random_state=seed, max_iter=10_000)
    return make_pipeline(StandardScaler(), last)


def _rlasso(kind: str, found: Features, seed: int) -> Any:
    from causalformula.backends.learning.rigorous import RLassoClassifier, RLassoRegressor

    return RLassoRegressor() if kind == "regression" else RLassoClassifier()


def _spline(kind: str, found: Features, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    curved = [j for j in range(found.design.shape[1]) if len(np.unique(found.design[:, j])) > MORE]
    bend = ColumnTransformer(
        [("splines", SplineTransformer(n_knots=5, knots="quantile"), curved)], remainder="passthrough"
    )
    last = RidgeCV(alphas=np.logspace(-3, 4, 30)) if kind == "regression" else _logistic(_smooth(found), seed)
    return make_pipeline(bend, StandardScaler(), last)


def _forest(kind: str, found: Features, seed: int, trees: int = 300) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    if kind == "regression":
        return RandomForestRegressor(trees, min_samples_leaf=5, max_features=1 / 3, random_state=seed)
    # shares of small leaves are no probabilities to divide by
    leaf = max(10, int(np.sqrt(len(found.design))))
    return RandomForestClassifier(trees, min_samples_leaf=leaf, max_features="sqrt", random_state=seed)


def _boosting(kind: str, found: Features, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    categories = found.categories if found.categories.any() else None
    # trees of few leaves keep propensities off 0 and 1; the loss of the tenth that stops them is noisy in small samples
    return boosting(
        learning_rate=0.05, max_iter=500, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=True,
        n_iter_no_change=20, categorical_features=categories, random_state=seed,
    )  # fmt: skip


def _knn(kind: str, found: Features, seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    neighbours = max(10, int(np.sqrt(len(found.design)) * (1 if kind == "regression" else 2)))
    knn = KNeighborsRegressor if kind == "regression" else KNeighborsClassifier
    return make_pipeline(StandardScaler(), knn(n_neighbors=neighbours))


def _stack(kind: str, found: Features, seed: int) -> Any:
    from causalformula.backends.learning.own import Stack

    members = (FEWER_TREES if name == "forest" else LEARNERS[name] for name in STACKED)
    return Stack(kind, found, seed, tuple(members))


LEARNERS: dict[str, Learner] = {
    "glm": Learner("glm", _glm),
    "lasso": Learner("lasso", partial(_linear, "lasso")),
    "ridge": Learner("ridge", partial(_linear, "ridge")),
    "elastic_net": Learner("elastic_net", partial(_linear, "elastic_net")),
    "rlasso": Learner("rlasso", _rlasso),
    "spline": Learner("spline", _spline),
    "forest": Learner("forest", _forest),
    "boosting": Learner("boosting", _boosting, coded=True),
    "knn": Learner("knn", _knn),
    "stack": Learner("stack", _stack),
}
# Those that a stack weighs: with the design's columns.
STACKED = ("glm", "ridge", "spline", "forest", "knn")
# A stack fits each member six times, and averages over more than the trees of one.
FEWER_TREES = Learner("forest", partial(_forest, trees=100))
