# A difference in differences in two periods beyond the stored cases: sampling weights, units that are missed once,
# groups and periods that are text, controls that are factors, clusters above the unit, and all of sandwich's types.
suppressMessages({library(sandwich); library(lmtest); library(clubSandwich)})
args <- commandArgs(TRUE)
d <- read.csv("../../../causalformula/datasets/did_panel.csv")
d$w <- 0.5 + (d$id %% 7) / 4
d$g <- d$id %% 40
d$ward <- c("north", "south", "west")[1 + (d$id + d$Post) %% 3]
d$group <- ifelse(d$Drug == 1, "treated", "control")
d$year <- ifelse(d$Post == 1, 2014, 2010)
part <- d[!(d$id %% 11 == 0 & d$Post == 1) & d$id <= 300, ]
cases <- list(
  weighted = list(m = lm(Severity ~ Drug * Post + Quality_of_Care, data = d, weights = w), d = d, b = "Drug:Post"),
  unbalanced = list(m = lm(Severity ~ group * factor(year) + Quality_of_Care + ward, data = part), d = part, b = "grouptreated:factor(year)2014"),
  crossed = list(m = lm(Severity ~ Drug * Post + I.H * Post, data = part), d = part, b = "Drug:Post")
)
types <- c("HC0", "HC1", "HC2", "HC3", "HC4")
values <- lapply(cases, function(x) {
  data <- x$d; ct <- coeftest(x$m, vcov. = vcovCL(x$m, cluster = ~id))[x$b, ]
  cr2 <- coef_test(x$m, vcov = "CR2", cluster = data$id, coefs = x$b)
  se <- c(classical = sqrt(vcov(x$m)[x$b, x$b]), sapply(types, function(t) sqrt(vcovHC(x$m, type = t)[x$b, x$b])),
    "~id" = unname(ct["Std. Error"]), "~g" = sqrt(vcovCL(x$m, cluster = ~g)[x$b, x$b]),
    "CR0 ~ id" = sqrt(vcovCL(x$m, cluster = ~id, type = "HC0", cadjust = FALSE)[x$b, x$b]))
  if (is.null(weights(x$m))) se["CR2 ~ id"] <- cr2$SE
  list(estimate = unname(coef(x$m)[x$b]), se = as.list(se), t = unname(ct["t value"]), df = x$m$df.residual, cr2_df = if (is.null(weights(x$m))) cr2$df else NA)
})
out <- list(case = "r_did", r_call = "lm(Severity ~ Drug * Post + ...) with vcovHC, vcovCL, coef_test(vcov = 'CR2'); see did.R",
  packages = list(R = as.character(getRversion()), sandwich = as.character(packageVersion("sandwich")), clubSandwich = as.character(packageVersion("clubSandwich"))),
  data = "did_panel.csv", warnings = list(), values = values)
writeLines(jsonlite::toJSON(out, digits = NA, auto_unbox = TRUE, na = "null", null = "null"), file.path(args[1], "r_did.json"))
