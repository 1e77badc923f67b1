# Base R's functions as a formula may call them: values of expressions on fixed columns, and design matrices of dates.
# Rscript functions.R OUTDIR writes OUTDIR/r_functions.json (jsonlite to write).
library(jsonlite)
invisible(Sys.setlocale("LC_ALL", "C.UTF-8"))
Sys.setenv(TZ = "UTC")
out <- file.path(commandArgs(TRUE)[1], "r_functions.json")

i <- 1:14
d <- data.frame(x = round(4 * sin(i) + i / 3, 3), z = (i * 5) %% 7 + 1, u = round(((i * 11) %% 17 + 0.5) / 18, 4),
                f = c("b", "a", "c")[i %% 3 + 1], s = c("Ab cd ", " ef", "Ghi", "ab")[i %% 4 + 1])
d$date <- as.Date("2019-12-28") + 17 * i
d$time <- as.POSIXct("2020-02-28 22:30:15", tz = "UTC") + 40000 * i
d$m <- ifelse(i %% 5 == 0, NA, d$x)

numbers <- c(
  "sin(x)", "cos(2 * pi * x / 12)", "tan(u)", "asin(u)", "acos(u)", "atan(x)", "atan2(x, z)", "sinh(u)", "cosh(u)",
  "tanh(u)", "asinh(x)", "acosh(z)", "atanh(u)", "trunc(x)", "gamma(u)", "lgamma(z)", "digamma(z)", "factorial(z)",
  "beta(u, z)", "lbeta(u, z)", "choose(7, z)", "choose(x, 3)", "pnorm(x)", "pnorm(x, mean = 1, sd = 2)",
  "pnorm(x, lower.tail = FALSE)", "dnorm(x)", "dnorm(x, 1, 2)", "qnorm(u)", "qnorm(u, 1, 2)",
  "qnorm(u, lower.tail = FALSE)", "plogis(x)", "plogis(x, 1, 2)", "qlogis(u)", "qlogis(u, 1, 2)",
  "xor(x > 1, z > 3)", "is.finite(log(z - 1))", "is.infinite(log(z - 1))", "is.nan(sqrt(z - 3))",
  "x / max(x)", "x - min(x)", "max(x, z)", "min(x, z, na.rm = TRUE)", "sum(x > 2)", "prod(u)", "mean(x)", "median(x)",
  "sd(x)", "var(x)", "IQR(x)", "mad(x)", "mean(m, na.rm = TRUE)", "sd(m, na.rm = TRUE)", "max(m, na.rm = TRUE)",
  "sum(m, na.rm = TRUE)", "median(m, na.rm = TRUE)", "range(x)", "length(x)", "quantile(x)",
  "quantile(x, c(0.3, 0.7))", "quantile(m, 0.9, na.rm = TRUE)", paste0("quantile(x, c(0.13, 0.5), type = ", 1:9, ")"),
  "rank(x)", "rank(z)", "rank(z, ties.method = \"min\")", "rank(z, ties.method = \"max\")",
  "rank(z, ties.method = \"first\")", "rev(x)", "cumsum(x)", "cumprod(u)", "cummax(x)", "cummin(x)", "seq_along(x)",
  "nchar(s)", "startsWith(s, \"G\")", "endsWith(s, \"d \")", "grepl(\"b\", s, fixed = TRUE)",
  "unclass(factor(f))", "nlevels(factor(f))", "x %in% c(max(x), min(x))", "as.integer(x)",
  "as.numeric(date)", "as.numeric(time)", "date - min(date)", "date > \"2020-04-01\"", "date == \"2020-01-31\"",
  "time > \"2020-03-02\"", "time <= \"2020-03-02 07:00:00\"", "as.numeric(as.Date(time))",
  "as.numeric(format(date, \"%Y\"))", "as.numeric(format(date, \"%j\"))", "as.numeric(difftime(date, min(date), units = \"days\"))",
  "as.numeric(difftime(time, min(time), units = \"hours\"))", "date %in% as.Date(c(\"2020-01-14\", \"2020-01-31\"))",
  "as.numeric(as.Date(\"31.12.2020\", format = \"%d.%m.%Y\"))", "as.numeric(pmin(date, as.Date(\"2020-03-01\")))",
  "as.numeric(median(date))", "as.numeric(quantile(date, 0.5, type = 1))", "as.numeric(date + 30)"
)
texts <- c("tolower(s)", "toupper(s)", "substr(s, 2, 3)", "substring(s, 2)", "substring(s, 2, 2)", "trimws(s)",
  "trimws(s, \"left\")", "trimws(s, which = \"right\")", "paste(f, z)", "paste0(f, s)", "paste(f, z, s, sep = \"-\")",
  "paste(\"k\", f)", "sub(\"b\", \"X\", s, fixed = TRUE)", "gsub(\"b\", \"yy\", s, fixed = TRUE)", "weekdays(date)",
  "months(date)", "quarters(date)", "format(date, \"%d %b %y\")", "format(time, \"%H:%M\")", "as.character(date)",
  "as.character(time)", "weekdays(time)")

value <- function(t) eval(parse(text = t), d)
formulas <- c("~ date", "~ time", "~ factor(date)", "~ I(date - min(date))", "~ I(date > \"2020-04-01\")",
  "~ weekdays(date)", "~ poly(date, 2)", "~ scale(x) + cbind(z)", "~ toupper(f) * sin(x)")
matrix_of <- function(t) {
  X <- model.matrix(as.formula(t), d)
  list(columns = colnames(X), values = unname(X))
}
result <- list(
  data = list(x = d$x, z = d$z, u = d$u, f = d$f, s = d$s, m = d$m, date = format(d$date),
              time = format(d$time, "%Y-%m-%d %H:%M:%S")),
  numbers = sapply(numbers, function(t) as.numeric(value(t)), simplify = FALSE),
  texts = sapply(texts, function(t) as.character(value(t)), simplify = FALSE),
  levels = list(date = levels(factor(d$date)), time = levels(factor(d$time)),
                midnight = levels(factor(as.POSIXct(d$date)))),
  matrices = sapply(formulas, matrix_of, simplify = FALSE)
)
write_json(result, out, digits = NA, na = "null", null = "null", auto_unbox = FALSE)
