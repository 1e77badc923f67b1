"""The recipes of the simulated studies: ``python -m tests.contract.simulated`` writes their files anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import RandomState  # its streams are frozen, those of a Generator are not

from causalformula import datasets

# Chosen among some twenty for moderate effects, whose standard deviation was 0.8 to 8 by the draw of b.
INFANTS_SEED = 16
CAMPAIGN_SEED = 14


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def infants() -> pd.DataFrame:
    """A trial of 985 premature infants of which 238 treated are left out, and Hill's (2011) response surface B."""
    draw = RandomState(INFANTS_SEED)
    trial = _born(draw, 985)
    offered = np.zeros(985, dtype=int)
    offered[draw.choice(985, 377, replace=False)] = 1
    score = 0.09 * trial["mother_age"] + 0.7 * trial["married"] - 0.8 * trial["no_high_school"] - 0.5 * trial["smoked"]
    stays = np.where(offered == 1, np.exp(score), 0)
    kept = offered == 0
    kept[draw.choice(985, 139, replace=False, p=stays / stays.sum())] = True
    data = trial[kept].reset_index(drop=True)
    treated = offered[kept]

    x = data.to_numpy(dtype=float)
    x[:, :6] = (x[:, :6] - x[:, :6].mean(axis=0)) / x[:, :6].std(axis=0)
    beta = draw.choice([0, 0.1, 0.2, 0.3, 0.4], 25, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    mu0 = np.exp((x + 0.5) @ beta)
    linear = x @ beta
    mu1 = linear + 4 - (linear - mu0)[treated == 1].mean()
    y = np.where(treated == 1, mu1, mu0) + draw.normal(0, 1, len(x))
    return data.assign(treatment=treated, y=y.round(4), mu0=mu0.round(4), mu1=mu1.round(4))


def _born(draw: RandomState, n: int) -> pd.DataFrame:
    """Covariates: a child's maturity moves what is measured at birth, a mother's schooling much of the rest."""
    maturity = draw.normal(0, 1, n)
    age = (14 + draw.gamma(3.5, 3.1, n)).round().clip(14, 44)
    schooling = 0.09 * (age - 25) + draw.normal(0, 1, n)
    order = 1 + draw.poisson(0.08 * (age - 13)).clip(0, 7)
    numbers = {
        "birth_weight": (1800 + 380 * maturity + draw.normal(0, 180, n)).round().clip(600, 2500),
        "head_circumference": (29.5 + 2 * maturity + draw.normal(0, 1.2, n)).round(1).clip(21, 37),
        "weeks_preterm": (7 - 2.2 * maturity + draw.normal(0, 1.3, n)).round().clip(1, 15),
        "birth_order": order,
        "neonatal_health": (100 + 8 * maturity + draw.normal(0, 13, n)).round(),
        "mother_age": age,
    }
    chances = {
        "girl": np.full(n, 0.5),
        "twin": np.full(n, 0.1),
        "married": logistic(0.1 * (age - 25) + 0.6 * schooling),
        "smoked": logistic(-0.7 - 0.5 * schooling),
        "drank": np.full(n, 0.13),
        "drugs": logistic(-3 - 0.4 * schooling),
        "worked": logistic(0.4 + 0.5 * schooling),
        "prenatal_care": logistic(3 + 0.5 * schooling),
    }
    facts = {name: draw.uniform(size=n) < chance for name, chance in chances.items()}
    facts |= {
        "first_born": order == 1,
        "no_high_school": schooling < -0.4,
        "high_school": (schooling >= -0.4) & (schooling < 0.5),
        "some_college": (schooling >= 0.5) & (schooling < 1.4),
    }
    site = draw.randint(1, 9, n)
    facts |= {f"site_{k}": site == k for k in range(1, 8)}
    born = pd.DataFrame(numbers | facts)
    return born.astype({name: int for name in born if name != "head_circumference"})


def campaign() -> pd.DataFrame:
    """An e-mail at random to half of 20,000 customers, in whom it does nothing, good, or harm."""
    draw = RandomState(CAMPAIGN_SEED)
    n = 20_000
    newcomer = (draw.uniform(size=n) < 0.3).astype(int)
    recency = draw.randint(1, 13, n)
    history = np.exp(draw.normal(5.2 - 0.5 * newcomer, 0.8)).round().clip(10, 3000).astype(int)
    channel = draw.choice(["store", "web", "both"], n, p=[0.35, 0.45, 0.2])
    online = channel != "store"
    visits = draw.poisson(np.exp(0.4 + 0.5 * online - 0.08 * recency))
    area = draw.choice(["rural", "suburban", "urban"], n, p=[0.15, 0.45, 0.4])
    discount = (draw.uniform(size=n) < 0.4).astype(int)

    spent = np.log(history) - 5
    usual = -2.1 - 0.06 * recency + 0.3 * spent + 0.12 * visits + 0.2 * (channel == "both") - 0.2 * (area == "rural")
    urged = 0.3 + 0.4 * discount + 0.2 * spent.clip(-1, 2)
    pestered = -0.4 - 0.4 * newcomer
    lift = np.where(online, np.where(recency > 3, urged, pestered), 0)
    p0, p1 = logistic(usual).round(4), logistic(usual + lift).round(4)
    email = (draw.uniform(size=n) < 0.5).astype(int)
    purchase = (draw.uniform(size=n) < np.where(email == 1, p1, p0)).astype(int)
    return pd.DataFrame(
        {
            "recency": recency,
            "history": history,
            "visits": visits,
            "channel": channel,
            "area": area,
            "newcomer": newcomer,
            "discount": discount,
            "email": email,
            "purchase": purchase,
            "p0": p0,
            "p1": p1,
        }
    )


if __name__ == "__main__":
    folder = Path(datasets.__file__).parent
    infants().to_csv(folder / "infants.csv", index=False)
    packing = {"method": "gzip", "compresslevel": 9, "mtime": 0}
    campaign().to_csv(folder / "campaign.csv.gz", index=False, compression=packing)
