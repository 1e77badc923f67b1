# Joint tests by groups under CR2 and CR3, and the prints of numbers that are none.
suppressPackageStartupMessages({ library(clubSandwich); library(lmtest); library(jsonlite) })
out <- commandArgs(TRUE)[1]
heart <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)[1:240, ]
i <- seq_len(240)
heart$g <- i %% 12
heart$s <- c("u", "v", "w")[(i * 7) %% 11 %% 3 + 1]
htz <- function(m, names, type) {
  w <- Wald_test(m, constraints = constrain_zero(names), vcov = type, cluster = heart$g, test = "HTZ")
  list(F = w$Fstat, df = I(c(w$df_num, w$df_denom)), p = w$p_val)
}
crossed <- lm(Severity ~ Drug * s + I.H, heart)
numeric <- lm(Severity ~ Drug * I.H + s, heart)
values <- list(by = list(), prints = list())
for (type in c("CR2", "CR3")) {
  values$by[[type]] <- list(
    factor = htz(crossed, c("Drug:sv", "Drug:sw"), type), numeric = htz(numeric, "Drug:I.H", type)
  )
}
x <- 1:6
y <- c(1, 3, 2, 5, 4, 6)
page <- function(x) I(capture.output(suppressWarnings(print(x))))
full <- lm(y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5))
values$prints$anova <- page(anova(full))
values$prints$pair <- page(anova(lm(y ~ 1), lm(y ~ factor(x))))
values$prints$bgtest <- page(bgtest(lm(y ~ x + I(x^2) + I(x^3)), order = 2, type = "F"))
values$prints$gamma <- page(glm(y ~ x - 1, family = Gamma))
values$names <- I(colnames(model.matrix(~ cut(x, c(-Inf, 3, 5, Inf)) + I(2 * x + 1L))))
values$profile <- I(as.numeric(suppressMessages(confint(glm(y ~ 1, family = poisson)))))
# a cluster with nearly all the weight, in a difference of means
heart$w <- ifelse(heart$g == 0, 1e4, 1)
weighted <- coef_test(lm(Severity ~ Drug, heart, weights = w), vcov = "CR2", cluster = heart$g)
values$dominated <- list(se = weighted$SE[2], df = weighted$df_Satt[2])
case <- list(
  case = "r_words", r_call = "clubSandwich::Wald_test(test = 'HTZ'); print of anova, lmtest::bgtest, glm",
  packages = list(clubSandwich = as.character(packageVersion("clubSandwich")), lmtest = as.character(packageVersion("lmtest"))),
  data = "heart", warnings = list(), values = values
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE), file.path(out, "r_words.json"))
