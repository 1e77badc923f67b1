# Jackknife standard errors: regressions refitted without each row or each cluster of the first 60 rows of heart.
suppressPackageStartupMessages({ library(survey); library(jsonlite) })
out <- commandArgs(TRUE)[1]
d <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)[1:60, ]
d$g <- (seq_len(60) - 1) %/% 5
linear <- function(w, data) { data$w <- w; coef(lm(Severity ~ Drug + I.H, weights = w, data = data)) }
logit <- function(w, data) {
  data$w <- w
  coef(glm(I(Severity > 50) ~ Drug, weights = w, data = data, family = quasibinomial, epsilon = 1e-14))
}
se <- function(unit, mse, model) {
  design <- svydesign(ids = if (unit == "rows") ~1 else ~g, weights = ~1, data = d)
  I(as.numeric(SE(withReplicates(as.svrepdesign(design, type = "JK1", mse = mse), model))))
}
values <- list()
for (unit in c("rows", "clusters")) for (centre in c("mean", "estimate")) {
  mse <- centre == "estimate"
  values[[paste0(unit, "_", centre)]] <- list(linear = se(unit, mse, linear), logit = se(unit, mse, logit))
}
case <- list(
  case = "r_jackknife",
  r_call = "SE(withReplicates(as.svrepdesign(svydesign(ids, weights = ~1, data = d), type = 'JK1', mse = mse), coef))",
  packages = list(survey = as.character(packageVersion("survey"))),
  data = "heart.csv", warnings = list(), values = values
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE), file.path(out, "r_jackknife.json"))
