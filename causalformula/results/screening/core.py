"""``ScreenCore``: the answers to hundreds of questions, and the table that is read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.calibration import EmpiricalNull
from causalformula.inference.multiplicity import METHODS, adjust
from causalformula.numerics.arrays import Array
from causalformula.results.reading.estimates import respelled
from causalformula.results.result import Result
from causalformula.results.screening.calibrated import Calibration, calibration
from causalformula.results.screening.questions import PAIRS, TREATMENTS
from causalformula.results.screening.rows import SHOWN
from causalformula.words import Adjustment, Spelling

if TYPE_CHECKING:
    import pandas as pd

BETWEEN = " | "


@dataclass(frozen=True, eq=False, repr=False)
class ScreenCore:
    """What the print and the pictures of a screen read.

    Attributes
    ----------
    formula : str
        As it was written.
    answers : DataFrame
        One row an effect, or a question that failed.
    kind : {"treatments", "outcomes", "pairs"}
        What is screened.
    adjust : str
        How p-values are adjusted.
    level : float
        Of the confidence limits.
    controls : {"treatments", "outcomes", ""}
        What the negative controls are; empty without them.
    jointly : ndarray (rows,) or None
        P-values adjusted by Romano and Wolf's resampling.
    seed : int or None
        Of that.
    told : tuple of str
        What there is to say of the whole.
    fits : mapping of (str, str) to Result
        By treatment and outcome, where they are kept.
    """

    formula: str
    answers: pd.DataFrame
    kind: str
    adjust: Adjustment
    level: float
    controls: str
    jointly: Array | None
    seed: int | None
    told: tuple[str, ...]
    fits: Mapping[tuple[str, str], Result]

    @cached_property
    def _calibration(self) -> Calibration | None:
        return calibration(self.answers, self.controls) if self.controls else None

    @property
    def nulls(self) -> Mapping[str, EmpiricalNull]:
        """The systematic error that negative controls tell: by treatment where they are outcomes, else by outcome."""
        return {} if self._calibration is None else dict(self._calibration.nulls)

    @property
    def errors(self) -> Mapping[tuple[str, str], str]:
        """Why questions have no estimate, by treatment and outcome."""
        failed = self.answers[self.answers["error"] != ""]
        return dict(zip(zip(failed["treatment"], failed["outcome"], strict=True), failed["error"], strict=True))

    def tidy(self, names: Spelling = "broom") -> pd.DataFrame:
        """One row a question, and effect where there are several, in the order asked.

        Parameters
        ----------
        names : {"broom", "snake"}
            ``std.error`` or ``std_error``.

        Returns
        -------
        DataFrame
            ``treatment, outcome, term, contrast, estimate, std.error, statistic, df, p.value, conf.low, conf.high``;
            ``p.adjusted``, over all questions but the negative controls; with these ``control``, ``p.calibrated`` and
            ``p.calibrated.adjusted``; ``rows`` used and ``events`` among them (of an outcome of 0 and 1); ``ess``, the
            effective sample size of the arm where it is the smallest; ``balance``, the largest difference in means that
            the design leaves, as the balance table has it (standardised; of 0/1 covariates in proportions; of a dose
            the correlation), and ``balance.covariate``; ``overlap`` (``ok``, ``weak`` where a note says so, empty where
            the method looks at none); ``notes`` and ``error``, the message of a question that has no estimate.
        """
        found = self.answers[list(SHOWN)].copy()
        found["notes"] = [BETWEEN.join(notes) for notes in found["notes"]]
        after = {"p.adjusted": self._adjusted(self.answers["p.value"].to_numpy(dtype=float))}
        if self._calibration is not None:
            after |= {"p.calibrated": self._calibration.p_value}
            if self.adjust in METHODS:
                after["p.calibrated.adjusted"] = self._adjusted(self._calibration.p_value)
            found.insert(2, "control", self.answers["control"].to_numpy(dtype=bool))
        place = list(found.columns).index("p.value") + 1
        for k, (name, values) in enumerate(after.items()):
            found.insert(place + k, name, values)
        return respelled(found, names)

    def _adjusted(self, p: Array) -> Array:
        """P-values adjusted over all questions but the controls, of which nobody asks."""
        if self.adjust not in METHODS:
            return np.full(len(p), np.nan) if self.jointly is None else self.jointly
        return adjust(np.where(self.answers["control"], np.nan, p), self.adjust)

    def _labels(self) -> list[str]:
        """What each row is called: what is screened, with the contrast where rows differ in it."""
        rows = self.answers
        names = rows["treatment"] + " on " + rows["outcome"]
        if self.kind != PAIRS:
            names = rows["treatment"] if self.kind == TREATMENTS else rows["outcome"]
        contrasts = rows["contrast"][rows["error"] == ""]
        if contrasts.nunique() < 2:
            return list(names)
        return [f"{name} {contrast}".strip() for name, contrast in zip(names, rows["contrast"], strict=True)]

    def _read_p(self) -> Array:
        """The p-values that rows are sorted by: calibrated ones where there are controls."""
        found = self._calibration
        own = self.answers["p.value"].to_numpy(dtype=float)
        return own if found is None or not found.nulls else found.p_value
