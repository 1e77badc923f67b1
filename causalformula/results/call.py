"""The call behind a result: what was asked of which data, so that it can be asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.fit import OWN_GROUPINGS, Answer, DesignWeights, Query, own_grouping
from causalformula.backends.options import Options
from causalformula.errors import CapabilityError, ConvergenceError, DataError, some, warn
from causalformula.formula.language.spec import Spec
from causalformula.frame.columns import Table
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import BINOMIAL, ModelFrame
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import (
    HAC,
    Asympt,
    Bootstrap,
    Cluster,
    DriscollKraay,
    Jackknife,
    Request,
    Wild,
)
from causalformula.inference.resampling.resample import FailedReplicates
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.idle import idle_notes, refuse_idle_strata


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
    """

    text: str
    spec: Spec
    frame: ModelFrame
    options: Options
    made: DesignWeights | None = None

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
        family, w = self.options.outcome_family, self.frame.unit_weights
        if family.name not in BINOMIAL or self.frame.outcome is None:
            return True
        y = self.frame.outcome_for(family)
        shares = bool(((y > 0) & (y < 1)).any())
        return not (shares and _whole(w) and _whole(w * y))

    def default_vcov(self) -> Request:
        """The default covariance: of the design that was made, or the method's.

        ``weights(w)`` may change it; ``cluster(g)``, or a unit, makes it ``~g``.
        """
        clusters = self.frame.cluster_names
        if not clusters:
            asked = "" if self.made is None else self.made.vcov
            weighted = self.record.weighted_vcov if self.sampling else ""
            return read_request(asked or self.options.own_vcov or weighted or self.record.default_vcov)
        return read_request(self.record.cluster_vcov.replace("{g}", " + ".join(f"`{c}`" for c in clusters)))

    def covariance(self, answer: Answer, request: Any, query: Query | None) -> Covariance:
        """Covariance of an answer; ``query`` tells the bootstrap what to read off each refit (None: not possible)."""
        request = self.resolved(request)
        self._refuse_unstacked(request)
        if isinstance(request, Bootstrap) and request.weights == "exponential":
            self._refuse_exponential()
        groups = self.codes(grouping_names(request))
        if isinstance(request, Cluster) and request.type in ("CR2", "CR3"):
            self._refuse_single_cluster(request, groups)
        refit = self._refit(request, query, groups)
        try:
            strict = isinstance(request, Cluster) and self.alone(groups)
            found = covariance(answer.estimate, request, groups=groups, refit=refit, n=self.frame.n, strict=strict)
        except FailedReplicates as error:
            again = Query() if query is None else query
            why = registry.failure(error.weights, frame=self.frame, options=self.options, query=again)
            raise ConvergenceError(f"{error}. The first failed because: {why}" if why else str(error)) from None
        idle = tuple(f"Note: {note}" for note in self.idle_notes(request))
        noted = replace(found, notes=(*found.notes, *self._told_of_single_cluster(request, groups), *idle))
        return told_of_full_leverage(noted, self.frame.index, _remedy(answer, found.full_leverage))

    def resolved(self, request: Any) -> Request:
        """What a caller gave as ``vcov=``, or the default, with the units and strata that the formula gives it."""
        return self._with_units(self.default_vcov() if request is None else read_request(request))

    def refuse_idle(self, request: Any) -> None:
        """A ``CapabilityError`` for strata that neither the method nor the covariance reads."""
        refuse_idle_strata(self.frame, self.record, self.resolved(request))

    def idle_notes(self, request: Request) -> tuple[str, ...]:
        """What the formula says that has no part in these standard errors."""
        return idle_notes(self.frame, self.record, request, self.default_vcov(), grouping_names(request), self.sampling)

    def _refuse_unstacked(self, request: Request) -> None:
        """The stacked variance needs equations for the weights or strata; without them its label would be untrue."""
        own = self.options.own_vcov or self.record.default_vcov
        if isinstance(request, Asympt) and request.weights != "fixed" and self.record.make_design and own != "asympt":
            raise CapabilityError(
                f"vcov='asympt' stacks the equations of the weights, and here method {self.record.name!r} has none: "
                f"its weights or strata count as given. Use {own!r}, a cluster formula or 'bootstrap'"
            )

    def _refuse_exponential(self) -> None:
        """Weights above zero everywhere tell nothing of a method whose own weights can undo them."""
        reason = self.record.exempt.get("exponential_bootstrap")
        if reason is not None:
            raise CapabilityError(f"no exponential-weight bootstrap for method {self.record.name!r}: {reason}")

    def alone(self, groups: Mapping[str, Codes]) -> bool:
        """Whether an arm lies in one cluster of a grouping."""
        return bool(self._single_clusters(groups))

    def _told_of_single_cluster(self, request: Request, groups: Mapping[str, Codes]) -> tuple[str, ...]:
        """A note, and a warning, that resampled clusters cannot tell the error of an arm in one of them."""
        if not isinstance(request, (Bootstrap, Wild)):
            return ()
        notes = [
            f"all rows with {self.frame.the_treatment.name} = {level} are in one cluster of {name}: resampling "
            "clusters cannot tell the error of that arm, and these standard errors are too small"
            for level, name in self._single_clusters(groups)
        ]
        for note in notes:
            warn(note)
        return tuple(f"Note: {note}" for note in notes)

    def _single_clusters(self, groups: Mapping[str, Codes]) -> list[tuple[str, str]]:
        """Arms that lie in one cluster of a grouping: residuals sum to zero there, and say nothing of the error."""
        treatment, used = self.frame.treatment, self.frame.unit_weights > 0
        if treatment is None or not treatment.levels:
            return []
        return [
            (level, name)
            for k, level in enumerate(treatment.levels)
            for name, codes in groups.items()
            if len(np.unique(codes[used & (treatment.codes == k)])) == 1
        ]

    def _refuse_single_cluster(self, request: Cluster, groups: Mapping[str, Codes]) -> None:
        """An arm in one cluster, whose variance would count as zero."""
        for level, name in self._single_clusters(groups):
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
        again = {"frame": self.frame, "options": self.options, "query": query}
        if isinstance(request, Bootstrap) and request.kind == "studentized":
            clusters = groups[request.cluster] if request.cluster else None
            return partial(registry.studentized, **again, clusters=clusters)
        return partial(registry.replicates, **again)

    def _with_units(self, request: Request) -> Request:
        """``cluster(g)`` and ``strata(s)`` in the formula are the units and strata of a resampling that names none."""
        if not isinstance(request, (Bootstrap, Jackknife, Wild)):
            return request
        if request.cluster is None and self.frame.cluster_names:
            request = replace(request, cluster=self.frame.cluster_names[0])
        elif request.cluster is None and self.frame.unit is not None:
            request = replace(request, cluster=self.frame.unit.name)
        if isinstance(request, Wild) or self.frame.strata is None or getattr(request, "strata", None) is not None:
            return request
        return self._within_strata(request)

    def _within_strata(self, request: Bootstrap | Jackknife) -> Bootstrap | Jackknife:
        """Strata of two units, matched pairs, are themselves the units, and larger ones a bootstrap's strata."""
        strata = self.frame.strata
        assert strata is not None
        units = np.arange(self.frame.n) if request.cluster is None else self.groups(request.cluster).codes
        used = self.frame.unit_weights > 0
        apart = np.unique(np.column_stack([strata.codes, units])[used], axis=0)
        counts = np.unique(apart[:, 0], return_counts=True)[1]
        if counts.max() == 1 and request.cluster is not None:
            return request
        if counts.min() == 2:
            return replace(request, cluster=strata.name)
        return replace(request, strata=strata.name) if isinstance(request, Bootstrap) else request

    def codes(self, names: Iterable[str]) -> dict[str, Codes]:
        """Group codes of columns of the data, on the rows kept."""
        return {name: self.groups(name).codes for name in names}

    def groups(self, name: str) -> Grouping:
        """A grouping of the rows kept: of the formula, of the data, or one that the design made."""
        own = self.own_groups(name)
        return self.frame.groups(name) if own is None else own

    def own_groups(self, name: str) -> Grouping | None:
        """A grouping that the design made, where the data have no column of that name."""
        return None if self.made is None or name in self.frame.table else own_grouping(self.made, name)


def _whole(values: Array) -> bool:
    """Whether all values are whole numbers, but for the rounding of a quotient."""
    return bool(np.allclose(values, np.rint(values), rtol=1e-9, atol=1e-9))


def _remedy(answer: Answer, rows: Codes) -> str:
    """What to do about rows of leverage one that are alone in their strata; empty where there are no strata."""
    evidence = answer.estimate.evidence
    stages = evidence.stages if isinstance(evidence, Influence) else ()
    if not len(rows) or not stages or stages[-1].name != "strata" or stages[-1].hat is None:
        return ""
    # columns are cells of stratum and arm
    alone = sorted({int(k) // 2 + 1 for k in stages[-1].hat.X[rows].argmax(axis=1)})
    have = f"Stratum {alone[0]} has" if len(alone) == 1 else f"Strata {some(alone)} have"
    return f"{have} a single unit of an arm: use fewer strata, min_n=2 or 'classical'"


def told_of_full_leverage(found: Covariance, index: Any, remedy: str = "") -> Covariance:
    """Warn, and note for the print, that standard errors do not exist where rows have leverage one."""
    if not len(found.full_leverage):
        return found
    rows = index[found.full_leverage]
    one = len(rows) == 1
    some_are = "" if np.isnan(found.std_error).all() else "some "
    note = (
        f"{some_are}{found.label} standard errors are not defined: {'row' if one else 'rows'} {some(rows)} "
        f"{'has' if one else 'have'} leverage one ({'it' if one else 'each'} is fitted exactly, whatever its outcome). "
        + (remedy or f"Use 'HC1' or 'classical', or drop {'it' if one else 'them'}")
    )
    warn(note)
    return replace(found, notes=(*found.notes, note))


def named_columns(request: Request | None, table: Table, record: registry.Record) -> tuple[str, ...]:
    """Columns of the data that a covariance names; a design's own groupings are none."""
    names = () if request is None else grouping_names(request)
    own = OWN_GROUPINGS if record.make_design is not None else ()
    return tuple(name for name in names if name in table or name not in own)


def grouping_names(request: Request) -> tuple[str, ...]:
    """Columns that a request names."""
    if isinstance(request, Cluster):
        return request.by
    if isinstance(request, HAC):
        return () if request.order_by is None else (request.order_by,)
    if isinstance(request, DriscollKraay):
        return (request.time,)
    if isinstance(request, (Jackknife, Wild)):
        return () if request.cluster is None else (request.cluster,)
    if isinstance(request, Bootstrap):
        return tuple(name for name in (request.cluster, request.strata) if name is not None)
    return ()
