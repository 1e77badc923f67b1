"""``DesignCore``: the weights, strata and matches behind an estimate, by row label and by arm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.distance import thin_arms
from causalformula.backends.fit import Designed, DesignWeights, Held, effective_size
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.call import Call
from causalformula.results.designs.imbalance import imbalance_notes
from causalformula.results.designs.pairs import pair_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DesignCore:
    """What a design's tables, prints and pictures read.

    Parameters
    ----------
    design_weights : DesignWeights
        Arrays on the rows used.
    call : Call
    designed : Designed, optional
        What the method's design stage returned, its estimating equations included; what ``fit`` estimates from.
    """

    design_weights: DesignWeights
    call: Call
    designed: Designed | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the weights: trimmed, discarded; and which arms are thin."""
        made = () if self.designed is None else tuple(self.designed.notes)
        frame = self.call.frame
        if frame.treatment is None:
            return made
        return (*made, *thin_arms(frame, self.design_weights.weights, isinstance(self.designed, Held)))

    @cached_property
    def imbalance(self) -> tuple[str, ...]:
        """What the design left out of balance, as a note; of a method without a design stage nothing."""
        if self.designed is None:
            return ()
        call = self.call
        return imbalance_notes(call.frame, call.options, call.record, self.design_weights)

    def _series(self, values: NDArray[Any] | None, name: str) -> pd.Series[Any] | None:
        import pandas as pd

        return None if values is None else pd.Series(values, index=self.call.frame.index, name=name)

    @cached_property
    def weights(self) -> pd.Series[Any]:
        """Balancing or matching weights by row label, sampling weights left out; ones where the method has none."""
        found = self._series(self.design_weights.weights, "weights")
        assert found is not None
        return found

    @cached_property
    def distance(self) -> pd.Series[Any] | None:
        """The propensity score, or another distance, by row label."""
        return self._series(self.design_weights.distance, "distance")

    @cached_property
    def subclass(self) -> pd.Series[Any] | None:
        """The stratum or matched set of each row; missing for rows in none."""
        return self._series(self.design_weights.subclass, "subclass")

    @cached_property
    def pairs(self) -> pd.DataFrame | None:
        """One row a treated-control pair: ``subclass``, row labels ``treated`` and ``control``, their ``distance``."""
        return pair_frame(self.call.frame, self.design_weights)

    def ess(self) -> pd.DataFrame:
        """Effective sample size ``(sum w)^2 / sum w^2`` of each arm, before and after the design.

        Returns
        -------
        DataFrame
            Rows ``Unweighted`` (sampling weights alone) and ``Weighted`` (times the design's); a column an arm, named
            as WeightIt names them: ``Control`` and ``Treated``, several levels by their own names, a dose ``Total``.
        """
        import pandas as pd

        base = self.call.frame.unit_weights
        rows = {"Unweighted": base, "Weighted": base * self.design_weights.weights}
        sizes = {arm: [effective_size(w[inside]) for w in rows.values()] for arm, inside in self.arms().items()}
        return pd.DataFrame(sizes, index=list(rows))

    def arms(self) -> dict[str, Bools]:
        """Rows of each arm, by WeightIt's names."""
        treatment = self.call.frame.treatment
        if treatment is None or treatment.kind is Kind.CONTINUOUS:
            return {"Total": np.ones(self.call.frame.n, dtype=bool)}
        return {name: treatment.codes == k for k, name in enumerate(self.arm_names())}

    def arm_names(self) -> tuple[str, ...]:
        """``Control`` and ``Treated``, several levels by their own names, a dose ``Total``."""
        treatment = self.call.frame.treatment
        if treatment is None or treatment.kind is Kind.CONTINUOUS:
            return ("Total",)
        return ("Control", "Treated") if treatment.kind is Kind.BINARY else treatment.levels

    def carrying(self) -> int:
        """Number of rows with weight."""
        return int((self.total_weights() > 0).sum())

    def weightless(self) -> bool:
        """Whether no row is weighted."""
        return bool((self.design_weights.weights == 1).all())

    def total_weights(self) -> Array:
        """The design's weights times the sampling weights (n,)."""
        return self.design_weights.weights * self.call.frame.unit_weights
