"""The lasso whose penalty theory gives, as scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array
from causalformula.numerics.rlasso import RLasso, rlasso, rlasso_logit


class RLassoRegressor(RegressorMixin, BaseEstimator):
    """Lasso with the penalty of Belloni, Chen, Chernozhukov and Hansen (2012); see ``numerics.rlasso``.

    Sampling weights have no place in that penalty, so ``fit`` takes none.

    Parameters
    ----------
    post : bool
        Fit the selected columns anew by least squares.
    c, gamma : float, optional
        Of the penalty's level.
    """

    def __init__(self, post: bool = True, c: float | None = None, gamma: float | None = None):
        self.post, self.c, self.gamma = post, c, gamma

    def fit(self, X: Any, y: Any) -> RLassoRegressor:
        """Fit."""
        X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
        self.found_ = rlasso(X, y, post=self.post, c=self.c, gamma=self.gamma)
        self.told_ = _told(self.found_)
        return self

    def predict(self, X: Any) -> Array:
        """Fitted values."""
        return self.found_.predictor(np.asarray(X, dtype=float))


class RLassoClassifier(ClassifierMixin, BaseEstimator):
    """Logistic lasso of two classes, with the penalty of Belloni, Chernozhukov and Wei (2016).

    Parameters
    ----------
    post : bool
        Fit the selected columns anew by logistic regression.
    c, gamma : float, optional
        Of the penalty's level.
    """

    def __init__(self, post: bool = True, c: float | None = None, gamma: float | None = None):
        self.post, self.c, self.gamma = post, c, gamma

    def fit(self, X: Any, y: Any) -> RLassoClassifier:
        """Fit.

        Raises
        ------
        DataError
            For more than two classes.
        """
        self.classes_, place = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) > 2:
            raise DataError(
                f"its target has {len(self.classes_)} classes, and the penalty of 'rlasso' is of two; use 'lasso', "
                "which takes several"
            )
        share = place.astype(float) if len(self.classes_) == 2 else np.ones(len(place))
        self.found_ = rlasso_logit(np.asarray(X, dtype=float), share, post=self.post, c=self.c, gamma=self.gamma)
        self.told_ = _told(self.found_)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, K)."""
        p = expit(self.found_.predictor(np.asarray(X, dtype=float)))
        return np.column_stack([1 - p, p]) if len(self.classes_) == 2 else p[:, None]

    def predict(self, X: Any) -> Array:
        """The more probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _told(found: RLasso) -> str:
    return f"{int(found.selected.sum())} of {len(found.selected)} columns"
