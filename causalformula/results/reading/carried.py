"""The covariance of equations among estimates, under every kind of covariance that the estimates may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import Cluster, Request
from causalformula.inference.resampling.intervals import BCa, Studentized, acceleration
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.resampling.resample import MOST_FAILED
from causalformula.inference.resampling.resampled import spread
from causalformula.inference.resampling.wild import WildReference
from causalformula.inference.resampling.wild_joint import wild_wald
from causalformula.inference.sandwich.definite import transformed
from causalformula.inference.sandwich.groupings import intersect
from causalformula.inference.sandwich.hotelling import POWERS, hotelling_freedom
from causalformula.inference.sandwich.joint import Joint
from causalformula.inference.sandwich.rows import Reference
from causalformula.inference.scales import Measure
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.reading.equations import evaluate, hypothesis_parts, mapped, read_equation, with_bare
from causalformula.results.reading.test import NAN, Test, hotelling, wald
from causalformula.results.text.numbers import format_each, format_pval

Groups = Callable[[Iterable[str]], Mapping[str, Codes]]
# Restrictions of which less than this share is new imply each other.
INDEPENDENT = 1e-8

Anew = Callable[[Estimate, Request], Covariance]


@dataclass(frozen=True, eq=False)
class Equations:
    """Equations among estimates, as left minus right sides.

    Parameters
    ----------
    texts : tuple of str
    names : mapping of str to int
        What the equations call the estimates.
    source : Estimate
        The estimates, on their working scale.
    measure : Measure
        The scale on which the equations read them.
    value : ndarray (h,)
    jac : ndarray (h, q)
        Slopes in the estimates on their working scale.
    """

    texts: tuple[str, ...]
    names: Mapping[str, int]
    source: Estimate
    measure: Measure
    value: Array
    jac: Array

    @classmethod
    def of(
        cls,
        equations: str | Sequence[str],
        names: Mapping[str, int],
        source: Estimate,
        measure: Measure,
        aliased: Sequence[str] = (),
    ) -> Equations:
        """Read, evaluated and differentiated; ``aliased`` names are refused."""
        names = with_bare(names)
        value, slopes, texts = hypothesis_parts(equations, names, measure.read(source.theta), aliased)
        return cls(tuple(texts), names, source, measure, value, slopes * measure.slope(source.theta)[None, :])

    @property
    def estimate(self) -> Estimate:
        """The equations' values with their evidence."""
        return Estimate(self.texts, self.value, mapped(self.source, self.jac, self.value))

    @property
    def linear(self) -> bool:
        """Whether the slopes are the same elsewhere, on the estimates' own scale."""
        if self.measure.reading != "identity":
            return False
        try:
            _, other, _ = hypothesis_parts(self.texts, self.names, 1.3 * self.source.theta + 0.7)
        except OptionError:
            return False
        return bool(np.allclose(other, self.jac, rtol=1e-9, atol=1e-12))

    @property
    def constants(self) -> Array:
        """Right sides of linear equations whose left sides have no constant (h,)."""
        return np.asarray(self.jac @ self.source.theta - self.value)

    def of_draws(self, draws: Array) -> Array:
        """The equations' values on replicates (R, q) of the estimates; NaN where they are not defined."""
        with np.errstate(all="ignore"):
            read = self.measure.read(draws)
            values = {name: read[:, k] for name, k in self.names.items()}
            columns = [evaluate(read_equation(text, self.names), values, text) for text in self.texts]
            return np.column_stack([np.broadcast_to(np.asarray(c, dtype=float), len(draws)) for c in columns])


# -- covariances -----------------------------------------------------------------------------------------------------


def carried(equations: Equations, old: Covariance, groups: Groups, anew: Anew) -> Covariance:
    """The covariance of equations: the delta method, or what the estimates' own covariance does better.

    Under CR2 and CR3 each equation has degrees of freedom of its own, and under the wild bootstrap replicates of its
    own: their covariance is made anew. Of a bootstrap every replicate is mapped, and the interval's kind is kept.

    Parameters
    ----------
    groups : callable
        Names of columns to their clusters' codes (n,).
    anew : callable
        The covariance of an estimate under a request.
    """
    if small_sample(old):
        return anew(equations.estimate, old.request)
    if isinstance(old.request, Wild):
        return _wild(equations, old, anew)
    if isinstance(old.request, Bootstrap) and old.draws is not None:
        return _bootstrapped(equations, old, old.request, groups)
    df = np.full(len(equations.value), float(old.df.min()))
    return replace(old, matrix=transformed(old.matrix, equations.jac), df=df, draws=None, reference=None)


def small_sample(covariance: Covariance) -> bool:
    """Whether joint tests under a covariance are Hotelling's."""
    request = covariance.request
    return isinstance(request, Cluster) and request.type in POWERS and request.df is None


def _wild(equations: Equations, old: Covariance, anew: Anew) -> Covariance:
    """The test that imposes each equation, its constant included."""
    if not equations.linear:
        raise CapabilityError(
            "the wild bootstrap tests equations that are linear in the coefficients; for others use another "
            "covariance, as in with_vcov(cf.Bootstrap(cluster=...)) or with_vcov('CR2 ~ g')"
        )
    own, shift = equations.estimate, equations.constants + equations.jac @ _offset(equations.source)
    found = anew(replace(own, theta=own.theta + shift), replace(old.request, seed=old.seed))
    if not isinstance(found.reference, WildReference):
        raise CapabilityError("this result keeps no wild replicates; ask the fit that it came from")
    return replace(found, reference=replace(found.reference, values=shift))


def _offset(source: Estimate) -> Array:
    """What estimates that were equations already are less than the combinations of coefficients in them."""
    evidence = source.evidence
    if not isinstance(evidence, Influence) or len(evidence.stages) != 1:
        return np.zeros(len(source.theta))
    beta = evidence.stages[0].theta
    gap = evidence.jac @ beta - source.theta
    size = np.abs(evidence.jac) @ np.abs(beta) + np.abs(source.theta)
    return np.where(np.abs(gap) > 1e-12 * size, gap, 0.0)


def _bootstrapped(equations: Equations, old: Covariance, request: Bootstrap, groups: Groups) -> Covariance:
    assert old.draws is not None
    draws = equations.of_draws(old.draws)
    good = np.isfinite(draws).all(axis=1)
    lost = int((~good).sum())
    if lost > MOST_FAILED * len(draws):
        raise OptionError(f"the hypothesis is not defined on {lost} of {len(draws)} bootstrap replicates")
    notes = old.notes
    if lost:
        notes += (f"Note: {lost} of {len(draws)} replicates, on which the hypothesis is not defined, are left out",)
    reference = _refined(equations, draws[good], old, request, groups)
    if reference is None and request.kind in ("bca", "studentized"):
        notes += (f"Note: of these equations there is no {request.kind} interval; the limits are percentiles",)
        request = replace(request, kind="percentile")
    df = np.full(len(equations.value), float(old.df.min()))
    return replace(
        old, request=request, matrix=spread(draws[good]), df=df, draws=draws[good], notes=notes, reference=reference
    )


def _refined(
    equations: Equations, draws: Array, old: Covariance, request: Bootstrap, groups: Groups
) -> Reference | None:
    """BCa through the equations' influence; studentised for equations that shift or scale one estimate each."""
    evidence = equations.estimate.evidence
    if request.kind == "bca" and isinstance(evidence, Influence):
        clusters = None if request.cluster is None else groups((request.cluster,))[request.cluster]
        return BCa(draws, equations.value, acceleration(evidence, clusters))
    if request.kind != "studentized" or not isinstance(old.reference, Studentized) or not equations.linear:
        return None
    single = (equations.jac != 0).sum(axis=1) == 1
    if not single.all() or len(draws) != len(old.reference.errors):
        return None
    size = np.abs(equations.jac).T
    return Studentized(draws, old.reference.errors @ size, equations.value, old.reference.error @ size)


# -- joint tests -----------------------------------------------------------------------------------------------------


def joint_test(
    estimate: Estimate, covariance: Covariance, groups: Groups, method: str, *, reduce: bool = False
) -> Test:
    """The test that all of an estimate is zero.

    Hotelling's (HTZ) under CR2 and CR3; by its own replicates under the wild bootstrap; else Wald's, F or chi-squared
    by its degrees of freedom.

    Parameters
    ----------
    groups : callable
        Names of columns to their clusters' codes (n,).
    reduce : bool
        Count restrictions that imply each other once, where they are otherwise an error.
    """
    evidence = estimate.evidence
    if isinstance(covariance.request, Wild) and isinstance(evidence, Influence):
        return _wild_test(estimate, evidence, covariance, groups, method, reduce)
    known, source = (None, "") if reduce else (_rank(evidence), _source(covariance.request, groups))
    df = float(covariance.df.min())
    plain = wald(estimate.theta, covariance.matrix, df, method, reduce=reduce, known=known, source=source)
    # a root without columns (cell means) has its Satterthwaite degrees of freedom and no more
    if not small_sample(covariance) or not isinstance(evidence, Influence) or evidence.root is None:
        return plain
    if evidence.root.X.shape[1] != len(evidence.root.bread):
        return plain
    if reduce:
        return _reduced(estimate.theta, evidence, covariance, groups, method)
    freedom = _freedom(evidence, covariance.request, groups)
    return hotelling(estimate.theta, covariance.matrix, freedom, method)


def _reduced(theta: Array, evidence: Influence, covariance: Covariance, groups: Groups, method: str) -> Test:
    """Hotelling's test of restrictions of which some may imply others; NaN, with the reason, where there is none."""
    root = evidence.root
    assert root is not None
    own = evidence.jac[:, -evidence.stages[-1].size :] @ np.linalg.cholesky(root.bread)
    size = np.sqrt((own**2).sum(axis=1))
    vectors, values, _ = np.linalg.svd(own / np.where(size > 0, size, 1.0)[:, None], full_matrices=False)
    turn = (vectors[:, values > INDEPENDENT * values[0]] / size[:, None]).T
    matrix, source = transformed(covariance.matrix, turn), _source(covariance.request, groups)
    try:
        wald(turn @ theta, matrix, np.inf, method, known=len(turn), source=source)
        return hotelling(turn @ theta, matrix, _freedom(evidence.map(turn), covariance.request, groups), method)
    except OptionError as error:
        q = float(len(turn))
        return Test(NAN, (q, NAN), NAN, method, None, f"{method}\nno test: {error}")


def _rank(evidence: object) -> int | None:
    """Rank of the restrictions as functions of the coefficients."""
    if not isinstance(evidence, Influence):
        return None
    jac = evidence.mix if isinstance(evidence, Joint) else evidence.jac
    if jac is None or not np.any(jac):
        return None
    scale = np.abs(jac).max(axis=0)
    return int(np.linalg.matrix_rank(jac / np.where(scale > 0, scale, 1.0)))


def _source(request: Request, groups: Groups) -> str:
    """The clusters that a covariance comes from, in words."""
    if isinstance(request, Cluster):
        names = request.by
    else:
        names = (request.cluster,) if isinstance(request, (Bootstrap, Jackknife)) and request.cluster else ()
    counts = [f"{len(np.unique(codes))} clusters of {name}" for name, codes in groups(names).items()]
    return " and ".join(counts)


def _freedom(evidence: Influence, request: Request, groups: Groups) -> float:
    assert evidence.root is not None and isinstance(request, Cluster) and request.type is not None
    used = None if evidence.root.nobs == evidence.n else evidence.root.w > 0
    clusters, count = intersect(list(groups(request.by).values()), used)
    jac = evidence.jac[:, -evidence.stages[-1].size :]
    return hotelling_freedom(evidence.root, clusters, count, jac, POWERS[request.type])


def _wild_test(
    estimate: Estimate, evidence: Influence, covariance: Covariance, groups: Groups, method: str, reduce: bool
) -> Test:
    """One restriction by its t, several by their Wald statistic, each among its own wild replicates."""
    request, theta = covariance.request, estimate.theta
    assert isinstance(request, Wild)
    request = replace(request, seed=covariance.seed)
    # what implies each other, or has no variance, is found as for any Wald test
    known = _rank(evidence)
    plain = wald(theta, covariance.matrix, np.inf, method, reduce=reduce, known=known, source="these clusters")
    if reduce and plain.df < len(theta):
        turn = _independent(covariance.matrix)
        theta, evidence = turn @ theta, evidence.map(turn)
    clusters = None if request.cluster is None else groups((request.cluster,))[request.cluster]
    found = wild_wald(evidence, theta, request, clusters)
    p = found.p_value
    if len(theta) == 1 and isinstance(covariance.reference, WildReference):
        p = float(covariance.reference.p_values()[0])
    return _told(Test(found.statistic, float(len(theta)), p, f"{method}, wild bootstrap ({found.how})"))


def _told(test: Test) -> Test:
    """With a print that claims no distribution of the statistic but the replicates'."""
    p = format_pval([test.p_value], 4)[0]
    count = f"{test.df:g} restriction{'' if test.df == 1 else 's'}"
    line = f"Wald = {format_each([test.statistic], 5)[0]} of {count}, p-value {p if p.startswith('<') else f'= {p}'}"
    return replace(test, text=f"{test.method}\n{line}")


def _independent(matrix: Array) -> Array:
    """Combinations (r, q) that span what the covariance of q restrictions has."""
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    return np.asarray((vectors[:, values > 1e-10 * values.max()] / scale[:, None]).T)
