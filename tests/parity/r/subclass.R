# How MatchIt moves units between strata until each has min.n of each arm, and what few distinct distances do.
# The Debian package (4.5.1) agrees with 4.7.2 on every stored case of this method.
suppressMessages(library(MatchIt))
set.seed(7)
cases <- lapply(1:80, function(i) {
  k <- sample(2:7, 1); n <- sample(20:50, 1); least <- sample(0:3, 1); b <- sample(c(1, 2, 4), 1)
  a <- rbinom(n, 1, .4); ps <- plogis(rnorm(n, b * (a - .5), 1)); estimand <- sample(c("ATT", "ATE", "ATC"), 1)
  ps <- if (runif(1) < .25) round(ps, 1) else round(ps, 6)
  cut <- if (i %% 10 == 0) c(.1, .5, .7) else k
  d <- data.frame(a, ps)
  m <- tryCatch(suppressWarnings(matchit(a ~ ps, data = d, method = "subclass", distance = ps, subclass = cut, min.n = least, estimand = estimand)), error = function(e) NULL)
  list(subclass = cut, min_n = least, estimand = estimand, a = a, ps = ps,
       strata = if (is.null(m)) NULL else as.integer(as.character(m$subclass)), weights = if (is.null(m)) NULL else unname(m$weights))
})
out <- list(
  case = "r_subclass",
  r_call = "matchit(a ~ ps, data = d, method = 'subclass', distance = ps, subclass = subclass, min.n = min_n, estimand = estimand)",
  packages = list(MatchIt = as.character(packageVersion("MatchIt"))),
  data = "drawn by the script", warnings = list(), values = list(cases = cases)
)
args <- commandArgs(TRUE)
writeLines(jsonlite::toJSON(out, digits = NA, auto_unbox = TRUE, na = "null", null = "null"), file.path(args[1], "r_subclass.json"))
