"""``DMLResult``: how an effect of double machine learning varies, and how omitted confounders would move it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.doubly_robust.dml import MODELS, ScoredOutcomes
from causalformula.backends.fit import Answer, Label
from causalformula.backends.options import shown
from causalformula.backends.orthogonal.scores import projection
from causalformula.errors import CapabilityError, DataError, OptionError, asks
from causalformula.formula.expressions.values import as_factor, number_label
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.frame.columns import Table
from causalformula.frame.regression_frame import RegressionFrame, bind_regression
from causalformula.frame.replay import Replay
from causalformula.inference.estimate import median_of
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.plots.curves import Curve, curves
from causalformula.results.effects.pictures import effects
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.quantiles import PICTURES
from causalformula.results.joint.bands import simultaneous
from causalformula.results.reading.carried import joint_test
from causalformula.results.sensitivity.omitted import of_quantiles, scores_behind
from causalformula.words import ResultPicture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a projection on covariates is, which is no average.
CONDITIONAL = "Conditional effect"


@dataclass(frozen=True, eq=False, repr=False)
class DMLResult(LearnedResult):
    """A ``Result`` of double machine learning.

    Attributes
    ----------
    predictor : str
        Of ``cate()``, the right-hand side that effects are projected on.
    points : tuple of str and ndarray, optional
        Of ``cate(at=)``, the one covariate that varies, where it is a number, and its values.
    """

    predictor: str = ""
    points: tuple[str, Array] | None = None

    # -- effects that vary -----------------------------------------------------------------------------------------

    @asks
    def gate(self, name: str | None = None) -> DMLResult:
        """Group average treatment effects: the projection of the score on groups, with the test that they are equal.

        Parameters
        ----------
        name : str, optional
            As in ``by()``; the modifier in the formula's ``modify(...)`` where there is one.

        Returns
        -------
        DMLResult
            One row a group.

        Raises
        ------
        OptionError
            Where no name is given, and the formula has no modifier or several.
        """
        if name is not None:
            return self.by(name)
        body = self.call.frame.bodies.get("modify")
        found = [] if body is None else list(dict.fromkeys(variables(body)))
        if len(found) != 1:
            raise OptionError(f"gate() takes the name of a column; modify(...) has {len(found)} to choose from")
        return self.by(found[0])

    @asks
    def cate(self, terms: str | None = None, at: Any = None) -> DMLResult:
        """The effect as it varies with covariates: the best linear predictor of it by the terms of a formula.

        Parameters
        ----------
        terms : str, optional
            A right-hand side, ``"x + z"`` or ``"bs(x, df = 5)"``; the formula's ``modify(...)`` where not given.
        at : data frame, optional
            Where the effect is wanted: one row each, instead of coefficients.

        Returns
        -------
        DMLResult
            One row a coefficient, and the test that the effect does not vary with the terms; or one row a point, whose
            ``plot()`` is a curve with a band where one number varies. ``simultaneous()`` has bands that hold at all
            rows at once.

        Raises
        ------
        CapabilityError
            For a score that tells no effect of each row: of the ATT, of instruments, of ratios.
        DataError
            For missing values in the terms.

        References
        ----------
        Semenova and Chernozhukov (2021). Python: ``DoubleML``'s ``cate``.
        """
        scores = scores_behind(self, "cate()")
        if scores[0].signal is None:
            raise CapabilityError(
                "cate() projects an effect of each row, which model='plr' and the ATE of model='irm' have; gate() has "
                "groups"
            )
        if terms is None and "modify" not in self.call.frame.bodies:
            raise OptionError(
                "cate() takes the terms that effects vary with, cate('x + z'), or modify(...) in the formula"
            )
        text = deparse(self.call.frame.bodies["modify"]) if terms is None else terms
        frame = self._basis(text)
        heads = [label.contrast if len(self.answer.labels) > 1 else "" for label in self.answer.labels]
        labels = [Label(column, head) for head in heads for column in frame.names]
        names, w = [str(label) for label in labels], self.call.frame.unit_weights
        estimate = median_of([projection(score.signal, frame.X, names, w) for score in scores if score.signal])
        points = None
        if at is not None:
            X, _, index = frame.replay.design(at)
            rows, points = _points(at, frame.replay, index)
            labels = [Label(row, head) for head in heads for row in rows]
            estimate = estimate.contrast(np.kron(np.eye(len(heads)), X), [str(label) for label in labels])
        answer = Answer(estimate, tuple(labels))
        covariance = self.call.covariance(answer, self.covariance.request, None)
        found = replace(
            self, fit=replace(self.fit, estimand=CONDITIONAL), answer=answer, covariance=covariance, query=None,
            test=None, source=None, predictor=text, points=points,
        )  # fmt: skip
        return found._varying()

    def _basis(self, text: str) -> RegressionFrame:
        """The columns of a right-hand side on the rows used."""
        frame = self.call.frame
        if not isinstance(text, str):
            raise OptionError(f"cate() takes a right-hand side as text, 'x + z', not {shown(text)}")
        inside = np.zeros(frame.table.n, dtype=bool)
        inside[frame.rows] = True
        found = bind_regression(text if "~" in text else f"~ {text}", frame.table, subset=inside, env=frame.env)
        if found.n != frame.n:
            raise DataError(
                f"{text} has missing values in {frame.n - found.n} of the rows used; leave them out with subset="
            )
        return found

    def _varying(self) -> DMLResult:
        """With the test that all coefficients but the intercepts are zero."""
        labels = self.answer.labels
        rows = [k for k, label in enumerate(labels) if label.term != "(Intercept)"]
        if not any(label.term == "(Intercept)" for label in labels) or not rows:
            return self
        own = replace(
            self.covariance, matrix=self.covariance.matrix[np.ix_(rows, rows)], df=self.covariance.df[rows], draws=None
        )
        method = f"Wald test that the effect does not vary with {self.predictor}"
        return replace(
            self, test=joint_test(self.answer.estimate.select(rows), own, self.call.codes, method, reduce=True)
        )

    @asks
    def with_vcov(self, vcov: Vcov | None, ssc: SmallSample | None = None) -> DMLResult:
        """As of any result; the test of ``cate()`` follows.

        Parameters
        ----------
        vcov : str, request or matrix
        ssc : SmallSample, optional

        Returns
        -------
        DMLResult
        """
        found = super().with_vcov(vcov, ssc)
        return found._varying() if self.predictor and self.source is None else found

    # -- print and picture -----------------------------------------------------------------------------------------

    @property
    def _of_quantiles(self) -> bool:
        """Whether quantiles of the potential outcomes are compared."""
        return of_quantiles(self)

    @property
    def _compared(self) -> str:
        return "quantile" if self._of_quantiles else super()._compared

    def _pictures(self) -> Mapping[str, Callable[[Any, Any, float], Any]]:
        if self.points is not None:
            return {"effects": _curve}
        return PICTURES if self._of_quantiles and self.query is not None else {}

    def plot(self, kind: ResultPicture = "effects", ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Draw the effects with their intervals, the outcome by arm, or effects against their quantile.

        Of effects of several ``quantiles=``, and of their ``means()``, ``"quantiles"`` shows the curve with its
        pointwise intervals and, lighter, the band that holds for all of them at once.

        Parameters
        ----------
        kind : {"effects", "outcome", "quantiles"}
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals and the band.

        Returns
        -------
        Axes
        """
        return super().plot(kind, ax, level)

    def _lines(self, level: float) -> list[str]:
        """What coefficients are of."""
        if not self.predictor or self.source is not None:
            return super()._lines(level)
        return [f"Best linear predictor of the effect by {self.predictor}"]

    def _unanswered(self) -> set[str]:
        gone = super()._unanswered()
        outcomes = self.fit.outcomes
        assert isinstance(outcomes, ScoredOutcomes)
        if outcomes.basis is None or not MODELS[outcomes.model].weighed:
            gone |= {"means"}
        if not outcomes.scores or outcomes.scores[0].signal is None:
            gone |= {"cate"}
        return gone | ({"gate"} if "by" in gone else set())


def _points(at: Any, replay: Replay, index: Any) -> tuple[list[str], tuple[str, Array] | None]:
    """What rows of new data are called, by the one variable of the terms that varies; and its values, if numbers."""
    table = at if isinstance(at, Table) else Table(at)
    used = dict.fromkeys(name for node in replay.recipe.terms.variables for name in variables(node))
    values = {name: table.column(name) for name in used if name in table}
    moving = [name for name, value in values.items() if len(np.unique(_codes(value))) > 1]
    rows = [f"row {row}" for row in index]
    if len(moving) != 1:
        return rows, None
    (name,), value = moving, values[moving[0]]
    if not isinstance(value, np.ndarray):
        found = as_factor(value)
        said = [f"{name} = {found.levels[code]}" for code in found.codes]
        return said if table.numbered and len(set(said)) == len(said) else rows, None
    said = [f"{name} = {number_label(float(f'{x:.4g}'))}" for x in value]
    return said if table.numbered and len(set(said)) == len(said) else rows, (name, value.astype(float))


def _codes(value: Any) -> Array:
    """Numbers that tell the values of a column apart."""
    return np.asarray(value if isinstance(value, np.ndarray) else as_factor(value).codes, dtype=float)


def _curve(result: DMLResult, ax: Axes | None, level: float) -> Axes:
    """The effect over the covariate that varies, with its band; without one, the effects as those of any result."""
    if result.points is None:
        return effects(result, ax, level)
    name, x = result.points
    reading, band = result.read(level), simultaneous(result, level, 9999, 0, "normal").table
    heads = list(dict.fromkeys(label.contrast for label in result.answer.labels))
    columns = (reading.estimate, reading.low, reading.high, band["conf.low"], band["conf.high"])
    split = [np.split(np.asarray(column, dtype=float), len(heads)) for column in columns]
    ax = curves(ax, x, {head: Curve(*(part[k] for part in split)) for k, head in enumerate(heads)}, 0.0, level)
    ax.set_xlabel(name)
    ax.set_ylabel(f"Effect on {result.endog_names}")
    return ax
