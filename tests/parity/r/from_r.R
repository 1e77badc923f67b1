# The calls on the left of docs/from-r.md, as far as their packages are installed: what each gives, in numbers.
# Rscript from_r.R OUTDIR writes OUTDIR/r_from_r.json.
suppressPackageStartupMessages({ library(survey); library(sandwich); library(lmtest); library(clubSandwich); library(estimatr); library(boot); library(Matching) })
out <- file.path(commandArgs(TRUE)[1], "r_from_r.json")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
sections <- c("stats and car", "sandwich", "clubSandwich", "lmtest", "survey", "estimatr", "boot", "Matching")

heart <- read.csv(file.path(here, "../../../causalformula/datasets/heart.csv"), check.names = FALSE)
heart$Severe <- heart$Severity > 50
heart$Ward <- (seq_len(nrow(heart)) - 1) %% 25
heart$Share <- 1 + heart$Ward %% 2
heart$Lot <- heart$Ward %/% 5 %% 2
heart$Early <- as.numeric(heart$Ward < 12)
heart$Third <- heart$Ward %% 3
heart$Score <- fitted(glm(Drug ~ I.H, binomial, heart))
X <- as.matrix(heart[c("I.H", "Ward")])
panel <- read.csv(file.path(here, "../../../causalformula/datasets/did_panel.csv"))
model <- lm(Severity ~ Drug + I.H, heart)
smaller <- lm(Severity ~ Drug, heart)
logit <- glm(Severe ~ Drug + I.H, binomial, heart)
d <- svydesign(~1, weights = ~Share, data = heart)
clustered <- svydesign(~Ward, weights = ~Share, data = heart)

# a bar is escaped in a cell, and ends it otherwise
cells <- function(line) gsub("\\|", "|", strsplit(gsub("^\\| | \\|$", "", line), " \\| ")[[1]], fixed = TRUE)
spans <- function(cell) gsub("`", "", regmatches(cell, gregexpr("`[^`]+`", cell))[[1]])
few <- function(x) { x <- as.matrix(x); unname(head(x, 5)) }
coefs <- function(b, se) list(kind = "coefs", terms = I(names(b)), estimate = I(unname(b)), std.error = I(unname(se)))
test <- function(statistic, p) list(kind = "test", statistic = unname(statistic), p.value = unname(p))
numbers <- function(x) {
  if (inherits(x, "coeftest")) list(kind = "text", text = paste(capture.output(print(x)), collapse = "\n"))
  else if (inherits(x, "lh_robust")) coefs(x$lh$coefficients, x$lh$std.error)
  else if (inherits(x, c("lm_robust", "iv_robust", "difference_in_means"))) c(coefs(x$coefficients, x$std.error), list(df = I(unname(x$df))))
  else if (inherits(x, c("svyby", "svystat"))) coefs(coef(x), as.vector(SE(x)))
  else if (inherits(x, "svyglm")) c(coefs(coef(x), SE(x)), list(df = I(rep(x$df.residual, length(coef(x))))))
  else if (inherits(x, "svyivreg")) coefs(coef(x), SE(x))
  else if (inherits(x, c("Match", "Matchby"))) coefs(c(Drug = as.numeric(x$est)), as.numeric(x$se))
  else if (inherits(x, "lm")) coefs(coef(x), coef(summary(x))[, 2])
  else if (inherits(x, "regTermTest")) test(drop(x$Ftest), drop(x$p))
  else if (inherits(x, "Wald_test_clubSandwich")) test(x$Fstat, x$p_val)
  else if (inherits(x, "conf_int_clubSandwich") && "Est" %in% names(x)) c(coefs(setNames(x$Est, x$Coef), x$SE), list(df = I(x$df)))
  else if (inherits(x, "htest")) test(x$statistic, x$p.value)
  else if (inherits(x, "conf_int_clubSandwich")) list(kind = "values", values = few(cbind(x$CI_L, x$CI_U)))
  else if (inherits(x, "anova") && any(c("F", "Chisq") %in% names(x))) test(tail(x[[which(names(x) %in% c("F", "Chisq"))]], 1), tail(x[[ncol(x)]], 1))
  else if (is.numeric(x)) list(kind = "values", values = few(unclass(x)))
}
page <- readLines(file.path(here, "../../../docs/from-r.md"))
section <- ""
values <- list()
for (line in page) {
  if (startsWith(line, "## ")) section <- substring(line, 4)
  if (!section %in% sections || !startsWith(line, "| `")) next
  row <- cells(line)
  theirs <- spans(row[1])
  ours <- spans(row[2])
  if (startsWith(row[2], "not yet")) next
  for (call in theirs[seq_len(min(length(theirs), length(ours)))]) {
    # replicates that are drawn are others at each run
    if (grepl("\\.\\.\\.|bootstrap|^boot|^vcovBS\\((?!.*jackknife)", call, perl = TRUE)) next
    found <- tryCatch(numbers(eval(parse(text = call))), error = function(e) { message(call, ": ", conditionMessage(e)); NULL })
    if (!is.null(found)) values[[call]] <- found
  }
}
writeLines(jsonlite::toJSON(list(case = "r_from_r", r_call = "tests/parity/r/from_r.R", values = values), digits = NA, auto_unbox = TRUE, pretty = TRUE), out)
