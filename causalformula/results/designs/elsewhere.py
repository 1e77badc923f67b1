"""The design behind an estimate whose rows are elsewhere: its tables and pictures by passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from causalformula.backends.distance import thin_words
from causalformula.backends.options import flag, whole
from causalformula.diagnostics.balance import moment_tables
from causalformula.diagnostics.balance_plan import MOST_POWERS
from causalformula.errors import CapabilityError, DataError, OptionError, choose
from causalformula.frame.treatment import Kind
from causalformula.inference.away import Away
from causalformula.plots.overlap import support
from causalformula.results.designs.balance import Balance
from causalformula.results.designs.balancing import CORRECTION, done, no_scores, of_pairs, read_asked
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.imbalance import imbalance_words
from causalformula.results.designs.loves import love_of
from causalformula.results.designs.overlap import SCORE, Overlap
from causalformula.results.designs.text import design_text
from causalformula.results.designs.weights import WeightsSummary
from causalformula.results.wording import missing_notes
from causalformula.scale.averages import Weigh
from causalformula.scale.balance import Balanced, balanced, imbalance, sample_of
from causalformula.scale.estimators.aipw import Shown
from causalformula.scale.estimators.subclass import Stratified
from causalformula.scale.overlap import Unweighted, histograms, overlaps, weight_summaries
from causalformula.scale.weighting import WholeWeighting
from causalformula.scale.whole import WholeFrame
from causalformula.scale.written import DesignColumn, DesignColumns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Statistics of means and variances; those of whole distributions need the order of all rows.
STATS = ("smd", "variance_ratio")
# Each picture with the options that it takes.
PICTURES = {"love": ("stat", "binary", "threshold", "abs", "order"), "hist": ("bins",)}


def refuse(frame: Any, instead: str = "") -> NoReturn:
    """What needs every row in memory."""
    Away(frame.passes.words).refuse(instead)


@dataclass(frozen=True, eq=False, repr=False)
class DesignElsewhere(DesignCore):
    """See ``Design``; what asks for rows says what to do instead.

    Parameters
    ----------
    shown : Shown, optional
        Scores, and the weights of residuals, of a method that weights no row.
    """

    shown: Shown | None = None

    @property
    def frame(self) -> WholeFrame:
        """The question."""
        assert isinstance(self.call.frame, WholeFrame)
        return self.call.frame

    @property
    def made(self) -> WholeWeighting | None:
        """The weights; None where the method has none."""
        return self.designed if isinstance(self.designed, WholeWeighting) else None

    def carrying(self) -> int:
        """See ``DesignCore``."""
        return int(self._balanced.rows.sum()) if self.made is None else self.made.rows

    def weightless(self) -> bool:
        """See ``DesignCore``."""
        return self.made is None

    @property
    def _weigh(self) -> Weigh:
        """How the rows of a chunk are weighted, with their scores."""
        if self.made is not None:
            return self.made.weigh
        return Unweighted() if self.shown is None else replace(self.shown, corrected=False)

    def columns(self) -> DesignColumns:
        """Columns of the design, beside the rows of a chunk."""
        made, weigh, found = self.made, self._weigh, dict[str, Callable[[Any], Any]]()
        if made is not None:
            found[".weights"] = DesignColumn(weigh, "weights")
        if self.design_weights.distance is not None:
            found[".distance"] = DesignColumn(weigh, "distance")
        if made is not None and isinstance(made.weigh, Stratified):
            found[".subclass"] = made.weigh.numbers
        return found

    @cached_property
    def imbalance(self) -> tuple[str, ...]:
        """What the design left out of balance, as a note; of a method without a design stage nothing."""
        if self.made is None:
            return ()
        found = imbalance(self.frame, self.call.options, self.made.weigh)
        return imbalance_words(found, self.frame, self.call.options, self.call.record)

    @cached_property
    def _balanced(self) -> Balanced:
        return balanced(self.frame, None if self.made is None else self.made.weigh)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the weights: trimmed, discarded; and which arms are thin."""
        made = () if self.made is None else self.made.notes
        return (*made, *thin_words(self.frame, self._balanced.sizes))

    def ess(self) -> pd.DataFrame:
        """See ``Design``."""
        return self._sizes(self._balanced)

    def _sizes(self, found: Balanced) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(found.effective, index=["Unweighted", "Weighted"], columns=list(self.arm_names()))

    def balance(
        self,
        stats: Sequence[str] | str = STATS,
        binary: str = "raw",
        un: bool = True,
        threshold: float | Mapping[str, float] | None = 0.1,
        int: bool = False,
        poly: int = 1,
        cluster: str | None = None,
        s_d_denom: str | None = None,
        means: bool = False,
        which_treat: Any = None,
        compare: Any = None,
    ) -> Balance:
        """See ``Design``; by default the statistics of means and variances.

        Raises
        ------
        CapabilityError
            For statistics of whole distributions, and for groups and other designs.
        """
        self._refuse_dose()
        asked = read_asked(self, stats, binary, un, threshold, s_d_denom, means, which_treat)
        if {"KS", "OVL"} & {*asked.plan.stats}:
            refuse(self.frame, f". balance(stats={STATS!r}) needs means and variances only")
        if cluster is not None or compare is not None:
            refuse(self.frame, ". balance() without cluster= and compare= is read where the rows are")
        products, powers = flag("int", int), whole("poly", poly, "powers of the covariates", MOST_POWERS)
        score = "distance" if self.made is not None and self.made.held else "prop.score"
        two = self.frame.the_treatment.kind is Kind.BINARY
        weigh = None if self.made is None else self.made.weigh
        found = balanced(
            self.frame, weigh, products=products, poly=powers, score=score if two else "", shown=self.shown
        )
        if not found.columns:
            raise DataError("the formula has no covariates whose balance could be read; write them in adjust(...)")
        sample = sample_of(self.frame, self.call.options, found)
        tables = moment_tables(found.columns, found.found, sample, asked.plan)
        made = of_pairs(tables, self._sizes(found), asked)
        return Balance(made.table, made.sizes, made.thresholds, made.un, made.parts, made.by, made.shown, done(self))

    def summary(self, top: int = 5) -> WeightsSummary:
        """See ``Design``."""
        import pandas as pd

        self._refuse_dose()
        if self.made is not None and self.made.held:
            refuse(self.frame, ". balance() and ess() tell of strata where the rows are")
        top = whole("top", top, "how many of the largest weights to show")
        names = ("control", "treated") if len(self.arm_names()) == 2 else self.arm_names()
        found = dict(zip(names, weight_summaries(self.frame, self._weigh, top), strict=True))
        if len(found) == 2:
            found = {name: found[name] for name in ("treated", "control")}
        index = pd.RangeIndex(self.frame.passes.source.rows())
        return WeightsSummary(found, index, self.ess(), top, done(self))

    def overlap(self) -> Overlap:
        """See ``Design``."""
        import pandas as pd

        made = self.design_weights
        scored = made.distance is not None, made.probabilities is not None
        names = self.arm_names() if scored[1] else (SCORE,) if scored[0] else ()
        found, supports = overlaps(self.frame, self.shown or self._weigh, names)
        arms = dict(zip(self.arm_names(), found, strict=True))
        remark = CORRECTION if self.shown is not None else "" if names else no_scores(self, not self.weightless())
        index = pd.RangeIndex(self.frame.passes.source.rows())
        return Overlap(arms, supports, index, (*missing_notes(self.frame), *self.notes), remark)

    def plot(
        self,
        kind: str = "love",
        ax: Axes | None = None,
        *,
        stat: str | None = None,
        binary: str | None = None,
        threshold: float | None = 0.1,
        abs: bool | None = None,
        order: str | None = None,
        bins: int | None = None,
    ) -> Axes:
        """The love plot, or histograms of the propensity score by arm (``"hist"``).

        Parameters
        ----------
        kind : {"love", "hist"}
        ax : matplotlib Axes, optional
        stat, binary, threshold, abs, order : optional
            Of ``"love"``, as in ``Design``.
        bins : int, optional
            Of ``"hist"``.

        Returns
        -------
        Axes

        Raises
        ------
        CapabilityError
            For other pictures, which need every row.
        """
        given = {"stat": stat, "binary": binary, "abs": abs, "order": order, "bins": bins}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if threshold != 0.1:
            options["threshold"] = threshold
        if kind not in PICTURES:
            refuse(self.frame, f". Pictures that are drawn where the rows are: {', '.join(PICTURES)}")
        for name in options:
            if name not in PICTURES[kind]:
                raise OptionError(f"plot {kind!r} has no option {name!r}{choose(name, PICTURES[kind])}")
        return self._love(ax, **options) if kind == "love" else self._hist(ax, **options)

    def _love(
        self,
        ax: Axes | None,
        stat: str = "smd",
        binary: str = "std",
        threshold: float | None = 0.1,
        abs: bool = True,
        order: str = "unadjusted",
    ) -> Axes:
        found = self.balance((stat,), binary, True, None)
        return love_of(found, ax, stat=stat, binary=binary, threshold=threshold, abs=abs, order=order)

    def _hist(self, ax: Axes | None, bins: int = 25) -> Axes:
        if self.design_weights.distance is None or self.frame.the_treatment.kind is not Kind.BINARY:
            raise CapabilityError("plot 'hist' shows the propensity score of two arms, which this design does not have")
        edges, bars, limits = histograms(self.frame, self._weigh, bins)
        # the weight in a bar stands at its middle
        middle = np.tile((edges[1:] + edges[:-1]) / 2, 2)
        treatment = self.frame.the_treatment
        names = (f"{treatment.name} = {level}" for level in treatment.levels)
        arms = {name: np.repeat([k == 0, k == 1], bins) for k, name in enumerate(names)}
        before, after = (each.ravel() for each in bars)
        return support(middle, arms, before, None if self.made is None else after, ax, limits=limits, bins=edges)

    def _refuse_dose(self) -> None:
        if self.frame.the_treatment.kind is Kind.CONTINUOUS:
            refuse(self.frame)

    def __repr__(self) -> str:
        return design_text(self)

    __str__ = __repr__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        refuse(self.call.frame)
