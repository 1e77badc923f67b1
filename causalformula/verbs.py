"""``fit``, ``design`` and ``parse``: read the formula, bind the data, route, estimate, infer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

from causalformula.backends import registry
from causalformula.backends.distance import refuse_unknown_distance
from causalformula.backends.options import Options, check_functions, refuse_swapped
from causalformula.backends.routing import (
    default_method,
    refuse_estimated,
    refuse_strata_of_design,
    refuse_unread_roles,
)
from causalformula.errors import asks
from causalformula.formula.language.reader import with_tilde
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.bind import bind
from causalformula.frame.notices import told
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.results.answered import answered, read_question, read_spec, routed
from causalformula.results.call import Call
from causalformula.results.design import Design
from causalformula.results.elsewhere import answered_elsewhere, collected, in_memory, refuse_graph, scanned, with_notes
from causalformula.results.families.faces import design_of
from causalformula.results.graphs.checked import checked, read_dag, with_mediators
from causalformula.results.graphs.graph import Graph
from causalformula.results.result import Result
from causalformula.results.several import each, listed
from causalformula.results.wording import missing_notes
from causalformula.words import Contrast, Estimand, FamilyName, Measure, Method, NaAction

if TYPE_CHECKING:
    from formulaic import Formula

    from causalformula.backends.did.etwfe import ETWFE
    from causalformula.backends.did.imputation import Imputation
    from causalformula.backends.did.options import DiD
    from causalformula.backends.did.sunab import SunAb
    from causalformula.backends.doubly_robust.aipw import AIPW
    from causalformula.backends.doubly_robust.dml_options import DML
    from causalformula.backends.doubly_robust.tmle import TMLE
    from causalformula.backends.instruments import GMM, IV, LIML
    from causalformula.backends.matching.options import CEM, Exact, Nearest
    from causalformula.backends.meta.options import MetaOptions
    from causalformula.backends.subclass import Subclass
    from causalformula.backends.weighting.options import IPW
    from causalformula.numerics.families import Family
    from causalformula.results.families.did import DidResult
    from causalformula.results.families.dml import DMLResult
    from causalformula.results.families.instruments import IVResult
    from causalformula.results.families.learned import LearnedResult
    from causalformula.results.families.matching import MatchedDesign, MatchedResult
    from causalformula.results.families.subclass import SubclassResult
    from causalformula.results.families.units import UnitResult

    AnyMethod: TypeAlias = Method | str | Options | type[Options]
    SubclassMethod: TypeAlias = Literal["subclass", "stratification"] | Subclass | type[Subclass]
    Matching: TypeAlias = Nearest | CEM | Exact | type[Nearest] | type[CEM] | type[Exact]
    MatchedMethod: TypeAlias = Literal["nearest", "matching", "cem", "exact"] | Matching
    DidName: TypeAlias = Literal["did", "sunab", "imputation", "etwfe"]
    DidOptions: TypeAlias = DiD | SunAb | Imputation | ETWFE
    DidMethod: TypeAlias = DidName | DidOptions | type[DiD] | type[SunAb] | type[Imputation] | type[ETWFE]
    IVMethod: TypeAlias = (
        Literal["iv", "2sls", "tsls", "liml", "gmm"] | IV | LIML | GMM | type[IV] | type[LIML] | type[GMM]
    )
    DMLMethod: TypeAlias = Literal["dml"] | DML | type[DML]
    UnitName: TypeAlias = Literal["s_learner", "t_learner", "x_learner", "r_learner", "dr_learner"]
    UnitMethod: TypeAlias = UnitName | MetaOptions | type[MetaOptions]
    LearnedOptions: TypeAlias = AIPW | TMLE | IPW | type[AIPW] | type[TMLE] | type[IPW]
    UnitName: TypeAlias = Literal["s_learner", "t_learner", "x_learner", "r_learner", "dr_learner"]
    UnitMethod: TypeAlias = UnitName | MetaOptions | type[MetaOptions]
    LearnedMethod: TypeAlias = Literal["aipw", "tmle", "ipw", "weighting"] | LearnedOptions


@asks
def parse(
    formula: str | Formula, outcome: str | None = None, env: Mapping[str, Callable[..., Any]] | None = None
) -> Spec:
    """Read a causal formula into a ``Spec``: plain data, without data.

    Parameters
    ----------
    formula : str or formulaic.Formula
        Such as ``"Y ~ treat(A) + adjust(x)"``; or what ``Spec.to_json`` wrote.
    outcome : str, optional
        The left side, where the text has no ``~``.
    env : mapping of str to callable, optional
        Functions of the caller's own that the formula may call.

    Returns
    -------
    Spec

    Raises
    ------
    FormulaError
        With the place in the text and what to write instead.
    """
    return read_spec(formula, outcome, env)


# The method says which class the result has: a family with verbs of its own is one overload here, and of `design`.
# fmt: off
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: SubclassMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> SubclassResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: MatchedMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> MatchedResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: DidMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> DidResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: LearnedMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> LearnedResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: IVMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> IVResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: DMLMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> DMLResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: UnitMethod, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> UnitResult: ...
@overload
def fit(
    formula: str | Spec | Formula, data: Any, method: AnyMethod | None = None, *,
    outcome: str | None = None, estimand: Estimand | None = None, contrast: Contrast | None = None,
    measure: Measure | None = None, family: FamilyName | str | Family | None = None, vcov: Vcov | None = None,
    ssc: SmallSample | None = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None, strict: bool = False, **options: Any,
) -> Result: ...
# fmt: on
@asks
def fit(
    formula: str | Spec | Formula,
    data: Any,
    method: AnyMethod | None = None,
    *,
    outcome: str | None = None,
    estimand: Estimand | None = None,
    contrast: Contrast | None = None,
    measure: Measure | None = None,
    family: FamilyName | str | Family | None = None,
    vcov: Vcov | None = None,
    ssc: SmallSample | None = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Mapping[str, Callable[..., Any]] | None = None,
    dag: Graph | str | None = None,
    strict: bool = False,
    **options: Any,
) -> Result:
    """Estimate a causal effect: the formula says what is asked, ``method`` how it is answered.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        ``"Severity ~ treat(Drug) + adjust(I.H)"``. Roles: ``treat adjust outcome propensity modify iv did fe cluster
        weights offset strata``.
    data : data frame
        pandas, polars, pyarrow or any other frame that narwhals reads, or an Arrow stream; it is not changed. Or rows
        that are elsewhere: a path or glob of Parquet or CSV files, a DuckDB relation, and what else ``cf.scan`` takes.
    method : str or options object, optional
        ``"regression"`` (the default; without anything adjusted for, ``"difference_in_means"``), ... or an object such
        as ``cf.Regression(interact=True)``. See ``causalformula methods``.
    outcome : str, optional
        The left side, where the formula has none.
    estimand : {"ATE", "ATT", "ATC", ...}, optional
        The method's default where not given.
    contrast : optional
        ``"reference"``, ``"pairwise"``, ``"sequential"``, ``(low, high)``; for a dose a number, ``"sd"``, ``"iqr"``,
        ``"minmax"``, ``(low, high)`` or ``"slope"``.
    measure : str, optional
        ``difference``, ``ratio``, ``odds_ratio``, ``log_ratio``, ``log_odds_ratio`` or ``nnt``.
    family : str, optional
        Family of the outcome model.
    vcov : str, request or matrix, optional
        The covariance of the estimates; the method's own where not given, and ``"~g"`` where the formula has
        ``cluster(g)``.

        - ``"classical"``; ``"HC0"`` to ``"HC5"``, ``"HC4m"``; ``"asympt"``, every stage estimated; ``"linearised"``,
          of sampling weights;
        - clusters: ``"~g"``, ``"~g + h"``, or by type ``"CR0 ~ g"``, ``"CR1 ~ g"``, ``"CR1S ~ g"``, ``"CR1p ~ g"``,
          ``"CR2 ~ g"``, ``"CR3 ~ g"``;
        - in time: ``"NeweyWest"``, ``"NeweyWest(4) ~ time"``, ``"Andrews"``, ``"DriscollKraay ~ time"``;
        - resampling: ``"bootstrap"``, ``"bootstrap(999, seed = 1) ~ g"``, ``"jackknife"``, ``"jackknife ~ g"``,
          ``"wild"``, ``"wild ~ g"``;
        - an object that says more, such as ``cf.Bootstrap(reps=999, kind="bca", seed=1)`` or
          ``cf.Cluster("g", df=5)``; or a matrix.
    ssc : SmallSample, optional
        Small-sample rules of the covariance, as ``cf.ssc`` makes them; those of fixest where effects are absorbed.
    subset : str or boolean array, optional
        Rows to use.
    na_action : {"omit", "fail"}
        What to do with missing values.
    contrasts : mapping or pair, optional
        Contrasts of factors, as R's ``contrasts``.
    env : mapping of str to callable, optional
        Functions that the formula may call beside the fixed table.
    dag : Graph or str, optional
        A causal diagram (``cf.dag``) that the formula is checked against before anything is fitted: each thing that it
        has against it is an ``IdentificationWarning``, and a note in the print. Of a front door it names the mediators.
    strict : bool
        Whether what the graph has against the formula is an error.
    **options
        The method's own options.

    Returns
    -------
    Result
        Of a formula that stands for several, ``c(y1, y2) ~ treat(a) + csw(x, z)``, ``Fits``: a sequence of results.

    Raises
    ------
    FormulaError, DataError, OptionError, IdentificationError, CapabilityError, ConvergenceError
        Each says what failed, where, and what to do.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)
    >>> round(fit.estimate, 4)
    -9.8877
    """
    question = {"estimand": estimand, "contrast": contrast, "measure": measure, "family": family}
    given = {**{k: v for k, v in question.items() if v is not None}, **options}
    rows: dict[str, Any] = {"subset": subset, "na_action": na_action, "contrasts": contrasts, "env": env}
    if (formulas := listed(formula, env)) is not None:
        asked = {"outcome": outcome, "vcov": vcov, "ssc": ssc, "dag": dag, "strict": strict, **rows, **given}
        return cast(Result, each(formulas, lambda text: fit(text, data, method, **asked)))
    spec = read_question(formula, data, outcome, env)
    graph = read_dag(dag, strict)
    if graph is not None:
        given = with_mediators(graph, spec, method if method is not None else default_method(spec, given), given)
    elsewhere = scanned(data)
    data, said = (data, ()) if elsewhere is None else collected(elsewhere)
    if elsewhere is not None and data is None:
        refuse_graph(graph)
        return answered_elsewhere(spec, elsewhere, method, given, vcov, ssc, rows)
    frame, chosen, request = routed(spec, data, method, given, vcov, ssc, **rows)
    frame = with_notes(frame, said)
    if graph is not None:
        frame = checked(graph, frame, chosen, strict)
    result: Result = answered(Call(spec.source or str(spec), spec, frame, chosen), request, ssc)
    return result


# fmt: off
@overload
def design(
    formula: str | Spec | Formula, data: Any, method: SubclassMethod, *,
    estimand: Estimand | None = None, focal: Any = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None, **options: Any,
) -> MatchedDesign[SubclassResult]: ...
@overload
def design(
    formula: str | Spec | Formula, data: Any, method: MatchedMethod, *,
    estimand: Estimand | None = None, focal: Any = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None, **options: Any,
) -> MatchedDesign[MatchedResult]: ...
@overload
def design(
    formula: str | Spec | Formula, data: Any, method: LearnedMethod, *,
    estimand: Estimand | None = None, focal: Any = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None, **options: Any,
) -> Design[LearnedResult]: ...
@overload
def design(
    formula: str | Spec | Formula, data: Any, method: AnyMethod, *,
    estimand: Estimand | None = None, focal: Any = None, subset: Any = None, na_action: NaAction = "omit",
    contrasts: Contrasts | None = None, env: Mapping[str, Callable[..., Any]] | None = None, **options: Any,
) -> Design[Result]: ...
# fmt: on
@asks
def design(
    formula: str | Spec | Formula,
    data: Any,
    method: AnyMethod,
    *,
    estimand: Estimand | None = None,
    focal: Any = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Mapping[str, Callable[..., Any]] | None = None,
    **options: Any,
) -> Design[Any]:
    """Make the design of a study, weights or strata, with no outcome in sight.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        ``"~ treat(A) + adjust(x)"``, also without the ``~``. An outcome may stand on the left; it is not looked at,
        only its missing values drop rows.
    data : data frame
        pandas, polars, pyarrow or any other frame that narwhals reads, or an Arrow stream (a DuckDB relation). It is
        not changed.
    method : str or options object
        A method with a design stage: ``"ipw"``, ``"ebal"``, ``"cbps"``, ``"ipt"``, ...
    estimand : str, optional
        The method's default where not given.
    focal : optional
        With several levels: the one whose units are the target of the ATT or ATC.
    subset, na_action, contrasts, env
        As in ``fit``.
    **options
        The method's own options.

    Returns
    -------
    Design
        ``.weights .balance() .summary() .overlap() .ess() .plot()``, and ``.fit("Y ~ treat(A)")`` for the effect.

    Raises
    ------
    FormulaError, DataError, OptionError, IdentificationError, CapabilityError, ConvergenceError
        Each says what failed, where, and what to do.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> design = cf.design("~ treat(Drug) + adjust(I.H)", heart, "ebal")
    >>> round(design.fit("Severity ~ treat(Drug)").estimate, 3)
    -9.902
    """
    refuse_swapped(formula, data)
    check_functions(env)
    refuse_estimated(options)
    spec = formula if isinstance(formula, Spec) else parse(with_tilde(formula), None, env)
    question = {"estimand": estimand, "focal": focal}
    given = {**{k: v for k, v in question.items() if v is not None}, **options}
    record, chosen = registry.read_options(method, given, registry.ESTIMATED)
    refuse_unread_roles(spec, record)
    refuse_strata_of_design(spec, record)
    table, said = in_memory(data, "cf.design")
    refuse_unknown_distance(chosen, table.names)
    frame = bind(spec, table, extra=chosen.columns, subset=subset, na_action=na_action, contrasts=contrasts, env=env)
    frame = with_notes(frame, said)
    made = registry.run_design(frame, chosen)
    call = Call(spec.source or str(spec), spec, frame, chosen)
    found: Design[Result] = design_of(made.design, call, made)
    told((*missing_notes(frame), *found.notes, *found.imbalance))
    return found
