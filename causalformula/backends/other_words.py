"""What methods and estimands are called elsewhere, in small letters."""

from __future__ import annotations

MATCHING = frozenset(["match", "psm", "nn", "nnmatch", "propensity_score_matching", "matchit", "pair_matching"])
OTHER_METHODS = {
    **dict.fromkeys(["ols", "lm", "linear", "standardization", "g_formula", "outcome_regression"], "regression"),
    **dict.fromkeys(["iptw", "psw", "msm", "inverse_probability_weighting"], "ipw"),
    **dict.fromkeys(["entropy", "entropy_balancing", "ebalance", "eb"], "ebal"),
    **dict.fromkeys(["dr", "doubly_robust", "augmented_ipw"], "aipw"),
    **dict.fromkeys(["naive", "ttest", "t_test", "dim", "neyman", "unadjusted"], "difference_in_means"),
    **dict.fromkeys(["stratification", "strata", "subclassification"], "subclass"),
}
OTHER_ESTIMANDS = {
    **dict.fromkeys(["atu", "atut", "atnt", "untreated", "controls", "control"], "ATC"),
    **dict.fromkeys(["tot", "atet", "treated", "effectonthetreated"], "ATT"),
    **dict.fromkeys(["overlap", "atov"], "ATO"),
    **dict.fromkeys(["pate", "sate", "average", "all"], "ATE"),
    **dict.fromkeys(["matched", "atmatched"], "ATM"),
    **dict.fromkeys(["cace"], "LATE"),
}
