# What R prints: format, formatC, format.pval, round, signif, zapsmall, quantile, printCoefmat, and the texts of lm, glm,
# coeftest and anova, on fixed inputs of many sizes. Writes OUTDIR/r_printed.json.
suppressPackageStartupMessages({ library(jsonlite); library(lmtest) })
options(digits = 7, width = 80, scipen = 0, contrasts = c("contr.treatment", "contr.poly"))
invisible(Sys.setlocale("LC_ALL", "C.UTF-8"))
out <- file.path(commandArgs(trailingOnly = TRUE)[1], "r_printed.json")

txt <- function(x) paste0(paste(capture.output(x), collapse = "\n"), "\n")
keep <- function(x) I(if (is.null(x)) character() else x) # always a JSON array
num <- function(x) sprintf("%.17g", x) # as text, so that NA, NaN and the last digit survive

text_cols <- function(m) lapply(seq_len(ncol(m)), function(j) keep(num(m[, j])))

# A fixed stream of numbers of all sizes: mantissas from a sine, exponents from a slower one.
stream <- function(n, spread, seed) { i <- seq_len(n) + seed; signif(sin(1.7 * i) * 10^round(spread * cos(0.9 * i)), 9) }
chance <- function(n, seed) { i <- seq_len(n) + seed; signif((0.5 + 0.499 * sin(2.3 * i))^(1 + 9 * (i %% 5 == 0) + 3 * (i %% 3 == 0)), 7) }

vectors <- list(0, 1, -1, 100000, 123456, 1234567.8, 1e15, 1e-5, 1e-4, 0.1 + 0.2, 1 / 3, NA_real_, Inf, c(1, NA), c(-1.5, Inf, NA), c(-Inf, 2),
  c(0, 0), c(1, 10, 100), c(0.001, 1000), c(1e-10, 1), c(1e10, 1), c(9.9999, 0.001), c(99996, 0.5), 99996, 99999.7, 9.99999, 0.99999, 999999.7,
  c(9.99999, 100), c(123.456, 0.0001), c(-0.5, 0.25), c(2.5, 3.5, 4.5), 0.15, 0.25, 0.35, 1.005, 2.675, c(1e100, 1), c(-1e100, 1), c(1e-100, -1), c(-1, 1e120),
  c(1e5, 1e-5), c(1.10, 2.25, 3.125), c(1e-300, 1e300), 5e-324, 1.7976931348623157e308, c(48.6722, 3.4709), c(-15.0099, -3.2247, 0.0305, 3.2477, 15.8855),
  12345678, 0.00001234, c(100, 1e-15), c(33.333333, 66.666667, 1e6), -0.0000123456, c(10.580217, 9.1952529), 1e22, 1e23)
for (k in 1:40) vectors <- c(vectors, list(stream(1 + k %% 6, c(1, 3, 8)[1 + k %% 3], 10 * k)))
formats <- list()
for (x in vectors) for (d in c(1, 3, 4, 5, 7, 15)) formats <- c(formats, list(list(x = num(x), digits = d, format = format(x, digits = d), cat = vapply(x, function(v) capture.output(cat(v)), ""),
  paste = paste(x), formatC = vapply(x, formatC, "", digits = d), signif = num(signif(x, d)), round = num(round(x, d)), zapsmall = num(suppressWarnings(zapsmall(x, d))))))

pvalues <- list(0, 1, NA_real_, 0.05, 0.1, 0.01, 0.001, 0.0001, 1e-5, 2e-16, 2.2e-16, 2.3e-16, 1e-300, c(0.05, NA), c(0, 1), c(0.5, 1e-20), c(0.5, 0.00012), c(0.5, 1e-5), c(0.9876, 0.00099),
  c(1e-4, 1e-5), c(9.9999e-4, 0.5), c(9.99996e-5, 0.5), c(0.04, 0.06, 1e-3, 1e-17), c(1e-17, 1e-18), c(1.83e-15, 0, 0.838), c(0.1, 0.01, 1e-27), c(0.123456, 0.1234), c(1, 1, 1), c(0.99999, 0.5))
for (k in 1:25) pvalues <- c(pvalues, list(chance(1 + k %% 6, 7 * k)))
pvals <- list()
for (p in pvalues) for (d in 1:7) pvals <- c(pvals, list(list(p = num(p), digits = d, text = format.pval(p, digits = d), coarse = format.pval(p, digits = d, eps = 0.001),
  stars = unclass(symnum(p, corr = FALSE, na = FALSE, cutpoints = c(0, 0.001, 0.01, 0.05, 0.1, 1), symbols = c("***", "**", "*", ".", " "), legend = FALSE)))))

samples <- list(3, c(1, 2), c(5, 1, 3), 1:10, c(0.1, 0.1, 0.1, 7), stream(11, 2, 3), stream(24, 4, 5))
quantiles <- lapply(samples, function(x) list(x = num(x), q = num(unname(quantile(x))), odd = num(unname(quantile(x, c(0.025, 0.333, 0.9))))))

named <- list(c(a = 1.5, b = NA, dddddddddddddddd = 2), setNames(1:30 / 7, paste0("n", 1:30)), setNames(c(1.5, 2.5), c(strrep("x", 90), "b")), c("\u00e9t\u00e9" = 1, "\u6c34" = 22.5), c(z = 0),
  setNames(stream(9, 3, 1), c("(Intercept)", letters[1:8])))
vector_texts <- lapply(named, function(x) list(x = num(x), names = keep(names(x)), print = txt(print(x, digits = 4)), wide = txt(print(format(x, digits = 4), print.gap = 2, quote = FALSE)), bare = txt(print(unname(x), digits = 4))))

cn <- c("Estimate", "Std. Error", "t value", "Pr(>|t|)")
tab <- function(rows, ...) { m <- matrix(c(...), ncol = 4, byrow = TRUE); dimnames(m) <- list(rows, cn); m }
tables <- list(
  tab("a", 1, 2, 0.5, 0.617), tab("a", 0, 0, NaN, NaN), tab("a", 0, 1, 0, 1), tab("a", 1e-12, 1e-13, 10, 1e-20), tab("a", 1e12, 1e11, 10, 1e-20), tab("a", -9.887735214075183, 0.35288484532190184, -28.019721858714515, 2.7e-128),
  tab(c("a", "b"), 1, 2, 0.5, 0.1, 3, 4, 0.75, 0.1), tab(c("a", "b"), 1, 2, 0.5, 0.0999, 3, 4, 0.75, 0.1), tab(c("a", "b"), 1, 2, 0.5, 0.05, 3, 4, 0.75, 0.01), tab(c("a", "b"), 1, 2, 0.5, 0.001, 3, 4, 0.75, 0.0010001),
  tab(c("a", "b"), 1e8, 1e7, 10, 1e-10, 1e-8, 1e-9, 10, 1e-10), tab(c("a", "b", "c"), 5, 1, 5, 0.0004, NA, NA, NA, NA, -3, 2, -1.5, 0.2), tab(c("a", "b"), NA, NA, NA, NA, NA, NA, NA, NA), tab(c("a", "b"), 2, NaN, NaN, NaN, 7, NaN, NaN, NaN),
  tab(c("a", "b"), 1, 0, Inf, 0, -1, 0, -Inf, 0), tab(c("a", "b"), Inf, Inf, Inf, 0.1, -Inf, Inf, 1, 0.5), tab(c("a", "b", "c"), 1.5, 0.001, 3.1, 0.05, NA, NaN, -Inf, NA, 3.25, 2, 4, 0.2), tab(c("a", "b"), 100, 10, 10, 0, 200, 10, 20, 0),
  tab(c("a", "b"), 100000, 10000, 10, 0, 1, 0.1, 10, 0.5), tab(c("a", "b"), 0.00001, 0.00002, 0.5, 0.6, 123, 45, 2.7333, 0.007), tab(c("a", "b"), 1e-20, 1, 1e-20, 1, 5, 1, 5, 1e-6), tab(c("a", "b"), 3, 7.922e-17, 2.525e16, 0, 2, 4.9e-16, 6.1e15, 0),
  tab(c("a very long name of a coefficient, so long that", "b"), 1, 2, 0.5, 0.6, 3, 1, 3, 0.003), tab(c(strrep("n", 70), "b"), 1, 2, 0.5, 0.6, 3, 1, 3, 0.003), tab(c("\u00e2ge", "\u6c34\u706b"), 1, 2, 0.5, 0.6, 3, 1, 3, 0.003),
  tab(c("a", "b"), 1, 2, 0.5, 0.00012, 3, 4, 0.75, 0.9), tab(c("a", "b"), 1, 2, 0.5, 0.00009999, 3, 4, 0.75, 0.9), tab(c("a", "b"), 9.99996, 0.0099999, 999.99, 0.99999, 99.9999, 0.99996, 99.99, 0.5), tab("a", 9907.5500000000011, 1e-7, 1e-6, 0.82))
for (k in 1:60) { n <- 1 + k %% 5; e <- stream(n, k %% 9, 31 * k); s <- abs(stream(n, k %% 9, 31 * k)) * 10^stream(n, 0, k + 3)
  tables <- c(tables, list(matrix(c(e, s, signif(e / s, 9), chance(n, 11 * k)), ncol = 4, dimnames = list(c("(Intercept)", "treat", "racehispan", "I(x^2)", "a:b")[seq_len(n)], cn)))) }
coefmats <- list()
for (m in tables) for (d in 3:6) coefmats <- c(coefmats, list(list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = d, text = txt(printCoefmat(m, digits = d, na.print = "NA")))))
for (m in tables[c(1, 9, 12, 20)]) coefmats <- c(coefmats, list(
  list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = 4, options = list(signif_stars = FALSE), text = txt(printCoefmat(m, digits = 4, na.print = "NA", signif.stars = FALSE))),
  list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = 4, options = list(signif_legend = FALSE), text = txt(printCoefmat(m, digits = 4, na.print = "NA", signif.legend = FALSE))),
  list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = 4, options = list(P_values = FALSE), text = txt(printCoefmat(m, digits = 4, na.print = "NA", P.values = FALSE))),
  list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = 4, options = list(dig_tst = 1, eps_Pvalue = 0.01), text = txt(printCoefmat(m, digits = 4, na.print = "NA", dig.tst = 1, eps.Pvalue = 0.01))),
  list(table = text_cols(m[, 1:3, drop = FALSE]), rows = keep(rownames(m)), cols = cn[1:3], digits = 4, text = txt(printCoefmat(m[, 1:3, drop = FALSE], digits = 4, na.print = "NA"))),
  list(table = text_cols(m), rows = keep(rownames(m)), cols = cn, digits = 4, options = list(cs_ind = I(0), tst_ind = I(2), zap_ind = I(1)), text = txt(printCoefmat(m, digits = 4, na.print = "NA", cs.ind = 1, tst.ind = 3, zap.ind = 2)))))

# ---- models: the numbers that the printed text shows, and the text ----
aliased_too <- function(f, s) { b <- coef(f); m <- matrix(NA_real_, length(b), 4, dimnames = list(names(b), cn)); if (length(b)) m[!is.na(b), ] <- s[rownames(s) %in% names(b)[!is.na(b)], ]; m }
full_table <- function(f) aliased_too(f, coef(summary(f)))
# As numbers: a fit's last digits belong to the machine.
raw <- function(x) unname(x)
cols <- function(m) lapply(seq_len(ncol(m)), function(j) keep(raw(m[, j])))
calltext <- function(f) paste(deparse(f$call), collapse = "\n")
lm_case <- function(f) { s <- suppressWarnings(summary(f)); fs <- s$fstatistic
  list(call = calltext(f), names = keep(names(coef(f))), table = if (length(coef(f))) cols(full_table(f)) else list(), coefficients = keep(raw(coef(f))), residuals = keep(raw(s$residuals)), residual_names = keep(names(s$residuals)), sigma = raw(s$sigma),
    df_residual = f$df.residual, r_squared = raw(s$r.squared), adj_r_squared = raw(s$adj.r.squared), fstatistic = if (!is.null(fs)) raw(unname(fs)), weighted = !is.null(f$weights) && diff(range(f$weights)) > 0, omitted = length(f$na.action),
    print = txt(print(f)), summary = txt(suppressWarnings(print(s))), coeftest = if (length(coef(f)) && f$df.residual > 0) txt(print(coeftest(f))), anova = if (f$df.residual > 0 && length(coef(f)) > 1) { a <- anova(f); list(table = lapply(a, raw), rows = keep(rownames(a)), cols = names(a), heading = paste(attr(a, "heading"), collapse = "\n"), text = txt(print(a))) }) }
glm_case <- function(f) { s <- summary(f)
  list(call = calltext(f), names = keep(names(coef(f))), table = if (length(coef(f))) cols(full_table(f)) else list(), coefficients = keep(raw(coef(f))), residuals = keep(raw(s$deviance.resid)), residual_names = if (!is.null(names(s$deviance.resid))) keep(names(s$deviance.resid)),
    statistic = if (f$family$family %in% c("binomial", "poisson")) "z" else "t", family = f$family$family, dispersion = raw(s$dispersion), null_deviance = raw(f$null.deviance), deviance = raw(f$deviance), df_null = f$df.null, df_residual = f$df.residual, aic = raw(f$aic),
    iterations = f$iter, omitted = length(f$na.action), print = txt(print(f)), summary = txt(print(s)), coeftest = if (length(coef(f)) && f$df.residual > 0) txt(print(coeftest(f))), coeftest_table = if (length(coef(f)) && f$df.residual > 0) cols(aliased_too(f, coeftest(f))), coeftest_statistic = if (f$df.residual > 0) substr(attr(coeftest(f), "method"), 1, 1)) }

i <- 1:24
d <- data.frame(y = round(3 + i / 2 + 2 * sin(5 * i), 6), x = i, g = factor(rep(c("a", "b", "c"), 8)), z = round(cos(i), 3), w = rep(c(1, 2, 0.5), 8), w0 = rep(c(1, 2, 0, 3), 6), k = round(4 + 3 * sin(i)), b = as.integer(sin(3 * i) + i / 40 > 0.3))
d$tiny <- d$y * 1e-7; d$huge <- d$y * 1e9; d$x2 <- 2 * d$x + 1; d$miss <- ifelse(i %in% c(2, 9, 17), NA, d$x); d$one <- ifelse(i == 4, NA, d$x); d$near <- 2 + 3 * d$x + sin(i) * 1e-9
s <- data.frame(y = c(1, 3, 2, 5, 9), x = 1:5, w = c(1, 1, 2, 2, 4), row.names = c("Ann", "Bob", "Cy", "Dee", "Eve"))
s7 <- data.frame(y = c(1.25, 3, 2, 5, 9, 4, -2), x = 1:7, g = c(0, 1, 1, 0, 1, 0, 0))
long <- d; names(long)[names(long) == "x"] <- "a_regressor_with_a_very_long_name_indeed_that_wraps"
lms <- list(lm(y ~ x, d), lm(y ~ x + g + z, d), lm(y ~ x * g, d), lm(y ~ poly(x, 3), d), lm(y ~ 1, d), lm(y ~ x - 1, d), lm(y ~ 0, d), lm(y ~ x + x2 + z, d), lm(y ~ x2 + x, d), lm(tiny ~ x + z, d), lm(huge ~ x + z, d), lm(near ~ x, d),
  lm(y ~ miss + z, d), lm(y ~ one, d), lm(y ~ x + z, d, weights = w), lm(y ~ x + z, d, weights = w0), lm(y ~ x + z, d, weights = rep(2, 24)), lm(y ~ x + offset(z), d), lm(y ~ x, s), lm(y ~ 1, s), lm(y ~ x, s, weights = w), lm(y ~ 0, s), lm(y ~ x, s[1:2, ]), lm(y ~ 1, s[1, ]),
  lm(y ~ x + g, s7), lm(y ~ x, s7), lm(y ~ I(x^2) + x + g, s7), lm(y ~ ., long[c("y", "a_regressor_with_a_very_long_name_indeed_that_wraps", "z")]), lm(I(100 * y) ~ x, d), lm(x ~ y + k + z + w + b + w0 + g, d))
glms <- list(glm(b ~ x, binomial, d), glm(b ~ x + g + z, binomial("probit"), d), glm(k ~ x + g, poisson, d), glm(k ~ x, quasipoisson, d), glm(y ~ x + z, gaussian, d), glm(b ~ 1, binomial, d), glm(y ~ 0, gaussian, d), glm(k ~ x + x2, poisson, d), glm(b ~ miss, binomial, d), glm(k ~ one, poisson, d),
  glm(y ~ x, gaussian, s), glm(cbind(c(1, 2, 3, 5), c(4, 3, 2, 1)) ~ c(1, 2, 3, 4), binomial), glm(k ~ x + offset(z), poisson, d, weights = w), glm(y ~ x, Gamma("log"), d), glm(b ~ x, quasibinomial, d), glm(huge ~ x, gaussian, d), glm(tiny ~ x, gaussian, d), glm(b ~ 0 + g, binomial, d))

values <- list(format = formats, pval = pvals, quantile = quantiles, vectors = vector_texts, coefmat = coefmats, lm = lapply(lms, lm_case), glm = lapply(glms, glm_case))
case <- list(case = "r_printed", r_call = "tests/parity/r/printed.R", packages = list(R = paste(R.version$major, R.version$minor, sep = "."), lmtest = as.character(packageVersion("lmtest"))), values = values)
writeLines(toJSON(case, auto_unbox = TRUE, null = "null", na = "string", digits = I(17)), out, useBytes = TRUE)
