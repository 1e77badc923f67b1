# Efficient linear GMM with three instruments, errors of unequal variance: two steps, iterated, continuously updated.
# Moments' covariance uncentred, of independent rows. Writes OUTDIR/r_gmm.json, the data too.
suppressPackageStartupMessages({ library(jsonlite); library(gmm) })
out <- file.path(commandArgs(trailingOnly = TRUE)[1], "r_gmm.json")

set.seed(3)
n <- 250
d <- data.frame(x = round(rnorm(n), 3), z1 = round(rnorm(n), 3), z2 = round(rnorm(n), 3), z3 = round(rnorm(n), 3))
u <- rnorm(n) * (0.5 + abs(d$z1))
d$q <- round(0.6 * d$z1 + 0.4 * d$z2 + 0.3 * d$z3 + 0.5 * d$x + 0.7 * u + rnorm(n), 3)
d$g <- rep(1:25, each = 10)
d$y <- round(1 + 0.8 * d$q + 0.4 * d$x + u + rnorm(25)[d$g] / 2, 3)
d$w <- round(runif(n, 0.5, 2), 2)

fit <- function(type, ...) gmm(y ~ q + x, ~ z1 + z2 + z3 + x, data = d, type = type, vcov = "MDS", centeredVcov = FALSE, ...)
told <- function(f) list(coef = as.list(coef(f)), vcov = unname(unclass(vcov(f))), J = as.numeric(specTest(f)$test[1]))
values <- list(
  data = as.list(d),
  two_steps = told(fit("twoStep")),
  iterated = told(fit("iterative", crit = 1e-14, itermax = 500)),
  cue = told(fit("cue", optfct = "nlminb", control = list(rel.tol = 1e-14, x.tol = 1e-12))))
writeLines(toJSON(list(case = "r_gmm", values = values), digits = NA, na = "null", null = "null", auto_unbox = TRUE), out, useBytes = TRUE)
