# Propensity scores of heart under every link, fitted until nothing moves: glm's default stops up to 2e-4 away where the
# link is not canonical, and with it the distances that MatchIt reports.
suppressPackageStartupMessages(library(jsonlite))
out <- commandArgs(TRUE)[1]
h <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)
scores <- lapply(c(logit = "logit", probit = "probit", cloglog = "cloglog", cauchit = "cauchit"), function(link) {
  fit <- suppressWarnings(glm(Drug ~ I.H, binomial(link), h, control = list(epsilon = 1e-15, maxit = 200)))
  as.numeric(fitted(fit))[seq(1, nrow(h), 20)]
})
case <- list(
  case = "r_links", r_call = "fitted(glm(Drug ~ I.H, binomial(link), heart, control = list(epsilon = 1e-15, maxit = 200)))",
  packages = list(), data = "heart.csv, every twentieth row", warnings = list(), values = scores
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE), file.path(out, "r_links.json"))
