"""``Result``: what ``fit()`` returns. Fit, covariance and call are kept; everything else is computed when read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

from causalformula.backends.fit import Query
from causalformula.errors import CapabilityError, asks, warn
from causalformula.inference.requests import Vcov, with_rules
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.results.arithmetic import Arithmetic
from causalformula.results.behind import model_of, scores_of
from causalformula.results.checks.inequalities import Inequalities, inequalities
from causalformula.results.design import Design
from causalformula.results.effects.hypothesis import asked, tested
from causalformula.results.effects.permutation import PermutationTest, permutation_test
from causalformula.results.effects.pictures import draw
from causalformula.results.effects.summary import result_summary
from causalformula.results.effects.tidy import augment_result, glance_result
from causalformula.results.families.faces import elsewhere
from causalformula.results.joint.bands import Banded
from causalformula.results.model import Model
from causalformula.results.reading.estimates import respelled
from causalformula.results.reading.inequalities import read_claims
from causalformula.results.reading.reading import Reading
from causalformula.results.refutation.verb import Refutable
from causalformula.results.sensitivity.verb import Questioned
from causalformula.results.text.summary import Paged, Summary
from causalformula.words import Alternative, PermutationStatistic, ResultPicture, Spelling

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Result(Paged, Refutable, Questioned, Arithmetic, Banded):
    """Estimates of a causal question, with their covariance.

    Attributes
    ----------
    answer : Answer
        Estimates on their working scale, and their labels.
    covariance : Covariance
    call : Call
    fit : Fit
        What the backend returned.
    design : Design
        Weights (ones where the method has none), distance, subclass, effective sample size.
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

    design: Design[Result]
    source: tuple[Result, tuple[str, ...]] | None = None

    def glance(self, names: Spelling = "broom") -> pd.DataFrame:
        """One row with broom's names: those of the outcome model, then ``nobs, method, estimand, vcov``.

        Parameters
        ----------
        names : {"broom", "snake"}
            ``adj.r.squared`` or ``adj_r_squared``.

        Returns
        -------
        DataFrame
        """
        # what was derived from a fit (a hypothesis, say) is not described by the fit's R-squared
        return respelled(glance_result(self, None if self.query is None else self._model("outcome")), names)

    def augment(self) -> pd.DataFrame:
        """The data used, with ``.fitted .resid .hat .weights .distance .subclass`` where they exist."""
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

    def means(self) -> Self:
        """Mean potential outcomes ``E[Y(a)]`` in the target population, one row a treatment level.

        Of effects by group, the means in each group: ``fit.by("sex").means()`` is ``fit.means().by("sex")``.

        Returns
        -------
        Result

        Raises
        ------
        CapabilityError
            For effects that come from others, as a hypothesis does, or that are split by something other than a group.
        """
        asked = Query() if self.query is None else self.query
        if asked.split and asked.by is None:
            raise CapabilityError(
                f"these are effects by {asked.split}; ask the fit that they came from for its means()"
            )
        return self._ask(Query("means", asked.by))

    @asks
    def by(self, name: str) -> Self:
        """The effect in each group of a column of the data, with the test that they are equal.

        Parameters
        ----------
        name : str
            A factor, string or logical; a column of numbers, dates or times is taken by its values where it has at most
            ten, otherwise by its quartiles. A column that is not a modifier in the formula is allowed, and the print
            says so.

        Returns
        -------
        Result
            One row a group; ``.test`` is the Wald test of equality, None where the model holds them equal. Of
            ``means()``, the means in each group.

        Raises
        ------
        CapabilityError
            For effects by group already, or a method that has none.
        DataError
            For a column that the data do not have, or that makes no groups.
        """
        asked = Query() if self.query is None else self.query
        if asked.split:
            raise CapabilityError(
                f"these are effects by {asked.split} already; ask the fit that they came from, and for groups of two "
                "columns make one that combines them"
            )
        return self._ask(Query(asked.kind, self.call.frame.subgroups(name)))

    def _comparable(self) -> Self:
        """What a comparison of methods takes: of many effects over time their overall mean, which all have."""
        return self

    def _ask(self, query: Query) -> Self:
        if self.query is None:
            raise CapabilityError("this result was derived from others; ask the fit that it came from")
        answer = self.fit.ask(query)
        covariance = self.call.covariance(answer, self.covariance.request, query)
        return tested(replace(self, answer=answer, covariance=covariance, query=query, test=None, source=None))

    @asks
    def with_vcov(self, vcov: Vcov | None, ssc: SmallSample | None = None) -> Self:
        """The same estimates and test with another covariance; nothing is refitted where that is not needed.

        Parameters
        ----------
        vcov : str, request or matrix
            As in ``fit()``; ``"~g"`` may name any column of the data.
        ssc : SmallSample, optional
            Its small-sample rules, as ``cf.ssc`` makes them.

        Returns
        -------
        Result

        Raises
        ------
        OptionError
            For a text that names no covariance.
        CapabilityError
            For one that this estimate does not have.
        """
        if self.source is not None:
            result, equations = self.source
            return asked(cast(Self, result).with_vcov(vcov, ssc), equations)
        if ssc is not None:
            vcov = with_rules(self.call.resolved(vcov), ssc)
        found = tested(replace(self, covariance=self.call.covariance(self.answer, vcov, self.query), test=None))
        for note in self.call.idle_notes(found.covariance.request):
            warn(note)
        return found

    def fixed_effects(self, factor: str | None = None) -> pd.DataFrame:
        """The effects that the outcome model absorbs: ``fit.outcome.fixed_effects()``.

        Parameters
        ----------
        factor : str, optional
            One factor's alone.

        Returns
        -------
        DataFrame
            As of ``Model.fixed_effects``.

        Raises
        ------
        CapabilityError
            Where none are absorbed.
        """
        model = self.outcome
        if model is None or not model.frame.effects:
            raise CapabilityError(
                "no fixed effects are absorbed here: write them behind a bar, 'y ~ treat(a) | unit', or in fe(unit)"
            )
        return model.fixed_effects(factor)

    def influence(self) -> Array:
        """Exact influence ``n d theta / d w_i`` (n, q) on the rows used, on the working scale.

        The estimate minus its target is the mean of these up to second order; every nuisance is re-estimated.

        Returns
        -------
        ndarray (n, q)
            One row a row of the data that was kept (a unit, for ``did``), one column an effect.
        """
        return self.answer.estimate.exact_influence()

    def __dir__(self) -> list[str]:
        """What there is an answer to; completion shows nothing else."""
        return sorted(set(super().__dir__()) - self._unanswered())

    def _unanswered(self) -> set[str]:
        """Verbs that this result would refuse."""
        gone = {"effects"}
        if self.query is None:
            gone |= {"means", "by"}
        elif self.query.split or not self.fit.has_groups:
            gone.add("by")
        if self.query is None or self.query.kind != "effects":
            gone.add("permutation_test")
        if self.query is None or self.query.kind != "effects" or self.query.split:
            gone.add("refute")
        if not getattr(self.call.frame, "effects", ()):
            gone.add("fixed_effects")
        if not self._has_sensitivity():
            gone.add("sensitivity")
        return gone

    def effects(self) -> Any:
        """Unit-level effects, for methods that have them.

        Raises
        ------
        CapabilityError
            For a method that has none.
        """
        raise CapabilityError(
            f"method {self.call.record.name!r} has no effects of units, only averages and those of groups, by(...); "
            "'s_learner', 't_learner', 'x_learner', 'r_learner' and 'dr_learner' have them"
        )

    # -- models and design -----------------------------------------------------------------------------------------

    def _model(self, name: str) -> Model | None:
        fitted = self.fit.models.get(name)
        return None if fitted is None else model_of(fitted, self.call, name, self.covariance)

    @cached_property
    def outcome(self) -> Model | None:
        """The outcome model, with its own summary as R prints it; None where the method has none.

        Its coefficients are tested under the covariance of the fit, where that is one of coefficients too.
        """
        return self._model("outcome")

    @cached_property
    def propensity(self) -> Model | pd.Series[Any] | pd.DataFrame | None:
        """The treatment model; where a method has scores without one, the scores by row; None where it has neither.

        Scores of several levels are a frame with a column a level.
        """
        model = self._model("propensity")
        return model if model is not None else scores_of(self.design)

    @cached_property
    def first_stage(self) -> Model | None:
        """The first-stage model; None where the method has none."""
        return self._model("first_stage")

    # -- hypotheses ---------------------------------------------------------------------------------------------

    @asks
    def hypothesis(self, equations: str | Sequence[str]) -> Self | Inequalities:
        """Test equations among the estimates.

        Parameters
        ----------
        equations : str or sequence of str
            ``"b1 = b2"``; ``b1, b2, ...`` are the rows of ``tidy()``, in order. A row's name, or its term where only
            one row has it, may be used too. Nonlinear equations go through the delta method.

            An equation is the null hypothesis, against a difference on either side. One inequality is a null hypothesis
            too: ``"b1 <= 0"`` is rejected by estimates well above 0. An interval is the alternative: ``"-1 < b1 < 1"``,
            or ``"abs(b1) < 1"``, asks for equivalence, with the null hypothesis that b1 lies outside (TOST). The print
            and ``tidy()`` say which is which.

        Returns
        -------
        Result, or Inequalities
            One row an equation (left minus right side); ``.test`` is the joint Wald test: F where the estimates' tests
            use t, chi-squared where they use z, Hotelling's under CR2 and CR3 (``clubSandwich::Wald_test``, HTZ), and
            among its own replicates under the wild bootstrap.
        """
        claims = read_claims(equations)
        if claims:
            return inequalities(claims, [asked(self, claim.equation) for claim in claims])
        return asked(self, equations)

    def permutation_test(
        self,
        reps: int = 999,
        *,
        strata: str | None = None,
        cluster: str | None = None,
        seed: int | None = None,
        statistic: PermutationStatistic = "estimate",
        alternative: Alternative = "two-sided",
        n_jobs: int | None = None,
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
        n_jobs : int, optional
            Processes, through joblib; its current configuration's where not given.

        Returns
        -------
        PermutationTest
            ``.table`` (a row an effect), ``.p_value``, ``.draws``.

        References
        ----------
        Fisher (1935); Phipson and Smyth (2010) for ``(b + 1) / (R + 1)``. R: ``ri2::conduct_ri``; Stata: ``ritest``.
        """
        return permutation_test(self, reps, strata, cluster, seed, statistic, alternative, n_jobs)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # a verb of another family; names of Python's own are asked for while an object is being made
            if name.startswith("_") or "call" not in vars(self):
                raise AttributeError(name)
            raise AttributeError(elsewhere(self.call.record.name, name))

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """The effect table and, below it, the models behind it.

        Parameters
        ----------
        level : float
            Of the confidence limits.

        Returns
        -------
        Summary
        """
        behind = {name: self._model(name) for name in ("outcome", "propensity", "first_stage")}
        return result_summary(self, level, {name: model for name, model in behind.items() if model is not None})

    def plot(self, kind: ResultPicture = "effects", ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Draw the effects with their intervals, or the outcome by arm.

        Parameters
        ----------
        kind : {"effects", "outcome"}
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals.

        Returns
        -------
        Axes
        """
        return draw(self, kind, ax, level)

    def __repr__(self) -> str:
        return str(result_summary(self, 0.95, {}))

    __str__ = __repr__

    def _page(self) -> Summary:
        return result_summary(self, 0.95, {})
