"""Closed sets of words that arguments take, as types: what an editor offers and a type checker holds them to.

A test keeps each the set that the code takes.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Method: TypeAlias = Literal[
    "difference_in_means", "regression", "ipw", "weighting", "ebal", "cbps", "ipt", "energy", "subclass",
    "stratification", "nearest", "matching", "cem", "exact", "aipw", "tmle", "dml", "did",
    "sunab", "imputation", "etwfe", "s_learner", "t_learner", "x_learner", "r_learner", "dr_learner",
    "front_door", "iv", "2sls", "tsls", "liml", "gmm",
]  # fmt: skip
Estimand: TypeAlias = Literal["ATE", "ATT", "ATC", "ATO", "ATM", "ATOS", "LATE"]
Measure: TypeAlias = Literal["difference", "ratio", "log_ratio", "odds_ratio", "log_odds_ratio", "nnt"]
ContrastWord: TypeAlias = Literal["reference", "pairwise", "sequential", "sd", "iqr", "minmax", "slope"]
# A word; a step or a pair of values of a dose, or a pair of levels.
Contrast: TypeAlias = ContrastWord | float | tuple[Any, Any] | list[Any]
# An editor offers these. A family may be R's call too, "binomial(link = 'probit')", and no type tells a call from a
# misspelt name: `family=` takes these or text, and a wrong word is found when the code runs.
FamilyName: TypeAlias = Literal[
    "binomial", "gaussian", "Gamma", "inverse.gaussian", "poisson", "quasi", "quasibinomial", "quasipoisson"
]  # fmt: skip
DataSet: TypeAlias = Literal["heart", "did_panel", "pension", "boot_sample", "boot_reps", "infants", "campaign"]
NaAction: TypeAlias = Literal["omit", "fail"]

ResidualType: TypeAlias = Literal["response", "working", "deviance", "pearson", "standardized", "studentized"]
PredictType: TypeAlias = Literal["link", "response"]
Interval: TypeAlias = Literal["confidence", "prediction"]
Limits: TypeAlias = Literal["wald", "profile"]

# Of models of the treatment.
Link: TypeAlias = Literal["logit", "probit", "cloglog", "cauchit"]
DistanceLink: TypeAlias = Literal[
    "logit", "probit", "cloglog", "cauchit", "linear.logit", "linear.probit", "linear.cloglog", "linear.cauchit",
]  # fmt: skip
MatchOrder: TypeAlias = Literal["largest", "smallest", "closest", "farthest", "data", "random"]
Metric: TypeAlias = Literal["mahalanobis", "robust_mahalanobis", "scaled_euclidean", "euclidean"]
Discard: TypeAlias = Literal["treated", "control", "both"]
FluctuationWord: TypeAlias = Literal["logistic", "linear"]
# Of a difference in differences.
DidEstimator: TypeAlias = Literal["dr", "dr_improved", "ipw", "reg"]
ComparisonGroup: TypeAlias = Literal["nevertreated", "notyettreated"]
BasePeriod: TypeAlias = Literal["varying", "universal"]
UnitEffects: TypeAlias = Literal["group", "unit"]
Aggregation: TypeAlias = Literal["simple", "group", "dynamic", "calendar"]
StrataEstimator: TypeAlias = Literal["weighted", "stratified"]

HCType: TypeAlias = Literal["HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5", "linearised"]
CRType: TypeAlias = Literal["CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3"]
HACType: TypeAlias = Literal["NeweyWest", "Andrews"]
Kernel: TypeAlias = Literal["QuadraticSpectral", "Bartlett", "Parzen", "TukeyHanning", "Truncated"]
# Of fixest's small-sample rules.
CountedEffects: TypeAlias = Literal["nonnested", "none", "full"]
GroupsCounted: TypeAlias = Literal["min", "conventional"]
# Whether estimated first stages enter a variance.
FirstStages: TypeAlias = Literal["estimated", "fixed"]
BootstrapKind: TypeAlias = Literal["percentile", "normal", "basic", "bca", "studentized"]
Resampling: TypeAlias = Literal["frequency", "exponential"]
WildWeights: TypeAlias = Literal["rademacher", "webb", "mammen"]
Tails: TypeAlias = Literal["symmetric", "equal"]
Centre: TypeAlias = Literal["mean", "estimate"]
Multipliers: TypeAlias = Literal["normal", "rademacher", "webb", "mammen"]
Adjustment: TypeAlias = Literal["holm", "bonferroni", "hochberg", "bh", "by", "romano_wolf"]

# Tests of nested models: of terms, and with none at all.
NestedTest: TypeAlias = Literal["F", "Chisq"]
TermTest: TypeAlias = Literal["none", "F", "Chisq"]
Powers: TypeAlias = Literal["fitted", "regressor", "princomp"]
SerialAlternative: TypeAlias = Literal["greater", "less", "two.sided", "two-sided"]
TableStatistic: TypeAlias = Literal["std.error", "conf.int", "p.value"]

BalanceStatistic: TypeAlias = Literal[
    "smd", "variance_ratio", "ks", "ovl", "correlation",
    # cobalt's names
    "mean.diffs", "m", "variance.ratios", "v", "ks.statistics", "ks.statistics.target", "ovl.coefficients",
    "correlations", "cor",
]  # fmt: skip
Binary: TypeAlias = Literal["raw", "std"]
Order: TypeAlias = Literal["unadjusted", "adjusted", "alphabetical", "formula"]
# Pictures of a design, and of the results of any method.
Picture: TypeAlias = Literal[
    "love", "overlap", "weights", "calibration", "roc", "jitter", "hist", "ecdf", "density", "qq"
]  # fmt: skip
ResultPicture: TypeAlias = Literal[
    "effects", "outcome", "trends", "quantiles", "grid", "event_study", "first_stage",
    "reduced_form", "anderson_rubin", "compare", "compliers",
]  # fmt: skip
Alternative: TypeAlias = Literal["two-sided", "greater", "less"]
PermutationStatistic: TypeAlias = Literal["estimate", "t"]
Refuter: TypeAlias = Literal[
    "placebo", "random_common_cause", "subset", "bootstrap", "dummy_outcome", "negative_control_outcome",
    "negative_control_exposure", "leave_one_out", "placebo_in_time", "unobserved_confounder",
]  # fmt: skip
DummyOutcome: TypeAlias = Literal["permuted", "simulated"]
RefutationPicture: TypeAlias = Literal["distributions", "confounder"]
# How the columns of a tidy frame are spelled: std.error or std_error.
Spelling: TypeAlias = Literal["broom", "snake"]

# How far trends may depart from parallel ones, and the intervals that allow for it.
TrendKind: TypeAlias = Literal["relative_magnitude", "smoothness"]
HonestMethod: TypeAlias = Literal["FLCI", "C-LF", "conditional"]
TrendDirection: TypeAlias = Literal["positive", "negative", "increasing", "decreasing"]
TrendBound: TypeAlias = Literal["deviation from parallel trends", "deviation from linear trend"]

# What confounders that were not measured could make of an effect.
SensitivityKind: TypeAlias = Literal["omitted", "rosenbaum", "marginal", "linear", "evalue", "oster", "tipping"]
EValueMeasure: TypeAlias = Literal["RR", "OR", "HR", "MD", "OLS", "RD"]

# Ways to choose confounders.
SelectionMethod: TypeAlias = Literal[
    "double_lasso", "outcome_adaptive_lasso", "change_in_estimate", "recursive_elimination", "stepwise"
]

# Of scores of a treatment model.
BalancedEstimand: TypeAlias = Literal["ATE", "ATT", "ATC", "ATO", "ATM"]
BalanceMeasure: TypeAlias = Literal["max", "mean"]
ProbabilityLoss: TypeAlias = Literal["log", "brier"]
