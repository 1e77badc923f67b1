# R's glm over families, links, weights, offsets, starting values and troubles, on the bundled `heart` data.
d <- read.csv("../../../causalformula/datasets/heart.csv", check.names = FALSE)[1:200, ]
d$x <- (d[["I.H"]] - 50) / 10
d$pos <- d$Severity - min(d$Severity) + 1
d$count <- round(d$pos / 10)
d$high <- as.integer(d$Severity > 50)
d$share <- round(pmin(pmax(d$pos / 80, 0), 1) * 8) / 8
d$w <- ifelse(seq_len(200) %% 7 == 0, 0, 0.5 + (seq_len(200) %% 5) / 4)
d$trials <- 8
d$far <- as.integer(d$x > 0.3)
d$small <- d$count > 3
d$never <- ifelse(d$small, 0, -40)
d$fifth <- d$x / 5

values <- function(call) {
  notes <- character()
  f <- withCallingHandlers(
    tryCatch(eval(call), error = function(e) NULL),
    warning = function(w) { notes <<- c(notes, conditionMessage(w)); invokeRestart("muffleWarning") }
  )
  if (is.null(f)) return(list(r_call = paste(deparse(call), collapse = ""), error = TRUE))
  s <- summary(f)
  list(r_call = paste(deparse(call), collapse = ""), coef = unname(coef(f)), se = unname(s$coefficients[, 2]), dispersion = s$dispersion,
       deviance = f$deviance, null_deviance = f$null.deviance, aic = if (is.infinite(f$aic)) "Inf" else f$aic, df_residual = f$df.residual, df_null = f$df.null,
       iter = f$iter, converged = f$converged, boundary = f$boundary, mu = unname(f$fitted.values)[1:20],
       weights = unname(f$weights)[1:20], residuals = unname(f$residuals)[1:20], warnings = unique(notes))
}
cases <- list(
  gaussian = quote(glm(Severity ~ x + Drug, data = d)),
  gaussian_zero_weights = quote(glm(Severity ~ x + Drug, weights = w, data = d)),
  gaussian_log = quote(glm(pos ~ x + Drug, family = gaussian("log"), data = d)),
  gaussian_inverse = quote(glm(pos ~ x + Drug, family = gaussian("inverse"), data = d)),
  binomial_logit = quote(glm(high ~ x + Drug, family = binomial, data = d)),
  binomial_probit = quote(glm(high ~ x + Drug, family = binomial("probit"), data = d)),
  binomial_cloglog = quote(glm(high ~ x + Drug, family = binomial("cloglog"), data = d)),
  binomial_cauchit = quote(glm(high ~ x + Drug, family = binomial("cauchit"), data = d)),
  binomial_log = quote(glm(high ~ Drug + I(x^2), family = binomial("log"), start = c(-1, 0, 0), data = d)),
  binomial_log_boundary = quote(glm(high ~ x, family = binomial("log"), start = c(-2, 0), data = d)),
  binomial_log_no_start = quote(glm(high ~ x + Drug, family = binomial("log"), data = d)),
  binomial_identity = quote(glm(high ~ Drug, family = binomial("identity"), data = d)),
  binomial_trials = quote(glm(share ~ x + Drug, family = binomial, weights = trials, data = d)),
  binomial_zero_weights = quote(glm(high ~ x + Drug, family = binomial, weights = w, data = d)),
  binomial_offset = quote(glm(high ~ Drug, family = binomial, offset = x, data = d)),
  binomial_no_intercept = quote(glm(high ~ x + Drug - 1, family = binomial, data = d)),
  binomial_separated = quote(glm(far ~ x, family = binomial, data = d)),
  binomial_separated_probit = quote(glm(far ~ x, family = binomial("probit"), data = d)),
  binomial_aliased = quote(glm(high ~ x + I(2 * x + 1) + Drug, family = binomial, data = d)),
  binomial_maxit = quote(glm(high ~ x + Drug, family = binomial, maxit = 2, data = d)),
  poisson_log = quote(glm(count ~ x + Drug, family = poisson, data = d)),
  poisson_identity = quote(glm(count ~ x + Drug, family = poisson("identity"), data = d)),
  poisson_identity_start = quote(glm(count ~ x + Drug, family = poisson("identity"), start = c(4, 0, 0), data = d)),
  poisson_sqrt = quote(glm(count ~ x + Drug, family = poisson("sqrt"), data = d)),
  poisson_offset = quote(glm(count ~ Drug, family = poisson, offset = fifth, data = d)),
  poisson_weights = quote(glm(count ~ x + Drug, family = poisson, weights = w, data = d)),
  poisson_rates_zero = quote(glm(I(count * small) ~ x, family = poisson, offset = never, data = d)),
  Gamma_inverse = quote(glm(pos ~ x + Drug, family = Gamma, data = d)),
  Gamma_log = quote(glm(pos ~ x + Drug, family = Gamma("log"), data = d)),
  Gamma_identity = quote(glm(pos ~ x + Drug, family = Gamma("identity"), data = d)),
  Gamma_weights = quote(glm(pos ~ x + Drug, family = Gamma("log"), weights = w, data = d)),
  inverse_gaussian = quote(glm(pos ~ x + Drug, family = inverse.gaussian, data = d)),
  inverse_gaussian_log = quote(glm(pos ~ x + Drug, family = inverse.gaussian("log"), data = d)),
  quasi = quote(glm(pos ~ x + Drug, family = quasi(link = "log", variance = "mu"), data = d)),
  quasi_square = quote(glm(count ~ x + Drug, family = quasi(link = "log", variance = "mu^2"), data = d)),
  quasi_share = quote(glm(share ~ x + Drug, family = quasi(link = "probit", variance = "mu(1-mu)"), data = d)),
  quasibinomial = quote(glm(share ~ x + Drug, family = quasibinomial, data = d)),
  quasipoisson = quote(glm(count ~ x + Drug, family = quasipoisson, data = d)),
  offset_only = quote(glm(high ~ 0, family = binomial, offset = x, data = d))
)
out <- lapply(cases, values)
writeLines(jsonlite::toJSON(list(case = "glm_families", packages = list(R = "4.2.2"), data = "heart.csv", values = out),
                            digits = NA, auto_unbox = TRUE, na = "null", pretty = FALSE), file.path(commandArgs(TRUE)[1], "r_glm_families.json"))
