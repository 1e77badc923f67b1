"""What a subclassification tells stratum by stratum, and the stratified estimator beside the weighted one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Query
from causalformula.backends.stratified import ByStratum
from causalformula.errors import CapabilityError, CausalFormulaWarning
from causalformula.inference.covariance import Covariance
from causalformula.inference.requests import HC, Classical, Cluster, Vcov
from causalformula.results.designs.strata import strata_parts
from causalformula.results.reading.reading import read
from causalformula.results.result import Result
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each

# Roles of an outcome model, which the stratified estimator does without.
MODELLED = ("outcome", "modify", "offset")


@dataclass(frozen=True, eq=False, repr=False)
class SubclassResult(Result):
    """A ``Result`` of a subclassification: the effects by stratum, and the stratified estimator too."""

    def strata(self) -> SubclassResult:
        """The difference in means within each stratum of a subclassification, with the test that they are equal.

        Returns
        -------
        Result
            One row a stratum; ``fit.design.subclass`` says who is in which.
        """
        self._over_everyone("strata()")
        return self._ask(ByStratum())

    def stratified(self, vcov: Vcov | None = None) -> SubclassResult:
        """The mean of the differences within strata, weighted by the target's shares of them, from the same strata.

        Parameters
        ----------
        vcov : optional
            As in ``fit()``; by default HC2, Neyman's ``sum_k share_k^2 (s_k1^2 / n_k1 + s_k0^2 / n_k0)``.

        Returns
        -------
        SubclassResult

        Raises
        ------
        CapabilityError
            For effects in groups or strata, or that come from others.
        """
        self._over_everyone("stratified()")
        call = self.call
        assert call.record.estimate is not None
        changed: Any = {"estimator": "stratified", "interact": False}
        options = replace(call.options, **changed)
        fit = call.record.estimate(call.frame, self.fit.designed, options)
        call, query = replace(call, options=options), Query()
        covariance = call.covariance(fit.answer, vcov, query)
        design = replace(self.design, call=call)
        return replace(
            self, answer=fit.answer, covariance=covariance, call=call, fit=fit, design=design, query=query, test=None
        )

    def _unanswered(self) -> set[str]:
        query = self.query
        of_all = query is not None and query.kind == "effects" and not query.split
        return super()._unanswered() | (set() if of_all else {"strata", "stratified"})

    def _over_everyone(self, asked: str) -> None:
        query = self.query
        if query is None or query.kind != "effects" or query.split:
            raise CapabilityError(f"{asked} is of the effects over everyone; ask the fit that these came from")

    def _method(self) -> str:
        if not isinstance(self.query, ByStratum):
            return self.fit.method
        return f"{self.fit.method.split('; ')[0]}; difference in means within each"

    def _tables(self) -> list[str | Cells]:
        return strata_parts(self.design) if isinstance(self.query, ByStratum) else []

    def _lines(self, level: float) -> list[str]:
        """The stratified estimate in a line below the weighted one."""
        frame, query = self.call.frame, self.query
        weighted = getattr(self.call.options, "estimator", "") == "weighted"
        if not weighted or query is None or query.kind != "effects" or query.split:
            return []
        request = self.covariance.request
        independent = isinstance(request, (HC, Classical))
        if any(frame.has(role) for role in MODELLED) or not (independent or isinstance(request, Cluster)):
            return []
        answer = self.fit.outcomes.within.overall  # type: ignore[union-attr]
        covariance = self._beside(HC("HC2") if independent else request)
        reading = read(answer.estimate.theta, covariance, answer.measure, level)
        numbers = np.array([reading.estimate[0], reading.std_error[0], reading.low[0], reading.high[0]])
        if not np.isfinite(numbers).all():
            why = "a stratum has a single unit of an arm" if independent else f"under {covariance.label}"
            text = f"{format_each(numbers[:1], 4)[0]} (std. error not defined: {why})"
        else:
            estimate, error, low, high = format_each(numbers, 4)
            limits = f"{100 * level:g}% limits {low} and {high}"
            text = f"{estimate} (std. error {error}, {limits}; {covariance.label})"
        return [f"Stratified estimator: {text}"]

    def _beside(self, request: Any) -> Covariance:
        """Covariance of the stratified estimate, which the fit has made beside the weighted one."""
        with warnings.catch_warnings():
            # of strata with a single unit of an arm, which the line says itself
            warnings.simplefilter("ignore", CausalFormulaWarning)
            return self.call.covariance(self.fit.outcomes.within.overall, request, None)  # type: ignore[union-attr]
