"""The call behind a result: what was asked of which data, so that it can be asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends import refits, registry
from causalformula.backends.fit import (
    OWN_GROUPINGS,
    SUBCLASS,
    UNIT,
    Answer,
    Designed,
    DesignWeights,
    Query,
    own_grouping,
    pair_form,
    reuses,
)
from causalformula.backends.options import Options
from causalformula.backends.routing import strata_text
from causalformula.errors import CapabilityError, ConvergenceError, DataError, OptionError, warn
from causalformula.formula.language.spec import Spec
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import BINOMIAL, ModelFrame, whole_numbers
from causalformula.frame.treatment import level_label
from causalformula.inference.covariance import Covariance, covariance, needs_regression
from causalformula.inference.estimate import Estimate, split_rows
from causalformula.inference.evidence import Accumulated, Influence, Own
from causalformula.inference.request_text import describe, read_request
from causalformula.inference.requests import HC, Asympt, Classical, Cluster, DriscollKraay, Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.resampling.resample import FailedReplicates
from causalformula.inference.sandwich.single import HALF
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.results.full_leverage import remedy_of, told_of_full_leverage
from causalformula.results.idle import idle_notes, refuse_idle_strata
from causalformula.results.named import grouping_names
from causalformula.results.units import in_units
from causalformula.scale.bootstrap import bootstrapped
from causalformula.scale.whole import WholeFrame

# Said of clusters of a design with replacement.
PAIR_FORM = "On the pair data: {rows} rows, one for each time that a unit is used"


@dataclass(frozen=True, eq=False)
class Call:
    """Formula, bound data and options of a fit.

    Parameters
    ----------
    text : str
        The formula as it was written.
    spec : Spec
    frame : ModelFrame
        Keeps a reference to the caller's data, so that columns outside the formula can be named.
    options : Options
    made : DesignWeights, optional
        The design that the fit was made with, whose groupings a covariance may name.
    designed : Designed, optional
        What the design stage returned.
    """

    text: str
    spec: Spec
    frame: ModelFrame
    options: Options
    made: DesignWeights | None = None
    designed: Designed | None = None

    @property
    def held(self) -> Designed | None:
        """The design, where resampling holds it fixed."""
        return self.designed if self.made is not None and self.made.redrawn else None

    @property
    def record(self) -> registry.Record:
        """The method's record."""
        return registry.record_of(self.options)

    @property
    def sampling(self) -> bool:
        """Whether ``weights(w)`` are sampling weights.

        Beside shares of successes, a binomial outcome between 0 and 1, whole weights that make whole numbers of
        successes are the numbers of trials, as R's ``glm`` reads them.
        """
        if not self.frame.spec.has("weights"):
            return False
        family = self.options.outcome_family
        if family.name not in BINOMIAL or self.frame.outcome is None:
            return True
        if isinstance(self.frame, WholeFrame):
            return not self.frame.counts_trials
        y, w = self.frame.outcome_for(family), self.frame.unit_weights
        shares = bool(((y > 0) & (y < 1)).any())
        return not (shares and whole_numbers(w) and whole_numbers(w * y))

    def default_vcov(self) -> Request:
        """The default covariance: of the design that was made, or the method's.

        ``weights(w)`` may change it; ``cluster(g)``, or a unit, makes it ``~g``.
        """
        clusters = self.frame.cluster_names
        if self.made is not None and self.made.on_units and self.made.vcov:
            clusters = tuple(c.name for c in self.frame.clusters)
        if not clusters:
            asked = "" if self.made is None else self.made.vcov
            weighted = self.record.weighted_vcov if self.sampling else ""
            return read_request(asked or self.options.own_vcov or weighted or self.record.default_vcov)
        return read_request(self.record.cluster_vcov.replace("{g}", " + ".join(f"`{c}`" for c in clusters)))

    def covariance(self, answer: Answer, request: Any, query: Query | None) -> Covariance:
        """Covariance of an answer; ``query`` tells the bootstrap what to read off each refit (None: not possible)."""
        request = self.resolved(request)
        if isinstance(self.frame, WholeFrame):
            return self._elsewhere(self.frame, answer, request, query)
        self._refuse_unstacked(answer, request)
        self._refuse_idle_fixed(answer, request)
        if isinstance(request, (Bootstrap, Jackknife)) and self.record.resampled is not None:
            self.record.resampled(self.options)
        if isinstance(request, Bootstrap) and request.weights == "exponential":
            self._refuse_exponential()
        self._refuse_redrawn(request)
        estimate, rows = answer.estimate, None
        if isinstance(estimate.evidence, Own) and isinstance(request, (Cluster, Wild)):
            raise needs_regression(request)
        if self._on_pairs(request):
            estimate, groups, rows = self._pair_form(estimate, request)
        else:
            groups = self.codes(grouping_names(request))
        if isinstance(request, Cluster) and request.type in ("CR2", "CR3"):
            self._refuse_single_cluster(request, groups, rows)
        refit = self._refit(request, query, groups)
        try:
            units = self._units(request, groups)
            rests = 0.0 if self._group_alone(estimate, units) else self.rests(units, rows)
            found = covariance(estimate, request, groups=groups, refit=refit, n=self.frame.n, rests=rests)
        except FailedReplicates as error:
            again = Query() if query is None else query
            why = refits.failure(error.weights, frame=self.frame, options=self.options, query=again, held=self.held)
            raise ConvergenceError(f"{error}. The first failed because: {why}" if why else str(error)) from None
        idle = tuple(f"Note: {note}" for note in self.idle_notes(request))
        told = () if rows is None else (PAIR_FORM.format(rows=len(rows)),)
        notes = (*told, *found.notes, *self._told_of_single_cluster(request, groups), *idle)
        noted = replace(found, label=refits.resampled_words(found.label, request, self.made), notes=notes)
        index = self.frame.index if rows is None else self.frame.index[rows]
        return told_of_full_leverage(noted, index, remedy_of(answer, found.full_leverage))

    def _elsewhere(self, frame: WholeFrame, answer: Answer, request: Request, query: Query | None) -> Covariance:
        """Covariance of an estimate whose rows are elsewhere."""
        frame.codes(grouping_names(request))
        self._refuse_unstacked(answer, request)
        self._refuse_idle_fixed(answer, request)
        if isinstance(request, Bootstrap):
            found = bootstrapped(frame, self.options, self.record.name, query, request, answer.estimate)
        else:
            found = covariance(answer.estimate, request, rests=0.0 if self._single_arm(frame, request) else HALF)
        alone = self._single_rows(frame, request)
        for note in alone:
            warn(note)
        if alone:
            found = replace(found, matrix=np.full_like(found.matrix, np.nan))
        idle = tuple(f"Note: {note}" for note in (*alone, *self.idle_notes(request)))
        return replace(found, notes=(*found.notes, *idle))

    def _single_arm(self, frame: WholeFrame, request: Request) -> bool:
        """Whether an arm lies in one cluster of a grouping, where the rows are elsewhere."""
        return any(count == 1 for name in self._clusters(request) for count in frame.clusters_by_arm(name))

    def _clusters(self, request: Request) -> tuple[str, ...]:
        """Groupings of a request that arms may lie in one cluster of."""
        treatment = self.frame.treatment
        arms = treatment is not None and bool(treatment.levels)
        return request.by if isinstance(request, Cluster) and arms else ()

    def _single_rows(self, frame: WholeFrame, request: Request) -> list[str]:
        """What is said of arms of one row, by standard errors of rows."""
        if frame.treatment is None or isinstance(request, (Classical, Cluster, Given)):
            return []
        return [
            f"standard errors are not defined: a single row has {frame.treatment.name} = {level_label(level)}, whose "
            "residual is zero, whatever the error"
            for level, count in frame.survey.arms.items()
            if count == 1
        ]

    def _on_pairs(self, request: Request) -> bool:
        """Whether clusters are those of the pair data: overlapping sets, and units that are in several."""
        if not isinstance(request, Cluster) or self.made is None or not reuses(self.made):
            return False
        return any(name in OWN_GROUPINGS and name not in self.frame.table for name in request.by)

    def _pair_form(self, estimate: Estimate, request: Request) -> tuple[Estimate, dict[str, Codes], Codes]:
        """The estimate on the pair data, its groupings there, and which row of the sample each of its rows is."""
        assert self.made is not None
        rows, sets, share = pair_form(self.made)
        own = {SUBCLASS: sets, UNIT: rows}
        names = grouping_names(request)
        groups = {name: own[name] if name in own else self.groups(name).codes[rows] for name in names}
        return split_rows(estimate, rows, share), groups, rows

    def _refuse_redrawn(self, request: Request) -> None:
        """Resampling of a design that cannot be made anew: refused, unless whole matched sets are drawn."""
        if not isinstance(request, (Bootstrap, Jackknife)) or self.made is None or not self.made.redrawn:
            return
        if request.cluster is not None and not reuses(self.made):
            sets = own_grouping(self.made, SUBCLASS)
            whole = sets is not None and _nested(sets.codes, self.groups(request.cluster).codes, self.made.weights > 0)
            if whole:
                return
        without = f", in both cases without {strata_text(self.frame.spec)}" if self.frame.strata is not None else ""
        raise CapabilityError(f"{describe(request)!r}: {self.made.redrawn}{without}")

    def resolved(self, request: Any) -> Request:
        """What a caller gave as ``vcov=``, or the default, with the units and strata that the formula gives it."""
        asked = self.default_vcov() if request is None else read_request(request)
        return in_units(self.frame, asked, self.groups)

    def refuse_idle(self, request: Any) -> None:
        """A ``CapabilityError`` for strata that neither the method nor the covariance reads."""
        refuse_idle_strata(self.frame, self.record, self.resolved(request))

    def idle_notes(self, request: Request) -> tuple[str, ...]:
        """What the formula says that has no part in these standard errors."""
        read = grouping_names(request)
        if self.made is not None and self.made.on_units and self.frame.unit is not None:
            read += (self.frame.unit.name,)  # whose rows are added up in any standard error
        return idle_notes(self.frame, self.record, request, self.default_vcov(), read, self.sampling)

    def _refuse_unstacked(self, answer: Answer, request: Request) -> None:
        """The stacked variance needs equations for the weights or strata; without them its label would be untrue."""
        own = self.options.own_vcov or self.record.default_vcov
        if isinstance(request, Asympt) and request.weights != "fixed" and self.record.make_design and own != "asympt":
            raise CapabilityError(
                f"vcov='asympt' stacks the equations of the weights, and here method {self.record.name!r} has none: "
                f"its weights or strata count as given. Use {self._instead(answer, own)}"
            )

    def _instead(self, answer: Answer, own: str) -> str:
        """Covariances that a design held fixed has."""
        if isinstance(answer.estimate.evidence, Own):
            return repr(own)
        if self.made is None or not self.made.redrawn:
            return f"{own!r}, a cluster formula or 'bootstrap'"
        return f"{self.made.vcov!r}" + (" or 'HC3'" if self.made.vcov != "HC3" else " or 'AI'")

    def _refuse_idle_fixed(self, answer: Answer, request: Request) -> None:
        """Nothing to hold fixed: no weights are estimated, and nothing else before what is asked for."""
        evidence = answer.estimate.evidence
        evidence = evidence.shape if isinstance(evidence, Accumulated) else evidence
        fixed = getattr(request, "weights", None) == "fixed"
        if not fixed or self.record.make_design or not isinstance(evidence, Influence):
            return
        if evidence.always and not evidence.stages and not evidence.held and isinstance(request, (HC, Cluster, Asympt)):
            raise OptionError(
                "weights='fixed' leaves out the part that estimated models have in the influence, and here nothing "
                "holds it apart: leave it out"
            )
        if isinstance(request, (HC, Cluster, Asympt)) and not (evidence.estimated_first_stage or evidence.always):
            raise OptionError(
                f"weights='fixed' treats estimated weights as given, and method {self.record.name!r} estimates none: "
                "leave it out"
            )

    def _refuse_exponential(self) -> None:
        """Weights above zero everywhere tell nothing of a method whose own weights can undo them."""
        reason = self.record.exempt.get("exponential_bootstrap")
        if reason is not None:
            raise CapabilityError(f"no exponential-weight bootstrap for method {self.record.name!r}: {reason}")

    def rests(self, groups: Mapping[str, Codes], rows: Codes | None = None) -> float:
        """Share of its variance from which on an effect that rests on one cluster, or row, has no standard error.

        Any, where an arm lies in one cluster of a grouping, of the rows kept or of these of them.
        """
        return 0.0 if self._single_clusters(groups, rows) else HALF

    def _group_alone(self, estimate: Estimate, groups: Mapping[str, Codes]) -> bool:
        """Whether a group that is treated at a time of its own is one cluster, where influences are all there is."""
        panel, evidence = self.frame.panel, estimate.evidence
        if panel is None or panel.adoption is None or not isinstance(evidence, Influence) or evidence.root is not None:
            return False
        used, group = self.frame.unit_weights > 0, panel.adoption.group
        each = [codes[used & (group == k)] for codes in groups.values() for k in np.unique(group[used])]
        return any(codes.min() == codes.max() for codes in each)

    def coefficient_rests(self, request: Request, groups: Mapping[str, Codes]) -> float:
        """The same of a coefficient of the model behind the effect, which otherwise is as R's."""
        if isinstance(self.frame, WholeFrame):
            return 0.0 if self._single_arm(self.frame, request) else np.inf
        return 0.0 if self._single_clusters(self._units(request, groups)) else np.inf

    def _units(self, request: Request, groups: Mapping[str, Codes]) -> dict[str, Codes]:
        """What counts as independent in a covariance: its clusters, or rows, under an empty name."""
        if isinstance(request, (Cluster, DriscollKraay)):
            return dict(groups)
        name = getattr(request, "cluster", None)
        if name is None:
            return {"": np.arange(self.frame.n)}
        return {name: groups[name]}

    def _told_of_single_cluster(self, request: Request, groups: Mapping[str, Codes]) -> tuple[str, ...]:
        """A note, and a warning, that resampled clusters cannot tell the error of an arm in one of them."""
        if not isinstance(request, (Bootstrap, Wild)):
            return ()
        notes = [
            (
                f"all rows with {self.frame.the_treatment.name} = {level} are in one cluster of {name}: resampling "
                "clusters"
                if name
                else f"a single row has {self.frame.the_treatment.name} = {level}: resampling rows"
            )
            + " cannot tell the error of that arm, and these standard errors are too small"
            for level, name in self._single_clusters(self._units(request, groups))
        ]
        for note in notes:
            warn(note)
        return tuple(f"Note: {note}" for note in notes)

    def _single_clusters(self, groups: Mapping[str, Codes], rows: Codes | None = None) -> list[tuple[str, str]]:
        """Arms that lie in one cluster of a grouping: residuals sum to zero there, and say nothing of the error."""
        treatment = self.frame.treatment
        if treatment is None or not treatment.levels or not groups:
            return []
        used = self.frame.unit_weights > 0
        if self.made is not None:
            used = used & (self.made.weights > 0)
        arms = treatment.codes if rows is None else treatment.codes[rows]
        used = used if rows is None else used[rows]
        return [
            (level, name)
            for k, level in enumerate(treatment.levels)
            for name, codes in groups.items()
            if len(found := codes[used & (arms == k)]) and found.min() == found.max()
        ]

    def _refuse_single_cluster(self, request: Cluster, groups: Mapping[str, Codes], rows: Codes | None = None) -> None:
        """An arm in one cluster, whose variance would count as zero."""
        for level, name in self._single_clusters(groups, rows):
            raise DataError(
                f"all rows with {self.frame.the_treatment.name} = {level} are in one cluster of {name}, which leaves "
                f"{request.type} no variance to estimate for that arm; every arm needs at least two clusters"
            )

    def _refit(
        self, request: Request, query: Query | None, groups: Mapping[str, Codes]
    ) -> Callable[[Array], Array] | None:
        """Weights to replicates, with their standard errors where the request studentises them."""
        if query is None:
            return None
        again = {"frame": self.frame, "options": self.options, "query": query, "held": self.held}
        if isinstance(request, Bootstrap) and request.kind == "studentized":
            clusters = groups[request.cluster] if request.cluster else None
            return partial(refits.studentized, **again, clusters=clusters)
        return partial(refits.replicates, **again)

    def codes(self, names: Iterable[str]) -> dict[str, Codes]:
        """Group codes of columns of the data, on the rows kept."""
        if isinstance(self.frame, WholeFrame):
            return self.frame.codes(names)
        return {name: self.groups(name).codes for name in names}

    def groups(self, name: str) -> Grouping:
        """A grouping of the rows kept: of the formula, of the data, or one that the design made."""
        own = self.own_groups(name)
        return self.frame.groups(name) if own is None else own

    def own_groups(self, name: str) -> Grouping | None:
        """A grouping that the design made, where the data have no column of that name."""
        return None if self.made is None or name in self.frame.table else own_grouping(self.made, name)


def _nested(inner: Codes, outer: Codes, used: Bools) -> bool:
    """Whether every group lies in one of the others."""
    pairs = np.unique(np.column_stack([inner, outer])[used], axis=0)
    return len(pairs) == len(np.unique(pairs[:, 0]))
