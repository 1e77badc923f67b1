"""Options of inverse probability weighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.distance import DISCARD, LINKS
from causalformula.backends.learning.table import GLM, Learner, is_glm, read_learner, refuse_kind
from causalformula.backends.options import column, flag, is_number, one_of, shown, whole
from causalformula.backends.weighting.dose import read_density
from causalformula.backends.weighting.weights import WeightingOptions
from causalformula.errors import OptionError
from causalformula.words import Discard, Link


@dataclass(frozen=True, kw_only=True)
class IPW(WeightingOptions):
    """Options of ``method="ipw"``.

    Parameters
    ----------
    link : str
        Of the binary propensity model: ``"logit"``, ``"probit"``, ``"cloglog"`` or ``"cauchit"``.
    stabilize : bool
        Multiply the weights of the ATE by the arms' proportions.
    trim : number, optional
        Below 1 a quantile, otherwise a count: weights beyond are set to the limit.
    trim_lower : bool
        Trim small weights too.
    discard : str or pair, optional
        ``"treated"``, ``"control"`` or ``"both"``: drop rows of these arms outside the common support of the
        propensity score; ``(low, high)``: drop rows whose propensity lies outside.
    by : str, optional
        A column: the propensity model is fitted within its levels.
    density : str
        For a dose: ``"dnorm"``, ``"dt_4"`` (t with that many degrees of freedom) or ``"kernel"``.
    ps : str, optional
        A column with propensity scores of a binary treatment, used as they are.
    treatment_model : str or estimator
        ``"glm"``, the formula's own regression; a learner whose probabilities are cross-fitted: ``"lasso"``,
        ``"ridge"``, ``"elastic_net"``, ``"spline"``, ``"forest"``, ``"boosting"``, ``"knn"``, ``"stack"``, or a
        scikit-learn classifier or search. Sampling weights reach the last step of a pipeline and the estimator inside a
        search.
    model : str or estimator, optional
        Short for ``treatment_model``.
    folds : int
        Folds of the cross-fitting; 1 fits and predicts on all rows.
    seed : int
        Of the folds.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    link: Link = "logit"
    stabilize: bool = False
    trim: float | None = None
    trim_lower: bool = False
    discard: Discard | tuple[float, float] | None = None
    by: str | None = None
    density: str = "dnorm"
    ps: str | None = None
    treatment_model: Any = GLM
    model: Any = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._read_model()
        one_of("link", self.link, LINKS)
        flag("stabilize", self.stabilize)
        flag("trim_lower", self.trim_lower)
        self._check_trim()
        object.__setattr__(self, "discard", read_discard(self.discard))
        if self.stabilize and self.estimand not in (None, "ATE"):
            raise OptionError(f"stabilize=True is for the ATE; weights for the {self.estimand} have a scale already")
        column("ps", self.ps)
        column("by", self.by)
        whole("folds", self.folds, "folds of the cross-fitting")
        whole("seed", self.seed, "the seed of the folds", least=0, most=2**32 - 1)
        read_density(self.density)
        self._check_scores()

    def _read_model(self) -> None:
        """Set ``treatment_model`` by its short form, and refuse what gives no probabilities."""
        if self.model is not None:
            if self.treatment_model is not self.model and not is_glm(self.treatment_model):
                raise OptionError("model= is short for treatment_model=, and both are given; use one of the two")
            object.__setattr__(self, "treatment_model", self.model)
        option = "treatment_model" if self.model is None else "model"
        refuse_kind(read_learner(self.treatment_model, option), "classification", option)

    @property
    def learner(self) -> Learner | None:
        """What the scores are learned by; None for the formula's own regression, or given scores."""
        return None if is_glm(self.treatment_model) else read_learner(self.treatment_model, "treatment_model")

    def _check_scores(self) -> None:
        """Where the scores come from, and options that would have no effect on them."""
        if self.ps is not None and self.learner is not None:
            raise OptionError("ps= gives the propensity scores and model= fits them: use one of the two")
        if self.learner is None and (self.folds, self.seed) != (IPW.folds, IPW.seed):
            raise OptionError("folds= and seed= are for model=, whose scores are cross-fitted; there is no model=")
        if self.ps is None and self.learner is None:
            return
        source = "model= fits" if self.ps is None else "ps= gives"
        idle = {"link": self.link != IPW.link, "by": self.ps is not None and self.by is not None}
        for name in (name for name, given in idle.items() if given):
            text = f"{source} the propensity scores. Leave out one of the two"
            raise OptionError(f"{name}={getattr(self, name)!r} has no effect: {text}")

    def _check_trim(self) -> None:
        trim = self.trim
        if trim is None:
            if self.trim_lower:
                raise OptionError("trim_lower=True trims small weights too, and trim= says how many: give both")
            return
        if not is_number(trim) or not (0.5 < trim < 1 or (trim >= 1 and trim % 1 == 0)):
            raise OptionError(f"trim={shown(trim)}: give a quantile above 0.5 and below 1, or how many weights to trim")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name."""
        return tuple(name for name in (self.ps, self.by) if name is not None)

    @property
    def own_vcov(self) -> str | None:
        """Weights without estimating equations count as given."""
        kernel = self.density == "kernel"
        return "HC0" if self.ps is not None or self.learner is not None or kernel else None


def read_discard(value: Any) -> Any:
    """Arms whose rows are dropped outside the common support, a range of scores, or None."""
    if value is None or (isinstance(value, str) and value in DISCARD):
        return value
    pair = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(map(is_number, value))
    if pair and 0 <= value[0] < value[1] <= 1:
        return tuple(float(v) for v in value)
    raise OptionError(
        f"discard={shown(value)}: choose from {', '.join(DISCARD)}, or give a pair (low, high) within 0 and 1"
    )
