"""``LearnedModel``: a nuisance function that was learned, and how well it predicts rows that it did not see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.learning.crossfit import Learned
from causalformula.backends.learning.losses import loss
from causalformula.backends.options import whole
from causalformula.errors import asks
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array
from causalformula.plots.learned import predicted
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.summary import Summary, Written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_GROUPS = 1000


@dataclass(frozen=True, eq=False, repr=False)
class LearnedModel(Written):
    """A nuisance function that was learned and cross-fitted: of the outcome, one an arm; of the treatment, one.

    Attributes
    ----------
    name : str
        ``outcome`` or ``treatment``.
    functions : mapping of str to Learned
    frame : ModelFrame
    """

    name: str
    functions: Mapping[str, Learned]
    frame: ModelFrame

    @property
    def learner(self) -> str:
        """The learner's name."""
        return next(iter(self.functions.values())).task.learner.name

    @property
    def table(self) -> pd.DataFrame:
        """How well each function predicts rows that it was not learned from.

        Columns: ``learner``, its cross-validated ``loss`` (mean squared error, or mean negative log likelihood), that
        of the ``trivial`` predictor (the mean, the classes' shares), ``gain`` (the share of the second that the first
        saves; below zero, worse than trivial), ``told`` (fold by fold: the weights of a stack, what a search chose or
        a lasso selected; ``chosen`` has these weights and choices as a table).
        """
        import pandas as pd

        rows = []
        for each in self.functions.values():
            own, trivial = loss(each, self.frame.unit_weights)
            gain = 1 - own / trivial if trivial > 0 else np.nan
            rows.append([each.task.learner.name, own, trivial, gain, _told(each)])
        return pd.DataFrame(rows, index=list(self.functions), columns=["learner", "loss", "trivial", "gain", "told"])

    @property
    def chosen(self) -> pd.DataFrame:
        """What each fit of a stack or of a search object chose.

        A row a function and fold; a column a member of the stack (its weight), or a parameter. Without columns for
        learners that choose nothing.
        """
        import pandas as pd

        rows = {
            (name, fold): dict(said.values)
            for name, each in self.functions.items()
            for fold, said in each.told
            if said.values
        }
        index = pd.MultiIndex.from_tuples(list(rows) or [], names=["function", "fold"]) if rows else None
        return pd.DataFrame(list(rows.values()), index=index)

    @asks
    def predictions(self, repeat: int = 1) -> pd.DataFrame:
        """Predictions of rows that took no part in the learning.

        Parameters
        ----------
        repeat : int
            Which repetition of the cross-fitting, from 1.

        Returns
        -------
        DataFrame
            A row a row of the data; a column for each function, of the treatment one for each level.
        """
        import pandas as pd

        self._check_repeat(repeat)
        columns = {}
        for name, each in self.functions.items():
            values = each.predictions[:, repeat - 1]
            for title, column in self._columns(name, values):
                columns[title] = column
        return pd.DataFrame(columns, index=self.frame.index)

    @asks
    def calibration(self, groups: int = 10, repeat: int = 1) -> pd.DataFrame:
        """Mean predictions and means seen, in groups of like prediction.

        Parameters
        ----------
        groups : int
            Groups of as many rows each; fewer where predictions are the same.
        repeat : int
            Which repetition of the cross-fitting, from 1.

        Returns
        -------
        DataFrame
            ``function, predicted, observed, weight``: a row a group. Of a treatment of two levels, the second's share.
        """
        import pandas as pd

        whole("groups", groups, "groups of like prediction", MOST_GROUPS)
        self._check_repeat(repeat)
        rows = []
        for name, each in self.functions.items():
            inside = np.ones(self.frame.n, dtype=bool) if each.task.rows is None else each.task.rows
            inside = inside & (self.frame.unit_weights > 0)
            for title, p in self._columns(name, each.predictions[:, repeat - 1], both=False):
                seen = self._seen(each, title, repeat)
                rows += [
                    (title, *group)
                    for group in _groups(p[inside], seen[inside], self.frame.unit_weights[inside], groups)
                ]
        return pd.DataFrame(rows, columns=["function", "predicted", "observed", "weight"])

    @asks
    def plot(self, ax: Axes | None = None, *, groups: int = 10, repeat: int = 1) -> Axes:
        """Draw the calibration: mean predictions against means seen, which a calibrated learner has on the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        groups, repeat : int
            As in ``calibration``.

        Returns
        -------
        Axes
        """
        found = self.calibration(groups, repeat)
        parts = {
            str(name): (part["predicted"].to_numpy(), part["observed"].to_numpy())
            for name, part in found.groupby("function", sort=False)
        }
        return predicted(parts, ax, label=self.name)

    def summary(self) -> Summary:
        """The table of losses.

        Returns
        -------
        Summary
        """
        table = self.table
        measure = "mean squared error" if self._regression else "mean negative log likelihood"
        columns = ("Loss", "Trivial", "Gain")
        cells = [[f"{row.loss:.4g}", f"{row.trivial:.4g}", f"{row.gain:.1%}"] for row in table.itertuples()]
        parts: list[str | Cells] = [
            f"{self.learner} for the {self.name}, cross-fitted",
            "",
            Cells(tuple(map(str, table.index)), columns, tuple(map(tuple, cells)), False),
            "---",
            f"Loss: {measure} of rows that took no part in the learning; trivial: by their mean",
        ]
        chosen = self.chosen
        if len(chosen):
            title = next(said.title for each in self.functions.values() for _, said in each.told if said.values)
            labels = tuple(f"{name}, {fold}" for name, fold in chosen.index)
            body = tuple(tuple("" if x is np.nan else x for x in row) for row in chosen.to_numpy())
            parts += ["", f"{title} in each fold", Cells(labels, tuple(map(str, chosen.columns)), body, False)]
        parts += [f"{name}: {text}" for name, each in self.functions.items() if (text := _told(each, plain=True))]
        return Summary(tuple(parts))

    @property
    def _regression(self) -> bool:
        return next(iter(self.functions.values())).task.kind == "regression"

    def _check_repeat(self, repeat: int) -> None:
        there = next(iter(self.functions.values())).predictions.shape[1]
        whole("repeat", repeat, "which repetition of the cross-fitting", there)

    def _columns(self, name: str, values: Array, both: bool = True) -> Iterator[tuple[str, Array]]:
        """Titles and predictions of one function: the mean, the probability of 1, or those of the levels."""
        if values.ndim == 1:
            yield name, values
        elif name != "treatment":  # in a part of the rows there are as many functions as parts
            yield name, values[:, 1]
        else:
            levels = self.frame.the_treatment.levels
            first = 1 if not both and len(levels) == 2 else 0
            for k, level in list(enumerate(levels))[first:]:
                yield f"{self.frame.the_treatment.name} = {level}", values[:, k]

    def _seen(self, each: Learned, title: str, repeat: int) -> Array:
        if each.task.name != "treatment" or each.predictions.ndim == 2:
            return each.task.target(repeat - 1).astype(float)
        treatment = self.frame.the_treatment
        titles = [f"{treatment.name} = {level}" for level in treatment.levels]
        return (each.task.y == titles.index(title)).astype(float)


def _told(each: Learned, plain: bool = False) -> str:
    """What the learner says of itself, fold by fold; ``plain`` leaves out what stands in a table."""
    return "; ".join(f"{fold}: {said.text}" for fold, said in each.told if not (plain and said.values))


def _groups(p: Array, seen: Array, w: Array, groups: int) -> list[tuple[float, float, float]]:
    """Weighted means in groups of nearly as many rows, those of one prediction together."""
    cuts = np.unique(np.quantile(p, np.linspace(0, 1, groups + 1)[1:-1]))
    place = np.searchsorted(cuts, p, side="left")
    out = []
    for k in np.unique(place):
        inside = place == k
        out.append(
            (
                float(np.average(p[inside], weights=w[inside])),
                float(np.average(seen[inside], weights=w[inside])),
                float(w[inside].sum()),
            )
        )
    return out
