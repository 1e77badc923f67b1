"""Wald tests of nested models, as R's ``lmtest`` has and prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError, asks, choose, some
from causalformula.inference.requests import Classical, Given, Vcov
from causalformula.numerics.arrays import Codes
from causalformula.results.checks.anova import (
    NESTED,
    Anova,
    check_comparable,
    comparison_table,
    table_text,
)
from causalformula.results.models.core import ModelCore, model_covariance
from causalformula.results.models.formula import absorbed_text, formula_lines, model_terms, refitted
from causalformula.results.reading.carried import joint_test
from causalformula.results.reading.test import Test
from causalformula.words import NestedTest


@asks
def waldtest(
    model: ModelCore, *others: ModelCore | str | Sequence[str], vcov: Vcov | None = None, test: NestedTest = "F"
) -> Test | Anova:
    """Wald test of a model against a nested one, which needs only the larger model's covariance.

    Parameters
    ----------
    model : Model
    *others : Model, str or sequence of str
        A model, in either order of size, or the terms to leave out of the one before: ``waldtest(m, "f")``,
        ``waldtest(m, ["f", "f:x"])``. One of each two must have all columns of the other. Of several, each is compared
        with the one before it. Without any, the model is compared with its intercept.
    vcov : str, request or matrix, optional
        Of the larger models; their own covariance where not given.
    test : {"F", "Chisq"}
        F has the residual degrees of freedom of the larger model (for CR2 and CR3 the test is Hotelling's).

    Returns
    -------
    Test or Anova
        With R's table; of several comparisons the table alone, with a row a model.

    Raises
    ------
    OptionError
        For models that are not nested, a term that there is not, or what is no model.

    Notes
    -----
    R: ``lmtest::waldtest`` 0.9-40.
    """
    if not isinstance(test, str) or test not in NESTED:
        raise OptionError(f"test must be 'F' or 'Chisq', not {shown(test)}")
    steps = [_first(model)]
    for other in others:
        steps.append(_next(steps[-1], other, vcov))
    check_comparable([step.model for step in steps])
    if len({absorbed_text(step.model.frame) for step in steps}) > 1:
        raise OptionError("these models absorb different fixed effects, which have no covariance; use cf.anova")
    if not others:
        steps.append(_Step(model, f"{model.outcome_name} ~ 1{absorbed_text(model.frame)}", ("(Intercept)",)))
    found = [_compared(a, b, vcov, test) for a, b in pairwise(steps)]
    tables = [comparison_table(one.resid, one.test) for one in found]
    heading = "\n".join(["Wald test", "", *(f"Model {k}: {step.text}" for k, step in enumerate(steps, 1))])
    if len(found) > 1:
        return Anova(_joined(tables), heading)
    return replace(found[0].test, table=tables[0], text=table_text(tables[0], heading))


def _joined(tables: list[Any]) -> Any:
    """One table of several comparisons, each with the model before."""
    import pandas as pd

    rows = pd.concat([tables[0], *(table.iloc[1:] for table in tables[1:])])
    # a column that only some comparisons have comes last, where the p-value belongs
    rows = rows[sorted(rows.columns, key=lambda name: name.startswith("Pr("))]
    return rows.set_axis([str(k + 1) for k in range(len(rows))])


# -- the models ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Step:
    """A model of the comparison.

    Parameters
    ----------
    model : Model
    text : str
        Its formula.
    names : tuple of str
        Its estimable coefficients.
    left_out : tuple of str
        Terms of ``base`` that it does not have.
    base : Model, optional
        The model with all terms.
    """

    model: ModelCore
    text: str
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    base: ModelCore | None = None


def _first(model: Any) -> _Step:
    if not isinstance(model, ModelCore):
        raise OptionError("waldtest takes models of cf.lm and cf.glm; of a causal fit, its .outcome")
    return _Step(model, formula_lines(model), model.regression.kept_names, base=model)


def _next(before: _Step, other: Any, vcov: Any) -> _Step:
    """A model as it is, or the one before without some terms."""
    if isinstance(other, ModelCore):
        return _first(other)
    names = [other] if isinstance(other, str) else other
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise OptionError(
            "waldtest compares models, or leaves out terms by their names, as in waldtest(m, 'x'); this is of "
            f"type {type(other).__name__}, and a causal fit has its model in .outcome"
        )
    return _without(before, names, vcov)


def _without(before: _Step, names: Sequence[str], vcov: Any) -> _Step:
    base = before.base
    assert base is not None
    found, assign = model_terms(base)
    gone = tuple(dict.fromkeys([*before.left_out, *(_term(name, found.term_labels, before, base) for name in names)]))
    kept = [k for k, label in enumerate(found.term_labels) if label not in gone]
    _refuse_recoding(base, kept)
    columns = np.flatnonzero(np.isin(assign, [0, *(k + 1 for k in kept)]))
    if not len(columns):
        raise OptionError("nothing would be left of the model")
    regression = refitted(base, columns, found.intercept)
    request = base.covariance.request if vcov is None else vcov
    # a smaller model is not tested unless another one follows, and a given matrix is not of its coefficients
    given = isinstance(request, Given) or hasattr(request, "__array__")
    model = replace(base, regression=regression, covariance=model_covariance(regression, base.frame, None))
    model = model if given else model.with_vcov(request)
    pieces = [found.term_labels[k] for k in kept] + [found.labels[i] for i in found.offsets]
    right = " + ".join(([] if found.intercept and pieces else ["1" if found.intercept else "0"]) + pieces)
    return _Step(model, f"{base.outcome_name} ~ {right}{absorbed_text(base.frame)}", regression.kept_names, gone, base)


def _term(name: str, labels: Sequence[str], before: _Step, base: ModelCore) -> str:
    """The term that is meant; the variables of an interaction may stand in any order."""
    there = [label for label in labels if label not in before.left_out]
    for label in there:
        if name == label or sorted(name.split(":")) == sorted(label.split(":")):
            return label
    if name in before.left_out:
        raise OptionError(f"{name} is left out already")
    if name in base.names:
        raise OptionError(
            f"{name!r} is a coefficient and no term, of which there are {some(there)}; test it with "
            f"hypothesis('{name} = 0')"
        )
    hint = "; a covariance is given as vcov=" if "~" in name or name.startswith(("HC", "CR", "class")) else ""
    raise OptionError(f"the model has no term {name!r}{choose(name, there)}{hint}")


def _refuse_recoding(base: ModelCore, kept: Sequence[int]) -> None:
    """Without a term that others contain, or an intercept's stand-in, factors are coded anew: nothing is nested."""
    found, _ = model_terms(base)
    for k, own in enumerate(found.coding):
        members = {i for i, _ in own}
        above = [found.term_labels[j] for j in kept if members < {i for i, _ in found.coding[j]}]
        if k not in kept and above:
            raise OptionError(
                f"{found.term_labels[k]} is part of {some(above)}; leave out those too, as in "
                f"waldtest(m, {[found.term_labels[k], *above]!r})"
            )
    if not found.intercept and len(kept) < len(found.coding):
        raise CapabilityError("in a model without intercept, factors are coded by what else is there; fit both models")


# -- the tests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Comparison:
    resid: tuple[int, int]
    test: Test


def _compared(a: _Step, b: _Step, vcov: Any, test: str) -> _Comparison:
    """Two models, in either order."""
    large, small = (a, b) if len(a.names) >= len(b.names) else (b, a)
    full = large.model if vcov is None else large.model.with_vcov(vcov)
    found, count = _wald(full, set(small.names), test)
    # the intercept alone, where no model of it was fitted
    resid = [step.model.df_residual + (count if step is small and small.base is None else 0) for step in (a, b)]
    return _Comparison((resid[0], resid[1]), found)


def _wald(full: ModelCore, left: set[str], test: str) -> tuple[Test, int]:
    """The test that the larger model's other coefficients are zero, and their number."""
    names = full.regression.kept_names
    if not left <= set(names) | {"(Intercept)"}:
        extra = ", ".join(sorted(left - set(names)))
        raise OptionError(f"the models are not nested: only the smaller one has {extra}")
    tested = [k for k, name in enumerate(names) if name not in left]
    if not tested:
        raise OptionError("the models have the same coefficients, so there is nothing to test")

    def groups(columns: Any) -> dict[str, Codes]:
        return {name: full.frame.groups(name).codes for name in columns}

    covariance = full.covariance
    part = full.regression.estimate().select(tested)
    df = float(covariance.df.min())
    df = float(full.df_residual) if np.isinf(df) else df
    picked = np.ix_(tested, tested)
    freedom = np.full(len(tested), np.inf if test == "Chisq" else df)
    own = replace(covariance, matrix=covariance.matrix[picked], df=freedom, draws=None, reference=None)
    if test == "Chisq" and not isinstance(own.request, Classical):
        own = replace(own, request=replace(own.request, df=np.inf))
    return joint_test(part, own, groups, "Wald test"), len(tested)
