"""The arguments and the help texts of the command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

import seedbed
from seedbed.checkpoint.layout import DEFAULT_SHARD_SIZE
from seedbed.cli import commands

SOURCE = """\
a SOURCE of a plan is one of
  the name of a shipped plan:           such as gpt2; `seedbed plans` lists them
  a JSON plan:                          docs/plans.md describes the format
  a Hugging Face config.json:           the file, or a directory with one; needs seedbed[transformers]
  a safetensors file, index, directory: names, shapes and dtypes; --rule or --scheme gives the initializers
  a directory written by seedbed init:  its manifest, seedbed.json
"""

STATUS = """\
exit status
  0    success, even if the reader of the report stops early
  1    a system error: no such file, no space, no memory, a closed pipe
  2    the command, the plan or an option is wrong, or a file is not a safetensors file
  3    the checkpoint differs from the plan
  130  Ctrl-C; 143 SIGTERM; 129 SIGHUP: partial files are removed
"""


class _Parser(argparse.ArgumentParser):
    """A parser that raises a ValueError for wrong arguments, instead of an exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments of a command.

    Raises:
        ValueError: if the arguments are wrong.
        SystemExit: after --help and --version.
    """
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="seedbed",
        description="Initial weights of neural networks: the same bits everywhere.",
        epilog=f"{SOURCE}\n{STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"seedbed {seedbed.__version__}, algorithm {seedbed.ALGORITHM}"
    parser.add_argument("--version", action="version", version=version)
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_plans(verbs)
    _add_schemes(verbs)
    _add_plan(verbs)
    _add_show(verbs)
    _add_init(verbs)
    _add_verify(verbs)
    return parser


Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"


def _add(verbs: Verbs, name: str, help: str, run: object) -> argparse.ArgumentParser:  # noqa: A002
    verb = verbs.add_parser(
        name, help=help, description=help, epilog=SOURCE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verb.set_defaults(run=run)
    return verb


def _add_plans(verbs: Verbs) -> None:
    plans = _add(verbs, "plans", "list the shipped plans", commands.plans)
    plans.add_argument("--json", action="store_true", help="an object on the standard output")


def _add_schemes(verbs: Verbs) -> None:
    schemes = _add(verbs, "schemes", "list the schemes, or show the formulas of one", commands.schemes)
    schemes.add_argument(
        "scheme", metavar="SCHEME", nargs="?", help="a name, or a call with numbers, such as gpt2(layers=12)"
    )
    schemes.add_argument("--json", action="store_true", help="an object on the standard output")


def _add_plan(verbs: Verbs) -> None:
    plan = _add(verbs, "plan", "write any source as a JSON plan, which needs no framework", commands.plan)
    _add_source(plan)
    plan.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="the file to write, or to replace (default: -)"
    )


def _add_show(verbs: Verbs) -> None:
    show = _add(verbs, "show", "show the tensors of a plan, and the source of each initializer", commands.show)
    _add_source(show)
    show.add_argument("--plot", metavar="FILE", help="draw histograms of the values; needs seedbed[plot]")
    show.add_argument(
        "--seed", metavar="N", type=int, default=0, help="seed of the values that --plot draws (default: 0)"
    )
    show.add_argument("--json", action="store_true", help="an object on the standard output")


def _add_init(verbs: Verbs) -> None:
    init = _add(verbs, "init", "write the initial weights of a model to safetensors files", commands.init)
    _add_source(init)
    init.add_argument(
        "-o",
        "--output",
        metavar="OUTPUT",
        required=True,
        help="a file, if its name ends with .safetensors or it exists; - is the standard output; otherwise a directory",
    )
    init.add_argument(
        "--seed", metavar="N", type=int, default=0, help="the seed, from -2**255 to 2**255 - 1 (default: 0)"
    )
    init.add_argument(
        "--max-shard-size",
        metavar="SIZE",
        help=f"maximum size of the tensors in a file of a directory, such as 500MB (default: {DEFAULT_SHARD_SIZE})",
    )
    _add_part(init, "write")
    _add_dask(init)
    init.add_argument("--resume", action="store_true", help="keep the files of an interrupted run whose bits are right")
    init.add_argument("--dry-run", action="store_true", help="check everything, and write nothing")
    _add_work(init)


def _add_verify(verbs: Verbs) -> None:
    verify = _add(
        verbs,
        "verify",
        "compare every bit of a checkpoint with what init writes; status 3 if one differs",
        commands.verify,
    )
    _add_source(verify, optional=True)
    verify.add_argument("path", metavar="PATH", help="a safetensors file, a directory, or the index of one")
    _add_part(verify, "verify")
    _add_dask(verify)
    verify.add_argument(
        "--seed", metavar="N", type=int, help="the seed of init (default: the recorded seed of the files)"
    )
    _add_work(verify)


def _add_source(verb: argparse.ArgumentParser, optional: bool = False) -> None:
    verb.add_argument("source", metavar="SOURCE", nargs="?" if optional else None, help="the plan; see below")
    verb.add_argument("--dtype", metavar="D", help="dtype of all tensors without a dtype of their own in the plan")
    verb.add_argument(
        "--rule",
        metavar="PATTERN=INIT",
        action="append",
        default=[],
        help="the initializer of tensors by name: '*.bias=zeros', '*=RandomNormal(stddev=0.02)'; the first rule that "
        "matches a name decides, and overrides the plan",
    )
    _add_scheme(verb)
    verb.add_argument(
        "--unused",
        choices=("error", "ignore"),
        default="error",
        help="whether a rule that decides no tensor is an error (default: error)",
    )


def _add_scheme(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--scheme",
        metavar="SCHEME",
        help="initializers by the roles of weights, for tensors without a --rule: a name of `seedbed schemes`, or a "
        "call, such as 'gpt2(stddev=0.01)'; missing numbers are taken from the model",
    )
    verb.add_argument("--layers", metavar="N", type=int, help="number of layers, for the scheme")
    verb.add_argument("--width", metavar="N", type=int, help="width of the model, for the scheme")
    verb.add_argument("--base-width", metavar="N", type=int, help="width at which muP changes nothing, for the scheme")
    verb.add_argument("--stddev", metavar="X", type=float, help="standard deviation, for the scheme")
    verb.add_argument(
        "--role",
        metavar="PATTERN=ROLE",
        action="append",
        default=[],
        help="role of weights by name, for the scheme, such as '*.last.weight=down'",
    )


def _add_part(verb: argparse.ArgumentParser, what: str) -> None:
    verb.add_argument(
        "--part",
        metavar="K/N",
        help=f"{what} only part K of N of a directory, counted from 1, while other processes {what} the others; auto "
        "takes K/N from torchrun, mpirun, srun or an sbatch array, auto/N takes K from an indexed job of Kubernetes",
    )


def _add_dask(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--dask", metavar="ADDRESS", help="do the work on a Dask cluster, such as tcp://10.0.0.1:8786")


def _add_work(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--threads", metavar="N", type=int, help="number of threads; it changes the speed, but no value")
    verb.add_argument("--json", action="store_true", help="an object on the standard output")
    verb.add_argument("--quiet", action="store_true", help="write only errors, and with --json the result")
