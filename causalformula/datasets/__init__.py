"""Small synthetic data sets for examples, vignettes and tests: ``load("heart")``, ``names()``, ``describe()``."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any, NamedTuple

import pandas as pd

from causalformula.errors import OptionError, asks, did_you_mean
from causalformula.words import DataSet

__all__ = ["describe", "load", "names"]

# Options of pandas.read_csv that read a number to its last digit: the default only from pandas 3.1 on.
EXACT: dict[str, Any] = {}
if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
    EXACT["float_precision"] = "round_trip"


class _Entry(NamedTuple):
    rows: int
    columns: str
    about: str
    ending: str = ".csv"


_CATALOGUE: dict[DataSet, _Entry] = {
    "heart": _Entry(
        1000,
        "I.H, Drug, Severity",
        "Simulated patients: a high I.H brings on both the drug and severity; the drug's true effect is -10",
    ),
    "did_panel": _Entry(
        2000,
        "id, Drug, Post, Quality_of_Care, I.H, Severity",
        "Simulated panel: 1000 patients before and after the drug; its true effect is -6",
    ),
    "pension": _Entry(
        2000,
        "net_assets, eligible, age, income, education, tenure, firm_size, sector, union, hours, shifts, commute, "
        "married, two_earners, family_size, homeowner, debts, region, town, moves, siblings, car_age, patience, "
        "risk, trust, numeracy, health, smoker, exercise, sleep, coffee, tv_hours, online_hours, books, "
        "volunteer, pets, effect",
        "Simulated households: whether a workplace pension makes them save more; its known effect: average 7.28",
    ),
    "boot_sample": _Entry(60, "x", "A skewed sample, for bootstrap intervals of a mean"),
    "boot_reps": _Entry(999, "t", "Bootstrap replicates of the mean of boot_sample"),
    "infants": _Entry(
        747,
        "birth_weight, head_circumference, weeks_preterm, birth_order, neonatal_health, mother_age, girl, twin, "
        "married, smoked, drank, drugs, worked, prenatal_care, first_born, no_high_school, high_school, some_college, "
        "site_1, site_2, site_3, site_4, site_5, site_6, site_7, treatment, y, mu0, mu1",
        "Simulated study of premature infants with known effects mu1 - mu0: average 4.304, of the treated 4",
    ),
    "campaign": _Entry(
        20_000,
        "recency, history, visits, channel, area, newcomer, discount, email, purchase, p0, p1",
        "Simulated experiment: an e-mail to half of the customers, of known effect p1 - p0: average 0.0178",
        ".csv.gz",
    ),
}


@asks
def load(name: DataSet) -> pd.DataFrame:
    """One bundled data set, read afresh at every call.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    OptionError
        If there is no data set of this name.

    Notes
    -----
    All are simulated. Three know the effects of single units:

    ``infants`` has the shape of the Infant Health and Development Program as Hill (2011) uses it, and none of its
    rows: 747 premature infants, 139 of them in a programme (``treatment``). Of a trial's 377 treated some were left
    out, likelier those whose mothers are young, unmarried, smoke or left school early, so that the arms differ in 25
    covariates: ``birth_weight`` (grams), ``head_circumference`` (cm), ``weeks_preterm``, ``birth_order``,
    ``neonatal_health`` (an index of mean 100), ``mother_age`` (years), and 19 of 0 and 1 (mothers of none of the three
    levels of schooling have a college degree; an eighth site has no column). The score ``y`` (no unit) has mean
    ``mu0`` without the programme and ``mu1`` with it, and standard deviation 1 about them: with X the covariates, the
    first six standardised, mu0 = exp((X + 0.5) b) and mu1 = X b + c, Hill's surface B, with c such that the average
    effect of the treated (ATT) is 4. The ATE is 4.304, the standard deviation of the effects 1.435; the plain
    difference of means is 4.585.

    ``campaign`` is an experiment: of 20,000 customers half, drawn by lot, got an ``email`` from the web shop. Before
    it were known ``recency`` (months since the last purchase), ``history`` (euros spent in the last year), ``visits``
    (to the web shop in the last month), ``channel`` (of purchases: store, web, both), ``area`` (of the address: rural,
    suburban, urban), ``newcomer`` (first purchase in the last year) and ``discount`` (bought at a discount).
    ``purchase`` is 1 for who bought in the two weeks after, with probability ``p0`` without the e-mail and ``p1`` with
    it. It does nothing in customers of the store alone (35%), deters who bought online within three months (16%,
    newcomers most), and helps with the others (48%), more with those who spent much or look for discounts. Purchases
    are 9.57% without it, and the ATE is 1.78 percentage points, of the mailed (ATT) 1.86.

    ``pension`` has 2,000 households, half of them ``eligible`` for a pension of the employer's. ``net_assets`` are in
    thousands, and each household's true ``effect`` of being eligible on them is 1 + 0.12 ``income``: 7.28 on average
    (ATE), of the eligible (ATT) 7.34; the plain difference of means is 13.33. Of 34 covariates eleven matter. Assets
    without eligibility rise with income (in thousands), homeowning, a second earner, patience (on a scale from 1 to
    7), ``log(firm_size)`` and a degree, fall with several debts, and have a bump at the age of 46, exp(-((age - 46) /
    9)^2), and a step for an income above 60 from an employer of more than 100; their standard deviation about this is
    12. Eligibility has the same bump and step, and depends on ``log(firm_size)``, a tenure of two years, union,
    sector and a second earner. Straight lines miss bump and step in both.

    The true effects of rows (``mu0 mu1``, ``p0 p1``, ``effect``) are rounded, and are not to be adjusted for.

    References
    ----------
    Hill, J. L. (2011). Bayesian nonparametric modeling for causal inference. *Journal of Computational and Graphical
    Statistics* 20(1), 217-240.
    """
    if not isinstance(name, str) or name not in _CATALOGUE:
        known = ", ".join(map(repr, _CATALOGUE))
        near = did_you_mean(name, _CATALOGUE) if isinstance(name, str) else ""
        raise OptionError(f"unknown data set {str(name)[:60]!r}{near} (there are {known})")
    with as_file(files(__name__) / f"{name}{_CATALOGUE[name].ending}") as path:
        return pd.read_csv(path, **EXACT)


def names() -> list[DataSet]:
    """Names of the bundled data sets."""
    return list(_CATALOGUE)


def describe() -> pd.DataFrame:
    """One row a data set: ``name, rows, columns, description``."""
    rows = [(name, entry.rows, entry.columns, entry.about) for name, entry in _CATALOGUE.items()]
    return pd.DataFrame(rows, columns=["name", "rows", "columns", "description"])
