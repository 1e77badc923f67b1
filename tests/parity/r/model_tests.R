# Tests of models: car::linearHypothesis, anova, drop1, the tests of lmtest and clubSandwich's HTZ, on the bundled data.
suppressMessages({library(car); library(lmtest); library(sandwich); library(clubSandwich)})
d <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)
n <- nrow(d)
d$x <- d[["I.H"]]
d$z <- 20 * cos(seq_len(n)) + d$x / 5
d$g <- factor(rep(c("a", "b", "c"), length.out = n))
d$w <- 1 + seq_len(n) %% 3
d$high <- as.integer(d$Severity > 50)
d$pos <- d$Severity - min(d$Severity) + 1
d$count <- round(d$pos / 10)
d$cl <- rep(1:23, length.out = n)^2 %% 17
d$t <- (seq_len(n) * 37) %% n
small <- d[1:40, ]

text <- function(x) paste(capture.output(print(x)), collapse = "\n")
table <- function(x) list(columns = lapply(as.list(x), as.numeric), rows = rownames(x), text = text(x))
test <- function(x) list(statistic = unname(x$statistic), parameter = unname(x$parameter), p_value = unname(x$p.value), text = text(x))

f <- lm(Severity ~ Drug * x + g, data = d)
s <- lm(Severity ~ Drug, data = d)
fw <- lm(Severity ~ Drug + x, data = d, weights = w)
al <- lm(Severity ~ Drug + I(2 * Drug) + x, data = d)
b <- glm(high ~ Drug + x + g, binomial, data = d)
p <- glm(count ~ Drug + x, poisson, data = d)
q <- glm(pos ~ Drug + x, Gamma("log"), data = d)
ga <- glm(Severity ~ Drug + x, data = d)

hypotheses <- list(
  two = linearHypothesis(f, c("Drug = 0", "x = 0.9")),
  HC3 = linearHypothesis(f, c("Drug = 0", "x = 0.9"), vcov. = vcovHC(f)),
  clustered = linearHypothesis(f, c("Drug = 0", "gb = gc"), vcov. = vcovCL(f, ~cl)),
  combination = linearHypothesis(f, "2*Drug - x = 1"),
  interaction = linearHypothesis(f, "Drug:x = 0"),
  weighted = linearHypothesis(fw, "Drug = -10"),
  binomial = linearHypothesis(b, c("Drug = 0", "gb = gc")),
  binomial_HC0 = linearHypothesis(b, c("Drug = 0", "gb = gc"), vcov. = sandwich(b)),
  gamma = linearHypothesis(q, "Drug = -0.1")
)
anovas <- list(
  lm = anova(f), lm_small = anova(s), lm_weighted = anova(fw), lm_aliased = anova(al),
  lm_no_intercept = anova(lm(Severity ~ Drug + x - 1, data = d)), lm_offset = anova(lm(Severity ~ offset(x) + Drug, data = d)),
  lm_two = anova(s, f), lm_two_chisq = anova(s, f, test = "Chisq"), lm_three = anova(lm(Severity ~ 1, data = d), s, f),
  lm_down = anova(f, s),
  binomial_none = anova(b), binomial = anova(b, test = "Chisq"),
  binomial_two = anova(glm(high ~ Drug, binomial, data = d), b, test = "Chisq"),
  poisson = anova(p, test = "Chisq"), gamma = anova(q, test = "F"), gamma_chisq = anova(q, test = "Chisq"),
  gaussian = anova(ga, test = "F"), gaussian_two = anova(ga, glm(Severity ~ Drug, data = d), test = "F")
)
drops <- list(
  lm = drop1(f), lm_F = drop1(f, test = "F"), lm_chisq = drop1(f, test = "Chisq"), lm_weighted = drop1(fw, test = "F"),
  binomial = drop1(b, test = "Chisq"), poisson = drop1(p), gamma = drop1(q), gamma_F = drop1(q, test = "F"),
  gamma_chisq = drop1(q, test = "Chisq"), gaussian_F = drop1(ga, test = "F")
)
tests <- list(
  bp = bptest(Severity ~ Drug * x + g, data = d), bp_x = bptest(Severity ~ Drug * x + g, ~ x, data = d), bp_plain = bptest(Severity ~ Drug * x + g, ~ x + z, studentize = FALSE, data = d),
  reset = resettest(Severity ~ Drug * x + g, data = d), reset_2 = resettest(Severity ~ Drug * x + g, power = 2, data = d),
  reset_regressor = resettest(Severity ~ x + z, type = "regressor", data = d),
  reset_princomp = resettest(Severity ~ x + z, power = 3, type = "princomp", data = d),
  dw = dwtest(Severity ~ Drug * x + g, data = d), dw_two = dwtest(Severity ~ Drug * x + g, alternative = "two.sided", data = d), dw_less = dwtest(Severity ~ Drug * x + g, alternative = "less", data = d),
  dw_exact = dwtest(Severity ~ Drug + x, data = small), dw_exact_two = dwtest(Severity ~ Drug + x, alternative = "two.sided", data = small),
  dw_approximate = dwtest(Severity ~ Drug + x, exact = FALSE, data = small), dw_ordered = dwtest(Severity ~ Drug + x, order.by = ~ t, data = small),
  bg = bgtest(Severity ~ Drug * x + g, data = d), bg_3 = bgtest(Severity ~ Drug * x + g, order = 3, data = d), bg_F = bgtest(Severity ~ Drug * x + g, order = 2, type = "F", data = d),
  bg_ordered = bgtest(Severity ~ Drug + x, order.by = ~ t, data = small)
)
walds <- list(
  two = waldtest(s, f), down = waldtest(f, s), one = waldtest(f), HC3 = waldtest(s, f, vcov = vcovHC),
  chisq = waldtest(s, f, vcov = vcovHC, test = "Chisq"), binomial = waldtest(b), binomial_chisq = waldtest(b, test = "Chisq"),
  term = waldtest(f, "g"), terms = waldtest(f, c("g", "Drug:x")), terms_in_turn = waldtest(f, "Drug:x", "g", vcov = vcovHC),
  binomial_chain = waldtest(b, "g", "x", test = "Chisq"), chain = waldtest(s, lm(Severity ~ Drug * x, data = d), f)
)
htz <- function(m, k, type) {
  w <- as.data.frame(unclass(Wald_test(m, constrain_zero(k), vcov = type, cluster = d$cl)))
  list(F = w$Fstat, df1 = w$df_num, df2 = w$df_denom, p = w$p_val)
}
hotelling <- list(
  lm_CR2 = htz(f, 2:3, "CR2"), lm_CR3 = htz(f, 2:3, "CR3"), weighted_CR2 = htz(fw, 2:3, "CR2"), weighted_CR3 = htz(fw, 2:3, "CR3"),
  lm_one = htz(f, 2, "CR2"), lm_four = htz(f, 2:5, "CR2"), binomial_CR2 = htz(b, 2:3, "CR2"), poisson_CR2 = htz(p, 2:3, "CR2")
)
out <- list(case = "r_model_tests", packages = lapply(c(car = "car", lmtest = "lmtest", sandwich = "sandwich", clubSandwich = "clubSandwich"),
  function(x) as.character(packageVersion(x))), values = list(hypotheses = lapply(hypotheses, table), anova = lapply(anovas, table),
  drop1 = lapply(drops, table), tests = lapply(tests, test), wald = lapply(walds, table), hotelling = hotelling))
args <- commandArgs(trailingOnly = TRUE)
writeLines(jsonlite::toJSON(out, digits = NA, auto_unbox = TRUE, na = "null", null = "null"), file.path(args[1], "r_model_tests.json"))
