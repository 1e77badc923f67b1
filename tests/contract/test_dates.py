"""Dates and times of every kind of frame: the order, the period, the group, and R's numbers as regressors."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import causalformula as cf

N = 48


@pytest.fixture(scope="module")
def plain() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"x": rng.normal(size=N), "a": np.arange(N) % 2, "t": np.arange(N)})
    d["y"] = d["x"] + d["a"] + rng.normal(size=N)
    d["days"] = 18262 + 11 * (d["t"] // 2)
    return d.sample(frac=1, random_state=2, ignore_index=True)


def stamps(d: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(d["days"], unit="D")


KINDS: dict[str, Any] = {
    **{
        f"datetime64[{u}]": lambda d, u=u: d.assign(when=stamps(d).astype(f"datetime64[{u}]"))
        for u in ("s", "ms", "ns")
    },
    "time zone": lambda d: d.assign(when=stamps(d).dt.tz_localize("America/New_York")),
    "arrow time zone": lambda d: pa.Table.from_pandas(d.assign(when=stamps(d).dt.tz_localize("Asia/Kolkata"))),
    "polars time zone": lambda d: pl.from_pandas(d.assign(when=stamps(d).dt.tz_localize("Etc/GMT+3"))),
    "datetime.date": lambda d: d.assign(when=[v.date() for v in stamps(d)]),
    "datetime.datetime": lambda d: d.assign(when=pd.Series([v.to_pydatetime() for v in stamps(d)], dtype=object)),
    "polars Date": lambda d: pl.from_pandas(d.assign(when=stamps(d))).with_columns(pl.col("when").cast(pl.Date)),
    "polars Datetime": lambda d: pl.from_pandas(d.assign(when=stamps(d))).with_columns(
        pl.col("when").cast(pl.Datetime)
    ),
    "arrow date32": lambda d: pa.Table.from_pandas(d.assign(when=[v.date() for v in stamps(d)])),
    "arrow timestamp": lambda d: pa.Table.from_pandas(d.assign(when=stamps(d))),
    "pandas on arrow": lambda d: d.assign(when=stamps(d).astype("timestamp[us][pyarrow]")),
}
# Midnights of no time zone are dates: pandas has no other type for them.
DATES = tuple(name for name in KINDS if "time zone" not in name)


@pytest.fixture(params=KINDS, scope="module")
def dated(request, plain) -> tuple[str, Any]:
    return request.param, KINDS[request.param](plain)


@pytest.mark.parametrize("vcov", ["NeweyWest(2) ~ {}", "DriscollKraay ~ {}", "~ {}", "CR2 ~ {}", "jackknife ~ {}"])
def test_order_period_and_cluster(vcov, dated, plain):
    if vcov.startswith("NeweyWest"):  # which needs one row a moment
        plain = plain.assign(days=18262 + 11 * plain["t"])
        dated = dated[0], KINDS[dated[0]](plain)
    right = cf.lm("y ~ x", plain, vcov=vcov.format("days")).tidy()["std.error"]
    got = cf.lm("y ~ x", dated[1], vcov=vcov.format("when")).tidy()["std.error"]
    np.testing.assert_allclose(got, right, rtol=1e-10)


def test_roles(dated, plain):
    for role, vcov in (("cluster({})", None), ("strata({})", cf.Bootstrap(20, seed=1))):
        right = cf.fit("y ~ treat(a) + adjust(x) + " + role.format("days"), plain, vcov=vcov)
        got = cf.fit("y ~ treat(a) + adjust(x) + " + role.format("when"), dated[1], vcov=vcov)
        assert (got.estimate, got.std_error) == pytest.approx((right.estimate, right.std_error))


def test_as_a_regressor(dated, plain):
    """Days since 1970-01-01, for a time zone or a time of day too, where R's POSIXct counts in seconds."""
    name, data = dated
    right, got = cf.lm("y ~ days", plain), cf.lm("y ~ when", data)
    if "time zone" in name:  # midnight there is some hours later, one hour more in winter
        assert got.coef["when"] == pytest.approx(right.coef["days"], rel=0.01)
        return
    assert list(got.coef.index) == ["(Intercept)", "when"]
    assert got.coef["when"] == pytest.approx(right.coef["days"])
    np.testing.assert_allclose(
        cf.fit("y ~ treat(a) + adjust(when)", data).estimate, cf.fit("y ~ treat(a) + adjust(days)", plain).estimate
    )


def test_beside_text(dated, plain):
    late = plain["days"] > 18400  # 2020-05-18
    for text in ("2020-05-18", "2020/05/18"):
        assert cf.lm("y ~ x", dated[1], subset=f"when > '{text}'").nobs == late.sum()
        m = cf.lm(f"y ~ I(when > '{text}')", dated[1])
        assert m.coef.iloc[1] == pytest.approx(cf.lm("y ~ I(days > 18400)", plain).coef.iloc[1])
    with pytest.raises(cf.FormulaError, match="'May' is not a date"):
        cf.lm("y ~ x", dated[1], subset="when > 'May'")


def test_labels(dated, plain):
    names = cf.lm("y ~ factor(when)", dated[1]).coef.index
    assert names[1] == "factor(when)2020-01-12"
    assert len(names) == plain["days"].nunique()


def test_new_data(dated, plain):
    name, data = dated
    model = cf.lm("y ~ when", data)
    expected = model.predict(data)
    other = KINDS["datetime.date" if name not in DATES else "datetime64[ns]"](plain)
    if "time zone" not in name:
        np.testing.assert_allclose(model.predict(other), expected)
    with pytest.raises(cf.DataError, match=r"'when' was a (date|time) when this was fitted, and here it is a number"):
        model.predict(plain.assign(when=plain["days"]))
    with pytest.raises(cf.DataError, match="'t' was a number or text when this was fitted, and here it is a"):
        cf.lm("y ~ t", plain).predict(plain.assign(t=stamps(plain)))


def test_missing(plain):
    d = plain.assign(when=stamps(plain).where(plain["t"] > 3))
    for data in (d, pl.from_pandas(d), d.assign(when=[None if pd.isna(v) else v.date() for v in d["when"]])):
        assert cf.lm("y ~ when", data).nobs == N - 4


def test_times_of_day(plain):
    d = plain.assign(when=stamps(plain) + pd.to_timedelta(plain["t"] * 600, unit="s"))
    seconds = (d["when"] - pd.Timestamp("1970-01-01")).dt.total_seconds()
    X = cf.model_matrix("~ when + as.numeric(as.Date(when))", d)
    np.testing.assert_array_equal(X["when"], seconds / 86400)
    np.testing.assert_array_equal(X.iloc[:, 2], np.floor(seconds / 86400))
    berlin = d.assign(when=d["when"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    days = cf.model_matrix("~ as.numeric(as.Date(when))", berlin).iloc[:, 1]
    assert days.tolist() == [v.toordinal() - 719163 for v in berlin["when"].dt.date]


def test_times_count_in_days_everywhere(plain):
    d = plain.assign(when=stamps(plain) + pd.to_timedelta(plain["t"] % 24, unit="h"))
    d["days"] = plain["days"] + plain["t"] % 24 / 24
    for text in (
        "{}",
        "poly({}, 2)",
        "I(as.numeric({}) / 7)",
        "as.numeric({} > mean({}))",
        "I(as.numeric({}) - as.numeric(median({})))",
    ):
        X, Z = (cf.model_matrix("~ x + " + text.replace("{}", name), d) for name in ("when", "days"))
        np.testing.assert_allclose(X.to_numpy(), Z.to_numpy(), rtol=1e-12)
    one, two = (cf.lm(f"y ~ {name}", d) for name in ("when", "days"))
    np.testing.assert_allclose(one.coef.to_numpy(), two.coef.to_numpy())
    np.testing.assert_allclose(one.predict(d), two.predict(d))
    for formula in ("y ~ treat(a) + {}", "y ~ treat({}) + x", "{} ~ treat(a) + x", "y ~ treat(a) + modify({})"):
        one, two = (cf.fit(formula.format(name), d) for name in ("when", "days"))
        assert (one.estimate, one.std_error) == pytest.approx((two.estimate, two.std_error))
        assert str(one.summary()).count("when counts in days") == 1
    assert "in days" not in str(cf.fit("y ~ treat(a) + cluster(when)", d).summary())
    # R's own arithmetic of times stays: a minute later
    later = cf.model_matrix("~ I(when + 60)", d).iloc[:, 1]
    np.testing.assert_allclose(later, d["days"] + 1 / 1440)
    assert "in days" not in str(cf.lm("y ~ factor(when)", plain.assign(when=stamps(plain))).summary())


def test_effects_by_many_dates_are_by_their_quartiles(plain):
    for shift in ("0h", "5h"):
        d = plain.assign(when=stamps(plain) + pd.Timedelta(shift))
        rows = cf.fit("y ~ treat(a) + modify(x)", d).by("when").tidy()
        right = cf.fit("y ~ treat(a) + modify(x)", plain).by("days").tidy()
        assert len(rows) == 4 and rows["when"].iloc[0].startswith("[2020-01-01")
        np.testing.assert_allclose(rows["estimate"], right["estimate"])


def test_the_callers_own_functions_see_times(plain):
    d = plain.assign(when=stamps(plain))
    X = cf.model_matrix("~ year(when)", d, env={"year": lambda v: v.astype("datetime64[Y]").astype(int) + 1970})
    assert X.iloc[:, 1].tolist() == d["when"].dt.year.tolist()


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ I(when / 365)", "`/` has no meaning for a time; as.numeric\\(\\)"),
        ("y ~ I(when - other)", "difftime"),
        ("y ~ cut(when, 3)", "cut\\(\\) is of numbers"),
        ("y ~ difftime(when, other)", "needs its unit"),
        ("y ~ I(sum(when) > 0)", "sum\\(\\) of dates"),
        ("y ~ span", "has type Duration.*total_seconds"),
        ("y ~ period", "to_timestamp"),
        ("y ~ as.Date('2020-13-01') ", "is not a date"),
        ("y ~ format(when, '%Q')", "does not know %Q"),
    ],
)
def test_what_has_no_meaning(formula, says, plain):
    d = plain.assign(
        when=stamps(plain) + pd.Timedelta(hours=1),
        other=stamps(plain) + pd.Timedelta(hours=2),
        span=pd.Timedelta(days=2),
        period=stamps(plain).dt.to_period("M"),
    )
    with pytest.raises(cf.CausalFormulaError, match=says):
        cf.lm(formula, d)


def test_groups_of_dates(plain):
    d = plain.assign(when=[datetime.date(2020, 1 + t % 3, 1) for t in plain["t"]])
    rows = cf.fit("y ~ treat(a) + modify(factor(when))", d).by("when").tidy()
    assert rows["when"].tolist() == ["2020-01-01", "2020-02-01", "2020-03-01"]
