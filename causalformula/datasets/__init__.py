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
        "Simulated households: who is eligible for a workplace pension is saving more anyway; effect, each household's "
        "true effect of it on net_assets (in thousands), is 1 + 0.12 income, 7.28 on average",
    ),
    "boot_sample": _Entry(60, "x", "A skewed sample, for bootstrap intervals of a mean"),
    "boot_reps": _Entry(999, "t", "Bootstrap replicates of the mean of boot_sample"),
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
    """
    if not isinstance(name, str) or name not in _CATALOGUE:
        known = ", ".join(map(repr, _CATALOGUE))
        near = did_you_mean(name, _CATALOGUE) if isinstance(name, str) else ""
        raise OptionError(f"unknown data set {str(name)[:60]!r}{near} (there are {known})")
    with as_file(files(__name__) / f"{name}.csv") as path:
        return pd.read_csv(path, **EXACT)


def names() -> list[DataSet]:
    """Names of the bundled data sets."""
    return list(_CATALOGUE)


def describe() -> pd.DataFrame:
    """One row a data set: ``name, rows, columns, description``."""
    rows = [(name, entry.rows, entry.columns, entry.about) for name, entry in _CATALOGUE.items()]
    return pd.DataFrame(rows, columns=["name", "rows", "columns", "description"])
