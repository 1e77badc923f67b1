"""``MatchSummary``: the balance of a matched design as MatchIt's ``summary()`` shows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.estimands import denominator_of
from causalformula.backends.fit import effective_size
from causalformula.backends.options import flag
from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.matched_balance import (
    MatchedSample,
    MatchedTable,
    Pairing,
    matched_tables,
    subclass_tables,
)
from causalformula.diagnostics.matched_covariates import matched_covariates
from causalformula.errors import CapabilityError, some
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.designs.balancing import done
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.pairs import matched_rows, set_codes
from causalformula.results.designs.strata import left_out, subclass_sizes
from causalformula.results.designs.weights import sizes_text
from causalformula.results.text.notebook import Shown
from causalformula.results.text.numbers import format_num, r_round
from causalformula.results.text.page import matrix_text

if TYPE_CHECKING:
    import pandas as pd

DIGITS, SETTLED = 4, 13
AFTER = ("Summary of Balance for Matched Data:", "Summary of Balance Across Subclasses")


@dataclass(frozen=True, eq=False, repr=False)
class MatchSummary(Shown):
    """How alike the arms are before and after matching.

    Attributes
    ----------
    sum_all, sum_matched : DataFrame, optional
        One row a covariate: ``Means Treated, Means Control, Std. Mean Diff., Var. Ratio, eCDF Mean, eCDF Max, Std. Pair
        Dist.``, or ``Mean Diff., ..., eQQ Mean, eQQ Max, Pair Dist.``. ``sum_all`` is None with ``un=False``,
        ``sum_matched`` with ``subclass=True``.
    nn : DataFrame
        Sample sizes of both arms: ``All (ESS), All, Matched (ESS), Matched, Unmatched, Discarded``.
    sum_subclass : list of DataFrame
        The tables within the subclasses; empty unless they were asked for.
    qn : DataFrame, optional
        Sample sizes by subclass, where there are strata.
    strata : bool
        Whether the design is a subclassification.
    notes : tuple of str

    Notes
    -----
    R: ``summary.matchit`` of MatchIt 4.7.2.
    """

    sum_all: pd.DataFrame | None
    sum_matched: pd.DataFrame | None
    nn: pd.DataFrame
    sum_subclass: list[pd.DataFrame] = field(default_factory=list)
    qn: pd.DataFrame | None = None
    strata: bool = False
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """The tables one below the other; the index's first level is ``all``, ``matched`` or ``subclass 1``, ...."""
        import pandas as pd

        found = {"all": self.sum_all, "matched": self.sum_matched}
        found |= {f"subclass {k}": part for k, part in enumerate(self.sum_subclass, 1)}
        kept = {name: part for name, part in found.items() if part is not None}
        return pd.concat(kept, names=["sample", "covariate"])

    def __repr__(self) -> str:
        return summary_text(self)

    __str__ = __repr__


def match_summary(
    design: DesignCore, *, un: bool, interactions: bool, standardize: bool, pair_dist: bool | None, subclass: bool
) -> MatchSummary:
    """See ``MatchedDesign.summary``."""
    un, subclass, standardize = flag("un", un), flag("subclass", subclass), flag("standardize", standardize)
    made = design.design_weights
    strata = bool(made.strata)
    if subclass and not strata:
        raise CapabilityError(
            "subclass=True shows the balance within strata, and this design has none; summary() is over all its pairs "
            "or sets"
        )
    distances = not strata if pair_dist is None else flag("pair_dist", pair_dist)
    used = design.call.frame.unit_weights > 0
    sample, columns = _sample(design, used), _columns(design, flag("interactions", interactions), used)
    before, after = matched_tables(columns, sample, standardize=standardize, distances=distances and not subclass)
    parts: list[MatchedTable] = []
    if subclass:
        codes = set_codes(made)
        assert codes is not None
        parts = subclass_tables(columns, sample, codes[used], standardize=standardize)
    unscaled = () if subclass else _unscaled(after)
    return MatchSummary(
        sum_all=_frame(before) if un else None,
        sum_matched=None if subclass else _frame(after),
        nn=sample_sizes(design),
        sum_subclass=[_frame(part) for part in parts],
        qn=subclass_sizes(design) if strata else None,
        strata=strata,
        notes=(*done(design), *unscaled),
    )


def _unscaled(after: MatchedTable) -> tuple[str, ...]:
    if not after.unscaled:
        return ()
    is_ = "is in its own units" if len(after.unscaled) == 1 else "are in their own units"
    return (
        f"Std. Pair Dist. of {some(after.unscaled)} {is_}, as in MatchIt where the means of the arms agree; "
        "standardize=False shows all so",
    )


def _sample(design: DesignCore, used: Bools) -> MatchedSample:
    """The rows that take part, which have sampling weight."""
    frame, made = design.call.frame, design.design_weights
    treated = frame.the_treatment.codes == 1
    whole = MatchedSample(treated, frame.unit_weights, made.weights, denominator_of(str(design.call.options.estimand)))
    return replace(whole.rows(used), pairing=_pairing(design, used))


def _pairing(design: DesignCore, used: Bools) -> Pairing | None:
    made = design.design_weights
    sets, matches = set_codes(made), matched_rows(made)
    if sets is not None:
        return Pairing(sets=sets[used])
    if matches is None:
        return None
    place = np.cumsum(used) - 1
    return Pairing(matches=place[matches[used[matches].all(axis=1)]])


def _columns(design: DesignCore, interactions: bool, used: Bools) -> list[Covariate]:
    """The rows of the tables, the distance first."""
    columns = matched_covariates(design.call.frame, interactions=interactions)
    distance = design.design_weights.distance
    if distance is not None:
        columns = [Covariate("distance", distance, False, "distance", distance=True), *columns]
    return [replace(c, values=c.values[used]) for c in columns]


def _frame(table: MatchedTable) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(dict(table.columns), index=list(table.rows))


# -- sample sizes ------------------------------------------------------------------------------------------------------


def sample_sizes(design: DesignCore) -> pd.DataFrame:
    """Rows of both arms, and effective sample sizes, before and after matching."""
    import pandas as pd

    s, total = design.call.frame.unit_weights, design.total_weights()
    unmatched, discarded = left_out(design)
    sizes = {
        name: {
            "All (ESS)": effective_size(s[arm]),
            "All": (s[arm] > 0).sum(),
            "Matched (ESS)": effective_size(total[arm]),
            "Matched": (total[arm] > 0).sum(),
            "Unmatched": unmatched[arm].sum(),
            "Discarded": discarded[arm].sum(),
        }
        for name, arm in design.arms().items()
    }
    return pd.DataFrame(sizes).astype(float)


# -- in print ----------------------------------------------------------------------------------------------------------


def summary_text(summary: MatchSummary) -> str:
    """The printed summary, without a newline at the end."""
    parts = []
    if summary.sum_all is not None:
        parts.append(f"Summary of Balance for All Data:\n{_table(summary.sum_all)}")
    if summary.sum_matched is not None:
        parts.append(f"{AFTER[summary.strata]}\n{_table(summary.sum_matched)}")
    if summary.sum_subclass:
        tables = [f"- Subclass {k}\n{_table(part)}" for k, part in enumerate(summary.sum_subclass, 1)]
        parts.append("Summary of Balance by Subclass:\n\n" + "\n".join(tables))
        assert summary.qn is not None
        cells = [[str(n) for n in row] for row in summary.qn.to_numpy().tolist()]
        parts.append(f"Sample Sizes by Subclass:\n{matrix_text(list(summary.qn.index), list(summary.qn), cells)}")
    else:
        parts.append(f"Sample Sizes:\n{sizes_text(_shown_sizes(summary.nn), 2)}")
    text = "\n".join(parts).rstrip("\n")
    return text + "".join(f"\nNote: {note}" for note in summary.notes)


def _shown_sizes(nn: pd.DataFrame) -> pd.DataFrame:
    """Without effective sizes that are the numbers of rows."""
    same = [name for name in ("All", "Matched") if np.allclose(nn.loc[name], nn.loc[f"{name} (ESS)"], rtol=1e-10)]
    return nn.drop(index=[f"{name} (ESS)" for name in same])


def _table(frame: pd.DataFrame) -> str:
    """Columns of up to four decimals; one of pair distances is left out where it is empty."""
    shown = [name for name in frame if not (str(name).endswith("Pair Dist.") and frame[name].isna().all())]
    columns = [_cells(frame[name].to_numpy(dtype=float)) for name in shown]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return matrix_text([str(name) for name in frame.index], [str(name) for name in shown], rows)


def _cells(values: Array) -> list[str]:
    """A column in R's notation; what is rounded to zero keeps its sign."""
    # the last bits, in which sums over rows differ, do not decide how a tie is rounded
    known = [float(f"{x:.{SETTLED}g}") for x in values]
    rounded = r_round(known, DIGITS)
    texts = [text.strip() for text in format_num(np.where(np.isfinite(rounded), rounded, np.nan), na=".")]
    negative = (rounded == 0) & (values < 0)
    return [
        "N/A" if np.isinf(x) else f"-{text}" if below else text
        for x, text, below in zip(values, texts, negative, strict=True)
    ]
