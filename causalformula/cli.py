"""The same from a shell: ``causalformula fit``, ``compare``, ``screen``, ``refute``, ``methods`` and ``datasets``."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from causalformula import __version__, datasets
from causalformula.backends.did.aggregate import KINDS
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.glossary import COVARIANCES
from causalformula.backends.options import Options
from causalformula.backends.registry import find, methods, read_options
from causalformula.datasets.tables import read
from causalformula.errors import CausalFormulaError, OptionError, choose
from causalformula.inference.request_text import NAMES, read_request
from causalformula.inference.requests import Bootstrap, Jackknife, Request, Wild
from causalformula.results.comparison.comparison import Comparison
from causalformula.results.comparison.verb import compare
from causalformula.results.effects.facts import facts
from causalformula.results.families.did import DidResult
from causalformula.results.joint.multiplicity import ALL_METHODS
from causalformula.results.refutation.asked import DUMMIES
from causalformula.results.refutation.refutation import Refutation
from causalformula.results.refutation.refuters import REFUTERS
from causalformula.results.result import Result
from causalformula.results.screening.screen import Screen
from causalformula.results.screening.verb import screen
from causalformula.results.several import Fits
from causalformula.verbs import fit

PROGRAM = "causalformula"
FORMATS = ("text", "json", "csv", "html")
# Arguments of cf.fit that have a flag of their own, and those that a shell cannot give.
FLAGS = ("outcome", "method", "estimand", "contrast", "vcov", "family", "measure")
WITHHELD = {"formula": "the first argument", "data": "--data", "level": "--level", "env": "Python (it takes functions)"}
# Flags of a refutation that are arguments of fit.refute.
OF_REFUTE = (
    "tests", "n_jobs", "negative_outcome", "negative_exposure", "share", "dummy", "time", "placebo_time", "strengths",
)  # fmt: skip
# Lists of columns of a screen.
OF_SCREEN = ("treatments", "outcomes", "negative_controls")
# Flags that complete a resampling covariance.
RESAMPLING = ("reps", "seed")
DEBUG = "CAUSALFORMULA_TRACEBACK"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process when left out.

    Returns
    -------
    int
        0, or 2 after an error, which is one message on the standard error and never a traceback
        (unless the environment variable ``CAUSALFORMULA_TRACEBACK`` is set).
    """
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            arguments.run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output (head, less) has closed it; keep the interpreter from flushing again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _say(_message(error))
        return 2
    return 0


# ---- the commands -------------------------------------------------------------------------------------------------


def _fit(arguments: argparse.Namespace) -> None:
    """Estimate, and write the result in the format asked for."""
    asked = _arguments_of_fit(arguments)
    data = read(arguments.data)
    result = fit(arguments.formula, data, **asked)
    if arguments.aggregate is not None:
        if not isinstance(result, DidResult):
            raise OptionError("--aggregate is of group-time effects, did(first_treated, time, unit = id)")
        result = result.aggregate(arguments.aggregate)
    _write(WRITERS[arguments.format](result, arguments.level), arguments.out)


def _compare(arguments: argparse.Namespace) -> None:
    """Put the question to several methods, and write the comparison in the format asked for."""
    asked = _asked(arguments)
    listed = compared_methods(arguments.methods, arguments.option)
    if arguments.truth is not None:
        asked["truth"] = truth(arguments.truth)
    found = compare(arguments.formula, read(arguments.data), listed, n_jobs=arguments.n_jobs, **asked)
    write = _comparison_as_json if arguments.format == "json" else WRITERS[arguments.format]
    _write(write(found, arguments.level), arguments.out)


def _refute(arguments: argparse.Namespace) -> None:
    """Estimate, refute, and write the table of tests in the format asked for."""
    asked = _arguments_of_fit(arguments)
    given = {name: getattr(arguments, name) for name in OF_REFUTE if getattr(arguments, name) is not None}
    if "tests" in given:
        given["tests"] = [name.strip() for name in given["tests"].split(",") if name.strip()]
    if "placebo_time" in given:
        given["placebo_time"] = literal(given["placebo_time"])
    if "strengths" in given:
        given["strengths"] = [literal(part.strip()) for part in given["strengths"].split(",")]
    given |= {name: value for name in ("reps", "seed") if (value := getattr(arguments, f"refits_{name}")) is not None}
    found = fit(arguments.formula, read(arguments.data), **asked).refute(**given)
    _write(REFUTATIONS[arguments.format](found), arguments.out)


def _screen(arguments: argparse.Namespace) -> None:
    """Ask of many treatments or outcomes, and write the table in the format asked for."""
    asked, data = _arguments_of_fit(arguments), read(arguments.data)
    for name in OF_SCREEN:
        if (text := getattr(arguments, name)) is not None:
            asked[name] = screened_columns(text, [str(column) for column in data.columns])
    asked |= {name: value for name in ("reps", "seed") if (value := getattr(arguments, f"refits_{name}")) is not None}
    own = {name: getattr(arguments, name) for name in ("adjust", "level", "path", "n_jobs")}
    for name in own:
        if name in asked:
            raise OptionError(f"--option {name}: {name} is given by --{name.replace('_', '-')}")
    _write(SCREENS[arguments.format](screen(arguments.formula, data, **own, **asked)), arguments.out)


def _methods(arguments: argparse.Namespace) -> None:
    """Print the table of methods, then their options, from the records that routing reads, and what the words mean."""
    rows = [
        {
            "method": _words([record.name, *record.aliases]),
            "treatment": _words(sorted(map(str, record.treatments))),
            "estimand": _words(record.estimands, default=record.default_estimand),
            "covariance": record.vcov_words or record.default_vcov,
            "what it does": record.summary,
        }
        for record in methods()
    ]
    details = [
        {
            "method": record.name,
            "options": _words(field.name for field in fields(record.options) if field.name not in FLAGS),
            "in R": record.r,
        }
        for record in methods()
    ]
    known = {name for record in methods() for name in record.estimands}
    words = [{"estimand": row.name, "of whom": row.whose} for row in ESTIMANDS.values() if row.name in known]
    glosses = [{"covariance": name, "is": gloss} for name, gloss in COVARIANCES.items()]
    _write("\n\n".join(map(_table, (rows, details, words, glosses))), None)


def _datasets(arguments: argparse.Namespace) -> None:
    """Print one row a bundled data set; the columns, which may be many, come last."""
    table = datasets.describe()[["name", "rows", "description", "columns"]]
    _write(_table(table.astype(str).to_dict("records")), None)


# ---- what goes in ---------------------------------------------------------------------------------------------------


def _arguments_of_fit(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, as keyword arguments of ``cf.fit``, with the method's own options."""
    asked = _asked(arguments)
    for text in arguments.option:
        name, value = _own_option(text, text)
        if name in asked:
            raise OptionError(f"--option {name} is given twice")
        asked[name] = value
    return asked


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags of the question say; one that is not given leaves the default to the verb."""
    given = {name: getattr(arguments, name, None) for name in FLAGS}
    asked = {name: value for name, value in given.items() if value is not None}
    if "contrast" in asked:
        asked["contrast"] = contrast(asked["contrast"])
    given = {name: getattr(arguments, name, None) for name in RESAMPLING}
    resampling = {name: value for name, value in given.items() if value is not None}
    if resampling:
        asked["vcov"] = resampled(asked.get("vcov", ""), resampling)
    return asked


def _own_option(text: str, whole: str) -> tuple[str, Any]:
    """An option of a method, as ``option`` reads it; what has a flag of its own is refused."""
    name, value = option(text)
    if name in FLAGS or name in WITHHELD:
        raise OptionError(f"--option {whole}: {name} is given by {WITHHELD.get(name, '--' + name)}")
    return name, value


def compared_methods(text: str, options: Sequence[str]) -> list[str | Options]:
    """``"ipw, nearest"`` with ``["nearest.ratio=2"]`` as ``["ipw", cf.Nearest(ratio=2)]``.

    Raises
    ------
    OptionError
        For an option of no method that is compared, and one that the method does not take.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    given: dict[str, dict[str, Any]] = {}
    for whole in options:
        method, dot, rest = whole.partition(".")
        if not dot or method not in names:
            near = choose(method, names, "the methods are")
            raise OptionError(
                f"--option {whole}: write METHOD.name=value, as in --option {next(iter(names), 'ipw')}.name=2{near}"
            )
        name, value = _own_option(rest, whole)
        if name in given.setdefault(method, {}):
            raise OptionError(f"--option {method}.{name} is given twice")
        given[method][name] = value
    for name, own in given.items():
        read_options(name, own)  # an unknown one has its message
    return [find(name).options(**given[name]) if name in given else name for name in names]


def screened_columns(text: str, columns: Sequence[str]) -> list[str]:
    """Names, ``"a,b"``, of which ``drug*`` stands for all columns that it matches."""
    found: dict[str, None] = {}
    for name in (part.strip() for part in text.split(",") if part.strip()):
        many = (
            [column for column in columns if fnmatchcase(column, name)] if "*" in name and name not in columns else []
        )
        found |= dict.fromkeys(many or [name])
    return list(found)


def truth(text: str) -> Any:
    """A number, or several for several effects: ``"0, 0.5"``; or the column of the true effects of units."""
    values = [literal(part.strip()) for part in text.split(",")]
    return values[0] if len(values) == 1 else values


def resampled(vcov: str, given: Mapping[str, int]) -> Request:
    """The covariance request with the replicates and the seed of ``--reps`` and ``--seed``.

    Raises
    ------
    OptionError
        If that covariance draws nothing.
    """
    flags = " and ".join(f"--{name}" for name in given)
    request = read_request(vcov) if vcov else None
    if isinstance(request, Bootstrap | Wild):
        return replace(request, **given)  # type: ignore[arg-type]
    has = "no --vcov is given" if request is None else f"--vcov {vcov} draws nothing at random"
    if isinstance(request, Jackknife):
        has = "the jackknife leaves out each unit once"
    raise OptionError(f"{flags}: {has}; they go with --vcov bootstrap or --vcov wild")


def option(text: str) -> tuple[str, Any]:
    """``"ratio=2"`` as ``("ratio", 2)``.

    Raises
    ------
    OptionError
        If there is no ``=``, or what stands before it is not a name.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace(".", "_")
    if not equals or not name.isidentifier():
        raise OptionError(f"--option {text}: write name=value, as in --option ratio=2")
    return name, literal(value.strip())


SPOKEN = {"TRUE": True, "True": True, "FALSE": False, "False": False, "NULL": None, "None": None}


def literal(text: str) -> Any:
    """A value as JSON writes it (``2``, ``true``, ``"a"``, ``[1, 2]``, ``null``) or as R and Python do, else the text.

    Lists become tuples: ``[0.1, 0.9]``, ``(0.1, 0.9)``, and of numbers ``0.1,0.9`` too.
    """
    if text in SPOKEN:
        return SPOKEN[text]
    try:
        value = json.loads(text)
    except ValueError:
        return _unquoted(text)
    return tuple(value) if isinstance(value, list) else value


def _unquoted(text: str) -> Any:
    """What JSON does not know: ``.95`` and ``Inf``, lists without its brackets or quotes, text."""
    try:
        return float(text)
    except ValueError:
        enclosed = text[:1] + text[-1:] in ("()", "[]")
    if "," not in text:
        return text
    values = tuple(literal(part.strip()) for part in (text[1:-1] if enclosed else text).rstrip(", ").split(","))
    return values if enclosed or all(isinstance(value, int | float) for value in values) else text


def contrast(text: str) -> Any:
    """A contrast: a word (``pairwise``), a number for a dose, or two levels as ``"B, A"`` or ``["B", "A"]``."""
    value = literal(text)
    if not isinstance(value, str) or "," not in value:
        return value
    return tuple(literal(part.strip()) for part in value.strip("()").split(","))


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not 0 < level < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a confidence level: a number between 0 and 1, as in .95")
    return level


# ---- what comes out -------------------------------------------------------------------------------------------------


def _as_text(result: Result, level: float) -> str:
    return str(result.summary(level=level))


def _as_html(result: Result, level: float) -> str:
    return result.summary(level=level).as_html()


def _as_csv(result: Result, level: float) -> str:
    return result.tidy(level=level).to_csv(index=False)


def _as_json(result: Result | Fits[Result], level: float) -> str:
    """What was asked, ``"tidy": [one object an effect]`` and ``"glance": {...}``; NaN is null, infinity a text.

    Of several fits ``"fits": [one such object each]``.
    """
    several = isinstance(result, Fits)
    document = {"fits": [_document(one, level) for one in result]} if several else _document(result, level)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _document(result: Result, level: float) -> dict[str, Any]:
    tidy = [_plain(row) for row in result.tidy(level=level).to_dict("records")]
    glance = _plain(result.glance().to_dict("records")[0])
    return {**facts(result), "level": level, "tidy": tidy, "glance": glance}


WRITERS: dict[str, Callable[[Any, float], str]] = {
    "text": _as_text,
    "json": _as_json,
    "csv": _as_csv,
    "html": _as_html,
}


REFUTATIONS: dict[str, Callable[[Refutation], str]] = {
    "text": str,
    "json": Refutation.to_json,
    "csv": lambda found: found.to_frame().to_csv(index=False),
    "html": lambda found: found.summary().as_html(),
}


def _screen_as_json(found: Screen) -> str:
    """The table as a list of objects, the systematic error by negative controls, and the notes."""
    nulls = {name: {"mean": null.mean, "sd": null.sd, "n": null.n} for name, null in found.nulls.items()}
    document = {
        "formula": found.formula, "adjust": found.adjust, "level": found.level, "seed": found.seed,
        "tidy": [_plain(row) for row in found.tidy().to_dict("records")], "nulls": nulls, "notes": list(found.notes),
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


SCREENS: dict[str, Callable[[Screen], str]] = {
    "text": str,
    "json": _screen_as_json,
    "csv": lambda found: found.tidy().to_csv(index=False),
    "html": Screen.as_html,
}


def _comparison_as_json(found: Comparison, level: float) -> str:
    """What was asked; ``tidy, agreement, balance``, lists of objects; ``test``, the joint test of agreement."""
    own = {name: value for name, value in facts(found.first).items() if name not in ("method", "vcov", "seed")}
    own |= {"formula": found.frame.spec.source, "nobs": int(found.frame.nobs), "notes": list(found.notes)}
    tables = {"tidy": found.tidy(level), "agreement": found.agreement()}
    if found.frame.spec.treatment is not None:
        tables["balance"] = found.balance()
    rows = {name: [_plain(row) for row in table.to_dict("records")] for name, table in tables.items()}
    test = found.test
    joint = None if test is None else {"method": test.method, "statistic": test.statistic, "p.value": test.p_value}
    document = {**own, "level": level, **rows, "test": None if joint is None else _plain(joint)}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """A cell as JSON has it: numpy scalars unwrapped, NaN and NA as null."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            return "Inf" if value > 0 else "-Inf"
        return None if math.isnan(value) else value
    return None if str(value) in ("<NA>", "NaT") else str(value)


def _write(text: str, out: str | None) -> None:
    text = text if text.endswith("\n") else text + "\n"
    if out is None:
        encoding = sys.stdout.encoding or "utf-8"  # a terminal that lacks curly quotes shows question marks
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        return
    try:
        Path(out).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OptionError(f"--out {out}: cannot be written: {error.strerror or error}") from error


def _table(rows: Sequence[Mapping[Any, str]]) -> str:
    """Rows under their column names, aligned on the left; the last column is as long as it likes."""
    header = list(rows[0])
    cells = [header, *([row[name] for name in header] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _words(items: Iterable[Any], default: Any = None) -> str:
    """Items as a comma-separated text in their order, the default in front and starred."""
    words = [str(item) for item in items if item != default]
    return ", ".join(words if default is None else [f"{default}*", *words])


# ---- messages -------------------------------------------------------------------------------------------------------


def _say(message: str) -> None:
    sys.stdout.flush()
    print(f"{PROGRAM}: {message}", file=sys.stderr)


def _message(error: Exception) -> str:
    if isinstance(error, CausalFormulaError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for these data"
    kind = type(error).__name__
    return f"an error that should not happen ({kind}: {_first_line(error)}); set {DEBUG}=1 to see where, and report it"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _warn(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as one message on the standard error, without file and line."""
    _say(f"warning: {message}")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one message, status 2."""

    def error(self, message: str) -> NoReturn:
        _say(f"{message}\n  '{self.prog} --help' lists the arguments")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Causal effects from one formula.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _fit_parser(commands.add_parser("fit", help="estimate an effect", allow_abbrev=False))
    _compare_parser(commands.add_parser("compare", help="one question through several methods", allow_abbrev=False))
    _refute_parser(commands.add_parser("refute", help="test an effect by refits", allow_abbrev=False))
    _screen_parser(commands.add_parser("screen", help="many treatments or outcomes, one by one", allow_abbrev=False))
    for name, run, about in (
        ("methods", _methods, "the methods, what they estimate and their options"),
        ("datasets", _datasets, "the bundled data sets"),
    ):
        command = commands.add_parser(name, help=about, description=f"List {about}.", allow_abbrev=False)
        command.set_defaults(run=run)
    return parser


def _fit_parser(command: argparse.ArgumentParser) -> None:
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


def _compare_parser(command: argparse.ArgumentParser) -> None:
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


def _refute_parser(command: argparse.ArgumentParser) -> None:
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


def _screen_parser(command: argparse.ArgumentParser) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
