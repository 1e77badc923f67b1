"""Absorbed effects as columns, where an adjustment by clusters needs them beside those of the regression.

Effects of a factor that is nested in the clusters need none: they are orthogonal to the columns within each cluster, so
that the adjusted residuals are the same without them (Pustejovsky and Tipton 2018, theorem 2, for equal weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.arrays import Array, Codes

# A direction below this share of the longest is rounding.
SPANNED = 1e-9


def expanded(hat: Hat, jac: Array, groupings: Sequence[Codes] = (), *, every: bool = False) -> tuple[Hat, Array]:
    """The regression with columns for absorbed effects that are not nested in clusters, and Jacobians (q, p) in these.

    Parameters
    ----------
    hat : Hat
    jac : ndarray (q, p)
    groupings : sequence of ndarray of int
        The clusters; rows are their own where there are none.
    every : bool
        Whether nested effects get columns too.

    Raises
    ------
    CapabilityError
        Where these would be too many.
    """
    if hat.absorbed is None:
        return hat, jac
    nested = hat.absorbed.nested(groupings) if groupings and not every else (False,) * len(hat.absorbed.effects)
    basis = hat.absorbed.basis(nested)
    if hat.extra:
        own = hat.X[:, -hat.extra :]
        basis = orthonormal(basis - own @ (own.T @ (hat.w[:, None] * basis)), hat.w)
    wide = replace(hat.beside(basis), absorbed=None, extra=0)
    return wide, np.hstack([jac, np.zeros((len(jac), basis.shape[1]))])


def orthonormal(columns: Array, weights: Array) -> Array:
    """Columns (n, r) of the same span that are orthonormal in the inner product of the weights."""
    root = np.sqrt(weights)
    left, lengths, _ = np.linalg.svd(root[:, None] * columns, full_matrices=False)
    left = left[:, lengths > SPANNED * lengths.max(initial=0.0)]
    return np.asarray(np.divide(left, root[:, None], out=np.zeros_like(left), where=root[:, None] > 0))


def with_effects(stage: Stage, columns: Array) -> Stage:
    """The regression's stage with columns (n, r) of its absorbed effects, which are orthonormal, among its own."""
    assert stage.hat is not None
    wide = stage.hat.beside(columns)
    information = np.eye(len(wide.bread))
    information[: stage.size, : stage.size] = stage.hessian
    names = (*stage.names, *(f"effects {k + 1}" for k in range(columns.shape[1])))
    theta = np.concatenate([stage.theta, np.zeros(columns.shape[1])])
    return replace(stage, names=names, theta=theta, hessian=information, hat=wide)


def along(stage: Stage, jac: Array, slopes: Array) -> tuple[Stage, Array]:
    """A regression's stage with the directions of its absorbed effects that functionals depend on, and the Jacobians.

    What the effects make up of the slopes is all that the functionals know of the effects, whose own errors so enter
    without any dummies.

    Parameters
    ----------
    stage : Stage
    jac : ndarray (q, p)
        Derivatives of the functionals in the parameters of all stages, this one's last, with the effects held.
    slopes : ndarray (n, q)
        Their derivatives in each row's linear predictor.
    """
    hat = stage.hat
    if hat is None or hat.absorbed is None:
        return stage, jac
    w = hat.w
    each = np.divide(slopes, w[:, None], out=np.zeros_like(slopes), where=w[:, None] > 0)
    basis = orthonormal(each - hat.absorbed.absorber.demean(each).values, w)
    return with_effects(stage, basis), np.hstack([jac, slopes.T @ basis])


def united(stages: Sequence[Stage], jacs: Sequence[Array]) -> tuple[Stage, list[Array]] | None:
    """One stage of several that are one regression with different columns of its absorbed effects, and Jacobians in it.

    None where they are not.
    """
    hats = [stage.hat for stage in stages if stage.hat is not None and stage.hat.absorbed is not None]
    if len(hats) < len(stages) or any(hat.absorbed is not hats[0].absorbed for hat in hats):
        return None
    sizes = [len(hat.bread) - hat.extra for hat in hats]
    if len(set(sizes)) > 1:
        return None
    p, first = sizes[0], hats[0]
    base = replace(
        stages[0],
        names=stages[0].names[:p],
        theta=stages[0].theta[:p],
        hessian=stages[0].hessian[:p, :p],
        hat=first.bare(),
    )
    basis = orthonormal(np.hstack([hat.X[:, p:] for hat in hats]), first.w)
    out = []
    for hat, jac in zip(hats, jacs, strict=True):
        ahead, own = jac[:, : jac.shape[1] - hat.extra], jac[:, jac.shape[1] - hat.extra :]
        out.append(np.hstack([ahead, own @ (hat.X[:, p:].T @ (first.w[:, None] * basis))]))
    return with_effects(base, basis), out
