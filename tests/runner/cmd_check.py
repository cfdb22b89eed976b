"""./bulkhead check: the rules alone."""

import os
import subprocess

import build
from common import ROOT, Problem, xml_path


def register(commands):
    check = commands.add_parser("check", help="check a board and a scenario against the rules, nothing else",
                                description="Checks a board and a scenario against the rules (docs/RULES.md). Status 0: nothing wrong (there may be "
                                "warnings), 1: mistakes, 2: cannot run.")
    check.add_argument("board", metavar="BOARD", help="name of a file in boards/ without .xml, or the path of one")
    check.add_argument("scenario", metavar="SCENARIO", help="name of a file in scenarios/ without .xml, or the path of one")
    check.add_argument("--format", choices=["text", "json"], default="text", help="json: one document on standard output (left out: text)")
    check.add_argument("--warnings-as-errors", action="store_true", help="status 1 for warnings too")
    check.set_defaults(run=command_check)


def command_check(options):
    try:
        paths = [xml_path("board", options.board), xml_path("scenario", options.scenario)]
    except Problem as problem:
        if options.format == "text":
            build.complain(problem)
            return 2
        # bhc says it as JSON; a path that is not there is its business too.
        paths = [options.board, options.scenario]
    # Messages name files as a person in this folder would.
    shown = [path if path.startswith("..") else os.path.relpath(path) for path in paths]
    command = [build.build_bhc(quiet=True)] + shown + ["--schema-dir", os.path.join(ROOT, "gen/schema"), "--check", "--format=" + options.format]
    if options.warnings_as_errors:
        command.append("--warnings-as-errors")
    return subprocess.run(command, check=False).returncode
