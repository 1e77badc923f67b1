"""What a frame binds, and the frames that refutations and permutations make of it."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.learning.table import features
from causalformula.formula.expressions.values import encode
from causalformula.formula.language.grammar import ROLES
from causalformula.formula.language.reader import parse
from causalformula.frame.bind import GROUPED, TERM_ROLES, bind
from causalformula.frame.parts import PARTS, Part


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 40
    d = pd.DataFrame({"id": np.arange(n) // 2, "t": np.arange(n) % 2, "a": (np.arange(n) // 2) % 2})
    d = d.assign(x=rng.normal(size=n), z=rng.normal(size=n), g=np.arange(n) // 8, s=list("uv") * 20, w=1.0)
    return d.assign(y=d["x"] + d["a"] * d["t"] + rng.normal(size=n))


EVERY = (
    "y ~ treat(a) + adjust(x) + outcome(z) + propensity(z) + modify(s) + iv(z) + fe(id + g^s) + cluster(g) + strata(s)"
    " + weights(w) + offset(z) + censoring(z)"
)


def test_every_role_is_bound(data):
    """Each role of the table is evaluated: a missing value in any of them drops its row, and is counted."""
    bound = {*TERM_ROLES, *GROUPED, "treat", "did", "weights", "offset", "fe"} - {"unit", "period", "loo"}
    assert bound == set(ROLES)
    spare = {"z": "z", "id": "id", "g": "g", "s": "s", "w": "w"}
    for name in spare:
        gone = data.assign(**{name: data[name].astype(object).where(data.index != 3, None)})
        frame = bind(parse(EVERY), gone)
        assert (frame.n + frame.left_out.singletons, frame.missing_by) == (39, {name: 1})
    frame = bind(parse("y ~ did(a, t, unit = id)"), data.assign(id=data["id"].where(data.index != 3)))
    assert (frame.n, frame.missing_by) == (39, {"id": 1})


def test_groupings_are_one_mapping(data):
    frame = bind(parse(EVERY), data)
    assert {role: [g.name for g in found] for role, found in frame.groupings.items()} == {
        "cluster": ["g"],
        "strata": ["s"],
        "fe": ["id", "g^s"],
    }
    crossed = frame.groupings["fe"][1]
    assert len(crossed.levels) == 10 and crossed.levels[0] == "0:u"
    codes = frame.codes(["g", "id", "x"])
    np.testing.assert_array_equal(codes["id"], data["id"])
    panel = bind(parse("y ~ did(a, t, unit = id) + x"), data)
    assert panel.unit.name == "id" and (panel.panel.treated, panel.panel.time) == ("a", "t")
    assert panel.design(Part("did")).names == ("(Intercept)", "a", "t", "x", "a:t")
    assert panel.take(np.arange(10)).panel.unit.codes.tolist() == panel.unit.codes[:10].tolist()


def test_designs_are_named_by_parts(data):
    frame = bind(parse(EVERY), data)
    assert frame.design(Part("iv")).names == ("(Intercept)", "z")
    assert "a:x" in frame.design(Part("outcome", interact=True)).names
    assert {kind: frame.design(Part(kind)).names for kind in PARTS if kind != "did"}
    for wrong in ("iv", "outcome", ("outcome", True), None):
        with pytest.raises(cf.CapabilityError, match="named by a Part"):
            frame.design(wrong)
    with pytest.raises(cf.CapabilityError, match="no design matrix 'outcom'; did you mean 'outcome'"):
        Part("outcom")
    with pytest.raises(cf.CapabilityError, match="no treatment to interact"):
        Part("propensity", interact=True)
    with pytest.raises(cf.CapabilityError, match="needs did"):
        frame.design(Part("did"))


def test_other_outcomes_and_columns(data):
    fit = cf.fit("y ~ treat(a) + x", data)
    frame, options = fit.call.frame, fit.call.options
    moved = frame.with_outcome(frame.y + 3.0)
    assert registry.run(moved, options).estimate.theta[0] == pytest.approx(fit.estimate)
    assert moved.design(Part("outcome")) is frame.design(Part("outcome"))
    other = registry.run(frame.with_outcome(data["z"].to_numpy(), "z"), options)
    assert other.estimate.theta[0] == pytest.approx(cf.fit("z ~ treat(a) + x", data).estimate, rel=1e-10)
    swapped = registry.run(frame.with_column("x", data["z"].to_numpy()), options)
    assert swapped.estimate.theta[0] == pytest.approx(cf.fit("y ~ treat(a) + z", data).estimate, rel=1e-10)
    added = registry.run(frame.with_column("z", data["z"].to_numpy(), role="adjust"), options)
    assert added.estimate.theta[0] == pytest.approx(cf.fit("y ~ treat(a) + x + z", data).estimate, rel=1e-10)
    assert fit.estimate == cf.fit("y ~ treat(a) + x", data).estimate
    for name in ("a", "y"):
        with pytest.raises(cf.CapabilityError, match="use with_treatment or with_outcome"):
            frame.with_column(name, data["z"].to_numpy())
    with pytest.raises(cf.CapabilityError, match="no variable 'zz'"):
        frame.with_column("zz", data["z"].to_numpy())


def test_parts_of_the_same_terms_share_a_design(data):
    """With ``adjust`` alone the covariates of both nuisances are one matrix; a role of its own makes another."""
    shared = bind(parse("y ~ treat(a) + adjust(x)"), data)
    covariates, propensity = Part("covariates"), Part("propensity")
    assert shared.design(covariates) is shared.design(propensity) is shared.design(Part("adjust"))
    assert features(shared, covariates) is features(shared, propensity)
    assert shared.design(Part("outcome")) is not shared.design(Part("outcome", True))
    own = bind(parse("y ~ treat(a) + adjust(x) + propensity(z)"), data)
    assert own.design(propensity).names == ("(Intercept)", "x", "z")
    assert own.design(covariates).names == ("(Intercept)", "x")
    assert features(own, covariates) is not features(own, propensity)
    # what is remembered is of these values
    moved = shared.with_column("x", data["z"].to_numpy())
    np.testing.assert_array_equal(features(moved, propensity).design[:, 0], data["z"])
    np.testing.assert_array_equal(features(shared.take(np.arange(5)), propensity).design[:, 0], data["x"][:5])


def test_a_wide_frame_is_read_in_one_pass(data, monkeypatch):
    """Neither the formula nor the columns are gone through for each variable: that would take their number squared."""
    wide = pd.concat([data, pd.DataFrame({f"v{k}": data["x"] + k for k in range(300)})], axis=1)
    spec = parse("y ~ treat(a) + " + " + ".join(f"v{k}" for k in range(300)))
    monkeypatch.setattr(type(spec), "span_of", lambda *_: pytest.fail("looked for a place that no message needs"))
    listed = []
    columns = nw.DataFrame.columns.fget
    monkeypatch.setattr(nw.DataFrame, "columns", property(lambda frame: listed.append(1) or columns(frame)))
    assert bind(spec, wide).design(Part("adjust")).X.shape == (40, 301)
    assert len(listed) < 10


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int64", "uint64"])
def test_whole_numbers_are_counted_without_sorting(kind):
    ends = np.iinfo(kind)
    for values in (
        [ends.min, ends.min + 9, ends.min] * 20,
        [ends.max, ends.max - 9, ends.max] * 20,
        [ends.min, ends.max],
    ):
        column = np.array(values * 9, dtype=kind)
        distinct, codes = encode(column)
        expected, inverse = np.unique(column, return_inverse=True)
        assert distinct.dtype == kind and distinct.tolist() == expected.tolist()
        assert codes.tolist() == inverse.tolist()
