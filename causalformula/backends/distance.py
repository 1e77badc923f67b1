"""The propensity score as a distance between units, and how far the arms overlap on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.propensity import learned_propensity
from causalformula.backends.learning.table import read_learner, refuse_kind
from causalformula.backends.options import Options, flag, one_of, shown
from causalformula.backends.propensity import fit_propensity, propensity_notes
from causalformula.errors import DataError, OptionError, choose
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import OfOverlap
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.ties import tied
from causalformula.words import Discard, DistanceLink

LINKS = ("logit", "probit", "cloglog", "cauchit")
# The linear predictor instead of the probability.
LINEAR = "linear."
DISTANCE_LINKS = (*LINKS, *(LINEAR + link for link in LINKS))
GLM = "glm"
DISCARD = ("treated", "control", "both")
# An arm that keeps less than this share of its size in effective units is said to be thin.
THIN = 0.1


@dataclass(frozen=True, kw_only=True)
class DistanceOptions(Options):
    """What every method that compares units on a distance takes.

    Parameters
    ----------
    distance : str or classifier
        ``"glm"``, the propensity score of the formula's confounders; a scikit-learn classifier, whose probabilities of
        the rows that it was fitted to are the score, as MatchIt's are; or a column of the data.
    link : str
        Of the propensity model: ``"logit"``, ``"probit"``, ``"cloglog"`` or ``"cauchit"``; ``"linear.logit"`` and its
        like take the linear predictor.
    discard : str, optional
        ``"treated"``, ``"control"`` or ``"both"``: drop units of these arms outside the common support of the distance.
    reestimate : bool
        Fit the propensity model again without the units that were dropped.
    """

    distance: Any = GLM
    link: DistanceLink = "logit"
    discard: Discard | None = None
    reestimate: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_distance()
        one_of("link", self.link, DISTANCE_LINKS)
        if self.link != "logit" and not self.modelled:
            what = f"distance={shown(self.distance)}"
            raise OptionError(f"link={self.link!r} is for distance='glm'; {what} {self._other()}")
        if self.discard is not None:
            one_of("discard", self.discard, DISCARD)
        flag("reestimate", self.reestimate)
        if self.reestimate and self.discard is None:
            raise OptionError("reestimate=True fits the score again after discard=, which is not given")
        if self.reestimate and not (self.modelled or self.learned):
            raise OptionError(
                f"reestimate=True is for a score that is estimated; distance={self.distance!r} {self._other()}"
            )

    def _check_distance(self) -> None:
        if isinstance(self.distance, str):
            return
        if hasattr(self.distance, "fit") or isinstance(self.distance, type):
            refuse_kind(read_learner(self.distance, "distance"), "classification", "distance")
            return
        raise OptionError(
            "distance is 'glm', the name of a column, or a scikit-learn classifier, not "
            f"{shown(self.distance)}; scores of your own go into a column of the data"
        )

    def _other(self) -> str:
        return "is a classifier" if self.learned else "is a column"

    @property
    def _known(self) -> tuple[str, ...]:
        """Distances that are named by words; any other name is that of a column."""
        return (GLM,)

    @property
    def modelled(self) -> bool:
        """Whether the distance is the propensity score of a generalised linear model."""
        return isinstance(self.distance, str) and self.distance == GLM

    @property
    def learned(self) -> bool:
        """Whether it is the score of a classifier."""
        return not isinstance(self.distance, str)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name."""
        return () if self.modelled or self.learned else (self.distance,)


def refuse_unknown_distance(options: Options, columns: Iterable[str]) -> None:
    """An ``OptionError`` for a distance that is neither a word nor a column."""
    if not isinstance(options, DistanceOptions) or not isinstance(options.distance, str):
        return
    if options.distance not in (*options._known, *columns):
        told = choose(options.distance, options._known)
        raise OptionError(f"unknown distance {options.distance!r}{told}, or the name of a column")


@dataclass(frozen=True, eq=False)
class Distance:
    """A score on which units of a binary treatment are compared.

    Parameters
    ----------
    values : ndarray (n,)
    words : str
        What it is, for the print.
    model : FittedRegression, optional
        The propensity model.
    notes : tuple of str
    title, how : str
        What it is, and how it was estimated, in MatchIt's words.
    """

    values: Array
    words: str
    model: FittedRegression | None = None
    notes: tuple[str, ...] = ()
    title: str = "User-defined"
    how: str = ""

    @property
    def estimated(self) -> bool:
        """Whether it was estimated from these data."""
        return bool(self.how)


def read_distance(frame: ModelFrame, options: DistanceOptions) -> Distance:
    """The score that ``distance=`` names: a propensity model's, a classifier's, or a column.

    Raises
    ------
    DataError
        If the score is the same for everyone, or a column is missing or infinite somewhere.
    IdentificationError
        If the covariates predict the treatment perfectly.
    """
    if options.modelled:
        found = _propensity(frame, options.link)
    else:
        found = _learned(frame, options.distance) if options.learned else _column(frame, options.distance)
        given = f"{_said(options)} gives the scores, so propensity(...) models nothing"
        if not options.learned:
            frame.refuse_roles(("propensity",), given)
    found = replace(found, values=tied(found.values))
    inside = found.values[frame.unit_weights > 0]
    refuse_constant(found.words, bool(found.how), float(inside.min()), float(inside.max()))
    return found


def refuse_constant(words: str, estimated: bool, least: float, most: float) -> None:
    """A ``DataError`` for a distance that is the same for all rows."""
    if most - least <= 1e-12 * max(abs(least), abs(most)):
        advice = "add adjust(...)" if estimated else "give another column"
        raise DataError(f"the {words} is the same for all rows, so nothing tells them apart; {advice}")


def _said(options: DistanceOptions) -> str:
    return f"distance={options.distance!r}"


def kept_by_support(frame: ModelFrame, options: DistanceOptions) -> tuple[Distance, Bools]:
    """The distance, and the rows that lie within the common support where ``discard=`` asks for it.

    Raises
    ------
    DataError
        As ``read_distance``, and where an arm has no row within the support.
    """
    distance, used, treated = read_distance(frame, options), frame.unit_weights > 0, frame.the_treatment.codes == 1
    both_arms(frame, used, "")
    if options.discard is None:
        return distance, np.ones(frame.n, dtype=bool)
    kept = common_support(distance.values, treated, used, options.discard)
    both_arms(frame, kept & used, f" within the common support (discard={options.discard!r})")
    if options.reestimate:
        again = read_distance(frame.reweight(kept.astype(float)), options)
        distance = replace(again, values=np.where(kept, again.values, distance.values))
    return distance, kept


def both_arms(frame: ModelFrame, used: Bools, where: str) -> None:
    """A ``DataError`` when an arm has no row."""
    treatment = frame.the_treatment
    for k, level in enumerate(treatment.levels):
        if not (used & (treatment.codes == k)).any():
            raise lacking_arm(treatment.name, level, where)


def lacking_arm(name: str, level: str, where: str) -> DataError:
    """Of an arm that no row is in."""
    return DataError(f"no row has {name} = {level}{where}; both arms are needed")


def distance_lines(frame: ModelFrame, distance: Distance | None, uses: tuple[str, ...], metric: str = "") -> list[str]:
    """The lines on the distance in MatchIt's print, with their newlines, which it leaves out in places.

    Parameters
    ----------
    uses : tuple of str
        What the score is for beside matching: ``"caliper"``, ``"common support"``.
    metric : str
        The distance of several covariates that units are matched on, in words; empty where they are on the score.
    """
    first, indent = " - distance: ", " " * 13
    lines = []
    if metric:
        lines.append(f"{first}{metric}" + (" [matching]\n" if distance is not None else ""))
        first = indent
    if distance is not None:
        lines.append(f"{first}{distance.title}" + (f" [{', '.join(uses)}]\n" if uses else ""))
        if distance.how:
            lines.append(f"\n{indent}- estimated with {distance.how}\n")
            if frame.weights is not None:
                lines.append(f"{indent}- sampling weights included in estimation\n")
    return lines


SUPPORT = {"both": "units from both groups", "treated": "treated units", "control": "control units"}


def support_line(discard: str | None) -> list[str]:
    """The line on the common support in MatchIt's print."""
    return [] if discard is None else [f" - common support: {SUPPORT[discard]} dropped\n"]


def _column(frame: ModelFrame, name: str) -> Distance:
    values = frame.numbers(name)
    if not np.isfinite(values).all():
        raise DataError(f"the distance {name!r} has infinite values")
    return Distance(values, f"distance {name}")


# How MatchIt's print names regressions by their links.
_REGRESSIONS = {"logit": "logistic regression", "probit": "probit regression"}


def score_words(link: str) -> str:
    """What a distance by a propensity model with this link is, for the print."""
    plain = link.removeprefix(LINEAR)
    words = "propensity score" if plain == "logit" else f"propensity score ({plain} link)"
    return words if plain == link else f"linear {words}"


def _propensity(frame: ModelFrame, link: str) -> Distance:
    plain = link.removeprefix(LINEAR)
    linear = plain != link
    model = fit_propensity(frame, plain)
    words = score_words(link)
    how = _REGRESSIONS.get(plain, f"GLM with a {plain} link") + (" and linearized" if linear else "")
    values = model.eta if linear else model.mu
    return Distance(values, words, model, propensity_notes(frame, model), "Propensity score", how)


def _learned(frame: ModelFrame, model: Any) -> Distance:
    """Probabilities of the treated arm by a classifier, of the rows that it was fitted to."""
    learner = read_learner(model, "distance")
    found, folds = learned_propensity(frame, learner, 1, 0, "distance")
    words = f"propensity score ({learner.name})"
    return Distance(
        found.predictions[:, 0, 1], words, None, learning_notes([found], folds), "Propensity score", f"a {learner.name}"
    )


def common_support(x: Array, treated: Bools, used: Bools, discard: str) -> Bools:
    """Rows kept: those of the arms named that lie within the other arm's range of the score, and all others."""
    x = tied(x)
    a, b = x[treated & used], x[~treated & used]
    return within_support(x, treated, (a.min(), a.max()), (b.min(), b.max()), discard)


def within_support(x: Array, treated: Bools, a: tuple[float, float], b: tuple[float, float], discard: str) -> Bools:
    """The same for the ranges of the treated and of the controls."""
    of_treated = (x >= a[0]) & (x <= a[1])
    of_control = (x >= b[0]) & (x <= b[1])
    if discard == "both":
        return np.asarray(of_treated & of_control)
    return np.asarray(of_control | ~treated if discard == "treated" else of_treated | treated)


def left_over(frame: ModelFrame, estimand: str, dropped: int) -> str:
    """The end of a note on rows left out of the design: whose effect is estimated without them."""
    return f". The {estimand} is that of the other {frame.nobs - dropped}" if dropped else ""


def thin_arms(frame: ModelFrame, weights: Array, held: bool = False) -> tuple[str, ...]:
    """A note for each arm whose effective sample size falls below a tenth of its size.

    In a design of matches or strata, which is ``held`` fixed, of the size of what it keeps: whom it leaves out is told
    for itself.
    """
    return thin_words(frame, arm_sizes(frame, weights, held, unit=float(frame.unit_weights.max())))


def arm_sizes(frame: ModelFrame, weights: Array, held: bool = False, *, unit: float = 1.0) -> Array:
    """By arm: the sums of the sampling weights and of their squares, then of those of the design (K, 4).

    Sums over rows, of which effective sample sizes are made; of a sample without arms there is one line. These do not
    change with the ``unit`` of the sampling weights, in which squares of large ones do not overflow.
    """
    treatment, s = frame.the_treatment, frame.unit_weights / (unit or 1.0)
    arms = treatment.codes[:, None] == np.arange(len(treatment.levels)) if treatment.levels else np.ones((frame.n, 1))
    found = np.empty((arms.shape[1], 4))
    for k, inside in enumerate(arms.T.astype(bool)):
        own, made = s[inside & (weights > 0) if held else inside], (s * weights)[inside]
        found[k] = own.sum(), own @ own, made.sum(), made @ made
    return found


def thin_words(frame: ModelFrame, sizes: Array) -> tuple[str, ...]:
    """The notes, by what ``arm_sizes`` says of all rows."""
    treatment = frame.the_treatment
    names = [f"{treatment.name} = {level}" for level in treatment.levels] or ["the sample"]
    notes = []
    for name, (total, square, made, made_square) in zip(names, sizes, strict=True):
        before, after = (a**2 / b if b else 0.0 for a, b in ((total, square), (made, made_square)))
        if after < THIN * before:
            told = f"effective sample size {after:.1f} instead of {before:.1f}"
            notes.append(OfOverlap(f"few rows carry the weight of {name}: {told}"))
    return tuple(notes)


def refuse_single_rows(frame: ModelFrame, weights: Array) -> None:
    """A ``DataError`` where one row of an arm has all its weight: the outcome's variance there would count as zero.

    Resamples of a small arm may hold a single row, and count.
    """
    treatment = frame.the_treatment
    if frame.counts is not None or not treatment.levels:
        return
    for k, level in enumerate(treatment.levels):
        rows = np.flatnonzero((treatment.codes == k) & (frame.unit_weights * weights > 0))
        if len(rows) == 1:
            raise single_row(f"{treatment.name} = {level}", f" ({frame.index[rows[0]]})")


def single_row(arm: str, which: str = "") -> DataError:
    """Of an arm all of whose weight one row has."""
    return DataError(
        f"one row{which} has all the weight of {arm}; a single unit leaves no variance to estimate, and every arm "
        "needs at least two"
    )
