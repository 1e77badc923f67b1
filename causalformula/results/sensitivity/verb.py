"""``fit.sensitivity()``: the kinds that a fit has, and the one that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from causalformula.backends.options import one_of
from causalformula.errors import IdentificationError, asks
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.sensitivity.kind import Kind, able, answered
from causalformula.results.sensitivity.kinds import OF_MODELS, OF_RESULTS
from causalformula.results.sensitivity.page import SensitivityPage, noted
from causalformula.results.wording import missing_notes
from causalformula.words import SensitivityKind


class Questioned(ResultCore):
    """The verb of a result whose confounders may not all be there."""

    @asks
    def sensitivity(self, kind: SensitivityKind | None = None, **options: Any) -> SensitivityPage:
        """What confounders that were not measured could make of the effect.

        Parameters
        ----------
        kind : str, optional
            The first of these that the fit has, where not given:

            - ``"omitted"``: bounds of double machine learning, with ``cf_y, cf_d, rho, level, null, benchmark``
              (Chernozhukov et al. 2022);
            - ``"rosenbaum"``: Rosenbaum's bounds of matched pairs, with ``gamma, alpha, alternative`` (``rbounds``);
            - ``"marginal"``: bounds of effects that are weighted by propensities, doubly robust ones too, with
              ``gamma, sharp, level, reps, seed, n_jobs`` (Zhao, Small and Bhattacharya 2019; Dorn and Guo 2023);
            - ``"linear"``: partial R2 and robustness values of effects that a least-squares regression gives, with
              ``benchmark, kd, ky, q, alpha, reduce`` (Cinelli and Hazlett 2020, ``sensemakr``);
            - ``"evalue"``: E-values of any measure, with ``true, rare, sd, level`` (VanderWeele and Ding 2017).

            Where they are named also

            - ``"oster"``: what selection on unobserved confounders in proportion to that on observed ones does to a
              coefficient, with ``rmax, delta, beta`` (Oster 2019);
            - ``"tipping"``: the one confounder that would tip the effect, with ``imbalance, prevalence, outcome, rare,
              level`` (``tipr``).

        **options
            Of the kind; its function in ``results.sensitivity`` describes them.

        Returns
        -------
        SensitivityPage
            ``.tidy() .sentence .summary() .plot(ax=)``, and what the kind has beside.

        Raises
        ------
        OptionError
            For an unknown kind, or an option that it does not have.
        CapabilityError
            Where the fit has no such analysis.
        """
        return noted(answered(self._sensitivities(), kind, (self,), options), missing_notes(self.call.frame))

    def _sensitivities(self) -> Mapping[str, Kind]:
        """The kinds by name."""
        return OF_RESULTS

    def _has_sensitivity(self) -> bool:
        kinds = self._sensitivities()
        return any(kinds[name].picked for name in able(kinds, (self,)))


class QuestionedModel(ModelCore):
    """The verb of a model of whose coefficients one may be a treatment's."""

    @asks
    def sensitivity(self, term: str, kind: SensitivityKind | None = None, **options: Any) -> SensitivityPage:
        """What confounders that were not measured could make of a coefficient.

        Parameters
        ----------
        term : str
            The coefficient, as in ``tidy()``.
        kind : str, optional
            The first of these that the model has, where not given:

            - ``"linear"``, of a linear model: ``sensemakr(lm(...), treatment = term)``;
            - ``"evalue"``;
            - ``"oster"``, where it is named.
        **options
            Of the kind.

        Returns
        -------
        SensitivityPage
            ``.tidy() .sentence .summary() .plot(ax=)``.

        Raises
        ------
        OptionError
            For an unknown coefficient or kind, or an option that the kind does not have.
        CapabilityError
            Where the model has no such analysis.
        """
        found = answered(self._sensitivities(), kind, (self, _estimable(self, term)), options)
        return noted(found, missing_notes(self.frame))

    def _sensitivities(self) -> Mapping[str, Kind]:
        """The kinds by name."""
        return OF_MODELS


def _estimable(model: ModelCore, term: Any) -> str:
    """The name of a coefficient that the data determine."""
    name = one_of("term", term, model.names)
    if not np.isfinite(model.params[name]):
        raise IdentificationError(f"{name} is not determined by the data: others say all that it says")
    return name
