# lm and glm with everything that may be asked of them: zero and equal weights, offsets, missing rows, aliased columns,
# binomial outcomes of every kind, few rows; all residuals and influence measures, predictions, printed texts.
# Writes OUTDIR/r_model.json. Rows of weight zero are written as null where R leaves them out.
suppressPackageStartupMessages({ library(jsonlite); library(lmtest); library(sandwich) })
options(digits = 7, width = 80, scipen = 0, contrasts = c("contr.treatment", "contr.poly"))
invisible(Sys.setlocale("LC_ALL", "C.UTF-8"))
out <- file.path(commandArgs(trailingOnly = TRUE)[1], "r_model.json")
txt <- function(x) paste0(paste(capture.output(print(x)), collapse = "\n"), "\n")

set.seed(20)
n <- 60
d <- data.frame(x = round(rnorm(n), 3), z = round(runif(n, 1, 5), 3), f = sample(c("a", "b", "c"), n, TRUE), o = round(rnorm(n) / 4, 3))
d$y <- round(1 + d$x - 0.5 * d$z + (d$f == "b") + rnorm(n), 3)
d$w <- round(runif(n, 0.2, 3), 2); d$w0 <- d$w; d$w0[c(3, 17, 40)] <- 0; d$one <- 2
d$s <- as.integer(rbinom(n, 8, plogis(d$x / 2))); d$m <- 8L - d$s; d$m[5] <- 0L; d$s[5] <- 0L; d$t <- d$s + d$m; d$p <- ifelse(d$t > 0, d$s / d$t, 0)
d$b <- as.integer(runif(n) < plogis(d$x)); d$g <- ifelse(d$b == 1, "yes", "no"); d$k <- as.integer(rpois(n, exp(0.4 + 0.3 * d$x))); d$k0 <- d$k; d$twice <- 2 * d$x + 1
d$h <- d$y; d$h[c(2, 9, 33)] <- NA; d$v <- d$x; d$v[c(9, 50)] <- NA
new <- data.frame(x = c(-1, 0.5, 2.25), z = c(1.5, 3, 4.75), f = c("b", "a", "c"), o = c(0.1, -0.2, 0), v = c(0, 1, NA), twice = c(-1, 2, 5.5))

models <- list(
  list("lm", "y ~ x + z + f"), list("lm", "y ~ x * f", weights = "w"), list("lm", "y ~ x + z", weights = "w0"), list("lm", "y ~ x + z", weights = "one"),
  list("lm", "y ~ x + z + offset(o)", weights = "w0"), list("lm", "y ~ x - 1", offset = "o"), list("lm", "y ~ x + offset(o)", offset = "z"), list("lm", "y ~ 1"), list("lm", "y ~ 1", weights = "w0", offset = "o"),
  list("lm", "y ~ x + twice + z"), list("lm", "h ~ v + f"), list("lm", "log(z) ~ poly(x, 2) + f", subset = "f != 'c'"), list("lm", "y ~ x + z", subset = "z > 4.6"), list("lm", "y ~ f", subset = "x < -0.9", weights = "w"),
  list("lm", "y ~ 0 + f"), list("lm", "b > 0 ~ x"),
  list("glm", "y ~ x + z", family = "gaussian", weights = "w"), list("glm", "b ~ x + f", family = "binomial"), list("glm", "b == 1 ~ x", family = "binomial(link = 'probit')"), list("glm", "factor(g) ~ x + z", family = "binomial"),
  list("glm", "cbind(s, m) ~ x + z", family = "binomial"), list("glm", "p ~ x + z", family = "binomial", weights = "t"), list("glm", "b ~ x", family = "binomial", weights = "round(w0)"), list("glm", "cbind(s, m) ~ x", family = "quasibinomial", weights = "w"),
  list("glm", "k ~ x + offset(o)", family = "poisson", offset = "log(z)"), list("glm", "k ~ x + f", family = "quasipoisson", weights = "w0"), list("glm", "k ~ 0 + f + x", family = "poisson"), list("glm", "k ~ 1", family = "poisson"),
  list("glm", "z ~ x", family = "Gamma(link = 'log')", weights = "w0"), list("glm", "z ~ x + f", family = "inverse.gaussian"), list("glm", "k ~ x + twice + z", family = "poisson"), list("glm", "h > 0 ~ v + z", family = "binomial"),
  list("glm", "y ~ x + z", family = "gaussian", subset = "z > 4.6"), list("glm", "k ~ x", family = "poisson(link = 'sqrt')"))

call_of <- function(m) { e <- list(as.name(m[[1]]), formula = as.formula(m[[2]]), data = quote(d)); for (k in c("weights", "offset", "subset")) if (!is.null(m[[k]])) e[[k]] <- parse(text = m[[k]])[[1]]
  if (!is.null(m$family)) e$family <- parse(text = m$family)[[1]]; as.call(e) }
values <- lapply(models, function(m) {
  warned <- character()
  hear <- function(expr) withCallingHandlers(expr, warning = function(e) { warned <<- c(warned, conditionMessage(e)); invokeRestart("muffleWarning") })
  f <- hear(eval(call_of(m)))
  fitting <- unique(warned); quiet <- suppressWarnings; s <- quiet(summary(f)); is_lm <- m[[1]] == "lm"
  rows <- names(residuals(f)) # names of the rows kept
  full <- function(v) { r <- setNames(rep(NA_real_, length(rows)), rows); r[names(v)] <- v; unname(r) }
  kinds <- c("response", "working", "deviance", "pearson")
  nd <- tryCatch(quiet(if (is_lm) { p <- predict(f, new, se.fit = TRUE, interval = "confidence"); q <- predict(f, new, interval = "prediction"); list(link = unname(p$fit[, 1]), se = unname(p$se.fit), low = unname(p$fit[, 2]), plow = unname(q[, 2])) }
    else { p <- predict(f, new, se.fit = TRUE); q <- predict(f, new, type = "response", se.fit = TRUE); list(link = unname(p$fit), se = unname(p$se.fit), response = unname(q$fit), rse = unname(q$se.fit)) }), error = function(e) NULL)
  r <- list(call = paste(deparse(call_of(m), width.cutoff = 500), collapse = " "), kind = m[[1]], formula = m[[2]], weights = m$weights, offset = m$offset, subset = m$subset, family = m$family, warnings = I(fitting), rows = I(as.integer(rows)),
    coef = unname(coef(f)), names = I(names(coef(f))), se = unname(coef(s)[, 2]), table = unname(coef(s)), vcov = unname(vcov(f)), logLik = as.numeric(logLik(f)), AIC = AIC(f), BIC = BIC(f), nobs = nobs(f), df_residual = f$df.residual,
    deviance = deviance(f), fitted = unname(fitted(f)), confint = unname(confint.default(f)), newdata = nd, print = txt(f), summary = quiet(txt(summary(f))),
    residuals = setNames(lapply(kinds, function(k) unname(residuals(f, k))), kinds), hat = full(hatvalues(f)), standardized = full(quiet(rstandard(f))), studentized = full(quiet(rstudent(f))), cooks = full(quiet(cooks.distance(f))))
  if (is_lm) { r$sigma <- s$sigma; r$r_squared <- s$r.squared; r$adj_r_squared <- s$adj.r.squared; r$fstatistic <- unname(s$fstatistic); r$confint <- unname(confint(f)) }
  else { r$dispersion <- s$dispersion; r$null_deviance <- f$null.deviance; r$df_null <- f$df.null; r$iterations <- f$iter }
  prior <- weights(f, "prior") # with weights of zero sandwich 3.0-2 recycles wrongly
  if (is.null(prior) || all(prior > 0)) { v <- vcovHC(f, type = "HC3"); r$HC3 <- unname(v); r$coeftest <- quiet(txt(coeftest(f, vcov. = v))) }
  r
})
writeLines(toJSON(list(case = "r_model", values = list(data = as.list(d), newdata = as.list(new), models = values)), digits = NA, na = "null", null = "null", auto_unbox = TRUE), out, useBytes = TRUE)
