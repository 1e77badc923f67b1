"""Tables of the site that the package writes itself, as Markdown: of the roles, and from the methods' records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from causalformula.backends.catalogue import CATALOGUE, planned
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.glossary import COVARIANCES
from causalformula.backends.options import Options
from causalformula.backends.registry import Record, methods
from causalformula.formula.language.grammar import ROLES

# A call for each role that can be run as it stands, on the data that docs/roles.md makes.
EXAMPLES = {
    "treat": 'cf.fit("Severity ~ treat(Drug)", heart)',
    "adjust": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)',
    "outcome": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + outcome(I(I.H^2))", heart, method="ipw")',
    "propensity": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + propensity(I(I.H^2))", heart, method="ipw")',
    "modify": 'cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart).by("I.H")',
    "iv": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + iv(Lot)", heart, method="dml")',
    "did": 'cf.fit("Severity ~ did(Drug, Post, unit = id) + Quality_of_Care", panel)',
    "fe": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + fe(Ward)", heart)',
    "cluster": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + cluster(Ward)", heart)',
    "weights": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + weights(Share)", heart)',
    "censoring": 'cf.fit("Severity ~ treat(Drug) + adjust(I.H) + censoring(Ward)", heart)',
    "offset": 'cf.fit("Falls ~ treat(Drug) + adjust(I.H) + offset(log(Days))", heart, family="poisson")',
    "strata": 'cf.fit("Severity ~ treat(Drug) + strata(Ward)", heart)',
}
# Options that every method has, and that are explained once.
COMMON = frozenset(field.name for field in fields(Options))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """A piece of code."""
    return f"`{text}`"


def listed(items: Iterable[str]) -> str:
    """Pieces of code, one after the other."""
    return ", ".join(map(code, items))


def readers(role: str) -> list[Record]:
    """The methods that read a role."""
    return [record for record in methods() if role in record.roles]


def roles_table() -> str:
    """One row a role: how it is written, what it says, a call that runs."""
    rows = [
        (
            code(record.example),
            record.meaning + ("" if readers(name) else " (no method reads it yet)"),
            code(EXAMPLES[name]),
        )
        for name, record in ROLES.items()
    ]
    return markdown(("role", "what it says", "as in"), rows)


def readers_table() -> str:
    """One row a method, one column a role that some method reads."""
    roles = [name for name in ROLES if readers(name)]
    rows = [(code(r.name), *("✓" if role in r.roles else "" for role in roles)) for r in methods()]
    return markdown(("method", *map(code, roles)), rows)


def methods_table() -> str:
    """One row a method: what it does, for which treatments and estimands, with which covariance, and R's call."""
    rows = [
        (
            listed([r.name, *r.aliases]),
            r.summary,
            ", ".join(sorted(map(str, r.treatments))),
            ", ".join([f"**{r.default_estimand}**", *r.estimands[1:]]),
            r.vcov_words or r.default_vcov,
        )
        for r in methods()
    ]
    return markdown(("method", "what it does", "treatment", "estimand", "covariance"), rows)


def estimands_table() -> str:
    """One row an estimand that some method has, and who its population is."""
    known = {name for record in methods() for name in record.estimands}
    rows = [(code(row.name), row.title, row.whose) for row in ESTIMANDS.values() if row.name in known]
    return markdown(("estimand", "prints as", "of whom"), rows)


def glosses() -> str:
    """The words for covariances that need one, in a sentence each."""
    return " ".join(f"{code(name)} is {gloss}." for name, gloss in COVARIANCES.items())


def options_table() -> str:
    """One row a method: its options object, its own options, and R's call with the same numbers."""
    rows = [
        (
            code(r.name),
            f"{{py:class}}`~{r.options.__module__}.{r.options.__name__}`",
            listed(field.name for field in fields(r.options) if field.name not in COMMON) or "none of its own",
            code(r.r),
        )
        for r in methods()
    ]
    return markdown(("method", "options object", "its own options", "in R"), rows)


def planned_list() -> str:
    """The methods to come, in a sentence."""
    return listed(name for name in CATALOGUE if planned(name))


TABLES = {
    "roles": roles_table,
    "readers": readers_table,
    "methods": methods_table,
    "estimands": estimands_table,
    "covariances": glosses,
    "options": options_table,
    "planned": planned_list,
}
