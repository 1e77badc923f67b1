"""What methods, their options and estimands are called elsewhere, and where these are found here."""

from __future__ import annotations

# In small letters.
MATCHING = frozenset(["match", "psm", "nn", "nnmatch", "propensity_score_matching", "matchit", "pair_matching"])
OTHER_METHODS = {
    **dict.fromkeys(["ols", "lm", "linear", "standardization", "g_formula", "outcome_regression"], "regression"),
    **dict.fromkeys(["iptw", "psw", "msm", "inverse_probability_weighting"], "ipw"),
    **dict.fromkeys(["entropy", "entropy_balancing", "ebalance", "eb"], "ebal"),
    **dict.fromkeys(["dr", "doubly_robust", "augmented_ipw", "aiptw"], "aipw"),
    **dict.fromkeys(["targeted", "targeted_maximum_likelihood", "targeted_learning", "cv_tmle"], "tmle"),
    **dict.fromkeys(["2sls", "tsls", "iv2sls", "ivreg", "instrumental_variables"], "iv"),
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

# What R users may type, and where it is found here.
METHOD_HINTS = {
    "glm": "propensity scores by logistic regression are method='ipw' (as weightit's method = 'glm')",
    "ps": "propensity scores by logistic regression are method='ipw'",
    **dict.fromkeys(
        ("gbm", "bart", "super", "superlearner"),
        "propensity scores by machine learning are method='ipw' with model='boosting', 'stack' (a Super Learner) or a "
        "scikit-learn classifier",
    ),
    "fuller": "Fuller's estimator is method='liml' with fuller=1, or fuller=4",
    **dict.fromkeys(("k_class", "kclass"), "the k-class is method='liml' with k="),
    "optweight": "for weights of approximate balance see method='ebal' with tols=",
    "g_computation": "g-computation is method='regression'",
    "gcomp": "g-computation is method='regression'",
}
_READING = "the level is of the reading, not of the fit: fit.tidy(level=0.9), fit.summary(level=0.9)"
_STANDARD_ERRORS = "standard errors are asked for by vcov=, as in vcov='HC3' or vcov='~g'"
_RESAMPLING = "a bootstrap is asked for by vcov=, as in vcov='bootstrap(999, seed = 1)'"
OPTION_HINTS = {
    **dict.fromkeys(("level", "alpha", "conf_level", "ci", "conf_int"), _READING),
    **dict.fromkeys(("se", "se_type", "robust", "cov_type", "vcov_type", "std_errors", "cov"), _STANDARD_ERRORS),
    **dict.fromkeys(("bootstrap", "n_boot", "nboot", "boot", "reps", "seed"), _RESAMPLING),
    **dict.fromkeys(("treatment", "treat", "exposure"), "the treatment is part of the formula: treat(A)"),
    **dict.fromkeys(
        ("covariates", "confounders", "controls", "adjust"), "confounders are part of the formula: adjust(x + z)"
    ),
    **{role: f"it is part of the formula: {role}(x)" for role in ("offset", "strata", "modify", "fe", "iv")},
    **dict.fromkeys(
        ("propensity", "propensity_score", "propensity_scores", "pscore", "p_score", "scores"),
        "terms of the treatment model are part of the formula, adjust(x) or propensity(x); method='ipw' takes scores "
        "of your own as a column, ps='p', and a classifier, model=",
    ),
    "ref": "the reference level is part of the formula: treat(A, ref = 'placebo')",
    "link": "the link belongs to the family: family=\"binomial(link = 'probit')\"",
    **dict.fromkeys(("na_rm", "missing", "dropna"), "missing values are of na_action='omit' or na_action='fail'"),
    **dict.fromkeys(
        ("s_weights", "sampw", "sample_weight", "weights"),
        "sampling weights are part of the formula: weights(w)",
    ),
    **dict.fromkeys(("cluster", "clusters"), "clusters are part of the formula, cluster(g), or of vcov='~g'"),
    "moments": "moments= is of the balancing methods; for a propensity model write adjust(poly(x, 2))",
    "distance": "distance= is of method='subclass'",
    "over": "over= is of method='cbps'",
    **dict.fromkeys(
        ("dag", "strict", "graph"),
        "a graph checks a formula with its outcome: cf.fit(formula, data, method, dag=g, strict=True)",
    ),
}
