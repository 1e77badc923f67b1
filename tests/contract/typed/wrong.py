"""A user's mistakes, one a line, each of which a type checker finds; run by nobody."""

from __future__ import annotations

import pandas as pd

import causalformula as cf

data = pd.DataFrame()
cf.fitt("y ~ treat(a)", data)  # wrong: fitt
cf.fit("y ~ treat(a)", data, measure="rati")  # wrong: measure
cf.fit("y ~ treat(a)", data, estimand="ATTT")  # wrong: estimand
cf.fit("y ~ treat(a)", data, contrast="refrence")  # wrong: contrast
cf.fit("y ~ treat(a)", data, na_action="drop")  # wrong: na_action
cf.fit("y ~ treat(a)", data).tidy(names="snaky")  # wrong: names
print(cf.fit("y ~ treat(a)", data).estimates)  # wrong: estimates
cf.lm("y ~ x", data).residuals("deviant")  # wrong: residuals
cf.lm("y ~ x", data).predict(type="respons")  # wrong: predict
cf.design("~ treat(a)", data, "ipw").plot("lovely")  # wrong: plot
print(cf.design("~ treat(a)", data, "ipw").fit("y ~ treat(a)").estimat)  # wrong: estimat
cf.fit("y ~ treat(a)", data).plot().set_titel("x")  # wrong: Axes
