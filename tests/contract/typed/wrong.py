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
cf.Bootstrap(kind="percentil")  # wrong: kind
cf.Bootstrap(weights="exponent")  # wrong: weights
cf.HC("HC9")  # wrong: type
cf.HC("HC1", weights="given")  # wrong: weights
cf.Cluster("g", type="CR4")  # wrong: type
cf.HAC(kernel="Bartlet")  # wrong: kernel
cf.Wild(weights="normal")  # wrong: weights
cf.Jackknife(centre="median")  # wrong: centre
cf.IPW(link="logistic")  # wrong: link
cf.IPW(estimand="ATU")  # wrong: estimand
cf.Subclass(discard="all")  # wrong: discard
cf.adjust_pvalues([], "holmes")  # wrong: method
cf.lm("y ~ x", data).drop1("LR")  # wrong: test
cf.waldtest(cf.lm("y ~ x", data), test="t")  # wrong: test
cf.design("~ treat(a)", data, "ipw").balance("sdm")  # wrong: stats
cf.design("~ treat(a)", data, "ipw").balance(binary="prop")  # wrong: binary
cf.fit("y ~ treat(a)", data).plot("effect")  # wrong: plot
cf.fit("y ~ treat(a)", data, "ipw").strata()  # wrong: strata
cf.fit("y ~ treat(a)", data, "subclass").cells()  # wrong: cells
cf.fit("y ~ treat(a)", data, "subclass", measure="rato")  # wrong: measure
print((cf.fit("y ~ treat(a)", data) - cf.fit("y ~ treat(a)", data)).fitz)  # wrong: fitz
cf.table([], statistic="t")  # wrong: statistic
cf.fit("y ~ treat(a)", data, vcov=3)  # wrong: vcov
cf.lm("y ~ x", data).with_vcov(cf.HC)  # wrong: vcov
cf.compare("y ~ treat(a)", data, ["ipw"], estimand="ATTT")  # wrong: estimand
print(cf.compare("y ~ treat(a)", data, ["ipw"]).fit)  # wrong: fit
cf.datasets.load("hart")  # wrong: name
