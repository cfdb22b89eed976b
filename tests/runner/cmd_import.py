"""./bulkhead import acrn: translates ACRN's board and scenario files into Bulkhead's."""

import os
import subprocess

import build
from common import ROOT, Problem, say

PROGRAM = "gen/import/bh-import"


def register(commands):
    parser = commands.add_parser("import", help="translate ACRN board and scenario files",
                                 description="Translates files of other hypervisors into Bulkhead's board and scenario XML.")
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    acrn = kinds.add_parser(
        "acrn", help="files of ACRN v2.7 to v3.x",
        description="Translates an ACRN board file and a scenario into DIR/boards/NAME.xml and DIR/scenarios/NAME.xml (NAME: the file's name), and "
        "lists on standard output and in DIR/import-report.txt, with its line, every element that was guessed or has no counterpart. Then the "
        "result is checked against Bulkhead's own rules. Status 0: translated, and it can be built; 1: mistakes in the files (nothing is written), "
        "or rules that the result breaks (it is written, for you to mend); 2: cannot run.")
    acrn.add_argument("--board", required=True, metavar="FILE", help="what ACRN's board inspector wrote")
    acrn.add_argument("--scenario", metavar="FILE", help="what ACRN's configurator wrote (left out: only the board)")
    acrn.add_argument("-o", dest="output", required=True, metavar="DIR", help="where to write; made when it is not there")
    acrn.set_defaults(run=command_import)


def written(report, folder):
    """Names of the files that the program says it wrote to DIR/folder."""
    mark = " -> " + folder + "/"
    return [line.partition(mark)[2] for line in report.splitlines() if line.startswith("  ") and mark in line]


def check_result(output, board, scenario):
    """Bulkhead's own rules on what was written; the exit status."""
    command = [build.build_bhc(quiet=True), os.path.join(output, "boards", board), os.path.join(output, "scenarios", scenario), "--schema-dir",
               os.path.join(ROOT, "gen/schema"), "--check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    lines = done.stderr.splitlines()
    if lines:
        say("\nBulkhead's rules on the result:")
        for line in lines:
            say("  " + line)
    if done.returncode == 0:
        say("\nThe result keeps Bulkhead's rules (%d warnings). Next, with the kernels that it names beside the scenario:" % len(lines))
        say("  ./bulkhead image %s %s -o disk.img" % (command[1], command[2]))
    elif done.returncode == 1:
        say("\nThe result breaks Bulkhead's rules. Mend the files in %s, then: ./bulkhead check %s %s" % (output, command[1], command[2]))
    return done.returncode


def command_import(options):
    try:
        command = [build.build_tool(PROGRAM, quiet=True), "--board", options.board, "-o", options.output]
        command += ["--scenario", options.scenario] if options.scenario is not None else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace", check=False)
        print(done.stdout, end="", flush=True)
        if done.returncode != 0:
            return done.returncode if done.returncode in (1, 2) else 2
        boards, scenarios = written(done.stdout, "boards"), written(done.stdout, "scenarios")
        if not scenarios:
            say("\nThe board stands in %s. Next: ./bulkhead import acrn with --scenario, or a scenario of your own" %
                os.path.join(options.output, "boards", boards[0]))
            return 0
        return check_result(options.output, boards[0], scenarios[0])
    except (Problem, OSError) as problem:
        build.complain(problem)
        return 2
