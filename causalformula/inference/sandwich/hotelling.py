"""The Hotelling-type joint test of several contrasts under CR2 or CR3.

With few clusters a Wald statistic of q contrasts is far from chi-squared, and no single denominator of an F is right.
The test takes the adjusted covariance of the contrasts for a Wishart matrix with ``eta`` degrees of freedom, matched to
the total variance of its elements under the working model (Zhang 2012; Pustejovsky and Tipton 2018), so that
``(eta - q + 1) / (eta q) Q`` is F with ``q`` and ``eta - q + 1`` degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.inference.sandwich.clusters import Few, Moments, Problem, batches
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes

POWERS = {"CR2": -0.5, "CR3": -1.0}


@dataclass(frozen=True, eq=False)
class Pieces:
    """What the clusters say of q contrasts: ``p_sg' Phi p_th = 1(g = h) energy_g[s, t] + F_g[:, s]' core F_h[:, t]``.

    Parameters
    ----------
    energy : ndarray (G, q, q)
    F : ndarray (G, P, q)
        Zero, as is ``energy``, for the clusters in ``few``.
    core : ndarray (P, P)
    few : Few
        Clusters that dominate.
    contrasts : ndarray (p, q)
        On whitened columns.
    """

    energy: Array
    F: Array
    core: Array
    few: Few
    contrasts: Array

    @classmethod
    def of(cls, problem: Problem, codes: Codes, count: int, contrasts: Array, power: float) -> Pieces:
        """From the batches of the adjustment; ``contrasts`` (p, q) on whitened columns."""
        q = contrasts.shape[1]
        core = Moments.zeros(problem, q).core
        energy, F = np.zeros((count, q, q)), np.zeros((count, len(core), q))
        few = Few.of(problem, power)
        for rows, ids in batches(codes, few.others, count, problem.width):
            batch = problem.batch(rows, ids, power)
            energy[ids] = contrasts.T @ batch.energy @ contrasts
            both = [batch.a @ contrasts] + ([] if batch.b is None else [batch.b @ contrasts])
            F[ids] = np.concatenate(both, axis=1)
        return cls(energy, F, core, few, contrasts)

    def turned(self, turn: Array) -> Pieces:
        """For the contrasts ``turn' c``."""
        return Pieces(turn.T @ self.energy @ turn, self.F @ turn, self.core, self.few, self.contrasts @ turn)

    def own(self) -> Array:
        """``p_sg' Phi p_tg`` (G, q, q), without the clusters that dominate."""
        return np.asarray(self.energy + np.swapaxes(self.F, 1, 2) @ self.core @ self.F)

    def expectation(self) -> Array:
        """Of the covariance under the working model (q, q)."""
        dominating = [self.contrasts.T @ one.whole @ self.contrasts for one in self.few.clusters]
        return np.asarray(np.sum([self.own().sum(axis=0), *dominating], axis=0))

    def _few_variance(self) -> float:
        """What pairs with a cluster that dominates add to ``total_variance``."""
        total = sum(float((T * T.T).sum() + np.trace(T) ** 2) for T in self.few.products(self.contrasts))
        for one in self.few.clusters:
            T = np.einsum("ps,gpt->gst", one.left @ self.contrasts, self.F)
            total += 2 * float(np.einsum("gst,gts->", T, T) + (np.einsum("gss->g", T) ** 2).sum())
        return total

    def total_variance(self) -> float:
        """Sum over s and t of the variance of the covariance's (s, t) element under the working model."""
        low = self.own() - self.energy
        trace = np.einsum("gss->gs", self.energy)
        lows = np.einsum("gss->gs", low)
        # pairs (g, g): terms in the diagonal part, alone and with the low-rank part
        total = (self.energy**2).sum() + 2 * (self.energy * low).sum()
        total += (trace.sum(axis=1) ** 2).sum() + 2 * (trace.sum(axis=1) * lows.sum(axis=1)).sum()
        # all pairs (g, h): the low-rank part with itself
        A = np.einsum("gps,gqt->stpq", self.F, self.F)
        KA = self.core @ A
        total += np.einsum("stpq,stqp->", np.swapaxes(KA, 0, 1), np.swapaxes(KA, 0, 1))
        total += np.einsum("stpq,tsqp->", KA, KA)
        return float(total) + self._few_variance()


def hotelling_freedom(hat: Hat, codes: Codes, count: int, jac: Array, power: float) -> float:
    """Degrees of freedom ``eta`` of the covariance of the contrasts ``jac`` (q, p), ``clubSandwich``'s HTZ.

    Parameters
    ----------
    hat : Hat
    codes : ndarray (n,) of int
        Clusters, of which there are ``count``.
    power : float
        Of the adjustment: see ``POWERS``.

    Notes
    -----
    R: ``clubSandwich::Wald_test(test = 'HTZ')`` 0.5.8. For one contrast these are Satterthwaite's.
    """
    problem = Problem.of(hat, codes, count)
    pieces = Pieces.of(problem, codes, count, problem.contrasts(jac), power)
    values, vectors = np.linalg.eigh(pieces.expectation())
    q = len(jac)
    return q * (q + 1) / pieces.turned((vectors / np.sqrt(values)) @ vectors.T).total_variance()
