"""The commands of ``causalformula``, each with its flags and what it runs."""

from __future__ import annotations

import argparse
import math
from dataclasses import fields

from causalformula import datasets
from causalformula.backends.did.aggregate import KINDS
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.glossary import COVARIANCES
from causalformula.backends.registry import methods
from causalformula.datasets.tables import read
from causalformula.errors import OptionError
from causalformula.inference.request_text import NAMES
from causalformula.results.comparison.verb import compare
from causalformula.results.families.did import DidResult
from causalformula.results.joint.multiplicity import ALL_METHODS
from causalformula.results.refutation.asked import DUMMIES
from causalformula.results.refutation.refuters import REFUTERS
from causalformula.results.screening.verb import screen
from causalformula.shell.asked import (
    FLAGS,
    RESAMPLING,
    arguments_of_fit,
    arguments_of_question,
    compared_methods,
    literal,
    screened_columns,
    truth,
)
from causalformula.shell.written import (
    COMPARISONS,
    FORMATS,
    REFUTATIONS,
    SCREENS,
    WRITERS,
    as_table,
    listed,
    write,
)
from causalformula.verbs import fit

# Flags of a refutation that are arguments of fit.refute.
OF_REFUTE = (
    "tests", "n_jobs", "negative_outcome", "negative_exposure", "share", "dummy", "time", "placebo_time", "strengths",
)  # fmt: skip
# Lists of columns of a screen.
OF_SCREEN = ("treatments", "outcomes", "negative_controls")


def _fit_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Estimate the effect that FORMULA asks for and print its table."
    command.set_defaults(run=_fit)
    add = command.add_argument
    _data_flags(command)
    add("--method", help="how to answer: see 'causalformula methods'")
    _question_flags(command)
    told = "an option of the method, as in ratio=2 or bounds=0.1,0.9; may be repeated"
    add("--option", metavar="K=V", action="append", default=[], help=told)
    add("--aggregate", choices=KINDS, help="a summary of group-time effects in their place")
    _output_flags(command)


def _fit(arguments: argparse.Namespace) -> None:
    """Estimate, and write the result in the format asked for."""
    asked = arguments_of_fit(arguments)
    data = read(arguments.data)
    result = fit(arguments.formula, data, **asked)
    if arguments.aggregate is not None:
        if not isinstance(result, DidResult):
            raise OptionError("--aggregate is of group-time effects, did(first_treated, time, unit = id)")
        result = result.aggregate(arguments.aggregate)
    write(WRITERS[arguments.format](result, arguments.level), arguments.out)


def _compare_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Put the question of FORMULA to several methods and print one table."
    command.set_defaults(run=_compare)
    add = command.add_argument
    _data_flags(command)
    add("--methods", required=True, metavar="A,B,C", help="the methods: see 'causalformula methods'")
    add("--truth", metavar="X", help="the true effect, where it is known; several as '0, 0.5'; or a column, of units")
    _question_flags(command)
    add(
        "--option",
        metavar="M.K=V",
        action="append",
        default=[],
        help="an option of one method, as in nearest.ratio=2; may be repeated",
    )
    add("--n-jobs", type=int, metavar="N", help="processes; -1 for all")
    _output_flags(command)


def _compare(arguments: argparse.Namespace) -> None:
    """Put the question to several methods, and write the comparison in the format asked for."""
    asked = arguments_of_question(arguments)
    several = compared_methods(arguments.methods, arguments.option)
    if arguments.truth is not None:
        asked["truth"] = truth(arguments.truth)
    found = compare(arguments.formula, read(arguments.data), several, n_jobs=arguments.n_jobs, **asked)
    write(COMPARISONS[arguments.format](found, arguments.level), arguments.out)


def _refute_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Estimate the effect that FORMULA asks for, and do it again where the answer is known."
    command.set_defaults(run=_refute)
    add = command.add_argument
    _data_flags(command)
    add("--method", help="how to answer: see 'causalformula methods'")
    add("--tests", metavar="A,B,C", help=f"the tests: {', '.join(REFUTERS)}")
    add("--reps", type=int, metavar="N", dest="refits_reps", help="refits of each test (default 100)")
    add("--seed", type=int, metavar="N", dest="refits_seed", help="their seed: the same seed gives the same numbers")
    add("--negative-outcome", metavar="W", help="the column of negative_control_outcome")
    add("--negative-exposure", metavar="Z", help="the column of negative_control_exposure")
    add("--share", type=float, help="the share of rows that subset keeps (default .8)")
    add("--dummy", choices=DUMMIES, help="the dummy outcome (default permuted)")
    add("--time", metavar="T", help="the column of periods of placebo_in_time")
    add("--placebo-time", metavar="X", help="the first period of its change")
    add("--strengths", metavar="R,S", help="partial R2 of unobserved_confounder, as in 0,0.1,0.3")
    add("--n-jobs", type=int, metavar="N", help="processes; -1 for all")
    _effect_flags(command)
    add("--option", metavar="K=V", action="append", default=[], help="an option of the method; may be repeated")
    _written_flags(command)


def _refute(arguments: argparse.Namespace) -> None:
    """Estimate, refute, and write the table of tests in the format asked for."""
    asked = arguments_of_fit(arguments)
    given = {name: getattr(arguments, name) for name in OF_REFUTE if getattr(arguments, name) is not None}
    if "tests" in given:
        given["tests"] = [name.strip() for name in given["tests"].split(",") if name.strip()]
    if "placebo_time" in given:
        given["placebo_time"] = literal(given["placebo_time"])
    if "strengths" in given:
        given["strengths"] = [literal(part.strip()) for part in given["strengths"].split(",")]
    given |= _of_refits(arguments)
    found = fit(arguments.formula, read(arguments.data), **asked).refute(**given)
    write(REFUTATIONS[arguments.format](found), arguments.out)


def _screen_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Ask FORMULA of many treatments, outcomes, or pairs of them, which take their places in it."
    command.set_defaults(run=_screen)
    add = command.add_argument
    _data_flags(command)
    add("--treatments", metavar="A,B,C", help="columns that take the place of the treatment; drug* is all that match")
    add("--outcomes", metavar="Y,Z", help="columns that take the place of the outcome")
    add("--negative-controls", metavar="A,B,C", help="of these, or besides, those without an effect: they calibrate")
    add("--adjust", default="bh", metavar="WAY", help=f"how p-values are adjusted: {', '.join(ALL_METHODS)}")
    add("--path", metavar="FILE", help="a Parquet file of results, by which an interrupted screen goes on")
    add("--method", help="how to answer: see 'causalformula methods'")
    _effect_flags(command)
    add("--option", metavar="K=V", action="append", default=[], help="an option of the method; may be repeated")
    add("--reps", type=int, metavar="N", dest="refits_reps", help="replicates of --adjust romano_wolf")
    add("--seed", type=int, metavar="N", dest="refits_seed", help="their seed: the same seed gives the same numbers")
    add("--n-jobs", type=int, metavar="N", help="processes; -1 for all")
    _output_flags(command)


def _screen(arguments: argparse.Namespace) -> None:
    """Ask of many treatments or outcomes, and write the table in the format asked for."""
    asked, data = arguments_of_fit(arguments), read(arguments.data)
    for name in OF_SCREEN:
        if (text := getattr(arguments, name)) is not None:
            asked[name] = screened_columns(text, [str(column) for column in data.columns])
    asked |= _of_refits(arguments)
    own = {name: getattr(arguments, name) for name in ("adjust", "level", "path", "n_jobs")}
    for name in own:
        if name in asked:
            raise OptionError(f"--option {name}: {name} is given by --{name.replace('_', '-')}")
    write(SCREENS[arguments.format](screen(arguments.formula, data, **own, **asked)), arguments.out)


def _methods(arguments: argparse.Namespace) -> None:
    """Print the table of methods, then their options, from the records that routing reads, and what the words mean."""
    rows = [
        {
            "method": listed([record.name, *record.aliases]),
            "treatment": listed(sorted(map(str, record.treatments))),
            "estimand": listed(record.estimands, default=record.default_estimand),
            "covariance": record.vcov_words or record.default_vcov,
            "what it does": record.summary,
        }
        for record in methods()
    ]
    details = [
        {
            "method": record.name,
            "options": listed(field.name for field in fields(record.options) if field.name not in FLAGS),
            "in R": record.r,
        }
        for record in methods()
    ]
    known = {name for record in methods() for name in record.estimands}
    words = [{"estimand": row.name, "of whom": row.whose} for row in ESTIMANDS.values() if row.name in known]
    glosses = [{"covariance": name, "is": gloss} for name, gloss in COVARIANCES.items()]
    write("\n\n".join(map(as_table, (rows, details, words, glosses))), None)


def _datasets(arguments: argparse.Namespace) -> None:
    """Print one row a bundled data set; the columns, which may be many, come last."""
    table = datasets.describe()[["name", "rows", "description", "columns"]]
    write(as_table(table.astype(str).to_dict("records")), None)


# Commands that answer a question: what adds their flags, and what they do.
COMMANDS = {
    "fit": (_fit_flags, "estimate an effect"),
    "compare": (_compare_flags, "one question through several methods"),
    "refute": (_refute_flags, "test an effect by refits"),
    "screen": (_screen_flags, "many treatments or outcomes, one by one"),
}
# Commands without arguments: what they run, and what they list.
LISTINGS = {
    "methods": (_methods, "the methods, what they estimate and their options"),
    "datasets": (_datasets, "the bundled data sets"),
}


# ---- what several commands share ------------------------------------------------------------------------------------


def _of_refits(arguments: argparse.Namespace) -> dict[str, int]:
    """The replicates and the seed of refits, where they are given."""
    given = {name: getattr(arguments, f"refits_{name}") for name in RESAMPLING}
    return {name: value for name, value in given.items() if value is not None}


def _data_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("formula", metavar="FORMULA", help='for example "Severity ~ treat(Drug) + adjust(I.H)"')
    add("--data", required=True, help="a bundled name (heart), a CSV, TSV, Parquet or Feather file, or - (CSV, stdin)")
    add("--outcome", metavar="Y", help="the outcome, where the formula has no left side")


def _question_flags(command: argparse.ArgumentParser) -> None:
    _effect_flags(command)
    add = command.add_argument
    add("--reps", type=int, metavar="N", help="replicates of --vcov bootstrap or wild")
    add("--seed", type=int, metavar="N", help="their seed: the same seed gives the same numbers")


def _effect_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--estimand", help="ATE, ATT, ATC, ...: for whom")
    add("--contrast", help="reference, pairwise, sequential, 'B, A', or for a dose a number, sd, iqr, minmax, slope")
    add("--vcov", metavar="V", help=f"the covariance: {', '.join(NAMES)}")
    add("--family", help="the outcome model's family: gaussian, binomial, poisson, ...")
    add("--measure", help="difference, ratio, odds_ratio, log_ratio, log_odds_ratio, nnt")


def _output_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--level", type=_level, default=0.95, help="the confidence level (default .95)")
    _written_flags(command)


def _written_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--format", choices=FORMATS, default="text", help="the form of the output (default text)")
    add("--out", metavar="FILE", help="write there instead of to the standard output")


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not 0 < level < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a confidence level: a number between 0 and 1, as in .95")
    return level
