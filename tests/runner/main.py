"""Command line of the runner; ./bulkhead calls it after it has seen to the packages."""

import argparse
import importlib
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from common import DEFAULT_BOARD, DEFAULT_SCENARIO, Problem, die  # noqa: E402


def pair_arguments(parser):
    parser.add_argument("scenario", nargs="?", default=DEFAULT_SCENARIO, metavar="SCENARIO",
                        help="name of a file in scenarios/ without .xml, or the path of one (left out: %s)" % DEFAULT_SCENARIO)
    parser.add_argument("--board", default=DEFAULT_BOARD, metavar="BOARD",
                        help="name of a file in boards/ without .xml, or the path of one (left out: %s)" % DEFAULT_BOARD)


def positive(text):
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0 seconds")
    return value


def parser():
    top = argparse.ArgumentParser(prog="./bulkhead", description="Bulkhead: a static-partitioning hypervisor.",
                                  epilog="Each command has a --help of its own.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="build a scenario and boot it on its board's emulator",
                              description="Builds a scenario and boots it on its board's emulator. Without options the terminal becomes the "
                              "hypervisor's console.")
    pair_arguments(run)
    run.add_argument("--headless", action="store_true", help="no terminal: every console goes to a log file in the build folder")
    run.add_argument("--until-ready", action="store_true",
                     help="end when every VM has printed its ready text: status 0; otherwise name the VM, status 1 (implies --headless)")
    run.add_argument("--timeout", type=positive, metavar="S", help="end after S seconds (with --until-ready left out: 300)")
    run.add_argument("--icount", action="store_true", help="repeatable run: virtual time counts instructions (Linux with one vCPU only)")
    run.add_argument("--module", action="append", metavar="NAME=FILE", help="take boot module NAME from FILE; may be given several times")
    run.add_argument("--iso", choices=["bios", "uefi"], help="boot through GRUB from an ISO, with this firmware")

    build = commands.add_parser("build", help="build the image of a scenario for a board",
                                description="Builds the image of a scenario for a board into build/BOARD-SCENARIO.")
    pair_arguments(build)
    build.add_argument("--compiler", choices=["gcc", "clang"], default="gcc", help="left out: gcc")
    build.add_argument("--clean", action="store_true", help="start from an empty build folder")

    lst = commands.add_parser("list", help="list boards, scenarios and the pairs that fit",
                              description="Lists boards, scenarios and the pairs that the configuration compiler accepts.")
    lst.add_argument("--json", action="store_true", help="as JSON, for a CI matrix")

    bench = commands.add_parser("bench", help="measure exits, interrupts, boot time and sizes against their budgets",
                                description="Measures what the hypervisor costs, on an emulator that counts instructions, and compares each "
                                "figure with its budget. Status 1 when one is missed.")
    bench.add_argument("--board", default=DEFAULT_BOARD, metavar="BOARD", help="name of a board with an emulator (left out: %s)" % DEFAULT_BOARD)
    bench.add_argument("--only", metavar="NAME", action="append", help="measure only this figure, or this group (exit, ipi, boot, size, config)")
    bench.add_argument("--json", metavar="FILE", help="write the results to FILE as JSON")

    test = commands.add_parser("test", help="run all tests", description="Runs lints, both compilers' builds, unit tests, configuration "
                               "tests, guest tests, Linux tests, boot tests and the benchmark's budgets. The last line is 'N passed, N failed'.")
    test.add_argument("--quick", action="store_true", help="lints and unit tests only")
    test.add_argument("--only", metavar="TEXT", action="append", help="only tests whose name contains TEXT")
    test.add_argument("--list", action="store_true", help="name the tests without running them")
    for module in command_modules():
        module.register(commands)
    return top


def command_modules():
    """The commands that have a module of their own, cmd_NAME.py."""
    folder = os.path.dirname(os.path.abspath(__file__))
    names = sorted(name[:-3] for name in os.listdir(folder) if name.startswith("cmd_") and name.endswith(".py"))
    return [importlib.import_module(name) for name in names]


def dispatch(options):
    if hasattr(options, "run"):
        return options.run(options)
    if options.command == "run":
        import run
        return run.command_run(options)
    if options.command == "build":
        import build
        return build.command_build(options)
    if options.command == "list":
        import build
        return build.listing(options.json)
    if options.command == "bench":
        import bench
        return bench.command_bench(options)
    import suite
    return suite.command_test(options)


def main():
    options = parser().parse_args()
    # So that `finally` runs and no emulator is left behind when the runner is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        return dispatch(options)
    except Problem as problem:
        die(problem)
    except KeyboardInterrupt:
        sys.stderr.write("\nbulkhead: interrupted\n")
        return 130
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
