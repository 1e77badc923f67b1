"""fixest's small-sample rules: which coefficients count, which clusters, and whose degrees of freedom a test has."""

from __future__ import annotations

from dataclasses import dataclass, fields

from causalformula.errors import OptionError, asks
from causalformula.inference.checks import check_flag, check_positive_number, check_word, shown
from causalformula.words import CountedEffects, GroupsCounted

COUNTED = ("nonnested", "none", "full")
GROUPS = ("min", "conventional")


@dataclass(frozen=True)
class SmallSample:
    """Small-sample rules of a covariance; ``cf.ssc`` makes them.

    Parameters
    ----------
    K_adj, K_fixef, G_adj, G_df, t_df
        As in ``cf.ssc``.
    """

    K_adj: bool = True
    K_fixef: CountedEffects = "nonnested"
    G_adj: bool = True
    G_df: GroupsCounted = "min"
    t_df: GroupsCounted | float = "min"

    @property
    def words(self) -> str:
        """What is not as it is by default, for the print."""
        changed = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return ", ".join(f"{name}={value!r}" for name, value in changed if value != getattr(SmallSample(), name))

    def __post_init__(self) -> None:
        check_flag("K_adj", self.K_adj)
        check_flag("G_adj", self.G_adj)
        check_word("K_fixef", self.K_fixef, COUNTED)
        check_word("G_df", self.G_df, GROUPS)
        if isinstance(self.t_df, str):
            check_word("t_df", self.t_df, GROUPS)
        else:
            check_positive_number("t_df", self.t_df)
            if self.t_df is None:
                raise OptionError("t_df is 'min', 'conventional' or a number")


# The covariances that have such rules.
RULED = "'classical', 'HC1', clusters such as '~g', 'NW ~ unit + time' and 'DK ~ time'"


def check_rules(ssc: object, kind: str = "") -> None:
    """Refuse what are no small-sample rules, or rules of a covariance of a ``kind`` that has others."""
    if ssc is not None and not isinstance(ssc, SmallSample):
        raise OptionError(f"ssc takes small-sample rules, as in ssc=cf.ssc(K_fixef='full'), not {shown(ssc)}")
    if ssc is not None and kind:
        raise OptionError(f"ssc= is of {RULED}; {kind} has a small-sample rule of its own")


@asks
def ssc(
    K_adj: bool = True,
    K_fixef: CountedEffects = "nonnested",
    G_adj: bool = True,
    G_df: GroupsCounted = "min",
    t_df: GroupsCounted | float = "min",
) -> SmallSample:
    """Small-sample rules of standard errors, fixest's ``ssc``.

    With n rows, K coefficients and G clusters the covariance is multiplied by ``(n - 1) / (n - K)`` and, where it is
    summed over clusters, by ``G / (G - 1)``.

    Parameters
    ----------
    K_adj : bool
        Whether the first factor applies; the classical variance then divides by ``n - K``, else by ``n - 1``.
    K_fixef : {"nonnested", "none", "full"}
        Which absorbed effects K counts: those that are not nested in a cluster, none, or all.
    G_adj : bool
        Whether the second factor applies (``n / (n - 1)`` where rows are not clustered, as in ``"HC1"``).
    G_df : {"min", "conventional"}
        Of several groupings, whether G is that of the smallest, or each term's own.
    t_df : {"min", "conventional"} or float
        Degrees of freedom under clusters: those of the smallest grouping less one, ``n - K``, or a number.

    Returns
    -------
    SmallSample
        For ``ssc=`` of ``cf.lm``, ``cf.fit`` and ``with_vcov``, or of a request, as in ``cf.Cluster("g", ssc=...)``.
        What is absorbed has ``cf.ssc()`` where none is given; other models have sandwich's rules then.

    Raises
    ------
    OptionError
        For a value that an argument does not take.

    Notes
    -----
    R: ``fixest::ssc`` 0.14, whose ``K.exact`` is FALSE: of each factor after the first, one level is not counted.

    Examples
    --------
    >>> import causalformula as cf
    >>> panel = cf.datasets.load("did_panel")
    >>> model = cf.lm("Severity ~ Drug:Post | id + Post", panel, vcov="~id", ssc=cf.ssc(G_adj=False))
    >>> round(model.bse["Drug:Post"], 4)
    np.float64(0.3723)
    """
    return SmallSample(K_adj, K_fixef, G_adj, G_df, t_df)
