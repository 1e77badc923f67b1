"""``Effects``: the effect for every unit, with predictions under each level of the treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.meta.kinds import S_LEARNER
from causalformula.backends.meta.units import Predicted
from causalformula.backends.options import one_of
from causalformula.backends.target import target_arm, target_weights
from causalformula.diagnostics.effect_accuracy import effect_accuracy, same_for_all
from causalformula.diagnostics.statistics import weighted_quantiles
from causalformula.errors import CapabilityError, DataError, OptionError, asks, counted, warn
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots import unit_effects as pictures
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.probabilities import beyond_notes
from causalformula.results.families.unit_errors import Pair, UnitErrors
from causalformula.results.reading.reading import check_level
from causalformula.results.reading.unit_truth import as_long, true_numbers, unit_truth
from causalformula.results.text.coefmat import EFFECT_WIDTH, Cells
from causalformula.results.text.summary import Paged, Summary
from causalformula.results.wording import sampling_weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

KINDS = ("histogram", "sorted", "truth", "modifier")
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def one_for_all(fit: LearnedResult) -> str:
    """What to say where a learner predicts the same effect for all."""
    text = f"the {learner_words(fit)} predicts one effect for all units"
    if fit.fit.units.kind is S_LEARNER and not fit.call.frame.has("modify"):
        text += "; name in modify(...) what it may vary with, which the treatment is then crossed with"
    return text


def learner_words(fit: LearnedResult) -> str:
    """The kind of meta-learner, and what it is made of."""
    names = dict.fromkeys(task.learner.name for task, _ in fit.fit.units.models.values())
    return f"{fit.fit.units.kind.name} ({' and '.join(names)})"


def _spread(effect: Array, weights: Array | None) -> list[float]:
    """Mean, standard deviation and quantiles, of the rows that have weight; NaN where there is nothing to have them."""
    w = np.ones(len(effect)) if weights is None else weights
    effect, w = effect[w > 0], w[w > 0]
    n = len(effect)
    if not n:
        return [np.nan] * (2 + len(QUANTILES))
    mean = float(np.average(effect, weights=w))
    varied = n > 1 and not same_for_all(effect)
    sd = float(np.sqrt(np.average((effect - mean) ** 2, weights=w) * n / (n - 1))) if varied else 0.0
    found = np.quantile(effect, QUANTILES) if weights is None else weighted_quantiles(effect, w, QUANTILES)
    return [mean, np.nan if n == 1 else sd, *map(float, found)]


@dataclass(frozen=True, eq=False, repr=False)
class Effects(Paged):
    """Effects of units, and what they are made of.

    Attributes
    ----------
    fit : LearnedResult
        The fit whose learners predict them.
    predicted : Predicted
        Means under each level, and effects, of the rows without a missing value.
    complete : ndarray (n,) of bool
        Which rows these are.
    index : Index
        Row labels.
    pairs : tuple
        The levels that each effect compares, by place.
    errors : UnitErrors or None
        None where theory has no standard errors of units, and no others were asked for.
    new : bool
        Whether the rows are other data than those of the fit.
    held : bool
        Whether each row's learners saw neither it nor its fold.
    """

    fit: LearnedResult
    predicted: Predicted
    complete: Bools
    index: Any
    pairs: tuple[Pair, ...]
    errors: UnitErrors | None = None
    new: bool = False
    held: bool = False

    # -- numbers ---------------------------------------------------------------------------------------------------

    @property
    def effect(self) -> Array:
        """Effects (n,) of the one contrast there is, or (n, q); NaN for rows with a missing value."""
        found = self._filled(self._effects)
        return found[:, 0] if len(self.contrasts) == 1 else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.effect, dtype=dtype)

    def __len__(self) -> int:
        return len(self.complete)

    @property
    def _effects(self) -> Array:
        m = self.predicted.means
        if not self.pairs:  # a dose
            return self.predicted.effects
        return np.column_stack([m[:, high] - m[:, low] for high, low in self.pairs])

    @property
    def _weights(self) -> Array | None:
        """Sampling weights of the rows that have an effect; new rows have none."""
        found = None if self.new else self.fit.call.frame.weights
        return None if found is None else found[self.complete]

    def _filled(self, values: Array) -> Array:
        out = np.full((len(self.complete), values.shape[1]), np.nan)
        out[self.complete] = values
        return out

    @property
    def contrasts(self) -> tuple[str, ...]:
        """What each effect compares: ``1 - 0``."""
        levels = self.fit.call.frame.the_treatment.levels
        if not self.pairs:
            return (self.fit.answer.labels[0].contrast,)
        return tuple(f"{levels[high]} - {levels[low]}" for high, low in self.pairs)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One row a unit.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        DataFrame
            A prediction under each level of the treatment (``treatment = level``); ``effect``, and where there are
            standard errors ``std.error conf.low conf.high``, each followed by the contrast where there are several.
        """
        import pandas as pd

        check_level(level)
        treatment = self.fit.call.frame.the_treatment
        names = [f"{treatment.name} = {each}" for each in treatment.levels]
        columns = dict(zip(names, self._filled(self.predicted.means).T, strict=True))
        blocks = {"effect": self._effects}
        if self.errors is not None:
            low, high = self.errors.limits(self._effects, level)
            blocks |= {"std.error": self.errors.std_error, "conf.low": low, "conf.high": high}
        for j, contrast in enumerate(self.contrasts):
            ending = "" if len(self.contrasts) == 1 else f" {contrast}"
            columns |= {f"{name}{ending}": self._filled(values)[:, j] for name, values in blocks.items()}
        return pd.DataFrame(columns, index=self.index)

    @asks
    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Limits of each unit's effect.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
            ``conf.low, conf.high``, as in ``to_frame()``.

        Raises
        ------
        CapabilityError
            Where theory has none for these learners, and no refits were asked for.
        """
        if self.held:
            raise CapabilityError(
                "there are no intervals for predictions of rows held out; effects() has those of units"
            )
        if self.errors is None:
            raise CapabilityError(
                f"theory has no intervals for effects of units by this {self.fit.fit.units.kind.name}; "
                "effects(vcov='bootstrap') refits it on resamples, and 's_learner' and 't_learner' of glms have theirs"
            )
        found = self.to_frame(level)
        return found[[name for name in found if str(name).startswith("conf.")]]

    @asks
    def score(self, truth: Any) -> Mapping[str, float]:
        r"""Errors against true effects, where these are known.

        .. math:: \mathrm{PEHE} = \sqrt{\frac1n \sum_i (\hat\tau_i - \tau_i)^2}

        Parameters
        ----------
        truth : str, Series or array
            A column of the data, or numbers: a Series by its row labels, an array in the order of the rows.

        Returns
        -------
        mapping of str to float
            ``PEHE``, ``MAE``, ``bias`` (the mean error), ``correlation`` (NaN where effects are the same for all) and
            ``error of the average``: the estimated average effect minus the true one of its target population (NaN
            for new rows, whose average is not estimated: the fit's is of its own rows). All others are of every row
            that has an effect, for an ATT or ATC too, and weighted as the fit is; new rows are not. Rows with missing
            covariates have none: a warning counts them.

        Raises
        ------
        DataError
            For a truth of another length.
        """
        true = self._truth(truth)
        effect, gone = self._only("score()")[:, 0], int((~self.complete).sum())
        if gone:
            warn(f"score() leaves out {counted(gone, 'row')} of {len(self)} with missing values, without an effect")
        found = effect_accuracy(effect, true, weights=self._weights)
        average = np.nan
        if not self.new and self.fit.answer.measure.name == "difference":
            w = target_weights(self.fit.call.frame, self.fit.call.options)
            average = float(self.fit.read().estimate[0] - w @ true / w.sum())
        return {
            "PEHE": found.pehe,
            "MAE": found.mae,
            "bias": found.bias,
            "correlation": found.correlation,
            "error of the average": average,
        }

    def _only(self, verb: str) -> Array:
        if len(self.pairs) > 1:
            raise OptionError(f"{verb} is of one effect; choose it by contrast=(low, high) in fit()")
        return self._effects

    def _truth(self, truth: Any) -> Array:
        """True effects of the rows without a missing value."""
        if not self.new:
            return unit_truth(truth, self.fit.call.frame)[self.complete]
        if isinstance(truth, str):
            raise OptionError("a truth by name is a column of the data of the fit; for new rows give the numbers")
        return as_long(true_numbers(truth, self.index), len(self.complete))[self.complete]

    # -- print and pictures ----------------------------------------------------------------------------------------

    def _page(self) -> Summary:
        fit, frame = self.fit, self.fit.call.frame
        outcome = "" if frame.outcome is None else f" on {frame.outcome.name}"
        rows = f"{counted(len(self.complete), 'unit')}{', new' if self.new else ''}"
        seen = "rows that each was not learned from" if self.held else "learners of all rows"
        lines = [
            f"Effects of {frame.the_treatment.name}{outcome} for {rows}",
            f"Method: {learner_words(fit)}; predicted by {'learners of other folds' if self.held else seen}",
            *self._weighed(),
            "",
        ]
        values = [_spread(e, self._weights) for e in self._effects.T]
        heads = ("Mean", "Std. Dev.", "Min", "10%", "25%", "Median", "75%", "90%", "Max")
        cells = tuple(tuple("NA" if np.isnan(value) else f"{value:.4g}" for value in row) for row in values)
        table = Cells(self.contrasts, heads, cells, False, width=EFFECT_WIDTH)
        below = []
        if len(self._effects) > 1 and all(same_for_all(e) for e in self._effects.T):
            below.append(f"Note: {one_for_all(fit)}")
        below += [f"Note: {note}" for note in beyond_notes(fit, self.predicted.means, self._effects)]
        if self.held:
            below.append("Standard errors: none of rows held out")
        elif self.errors is None:
            below.append("Standard errors: none in theory; effects(vcov='bootstrap') refits the learner")
        else:
            below += [f"Standard errors: {self.errors.label}", *(f"Note: {note}" for note in self.errors.notes)]
        gone = int((~self.complete).sum())
        if gone:
            below.append(f"({counted(gone, 'row')} with missing values, without an effect)")
        return Summary((*lines, table, "", *below))

    def _weighed(self) -> tuple[str, ...]:
        """By what the table is weighed."""
        if self._weights is None:
            return ()
        zero = int((self._weights == 0).sum())
        without = f", without {counted(zero, 'row')} of weight zero" if zero else ""
        return (f"Sampling weights: {sampling_weights(self.fit.call.frame)}{without}",)

    def __repr__(self) -> str:
        return str(self._page())

    def plot(
        self, kind: str = "histogram", ax: Axes | None = None, *, truth: Any = None, by: str | None = None,
        level: float = 0.95,
    ) -> Axes:  # fmt: skip
        """Draw the effects.

        Parameters
        ----------
        kind : {"histogram", "sorted", "truth", "modifier"}
            Their distribution with the average and its interval; sorted, with their intervals where there are some;
            predicted against true ones; against a column of the data.
        ax : matplotlib Axes, optional
        truth : as in ``score()``, optional
            Of ``kind="truth"``.
        by : str, optional
            The column of ``kind="modifier"``.
        level : float
            Of the intervals.

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For an option of another kind of picture; for a column of more levels than there is room for.
        DataError
            Where no row has an effect.
        """
        one_of("kind", kind, KINDS)
        check_level(level)
        for name, value, own in (("truth", truth, "truth"), ("by", by, "modifier")):
            if value is not None and kind != own:
                raise OptionError(f"{name}= is of plot(kind={own!r})")
        effect, frame = self._only("plot()")[:, 0], self.fit.call.frame
        if not len(effect):
            raise DataError("there is no row with an effect to draw")
        label = f"Effect of {frame.the_treatment.name}, {self.contrasts[0]}"
        if kind == "truth":
            if truth is None:
                raise OptionError("plot(kind='truth') needs truth=: the true effects, or the name of their column")
            return pictures.against_truth(effect, self._truth(truth), ax, weights=self._weights)
        if kind == "modifier":
            if self.new:
                raise OptionError(
                    "plot(kind='modifier') is of rows of the fit, whose columns are kept: effects() without newdata="
                )
            if by is None:
                raise OptionError("plot(kind='modifier') needs by=, a column of the data of the fit")
            frame.table.named(by)  # an unknown one has its message
            column = frame.data_used()[by]
            if hasattr(column.dtype, "tz"):  # its moments, as numpy has no zones
                column = column.dt.tz_localize(None)
            return pictures.against_modifier(effect, column.to_numpy(), ax, name=by, label=label)
        read = self.fit.read(level)
        average = float(read.estimate[0])
        if kind == "histogram":
            limits = (float(read.low[0]), float(read.high[0]))
            return pictures.histogram(
                effect,
                average,
                limits,
                ax,
                weights=self._weights,
                level=level,
                label=label,
                average_of=self._average_of,
            )
        found = None if self.errors is None else self.errors.limits(self._effects, level)
        limits2 = None if found is None else (found[0][:, 0], found[1][:, 0])
        return pictures.sorted_effects(
            effect, limits2, ax, average=average, level=level, label=label, average_of=self._average_of
        )

    @property
    def _average_of(self) -> str:
        """What the average is of, where it is not of the rows beside it."""
        call = self.fit.call
        parts = ["the fit"] * self.new + [str(call.options.estimand)] * (
            target_arm(call.frame, call.options) is not None
        )
        return ", ".join(parts)
