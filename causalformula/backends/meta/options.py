"""Options of the meta-learners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from causalformula.backends.learning.table import GLM, Learner, read_learner, refuse_kind, refuse_unweighted
from causalformula.backends.orthogonal.nuisances import CrossFitOptions, outcome_target
from causalformula.backends.sample_weights import REGRESSORS
from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame


@dataclass(frozen=True, kw_only=True)
class MetaOptions(CrossFitOptions):
    """What every meta-learner takes.

    Parameters
    ----------
    outcome_model, treatment_model : str or estimator, optional
        As in ``CrossFitOptions``: ``"glm"`` where neither they nor ``model=`` are given. An S- and a T-learner have
        the treatment model for the average's score alone.
    model : str or estimator, optional
        What learns everything that has no learner of its own.
    folds, repeats, seed, bounds
        As in ``CrossFitOptions``, of the average effect and of predictions for rows that were not learned from; unit
        effects are predicted by learners of all rows.
    estimand, contrast, measure, family, focal
        As in ``cf.fit``, of the average effect.
    """

    outcome_model: Any = None
    treatment_model: Any = None
    model: Any = None

    def __post_init__(self) -> None:
        if self.model is not None:
            read_learner(self.model, "model")
        for name in self._learners():
            if getattr(self, name) is None:
                object.__setattr__(self, name, GLM if self.model is None else self.model)
        super().__post_init__()

    @classmethod
    def _learners(cls) -> tuple[str, ...]:
        return ("outcome_model", "treatment_model")


@dataclass(frozen=True, kw_only=True)
class EffectOptions(MetaOptions):
    """What those take whose last step learns the effect itself.

    Parameters
    ----------
    effect_model : str or estimator, optional
        What learns the effect, from ``modify(...)`` where the formula has it, otherwise from all covariates.
    outcome_model, treatment_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, family, focal
        As in ``MetaOptions``.
    """

    effect_model: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        read_learner(self.effect_model, "effect_model")

    @classmethod
    def _learners(cls) -> tuple[str, ...]:
        return (*super()._learners(), "effect_model")

    @property
    def effect_learner(self) -> Learner:
        """The learner of the effect."""
        return read_learner(self.effect_model, "effect_model")


@dataclass(frozen=True, kw_only=True)
class SLearner(MetaOptions):
    """Options of ``method="s_learner"``.

    Parameters
    ----------
    outcome_model, treatment_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, family, focal
        As in ``MetaOptions``.
    """


@dataclass(frozen=True, kw_only=True)
class TLearner(MetaOptions):
    """Options of ``method="t_learner"``.

    Parameters
    ----------
    outcome_model, treatment_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, family, focal
        As in ``MetaOptions``.
    """


@dataclass(frozen=True, kw_only=True)
class XLearner(EffectOptions):
    """Options of ``method="x_learner"``.

    Parameters
    ----------
    outcome_model, treatment_model, effect_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, \
family, focal
        As in ``EffectOptions``.
    """


@dataclass(frozen=True, kw_only=True)
class RLearner(EffectOptions):
    """Options of ``method="r_learner"``.

    Parameters
    ----------
    outcome_model, treatment_model, effect_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, \
family, focal
        As in ``EffectOptions``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        learner = self.effect_learner
        try:
            refuse_unweighted(learner, "regression")
        except OptionError:
            raise OptionError(
                f"effect_model={learner.name} takes no sample weights, and the R-learner weighs each row by the square "
                f"of its treatment's residual; use one whose fit takes sample_weight, such as {REGRESSORS}, or "
                "method='dr_learner', which weighs none"
            ) from None


@dataclass(frozen=True, kw_only=True)
class DRLearner(EffectOptions):
    """Options of ``method="dr_learner"``.

    Parameters
    ----------
    outcome_model, treatment_model, effect_model, model, folds, repeats, seed, bounds, estimand, contrast, measure, \
family, focal
        As in ``EffectOptions``.
    """


def refuse_kinds(frame: ModelFrame, options: MetaOptions) -> None:
    """An ``OptionError`` for a learner whose target has classes, or is a number, where it gives the other."""
    treatment = "classification" if frame.the_treatment.levels else "regression"
    kinds = {"outcome_model": outcome_target(frame, options)[1], "treatment_model": treatment}
    for name in options._learners():
        given = getattr(options, name)
        try:
            refuse_kind(read_learner(given, name), kinds.get(name, "regression"), name)
        except OptionError as error:
            if given is not options.model:
                raise
            raise OptionError(f"{error}; model= is for all that have none of their own, so add {name}=") from None
