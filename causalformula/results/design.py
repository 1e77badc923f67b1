"""``Design``: the weights, strata and matches behind an estimate, without its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import DesignWeights
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.treatment import Kind
from causalformula.results.call import Call
from causalformula.results.coefmat import Cells
from causalformula.results.rformat import format_num

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """What a method did to the sample before it looked at the outcome.

    Parameters
    ----------
    design_weights : DesignWeights
        Arrays on the rows used.
    call : Call
    """

    design_weights: DesignWeights
    call: Call

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
        """Matches: row labels of the focal units as index, those of their matches as columns ``1, 2, ...``."""
        import pandas as pd

        pairs = self.design_weights.pairs
        if pairs is None:
            return None
        labels = np.asarray(self.call.frame.index, dtype=object)
        # A match that was not found is a negative position.
        matches = np.where(pairs[:, 1:] < 0, None, labels[pairs[:, 1:]])
        return pd.DataFrame(matches, index=labels[pairs[:, 0]], columns=range(1, pairs.shape[1]))

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
        arms = self._arms()
        return pd.DataFrame(
            {arm: [effective_size(w[inside]) for w in rows.values()] for arm, inside in arms.items()}, index=list(rows)
        )

    def _arms(self) -> dict[str, NDArray[np.bool_]]:
        treatment = self.call.frame.treatment
        if treatment is None or treatment.kind is Kind.CONTINUOUS:
            return {"Total": np.ones(self.call.frame.n, dtype=bool)}
        names = ("Control", "Treated") if treatment.kind is Kind.BINARY else treatment.levels
        return {name: treatment.codes == k for k, name in enumerate(names)}

    def matched_data(
        self, *, weights: str = "weights", distance: str = "distance", subclass: str = "subclass"
    ) -> pd.DataFrame:
        """The data that the design keeps (weight above zero) with its columns, as ``MatchIt::match_data``.

        Parameters
        ----------
        weights, distance, subclass : str
            Names of the columns that are added; the last two where the method has them.

        Returns
        -------
        DataFrame
            With the row labels of the data; ``weights`` include sampling weights.
        """
        data = self.call.frame.data_used()
        parts = {weights: self._total(), distance: self.design_weights.distance, subclass: self.design_weights.subclass}
        added = {name: values for name, values in parts.items() if values is not None}
        taken = [name for name in added if name in data.columns]
        if taken:
            raise OptionError(
                f"the data already have a column {taken[0]!r}; choose another name, as in matched_data({taken[0]}='.w')"
            )
        return data.assign(**added)[self._total() > 0]

    def _total(self) -> Array:
        return self.design_weights.weights * self.call.frame.unit_weights

    def balance(self) -> Any:
        """Balance of the covariates before and after the design."""
        raise CapabilityError("balance tables are not available yet; matched_data() has what they are computed from")

    def plot(self) -> Any:
        """Draw the balance of the covariates before and after the design."""
        raise CapabilityError("balance plots are not available yet; fit.plot('outcome') draws the two groups")

    def __repr__(self) -> str:
        n, kept = self.call.frame.n, int((self._total() > 0).sum())
        has = [name for name in ("distance", "subclass", "pairs") if getattr(self.design_weights, name) is not None]
        parts = f"weights{''.join(f', {name}' for name in has)}"
        sizes = self.ess()
        texts = np.array(format_num(sizes.to_numpy().ravel(), 5), dtype=object).reshape(sizes.shape)
        table = Cells(tuple(sizes.index), tuple(sizes.columns), tuple(map(tuple, texts)), False)
        head = f"Design of method {self.call.record.name!r}: {kept} of {n} rows kept; it has {parts}"
        return f"{head}\n\nEffective sample sizes\n{table}".rstrip("\n")

    __str__ = __repr__


def effective_size(w: Array) -> float:
    """Kish's effective sample size; 0 where no row has weight."""
    return float(w.sum() ** 2 / np.dot(w, w)) if w.any() else 0.0
