# Regressions with sampling weights on the bundled heart data (survey; jsonlite to write).
# Rscript survey.R OUTDIR writes OUTDIR/r_survey.json.
suppressMessages(library(survey))
out <- file.path(commandArgs(TRUE)[1], "r_survey.json")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

d <- read.csv(file.path(here, "../../../causalformula/datasets/heart.csv"), check.names = FALSE)[1:300, ]
i <- seq_len(nrow(d)) - 1
d$x <- d$I.H
d$w <- 0.3 + (i %% 7)^2 / 8
d$bad <- as.numeric(d$Severity > median(d$Severity))
d$k <- round(exp(d$x / 60)) %% 9
des <- svydesign(ids = ~1, weights = ~w, data = d)
# the weighted average of differences of predictions, its s.e. by the delta method from vcov(g)
effect <- function(g) {
  X <- function(a) { e <- d; e$Drug <- a; model.matrix(delete.response(terms(g)), e) }
  f <- g$family
  mean_of <- function(a) { eta <- drop(X(a) %*% coef(g)); list(m = sum(d$w * f$linkinv(eta)) / sum(d$w), j = colSums(d$w * f$mu.eta(eta) * X(a)) / sum(d$w)) }
  high <- mean_of(1); low <- mean_of(0); j <- high$j - low$j
  list(estimate = high$m - low$m, std.error = sqrt(drop(j %*% vcov(g) %*% j)), df = g$df.residual, coef = coef(g), vcov = vcov(g),
    table = unclass(summary(g)$coefficients))
}
tight <- list(epsilon = 1e-14, maxit = 100)
values <- list(
  linear = effect(svyglm(Severity ~ Drug + x, des)),
  interacted = effect(svyglm(Severity ~ Drug * x, des)),
  binomial = effect(svyglm(bad ~ Drug + x, des, family = quasibinomial(), control = tight)),
  probit = effect(svyglm(bad ~ Drug + x, des, family = quasibinomial("probit"), control = tight)),
  poisson = effect(svyglm(k ~ Drug + x, des, family = quasipoisson(), control = tight)))
writeLines(jsonlite::toJSON(list(case = "r_survey", r_call = "tests/parity/r/survey.R", values = values), digits = NA, auto_unbox = TRUE, pretty = TRUE), out)
