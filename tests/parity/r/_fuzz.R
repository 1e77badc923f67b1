# Random regressions in R, for fuzz.py: reads FOLDER/cases.json, writes FOLDER/answers.json, one answer a case.
suppressPackageStartupMessages({ library(clubSandwich); library(sandwich); library(lmtest); library(splines); library(jsonlite) })
folder <- commandArgs(TRUE)[1]
cases <- read_json(file.path(folder, "cases.json"))
frames <- list()
frame <- function(name) {
  if (is.null(frames[[name]])) frames[[name]] <<- read.csv(file.path(folder, name), stringsAsFactors = TRUE)
  frames[[name]]
}
# One request: the covariance of the estimable coefficients; degrees of freedom where clubSandwich has them.
covariance <- function(m, request, d) {
  rows <- rownames(model.frame(m))
  g <- d[rows, "g"]
  kept <- !is.na(coef(m))
  df <- NULL
  v <- if (request == "classical") vcov(m)[kept, kept, drop = FALSE]
    else if (startsWith(request, "HC")) vcovHC(m, type = request)
    else if (request == "~g") vcovCL(m, cluster = g)
    else if (request == "~g + t") vcovCL(m, cluster = data.frame(g, t = d[rows, "t"]))
    else if (request == "NeweyWest") NeweyWest(m)
    else if (request == "NeweyWest(3)") NeweyWest(m, lag = 3)
    else if (request == "Andrews") kernHAC(m)
    else {
      if (inherits(m, "glm")) m <- update(m, epsilon = 1e-13, maxit = 100)
      type <- sub(" ~ g", "", request)
      v <- vcovCR(m, cluster = g, type = type)
      if (type %in% c("CR2", "CR3")) df <- coef_test(m, vcov = v, test = "Satterthwaite")$df_Satt
      as.matrix(v)
    }
  list(matrix = unname(matrix(as.numeric(v), nrow(v))), df = df)
}
tried <- function(expr) tryCatch(expr, error = function(e) list(error = conditionMessage(e)))
answer <- function(case) {
  d <- frame(case$data)
  f <- as.formula(case$formula)
  if (case$kind == "matrix") {
    X <- model.matrix(f, d)
    return(list(names = colnames(X), matrix = unname(as.matrix(X)), rows = nrow(X)))
  }
  arguments <- list(formula = f, data = as.name("d"))
  if (!is.null(case$weights)) arguments$weights <- as.name(case$weights)
  if (!is.null(case$family)) arguments$family <- eval(parse(text = case$family))
  m <- suppressWarnings(eval(as.call(c(as.name(case$kind), arguments))))
  out <- list(
    names = names(coef(m)), coef = unname(coef(m)), deviance = deviance(m), df = df.residual(m),
    loglik = tryCatch(as.numeric(logLik(m)), error = function(e) NA), converged = if (is.null(m$converged)) TRUE else m$converged
  )
  requests <- unlist(case$vcov)
  names(requests) <- requests
  out$vcov <- lapply(requests, function(r) tried(suppressWarnings(covariance(m, r, d))))
  out
}
answers <- lapply(cases, function(case) tried(answer(case)))
writeLines(toJSON(answers, digits = NA, auto_unbox = TRUE, na = "null", null = "null"), file.path(folder, "answers.json"))
