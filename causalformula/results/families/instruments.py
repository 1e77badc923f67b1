"""What instruments show beside their effect: first stages, diagnostics, sets that weak instruments do not upset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Fitted
from causalformula.errors import CapabilityError, OptionError, asks, some
from causalformula.frame.treatment import Kind
from causalformula.inference.evidence import Influence
from causalformula.inference.instrumented import fit_instrumented
from causalformula.inference.regression import FittedRegression
from causalformula.inference.resampling.requests import Bootstrap, Jackknife
from causalformula.inference.structural import Equations, Instrumented
from causalformula.numerics.arrays import Array
from causalformula.numerics.weak_instruments import tf_critical
from causalformula.results.behind import model_of
from causalformula.results.families.instrument_lines import instrument_lines
from causalformula.results.families.instrument_pictures import PICTURES
from causalformula.results.families.weak_sets import AndersonRubin
from causalformula.results.model import Model
from causalformula.results.models.core import model_covariance
from causalformula.results.models.instruments import (
    BIASES,
    Strength,
    diagnostics,
    instrumented,
    reduced,
    request_of,
    request_words,
    strength,
)
from causalformula.results.models.instruments import table as rows_of
from causalformula.results.reading.reading import check_level
from causalformula.results.result import Result
from causalformula.words import ResultPicture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class IVResult(Result):
    """A ``Result`` of instruments: its first stage, reduced form, diagnostics and weak-instrument inference."""

    # -- models ----------------------------------------------------------------------------------------------------

    @property
    def _used(self) -> Instrumented:
        """The instruments that count, and k."""
        return instrumented(self._structural)

    @property
    def _equations(self) -> Equations:
        """The structural equation with its instruments, as arrays."""
        return self._used.equations

    @cached_property
    def _structural(self) -> Model:
        model = self.outcome
        assert model is not None
        if isinstance(self.covariance.request, (Bootstrap, Jackknife)):  # which models and tests have no part in
            return model.with_vcov(request_of(self.covariance.request))
        return model

    def _behind(self, fitted: FittedRegression, name: str, response: str) -> Model:
        model = model_of(Fitted(fitted), self.call, name, self.covariance)
        return replace(model, response=response, call=model.call.replace(model.outcome_name, response, 1))

    def _model(self, name: str) -> Model | None:
        if name == "first_stage":
            found = list(self.first_stages.values())
            return found[0] if len(found) == 1 else None
        return super()._model(name)

    @cached_property
    def first_stages(self) -> dict[str, Model]:
        """The regression of each term of the treatment on all instruments, by its name."""
        eq = self._equations
        return {
            eq.names[j]: self._behind(eq.first_stage(k), "first_stage", eq.names[j])
            for k, j in enumerate(eq.endogenous)
        }

    @cached_property
    def reduced_form(self) -> Model:
        """The regression of the outcome on all instruments."""
        return self._behind(self._equations.reduced_form(), "reduced_form", self.endog_names)

    def augment(self) -> pd.DataFrame:
        """The data used, with ``.fitted .resid .hat`` and instruments that are made of the treatment, ``loo(g)``."""
        data, eq = super().augment(), self._equations
        for j in (int(j) for one in eq.means for j in one.at):
            data[eq.instruments[j]] = eq.Z[:, j]
        return data

    # -- diagnostics -----------------------------------------------------------------------------------------------

    def diagnostics(self) -> pd.DataFrame:
        """``ivreg``'s tests, under the covariance of the fit.

        Weak instruments: the excluded instruments in the first stage (one row a term of the treatment). Wu-Hausman:
        that least squares would do. Sargan: that surplus instruments agree; Wooldridge's score test under a robust
        covariance, and Hansen's J of efficient GMM. (``AER`` has the classical Sargan test under all.)

        Returns
        -------
        DataFrame
            By test: ``df1, df2, statistic, p.value``; ``df2`` is NaN for chi-squared.
        """
        import pandas as pd

        rows = diagnostics(self._structural)
        columns = ["df1", "df2", "statistic", "p.value"]
        return pd.DataFrame(rows_of(rows), index=[row.name for row in rows], columns=columns)

    @cached_property
    def _strength(self) -> Strength:
        return strength(self._structural)

    def effective_f(self) -> pd.DataFrame:
        """Montiel Olea and Pflueger's (2013) effective F of the first stage, beside its critical values.

        An effective F above ``critical.value`` rejects at 5% that the bias of two-stage least squares may be above the
        share ``bias`` of that of least squares in the worst case (their simplified, conservative values).

        Returns
        -------
        DataFrame
            A row a share of bias: ``effective.f, bias, critical.value``. Of one term of the treatment.
        """
        import pandas as pd

        self._refuse_several("the effective F")
        found = self._strength
        rows = [(found.effective, bias, found.critical[bias]) for bias in BIASES]
        return pd.DataFrame(rows, columns=["effective.f", "bias", "critical.value"])

    def _refuse_several(self, what: str) -> None:
        """A ``CapabilityError`` where several terms of the treatment are instrumented.

        Parameters
        ----------
        what : str
            What is about one of them.
        """
        eq = self._equations
        if len(eq.endogenous) > 1:
            names = some(eq.names[j] for j in eq.endogenous)
            raise CapabilityError(f"{what} is of one term of the treatment, and here are several: {names}")

    def _slope(self) -> float:
        """How many coefficients of the instrumented term the one effect is.

        Returns
        -------
        float
            One for a step of one.

        Raises
        ------
        CapabilityError
            For several effects, or several terms of the treatment.
        """
        evidence = self.answer.estimate.evidence
        of_effect = self.query is not None and self.query.kind == "effects" and not self.query.split
        if not of_effect or len(self.answer.labels) != 1 or not isinstance(evidence, Influence):
            raise CapabilityError(
                "this is about the one effect of a fit; ask the fit that this came from, with one contrast"
            )
        self._refuse_several("this")
        if self.answer.measure.name != "difference":
            raise OptionError("this is about differences: measure='difference'")
        model = self._structural.regression
        place = int(np.flatnonzero(model.kept == self._equations.endogenous[0])[0])
        return float(evidence.jac[0, place])

    @asks
    def anderson_rubin(self, level: float = 0.95) -> AndersonRubin:
        """The values of the effect that the Anderson-Rubin test does not reject, in closed form.

        The test is that the instruments say nothing of the outcome less the treatment's part, under the covariance of
        the fit. It keeps its level however weak the instruments are; so the set may be unbounded, and, with surplus
        instruments that disagree, empty.

        Parameters
        ----------
        level : float

        Returns
        -------
        AndersonRubin
            ``.intervals``, ``.kind``, ``.p_value(effect)``; it prints as text.

        Raises
        ------
        CapabilityError
            For several terms of the treatment, or several effects.

        References
        ----------
        Anderson and Rubin (1949); Chernozhukov and Hansen (2008) for robust covariances.
        """
        check_level(level)
        slope = self._slope()
        form = reduced(self._structural)
        found = [tuple(sorted((low * slope, high * slope))) for low, high in form.confidence_set(level)]
        intervals = tuple(sorted((low, high) for low, high in found))
        words = request_words(self._structural.covariance.request)
        return AndersonRubin(level, intervals, form, slope, str(self.answer.labels[0]), self.estimate, words)

    @asks
    def tf(self, level: float = 0.95) -> pd.DataFrame:
        """The t test of one instrument with its critical value raised by the first stage's F.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
            One row: ``term, contrast, estimate, std.error, F, critical.value, conf.low, conf.high``; the limits are
            infinite where F is below the square of the usual critical value.

        Raises
        ------
        CapabilityError
            For several instruments or terms of the treatment.

        References
        ----------
        Lee, McCrary, Moreira and Porter (2022).
        """
        import pandas as pd

        check_level(level)
        self._slope()
        if len(self._used.kept) > 1:
            raise CapabilityError("the tF adjustment is for one instrument; with several use anderson_rubin()")
        critical = tf_critical(self._strength.F, level)
        reading = self.read(level)
        estimate, se = float(reading.estimate[0]), float(reading.std_error[0])
        label = self.answer.labels[0]
        row = {
            "term": label.term,
            "contrast": label.contrast,
            "estimate": estimate,
            "std.error": se,
            "F": self._strength.F,
            "critical.value": critical,
            "conf.low": estimate - critical * se,
            "conf.high": estimate + critical * se,
        }
        return pd.DataFrame([row])

    # -- compliers -------------------------------------------------------------------------------------------------

    def _binary(self) -> tuple[Equations, Array]:
        """The equation of a binary treatment and one binary instrument, and that instrument as 0 and 1."""
        eq = self._equations
        treatment = self.call.frame.the_treatment
        kept = self._used.kept
        values = np.unique(eq.Z[:, kept[0]]) if len(kept) == 1 else np.empty(0)
        if treatment.kind is not Kind.BINARY or len(eq.endogenous) != 1 or len(values) != 2:
            raise CapabilityError("compliers are of a binary treatment and one binary instrument, without modify(...)")
        return eq, (eq.Z[:, kept[0]] == values[1]).astype(float)

    def shares(self) -> pd.Series[Any]:
        """Shares of those whom a binary instrument moves, and of those who take, or do not take, the treatment anyway.

        By the linear first stage, averaged over the covariates, if the instrument moves nobody the other way.

        Returns
        -------
        Series
            ``compliers, always_takers, never_takers``; they sum to one.

        Raises
        ------
        CapabilityError
            For a treatment or an instrument that is not binary.
        """
        import pandas as pd

        eq, z = self._binary()
        fitted = eq.first_stage(0)
        move = float(fitted.theta[fitted.kept >= len(eq.exogenous)][0]) * self._step(eq)
        w = self.call.frame.unit_weights
        anyone = float(w @ (fitted.mu - move * z) / w.sum())  # takers where the instrument is at its lower value
        always, never = (anyone, 1 - anyone - move) if move > 0 else (anyone + move, 1 - anyone)
        return pd.Series({"compliers": abs(move), "always_takers": always, "never_takers": never}, name="share")

    def _step(self, eq: Equations) -> float:
        low, high = np.unique(eq.Z[:, self._used.kept[0]])
        return float(high - low)

    def compliers(self) -> pd.DataFrame:
        """Who the compliers are: means of the covariates among those whom a binary instrument moves, and among all.

        The mean of x among treated compliers is the effect of the treatment on ``x`` times the treatment by the same
        instruments (Abadie 2003, where the covariates' part is linear).

        Returns
        -------
        DataFrame
            By column of the covariates: ``compliers``, its ``std.error``, ``everyone``, and their ``difference`` in
            standard deviations of everyone.

        Raises
        ------
        CapabilityError
            For a treatment or an instrument that is not binary, or a formula without covariates.
        """
        import pandas as pd

        eq, _ = self._binary()
        own = [j for j in eq.exogenous if eq.names[j] != "(Intercept)"]
        if not own:
            raise CapabilityError("the formula has no covariates, whose means among compliers could be told: adjust(x)")
        w, rows = self.call.frame.unit_weights, {}
        for j in own:
            x = eq.X[:, j]
            fitted = fit_instrumented(replace(eq, y=x * eq.X[:, eq.endogenous[0]], offset=None))
            place = int(np.flatnonzero(fitted.kept == eq.endogenous[0])[0])
            request = request_of(self._structural.covariance.request)
            error = model_covariance(fitted, self.call.frame, request, self.call.codes).std_error[place]
            mean, everyone = float(fitted.theta[place]), float(w @ x / w.sum())
            spread = float(np.sqrt(w @ (x - everyone) ** 2 / w.sum()))
            apart = (mean - everyone) / spread if spread > 0 else float("nan")
            rows[eq.names[j]] = (mean, float(error), everyone, apart)
        columns = ["compliers", "std.error", "everyone", "difference"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    # -- print and pictures ----------------------------------------------------------------------------------------

    def _lines(self, level: float) -> list[str]:
        """How strong the first stage is, what is weak, and who the effect is of."""
        lines = super()._lines(level)
        if self.query is None:
            return lines
        if self.query.kind == "means":
            return [*lines, "Note: means are by the structural equation, and hold for all if its effect does"]
        resampled = isinstance(self.covariance.request, (Bootstrap, Jackknife))
        told = instrument_lines(self._structural, self.call.frame, resampled=resampled)
        return [*lines, *told, *self._complier_lines()]

    def _complier_lines(self) -> list[str]:
        try:
            share = float(self.shares()["compliers"])
        except CapabilityError:
            return []
        return [f"Compliers, whom the instrument moves: {100 * share:.3g}% of all, if it moves nobody the other way"]

    def _pictures(self) -> Mapping[str, Callable[[Any, Any, float], Any]]:
        return PICTURES

    def plot(self, kind: ResultPicture = "effects", ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Draw the effects, both regressions on the instrument, the Anderson-Rubin test or least squares beside it.

        Parameters
        ----------
        kind : {"effects", "first_stage", "reduced_form", "anderson_rubin", "compare", "compliers"}
            First stage and reduced form are in bins, with their lines; ``anderson_rubin`` has the p-values of all
            effects; ``compare`` least squares beside the estimate; ``compliers`` covariates among them and all.
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals and the set.

        Returns
        -------
        Axes
        """
        return super().plot(kind, ax, level)
