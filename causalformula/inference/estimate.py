"""The estimate: a vector with its evidence, closed under map, stack, select and contrast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.evidence import Accumulated, Draws, Evidence, Exactly, Fixed, Influence, Repeated
from causalformula.inference.sandwich.expanded import united
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array, Bools, Codes


@dataclass(frozen=True, eq=False)
class Estimate:
    """Names, values and the evidence from which any covariance of them is computed.

    Parameters
    ----------
    names : tuple of str
        One a value.
    theta : ndarray (q,)
    evidence : Influence, Draws, Fixed or None
        None where nothing supports an interval (a tuned learner without orthogonality).
    """

    names: tuple[str, ...]
    theta: Array
    evidence: Evidence | None

    def __post_init__(self) -> None:
        if len(self.names) != len(self.theta):
            raise ValueError(f"{len(self.names)} names for {len(self.theta)} values")

    def __len__(self) -> int:
        return len(self.theta)

    def map(self, function: Callable[[Array], Array], jac: Array, names: Sequence[str]) -> Estimate:
        """A smooth function of the estimate; ``jac`` (r, q) is its Jacobian at ``theta`` (the delta method)."""
        value = np.asarray(function(self.theta), dtype=float)
        evidence = self.evidence
        if isinstance(evidence, Draws):
            mapped: Evidence | None = Draws(np.array([function(row) for row in evidence.values]))
        else:
            mapped = None if evidence is None else evidence.map(jac)
        return Estimate(tuple(names), value, mapped)

    def contrast(self, matrix: Array, names: Sequence[str]) -> Estimate:
        """Linear combinations ``matrix @ theta``."""
        matrix = np.atleast_2d(np.asarray(matrix, dtype=float))
        return self.map(lambda theta: matrix @ theta, matrix, names)

    def select(self, which: Sequence[int]) -> Estimate:
        """Some of the values, in the order given."""
        index = list(which)
        return self.contrast(np.eye(len(self))[index], [self.names[i] for i in index])

    def exact_influence(self) -> Array:
        """``n d theta / d w_i`` (n, q): every stage re-estimated, observed information, the averages' own term.

        Raises
        ------
        CapabilityError
            If the estimator has no influence function.
        """
        if isinstance(self.evidence, Repeated):
            return np.asarray(np.mean([part.psi() for part in self.evidence.parts], axis=0))
        if not isinstance(self.evidence, Influence):
            raise CapabilityError("this estimator has no influence function; use vcov='bootstrap' for an interval")
        return self.evidence.psi()


def median_of(parts: Sequence[Estimate]) -> Estimate:
    """Estimates of repeated sample splits as their median; one is itself.

    Raises
    ------
    CapabilityError
        If a repetition has no influence.
    """
    if len(parts) == 1:
        return parts[0]
    evidence = tuple(part.evidence for part in parts)
    if not all(isinstance(each, Influence) for each in evidence):
        raise CapabilityError("repetitions are summarised where each has an influence function")
    values = np.array([part.theta for part in parts])
    return Estimate(parts[0].names, np.median(values, axis=0), Repeated(evidence, values))  # type: ignore[arg-type]


def stack(parts: Sequence[Estimate]) -> Estimate:
    """Several estimates on the same rows as one, keeping their covariance.

    Influences are stacked exactly; a shared stage is kept once.
    """
    names = tuple(n for p in parts for n in p.names)
    theta = np.concatenate([p.theta for p in parts])
    kinds = {type(p.evidence) for p in parts}
    if kinds == {Draws}:
        return Estimate(names, theta, Draws(np.hstack([p.evidence.values for p in parts])))  # type: ignore[union-attr]
    if kinds == {Influence}:
        return Estimate(names, theta, _stack_influences([p.evidence for p in parts]))  # type: ignore[misc]
    if len(parts) == 1:
        return parts[0]
    if kinds == {Accumulated}:
        return Estimate(names, theta, stack_accumulated([p.evidence for p in parts]))  # type: ignore[misc]
    if kinds == {Fixed}:
        raise CapabilityError("estimates with fixed covariances have no known covariance with each other")
    raise CapabilityError("only estimates with the same kind of evidence can be stacked")


def stack_accumulated(parts: Sequence[Accumulated]) -> Accumulated:
    """Functions of the same sums over rows as one."""
    first = parts[0]
    if any(p.part is not first.part for p in parts):
        raise CapabilityError("estimates of several fits to rows that are elsewhere cannot be stacked")
    shape = _stack_influences([p.shape for p in parts])
    return replace(first, shape=shape, mix=np.vstack([p.mix for p in parts]))


def _stack_influences(parts: Sequence[Influence]) -> Influence:
    n = parts[0].n
    if any(p.n != n for p in parts):
        raise CapabilityError("estimates on different rows cannot be stacked; align their units first")
    first = parts[0]
    if all(p.stages is first.stages or _same(p.stages, first.stages) for p in parts):
        shared: tuple[tuple[Stage, ...], list[Array]] | None = (first.stages, [p.jac for p in parts])
    else:
        shared = _beside_effects(parts)
    if shared is not None:
        return Influence(
            shared[0],
            np.vstack(shared[1]),
            n,
            None if all(p.direct is None for p in parts) else np.hstack([_direct(p) for p in parts]),
            always=any(p.always for p in parts),
            rooted=all(p.rooted for p in parts),
            units=first.units,
            held=all(p.held for p in parts),
            exactly=_exactly(parts),
            used=_used(parts),
        )
    # Different models: their exact influences are all that a joint variance needs, beside what is left of them where
    # the nuisances of averaged scores are held fixed.
    psi = np.hstack([p.psi() for p in parts])
    size, names = psi.shape[1], tuple(map(str, range(psi.shape[1])))
    if not all(p.always and p.direct is not None for p in parts) or all(p.held for p in parts):
        held = all(p.held for p in parts)
        return Influence(
            (), np.zeros((size, 0)), n, psi, always=True, units=first.units, held=held, exactly=_exactly(parts),
            used=_used(parts),
        )  # fmt: skip
    fixed = np.hstack([_direct(p) for p in parts])
    nuisances = Stage("nuisances", names, np.zeros(size), n * np.eye(size), psi - fixed)
    return Influence((nuisances,), np.eye(size), n, fixed, always=True, units=first.units, exactly=_exactly(parts))


def _beside_effects(parts: Sequence[Influence]) -> tuple[tuple[Stage, ...], list[Array]] | None:
    """The stages and Jacobians of one regression of which each part knows absorbed effects by columns of its own."""
    before = parts[0].stages[:-1]
    if not all(p.rooted and p.stages and _same(p.stages[:-1], before) for p in parts):
        return None
    found = united([p.stages[-1] for p in parts], [p.jac for p in parts])
    return None if found is None else ((*before, found[0]), found[1])


def _exactly(parts: Sequence[Influence]) -> Exactly | None:
    """Rows that some model fits exactly, with the part that each row has in all estimates."""
    rows = [part.exactly.rows for part in parts if part.exactly is not None]
    if not rows:
        return None
    each = [np.zeros((p.n, p.size)) if p.exactly is None else p.exactly.response for p in parts]
    return Exactly(np.unique(np.concatenate(rows)), np.hstack(each))


def _used(parts: Sequence[Influence]) -> Bools | None:
    """Who takes part in any of them."""
    used = [part.used for part in parts if part.used is not None]
    return np.asarray(np.any(used, axis=0)) if len(used) == len(parts) else None


def _same(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def _direct(part: Influence) -> Array:
    return np.zeros((part.n, part.size)) if part.direct is None else part.direct


def split_rows(estimate: Estimate, rows: Codes, share: Array) -> Estimate:
    """The same estimate where rows are split into several, each with a share of the row's weight.

    Parameters
    ----------
    rows : ndarray (r,) of int
        Which row each part is of.
    share : ndarray (r,)
        Shares, which sum to one over the parts of a row.

    Raises
    ------
    CapabilityError
        If no single regression is behind the estimate.
    """
    evidence = estimate.evidence
    if not isinstance(evidence, Influence) or evidence.root is None or len(evidence.stages) != 1:
        raise CapabilityError("clusters of the pair data need one regression behind the estimate; use 'HC3' or 'AI'")
    (stage,), hat = evidence.stages, evidence.root
    w, used = hat.w[rows] * share, int((hat.w[rows] > 0).sum())
    split = replace(
        hat,
        X=hat.X[rows],
        w=w,
        e=hat.e[rows],
        df_residual=used - hat.rank,
        nobs=used,
        h=None,
        target=None if hat.target is None else hat.target[rows],
    )
    scores = None if stage.scores is None else stage.scores[rows] * share[:, None]
    direct = None if evidence.direct is None else evidence.direct[rows] * share[:, None] * (len(rows) / evidence.n)
    split_evidence = replace(
        evidence, stages=(replace(stage, hat=split, scores=scores),), n=len(rows), direct=direct, own=None
    )
    return replace(estimate, evidence=split_evidence)
