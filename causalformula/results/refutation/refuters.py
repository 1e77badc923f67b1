"""The refuters: what each does, what a sound analysis gives there, and what it can and cannot show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refuter:
    """One way to refute an analysis.

    Parameters
    ----------
    name : str
    expects : {"nothing", "effect", "own", "table"}
        What its p-value is of: that the mean of the refits is no effect, or the effect itself; that the one refit's own
        effect is none; or there is no p-value.
    done : str
        What is done, in words.
    shows : str
        What it can show.
    sound, unsound : str
        Verdicts, on a p-value from 0.05 on, and below.
    blind : bool
        Whether it gives the same verdict with an omitted confounder as without.
    """

    name: str
    expects: str
    done: str
    shows: str
    sound: str = ""
    unsound: str = ""
    blind: bool = False


NO_EFFECT, AN_EFFECT = "no effect, as it should be", "an effect where there is none"
STAYS, MOVES = "the effect stays, as it should", "the effect moves"
CONFOUNDED = "an effect where there should be none: confounding?"

REFUTERS: dict[str, Refuter] = {
    refuter.name: refuter
    for refuter in (
        Refuter(
            "placebo",
            "nothing",
            "the treatment is permuted",
            "a method that finds effects of nothing",
            NO_EFFECT,
            AN_EFFECT,
            blind=True,
        ),
        Refuter(
            "random_common_cause",
            "effect",
            "random numbers join the covariates",
            "an estimate that hangs on which covariates are there",
            STAYS,
            MOVES,
            blind=True,
        ),
        Refuter(
            "subset",
            "effect",
            "a part of the rows is left out at random",
            "an estimate that few rows, or the number of rows, make",
            STAYS,
            MOVES,
            blind=True,
        ),
        Refuter(
            "bootstrap",
            "effect",
            "rows are drawn with replacement",
            "a bias that grows in a resample, as one of few rows does",
            STAYS,
            MOVES,
            blind=True,
        ),
        Refuter(
            "dummy_outcome",
            "nothing",
            "the outcome is replaced by one that nothing causes",
            "a method that finds effects on anything",
            NO_EFFECT,
            AN_EFFECT,
            blind=True,
        ),
        Refuter(
            "negative_control_outcome",
            "own",
            "the outcome is one that the treatment cannot change",
            "an omitted confounder that this outcome has too",
            NO_EFFECT,
            CONFOUNDED,
        ),
        Refuter(
            "negative_control_exposure",
            "own",
            "the treatment is one that cannot change the outcome, beside the real one",
            "an omitted confounder that this treatment has too",
            NO_EFFECT,
            CONFOUNDED,
        ),
        Refuter(
            "leave_one_out",
            "table",
            "each covariate is left out in turn",
            "which covariates the effect rests on; not whether one is missing",
            blind=True,
        ),
        Refuter(
            "placebo_in_time",
            "own",
            "the change is put before the real one, and later rows are left out",
            "groups that did not change alike before the change",
            NO_EFFECT,
            "an effect before the change: trends differ?",
        ),
        Refuter(
            "unobserved_confounder",
            "table",
            "a confounder of known strength, against the effect, is made and adjusted for",
            "how strong an omitted confounder must be to matter; not whether there is one",
        ),
    )
}
# What is done where no tests are named, of what the method takes; negative controls join where they are named.
USUAL = ("placebo", "random_common_cause", "subset", "bootstrap", "dummy_outcome", "leave_one_out")
NAMED = {"negative_control_outcome": "negative_outcome", "negative_control_exposure": "negative_exposure"}

# What they are called elsewhere: DoWhy's refuters, and other words for them.
OTHER_WORDS = {
    **dict.fromkeys(["placebotreatmentrefuter", "placebotreatment", "permutation", "permute", "permuted"], "placebo"),
    **dict.fromkeys(["commoncause", "addrandomcommoncause", "randomcovariate"], "random_common_cause"),
    **dict.fromkeys(["datasubsetrefuter", "datasubset", "subsample", "subsets"], "subset"),
    **dict.fromkeys(["bootstraprefuter", "resample", "boot"], "bootstrap"),
    **dict.fromkeys(["dummyoutcomerefuter", "dummy", "placebooutcome", "simulatedoutcome"], "dummy_outcome"),
    **dict.fromkeys(["negativecontrol", "negativeoutcome", "nco"], "negative_control_outcome"),
    **dict.fromkeys(["negativeexposure", "nce"], "negative_control_exposure"),
    **dict.fromkeys(["loo", "leaveout", "dropone", "jackknife"], "leave_one_out"),
    **dict.fromkeys(["pretrends", "pretrend", "paralleltrends", "placebotime"], "placebo_in_time"),
    **dict.fromkeys(["addunobservedcommoncause", "unobservedcommoncause", "sensitivity"], "unobserved_confounder"),
}
