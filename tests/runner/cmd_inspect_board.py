"""./bulkhead inspect-board: the board file of the machine that this runs on, or of one that was collected on elsewhere."""

import subprocess

import build
from common import Problem

PROGRAM = "gen/inspect/bh-inspect"


def register(commands):
    inspect = commands.add_parser(
        "inspect-board", help="describe the machine this runs on (or a saved collection) as a board file",
        description="Writes a board file of the machine that this runs on, from /proc, /sys, the ACPI tables, CPUID and PCI configuration space. "
        "On another machine: copy the program that --program names there, run it with --collect FILE.tar as root, and give the archive here. Lines "
        "'note:' say what was guessed or is missing. Status 0: a board file; 1: a board file of a machine that lacks something Bulkhead needs; 2: "
        "cannot run.")
    inspect.add_argument("archive", nargs="?", metavar="ARCHIVE", help="what --collect wrote on another machine (left out: this machine, as root)")
    inspect.add_argument("-o", dest="output", metavar="FILE", help="write the board file there (left out: standard output)")
    inspect.add_argument("--name", metavar="NAME", help="the board's name (left out: FILE's name, or the machine's)")
    inspect.add_argument("--collect", metavar="FILE", help="only collect, into a tar archive")
    inspect.add_argument("--probe-intx", action="store_true",
                         help="enable PCI functions that no driver uses, for a moment each, to learn where their INTx# goes")
    inspect.add_argument("--program", action="store_true", help="print where the static program lies that can be copied to a target")
    inspect.set_defaults(run=command_inspect_board)


def program():
    """The static program, built; its path. Raises Problem."""
    return build.build_tool(PROGRAM, quiet=True)


def command_inspect_board(options):
    try:
        path = program()
        if options.program:
            print(path)
            return 0
        arguments = [path]
        for option, value in (("-o", options.output), ("--name", options.name), ("--collect", options.collect)):
            arguments += [option, value] if value is not None else []
        arguments += ["--probe-intx"] if options.probe_intx else []
        # A name that begins with a dash must not become an option.
        arguments += ["./" + options.archive if options.archive.startswith("-") else options.archive] if options.archive else []
        return subprocess.run(arguments, check=False).returncode
    except (Problem, OSError) as problem:
        build.complain(problem)
        return 2
