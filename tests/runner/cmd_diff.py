"""./bulkhead diff: what changes on the target between two scenarios, images or manifests."""

import os
import subprocess
import tempfile

import build
import cmd_inspect
from common import DEFAULT_BOARD, ROOT, Problem, xml_path


def register(commands):
    diff = commands.add_parser("diff", help="what changes on the target between two scenarios or images",
                               description="Says what changes on the target from A to B, in the partition's terms. A and B are scenarios (a name, or "
                               "the path of an XML file; SCENARIO@BOARD for another board than --board's), disk images, hypervisor images (ELF) or "
                               "manifests (.dtb). Status 0: nothing changes, 1: something does, 2: cannot run.")
    diff.add_argument("a", metavar="A", help="what there is")
    diff.add_argument("b", metavar="B", help="what there will be")
    diff.add_argument("--board", default=DEFAULT_BOARD, metavar="BOARD", help="board of scenarios (left out: %s)" % DEFAULT_BOARD)
    diff.add_argument("--json", action="store_true", help="one JSON document on standard output")
    diff.set_defaults(run=command_diff)


def of_scenario(word, default_board, folder):
    """The manifest of a scenario, made by bhc."""
    scenario, _, board = word.partition("@")
    paths = [xml_path("board", board or default_board), xml_path("scenario", scenario)]
    done = subprocess.run([build.build_bhc(quiet=True)] + paths + ["--schema-dir", os.path.join(ROOT, "gen/schema"), "--out-dir", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Problem("'%s' is refused:\n%s" % (word, done.stderr.strip()))
    return os.path.join(folder, "manifest.dtb")


def manifests_of(word, default_board, folder):
    """(file that holds the hypervisor's manifest, the disk image's own manifest or None)"""
    os.makedirs(folder)
    if not os.path.isfile(word) or word.endswith(".xml"):
        return of_scenario(word, default_board, folder), None
    _, image, hypervisor = cmd_inspect.manifests(word, folder)
    return hypervisor or image, image if hypervisor else None


def command_diff(options):
    try:
        with tempfile.TemporaryDirectory(prefix="bulkhead-diff-") as work:
            found = [manifests_of(word, options.board, os.path.join(work, side)) for side, word in (("a", options.a), ("b", options.b))]
            files = [manifest for manifest, _ in found]
            if all(image for _, image in found):
                files += [image for _, image in found]
            return subprocess.run([build.build_tool("gen/diff/bhdiff", quiet=True)] + files + (["--json"] if options.json else []), check=False).returncode
    except Problem as problem:
        build.complain(problem)
        return 2
