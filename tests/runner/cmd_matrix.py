"""./bulkhead matrix: every valid pair of board and scenario, for CI systems."""

import json

import build


def register(commands):
    matrix = commands.add_parser("matrix", help="list every valid pair of board and scenario",
                                 description="Lists every pair of a board and a scenario of this tree that the configuration compiler accepts: one "
                                 "'BOARD SCENARIO' a line, or JSON in the form of a CI system's matrix.")
    matrix.add_argument("--json", action="store_true", help='{"include": [{"board": .., "scenario": .., "emulator": qemu|bochs|null, "warnings": N}]}')
    matrix.set_defaults(run=command_matrix)


def command_matrix(options):
    pairs = [{"board": board, "scenario": scenario, "emulator": build.board_emulator(board), "warnings": verdict.warnings}
             for (board, scenario), verdict in sorted(build.judge_pairs(build.build_bhc(quiet=True)).items()) if verdict.valid]
    if options.json:
        print(json.dumps({"include": pairs}, indent=2))
    else:
        for pair in pairs:
            print("%s %s" % (pair["board"], pair["scenario"]))
    return 0
