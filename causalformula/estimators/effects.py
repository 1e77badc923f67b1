"""``EffectEstimator``: a fit of unit effects as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self, cast

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from causalformula.backends import registry
from causalformula.backends.meta.options import MetaOptions
from causalformula.backends.options import Options
from causalformula.errors import CapabilityError, asks
from causalformula.estimators.rows import asked
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.inference.requests import Vcov
from causalformula.numerics.arrays import Array
from causalformula.results.families.faces import face_of
from causalformula.results.families.units import UnitResult
from causalformula.verbs import fit
from causalformula.words import Contrast, Estimand, FamilyName, Measure, NaAction

if TYPE_CHECKING:
    from formulaic import Formula

    from causalformula.numerics.families import Family


@asks
class EffectEstimator(BaseEstimator):
    """Effects for units by one formula and method, for scikit-learn's pipelines, searches and cross-validation.

    ``fit(X)`` is ``cf.fit(formula, X, method, ...)`` and nothing else, ``predict(X)`` the effect of each row. What is
    None is left to the method, whose own default it then is; what a method does not take must be None for it.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        As in ``cf.fit``.
    method : str or options object
        One with effects for units.
    outcome : str, optional
        The left side, where the formula has none; ``"outcome"`` where ``y`` is given, and neither names it.
    outcome_model, treatment_model, effect_model : str or estimator, optional
        Learners by what they learn. Parameters of an estimator can be set and searched: ``outcome_model__alpha``.
    model : str or estimator, optional
        What learns everything that has no learner of its own.
    folds, repeats, seed, bounds : optional
        Of the cross-fitting.
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; ``predict`` reads ``contrast`` and ``family`` alone.
    vcov, na_action, contrasts, env : optional
        As in ``cf.fit``.

    Attributes
    ----------
    result_ : UnitResult
        What ``cf.fit`` gave.

    Notes
    -----
    ``X`` is a data frame that has the formula's columns, the treatment among them: effects are of a treatment, and no
    array without names says which column it is. So ``check_estimator``, which gives arrays of numbers, does not pass;
    ``clone``, ``get_params``, ``set_params``, ``check_is_fitted``, pickling and pipelines whose steps return frames
    (``set_output(transform="pandas")``) hold. Without ``scoring=`` there is no score: ``cf.scores`` has some that need
    no true effects. Folds should have every arm, which folds that are dealt out arm by arm do:
    ``cv=list(StratifiedKFold(5).split(X, X["treatment"]))``; with ``cluster(g)`` in the formula they should keep
    clusters whole too: ``StratifiedGroupKFold(5).split(X, X["treatment"], X["g"])``.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> estimator = cf.EffectEstimator("Severity ~ treat(Drug) + adjust(I.H)", "s_learner")
    >>> estimator.fit(heart).predict(heart.head(2)).round(2)
    array([-9.89, -9.89])
    """

    def __init__(
        self,
        formula: str | Spec | Formula,
        method: str | Options | type[Options] = "t_learner",
        *,
        outcome: str | None = None,
        outcome_model: Any = None,
        treatment_model: Any = None,
        effect_model: Any = None,
        model: Any = None,
        folds: Any = None,
        repeats: int | None = None,
        seed: int | None = None,
        bounds: Any = None,
        estimand: Estimand | None = None,
        contrast: Contrast | None = None,
        measure: Measure | None = None,
        family: FamilyName | str | Family | None = None,
        focal: Any = None,
        vcov: Vcov | None = None,
        na_action: NaAction | None = None,
        contrasts: Contrasts | None = None,
        env: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        # scikit-learn reads the parameters from these attributes, which are what was given
        self.formula = formula
        self.method = method
        self.outcome = outcome
        self.outcome_model = outcome_model
        self.treatment_model = treatment_model
        self.effect_model = effect_model
        self.model = model
        self.folds = folds
        self.repeats = repeats
        self.seed = seed
        self.bounds = bounds
        self.estimand = estimand
        self.contrast = contrast
        self.measure = measure
        self.family = family
        self.focal = focal
        self.vcov = vcov
        self.na_action = na_action
        self.contrasts = contrasts
        self.env = env

    @asks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit by ``cf.fit``.

        Parameters
        ----------
        X : data frame
            With the formula's columns.
        y : array, optional
            The outcome, where it is no column of X: the variable on the formula's left side.

        Returns
        -------
        EffectEstimator
            Itself.

        Raises
        ------
        CapabilityError
            For a method without effects for units.
        FormulaError, DataError, OptionError, IdentificationError
            As ``cf.fit``.
        """
        self._refuse_without_effects()
        self.result_: UnitResult = fit(**asked(self, X, y))
        return self

    @asks
    def predict(self, X: Any) -> Array:
        """The effect for each row.

        Parameters
        ----------
        X : data frame
            The covariates are enough.

        Returns
        -------
        ndarray (n,)
            With several contrasts a column for each (n, q); NaN for rows with a missing value.

        Raises
        ------
        FormulaError, DataError
            For data without a column, or with a level that was not there at the fit.
        """
        check_is_fitted(self)
        return self.result_.effects(X).effect

    def _refuse_without_effects(self) -> None:
        record, _ = registry.read_options(self.method, {})
        if issubclass(face_of(record.face), UnitResult):
            return
        able = [each.name for each in registry.methods() if issubclass(face_of(each.face), UnitResult)]
        raise CapabilityError(
            f"method {record.name!r} has no effects for units, which an EffectEstimator predicts; these have: "
            f"{', '.join(able)}"
        )


def estimator_of(result: UnitResult) -> EffectEstimator:
    """A fit that is there already as an estimator; see ``UnitResult.as_estimator``."""
    call, request = result.call, result.covariance.request
    assert isinstance(call.options, MetaOptions)
    found = EffectEstimator(
        str(call.spec), call.record.name, **_given(call.options, call.record.default_estimand),
        vcov=None if request == call.default_vcov() else request, contrasts=call.frame.contrasts, env=call.frame.env,
    )  # fmt: skip
    found.result_ = result
    return found


def _given(options: MetaOptions, estimand: str) -> dict[str, Any]:
    """Options that are not what the method would have without them."""
    own = type(options)(model=options.model, estimand=cast(Estimand, estimand))
    pairs = {field.name: (getattr(options, field.name), getattr(own, field.name)) for field in fields(options)}
    other = {name: value for name, (value, plain) in pairs.items() if not _same(value, plain)}
    return other if options.model is None else {"model": options.model, **other}


def _same(value: Any, plain: Any) -> bool:
    """Whether two options are one; arrays and estimators are only themselves."""
    return value is plain or (isinstance(value, str | int | tuple) and value == plain)
