# Matching::Match on the first 48 rows of heart and columns made by a linear congruential generator: pairs with ties,
# calipers, exact columns, sampling weights and metrics, and its standard errors of every kind.
suppressPackageStartupMessages({ library(Matching); library(jsonlite) })
out <- commandArgs(TRUE)[1]
h <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)[1:48, ]
n <- nrow(h)
state <- 12345
lcg <- function(n) vapply(seq_len(n), function(i) { state <<- (1103515245 * state + 12345) %% 2^31; state / 2^31 }, 0)
d <- data.frame(y = h$Severity, tr = h$Drug, x = h$I.H, u = round(10 * lcg(n)), v = lcg(n), g = floor(3 * lcg(n)))
d$w <- 1 + floor(3 * lcg(n)); d$r <- 0.5 + lcg(n)
X <- as.matrix(d[c("x", "u", "g")])
W <- matrix(c(2, 0.3, 0, 0.3, 1, 0.2, 0, 0.2, 0.5), 3)
specs <- list(
  score = list(X = d$x), coarse = list(X = d$u), metric = list(X = X), mahalanobis = list(X = X, Weight = 2), matrix = list(X = X, Weight.matrix = W),
  bias = list(X = X, Z = X[, 1:2], BiasAdjust = TRUE), other_z = list(X = d$u, Z = cbind(d$x, d$v), BiasAdjust = TRUE),
  caliper = list(X = d$x, caliper = 0.05), calipers = list(X = X, caliper = c(1, 0.8, 3)), exact = list(X = X, exact = c(FALSE, FALSE, TRUE)),
  exact_caliper = list(X = X, exact = c(FALSE, FALSE, TRUE), caliper = 1), tolerance = list(X = d$x, distance.tolerance = 0.01),
  counted = list(X = X, weights = d$w), weighted = list(X = X, weights = d$r), weighted_mahalanobis = list(X = X, Weight = 2, weights = d$w),
  weighted_caliper = list(X = X, caliper = c(1, 0.8, 3), weights = d$r, Z = X[, 1:2], BiasAdjust = TRUE)
)
cases <- list()
for (name in names(specs)) for (target in c("ATT", "ATC", "ATE")) for (M in c(1, 4)) {
  match <- function(...) suppressWarnings(do.call(Match, c(list(Y = d$y, Tr = d$tr, estimand = target, M = M), specs[[name]], list(...))))
  m <- match()
  if (!is.list(m) || is.null(m$index.treated)) { cases[[length(cases) + 1]] <- list(spec = name, target = target, M = M, est = NULL); next }
  se <- lapply(c(FALSE, TRUE), function(s) vapply(0:4, function(v) as.numeric(match(sample = s, Var.calc = v)$se), 0))
  cases[[length(cases) + 1]] <- list(
    spec = name, target = target, M = M, est = as.numeric(m$est), est_noadj = as.numeric(m$est.noadj), se_population = se[[1]], se_sample = se[[2]],
    se_standard = m$se.standard, wnobs = m$wnobs, ndrops = m$ndrops, treated = I(m$index.treated), control = I(m$index.control), weights = I(m$weights)
  )
}
all <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)
score <- fitted(glm(Drug ~ I.H, binomial, all))
heart <- lapply(c(1e-5, 0), function(tolerance) {
  m <- lapply(c(0, 2), function(v) Match(Y = all$Severity, Tr = all$Drug, X = score, distance.tolerance = tolerance, Var.calc = v))
  list(tolerance = tolerance, est = as.numeric(m[[1]]$est), se = vapply(m, function(x) as.numeric(x$se), 0), n_pairs = length(m[[1]]$index.treated))
})
case <- list(
  case = "r_matching",
  r_call = "Match(Y = d$y, Tr = d$tr, estimand = target, M = M, ..., sample = FALSE or TRUE, Var.calc = 0:4)",
  packages = list(Matching = as.character(packageVersion("Matching"))),
  data = "heart.csv, and columns made by the script", warnings = list(), values = list(data = d, matrix = W, heart = heart, cases = cases)
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE, na = "null", null = "null", dataframe = "columns"), file.path(out, "r_matching.json"))
