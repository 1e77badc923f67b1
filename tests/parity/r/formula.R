# R's terms, model.matrix, prediction matrices and expressions on data made here without random numbers.
# Rscript formula.R OUTDIR writes OUTDIR/r_formula.json (splines; MASS for contr.sdif; jsonlite to write).
library(splines)
suppressMessages(library(MASS))
invisible(Sys.setlocale("LC_COLLATE", "C"))
options(contrasts = c("contr.treatment", "contr.poly"))
out <- file.path(commandArgs(TRUE)[1], "r_formula.json")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

n <- 36
i <- seq_len(n)
d <- data.frame(
  x = round(10 + 8 * sin(i) + i / 7, 3), z = (i * 7) %% 11, k = 100000 * ((i %% 4) + 1), w = round(cos(i * 1.7), 3),
  f = factor(c("u", "w", "v")[1 + (i * i + i %/% 4) %% 3], levels = c("v", "u", "never", "w")), g = factor(c("no", "yes")[1 + (i %/% 5) %% 2]),
  o = factor(c("low", "mid", "high", "top")[1 + (i * 5) %% 4], levels = c("low", "mid", "high", "top"), ordered = TRUE),
  s = c("beta", "Alpha", "gamma")[1 + (i %/% 3) %% 3], l = (i %% 7) < 3, check.names = FALSE)
d$xm <- ifelse(i %% 13 == 0, NA, d$x)
d$fm <- d$f; d$fm[i %% 11 == 0] <- NA
d$`a b` <- d$w * 2
d$`f f` <- d$g
nd <- data.frame(x = c(-5, 3.2, 11, 17.5, 40), z = c(0, 3, 10, 5, 2), k = c(1, 2, 3, 4, 1) * 100000, w = c(-1, 0, .5, 1, 2),
  f = factor(c("w", "u", "v", "v", "u")), g = factor(c("yes", "no", "no", "yes", "yes")), o = factor(c("top", "low", "mid", "high", "mid"), levels = levels(d$o), ordered = TRUE),
  s = c("gamma", "Alpha", "beta", "beta", "gamma"), l = c(TRUE, FALSE, TRUE, TRUE, FALSE), check.names = FALSE)

one <- function(text, drop = FALSE) tryCatch({
  m <- model.frame(as.formula(text), d, drop.unused.levels = drop); X <- suppressWarnings(model.matrix(attr(m, "terms"), m))
  list(columns = I(colnames(X)), assign = I(attr(X, "assign")), matrix = unname(X), rows = I(as.integer(rownames(X))), offset = I(as.numeric(model.offset(m))))
}, error = function(e) list(error = conditionMessage(e)))
formulas <- c("~ f %in% g", "~ x %in% f", "~ f * g * o", "~ f:g:o", "~ f * g * o - f:g", "~ x + x:f - 1", "~ x:f + g - 1", "~ x:f + f - 1", "~ f:g - 1", "~ l", "~ l - 1", "~ x + l + f - 1", "~ f + l - 1", "~ l:f",
  "~ o", "~ o - 1", "~ o * x", "~ s", "~ s:f - 1", "~ s * x", "~ fm", "~ xm * fm", "~ log(w)", "~ `a b` * f", "~ `f f`:`a b`", "~ log(`a b` + 3)", "~ cbind(x)", "~ cbind(x, z + 1)", "~ cbind(u = x, z)", "~ poly(x, 1)", "~ poly(x, 6)", "~ poly(x, z, w, degree = 2)",
  "~ poly(cbind(x, z), 2)", "~ poly(x, 2, simple = TRUE)", "~ I(poly(x, 2)^2)", "~ scale(x, center = FALSE)", "~ scale(x, 2, 3)", "~ scale(xm)", "~ ns(x)", "~ ns(xm, 4)", "~ ns(x, df = 3, intercept = TRUE)", "~ ns(x, knots = c(8, 12), Boundary.knots = c(4, 20))", "~ bs(x)", "~ bs(xm, 6)",
  "~ bs(x, degree = 1, knots = c(6, 12))", "~ bs(x, df = 7, degree = 2, intercept = TRUE)", "~ cut(x, 4)", "~ cut(x, 3, dig.lab = 2)", "~ cut(x, 3, labels = FALSE)", "~ cut(x, c(0, 10, 40), include.lowest = TRUE)", "~ cut(z, c(10, 0, 5), right = FALSE, include.lowest = TRUE)", "~ cut(z, c(0, 5, 10), include.lowest = TRUE)",
  "~ cut(k * 3, 3)", "~ cut(x, c(0, 10, 40), ordered_result = TRUE)", "~ cut(x, c(-100, 0.123456, 0.123457, 50))", "~ factor(f, labels = 'L')", "~ factor(z, levels = c(1, 2, 3), labels = c('A', 'B', 'A'))", "~ factor(f, levels = c('w', 'u'))", "~ factor(k)", "~ factor(z / 3)", "~ as.factor(l)", "~ factor(s, exclude = 'beta')",
  "~ factor(x > 10)", "~ factor(l, labels = c('n', 'y'))", "~ ordered(f, levels = c('w', 'v', 'u'))", "~ relevel(g, ref = 'yes')", "~ relevel(f, 2)", "~ interaction(f, g)", "~ interaction(f, g, drop = TRUE)", "~ interaction(g, s, sep = '_')", "~ interaction(g, l, lex.order = TRUE)", "~ C(f, contr.sum)", "~ C(f, 'contr.helmert')",
  "~ C(g, contr.sum) * x", "~ C(f, contr.sdif)", "~ C(o, contr.treatment)", "~ C(o, contr.sum(4))", "~ C(o, contr.poly(4, scores = c(1, 2, 4, 8)))", "~ C(o, c(1, -1, 0, 0))", "~ C(o, contr.sum, 2)", "~ C(o, contr.treatment(4, base = 3))", "~ C(f)", "~ ifelse(f == 'u', 1, 2)", "~ ifelse(l, f, 2)", "~ ifelse(xm > 10, 'a', 'b')",
  "~ ifelse(is.na(xm), 0, xm)", "~ o > 'low'", "~ s == 'beta'", "~ s < 'a'", "~ f == s", "~ I(x %in% c(1, 2)) + I(s %in% c('beta', 'x'))", "~ I(l & xm > 10)", "~ I(l | xm > 10)", "~ !l", "~ I(-x)", "~ I((x + 1) * 2)", "~ I(z %% 3) + I(z %/% 3) + I(w %% -0.3)", "~ I(w^2) + I(0^z)", "~ as.numeric(f) + as.integer(x)", "~ as.numeric(as.character(z))",
  "~ as.character(z / 3)", "~ pmin(xm, 9, na.rm = TRUE) + pmax(x, z, w)", "~ round(x, 1) + round(w, 2) + round(k / 7, -2) + floor(w) + ceiling(w) + sign(w)", "~ log(x, 2) + log(x, base = 10) + log1p(z) + expm1(w) + exp(w) + sqrt(x) + abs(w) + log10(x) + log2(x)", "~ x + offset(w) + offset(log(x))", "~ x - offset(w)", "~ f + x + x^2 + I(x)^2",
  "~ x == 2 | l", "~ (x > 9) * f", "~ x + T", "~ mean(x):x", "~ 1", "~ f - f", "~ f:x + g:x", "~ (f + g + x)^3 - f:g:x", "~ f/(g + x)", "~ (f + g)/x", "~ f + factor(x > 9) + f:factor(x > 9):g", "~ o:f", "~ o:x - 1", "~ g + o:g", "~ poly(x, 2):f", "~ f:poly(x, 2):g", "~ ns(x, 3) * l", "~ scale(cbind(x, z)):g", "~ I(f)", "~ I(x / 1e5)")
both <- list(); for (t in formulas) both[[t]] <- list(all = one(t), used = one(t, TRUE))

predicted <- c("~ poly(x, 3)", "~ poly(x, z, degree = 2)", "~ ns(x, 4)", "~ ns(x, knots = c(8, 12), Boundary.knots = c(4, 20))", "~ ns(x, 3, intercept = TRUE) * g", "~ bs(x, 6)", "~ bs(x, degree = 2, knots = c(6, 12))", "~ scale(x) + scale(z, scale = FALSE)", "~ scale(cbind(x, z))", "~ f * x", "~ o * g", "~ s * l", "~ relevel(g, ref = 'yes')", "~ C(f, contr.sum)", "~ factor(z > 4)", "~ interaction(g, l)", "~ ordered(s)", "~ log(x + 10) + I(z^2) + cut(x, c(-10, 5, 12, 50))")
news <- lapply(setNames(nm = predicted), function(t) { m <- suppressWarnings(model.frame(as.formula(t), d, drop.unused.levels = TRUE)); tt <- attr(m, "terms"); X <- model.matrix(tt, m)
  Y <- suppressWarnings(model.matrix(tt, model.frame(tt, nd, xlev = .getXlevels(tt, m)), contrasts.arg = attr(X, "contrasts"))); list(columns = I(colnames(Y)), matrix = unname(Y)) })

optional <- list(list("~ f * g", list(f = "contr.sum")), list("~ f + o", list(f = "contr.helmert", o = "contr.treatment")), list("~ f:g + l", list(l = "contr.sum")), list("~ f", list(f = "contr.sdif")))
chosen <- lapply(optional, function(a) { m <- model.frame(as.formula(a[[1]]), d, drop.unused.levels = TRUE); X <- model.matrix(attr(m, "terms"), m, contrasts.arg = a[[2]]); list(formula = a[[1]], contrasts = a[[2]], columns = I(colnames(X)), matrix = unname(X)) })

expr <- c("c(5, -5, 5, -5) %% c(3, 3, -3, -3)", "c(5, -5, 5, -5) %/% c(3, 3, -3, -3)", "c(1, 5, -5, 1) %% c(0.1, Inf, Inf, 0)", "c(1, 5, 5) %/% c(0.1, 0, 2)", "NA^0", "1^NA", "0^0", "(-8)^2", "-2^2", "round(c(0.15, 2.5, -2.5, 2.675, 0.5, 1.5, 1e15 + 0.3, NA), 0)", "round(c(0.15, 2.675, 1.005, -0.15, 0.25, 0.35, 5.015, 1234.5678), 2)",
  "round(c(0.15, 0.25, 0.35, 2.55, -1.45), 1)", "round(c(125, 135, 1250, -15, 14.9), -1)", "NA & FALSE", "NA & TRUE", "NA | TRUE", "NA | FALSE", "!NA", "NA == 1", "c(1, NA) %in% c(NA, 2)", "c('a', 'b') %in% 'b'", "'B' < 'a'", "TRUE + TRUE", "pmin(c(1, NA, 3), 2)", "pmax(c(1, NA, 3), 2, na.rm = TRUE)", "mean(c(1, 2, NA), na.rm = TRUE)", "ifelse(c(TRUE, NA, FALSE), 1, 2)", "as.integer(c(2.9, -2.9))", "log(-1)", "1 / 0", "5L %/% 2L", "7.5 %/% 2", "as.numeric('1e3')")
exprs <- lapply(setNames(nm = expr), function(t) I(sprintf("%.17g", as.numeric(suppressWarnings(eval(parse(text = t)))))))
numbers <- c(1, 0.1, 1e5, 123456, 0.1 + 0.2, 1 / 3, 2 / 3, 1e15, 1e16, 123456789012345, 1234567890123456, 1e-4, 0.00012, 0.0001234, 1234567.1, 1e-300, 100, -1e5, 3e10, 1.5e10, 12345678.9012345678, 1e5 + 0.1, 1e22, 5e-324, 0, -0.5, 2^53, 1e5 + 1, 99999, 300000, 1e-5, 0.1234567890123456)

set <- function(t) { a <- terms(as.formula(t)); f <- attr(a, "factors"); list(labels = I(as.character(attr(a, "term.labels"))), order = I(attr(a, "order")), intercept = attr(a, "intercept"), variables = I(vapply(as.list(attr(a, "variables"))[-1], function(v) paste(deparse(v, backtick = TRUE), collapse = ""), "")), offset = I(as.integer(attr(a, "offset"))), factors = if (length(f)) I(as.integer(f)) else I(integer())) }
lines <- readLines(file.path(here, "formula_terms.txt"))
algebra <- lapply(setNames(nm = lines), function(t) set(paste("~", t)))

columns <- function(d) lapply(d, function(v) if (is.factor(v)) list(codes = I(ifelse(is.na(v), 0L, as.integer(v))), levels = I(levels(v)), ordered = is.ordered(v)) else I(v))
value <- list(data = columns(d), newdata = columns(nd), matrices = both, predictions = news, contrasts = chosen, expressions = exprs, numbers = I(sprintf("%.17g", numbers)), labels = I(as.character(numbers)), terms = algebra)
head <- list(case = "r_formula", r_call = "tests/parity/r/formula.R", packages = list(R = "4.2.2", MASS = as.character(packageVersion("MASS"))), data = "none", warnings = I(character()), values = value)
writeLines(jsonlite::toJSON(head, auto_unbox = TRUE, digits = I(12), na = "null", null = "null"), out)
