"""./bulkhead report: the partition of a board by a scenario, as a page or in words."""

import sys

import build
from common import say
from main import pair_arguments


def register(commands):
    report = commands.add_parser("report", help="draw the partition: a page for a browser, or words for a terminal",
                                 description="Draws the partition of a board by a scenario: who has which CPUs, memory, devices, interrupts and links, and what "
                                 "the configuration compiler warns of. Says where the page is, which every build makes (report.html; one file, no network).")
    pair_arguments(report)
    report.add_argument("--text", action="store_true", help="print the same facts in words")
    report.set_defaults(run=command_report)


def command_report(options):
    made = build.Build(options.board, options.scenario)
    made.describe(quiet=options.text)
    if options.text:
        with open(made.path("gen/config/report.txt"), "rb") as file:
            text = file.read()
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    else:
        say(made.path("gen/config/report.html"))
    return 0
