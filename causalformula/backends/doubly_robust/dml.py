"""Double machine learning: orthogonal scores of learned nuisance functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.contrasts import contrasts
from causalformula.backends.doubly_robust.dml_irm import irm
from causalformula.backends.doubly_robust.dml_models import Model, iivm, pliv, plr
from causalformula.backends.doubly_robust.dml_options import DML, PARTIAL, WORDS, model_of
from causalformula.backends.doubly_robust.quantiles import QUANTILE_EFFECT, quantiles, refuse_quantiles
from causalformula.backends.doubly_robust.selection import double_selection, partialling_out, selected_irm
from causalformula.backends.estimands import ATC, ATE, ATT, LATE
from causalformula.backends.fit import Answer, DesignWeights, Fit, Label, Outcomes, Query, with_labels
from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.orthogonal.learned_family import family_notes
from causalformula.backends.orthogonal.nuisances import GLM, resampled
from causalformula.backends.orthogonal.scores import Score, solved
from causalformula.backends.registry import MODELLED, Record, methods
from causalformula.backends.target import target_arm
from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import median_of, stack
from causalformula.numerics.arrays import Array

ARMS, LINEAR = (Kind.BINARY, Kind.MULTI), (Kind.BINARY, Kind.CONTINUOUS)

MODELS: dict[str, Model] = {
    "plr": Model("partially linear regression", plr, LINEAR, scored=True),
    "irm": Model("interactive regression", irm, ARMS, (ATE, ATT, ATC), weighed=True),
    "pliv": Model("partially linear IV regression", pliv, LINEAR, iv=True, scored=True),
    "iivm": Model("interactive IV regression", iivm, (Kind.BINARY,), (LATE,), iv=True, weighed=True),
    "double_selection": Model("double selection", double_selection, LINEAR),
    "partialling_out": Model("partialling out", partialling_out, LINEAR),
    "selected_irm": Model("selected controls", selected_irm, (Kind.BINARY,), (ATE, ATT, ATC), weighed=True),
}


# What the model of averages becomes where quantiles are asked for.
QUANTILES = Model("quantiles of potential outcomes", quantiles, ARMS, (ATE,), weighed=True)


def _own_estimand(frame: ModelFrame, options: DML) -> str | None:
    """The first of those that the model gives, where it gives any of this treatment."""
    model = MODELS[model_of(options, frame)]
    return model.estimands[0] if model.estimands and frame.the_treatment.kind in model.kinds else None


def _idle(options: DML) -> tuple[str, ...]:
    """Instruments, which most models do not use; where none is named, the formula's roles choose one."""
    return () if options.model is None or MODELS[options.model].iv else ("iv",)


def _refuse_estimand(frame: ModelFrame, options: DML, name: str) -> None:
    """An ``OptionError`` for an estimand that the model does not have, with the models and methods that do."""
    model, estimand, treatment = MODELS[name], options.estimand, frame.the_treatment
    able = [other for other, row in MODELS.items() if estimand in row.estimands and treatment.kind in row.kinds]
    if estimand is None or (estimand in model.estimands and able):
        return
    target_arm(frame, options)
    if not able:
        others = [r.name for r in methods() if estimand in r.estimands and treatment.kind in r.treatments]
        others = [other for other in others if other != "dml"]
        listed = f"these methods do: {', '.join(others)}" if others else "no method that is available yet does"
        raise OptionError(
            f"method 'dml' has no model for the {estimand} of a treatment of the kind {treatment.kind}; {listed}. Its "
            f"own effect, a {PARTIAL.lower()}, is that of fit(..., method='dml') without estimand="
        )
    listed = " or ".join(f"model={other!r}" for other in able)
    uses = {MODELS[other].iv for other in able}
    roles = ""
    if uses == {True} and not frame.has("iv"):
        roles = ", with iv(z) in the formula"
    elif uses == {False} and frame.has("iv"):
        roles = ", without iv(...) in the formula"
    raise OptionError(f"model={name!r} gives {model.gives}, and not the {estimand}; {listed} does{roles}")


def _refuse(frame: ModelFrame, options: DML) -> None:
    """Whatever the model has no use for, or needs and has not got."""
    name = model_of(options, frame)
    if options.quantiles is not None:
        refuse_quantiles(frame, options, name)
    model, treatment = MODELS[name], frame.the_treatment
    if frame.has("iv") and not model.iv:
        able = " or ".join(f"model={other!r}" for other, row in MODELS.items() if row.iv)
        raise OptionError(f"model={name!r} does not use iv(...); {able} does")
    if model.iv and not frame.has("iv"):
        raise OptionError(f"model={name!r} needs an instrument: iv(z) in the formula")
    _refuse_estimand(frame, options, name)
    if treatment.kind not in model.kinds:
        able = " or ".join(f"model={other!r}" for other, row in MODELS.items() if treatment.kind in row.kinds)
        raise CapabilityError(f"model={name!r} does not take a treatment of the kind {treatment.kind}; {able} does")
    idle = {
        "score": options.score != DML.score and not model.scored,
        "bounds": options.bounds is not None and not model.weighed,
        "instrument_model": options.instrument_model != GLM and not model.iv,
    }
    for option in (option for option, unused in idle.items() if unused):
        raise OptionError(f"{option}= has no part in model={name!r}")


@dataclass(frozen=True, eq=False)
class ScoredOutcomes:
    """What orthogonal scores answer: effects over everyone and by group, and means where the model has them.

    Parameters
    ----------
    scores : tuple of Score
        One for each repetition; none where the effect is no difference.
    labels : tuple of Label
    w : ndarray (n,)
        Sampling weights.
    model : str
    basis : Outcomes, optional
        Mean potential outcomes.
    no_groups : str
        Why there are no effects by group: every score has them, and an effect without one may not.
    """

    scores: tuple[Score, ...]
    labels: tuple[Label, ...]
    w: Array
    model: str
    basis: Outcomes | None = None
    no_groups: str = ""

    def answer(self, query: Query) -> Answer:
        """Effects or means for a query.

        Raises
        ------
        CapabilityError
            For means, or groups, that the model does not have.
        """
        if self.basis is not None:
            return self.basis.answer(query)
        if query.kind != "effects":
            raise CapabilityError(
                f"model={self.model!r} has effects and no mean potential outcomes; model='irm' has both"
            )
        parts = [self._of(score, query) for score in self.scores]
        return Answer(median_of([part.estimate for part in parts]), parts[0].labels)

    def _of(self, score: Score, query: Query) -> Answer:
        names = [str(label) for label in self.labels]
        if query.by is None:
            return Answer(solved(score, names, self.w), self.labels)
        score, parts = score.within, []
        for k, level in enumerate(query.by.levels):
            inside = np.where(query.by.codes == k, self.w, 0.0)
            if inside.any():
                found = Answer(solved(score, names, inside), self.labels)
                parts.append(with_labels(found, ((query.by.name, level),)))
        if not parts:
            raise DataError(f"no row has a value of {query.by.name!r}")
        labels = tuple(label for part in parts for label in part.labels)
        return Answer(stack([part.estimate for part in parts]), labels)


def _labels(frame: ModelFrame, options: DML, scores: Sequence[Score]) -> tuple[Label, ...]:
    compared = contrasts(frame.the_treatment, options.contrast, frame.sampled)
    width = scores[0].a.shape[1] if scores else len(compared)
    return tuple(Label(frame.the_treatment.name, item.label(options.scale)) for item in compared[:width])


def dml_fit(frame: ModelFrame, options: DML) -> Fit:
    """The model's score, and the effect that is its root."""
    _refuse(frame, options)
    name = model_of(options, frame)
    model = MODELS[name] if options.quantiles is None else QUANTILES
    found = model.fit(frame, options)
    if isinstance(found, Fit):
        assert found.outcomes is not None
        whole = ScoredOutcomes(
            (), found.answer.labels, frame.unit_weights, name, found.outcomes, found.outcomes.no_groups
        )
        return replace(found, outcomes=whole)
    labels = _labels(frame, options, found.scores)
    no_groups = "" if found.means is None else found.means.no_groups
    outcomes = ScoredOutcomes(tuple(found.scores), labels, frame.unit_weights, name, found.means, no_groups)
    unused = family_notes(frame, options.outcome_family, options.outcome_learner)
    score = f", {WORDS[options.score]} score" if model.scored else ""
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=(options.estimand or PARTIAL) if options.quantiles is None else QUANTILE_EFFECT,
        design=found.design or DesignWeights(np.ones(frame.n)),
        method=f"double machine learning, {model.words}{score} ({found.names}, cross-fitted in {found.folds.words})",
        outcomes=outcomes,
        notes=tuple(dict.fromkeys((*found.notes, *learning_notes(found.learned.values(), found.folds), *unused))),
        learned=found.learned,
        folds=found.folds,
    )


_DRAWN = "the folds are drawn anew"
_HELD = "nuisances of other folds count as known, which the score's orthogonality allows"


@Record(
    name="dml",
    options=DML,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC, LATE),
    roles=(*(role for role in MODELLED if role != "offset"), "iv"),
    unread={"offset": "its learners have no place for one; subtract it from the outcome"},
    r="DoubleML::DoubleMLPLR, DoubleMLIRM, DoubleMLPLIV, DoubleMLIIVM",
    summary="double machine learning: orthogonal scores of cross-fitted learners; quantiles and instruments too",
    title="Double machine learning",
    face="causalformula.results.families.dml:DMLResult",
    estimand_words="ATE, ATT and ATC of model='irm', LATE of model='iivm'; linear models have a partial effect",
    forms={estimand: {"model": "irm"} for estimand in (ATE, ATT, ATC)},
    own_estimand=_own_estimand,
    idle=_idle,
    refuse=_refuse,
    resampled=resampled,
    exempt={
        "influence": _HELD,
        "integer_weights": f"a row and its copy may be in different folds; {_DRAWN}",
        "row_order": f"folds are dealt out by row; {_DRAWN}",
        "label_swap": f"folds are dealt out arm by arm; {_DRAWN}",
        "singleton_clusters": "no regression is the root, so there is no leverage to adjust by",
    },
)
def dml(frame: ModelFrame, options: DML) -> Fit:
    """Effect by an orthogonal score of learned nuisance functions, right to first order whatever their errors are.

    The score ``psi = theta a + b`` has the root ``theta = -sum s b / sum s a`` and the influence ``-psi / E[a]``, with

    - ``plr``: ``v = D - m(X)``; ``a = -v^2, b = v (Y - l(X))``, or ``a = -v D, b = v (Y - g(X))`` (``iv_type``);
    - ``pliv``: ``v = Z - m(X)``; ``a = -v (D - r(X)), b = v (Y - l(X))``, or ``a = -v D, b = v (Y - g(X))``; several
      instruments are the projection of ``D - r(X)`` on ``Z - m(X)``;
    - ``irm``: ``a = -h, b = h (g_1 - g_0) + A w_1 (Y - g_1) - (1 - A) w_0 (Y - g_0)``, the augmented score with the
      target's rows ``h`` and weights ``w``;
    - ``iivm``: that score of the instrument, of Y as ``b`` and of D as ``-a``.

    ``quantiles=`` of ``irm`` compare quantiles of the potential outcomes, ``theta_a(q) = inf {t: P(Y(a) <= t) >= q}``
    over everyone, instead of means. Each is the root of ``E[A_a v_a (1[Y <= theta] - g_a(X)) + g_a(X) - q] = 0`` with
    the inverse propensity ``v_a``, scaled to mean one in its arm, and ``g_a(x) = P(Y <= theta' | x, a)`` learned at a
    preliminary ``theta'``, which half of the rows outside a fold give by inverse propensities and the other half learns
    at. Its influence is ``-psi / f_a(theta)``, with the density of ``Y(a)`` by a Gaussian kernel.

    Parameters
    ----------
    frame : ModelFrame
    options : DML

    Raises
    ------
    OptionError, CapabilityError
        For what the model has no use for, or needs and has not got.
    DataError
        Where a learner fails, or an arm is too small for the folds.
    IdentificationError
        Where nothing is left of the treatment, or the instrument, given the covariates.

    Notes
    -----
    With the same folds and learners the numbers are those of DoubleML 0.11, but for four. The variance of repetitions
    is the median of ``V_r + (theta_r - theta)^2``, as in the first paper below, where DoubleML has the median of upper
    limits; clusters have the factor ``G / (G - 1)`` by default, which ``vcov="CR0 ~ g"`` leaves out as DoubleML does;
    clusters that cross have Cameron, Gelbach and Miller's variance, where DoubleML sums in cells of folds and takes
    nothing off; and of the bounds of ``sensitivity()`` each has the standard error that DoubleML gives the other.

    Quantiles are those of ``DoubleMLPQ`` and ``DoubleMLQTE``, with inverse propensities normalised (their default) and
    ``seed=42``, which is what they halve rows by. But for one step: the preliminary quantile is the outcome whose
    weighted share is nearest to ``q``, which they look for by Brent's method, made for smooth functions: it may stop at
    another step, or leave the outcomes.

    References
    ----------
    Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey and Robins (2018); Robinson (1988). Clusters that cross:
    Chiang, Kato, Ma and Sasaki (2022). Quantiles: Kallus, Mao and Uehara (2024). Python and R: ``DoubleML``; quantiles
    in Python.
    """
    return dml_fit(frame, options)
