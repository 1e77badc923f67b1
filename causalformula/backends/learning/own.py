"""Learners of our own: R's linear and logistic regression, and the Super Learner."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from causalformula.backends.aliased import left_out
from causalformula.backends.sample_weights import fit_weighted
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import centred, first_column
from causalformula.numerics.families import family as read_family
from causalformula.numerics.multinomial import multinomial


def _design(X: Any) -> Array:
    X = np.asarray(X, dtype=float)
    return np.asfortranarray(np.column_stack([np.ones(len(X)), X]))


def _named(names: tuple[str, ...], Z: Array) -> tuple[str, ...]:
    return ("(Intercept)", *(names or map(str, range(1, Z.shape[1]))))


class GLMRegressor(RegressorMixin, BaseEstimator):
    """Least squares with an intercept; columns that others imply are left out, as ``lm`` does.

    Parameters
    ----------
    names : tuple of str
        Of the columns, by which those left out are named.
    """

    def __init__(self, names: tuple[str, ...] = ()):
        self.names = names

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GLMRegressor:
        """Fit."""
        Z = _design(X)
        fitted = fit_linear(
            Z, np.asarray(y, dtype=float), _named(self.names, Z), weights=sample_weight, anchors=first_column(Z, True)
        )
        self.coef_ = np.nan_to_num(fitted.coef)
        self.left_out_ = left_out(fitted.names, fitted.kept, fitted.lengths)
        return self

    def predict(self, X: Any) -> Array:
        """Fitted values."""
        return np.asarray(_design(X) @ self.coef_)


class GLMClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression without a penalty, multinomial for several classes.

    Parameters
    ----------
    names : tuple of str
        Of the columns, by which those left out are named.
    """

    def __init__(self, names: tuple[str, ...] = ()):
        self.names = names

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GLMClassifier:
        """Fit."""
        Z, codes = _design(X), np.asarray(y)
        self.classes_, place = np.unique(codes, return_inverse=True)
        names, anchors = _named(self.names, Z), first_column(Z, True)
        if len(self.classes_) == 2:
            fitted = fit_glm(
                Z, place.astype(float), names, read_family("binomial"), weights=sample_weight, to_zero=True,
                anchors=anchors,
            )  # fmt: skip
            self.coef_ = np.nan_to_num(fitted.coef)[None, :]
            self.left_out_ = left_out(names, fitted.kept, fitted.lengths)
            return self
        w = np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        solved = centred(Z, sample_weight, anchors=anchors)
        found = multinomial(solved.X, place.astype(np.intp), len(self.classes_), w)
        coef = np.zeros((len(self.classes_) - 1, Z.shape[1]))
        coef[:, found.kept] = found.coef
        self.coef_ = solved.read(coef)
        self.left_out_ = left_out(names, found.kept, np.sqrt(w @ solved.X**2))
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, K)."""
        eta = np.column_stack([np.zeros(len(X)), _design(X) @ self.coef_.T])
        eta -= eta.max(axis=1, keepdims=True)
        odds = np.exp(eta)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> Array:
        """The most probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class Stack(BaseEstimator):
    """Cross-validated stacking with weights that are not negative and sum to one (van der Laan et al. 2007).

    Parameters
    ----------
    kind : {"regression", "classification"}
    found : Features
    seed : int
    members : tuple of Learner
    folds : int
    """

    def __init__(self, kind: str, found: Any, seed: int, members: tuple[Any, ...], folds: int = 5):
        self.kind, self.found, self.seed, self.members, self.folds = kind, found, seed, members, folds

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Stack:
        """Fit the members to all rows, weighted by how well they predict rows that they did not see."""
        from scipy.optimize import nnls
        from sklearn.model_selection import KFold, StratifiedKFold

        X, y = np.asarray(X, dtype=float), np.asarray(y)
        w = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
        regression = self.kind == "regression"
        splitter = KFold if regression else StratifiedKFold
        splits = list(splitter(self.folds, shuffle=True, random_state=self.seed).split(X, y))
        self.classes_ = np.unique(y)
        used = {each.name: each for each in self.members if w is None or each.name != "knn"}  # which takes no weights
        columns = []
        for each in used.values():
            held = np.zeros((len(y), 1 if regression else len(self.classes_)))
            for train, test in splits:
                model = self._fitted(each, X[train], y[train], None if w is None else w[train])
                held[test] = self._predicted(model, X[test])
            columns.append(held)
        target = y[:, None].astype(float) if regression else (y[:, None] == self.classes_).astype(float)
        root = np.ones(len(y)) if w is None else np.sqrt(w)
        A = np.column_stack([(held * root[:, None]).ravel() for held in columns])
        weights, _ = nnls(A, (target * root[:, None]).ravel())
        if not weights.any():
            weights = np.ones(len(used))
        self.weights_ = dict(zip(used, weights / weights.sum(), strict=True))
        self.models_ = {name: self._fitted(used[name], X, y, w) for name, share in self.weights_.items() if share > 0}
        self.told_ = ", ".join(f"{name} {share:.2f}" for name, share in self.weights_.items() if share > 0)
        return self

    def _fitted(self, learner: Any, X: Array, y: Array, w: Array | None) -> Any:
        model = learner.make(self.kind, self.found, self.seed)
        return model.fit(X, y) if w is None else fit_weighted(model, X, y, w)

    def _predicted(self, model: Any, X: Array) -> Array:
        if self.kind == "regression":
            return np.asarray(model.predict(X), dtype=float)[:, None]
        out = np.zeros((len(X), len(self.classes_)))
        out[:, np.searchsorted(self.classes_, model.classes_)] = model.predict_proba(X)
        return out

    def _mixed(self, X: Any) -> Array:
        X = np.asarray(X, dtype=float)
        return np.asarray(sum(self.weights_[name] * self._predicted(model, X) for name, model in self.models_.items()))

    def predict(self, X: Any) -> Array:
        """Weighted predictions."""
        return self._mixed(X)[:, 0] if self.kind == "regression" else self.classes_[self._mixed(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Weighted probabilities."""
        return self._mixed(X)
