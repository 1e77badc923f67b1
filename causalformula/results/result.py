"""``Result``: what ``fit()`` returns. Fit, covariance and call are kept; everything else is computed when read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Answer, Fit, Query
from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.sandwich.definite import transformed
from causalformula.numerics.arrays import Array
from causalformula.results.arithmetic import Arithmetic
from causalformula.results.banded import Banded
from causalformula.results.call import Call
from causalformula.results.families.subclass import require_strata
from causalformula.results.reading.estimates import StatsmodelsNames
from causalformula.results.reading.inequalities import read_claims
from causalformula.results.reading.reading import Reading, Test, read

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.checks.inequalities import Inequalities
    from causalformula.results.effects.permutation import PermutationTest
    from causalformula.results.effects.summary import Summary
    from causalformula.results.model import Model


@dataclass(frozen=True, eq=False, repr=False)
class Result(StatsmodelsNames, Arithmetic, Banded):
    """Estimates of a causal question, with their covariance.

    Attributes
    ----------
    answer : Answer
        Estimates on their working scale, and their labels.
    covariance : Covariance
    call : Call
    fit : Fit
        What the backend returned.
    query : Query or None
        What was read off the fit; None for what was derived from other results.
    test : Test or None
        The joint test of ``hypothesis()`` and ``by()``.
    source : tuple or None
        Of ``hypothesis()``, the result that was asked and the equations.

    Notes
    -----
    The confidence level is an argument of reading: ``tidy(level=0.9)``, ``summary(level=0.9)``.
    """

    answer: Answer
    covariance: Covariance
    call: Call
    fit: Fit
    query: Query | None = None
    test: Test | None = None
    source: tuple[Result, tuple[str, ...]] | None = None

    # -- numbers ---------------------------------------------------------------------------------------------------

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, standard errors, tests and limits as arrays."""
        return read(self.answer.estimate.theta, self.covariance, self.answer.measure, level)

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row an effect, with broom's column names.

        Returns
        -------
        DataFrame
            Group columns first, then ``term, contrast, estimate, std.error, statistic, df, p.value, conf.low,
            conf.high``.
        """
        from causalformula.results.effects.tidy import tidy_answer

        return tidy_answer(self.answer, self.read(level))

    def glance(self) -> pd.DataFrame:
        """One row with broom's names: those of the outcome model, then ``nobs, method, estimand, vcov``."""
        from causalformula.results.effects.tidy import glance_result

        return glance_result(self)

    def augment(self) -> pd.DataFrame:
        """The data used, with ``.fitted .resid .hat .weights .distance .subclass`` where they exist."""
        from causalformula.results.effects.tidy import augment_result

        return augment_result(self)

    @property
    def estimate(self) -> float:
        """The effect, where there is one."""
        return float(self._only("estimate").estimate[0])

    @property
    def std_error(self) -> float:
        """Its standard error, where there is one effect."""
        return float(self._only("std_error").std_error[0])

    def _only(self, what: str) -> Reading:
        if len(self.answer.labels) != 1:
            raise ValueError(f"there are {len(self.answer.labels)} effects, so no single {what}; read them with tidy()")
        return self.read()

    # -- other questions to the same fit ---------------------------------------------------------------------------

    def means(self) -> Result:
        """Mean potential outcomes ``E[Y(a)]`` in the target population, one row a treatment level.

        Of effects by group, the means in each group: ``fit.by("sex").means()`` is ``fit.means().by("sex")``.
        """
        asked = Query() if self.query is None else self.query
        if asked.kind == "strata":
            raise CapabilityError("these are effects by stratum; ask the fit that they came from for its means()")
        result = self._ask(Query("means", asked.by))
        return result if asked.by is None else result._with_test(_equality(result, asked.by.name))

    def by(self, name: str) -> Result:
        """The effect in each group of a column of the data, with the test that they are equal.

        Parameters
        ----------
        name : str
            A factor, string or logical; a numeric column is taken by its values where it has at most ten, otherwise by
            its quartiles. A column that is not a modifier in the formula is allowed, and the print says so.

        Returns
        -------
        Result
            One row a group; ``.test`` is the Wald test of equality, None where the model holds them equal. Of
            ``means()``, the means in each group.
        """
        asked = Query() if self.query is None else self.query
        if asked.by is not None or asked.kind == "strata":
            by = "stratum" if asked.by is None else asked.by.name
            raise CapabilityError(
                f"these are effects by {by} already; ask the fit that they came from, and for groups of two columns "
                "make one that combines them"
            )
        groups = self.call.frame.subgroups(name)
        result = self._ask(Query(asked.kind, groups))
        return result._with_test(_equality(result, name))

    def strata(self) -> Result:
        """The difference in means within each stratum of a subclassification, with the test that they are equal.

        Returns
        -------
        Result
            One row a stratum; ``fit.design.subclass`` says who is in which.
        """
        require_strata(self, "strata()")
        result = self._ask(Query("strata"))
        return result._with_test(_equality(result, "subclass"))

    def stratified(self, vcov: Any = None) -> Result:
        """The mean of the differences within strata, weighted by the target's shares of them, from the same strata.

        Parameters
        ----------
        vcov : optional
            As in ``fit()``; by default HC2, Neyman's ``sum_k share_k^2 (s_k1^2 / n_k1 + s_k0^2 / n_k0)``.
        """
        from causalformula.results.families.subclass import stratified

        return stratified(self, vcov)

    def _ask(self, query: Query) -> Result:
        if self.query is None:
            raise CapabilityError("this result was derived from others; ask the fit that it came from")
        answer = self.fit.ask(query)
        return Result(answer, self.call.covariance(answer, self.covariance.request, query), self.call, self.fit, query)

    def _with_test(self, test: Test | None) -> Result:
        return replace(self, test=test)

    def with_vcov(self, vcov: Any) -> Result:
        """The same estimates and test with another covariance; nothing is refitted where that is not needed.

        Parameters
        ----------
        vcov : str, request or matrix
            As in ``fit()``; ``"~g"`` may name any column of the data.
        """
        if self.source is not None:
            asked, equations = self.source
            return asked.with_vcov(vcov).hypothesis(equations)
        result = replace(self, covariance=self.call.covariance(self.answer, vcov, self.query), test=None)
        if self.query is not None and self.query.by is not None:
            return result._with_test(_equality(result, self.query.by.name))
        stratified = self.query is not None and self.query.kind == "strata"
        return result._with_test(_equality(result, "subclass")) if stratified else result

    def influence(self) -> Array:
        """Exact influence ``n d theta / d w_i`` (n, q) on the rows used, on the working scale.

        The estimate minus its target is the mean of these up to second order; every nuisance is re-estimated.
        """
        return self.answer.estimate.exact_influence()

    def effects(self) -> Any:
        """Unit-level effects, for methods that have them."""
        raise CapabilityError(
            f"method {self.call.record.name!r} has no unit-level effects; those are for the learners "
            "(t_learner, causal_forest, ...), which are not available yet"
        )

    # -- models and design -----------------------------------------------------------------------------------------

    def _model(self, name: str) -> Model | None:
        from causalformula.results.models.formula import model_of

        fitted = self.fit.models.get(name)
        return None if fitted is None else model_of(fitted, self.call, name)

    @cached_property
    def outcome(self) -> Model | None:
        """The outcome model, with its own summary as R prints it; None where the method has none."""
        return self._model("outcome")

    @cached_property
    def propensity(self) -> Model | None:
        """The treatment model; None where the method has none."""
        return self._model("propensity")

    @cached_property
    def first_stage(self) -> Model | None:
        """The first-stage model; None where the method has none."""
        return self._model("first_stage")

    @cached_property
    def design(self) -> Any:
        """The design: weights (ones where the method has none), distance, subclass, effective sample size."""
        from causalformula.results.design import Design

        return Design(self.fit.design, self.call, self.fit.stage)

    # -- hypotheses ---------------------------------------------------------------------------------------------

    def hypothesis(self, equations: str | Sequence[str]) -> Result | Inequalities:
        """Test equations among the estimates.

        Parameters
        ----------
        equations : str or sequence of str
            ``"b1 = b2"``; ``b1, b2, ...`` are the rows of ``tidy()``, in order. A row's name, or its term where only
            one row has it, may be used too. Nonlinear equations go through the delta method.
            An inequality is a null hypothesis that is no point: ``"b1 <= 0"`` is tested on one side, and
            ``"-1 < b1 < 1"`` asks for equivalence (the null hypothesis is that b1 lies outside; TOST).

        Returns
        -------
        Result, or Inequalities
            One row an equation (left minus right side); ``.test`` is the joint Wald test: F where the estimates' tests
            use t, chi-squared where they use z, Hotelling's under CR2 and CR3 (``clubSandwich::Wald_test``, HTZ), and
            among its own replicates under the wild bootstrap.
        """
        from causalformula.results.checks.inequalities import inequalities
        from causalformula.results.reading.carried import asked

        claims = read_claims(equations)
        if claims:
            return inequalities(claims, [self.hypothesis(claim.equation) for claim in claims])
        answer, covariance, test = asked(self, equations)
        texts = (equations,) if isinstance(equations, str) else tuple(equations)
        return replace(self, answer=answer, covariance=covariance, query=None, test=test, source=(self, texts))

    def permutation_test(
        self,
        reps: int = 999,
        *,
        strata: str | None = None,
        cluster: str | None = None,
        seed: int | None = None,
        statistic: str = "estimate",
        alternative: str = "two-sided",
        n_jobs: int = 1,
    ) -> PermutationTest:
        """Randomisation inference: refit under other assignments of the treatment that the design could have made.

        Fisher's sharp null hypothesis says that the treatment changes no unit's outcome, so outcomes under every other
        assignment are known, and so is the distribution of any statistic. The p-value is exact at any sample size if
        the treatment was assigned as it is permuted: every order of it equally likely, within strata.

        Parameters
        ----------
        reps : int
            Random assignments; where there are no more different ones than that, all are enumerated.
        strata, cluster : str, optional
            Columns within which, and units over which, the treatment was assigned. By default the formula's
            ``strata(s)``, and its ``cluster(g)`` where the treatment is constant in each cluster.
        seed : int, optional
            One is drawn, and reported, where none is given.
        statistic : {"estimate", "t"}
            ``t`` divides by the result's kind of standard error, which also keeps the test's level in large samples
            when only the average effect is zero (Chung and Romano 2013).
        alternative : {"two-sided", "greater", "less"}
        n_jobs : int
            Processes, through joblib.

        Returns
        -------
        PermutationTest
            ``.table`` (a row an effect), ``.p_value``, ``.draws``.

        References
        ----------
        Fisher (1935); Phipson and Smyth (2010) for ``(b + 1) / (R + 1)``. R: ``ri2::conduct_ri``; Stata: ``ritest``.
        """
        from causalformula.results.effects.permutation import permutation_test

        return permutation_test(self, reps, strata, cluster, seed, statistic, alternative, n_jobs)

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """The effect table and, below it, the models behind it."""
        from causalformula.results.effects.summary import result_summary

        return result_summary(self, level, models=True)

    def plot(self, kind: str = "effects", ax: Any = None, level: float = 0.95) -> Any:
        """Draw the effects with their intervals (``"effects"``) or the outcome by arm (``"outcome"``)."""
        from causalformula.plots import designs, draw

        if not isinstance(kind, str) or kind not in draw.KINDS:
            known = isinstance(kind, str) and kind in designs.KINDS
            hint = f"; {kind!r} is a picture of the design: fit.design.plot({kind!r})" if known else ""
            raise OptionError(f"unknown plot {shown(kind)}; choose from {', '.join(draw.KINDS)}{hint}")
        return draw.KINDS[kind](self, ax, level)

    def __repr__(self) -> str:
        from causalformula.results.effects.summary import result_summary

        return str(result_summary(self, 0.95, models=False))

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from causalformula.results.effects.summary import result_summary

        return result_summary(self, 0.95, models=False).as_html()


def _equality(result: Result, name: str) -> Test | None:
    """Wald test that the effects are equal across groups, contrast by contrast."""
    from causalformula.results.reading.carried import joint_test

    labels = result.answer.labels
    rows = []
    first: dict[tuple[str, str], int] = {}
    for k, label in enumerate(labels):
        key = (label.term, label.contrast)
        if key in first:
            row = np.zeros(len(labels))
            row[k], row[first[key]] = 1.0, -1.0
            rows.append(row)
        else:
            first[key] = k
    if not rows:
        return None
    matrix = np.array(rows)
    covariance = transformed(result.covariance.matrix, matrix)
    # Effects that the model holds equal differ by rounding only: there is nothing to test in them.
    free = np.abs(np.diag(covariance)) > 1e-12 * (matrix**2 @ np.diag(result.covariance.matrix))
    if not free.any():
        return None
    matrix, covariance = matrix[free], covariance[np.ix_(free, free)]
    differences = result.answer.estimate.contrast(matrix, [f"b{k}" for k in range(len(matrix))])
    what = "means" if result.query is not None and result.query.kind == "means" else "effects"
    method = f"Wald test that the {what} are equal by {name}"
    # A numeric modifier's groups lie on a line, so equality of two of them implies that of all.
    own = replace(result.covariance, matrix=covariance, draws=None, reference=None)
    return joint_test(differences, own, result.call.codes, method, reduce=True)
