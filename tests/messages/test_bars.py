"""A bar between terms: fixed or random effects to every reader, and R's logical "or" only where asked."""

import numpy as np
import pytest

import causalformula as cf

DATA = {"y": np.arange(8.0) ** 2, "x": np.arange(8) % 2, "g": np.arange(8) // 2 % 2, "h": np.arange(8) // 4}


@pytest.mark.parametrize("fit", [cf.lm, cf.glm, cf.model_matrix])
@pytest.mark.parametrize("right", ["x | g", "x + h | g", "x | g + h", ". | g", "x | g | h", "!x | g"])
def test_a_bar_is_refused(fit, right):
    with pytest.raises(cf.FormulaError, match=r"(?s)fixed effects.*factor\([gh]\).*I\(.*\|.*\^") as error:
        fit(f"y ~ {right}", DATA)
    assert right in str(error.value)


@pytest.mark.parametrize("verb", [cf.lm, cf.glm, cf.model_matrix])
@pytest.mark.parametrize("right", ["(1 | g)", "x + (1 | g)", "(x | g) + h", "x:(0 + x | g)", "(x | g:h)", "((1 | g))"])
def test_a_bar_in_brackets_is_a_random_effect(verb, right):
    with pytest.raises(cf.FormulaError, match=r"(?s)random effect.*lme4.*no mixed models.*vcov='~g'.*\^"):
        verb(f"y ~ {right}", DATA)


@pytest.mark.parametrize("verb", [cf.fit, lambda f, d: cf.design(f, d, "ipw"), lambda f, d: cf.parse(f)])
@pytest.mark.parametrize(
    ("right", "says"),
    [
        ("treat(a) + (1 | g)", r"\(1 \| g\) reads as a random effect"),
        ("treat(a) + (x | g)", r"random effect.*The logical 'or' is I\(x \| g\)"),
        ("treat(a) + h * (x | g)", "random effect"),
        ("(treat(a) | g)", r"random effect(?!.*logical)"),
        ("treat(a) + adjust(h + (1 | g))", r"random effect(?!.*logical)"),
        ("treat(a) + x | (1 | g)", "random effect"),
        (
            "treat(a) + adjust(x | g)",
            r"adjust\(\.\.\.\) reads as fixed effects.*fe\(\.\.\.\).*factor\(g\).*I\(x \| g\)",
        ),
        ("treat(a) + modify(x | g)", r"modify\(\.\.\.\) reads as fixed effects"),
        ("treat(a) + x + cluster(h | g)", r"write cluster\(h \+ g\)"),
    ],
)
def test_bars_in_a_causal_formula(verb, right, says):
    with pytest.raises(cf.FormulaError, match=f"(?s){says}"):
        verb(f"y ~ {right}", {**DATA, "a": [0, 1, 1, 0] * 2})


EITHER = (DATA["x"] + DATA["g"]) > 0


@pytest.mark.parametrize(
    "right", ["I(x | g) + h", "h + as.numeric(x | g)", "ifelse((x | g), 1, 0) + h", "h + !(x | g)"]
)
def test_the_logical_or_is_written_in_a_function(right):
    found = cf.lm(f"y ~ {right}", DATA)
    either = cf.lm("y ~ either + h", {**DATA, "either": EITHER})
    np.testing.assert_allclose(found.fittedvalues, either.fittedvalues)
    assert list(cf.model_matrix(f"y ~ {right}", DATA).columns) == list(found.params.index)


def test_the_logical_or_of_a_causal_formula():
    data = {**DATA, "a": [0, 1, 1, 0, 1, 1, 0, 0], "either": EITHER}
    found = cf.fit("y ~ treat(a) + I(x | g)", data)
    np.testing.assert_allclose(found.estimate, cf.fit("y ~ treat(a) + either", data).estimate)
