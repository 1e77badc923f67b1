"""Closed sets of words that arguments take, as types: what an editor offers and a type checker holds them to.

A test keeps each the set that the code takes.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Method: TypeAlias = Literal[
    "difference_in_means", "regression", "ipw", "weighting", "ebal", "cbps", "ipt", "energy", "subclass",
    "stratification", "nearest", "matching", "cem", "exact", "did",
]  # fmt: skip
Estimand: TypeAlias = Literal["ATE", "ATT", "ATC", "ATO", "ATM", "ATOS", "LATE"]
Measure: TypeAlias = Literal["difference", "ratio", "log_ratio", "odds_ratio", "log_odds_ratio", "nnt"]
ContrastWord: TypeAlias = Literal["reference", "pairwise", "sequential", "sd", "iqr", "minmax", "slope"]
# A word; a step or a pair of values of a dose, or a pair of levels.
Contrast: TypeAlias = ContrastWord | float | tuple[Any, Any] | list[Any]
NaAction: TypeAlias = Literal["omit", "fail"]

ResidualType: TypeAlias = Literal["response", "working", "deviance", "pearson", "standardized", "studentized"]
PredictType: TypeAlias = Literal["link", "response"]
Interval: TypeAlias = Literal["confidence", "prediction"]
Limits: TypeAlias = Literal["wald", "profile"]

Picture: TypeAlias = Literal[
    "love", "overlap", "weights", "calibration", "roc", "jitter", "hist", "ecdf", "density", "qq"
]  # fmt: skip
Alternative: TypeAlias = Literal["two-sided", "greater", "less"]
PermutationStatistic: TypeAlias = Literal["estimate", "t"]
# How the columns of a tidy frame are spelled: std.error or std_error.
Spelling: TypeAlias = Literal["broom", "snake"]
