"""Clustered covariances of weighted least squares from their definitions, in decimal arithmetic of 150 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

DIGITS = 150


def decimals(values: Any) -> Any:
    """An array of exact decimals."""
    return np.vectorize(Decimal, otypes=[object])(np.asarray(values, dtype=float))


def inverse(A: Any) -> Any:
    """By Gauss and Jordan, with partial pivots."""
    n = len(A)
    both = np.hstack([A, decimals(np.eye(n))])
    for j in range(n):
        pivot = j + max(range(n - j), key=lambda k: abs(both[j + k, j]))
        both[[j, pivot]] = both[[pivot, j]]
        both[j] = both[j] / both[j, j]
        for k in range(n):
            if k != j:
                both[k] = both[k] - both[k, j] * both[j]
    return both[:, n:]


def inverse_root(A: Any) -> Any:
    """``A^{-1/2}`` of a positive definite matrix, by Denman and Beavers' iteration."""
    Y, Z = A, decimals(np.eye(len(A)))
    for _ in range(1000):
        Y, Z, before = (Y + inverse(Z)) / 2, (Z + inverse(Y)) / 2, Z
        if abs(Z - before).max() <= abs(Z).max() * Decimal(10) ** -60:
            return Z
    raise AssertionError("did not converge")


def projector(onto: Any, along: Any) -> Any:
    """``onto (along' onto)^{-1} along'``."""
    if not onto.shape[1]:
        return decimals(np.zeros((len(onto), len(onto))))
    return onto @ inverse(along.T @ onto) @ along.T


def clustered(
    X: Any, y: Any, w: Any, g: Any, kind: str, variances: Any = None, alone: tuple[Any, list[int]] | None = None
) -> tuple[Any, Any]:
    """Standard errors, and Satterthwaite's degrees of freedom, as floats; of errors with these variances, or equal.

    ``alone`` is a cluster with the columns that are zero outside it: directions of leverage one, which a generalised
    inverse leaves out.
    """
    with localcontext() as context:
        context.prec = DIGITS
        X, y, w, g = decimals(X), decimals(y), decimals(w), np.asarray(g)
        M = inverse(X.T @ (w[:, None] * X))
        free = decimals(np.eye(len(X))) - X @ M @ (w[:, None] * X).T
        phi = decimals(np.ones(len(X)) if variances is None else variances)
        roots = np.array([each.sqrt() for each in phi], dtype=object)
        e, parts, square = free @ y, [], decimals(np.zeros(len(M)))
        for k in np.unique(g):
            own = np.flatnonzero(g == k)
            A = decimals(np.eye(len(own)))
            left = right = decimals(np.zeros((len(own), 0)))
            if alone is not None and alone[0] == k:
                right = X[own][:, alone[1]]
                left = w[own, None] * right
            if kind == "CR2":
                B = (free[own] * phi) @ free[own].T
                lost = projector(left / roots[own, None], left / roots[own, None])
                A = inverse_root(roots[own, None] * B * roots[own] + lost) - lost
                A = roots[own, None] * A * roots[own]
            elif kind == "CR3":
                lost = projector(right, left)
                A = inverse(free[np.ix_(own, own)] + lost) - lost
            weights = M @ (w[own, None] * X[own]).T @ A
            square = square + (weights @ e[own]) ** 2
            parts.append(weights @ free[own])
        P = np.stack(parts)
        df = []
        for j in range(len(M)):
            T = (P[:, j] * phi) @ P[:, j].T
            df.append(float(np.trace(T) ** 2 / (T**2).sum()))
        return np.array([float(each.sqrt()) for each in square]), np.array(df)
