# Cluster-adjusted and serially robust covariances on the bundled data: clubSandwich on models that have converged to
# the last digit, on clusters with dummies of their own, and every kernel of sandwich.
suppressPackageStartupMessages({ library(clubSandwich); library(sandwich); library(jsonlite) })
out <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path("../../../causalformula/datasets", name), check.names = FALSE)
numbers <- function(v) I(unname(matrix(as.numeric(v), nrow(v))))

d <- read("did_panel.csv")[1:300, ]
i <- seq_len(nrow(d)) - 1
d$g <- (i + 5 * (i %% 4 == 0)) %/% 17
d$three <- i %% 3
d$w <- 1 + (i %% 5) / 4
d$y <- as.integer((i * 37) %% 11 + 2 * d$Drug > 6)
d$k <- round(d$Severity / 10)
names(d)[names(d) == "I.H"] <- "health"
fit <- function(f, family, w = rep(1, nrow(d))) {
  d$prior <- w
  glm(f, family, d, weights = prior, epsilon = 1e-14, maxit = 100)
}
models <- list(
  lm = lm(Severity ~ Drug * Post + health, d),
  lm_weighted = lm(Severity ~ Drug * Post + health, d, weights = w),
  logit = fit(y ~ Drug * Post + health, binomial),
  probit = fit(y ~ Drug * Post + health, binomial("probit")),
  cloglog = fit(y ~ Drug + Post, binomial("cloglog")),
  poisson_weighted = fit(k ~ Drug * Post + health, poisson, d$w),
  gamma_log = fit(Severity ~ Drug + Post + health, Gamma("log")),
  gaussian_weighted = fit(Severity ~ Drug + Post + health, gaussian, d$w))
adjusted <- function(f, cluster, types) {
  found <- lapply(types, function(type) {
    v <- vcovCR(f, cluster = cluster, type = type)
    list(vcov = numbers(v), df = I(coef_test(f, v)$df))
  })
  names(found) <- types
  found
}
clusters <- lapply(models, adjusted, cluster = d$g, types = c("CR0", "CR1S", "CR2", "CR3"))
# the dummies absorb what three clusters have in common: CR2 by generalised inverses (its CR3 has none)
absorbed <- list(
  lm = adjusted(lm(Severity ~ factor(three) + Drug + Post, d), d$three, "CR2"),
  lm_weighted = adjusted(lm(Severity ~ factor(three) + Drug + Post, d, weights = w), d$three, "CR2"),
  logit = adjusted(fit(y ~ factor(three) + Drug + Post, binomial), d$three, "CR2"))

h <- read("heart.csv")[1:83, ]
f <- lm(Severity ~ Drug + I.H, h)
g <- glm(I(Severity > 50) ~ Drug, binomial, h, epsilon = 1e-14)
serial <- list(NeweyWest = numbers(NeweyWest(f)), NeweyWest_plain = numbers(NeweyWest(f, prewhite = FALSE)),
  NeweyWest_5 = numbers(NeweyWest(f, lag = 5)), NeweyWest_logit = numbers(NeweyWest(g)), Andrews_logit = numbers(kernHAC(g)))
bandwidths <- list(NeweyWest = bwNeweyWest(f), NeweyWest_plain = bwNeweyWest(f, prewhite = 0))
for (kernel in c("Bartlett", "Parzen", "Quadratic Spectral", "Tukey-Hanning", "Truncated")) {
  name <- gsub("[ -]", "", kernel)
  serial[[paste0(name, "_white")]] <- numbers(kernHAC(f, kernel = kernel))
  serial[[paste0(name, "_plain")]] <- numbers(kernHAC(f, kernel = kernel, prewhite = 0))
  serial[[paste0(name, "_fixed")]] <- numbers(kernHAC(f, kernel = kernel, prewhite = 0, bw = 3.7, adjust = FALSE))
  bandwidths[[paste0(name, "_white")]] <- bwAndrews(f, kernel = kernel)
  bandwidths[[paste0(name, "_plain")]] <- bwAndrews(f, kernel = kernel, prewhite = 0)
}
p <- read("did_panel.csv")[1:300, ]
m <- lm(Severity ~ Drug * Post, p)
p$t <- i %% 25
panel <- list(default = numbers(vcovPL(m, cluster = p$id, order.by = p$t)), lag4 = numbers(vcovPL(m, cluster = p$id, order.by = p$t, lag = 4)),
  unadjusted = numbers(vcovPL(m, cluster = p$id, order.by = p$t, lag = 4, adjust = FALSE)))
case <- list(
  case = "r_covariances",
  r_call = "vcovCR, coef_test; NeweyWest, kernHAC, bwNeweyWest, bwAndrews; vcovPL",
  packages = list(clubSandwich = as.character(packageVersion("clubSandwich")), sandwich = as.character(packageVersion("sandwich"))),
  data = c("did_panel.csv", "heart.csv"), warnings = list(),
  values = list(clusters = clusters, absorbed = absorbed, serial = serial, bandwidths = bandwidths, panel = panel)
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE), file.path(out, "r_covariances.json"))
