"""The same from a shell: ``causalformula fit``, ``compare``, ``screen``, ``refute``, ``methods`` and ``datasets``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from causalformula import __version__
from causalformula.errors import CausalFormulaError
from causalformula.shell.commands import COMMANDS, LISTINGS

PROGRAM = "causalformula"
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
    for name, (add_flags, about) in COMMANDS.items():
        add_flags(commands.add_parser(name, help=about, allow_abbrev=False))
    for name, (run, about) in LISTINGS.items():
        command = commands.add_parser(name, help=about, description=f"List {about}.", allow_abbrev=False)
        command.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
