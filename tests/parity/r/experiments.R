# Cluster-randomised and blocked experiments on the bundled heart data (estimatr; jsonlite to write).
# Rscript experiments.R OUTDIR writes OUTDIR/r_experiments.json.
suppressMessages(library(estimatr))
out <- file.path(commandArgs(TRUE)[1], "r_experiments.json")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

d <- read.csv(file.path(here, "../../../causalformula/datasets/heart.csv"), check.names = FALSE)[1:470, ]
i <- seq_len(nrow(d)) - 1
# clusters of unequal sizes: the first ones lose rows
d$cl <- (i + 3 * (i %% 3 == 0)) %/% 20
d$z <- d$cl %% 2
d$b <- d$cl %/% 6
d$pair <- d$cl %/% 2
d$w <- 1 + (i %% 5) / 4
keep <- function(f) list(estimate = unname(f$coefficients), std.error = unname(f$std.error), df = unname(f$df), statistic = unname(f$statistic),
  conf.low = unname(f$conf.low), conf.high = unname(f$conf.high), design = f$design, nclusters = f$nclusters)
values <- list(
  clustered = keep(difference_in_means(Severity ~ z, d, clusters = cl)),
  clustered_weighted = keep(difference_in_means(Severity ~ z, d, clusters = cl, weights = w)),
  clustered_blocked = keep(difference_in_means(Severity ~ z, d, clusters = cl, blocks = b)),
  clustered_pairs = keep(difference_in_means(Severity ~ z, d, clusters = cl, blocks = pair)),
  blocked = keep(difference_in_means(Severity ~ Drug, d, blocks = b)))
writeLines(jsonlite::toJSON(list(case = "r_experiments", r_call = "tests/parity/r/experiments.R", values = values), digits = NA, auto_unbox = TRUE, pretty = TRUE), out)
