"""``compare``: bind the data once, and put the same question to every method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from causalformula.backends.options import Options
from causalformula.errors import asks
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.bind import bind
from causalformula.inference.checks import check_jobs
from causalformula.inference.requests import Vcov
from causalformula.results.answered import read_question
from causalformula.results.comparison.asked import (
    frames_of,
    read_methods,
    refuse_unable_here,
    with_requests,
    with_roles,
)
from causalformula.results.comparison.compared import answers
from causalformula.results.comparison.comparison import Comparison
from causalformula.results.comparison.truth import check_truth, read_truth, read_unit_truth
from causalformula.results.elsewhere import in_memory, with_notes
from causalformula.results.named import named_columns
from causalformula.words import Contrast, Estimand, Measure, Method, NaAction

if TYPE_CHECKING:
    from formulaic import Formula

    from causalformula.numerics.arrays import HasArray
    from causalformula.numerics.families import Family

    AnyMethod = Method | str | Options | type[Options]


@asks
def compare(
    formula: str | Spec | Formula,
    data: Any,
    methods: Sequence[AnyMethod] | Mapping[str, AnyMethod],
    *,
    estimand: Estimand = "ATE",
    truth: float | Sequence[float] | str | HasArray | None = None,
    outcome: str | None = None,
    contrast: Contrast | None = None,
    measure: Measure | None = None,
    family: str | Family | None = None,
    vcov: Vcov | Mapping[str, Vcov] | None = None,
    n_jobs: int | None = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Mapping[str, Callable[..., Any]] | None = None,
) -> Comparison:
    """Put one question to several methods: one estimand, the same rows, one table, and whether they agree.

    The data are bound once, on rows that are complete in every role of the formula. Each method gets the roles that it
    uses, and the table says what it left out. A method that fails keeps its row, without numbers and with a note.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        ``"Severity ~ treat(Drug) + adjust(I.H)"``, as for ``fit``.
    data : data frame
        As for ``fit``.
    methods : sequence, or mapping of names to methods
        Names (``"ipw"``), or options objects (``cf.Nearest(ratio=2)``), which hold a method's own options. One that
        is there several times is numbered, ``ipw (1)``; a mapping gives names of your own.
    estimand : str
        Of all methods. ``"nearest"`` gives the ATE by ``replace=True, ties=True``, and ``"dml"`` the ATE, ATT and ATC
        by ``model="irm"``, without ``iv(z)``; these are chosen for them. The partial effect of a linear model of
        ``"dml"``, as of a dose, is none of the estimands: it is refused, and stands beside others in ``cf.table``.
    truth : float, sequence of float, str, Series or array, optional
        The true effect, where it is known: the table then has every method's error, and this over its standard error.
        Or the true effects of units, a column of the data or numbers for all rows: the error is then that of the
        average in the target population, and there are the errors of unit effects, ``PEHE, MAE, correlation``.
    outcome : str, optional
        The left side, where the formula has none.
    contrast, measure : optional
        Of all methods, as for ``fit``.
    family : str, optional
        Of every outcome model.
    vcov : str, request, or mapping of names to these, optional
        Of all methods, or by name; each method's own where not given.
    n_jobs : int, optional
        Processes, through joblib; as ``joblib.parallel_config(n_jobs=)`` has it where not given, one without that.
    subset, na_action, contrasts, env
        As for ``fit``.

    Returns
    -------
    Comparison
        ``.tidy() .fits .agreement() .test .balance() .plot() .summary()``.

    Raises
    ------
    OptionError
        For an unknown method, one that does not give the estimand, and methods that are asked different questions.
    CapabilityError
        For a method that does not take this treatment or is not available yet, and a formula that it cannot answer.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> both = cf.compare("Severity ~ treat(Drug) + adjust(I.H)", heart, ["difference_in_means", "regression"])
    >>> both.tidy()["estimate"].round(2).tolist()
    [3.47, -9.89]
    >>> both.tidy()["left.out"].tolist()
    ['unadjusted', '']
    """
    spec = read_question(formula, data, outcome, env)
    check_jobs(n_jobs)
    question = {"contrast": contrast, "measure": measure, "family": family}
    asked = read_methods(methods, estimand, {k: v for k, v in question.items() if v is not None})
    asked = with_roles(with_requests(asked, vcov), spec)
    table, said = in_memory(data, "cf.compare")
    check_truth(truth, table)
    extra = [name for one in asked for name in (*one.options.columns, *named_columns(one.request, table, one.record))]
    frame = bind(
        spec, table, extra=dict.fromkeys(extra), subset=subset, na_action=na_action, contrasts=contrasts, env=env
    )
    frame = with_notes(frame, said)
    refuse_unable_here(asked, frames_of(asked, frame))
    units = read_unit_truth(truth, frame, estimand, asked[0].options)
    found = Comparison(answers(asked, frame, n_jobs), frame, estimand)
    return replace(found, truth=read_truth(truth, units, found.first), unit_truth=units)
