"""``DMLResult``: how an effect of double machine learning varies, and how omitted confounders would move it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.doubly_robust.dml import MODELS, ScoredOutcomes
from causalformula.backends.estimands import title_of
from causalformula.backends.fit import Answer, Fit, Label
from causalformula.backends.options import is_number, shown
from causalformula.backends.orthogonal.scores import Score, projection, root, scored, solved
from causalformula.errors import CapabilityError, DataError, OptionError, asks
from causalformula.formula.expressions.values import as_factor, number_label
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.frame.columns import Table
from causalformula.frame.leave_out import COVARIATE_ROLES, without
from causalformula.frame.regression_frame import RegressionFrame, bind_regression
from causalformula.frame.replay import Replay
from causalformula.inference.estimate import median_of, stack
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.plots.curves import Curve, curves
from causalformula.results.effects.pictures import effects
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.quantiles import PICTURES
from causalformula.results.families.sensitivity import Bound, Sensitivity, critical_value
from causalformula.results.joint.bands import simultaneous
from causalformula.results.reading.carried import joint_test
from causalformula.results.reading.reading import check_level
from causalformula.words import ResultPicture

if TYPE_CHECKING:
    import pandas as pd
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
        scores = self._scores("cate()")
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

    # -- omitted confounders ---------------------------------------------------------------------------------------

    @asks
    def sensitivity(
        self,
        cf_y: float = 0.03,
        cf_d: float = 0.03,
        rho: float = 1.0,
        level: float = 0.95,
        null: float = 0.0,
        benchmark: str | Sequence[str] | None = None,
    ) -> Sensitivity:
        """What confounders that the formula does not have could make of the effect.

        Their bias is at most ``|rho| sqrt(cf_y cf_d / (1 - cf_d)) sqrt(sigma2 nu2)``, with ``sigma2`` the mean square
        of the outcome's residual and ``nu2`` that of the Riesz representer.

        Parameters
        ----------
        cf_y : float
            The share of the outcome's residual variance that they explain.
        cf_d : float
            Their gain in the variance of the Riesz representer; in a partially linear model the share of the
            treatment's residual variance that they explain.
        rho : float
            Correlation of what they add to both; 1 is the worst.
        level : float
            Of one-sided limits of the bounds.
        null : float
            The hypothesis that the robustness values RV and RVa are of.
        benchmark : str or sequence of str, optional
            Covariates whose leaving out shows what shares are large: each entry a set, ``"x"`` or ``"x + z"``. The
            model is fitted again without them, on the same folds.

        Returns
        -------
        Sensitivity

        Raises
        ------
        CapabilityError
            For models without such bounds.
        OptionError
            For shares outside of [0, 1).

        References
        ----------
        Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis (2022). Python: ``DoubleML``'s ``sensitivity_analysis``.
        """
        scores = self._scores("sensitivity()")
        if self.query is None or self.query.split:
            raise CapabilityError("sensitivity() is of the effects over everyone; ask the fit that these came from")
        _check_shares(cf_y, cf_d, rho, null)
        check_level(level)
        bounds = tuple(self._bound(scores, k, level) for k in range(len(self.answer.labels)))
        sets = _sets(benchmark)
        found = self._benchmarks(scores, sets)
        title = f"{title_of(self.fit.estimand)} of {self.call.frame.the_treatment.name} on {self.endog_names}"
        return Sensitivity(
            title, bounds, float(cf_y), float(cf_d), float(rho), level, float(null), found, self.covariance.label
        )

    def _bound(self, scores: Sequence[Score], k: int, level: float) -> Bound:
        """An effect and the largest bias of it, with their covariance under the result's own request."""
        w, label = self.call.frame.unit_weights, self.answer.labels[k]
        parts = []
        for score in scores:
            assert score.moments is not None
            one = Score(score.a[:, [k]], score.b[:, [k]])
            bias = scored(["bias"], score.moments.bias[[k]], score.moments.psi_bias[:, [k]])
            parts.append(stack([solved(one, [str(label)], w), bias]))
        answer = Answer(median_of(parts), (label, Label("bias", "")))
        covariance = self.call.covariance(answer, self.covariance.request, None)
        values = np.array([part.theta for part in parts])
        return Bound(str(label), values, covariance.matrix, critical_value(level, covariance.df))

    def _benchmarks(self, scores: Sequence[Score], sets: Sequence[str]) -> pd.DataFrame:
        """What leaving out sets of covariates gains in both shares."""
        import pandas as pd

        rows, w = [], self.call.frame.unit_weights
        for text in sets:
            short = self._without(text).outcomes
            assert isinstance(short, ScoredOutcomes)
            gains = np.array([_gains(long, other, w) for long, other in zip(scores, short.scores, strict=True)])
            for label, numbers in zip(self.answer.labels, np.median(gains, axis=0).T, strict=True):
                rows.append([text, str(label), *numbers])
        return pd.DataFrame(rows, columns=["left_out", "effect", "cf_y", "cf_d", "rho", "delta_theta"])

    def _without(self, text: str) -> Fit:
        """The model fitted again without a set of covariates."""
        frame = without(self.call.frame, variables(parse_expression(text)))
        try:
            return registry.run(frame, self.call.options)
        except DataError as error:
            nothing = not any(role in frame.bodies for role in COVARIATE_ROLES)
            reason = "nothing is left to learn from; leave out fewer covariates" if nothing else str(error)
            raise DataError(f"benchmark={text!r}: {reason}") from None

    def _scores(self, verb: str) -> tuple[Score, ...]:
        """The scores behind the effects."""
        found = self.fit.outcomes
        assert isinstance(found, ScoredOutcomes)
        if self._of_quantiles:
            raise CapabilityError(f"{verb} is of averages, and these are quantiles; leave out quantiles=")
        if not found.scores and self.answer.measure.name == "difference":
            raise CapabilityError(
                f"{verb} is of the scores of cross-fitted learners; model='plr' and model='irm' have them, with the "
                "learner 'rlasso' too"
            )
        if not found.scores:
            raise CapabilityError(f"{verb} is of a difference; this fit has measure={self.answer.measure.name!r}")
        if verb == "sensitivity()" and found.scores[0].moments is None:
            raise CapabilityError("bounds for omitted confounders are those of model='plr' and model='irm'")
        return found.scores

    # -- print and picture -----------------------------------------------------------------------------------------

    @property
    def _of_quantiles(self) -> bool:
        """Whether quantiles of the potential outcomes are compared."""
        return self.call.options.quantiles is not None

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
        if not outcomes.scores or outcomes.scores[0].moments is None or self.query is None or self.query.split:
            gone |= {"sensitivity"}
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


def _sets(benchmark: Any) -> list[str]:
    """The sets of covariates that are left out in turn."""
    sets = [] if benchmark is None else [benchmark] if isinstance(benchmark, str) else benchmark
    if isinstance(sets, (list, tuple)) and all(isinstance(text, str) and text.strip() for text in sets):
        return list(sets)
    raise OptionError(f"benchmark={shown(benchmark)}: covariates by name, 'x', sets 'x + z', or a list of them")


def _check_shares(cf_y: Any, cf_d: Any, rho: Any, null: Any) -> None:
    for name, value in (("cf_y", cf_y), ("cf_d", cf_d)):
        if not is_number(value) or not 0 <= value < 1:
            raise OptionError(f"{name}={shown(value)}: a share from 0 to below 1")
    if not is_number(rho) or not -1 <= rho <= 1:
        raise OptionError(f"rho={shown(rho)}: a correlation from -1 to 1")
    if not is_number(null):
        raise OptionError(f"null={shown(null)}: the value of the effect that is the hypothesis, a number")


def _gains(long: Score, short: Score, w: Array) -> Array:
    """Shares that left-out covariates gain, the correlation that their bias shows, and the change (4, q)."""
    a, b = long.moments, short.moments
    assert a is not None and b is not None
    cf_y = np.clip(b.sigma2 / a.sigma2 - 1, 0, 1)
    cf_d = np.clip(a.nu2 / b.nu2 - 1, 0, 1)
    change = root(short, w) - root(long, w)
    gain, other = b.sigma2 - a.sigma2, a.nu2 - b.nu2
    both = (gain > 0) & (other > 0)
    size = np.sqrt(np.where(both, gain * other, 1.0))
    rho = np.where(both, np.clip(np.abs(change) / size, 0, 1), 1.0) * np.sign(change)
    return np.array([cf_y, cf_d, rho, change])
