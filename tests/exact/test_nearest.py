"""Nearest neighbours, exact and coarsened exact matching: by hand, against plain loops, and what every design keeps."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import causalformula as cf
from causalformula.numerics.matching.coarsen import coarsened
from causalformula.numerics.matching.line import match_on_line
from causalformula.numerics.matching.metrics import METRICS, without_part
from causalformula.numerics.matching.space import match_in_space
from causalformula.numerics.matching.task import (
    CLOSEST,
    FARTHEST,
    UNLIMITED,
    WIDEST,
    Apart,
    Gap,
    Task,
    extremal_ratio,
    focal_order,
)

seeds = st.integers(0, 2**31 - 1)
ORDERS = ("largest", "smallest", "data", "random", CLOSEST, FARTHEST)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


# -- by hand ---------------------------------------------------------------------------------------------------------


def pairs_of(treated, controls, **options):
    """Pairs (treated score, control score or its place) of units on a line; treated rows first."""
    d = np.array([*treated, *controls], dtype=float)
    data = pd.DataFrame({"a": np.arange(len(d)) < len(treated), "d": d}).astype({"a": int})
    made = cf.design("~ treat(a)", data, "nearest", distance="d", **options).design_weights
    return [(d[row[0]], *(int(c) - len(treated) for c in row[1:] if c >= 0)) for row in made.pairs]


def test_who_chooses_first():
    """5 and 4 both want 4.4; who comes too late is left with 1."""
    first, second = [(5, 0), (4, 1)], [(5, 1), (4, 0)]
    for order, found in {"largest": first, "smallest": second, "data": first, CLOSEST: second, FARTHEST: first}.items():
        assert pairs_of([5, 4], [4.4, 1], m_order=order) == found
    assert pairs_of([4, 5], [4.4, 1], m_order="data") == [(4, 0), (5, 1)]
    assert pairs_of([5, 4], [4.4, 1]) == first
    assert pairs_of([5, 4], [4.4, 1], replace=True) == [(5, 0), (4, 0)]
    assert pairs_of([5, 4], [4.4, 1], reuse_max=2) == [(5, 0), (4, 0)]


def test_whom_of_those_equally_near():
    """The one below; of several of one score the last row from below, the first from above."""
    assert pairs_of([2], [3, 1]) == [(2, 1)]
    assert pairs_of([2], [1, 1, 3]) == [(2, 1)]
    assert pairs_of([2], [3, 3, 0]) == [(2, 0)]
    # rows of the same score that come later are above
    assert pairs_of([2], [2, 2, 9]) == [(2, 0)]
    assert pairs_of([2], [1, 1, 3], ratio=3) == [(2, 1, 0, 2)]


def test_rounds():
    """Everyone has a first match before anyone has a second."""
    assert pairs_of([5, 4], [5, 4, 3, 2], ratio=2) == [(5, 0, 2), (4, 1, 3)]
    assert pairs_of([5, 4], [5, 4, 3], ratio=2) == [(5, 0, 2), (4, 1)]


def test_calipers_by_hand():
    """In the variable's unit, and in standard deviations of everyone (divisor n - 1)."""
    assert pairs_of([5, 4], [4.4, 1], caliper=1, std_caliper=False) == [(5, 0), (4,)]
    spread = np.std([5, 4, 4.4, 1], ddof=1)
    assert pairs_of([5, 4], [4.4, 1], caliper=3.01 / spread) == [(5, 0), (4, 1)]
    assert pairs_of([5, 4], [4.4, 1], caliper=2.99 / spread) == [(5, 0), (4,)]
    # farther apart than 0.5
    assert pairs_of([5, 4], [4.4, 1], caliper=-0.5, std_caliper=False) == [(5, 0), (4, 1)]
    assert pairs_of([5, 4], [4.4, 1], caliper=-0.7, std_caliper=False) == [(5, 1), (4,)]


def test_weights_by_hand():
    """A focal unit weighs 1 and spreads 1 over its matches, whose weights are scaled to their number."""
    data = pd.DataFrame({"a": [1, 1, 0, 0, 0, 0], "d": [5, 1, 5, 4, 1, 9.0]})
    once = cf.design("~ treat(a)", data, "nearest", distance="d", ratio=2, m_order="data")
    np.testing.assert_allclose(once.weights, [1, 1, 1, 1, 1, 1])
    short = cf.design("~ treat(a)", data[:5], "nearest", distance="d", ratio=2)
    # 5 has two matches, 1 has one: a half, a half and one, which sum to the three controls
    np.testing.assert_allclose(short.weights, [1, 1, 0.75, 0.75, 1.5])
    again = cf.design("~ treat(a)", data.assign(d=[5, 4.4, 5, 0, 0, 9.0]), "nearest", distance="d", replace=True)
    # both take the unit at 5, a single match
    np.testing.assert_allclose(again.weights, [1, 1, 1, 0, 0, 0])


def test_exact_matching_by_hand():
    data = pd.DataFrame({"a": [1, 1, 1, 0, 0, 0, 0], "g": list("uuvuvvw"), "y": [5.0, 7, 9, 1, 2, 4, 100]})
    fit = cf.fit("y ~ treat(a) + adjust(g)", data, "exact")
    # in u 6 against 1, in v 9 against 3, with two treated and one
    assert fit.estimate == pytest.approx((2 * 5 + 6) / 3)
    assert fit.design.design_weights.subclass.tolist() == [1, 1, 2, 1, 2, 2, None]
    np.testing.assert_allclose(fit.design.weights, [1, 1, 1, 2, 0.5, 0.5, 0])
    both = cf.fit("y ~ treat(a) + adjust(g)", data, "exact", estimand="ATE")
    assert both.estimate == pytest.approx((3 * 5 + 3 * 6) / 6)


# -- plain loops -----------------------------------------------------------------------------------------------------


def slowly(task, apart, nearest):
    """Matches by comparing each focal unit with each of the pool.

    ``apart(i, c)`` is a distance, and ``nearest(i, rows)`` says whom of some rows at one distance a unit takes.
    """
    m, found = len(task.focal), [[] for _ in task.focal]
    used, gone = Counter(), set()

    def choice(k):
        i = task.focal[k]
        free = [c for c in task.pool if c not in gone and used[c] < task.reuse and c not in found[k]]
        free = [c for c in free if allowed(task, i, c) and task.beyond < apart(i, c) <= task.caliper]
        if not free:
            return None
        least = min(apart(i, c) for c in free)
        return least, nearest(i, [c for c in free if apart(i, c) == least], free)

    def choose(k, c):
        found[k].append(c)
        used[c] += 1
        if task.units is not None:
            gone.update(other for other in task.pool if other != c and task.units[other] == task.units[c])

    for turn in range(task.most):
        ready = [k for k in range(m) if task.wanted[k] > turn]
        if isinstance(task.order, str) and task.order == CLOSEST:
            while any(choice(k) for k in ready):
                k = min((k for k in ready if choice(k)), key=lambda k: choice(k)[0])
                choose(k, choice(k)[1])
                ready.remove(k)
            continue
        if isinstance(task.order, str):
            first = {k: choice(k) for k in ready}
            order = sorted((k for k in ready if first[k]), key=lambda k: -first[k][0])
        else:
            order = [k for k in task.order if k in ready]
        for k in order:
            at = choice(k)
            if at is not None:
                choose(k, at[1])
    out = np.full((m, task.most), -1)
    for k, rows in enumerate(found):
        out[k, : len(rows)] = rows
    return out


def allowed(task, i, c):
    if task.strata is not None and task.strata[i] != task.strata[c]:
        return False
    for condition in task.conditions:
        if isinstance(condition, Apart):
            fine = condition.codes[i] != condition.codes[c]
        else:
            gap = abs(condition.values[i] - condition.values[c])
            fine = gap > condition.width if condition.beyond else gap <= condition.width
        if not fine:
            return False
    return True


@st.composite
def tasks(draw, score, ties):
    """A problem with its data: who, how often, in which order, under which conditions."""
    seed = draw(seeds)
    rng = np.random.default_rng(seed)
    n = draw(st.integers(4, 30))
    treated = rng.random(n) < 0.4
    treated[:2] = True, False
    x = rng.integers(0, 12, n) / 4.0 if ties else rng.normal(size=n)
    Z = rng.integers(0, 3, (n, 2)).astype(float) if ties else rng.normal(size=(n, 2))
    focal, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    # a closest pair among several is MatchIt's by the way it searches, which the parity tests hold
    order = draw(st.sampled_from([each for each in ORDERS if not (ties and each == CLOSEST)]))
    wanted = rng.integers(1, 4, len(focal)) if draw(st.booleans()) else np.full(len(focal), draw(st.integers(1, 3)))
    conditions = []
    if draw(st.booleans()):
        conditions.append(Gap(rng.integers(0, 6, n).astype(float), 2.0, draw(st.booleans())))
    if draw(st.booleans()):
        conditions.append(Apart(rng.integers(0, 3, n)))
    task = Task(
        focal,
        pool,
        wanted,
        focal_order(order, x[focal], len(focal), seed),
        reuse=draw(st.sampled_from([1, 2, UNLIMITED])),
        strata=rng.integers(0, 3, n) if draw(st.booleans()) else None,
        caliper=draw(st.sampled_from([WIDEST, 1.0])) if score else WIDEST,
        beyond=draw(st.sampled_from([-1.0, 0.25])) if score else -1.0,
        conditions=tuple(conditions),
        units=rng.integers(0, max(n // 2, 1), n) if draw(st.booleans()) else None,
    )
    return task, x if score else Z


def on_line(x):
    """The distance of scores, and whom of those equally near: from below the last row, from above the first."""
    place = np.empty(len(x), dtype=int)
    place[np.lexsort((np.arange(len(x)), x))] = np.arange(len(x))

    def nearest(i, rows, free):
        below = [c for c in rows if place[c] < place[i]]
        return max(below, key=lambda c: place[c]) if below else min(rows, key=lambda c: place[c])

    return (lambda i, c: abs(x[i] - x[c])), nearest


def in_space(Z):
    """The distance of points, and whom of those equally near: the last that a walk down and up by turns reaches."""
    place = np.empty(len(Z), dtype=int)
    place[np.lexsort((np.arange(len(Z)), Z[:, 0]))] = np.arange(len(Z))

    def nearest(i, rows, free):
        down = sorted((c for c in free if place[c] < place[i]), key=lambda c: -place[c])
        up = sorted((c for c in free if place[c] > place[i]), key=lambda c: place[c])
        walk = []
        for step in range(max(len(down), len(up))):
            walk += [*down[step : step + 1], *up[step : step + 1]]
        return [c for c in walk if c in rows][-1]

    def apart(i, c):
        return np.sqrt(sum((a - b) ** 2 for a, b in zip(Z[i], Z[c], strict=True)))

    return apart, nearest


@pytest.mark.parametrize("ties", [False, True])
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_matches_on_a_score_are_those_of_a_plain_loop(ties, data):
    task, x = data.draw(tasks(True, ties))
    np.testing.assert_array_equal(match_on_line(x, task), slowly(task, *on_line(x)))


@pytest.mark.parametrize("ties", [False, True])
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_matches_on_covariates_are_those_of_a_plain_loop(ties, data):
    task, Z = data.draw(tasks(False, ties))
    np.testing.assert_array_equal(match_in_space(Z, task), slowly(task, *in_space(Z)))


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from([1, 3]))
def test_blocks_do_not_change_the_matches(seed, size):
    """Distances are computed a block of focal units at a time, which later matches use up."""
    from causalformula.numerics.matching import line, space

    rng = np.random.default_rng(seed)
    n, Z = 40, rng.integers(0, 4, (40, 3)).astype(float)
    treated = np.arange(n) % 3 == 0
    for reuse in (1, UNLIMITED):
        task = Task(np.flatnonzero(treated), np.flatnonzero(~treated), np.full(14, 2), np.arange(14), reuse=reuse)
        whole = match_in_space(Z, task), match_on_line(Z[:, 0], task)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(space, "BLOCK", size * 26)
            patch.setattr(line, "BLOCK", size * 4)
            np.testing.assert_array_equal(match_in_space(Z, task), whole[0])
            np.testing.assert_array_equal(match_on_line(Z[:, 0], task), whole[1])


# -- what every design keeps -----------------------------------------------------------------------------------------


def simulate(seed, n=60, ties=False):
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(0.7 - x))).astype(int)
    a[:8] = np.arange(8) % 2
    if ties:
        x, v = x.round(1), v.round(1)
    g, h = rng.choice(["u", "w"], n), rng.integers(0, 3, n)
    y = a + x + rng.normal(size=n)
    return pd.DataFrame(
        {"a": a, "x": x, "v": v, "g": g, "h": h, "id": rng.integers(0, n // 2, n), "y": y, "w": rng.uniform(0.5, 2, n)}
    )


F = "~ treat(a) + adjust(x + v + g)"
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "caliper": st.sampled_from([0.3, {"x": 1.0, "distance": 0.5}, {"v": -0.2}, {"distance": -0.02, "h": 1}]),
        "exact": st.sampled_from(["~ g", "~ g + h"]),
        "antiexact": st.just("~ h"),
        "ratio": st.integers(1, 3),
        "m_order": st.sampled_from(["largest", "smallest", "closest", "farthest", "data"]),
    },
)
REUSE = st.sampled_from([{}, {"replace": True}, {"reuse_max": 2}, {"unit_id": "id"}])


@settings(max_examples=80, deadline=None)
@given(seeds, st.booleans(), LIMITS, REUSE, st.sampled_from(["ATT", "ATC"]), st.booleans())
def test_every_pair_is_within_the_limits(seed, ties, limits, reuse, estimand, mahvars):
    data = simulate(seed, ties=ties)
    assume(not (mahvars and limits.get("m_order") in ("closest", "farthest") and ties))
    more = {"mahvars": "~ x + v"} if mahvars else {}
    try:
        design = cf.design(F, data, "nearest", estimand=estimand, **limits, **reuse, **more)
    except cf.DataError as error:
        assert "nobody can be matched" in str(error)
        return
    pairs, score = design.design_weights.pairs, design.distance.to_numpy()
    assert (data["a"].to_numpy()[pairs[:, 0]] == (estimand == "ATT")).all()
    rows, columns = np.nonzero(pairs[:, 1:] >= 0)
    focal, match = pairs[rows, 0], pairs[rows, 1 + columns]
    assert (data["a"].to_numpy()[match] == (estimand == "ATC")).all()
    caliper = limits.get("caliper", {})
    for name, width in (caliper if isinstance(caliper, dict) else {"distance": caliper}).items():
        values = score if name == "distance" else data[name].to_numpy()
        gaps, most = np.abs(values[focal] - values[match]), abs(width) * values.std(ddof=1)
        assert (gaps <= most + 1e-12).all() if width > 0 else (gaps > most - 1e-12).all()
    if "exact" in limits:
        for name in limits["exact"].removeprefix("~ ").split(" + "):
            assert (data[name].to_numpy()[focal] == data[name].to_numpy()[match]).all()
    if "antiexact" in limits:
        assert (data["h"].to_numpy()[focal] != data["h"].to_numpy()[match]).all()
    times = np.bincount(match)
    assert times.max() <= (len(pairs) if reuse.get("replace") else reuse.get("reuse_max", 1))
    assert (np.bincount(np.unique(np.column_stack([focal, match]), axis=0)[:, 0]) <= limits.get("ratio", 1)).all()
    if "unit_id" in reuse:
        assert np.bincount(data["id"].to_numpy()[match]).max() == 1
    if design.design_weights.subclass is not None:
        number = design.design_weights.subclass
        assert [number[i] for i in focal] == [number[c] for c in match]
    weights_add_up(design, data, estimand, focal, match)


def weights_add_up(design, data, estimand, focal, match):
    """Focal units weigh 1 and spread it over their matches, whose weights sum to the number of different ones."""
    w, arm = design.weights.to_numpy(), data["a"].to_numpy() == (estimand == "ATT")
    np.testing.assert_allclose(w[np.unique(focal)], 1)
    assert set(np.flatnonzero(w > 0)) == set(focal) | set(match)
    share = 1 / np.bincount(focal, minlength=len(w))[focal]
    spread = np.bincount(match, share, len(w))
    np.testing.assert_allclose(w[~arm], (spread * (spread > 0).sum() / spread.sum())[~arm], atol=1e-12)
    assert w[~arm].sum() == pytest.approx(len(np.unique(match)))


ASKED = [
    {"m_order": "largest"},
    {"m_order": "smallest", "ratio": 2},
    {"m_order": "closest"},
    {"m_order": "farthest"},
    {"replace": True, "ratio": 2},
    {"caliper": 0.2, "exact": "~ g"},
    {"ratio": 1.5, "max_controls": 3, "estimand": "ATT"},
    {"mahvars": "~ x + v", "m_order": "closest"},
    {"distance": "mahalanobis", "replace": True},
    {"distance": "robust_mahalanobis", "m_order": "farthest"},
    {"replace": True, "ties": True, "ratio": 2},
    {"replace": True, "ties": True, "estimand": "ATE", "distance": "scaled_euclidean"},
]


@pytest.mark.parametrize("options", ASKED, ids=str)
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_row_order_does_not_matter_without_ties(options, seed):
    data = simulate(seed, n=50)
    assume(data["a"].sum() < 18)
    data.index = [f"r{k}" for k in range(len(data))]
    shuffled = data.sample(frac=1, random_state=seed % 1000)
    here, there = (cf.design(F, each, "nearest", **options) for each in (data, shuffled))
    np.testing.assert_allclose(there.weights[data.index], here.weights, rtol=1e-9, atol=1e-12)
    assert by_label(here) == by_label(there)


def by_label(design):
    """Sets of matches by the label of the focal unit."""
    index = design.call.frame.index
    found = design.design_weights.pairs
    return {index[row[0]]: {index[c] for c in row[1:] if c >= 0} for row in found}


@settings(max_examples=30, deadline=None)
@given(seed=seeds, ratio=st.integers(1, 2), replace=st.booleans())
def test_the_att_of_one_arm_is_the_atc_of_the_other(seed, ratio, replace):
    """With the score turned round, so that who chose first chooses first."""
    data = simulate(seed)
    asked = {"distance": "x", "ratio": ratio, "replace": replace}
    here = cf.design("~ treat(a)", data, "nearest", **asked)
    there = cf.design("~ treat(a)", data.assign(a=1 - data["a"], x=-data["x"]), "nearest", estimand="ATC", **asked)
    assert by_label(here) == by_label(there)
    np.testing.assert_allclose(here.weights, there.weights)
    assert here.fit("y ~ treat(a)").estimate == pytest.approx(-there.fit("y ~ treat(a)").estimate)


TARGETS = [
    ("nearest", {}),
    ("nearest", {"replace": True, "ratio": 2}),
    ("nearest", {"ratio": 1.2, "max_controls": 2}),
    ("nearest", {"replace": True, "ties": True, "bias_adjust": True}),
    ("nearest", {"replace": True, "ties": True, "distance": "scaled_euclidean"}),
    ("cem", {}),
    ("cem", {"k2k": True}),
]


@pytest.mark.parametrize(("method", "options"), TARGETS, ids=str)
def test_the_arm_that_is_the_target_says_whose_effect_it_is(method, options):
    """``focal=`` the controls is the ATC, by whatever name, and the reasons for who is left out are theirs."""
    data = simulate(3)
    data["a"] = np.where(np.arange(60) % 3 == 0, data["a"], 1)  # few controls, whom everyone of the target finds
    formula = "~ treat(a) + adjust(x + v)"
    named, focal = (
        cf.design(formula, data, method, **asked, **options)
        for asked in ({"estimand": "ATC"}, {"estimand": "ATT", "focal": 0})
    )
    np.testing.assert_allclose(focal.weights, named.weights)
    here, there = named.fit("y ~ treat(a)"), focal.fit("y ~ treat(a)")
    np.testing.assert_allclose([there.estimate, there.std_error], [here.estimate, here.std_error])
    assert str(focal).replace("ATT", "ATC") == str(named)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, replace=st.booleans())
def test_sampling_weights_change_no_pairs_of_a_given_score(seed, replace):
    """They weigh the outcome model, and come back in the matched data."""
    data = simulate(seed)
    here, there = (
        cf.design(f"~ treat(a){more}", data, "nearest", distance="x", replace=replace) for more in ("", " + weights(w)")
    )
    assert by_label(here) == by_label(there)
    np.testing.assert_allclose(here.weights, there.weights)
    kept = there.matched_data(weights="final")
    np.testing.assert_allclose(kept["final"], (here.weights * data["w"])[kept.index])
    treated = data["a"] == 1
    w = here.weights * data["w"]
    means = [np.average(data["y"][arm], weights=w[arm]) for arm in (~treated, treated)]
    assert there.fit("y ~ treat(a)").estimate == pytest.approx(means[1] - means[0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 4), st.floats(0.05, 0.95))
def test_numbers_of_matches_of_a_variable_ratio(m, least, more, share):
    """They sum to the ratio's total, and all but one are the fewest or the most: the fewest for whoever comes first."""
    most = least + more
    ratio = least + share * more
    order = np.random.default_rng(m).permutation(m)
    wanted = extremal_ratio(order, ratio, least, most)
    assert wanted.sum() == round(ratio * m)
    assert ((wanted >= least) & (wanted <= most)).all()
    assert ((wanted > least) & (wanted < most)).sum() <= 1
    assert (np.diff(wanted[order]) >= 0).all()


TIED = {"replace": True, "ties": True}


@pytest.mark.parametrize("options", [{"replace": True}, TIED, {**TIED, "bias_adjust": True}], ids=str)
def test_matched_fits_pickle(options):
    fit = cf.fit("y ~ treat(a) + adjust(x + v)", simulate(1), "nearest", **options)
    back = pickle.loads(pickle.dumps(fit))
    assert str(back) == str(fit)
    assert back.with_vcov("AI(matches = 2)").std_error == fit.with_vcov("AI(matches = 2)").std_error


def test_the_model_behind_has_a_covariance_of_its_own():
    """Abadie and Imbens' is of the difference alone: the coefficients have HC3."""
    fit = cf.fit("y ~ treat(a) + adjust(x + v)", simulate(1), "nearest", replace=True, ties=True)
    assert fit.outcome.covariance.label == "HC3"
    assert fit.glance()["vcov"][0] == "AI"


def test_matched_sets_are_clusters_of_what_shares_them():
    """Fits of one design are joined by its sets; those of another are asked for a covariance first."""
    data = simulate(2)
    design = cf.design(F, data, "nearest")
    plain, adjusted = design.fit("y ~ treat(a)"), design.fit("y ~ treat(a) + outcome(x)")
    joined = cf.stack([plain, adjusted])
    np.testing.assert_allclose(joined.bse, [plain.std_error, adjusted.std_error], rtol=1e-9)
    counted = str(plain).partition("clusters subclass: ")[2].partition(")")[0]
    assert f"clusters subclass: {counted})" in str(joined)
    other = cf.fit("y ~ treat(a) + adjust(x)", data, "nearest")
    for second in (other, cf.fit("y ~ treat(a) + adjust(x)", data)):
        with pytest.raises(cf.CapabilityError, match=r"do not share one design.*with_vcov\('HC3'\)"):
            plain - second
    assert (plain.with_vcov("HC3") - other.with_vcov("HC3")).std_error > 0


# -- distances -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_columns_without_a_part(metric):
    rng = np.random.default_rng(1)
    treated = np.arange(40) % 2 == 0
    x, v = rng.normal(size=(2, 40))
    X = np.column_stack([x, 3 + 0 * x, v, 2 * x + 1e6, x + v, treated])
    found = without_part(metric, X, treated, np.ones(40, dtype=bool))
    none = [False, True, False]
    # the ranks of a sum are none of a sum, and an arm has spread over the arms
    expected = {"mahalanobis": [*none, True, True, True], "robust_mahalanobis": [*none, True, False, False]}
    assert found.tolist() == expected.get(metric, [*none, False, False, False])


# -- bins ------------------------------------------------------------------------------------------------------------

numbers = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=5, max_size=60)


@given(numbers, st.integers(1, 9))
def test_bins_of_equal_width_are_numpys(x, bins):
    x = np.array(x)
    assume(np.ptp(x) > 0)
    counts = np.bincount(coarsened(x, bins), minlength=bins)
    np.testing.assert_array_equal(counts, np.histogram(x, np.linspace(x.min(), x.max(), bins + 1))[0])


@given(numbers)
def test_rules_have_numpys_number_of_bins(x):
    x = np.array(x)
    assume(np.subtract(*np.quantile(x, [0.75, 0.25])) > 0)
    for rule in ("sturges", "fd"):
        edges = np.histogram_bin_edges(x, {"sturges": int(np.ceil(np.log2(len(x)) + 1))}.get(rule, rule))
        width = 2 * np.subtract(*np.quantile(x, [0.75, 0.25])) / len(x) ** (1 / 3)
        assume(rule == "sturges" or abs(np.ptp(x) / width - round(np.ptp(x) / width)) > 1e-9)
        same = coarsened(x, len(edges) - 1)
        np.testing.assert_array_equal(coarsened(x, rule), same)


@given(numbers, st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=1, max_size=5))
def test_bins_between_points_are_numpys(x, points):
    x = np.array(x)
    found = coarsened(x, points)
    np.testing.assert_array_equal(found, np.digitize(x, np.unique(points)))
    quartiles = np.quantile(x, [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(coarsened(x, "q4"), np.digitize(x, np.unique(quartiles)))
    np.testing.assert_array_equal(coarsened(x, 0), np.unique(x, return_inverse=True)[1])


@settings(max_examples=30, deadline=None)
@given(seed=seeds, estimand=st.sampled_from(["ATT", "ATC", "ATE"]))
def test_strata_of_coarsened_covariates(seed, estimand):
    """Rows are of one stratum where their bins are, strata have both arms, and weights are the target's shares."""
    data = simulate(seed)
    design = cf.design("~ treat(a) + adjust(x + h)", data, "cem", cutpoints={"x": 3, "h": 0}, estimand=estimand)
    number, w = design.design_weights.subclass, design.weights.to_numpy()
    keys = np.column_stack([coarsened(data["x"].to_numpy(), 3), data["h"]])
    treated = data["a"].to_numpy() == 1
    target = {"ATT": treated, "ATC": ~treated, "ATE": np.ones(len(data), dtype=bool)}[estimand]
    shares = {}
    for key in np.unique(keys, axis=0):
        inside = (keys == key).all(axis=1)
        both = (inside & treated).any() and (inside & ~treated).any()
        assert len({number[i] for i in np.flatnonzero(inside)}) == 1
        assert (number[np.flatnonzero(inside)[0]] is not None) == both
        assert (w[inside] > 0).all() == both
        if both:
            shares[tuple(key)] = [w[inside & arm].sum() for arm in (treated, ~treated)] + [(inside & target).sum()]
    shares = np.array(list(shares.values()))
    np.testing.assert_allclose(shares / shares.sum(axis=0), np.repeat(shares[:, 2:] / shares[:, 2].sum(), 3, axis=1))
    for k, arm in enumerate((treated, ~treated)):
        assert shares[:, k].sum() == pytest.approx((arm & (w > 0)).sum())


@settings(max_examples=30, deadline=None)
@given(seed=seeds, estimand=st.sampled_from(["ATT", "ATC"]))
def test_k2k_keeps_the_nearest_pairs(seed, estimand):
    data = simulate(seed)
    asked = {"cutpoints": {"x": 3, "v": 2}, "estimand": estimand}
    strata = cf.design("~ treat(a) + adjust(x + v)", data, "cem", **asked).design_weights.subclass
    design = cf.design("~ treat(a) + adjust(x + v)", data, "cem", k2k=True, **asked)
    w, pairs = design.weights.to_numpy(), design.design_weights.pairs
    treated = data["a"].to_numpy() == 1
    assert set(w) <= {0.0, 1.0}
    inside = np.array([k is not None for k in strata])
    counts = {k: [((strata == k) & arm).sum() for arm in (treated, ~treated)] for k in set(strata[inside])}
    assert w.sum() == 2 * sum(map(min, counts.values()))
    chosen = pairs[pairs[:, 1] >= 0]
    assert all(strata[i] == strata[c] for i, c in chosen)
    # greedily, in the order of the data, by the Mahalanobis distance within arms
    X = data[["x", "v"]].to_numpy()
    within = X - np.where(treated[:, None], X[treated].mean(axis=0), X[~treated].mean(axis=0))
    V = np.linalg.inv(within.T @ within / (len(X) - 2))
    left, expected = set(np.flatnonzero(inside & (treated != (estimand == "ATT")))), []
    for i in np.flatnonzero(inside & (treated == (estimand == "ATT"))):
        free = [c for c in left if strata[c] == strata[i]]
        if free:
            c = min(free, key=lambda c: (X[i] - X[c]) @ V @ (X[i] - X[c]))
            left.remove(c)
            expected.append((i, c))
    assert [tuple(pair) for pair in chosen] == expected


@settings(max_examples=20, deadline=None)
@given(seed=seeds, estimand=st.sampled_from(["ATT", "ATC", "ATE"]), weights=st.booleans())
def test_rows_twice_are_the_same_strata(seed, estimand, weights):
    data = simulate(seed)
    formula = "y ~ treat(a) + adjust(g + h)" + " + weights(w)" * weights
    once = cf.fit(formula, data, "exact", estimand=estimand)
    twice = cf.fit(formula, pd.concat([data, data], ignore_index=True), "exact", estimand=estimand)
    assert twice.estimate == pytest.approx(once.estimate)
    np.testing.assert_allclose(twice.design.weights, np.tile(once.design.weights, 2))
    counted = cf.fit("y ~ treat(a) + adjust(g + h) + weights(f)", data.assign(f=2), "exact", estimand=estimand)
    if not weights:
        assert counted.estimate == pytest.approx(once.estimate)
