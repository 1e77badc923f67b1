# What R prints of long formulas and odd names: deparse, anova, drop1, waldtest, linearHypothesis, and labels of cut.
# Rscript prints.R OUTDIR writes OUTDIR/r_prints.json (lmtest, car; jsonlite to write).
suppressPackageStartupMessages({ library(jsonlite); library(lmtest); library(car) })
options(digits = 7, width = 80, scipen = 0)
invisible(Sys.setlocale("LC_ALL", "C.UTF-8"))
out <- file.path(commandArgs(TRUE)[1], "r_prints.json")
txt <- function(x) paste0(paste(capture.output(print(x)), collapse = "\n"))
d <- data.frame(x = c(1, 2, 3.5, 4, 5.2, 6.1, 7, 8.3, 9, 10), k = c(1, 0, 2, 3, 1, 2, 4, 2, 5, 3),
                n = c(1, 2, NA, 4, 5, 6, 7, 8, 9, 10), check.names = FALSE)
d$`y y` <- c(2, 3, 2.5, 5, 4, 6, 7, 8, 7.5, 9)
d$`a b` <- cos(d$x)
d$long_variable_name_one <- d$x^2
d$long_variable_name_two <- sin(d$x)

A <- strrep("a", 26); B <- strrep("b", 28)
formulas <- c(
  sprintf("y ~ %s + %s + ccccccccccc + ddddddddddddddddddd + eeeeeeeeeeeeeeeeeeeeee + fffffffffffffffffffffff + g", A, B),
  sprintf("y ~ I(%s + %s + ccccccccccc + ddddddddddddddddddd + eeeeeeeeeeeeeeeeeeeeee + ffffff) + gggggg", A, B),
  sprintf("y ~ ns(%s, df = 4, knots = c(1.123456, 2.123456, 3.123456, 4.123456, 5.123456, 6.123456, 7.1, 8.1)) + g", A),
  sprintf("y ~ %s:%s:ccccccccccc:ddddddddddddddddddd + fffffffffff * gggggg * hhhhhh", A, B),
  sprintf("log(%saaaaaaaaaaaaaaaaaaaaaaaaaaa + %s) ~ x + %s%s + k", A, B, A, B),
  sprintf("y ~ (%s + %s + ccccccccccc + dddddddd) * (eeeeeeeeeeeeeeeeeeeeee + fffffffffff) + (aaa + b)^2", A, B),
  sprintf("y ~ %s + bbbbbbbbbbbbbbbbbbbbbbbb + b + c + d", A), sprintf("y ~ %s + bbbbbbbbbbbbbbbbbbbbbbb + b + c + d", A),
  sprintf("y ~ %s + bbbbbbbbbbbbbbbbbbbbbb + b + c + d", A), sprintf("y ~ %s + bbbbbbbbbbbbbbbbbbbbbbbbb + b + c + d", A),
  sprintf("y ~ x > %s%s%s & bbbbbbbbbbbb", A, B, A),
  sprintf("y ~ %s + %s + ccccccccccc + I(ddddddddddddddddddd + eeeeeeeeeeeeeeeeeeeeee + ffffffffffffffffffff + g) + h", A, B),
  sprintf("y ~ poly(%s, degree = 3, raw = TRUE) + ifelse(%s > 3 & x < 2, ccccccccccccccccccc, dddddddddddddd) + g", A, B)
)
m <- lm(`y y` ~ x + `a b`, d)
m1 <- lm(`y y` ~ x + long_variable_name_one, d)
m2 <- lm(`y y` ~ x + long_variable_name_one + long_variable_name_two + I(long_variable_name_two^2), d)
g <- glm(k ~ x + `a b`, quasipoisson, d)
g1 <- glm(k ~ x, poisson, d)
g2 <- glm(k ~ x + long_variable_name_one + long_variable_name_two + I(long_variable_name_two^2), poisson, d)
prints <- list(
  "anova(m)" = anova(m), "drop1(m, F)" = drop1(m, test = "F"), "anova(m1, m2)" = anova(m1, m2),
  "drop1(m2, F)" = drop1(m2, test = "F"), "waldtest(m1, m2)" = waldtest(m1, m2), "drop1(g)" = drop1(g),
  "drop1(g, F)" = drop1(g, test = "F"), "drop1(g, Chisq)" = drop1(g, test = "Chisq"), "drop1(g2)" = drop1(g2),
  "anova(g1, g2)" = anova(g1, g2, test = "Chisq"), "waldtest(g1, g2)" = waldtest(g1, g2),
  "anova(log)" = anova(lm(log(`y y`) ~ x, d)), "hypothesis(m2)" = linearHypothesis(m2, "x = 0")
)
cuts <- list(list(c(-Inf, 3, 6, Inf), TRUE, FALSE), list(c(-Inf, 3, 6, Inf), FALSE, TRUE), list(c(0, 2.5, 1e5, Inf), TRUE, TRUE))
labels <- c("I(2 * x + 1L)", "I(x^2L)", "poly(n, 2, raw = TRUE)", "I(x > 100000L)", "cut(x, c(-Inf, 3, 6, Inf))")
raw <- lm(x ~ poly(n, 2, raw = TRUE), d)
result <- list(
  deparsed = lapply(formulas, function(t) list(text = t, lines = I(deparse(as.formula(t))))),
  data = lapply(d, I), prints = lapply(prints, txt),
  cuts = lapply(cuts, function(a) list(
    breaks = I(as.character(a[[1]])), right = a[[2]], lowest = a[[3]],
    levels = I(levels(cut(d$x, a[[1]], right = a[[2]], include.lowest = a[[3]]))))),
  names = sapply(labels, function(t) I(colnames(model.matrix(as.formula(paste("~", t)), d))), simplify = FALSE),
  raw = I(unname(coef(raw)))
)
write_json(result, out, digits = NA, auto_unbox = TRUE, na = "null")
