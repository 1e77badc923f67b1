"""What a formula may say: the table of functions, the table of roles, and the checks that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from causalformula.errors import FormulaError, did_you_mean
from causalformula.formula.language.deparse import is_binary, is_prefix
from causalformula.formula.language.syntax import INDEX, Argument, Call, Name, Node, walk

CONTRASTS = frozenset(["contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.sdif"])

FUNCTIONS = CONTRASTS | frozenset(
    [
        *["I", "c", "cbind", "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sign"],
        *["round", "floor", "ceiling", "trunc", "pmin", "pmax", "ifelse", "is.na", "is.finite", "is.infinite"],
        *["is.nan", "xor", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh"],
        *["acosh", "atanh", "gamma", "lgamma", "digamma", "factorial", "beta", "lbeta", "choose"],
        *["pnorm", "dnorm", "qnorm", "plogis", "qlogis"],
        *["mean", "median", "sd", "var", "IQR", "mad", "max", "min", "range", "sum", "prod", "quantile", "length"],
        *["nlevels", "rank", "rev", "cumsum", "cumprod", "cummax", "cummin", "seq_along"],
        *["tolower", "toupper", "nchar", "paste", "paste0", "substr", "substring", "trimws"],
        *["startsWith", "endsWith", "grepl", "sub", "gsub"],
        *["as.Date", "as.POSIXct", "weekdays", "months", "quarters", "format", "difftime", "julian"],
        *["droplevels", "unclass"],
        *["factor", "as.factor", "as.numeric", "as.integer", "as.character", "ordered", "relevel", "interaction"],
        *["cut", "scale", "poly", "ns", "bs", "C"],
    ]
)

# Functions of R that have no place in a formula, and why; what they make belongs in the data.
_RESHAPING = "it changes the number or the meaning of the rows; make the column in the data first"
_RANDOM = "it would give other numbers each time; draw them into a column of the data first"
REFUSED = {
    **dict.fromkeys(["diff", "unique", "sort", "order", "which", "rep", "seq", "head", "tail", "table"], _RESHAPING),
    **dict.fromkeys(["tapply", "ave", "aggregate", "rowSums", "rowMeans", "apply", "sapply"], _RESHAPING),
    **dict.fromkeys(["rnorm", "runif", "rbinom", "rpois", "sample"], _RANDOM),
    "lag": "R's lag() shifts nothing in a formula; make the lagged column in the data first",
    **dict.fromkeys(["lead", "shift"], "make the shifted column in the data first"),
}

# fixest's functions that stand for one of several terms.
STEPS = ("sw", "csw", "sw0", "csw0")

# Other names of functions in the table.
ALIASES = {"as.double": "as.numeric", "as.ordered": "ordered", "logb": "log", "ln": "log", "where": "ifelse"}
# Where functions may be said to be from.
PACKAGES = frozenset(["np", "numpy", "math", "pd", "scipy", "base", "stats", "splines"])
# Other functions of R whose names are near to one in the table, which would not be what was meant.
OF_R = frozenset(
    [
        *["agrep", "agrepl", "ar", "as.difftime", "assign", "class", "dbeta", "dexp"],
        *["dfbeta", "dgamma", "dlnorm", "dlogis", "formatC", "grep", "interaction.plot", "interactive"],
        *["is.character", "is.factor", "is.integer", "is.name", "is.numeric", "is.ordered", "kmeans", "lchoose"],
        *["lengths", "levels", "lfactorial", "nls", "norm", "nsl", "nzchar", "p.adjust"],
        *["parse", "pbeta", "pexp", "pgamma", "plnorm", "polym", "promax", "psigamma"],
        *["qbeta", "qexp", "qgamma", "qlnorm", "qqnorm", "qr", "rbeta", "rbind"],
        *["rcond", "rexp", "rgamma", "rlogis", "signif", "sink", "subset", "svd"],
        *["trigamma", "Re", "SSD", "Sys.Date"],
    ]
)

NO_INDEXING = "formulas have no indexing but fixest's slopes, fe(a[x]); make the column in the data first"

# The one function of iv(...): the mean of the treatment among the other rows of a group.
LEAVE_ONE_OUT = "loo"

SPECIAL_OPERATORS = frozenset(["%%", "%/%", "%in%"])


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """One role of the language.

    Attributes
    ----------
    name : str
        How it is written.
    meaning : str
        One line for the documentation.
    example : str
        A correct use.
    reads : str
        ``"terms"`` for a right-hand side of R's term algebra, ``"expression"`` for something evaluated as it
        stands, ``"variable"`` for an expression of exactly one variable.
    arguments : int
        How many positional arguments it takes.
    options : tuple of (str, str)
        Names of the options, each with what it holds: ``"level"`` (a literal) or ``"variable"`` (a name).
    once : bool
        Whether a formula may hold at most one.
    adjusts : bool
        Whether its terms enter a model of the outcome or the treatment, where those two have no place.
    """

    name: str
    meaning: str
    example: str
    reads: str = "terms"
    arguments: int = 1
    options: tuple[tuple[str, str], ...] = ()
    once: bool = False
    adjusts: bool = False


_RECORDS = (
    RoleRecord(
        "treat", "the treatment", 'treat(A, ref = "placebo")', "variable", options=(("ref", "level"),), once=True
    ),
    RoleRecord("adjust", "confounders, as are bare terms", "adjust(x + z)", adjusts=True),
    RoleRecord("outcome", "terms for the outcome model only", "outcome(x)", adjusts=True),
    RoleRecord("propensity", "terms for the treatment model only", "propensity(x)", adjusts=True),
    RoleRecord("modify", "effect modifiers, also adjusted for", "modify(x)", adjusts=True),
    RoleRecord("iv", "instruments for the treatment; loo(g) is a leave-one-out mean", "iv(z)", adjusts=True),
    RoleRecord(
        "did", "difference in differences", "did(A, time, unit = id)", "variable", 2, (("unit", "variable"),), once=True
    ),
    RoleRecord("fe", "absorbed fixed effects", "fe(a + b)"),
    RoleRecord("cluster", "clusters of the covariance, the bootstrap and the folds", "cluster(g)"),
    RoleRecord("weights", "sampling weights", "weights(w)", "expression", once=True),
    RoleRecord("censoring", "terms for the model of being observed only", "censoring(x)", adjusts=True),
    RoleRecord("offset", "a term with coefficient one", "offset(log(x))", "expression"),
    RoleRecord("strata", "strata or blocks", "strata(s)"),
)
ROLES = {record.name: record for record in _RECORDS}

# The roles' names in other packages and in everyday speech.
SYNONYMS = {
    **dict.fromkeys(["treatment", "exposure", "intervention"], "treat"),
    **dict.fromkeys(["adjustment", "confounders", "controls", "control", "covariates"], "adjust"),
    **dict.fromkeys(["moderator", "interact", "by"], "modify"),
    **dict.fromkeys(["instrument", "instruments"], "iv"),
    **dict.fromkeys(["absorb", "fixed"], "fe"),
    **dict.fromkeys(["block", "blocks"], "strata"),
    "ps": "propensity",
}


def check_functions(node: Node, source: str, extra: Iterable[str] = (), *, slopes: bool = False) -> None:
    """Refuse every call outside the table of functions.

    Parameters
    ----------
    node : Node
        The expression.
    source : str
        The text that it was read from.
    extra : iterable of str
        Functions allowed besides: the names in the caller's ``env``.
    slopes : bool
        Whether ``a[x]`` may stand there.

    Raises
    ------
    FormulaError
        For the first call or operator that is not allowed.
    """
    allowed = FUNCTIONS | frozenset(extra)
    for piece in walk(node):
        if isinstance(piece, Call) and not (slopes and piece.function in INDEX):
            _check_call(piece, source, allowed)


def _check_call(call: Call, source: str, allowed: frozenset[str]) -> None:
    if call.function in INDEX:
        raise FormulaError(NO_INDEXING, source, call.span)
    if call.function.startswith("%"):
        if call.function not in SPECIAL_OPERATORS:
            raise FormulaError(f"unknown operator {call.function}; there are %in%, %% and %/%", source, call.span)
    elif call.function == "~":
        raise FormulaError("a second `~`; a formula has one, between the two sides", source, call.span)
    elif not is_operator(call) and call.function not in allowed:
        raise FormulaError(_unlisted(call.function, allowed), source, function_span(call))


def _unlisted(name: str, allowed: frozenset[str]) -> str:
    if name in SYNONYMS:
        return f"unknown function or role {name!r}; the role is {SYNONYMS[name]}(...)"
    if name in ROLES:
        return f"{ROLES[name].example} is a role: it stands on its own, joined to the rest by `+`"
    if name in STEPS:
        return f"{name}(...) stands for several formulas, which cf.fit, cf.lm and cf.glm take; write one of them here"
    if name == "Surv":
        return "Surv(time, event) belongs on the left of `~`"
    if name == LEAVE_ONE_OUT:
        return "loo(g) is an instrument, the mean of the treatment in the other rows of g: write iv(loo(g)) in cf.fit"
    if name in REFUSED:
        return f"{name}() has no place in a formula: {REFUSED[name]}"
    near = nearest_function(name, allowed) or "; pass functions of your own in env="
    return f"unknown function or role {name!r}{near}"


def nearest_function(name: str, allowed: frozenset[str]) -> str:
    """The function or role that was likely meant; another function of R with a like name is not."""
    # The contrasts are long and near to much that is meant otherwise (`treatment`).
    known = [*sorted(allowed if name.startswith("contr") else allowed - CONTRASTS), *ROLES]
    package, _, plain = name.rpartition(".")
    plain = plain if package in PACKAGES else name
    for candidate in (ALIASES.get(plain, ""), plain.lower()):
        if candidate in known:
            return f"; did you mean {candidate!r}?"
    if name in OF_R:
        return ""
    figures = [c for c in name if c.isdigit()]  # log1 is no log
    return did_you_mean(name, [k for k in known if [c for c in k if c.isdigit()] == figures], cutoff=0.8)


def function_span(call: Call) -> tuple[int, int]:
    """Where the function's name stands."""
    return call.span[0], call.span[0] + len(call.function)


def is_operator(node: Node) -> bool:
    """Whether the node is an operator, or a pair of parentheses or brackets."""
    return is_binary(node) or is_prefix(node) or (isinstance(node, Call) and node.function in ("(", *INDEX))


def summands(node: Node) -> list[tuple[int, Node]]:
    """Pieces of ``a + b - c`` with their signs, in order; a loop, since sums may be thousands of terms long."""
    found: list[tuple[int, Node]] = []
    while isinstance(node, Call) and node.function in "+-":
        sign = 1 if node.function == "+" else -1
        found.append((sign, node.args[-1].value))
        if len(node.args) == 1:
            return found[::-1]
        node = node.args[0].value
    found.append((1, node))
    return found[::-1]


def plus(left: Node, right: Node) -> Node:
    """Both joined by ``+``."""
    return Call("+", (Argument(left), Argument(right)), span=(left.span[0], right.span[1]))


def enclosed(node: Node) -> Node:
    """The expression in parentheses where it takes terms away, else as it is."""
    if all(sign > 0 for sign, _ in summands(node)):
        return node
    return Call("(", (Argument(node),), span=node.span)


def variable_nodes(node: Node) -> Iterator[Name]:
    """Names that stand for columns: not the dot, not a contrast given as an argument."""
    for piece in walk(node):
        if isinstance(piece, Name) and piece.id != "." and piece.id not in CONTRASTS:
            yield piece


def variables(node: Node) -> list[str]:
    """Columns that an expression uses, each once, in order of appearance."""
    return list(dict.fromkeys(name.id for name in variable_nodes(node)))


def has_dot(node: Node) -> bool:
    """Whether the expression holds the formula's dot."""
    return any(isinstance(piece, Name) and piece.id == "." for piece in walk(node))
