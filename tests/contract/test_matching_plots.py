"""Pictures of a matched design, of its covariates, and of several designs: the arrays of what is drawn."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends.fit import DesignWeights
from causalformula.plots import jitter
from causalformula.plots.distributions import quantile_pairs
from causalformula.results.design import Design

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
F = "~ treat(a) + adjust(x + z + g + b)"
pytestmark = pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(11)
    n = 400
    x, z = rng.normal(size=(2, n))
    frame = pd.DataFrame({"x": x, "z": z, "g": rng.choice(["u", "v", "w"], n), "b": rng.integers(0, 2, n)})
    frame["a"] = (rng.random(n) < 1 / (1 + np.exp(1 - 0.8 * x - 0.4 * z))).astype(int)
    return frame.assign(s=rng.integers(0, 4, n), arm=rng.choice(list("pqr"), n))


@pytest.fixture(scope="module")
def weighted(study):
    return cf.design(F, study, "ipw", estimand="ATT")


@pytest.fixture(scope="module")
def matched(weighted):
    """Nearest control within 0.02, without replacement, by hand."""
    p, treated = weighted.distance.to_numpy(), weighted.call.frame.the_treatment.codes == 1
    free = list(np.flatnonzero(~treated))
    weights, subclass = np.zeros(len(p)), np.zeros(len(p), dtype=int)
    for k, i in enumerate(np.flatnonzero(treated), 1):
        j = min(free, key=lambda row, at=p[i]: abs(p[row] - at))
        if abs(p[j] - p[i]) < 0.02:
            free.remove(j)
            weights[[i, j]], subclass[[i, j]] = 1, k
    return Design(DesignWeights(weights, p, subclass), weighted.call)


@pytest.fixture(scope="module")
def strata(study):
    return cf.design(F, study, "subclass", estimand="ATT")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def share_at_or_below(x, w, at):
    return np.array([w[x <= value].sum() for value in at]) / w.sum()


def arms(design):
    codes = design.call.frame.the_treatment.codes
    return codes == 0, codes == 1


# ---- the distance ----------------------------------------------------------------------------------------------------


def test_rows_stand_in_four_bands(matched, study):
    ax = matched.plot("jitter")
    control, treated = arms(matched)
    kept = matched.weights.to_numpy() > 0
    assert 0 < kept[treated].sum() < treated.sum()
    bands = {
        "a = 1, unmatched": treated & ~kept,
        "a = 1, matched": treated & kept,
        "a = 0, matched": control & kept,
        "a = 0, unmatched": control & ~kept,
    }
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"{k}\n{rows.sum()} rows" for k, rows in bands.items()]
    assert len(ax.collections) == 4 and ax.yaxis_inverted()
    for k, (points, rows) in enumerate(zip(ax.collections, bands.values(), strict=True)):
        x, y = points.get_offsets().T
        np.testing.assert_allclose(x, matched.distance[rows])
        assert (np.abs(y - k) < 0.35).all() and np.ptp(y) > 0
        assert (len(points.get_facecolors()) == 0) == (k in (0, 3))  # circles of the rows left out
    assert labels(ax) == ["Weight 1"]
    again = matched.plot("jitter")
    np.testing.assert_array_equal(again.collections[1].get_offsets(), ax.collections[1].get_offsets())


def test_areas_of_points_are_weights(weighted):
    ax = weighted.plot("jitter")
    assert [t.get_text().split("\n")[0] for t in ax.get_yticklabels()] == ["a = 1", "a = 0"]
    w = weighted.weights.to_numpy()
    for points, rows in zip(ax.collections, arms(weighted)[::-1], strict=True):
        area = points.get_sizes()
        np.testing.assert_allclose(area / area.sum(), w[rows] / w[rows].sum())
    assert labels(ax) == [f"Weight {v:.3g}" for v in (w.min(), np.median(w), w.max())]


def test_strata_end_where_their_rows_do(strata, weighted):
    ax = strata.plot("jitter")
    lines = [line.get_xdata()[0] for line in ax.lines]
    assert len(lines) == strata.design_weights.strata - 1
    p, number = strata.distance.to_numpy(), np.asarray(strata.subclass, dtype=int)
    np.testing.assert_array_equal(np.searchsorted(lines, p) + 1, number)
    assert "Ends of strata" in labels(ax)
    # strata that are not of the distance have no ends on it
    mixed = DesignWeights(weighted.design_weights.weights, p, np.arange(len(p)) % 3 + 1, strata=3)
    assert not Design(mixed, weighted.call).plot("jitter").lines


def test_of_many_rows_some_are_drawn_and_it_says_so():
    p = np.linspace(0, 1, 12000)
    bands = {"up": p > 0.5, "down": p <= 0.5}
    ax = jitter(p, bands, np.ones(12000), colours=["C0", "C1"], hollow=[False, False])
    assert sum(len(points.get_offsets()) for points in ax.collections) == 5000
    assert labels(ax) == ["Weight 1", "5000 of 12000 rows"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["up\n6000 rows", "down\n6000 rows"]


def test_small_bands_are_drawn_whole_beside_large_ones():
    p = np.linspace(0, 1, 12000)
    few, some = p < 0.01, (p >= 0.01) & (p < 0.2)
    bands = {"few": few, "some": some, "many": p >= 0.2, "none": p > 1}
    ax = jitter(p, bands, np.ones(12000), colours=["C0", "C1", "C2", "C3"], hollow=[False] * 4)
    assert [len(points.get_offsets()) for points in ax.collections] == [few.sum(), some.sum(), 5000 - 2400, 0]


def test_histograms_are_shares_of_each_arm(matched):
    ax = matched.plot("hist", bins=10)
    p, w = matched.distance.to_numpy(), matched.weights.to_numpy()
    edges = np.linspace(p.min(), p.max(), 11)
    lines = {line.get_label(): line for line in ax.lines}
    filled = [c.get_paths()[0].vertices for c in ax.collections]
    for k, (name, rows, sign) in enumerate(zip(("a = 0", "a = 1"), arms(matched), (-1, 1), strict=True)):
        drawn = lines[f"{name}, after"]
        heights = sign * drawn.get_ydata()[1:-1:2]
        assert heights.sum() == pytest.approx(1)
        inside = pd.cut(p[rows & (w > 0)], edges, include_lowest=True, labels=False, right=False)
        counts = np.bincount(np.nan_to_num(inside, nan=9).astype(int), minlength=10)
        np.testing.assert_allclose(heights, counts / counts.sum())
        np.testing.assert_allclose(drawn.get_xdata()[1:-1:2], edges[:-1])
        # before: every row of the arm
        most = np.histogram(p[rows], edges)[0].max() / rows.sum()
        assert np.abs(filled[k][:, 1]).max() == pytest.approx(most)
    assert ax.get_ylabel() == "Share of the arm"


def test_a_distance_need_be_no_probability(weighted):
    p = np.log(weighted.distance.to_numpy() / (1 - weighted.distance.to_numpy()))
    design = Design(DesignWeights(weighted.design_weights.weights, p), weighted.call)
    for kind in ("jitter", "hist"):
        ax = design.plot(kind)
        assert ax.get_xlabel() == "Distance"
        low, high = ax.get_xlim()
        assert low < p.min() and p.max() < high
        with pytest.raises(cf.OptionError, match="level=1 chooses a score, and the distance of this design is none"):
            design.plot(kind, level=1)
    with pytest.raises(cf.CapabilityError, match="the distance of this design is no propensity score between 0 and 1"):
        design.plot("overlap")


def test_without_a_distance_it_is_said_what_has_one(study):
    design = cf.design(F, study, "ebal")
    for kind in ("jitter", "hist"):
        with pytest.raises(
            cf.CapabilityError,
            match=rf"no plot '{kind}' here: method 'ebal' .* 'love', 'weights', 'ecdf', 'density', 'qq'; "
            r"cf.design\(formula, data, 'ipw'\) has a score",
        ):
            design.plot(kind)


def test_several_levels(study):
    design = cf.design("~ treat(arm) + adjust(x + z)", study, "ipw")
    ax = design.plot("jitter", level="q")
    assert ax.get_xlabel() == "Propensity score of arm = q"
    for points, k in zip(ax.collections, (2, 1, 0), strict=True):
        rows = design.call.frame.the_treatment.codes == k
        np.testing.assert_allclose(points.get_offsets()[:, 0], design.design_weights.probabilities[rows, 1])
    heights = [line.get_ydata() for line in design.plot("hist").lines if len(line.get_ydata()) > 2]
    assert [abs(y[1:-1:2].sum()) for y in heights] == pytest.approx([1] * 6)
    assert len(design.plot("density").lines) == 6
    with pytest.raises(cf.CapabilityError, match="'qq' here: it sets two arms against each other, and 'arm' has 3"):
        design.plot("qq")
    dose = cf.design("~ treat(z) + adjust(x)", study, "ipw")
    for kind in ("jitter", "hist", "density", "qq"):
        with pytest.raises(cf.CapabilityError, match=r"the treatment 'z' is a dose, so .* 'love', 'weights'$"):
            dose.plot(kind)


# ---- covariates ------------------------------------------------------------------------------------------------------


def test_distribution_functions_leave_rows_without_weight_out(matched, study):
    drawn = {line.get_label(): line for line in matched.plot("ecdf", covariate="x").lines}
    x, w = study["x"].to_numpy(), matched.weights.to_numpy()
    for name, rows in zip(("a = 0", "a = 1"), arms(matched), strict=True):
        for said, weights in (("before", np.ones(len(x))), ("after", w)):
            at, height = drawn[f"{name}, {said}"].get_data()
            here = rows & (weights > 0)
            np.testing.assert_array_equal(at[1:], np.sort(x[here]))
            np.testing.assert_allclose(height[1:], share_at_or_below(x[here], weights[here], at[1:]))


def test_quantiles_of_pairs_are_their_values_in_order(matched, study):
    ax = matched.plot("qq", covariate="z")
    before, after = ax.collections
    z, w = study["z"].to_numpy(), matched.weights.to_numpy()
    control, treated = (np.sort(z[rows & (w > 0)]) for rows in arms(matched))
    np.testing.assert_array_equal(after.get_offsets(), np.column_stack([control, treated]))
    assert len(before.get_offsets()) == arms(matched)[1].sum()
    assert ax.get_xlabel() == "Quantiles of z, a = 0" and ax.get_ylabel() == "Quantiles of z, a = 1"
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(lines["Alike"], [[z.min()] * 2, [z.max()] * 2])
    for label, sign in (("Off by a tenth of the range", 1), ("_band", -1)):
        x, y = lines[label].T
        np.testing.assert_allclose(y - x, sign * np.ptp(z) / 10)
    assert labels(ax) == ["Before", "After", "Alike", "Off by a tenth of the range"]


def test_quantiles_of_whole_weights_are_those_of_repeated_rows():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=40), rng.normal(size=25)
    w = rng.integers(1, 5, 40)
    points, count = quantile_pairs((x, w.astype(float)), (y, np.ones(25)))
    probs = (np.arange(25) + 0.5) / 25
    repeated = np.quantile(np.repeat(x, w), probs, method="inverted_cdf")
    np.testing.assert_array_equal(points[:, 1], np.sort(y))
    np.testing.assert_array_equal(points[:, 0], repeated)
    assert count.sum() == 25
    # and the scale of weights does not matter
    np.testing.assert_array_equal(quantile_pairs((x, w / 1e6), (y, np.full(25, 7.0)))[0], points)


def test_points_of_few_values_have_the_area_of_their_number(matched, study):
    after = matched.plot("qq", covariate="b").collections[1]
    w = matched.weights.to_numpy()
    control, treated = (np.sort(study["b"].to_numpy()[rows & (w > 0)]) for rows in arms(matched))
    found, count = np.unique(np.column_stack([control, treated]), axis=0, return_counts=True)
    np.testing.assert_array_equal(after.get_offsets(), found)
    np.testing.assert_allclose(after.get_sizes() / after.get_sizes().sum(), count / count.sum())


def test_densities_hold_one_and_have_the_weighted_mean(weighted, study):
    ax = weighted.plot("density", covariate="x")
    drawn = {line.get_label(): line for line in ax.lines}
    x, w = study["x"].to_numpy(), weighted.weights.to_numpy()
    for name, rows in zip(("a = 0", "a = 1"), arms(weighted), strict=True):
        for said, weights in (("before", np.ones(len(x))), ("after", w)):
            at, height = drawn[f"{name}, {said}"].get_data()
            step = at[1] - at[0]
            assert height.sum() * step == pytest.approx(1, abs=0.01)
            mean = np.average(x[rows], weights=weights[rows])
            assert (at * height).sum() * step == pytest.approx(mean, abs=0.02)
    assert drawn["a = 1, before"].get_linestyle() == "--" and drawn["a = 1, after"].get_linestyle() == "-"


def test_bars_are_shares_of_levels(weighted, study):
    w = weighted.weights.to_numpy()
    for covariate, names, indicators in (
        ("g", ["u", "v", "w"], [study["g"] == level for level in "uvw"]),
        ("b", ["0", "1"], [study["b"] == 0, study["b"] == 1]),
        ("g_v", ["0", "1"], [study["g"] != "v", study["g"] == "v"]),
    ):
        ax = weighted.plot("density", covariate=covariate)
        assert [t.get_text() for t in ax.get_xticklabels()] == names
        heights = iter([[bar.get_height() for bar in bars] for bars in ax.containers])
        for rows in arms(weighted):
            for weights in (np.ones(len(w)), w):
                shares = [np.average(level.to_numpy()[rows], weights=weights[rows]) for level in indicators]
                np.testing.assert_allclose(next(heights), shares)
        assert ax.get_ylabel() == "Share of the arm"


def test_sampling_weights_count_before_and_after(study):
    design = cf.design("~ treat(a) + adjust(x + g) + weights(s)", study, "ipw")
    s, w = study["s"].to_numpy(dtype=float), design.weights.to_numpy()
    x = study["x"].to_numpy()
    drawn = {line.get_label(): line for line in design.plot("ecdf").lines}
    rows = arms(design)[1] & (s > 0)
    for said, weights in (("before", s), ("after", s * w)):
        at, height = drawn[f"a = 1, {said}"].get_data()
        assert len(at) == rows.sum() + 1
        np.testing.assert_allclose(height[1:], share_at_or_below(x[rows], weights[rows], at[1:]))
    points = design.plot("jitter").collections[0]
    assert len(points.get_offsets()) == rows.sum()
    np.testing.assert_allclose(points.get_sizes() / points.get_sizes().sum(), (s * w)[rows] / (s * w)[rows].sum())


def test_several_covariates_have_a_grid(matched, study):
    axs = matched.plot("ecdf", covariate="all")
    names = ["x", "z", "g_u", "g_v", "g_w", "b"]
    assert axs.shape == (6, 2)
    assert [[ax.get_xlabel() for ax in row] for row in axs] == [[name, name] for name in names]
    assert [ax.get_title() for ax in axs[0]] == ["Before", "After"] and axs[1, 0].get_title() == ""
    alone = {line.get_label(): line for line in matched.plot("ecdf", covariate="z").lines}
    for ax, said in zip(axs[1], ("before", "after"), strict=True):
        for line, name in zip(ax.lines, ("a = 0", "a = 1"), strict=False):
            np.testing.assert_array_equal(line.get_xydata(), alone[f"{name}, {said}"].get_xydata())
    assert all(row[0].get_xlim() == row[1].get_xlim() and row[0].get_ylim() == row[1].get_ylim() for row in axs)
    (legend,) = axs[0, 0].figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["a = 0", "a = 1"]
    assert [row[0].get_xlabel() for row in matched.plot("density", covariate="all")] == ["x", "z", "g", "b"]
    assert matched.plot("density", covariate=["g", "x"]).shape == (2, 2)
    assert matched.plot("qq", covariate=("b",)).shape == (1, 2)
    quantiles = matched.plot("qq", covariate="all")
    assert [row[0].get_ylabel() for row in quantiles] == ["x", "z"]
    assert quantiles[0, 0].figure.legends[0].get_texts()[-1].get_text() == "4 covariates of 0 and 1 left out"


def test_a_grid_without_weights_has_one_column(study):
    design = cf.fit("x ~ treat(a) + adjust(z + g)", study).design
    for kind in ("ecdf", "density", "qq"):
        assert design.plot(kind, covariate=["z"]).shape == (1, 1)


def test_panels_of_a_grid_do_not_overlap_or_leave_the_page(matched):
    for kind in ("ecdf", "density", "qq"):
        figure = matched.plot(kind, covariate=["x", "g_u" if kind != "density" else "g"]).flat[0].figure
        figure.canvas.draw()
        boxes = [ax.get_tightbbox() for ax in figure.axes]
        page = figure.bbox
        assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
        for ax in figure.axes:  # nothing is cut off
            drawn = [np.max(line.get_ydata()) for line in ax.lines] + [bar.get_height() for bar in ax.patches]
            assert max(drawn) <= ax.get_ylim()[1]
        assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
        legend = figure.legends[0].get_window_extent()
        assert not any(legend.overlaps(box) for box in boxes) and legend.width <= page.width


def test_a_grid_makes_its_own_figure(matched):
    _, ax = plt.subplots()
    with pytest.raises(cf.OptionError, match=r"covariate='all' is a grid of 12 panels, which makes its own figure"):
        matched.plot("ecdf", ax=ax, covariate="all")
    with pytest.raises(cf.OptionError, match=r"a grid of 2 panels, .* ax= is one Axes; draw one covariate there"):
        matched.plot("qq", ax=ax, covariate=["x"])
    assert matched.plot("qq", ax=ax, covariate="x") is ax


# ---- several designs -------------------------------------------------------------------------------------------------


def test_designs_stand_side_by_side_in_a_balance_table(matched, strata, weighted):
    others = {"nearest": matched, "strata": strata}
    found = weighted.balance(("smd", "ks"), compare=others)
    frame = found.to_frame()
    marks = [f"{c}.{name}" for name in ("ipw", "nearest", "strata") for c in ("Diff", "M.Threshold", "KS")]
    assert list(frame.columns) == ["Type", "Diff.Un", "KS.Un", *marks]
    rows = frame.index[frame["Type"] != "Distance"]
    for name, design in {"ipw": weighted, **others}.items():
        alone = design.balance(("smd", "ks"), s_d_denom="treated").to_frame().loc[rows]
        for ours, theirs in ((f"Diff.{name}", "Diff.Adj"), (f"KS.{name}", "KS.Adj"), ("Diff.Un", "Diff.Un")):
            np.testing.assert_allclose(frame.loc[rows, ours].astype(float), alone[theirs].astype(float), atol=1e-12)
        assert list(frame.loc[rows, f"M.Threshold.{name}"]) == list(alone["M.Threshold"])
        assert found.designs[name].worst("Diff") == frame.loc[rows, f"Diff.{name}"].astype(float).abs().idxmax()
    tally = found.tally()
    assert list(tally.index) == [("ipw", "Diff"), ("nearest", "Diff"), ("strata", "Diff")]
    assert (tally["balanced"] + tally["not.balanced"] == len(frame)).all()
    text = str(found)
    sizes = text[text.index("Effective sample sizes") :].splitlines()[2:6]
    assert [line.split()[0] for line in sizes] == ["Unadjusted", "ipw", "nearest", "strata"]
    assert float(sizes[2].split()[1]) == pytest.approx(matched.ess().loc["Weighted", "Control"])
    # without the sample before, and under a name of its own
    short = weighted.balance("smd", un=False, threshold=None, compare={"first": weighted, **others}).to_frame()
    assert list(short.columns) == ["Type", "Diff.first", "Diff.nearest", "Diff.strata"]


def test_a_design_without_weights_stays_as_before(study, weighted):
    fit = cf.fit("s ~ treat(a) + adjust(x + z + g + b)", study)
    frame = fit.design.balance(compare={"ipw": weighted}).to_frame()
    np.testing.assert_allclose(frame["Diff.regression"], frame["Diff.Un"])
    assert frame.loc["z", "Diff.ipw"] < frame.loc["z", "Diff.Un"] / 2


def test_designs_of_several_levels_and_of_a_dose(study):
    for formula, column in (("~ treat(arm) + adjust(x + z)", "Max.Diff"), ("~ treat(z) + adjust(x + b)", "Corr")):
        one, other = (cf.design(formula, study, method) for method in ("ipw", "ebal"))
        frame = one.balance("smd", compare={"ebal": other}).to_frame()
        alone = other.balance("smd").to_frame()
        np.testing.assert_allclose(frame[f"{column}.ebal"], alone.loc[frame.index, f"{column}.Adj"], atol=1e-12)
        lines = {line.get_label(): line.get_xdata() for line in one.plot("love", compare={"ebal": other}).lines}
        values = one.balance("smd", "std", compare={"ebal": other}).to_frame()[f"{column}.ebal"].abs()
        np.testing.assert_allclose(sorted(lines["ebal"]), sorted(values), atol=1e-12)


def test_one_love_plot_of_several_designs(matched, strata, weighted):
    designs = {"one to one": matched, "strata": strata, "weighted": weighted}
    ax = matched.plot("love", compare=designs, order="formula")
    frame = matched.balance("smd", "std", compare=designs).to_frame()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(frame.index)
    marks = {line.get_label(): line for line in ax.lines if line.get_marker() not in ("None", "")}
    assert list(marks) == ["Before", "one to one", "strata", "weighted"]
    for name, line in marks.items():
        column = "Diff.Un" if name == "Before" else f"Diff.{name}"
        np.testing.assert_allclose(line.get_xdata(), frame[column].astype(float).abs())
    looks = {(line.get_color(), line.get_marker(), line.get_markerfacecolor()) for line in marks.values()}
    assert len({colour for colour, *_ in looks}) == 4 and len({mark for _, mark, _ in looks}) == 3
    assert marks["Before"].get_markerfacecolor() == "white"
    assert list(labels(ax)) == [*marks, "Threshold 0.1"]
    # in order of this design's balance, the second sample
    adjusted = weighted.plot("love", compare={"nearest": matched}, order="adjusted")
    values = {line.get_label(): line.get_xdata() for line in adjusted.lines}["ipw"][1:]
    assert (np.diff(values) <= 0).all()


def test_legends_fit_beside_long_names(study):
    frame = study.rename(columns={"x": "a_covariate_with_a_name_that_is_rather_long", "z": "z"})
    frame["a"] = np.where(frame["a"] == 1, "the new drug, given twice daily", "the usual care, as it was before")
    made = cf.design("~ treat(a) + adjust(a_covariate_with_a_name_that_is_rather_long + z)", frame, "ipw")
    for ax in (made.plot("love", compare={"first": made, "second": made}), made.plot("jitter")):
        ax.figure.canvas.draw()
        box, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert inside.x0 <= box.x0 + 1 and box.x1 <= inside.x1 + 1


def test_what_compare_cannot_be(study, weighted, matched):
    other = cf.design(F, study.iloc[:300], "ipw")
    moved = cf.design(F, study.iloc[::-1], "ipw")
    arm = cf.design("~ treat(arm) + adjust(x)", study, "ipw")
    sampled = cf.design(F + " + weights(s + 1)", study, "ipw")
    swapped = cf.design(F, study.assign(a=1 - study["a"]), "ipw")
    for compare, message in (
        ({"cem": other}, "compare: 'cem' has 300 rows, this design 400; designs are compared on the same rows"),
        ({"cem": moved}, "compare: 'cem' has other rows, or another order: row 1 is 399, of this design 0"),
        ({"cem": arm}, "compare: 'cem' is of the treatment arm, this design of a"),
        ({"cem": sampled}, "'cem' has other sampling weights"),
        ({"cem": swapped}, "'cem' has other values of the treatment a"),
        ({"ipw": matched}, "compare has a design named 'ipw', as this one is by its method; choose another name"),
        ({"Un": matched}, "'Un' cannot name a design"),
        ({3: matched}, "3 cannot name a design"),
        ({"cem": 3}, "compare: 'cem' is no design but 3"),
        ({"cem": weighted.fit("s ~ treat(a)")}, "compare: 'cem' is no design but a fit; write fit.design"),
        ({}, "compare is a mapping of names to designs"),
        ([matched], "compare is a mapping of names to designs"),
    ):
        with pytest.raises(cf.OptionError, match=message):
            weighted.balance(compare=compare)
        with pytest.raises(cf.OptionError, match=message):
            weighted.plot("love", compare=compare)
    for name, value in (("cluster", "g"), ("which_treat", "all")):
        with pytest.raises(cf.OptionError, match=f"side by side in one table, and {name}= makes several"):
            weighted.balance(compare={"cem": matched}, **{name: value})
    with pytest.raises(cf.OptionError, match="plot 'qq' has no option 'compare'; love has"):
        weighted.plot("qq", compare={"cem": matched})


def test_the_print_says_what_differs(study, weighted):
    average = cf.design(F, study, "ipw", trim=0.95)
    text = str(weighted.balance(compare={"trimmed": average}))
    note = "the estimands differ (ipw ATT, trimmed ATE); differences are over the standard deviations of the ATT in all"
    assert f"Note: {note}" in text
    assert f"Note: trimmed: {average.balance().notes[0]}" in text
