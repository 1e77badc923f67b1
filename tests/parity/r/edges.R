# Edges of regressions: clusters that dominate the weights, a constant by another name, counts without a change.
suppressPackageStartupMessages({ library(clubSandwich); library(sandwich); library(lmtest); library(jsonlite) })
out <- commandArgs(TRUE)[1]
x <- c(.13, -.13, .64, .1, -.54, .36, 1.3, .95, -.7, -1.27, -.62, .04, -2.33, -.22, -1.25, -.73)
y <- c(-.54, -.32, .41, 1.04, -.13, 1.37, -.67, .35, .9, .09, -.74, -.92, -.46, .22, -1.01, -.21)
g <- rep(0:3, each = 4)
w <- c(1e5, 2e5, 3e5, 1e5, rep(c(2, 3, 1), 4))
tested <- function(m, type) {
  r <- coef_test(m, vcov = type, cluster = g)
  list(se = I(r$SE), df = I(r$df_Satt))
}
values <- list(dominant = list(), bandwidth = list())
for (k in c(1, 1e-3, 1e-4)) {
  scaled <- w * ifelse(g == 0, k, 1)
  m <- lm(y ~ x, weights = scaled)
  joint <- Wald_test(m, constraints = constrain_zero(1:2), vcov = "CR2", cluster = g, test = "HTZ")
  values$dominant[[as.character(k)]] <- list(
    CR2 = tested(m, "CR2"), CR3 = tested(m, "CR3"), HTZ = list(F = joint$Fstat, df = joint$df_denom)
  )
}
far <- x * ifelse(g == 0, 1e4, 1)
m <- lm(y ~ far)
values$unweighted <- list(CR2 = tested(m, "CR2"), CR3 = tested(m, "CR3"))
one <- rep(1, 16)
lone <- factor(c("c", rep(c("a", "b"), length.out = 15)), levels = c("a", "b", "c"))
for (name in c("y ~ x", "y ~ x + one - 1", "y ~ one - 1", "y ~ x + lone")) {
  m <- lm(as.formula(name))
  values$bandwidth[[name]] <- list(
    andrews = bwAndrews(m, prewhite = FALSE), newey_west = bwNeweyWest(m, prewhite = FALSE),
    se = I(as.numeric(sqrt(diag(kernHAC(m, prewhite = FALSE)))))
  )
}
counts <- c(18, 17, 15, 20, 10, 20, 25, 13, 12)
outcome <- gl(3, 1, 9)
treatment <- gl(3, 3)
m <- glm(counts ~ outcome + treatment, family = poisson())
values$deviance <- list(
  anova = I(anova(m, test = "Chisq")[["Pr(>Chi)"]]), drop1 = I(drop1(m, test = "Chisq")[["Pr(>Chi)"]])
)
values$zero_counts <- glm(rep(0, 20) ~ seq_len(20), family = poisson)$null.deviance
case <- list(
  case = "r_edges",
  r_call = "clubSandwich::coef_test, Wald_test; sandwich::bwAndrews, bwNeweyWest, kernHAC; anova, drop1, glm",
  packages = list(
    clubSandwich = as.character(packageVersion("clubSandwich")), sandwich = as.character(packageVersion("sandwich"))
  ),
  data = NA, warnings = list(), values = values
)
writeLines(toJSON(case, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE), file.path(out, "r_edges.json"))
