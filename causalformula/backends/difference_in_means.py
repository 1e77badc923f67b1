"""Difference in means of a randomised experiment: plain, blocked, paired and clustered (Neyman)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting, contrasts, settings
from causalformula.backends.estimands import ATE
from causalformula.backends.fit import Answer, Fit, Query, unit_design
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans, effects_answer
from causalformula.backends.registry import Record
from causalformula.errors import DataError, OptionError, some, warn
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Fixed, Influence
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Cluster
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import origin_of
from causalformula.numerics.least_squares import group_sums
from causalformula.numerics.linalg import refuse_extreme

# Said where the variance within blocks of two cannot be estimated, and that between all is taken in its place.
MIXED = "some blocks have two units and others more; the variance between blocks (matched pairs) is used for all"


@dataclass(frozen=True, kw_only=True)
class DifferenceInMeans(Options):
    """Options of ``method="difference_in_means"``; blocks come from ``strata(...)``, clusters from ``cluster(...)``.

    Notes
    -----
    ``cluster(g)`` says that clusters were assigned: standard errors are CR2, as estimatr's. ``vcov="~g"`` is what it is
    everywhere, ``sandwich::vcovCL``'s CR1S. The degrees of freedom of the design (Welch's) are those of differences; a
    ratio of means has the residual ones.

    Parameters
    ----------
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """


@dataclass(frozen=True, eq=False)
class Cells:
    """Weighted cell means of blocks x arms, and what the Neyman variance needs of them.

    ``mean[b, a] = sum w y / W[b, a]``; ``share[b]`` is the block's part of all weights; ``names`` are the blocks'.
    Outcomes and means are counted from ``origin``. ``square[b, a] = sum w (y - mean)^2`` is given where the rows are
    some of those that the other sums are over.
    """

    block: Codes
    arm: Codes
    w: Array
    y: Array
    total: Array
    count: Codes
    mean: Array
    names: tuple[str, ...]
    origin: float = 0.0
    square: Array | None = None

    @property
    def weight(self) -> float:
        """Sum of all weights."""
        return float(self.w.sum() if self.square is None else self.total.sum())

    @property
    def share(self) -> Array:
        """Blocks' shares of the sample (B,)."""
        return np.asarray(self.total.sum(axis=1) / self.total.sum())


def cells(frame: ModelFrame) -> Cells:
    """Cell means of a frame; a block without one of the arms is an error."""
    treatment = frame.the_treatment
    refuse_extreme(frame.y, "the outcome")
    w, origin = frame.unit_weights, origin_of(frame.y)
    y = frame.y - origin
    block, names = _blocks(frame, w)
    levels, size = len(treatment.levels), len(names)
    cell = block * levels + treatment.codes
    sums = group_sums(np.column_stack([w, w * y, (w > 0).astype(float)]), cell, size * levels)
    total, count = sums[:, 0].reshape(size, levels), sums[:, 2].reshape(size, levels).astype(np.intp)
    empty = np.argwhere(total == 0)
    if len(empty):
        missing = [f"{names[b]} (no {treatment.name} = {treatment.levels[a]})" for b, a in empty]
        raise DataError(f"every block needs every arm; these do not have them: {some(missing)}")
    mean = sums[:, 1].reshape(size, levels) / total
    return Cells(block, treatment.codes, w, y, total, count, mean, names, origin)


def _blocks(frame: ModelFrame, w: Array) -> tuple[Codes, tuple[str, ...]]:
    """Blocks 0..B-1 with their names: those that have weight, as a replicate may not have drawn some.

    A row of a block without weight counts, for nothing, in the first.
    """
    if frame.strata is None:
        return np.zeros(frame.n, dtype=np.intp), ("all",)
    codes, levels = frame.strata.codes, frame.strata.levels
    present = np.bincount(codes, w, minlength=len(levels)) > 0
    if present.all():
        return codes, levels
    place = np.maximum(np.cumsum(present) - 1, 0)
    kept = tuple(level for level, there in zip(levels, present, strict=True) if there)
    return np.where(present[codes], place[codes], 0).astype(np.intp), kept


@dataclass(frozen=True, eq=False)
class Arms:
    """Mean potential outcomes by arm."""

    frame: ModelFrame
    options: DifferenceInMeans
    cells: Cells

    def potential(self) -> PotentialMeans:
        """What the means answer, over everyone."""
        hint = "use method='regression' with modify(...), or subset="
        return PotentialMeans(
            self.frame,
            self.options,
            self.of_settings,
            no_groups=f"difference_in_means has no effects by group; {hint}",
            refine=self._with_design_df,
            origin=self.cells.origin,
        )

    def of_settings(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        """Means of some arms; the population is everyone."""
        return self.means().select([int(setting.key) for setting in wanted])

    def means(self) -> Estimate:
        """``mu_a = sum_b share_b mean[b, a]`` with Neyman's influence: within cells, then between blocks."""
        return arm_means(self.cells, tuple(s.label for s in settings(self.frame.the_treatment)), self.frame.clusters)

    def _with_design_df(self, answer: Answer, compared: Sequence[Contrast], target: Array) -> Answer:
        """Degrees of freedom that estimatr's design gives: Welch's, or clusters minus cells within blocks."""
        evidence = answer.estimate.evidence
        if isinstance(evidence, Accumulated):
            known = Estimate(answer.estimate.names, answer.estimate.theta, evidence.shape)
            shape = self._with_design_df(replace(answer, estimate=known), compared, target).estimate.evidence
            return replace(answer, estimate=replace(answer.estimate, evidence=replace(evidence, shape=shape)))
        if isinstance(evidence, Influence) and self.frame.strata is not None and self.frame.clusters:
            free = float(_clusters_by_cell(self.frame, self.cells).sum() - self.cells.mean.size)
            special = {_cluster_default(self.frame): np.full(len(compared), free)}
            evidence = replace(evidence, df_special=special)
            return replace(answer, estimate=replace(answer.estimate, evidence=evidence))
        plain = self.frame.strata is None and self.frame.weights is None
        if not isinstance(evidence, Influence) or not plain or self.options.measure not in ("difference", "nnt"):
            return answer
        df = np.array([self._welch(int(c.high.key), int(c.low.key)) for c in compared])
        evidence = replace(evidence, df_special={"HC2": df})
        return replace(answer, estimate=replace(answer.estimate, evidence=evidence))

    def _welch(self, high: int, low: int) -> float:
        """``(v1 + v0)^2 / (v1^2 / (n1 - 1) + v0^2 / (n0 - 1))``."""
        v, m = [], []
        for a in (high, low):
            variance, size = self._spread(a)
            v.append(variance / size)
            m.append(size - 1)
        if v[0] + v[1] == 0:
            return float(sum(m))
        return float((v[0] + v[1]) ** 2 / (v[0] ** 2 / m[0] + v[1] ** 2 / m[1]))

    def _spread(self, a: int) -> tuple[float, int]:
        """Variance of the outcome in an arm, and number of its rows."""
        c = self.cells
        if c.square is not None:
            return float(c.square[0, a] / (c.count[0, a] - 1)), int(c.count[0, a])
        y = c.y[c.arm == a]
        return float(y.var(ddof=1)), len(y)


def arm_means(c: Cells, names: tuple[str, ...], clusters: object) -> Estimate:
    """Means of the arms with Neyman's influence, of the rows of ``c``."""
    n, theta = len(c.y), c.share @ c.mean
    stage, jac = _cell_stage(c, names) if len(c.total) == 1 or clusters else _arm_stage(c, theta, names)
    between = n * c.w[:, None] * (c.mean[c.block] - theta) / c.weight
    return Estimate(names, theta, Influence((stage,), jac, n, between, rooted=True))


def _cell_stage(c: Cells, names: Sequence[str]) -> tuple[Stage, Array]:
    """The regression on dummies of the cells, whose design CR2 needs, and the arms' means as its shares."""
    levels = c.mean.shape[1]
    X = np.zeros((len(c.y), c.mean.size))
    X[np.arange(len(c.y)), c.block * levels + c.arm] = 1.0
    total = c.total.ravel()
    hat = _cell_hat(c, X, np.diag(1 / total))
    labels = tuple(f"{name}:{b}" for b in range(len(c.total)) for name in names)
    jac = (c.share[:, None, None] * np.eye(levels)).transpose(1, 0, 2).reshape(levels, c.mean.size)
    return Stage("cells", labels, c.mean.ravel(), np.diag(total), hat=hat), jac


def _arm_stage(c: Cells, theta: Array, names: tuple[str, ...]) -> tuple[Stage, Array]:
    """The arms' means directly: the same influences and leverages without a dummy a cell, for any number of blocks."""
    levels = c.mean.shape[1]
    within = np.zeros((len(c.y), levels))
    rows = np.arange(len(c.y))
    within[rows, c.arm] = c.share[c.block] / c.total[c.block, c.arm] * c.w * (c.y - c.mean[c.block, c.arm])
    variance = (c.share[:, None] ** 2 / c.total).sum(axis=0)
    hat = _cell_hat(c, np.empty((len(c.y), 0)), np.diag(variance))
    information = np.diag(1 / variance)
    return Stage("arms", names, theta, information, scores=within @ information, hat=hat), np.eye(levels)


def _cell_hat(c: Cells, X: Array, bread: Array) -> Hat:
    """Residuals, leverages and dispersion of the saturated regression."""
    nobs = int((c.w > 0).sum() if c.square is None else c.count.sum())
    residual = c.y - c.mean[c.block, c.arm]
    df = float(nobs - c.mean.size)
    rss = float(np.dot(c.w, residual**2) if c.square is None else c.square.sum())
    sigma2 = rss / df if df > 0 else np.nan
    return Hat(X, c.w, residual, bread, sigma2, df, True, nobs, h=c.w / c.total[c.block, c.arm], k=c.mean.size)


def _clusters_by_cell(frame: ModelFrame, c: Cells) -> Codes:
    """Clusters with a row of positive weight in each cell (B, levels)."""
    levels = c.mean.shape[1]
    used = c.w > 0
    cell = (c.block * levels + c.arm)[used]
    pairs = np.unique(np.column_stack([cell, frame.clusters[0].codes[used]]), axis=0)
    return np.bincount(pairs[:, 0], minlength=c.mean.size).reshape(c.mean.shape)


def _units_by_cell(frame: ModelFrame, c: Cells) -> Codes:
    """Units of assignment in each cell (B, levels): clusters where each lies in one cell, otherwise rows."""
    if not frame.clusters:
        return c.count
    units = _clusters_by_cell(frame, c)
    nested = units.sum() == len(np.unique(frame.clusters[0].codes[c.w > 0]))
    return units if nested else c.count


def _refuse_single(frame: ModelFrame, c: Cells, count: Codes) -> None:
    """An arm of one unit has no spread: its variance cannot be estimated, and must not count as zero."""
    short = np.argwhere(count < 2)
    if not len(short):
        return
    treatment = frame.the_treatment
    unit = "unit" if not frame.clusters else f"cluster of {frame.clusters[0].name}"
    where = "" if frame.strata is None else "block {}: "
    found = [where.format(c.names[b]) + f"{treatment.name} = {treatment.levels[a]}" for b, a in short]
    every = "every arm" if frame.strata is None else "every arm of every block"
    advice = "method='regression' with vcov='classical' takes the arms' variances as equal"
    if frame.clusters:
        advice = "permutation_test() of method='regression' gives a p-value without one"
    if frame.strata is not None:
        advice = "merge blocks, or leave strata(...) out; blocks of exactly two units are analysed as matched pairs"
    raise DataError(
        f"a single {unit} leaves no variance to estimate, in {some(found)}; {every} needs at least two; {advice}"
    )


def _cluster_default(frame: ModelFrame) -> str:
    """The default covariance's name in a clustered design."""
    return describe(Cluster(frame.cluster_names, type="CR2"))


def _paired(frame: ModelFrame, options: DifferenceInMeans, c: Cells, mixed: bool) -> Answer:
    """Blocks of two units, or some of more (``mixed``), by their differences (Imai, King and Nall 2009), with J - 1 df.

    ``V = sum_j (tau_j - tau)^2 / (J (J - 1))`` for pairs of rows; for pairs of clusters, which differ in size,
    ``V = J / ((J - 1) N^2) sum_j (N_j tau_j - N tau / J)^2``. The two agree when all blocks have one size.
    """
    treatment = frame.the_treatment
    if treatment.kind is not Kind.BINARY or options.measure != "difference":
        raise OptionError("matched pairs need a binary treatment and measure='difference'")
    compared = contrasts(treatment, options.contrast)
    high, low = int(compared[0].high.key), int(compared[0].low.key)
    tau_j = c.mean[:, high] - c.mean[:, low]
    sizes = c.total.sum(axis=1)
    n, j = sizes.sum(), len(sizes)
    tau = float(sizes @ tau_j / n)
    if frame.clusters:
        variance = j / ((j - 1) * n**2) * float(((sizes * tau_j - n * tau / j) ** 2).sum())
    else:
        variance = float(((tau_j - tau) ** 2).sum()) / (j * (j - 1))
    means = Estimate(("low", "high"), np.array([c.share @ c.mean[:, low], c.share @ c.mean[:, high]]), None)
    wanted = [compared[0].low, compared[0].high]
    answer = effects_answer(treatment, compared, wanted, means, options.scale, False)
    label = _cluster_default(frame) if frame.clusters else "HC2"
    fixed = Fixed(np.array([[variance]]), float(j - 1), label, " (between blocks)" if mixed else "")
    return replace(answer, estimate=replace(answer.estimate, evidence=fixed))


def _batch(frame: ModelFrame, options: DifferenceInMeans, query: Query, W: Array) -> Array:
    """Every reweighted difference at once, from the cells' weights and sums; NaN where an arm of a block is gone.

    A replicate needs no variance, so it may hold a single unit of an arm.
    """
    from scipy.sparse import csr_array

    treatment = frame.the_treatment
    levels = len(treatment.levels)
    blocks = 1 if frame.strata is None else len(frame.strata.levels)
    cell = treatment.codes if frame.strata is None else frame.strata.codes * levels + treatment.codes
    rows, w, origin = np.arange(frame.n), frame.unit_weights, origin_of(frame.y)
    shape = (frame.n, blocks * levels)
    total, sums = (
        np.asarray(W @ csr_array((each, (rows, cell)), shape=shape)).reshape(len(W), blocks, levels)
        for each in (w, w * (frame.y - origin))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = total.sum(axis=2) / total.sum(axis=(1, 2))[:, None]
        # a block that was not drawn has no share; one that lacks an arm has a mean that is not a number
        means = np.where(share[:, :, None] > 0, sums / total, 0.0)
        mu = np.einsum("rb,rba->ra", share, means)
        if query.kind == "means" or options.measure != "difference":
            mu = mu + origin
        if query.kind == "means":
            return np.asarray(mu)
        compared = contrasts(treatment, options.contrast)
        high, low = ([int(getattr(c, end).key) for c in compared] for end in ("high", "low"))
        return options.scale.function(mu[:, high], mu[:, low])


@Record(
    name="difference_in_means",
    options=DifferenceInMeans,
    aliases=("dim",),
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE,),
    default_vcov="HC2",
    cluster_vcov="CR2 ~ {g}",
    roles=("treat", "strata", "cluster", "weights"),
    r="estimatr::difference_in_means()",
    summary="difference in means of an experiment, with blocks and clusters",
    batch=_batch,
)
def difference_in_means(frame: ModelFrame, options: DifferenceInMeans) -> Fit:
    """Average effect in a randomised experiment, by the difference in means.

    ``tau = sum_b (N_b / N) (ybar_b1 - ybar_b0)`` over blocks b (one block without ``strata(...)``), with Neyman's
    variance ``sum_b (N_b / N)^2 (s_b1^2 / n_b1 + s_b0^2 / n_b0)``: HC2 of the saturated regression.

    Parameters
    ----------
    frame : ModelFrame
    options : DifferenceInMeans

    Raises
    ------
    DataError
        If a block lacks an arm, or an arm has a single unit (or cluster) outside matched pairs, as estimatr stops.
    OptionError
        If the formula adjusts for something.

    References
    ----------
    Neyman (1923); Gerber and Green (2012). R: ``estimatr::difference_in_means`` 1.0.0.
    """
    refuse_adjusting(frame, options)
    c = cells(frame)
    clusters = _clusters_by_cell(frame, c) if frame.clusters else None
    return from_cells(frame, options, Arms(frame, options, c), _units_by_cell(frame, c), clusters)


def refuse_adjusting(frame: ModelFrame, options: DifferenceInMeans) -> None:
    """An ``OptionError`` for what a difference in means has no use for."""
    adjusting = ("adjust", "outcome", "modify", "offset")
    frame.refuse_roles(adjusting, "difference_in_means adjusts for nothing; use regression")
    family = options.family
    if family not in ("gaussian", None):
        raise OptionError("difference_in_means has no outcome model, so no family; use method='regression'")


def from_cells(frame: ModelFrame, options: DifferenceInMeans, arms: Arms, count: Codes, clusters: Codes | None) -> Fit:
    """The fit of cell means, with ``count`` (B, levels) units of assignment, and clusters, in each cell."""
    c, potential = arms.cells, arms.potential()
    units = count.sum(axis=1)
    pairs = frame.strata is not None and bool((units == 2).any()) and c.mean.shape[1] == 2
    mixed = pairs and not (units == 2).all()
    if mixed:
        warn(MIXED)
    if not pairs:
        _refuse_single(frame, c, count if clusters is None else np.minimum(count, clusters))
    blocks = "" if frame.strata is None else f", {len(units)} {'pairs' if pairs and not mixed else 'blocks'}"
    return Fit(
        answer=_paired(frame, options, c, mixed) if pairs else potential.answer(Query()),
        estimand=ATE,
        design=unit_design(frame.n),
        method=f"difference in means{blocks}",
        outcomes=potential,
        caveats=(MIXED,) if mixed else (),
    )
