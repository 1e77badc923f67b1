"""Simultaneous confidence bands, as a method that a ``Result`` and a ``Model`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalformula.results.joint.bands import Bands


class Banded:
    """What has several estimates, and bands that hold for all of them."""

    def simultaneous(
        self, level: float = 0.95, *, reps: int = 9999, seed: int | None = None, weights: str = "normal"
    ) -> Bands:
        """Confidence bands that hold for all estimates at once (sup-t), and p-values adjusted for all of them.

        The critical value is the ``level`` quantile of ``max_j |T_j|``, with T multivariate t: a multiplier bootstrap
        on the influences, summed over clusters where the covariance is clustered (the bootstrap's own replicates where
        there are some; the normal distribution with the estimates' covariance where there are no influences, several
        ways of clustering, or serial correlation), divided by one ``sqrt(chi2_df / df)``. The degrees of freedom are
        those of the estimates' own tests, at most G - 1 with G clusters. A band is never inside the interval of one
        estimate, nor an adjusted p-value below its own.

        Parameters
        ----------
        level : float
        reps : int
        seed : int, optional
        weights : {"normal", "rademacher", "webb", "mammen"}
            Multipliers; those that are not normal are for many units.

        Returns
        -------
        Bands
            ``.table``, ``.critical_value``.

        References
        ----------
        Montiel Olea and Plagborg-Møller (2019); Callaway and Sant'Anna (2021). R: ``did::aggte(cband = TRUE)``,
        ``multcomp::glht``.
        """
        from causalformula.results.joint.bands import simultaneous

        return simultaneous(self, level, reps, seed, weights)
