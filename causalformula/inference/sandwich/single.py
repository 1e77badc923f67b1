"""Rows of leverage one, and the estimates in which they have a part.

Such a row is fitted exactly, whatever its outcome: its residual is zero and says nothing of its error. An estimate in
which it has no part, as the effect beside a dummy variable of that row, is that of the other rows, and keeps their
variance. In the others its error is unknown, whether a variance divides by one minus the leverage or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.inference.evidence import Influence
from causalformula.inference.sandwich.variances import full_leverage
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes

# A row whose share of an estimate's standard error is less has no part in it, nor one whose weight is rounding of the
# terms that it is the sum of.
PART = 1e-8
# Averaged scores move a little with every row: of a share of the variance below this nothing is said.
LITTLE = 0.01
ROUNDING = 1e-14
# A variance below this share of the classical one is rounding.
NOTHING = 1e-16
# An effect of whose variance rows of leverage one have this share rests on them.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Single:
    """Rows of leverage one (k,), and their shares (k, q) of the estimates' variances under equal errors.

    Of the root, or of the outcome model behind averaged scores; shares of up to ``little`` are not told.
    """

    rows: Codes
    share: Array
    little: float = 0.0

    @classmethod
    def of(cls, evidence: Influence) -> Single:
        """Those that there are."""
        if evidence.exactly is not None:
            return cls(evidence.exactly.rows, evidence.exactly.shares(PART), LITTLE)
        root = evidence.root
        rows = np.empty(0, dtype=np.intp) if root is None else full_leverage(root)
        return cls.among(evidence, root, rows)

    @classmethod
    def among(cls, evidence: Influence, root: Hat | None, rows: Codes) -> Single:
        """These of the rows that ``root`` has."""
        if root is None or not len(rows):
            return cls(rows, np.zeros((0, evidence.size)))
        return cls(rows, _shares(root, rows, evidence.jac[:, -evidence.stages[-1].size :]))

    @property
    def moved(self) -> Bools:
        """Estimates (q,) in which such a row has a part."""
        return np.asarray((self.share > 0).any(axis=0))

    @property
    def resting(self) -> Bools:
        """Estimates (q,) of which it is said that they rest on such rows, where their variance stands."""
        return np.asarray(self.share.sum(axis=0) > self.little)

    def lost(self, evidence: Influence, matrix: Array, rests: float) -> Bools:
        """Estimates (q,) that have no standard error, though their variance ``matrix`` takes no account of leverage.

        Nothing but rounding is left of it, or the share of these rows is ``rests`` or more.
        """
        whole = self.share.sum(axis=0) >= rests
        gone = vanished(evidence, evidence.root, matrix) if self.moved.any() and evidence.root is not None else whole
        return np.asarray(self.moved & (whole | gone))

    def behind(self, lost: Bools) -> Codes:
        """The rows that have a part in some of these estimates."""
        return np.asarray(self.rows[(self.share[:, lost] > 0).any(axis=1)])


def _shares(hat: Hat, rows: Codes, jac: Array) -> Array:
    """Squared parts of rows in estimates ``jac`` (q, p) of the coefficients; zero where they are rounding."""
    if hat.X.shape[1] != len(hat.bread):
        # cells by themselves: each has a part in what is asked of them
        return np.ones((len(rows), len(jac)))
    L = hat.whitening
    contrasts, root = L.T @ jac.T, np.sqrt(hat.w[rows])[:, None]
    part = root * (hat.X[rows] @ L @ contrasts)
    terms = root * (np.abs(hat.X[rows]) @ np.abs(L) @ np.abs(contrasts))
    size = np.sqrt((contrasts**2).sum(axis=0))
    real = np.abs(part) > np.maximum(PART * size, ROUNDING * terms)
    return np.asarray(np.where(real, part / np.where(size > 0, size, 1.0), 0.0) ** 2)


def vanished(evidence: Influence, root: Hat, matrix: Array) -> Bools:
    """Variances that are zero, but for rounding, beside those under independent errors."""
    jac = evidence.jac[:, -evidence.stages[-1].size :]
    if jac.shape[1] != len(root.bread) or not root.dispersion > 0:
        return np.zeros(evidence.size, dtype=bool)
    usual = root.dispersion * np.einsum("qi,ij,qj->q", jac, root.bread, jac)
    return np.asarray((usual > 0) & (np.abs(np.diag(matrix)) <= NOTHING * usual))
