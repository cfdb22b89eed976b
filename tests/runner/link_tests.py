"""What joins VMs: connections and shared memory, on both backends (scenarios/links.xml)."""

import re

from build import Build
from common import DEFAULT_BOARD
from harness import Session, Test, need

SCENARIO = "links"
# The other backend's machine with six CPUs.
BOARDS = [("", DEFAULT_BOARD), (".vmx", "bochs-skylake-6")]


def session(board, name):
    made = Build(board, SCENARIO).make(guests=["links", "links_service"], quiet=True)
    return Session(made, name)


def prelaunched(board):
    """Two pre-launched VMs; "right" is stopped and started while "left" looks on."""
    with session(board, "links") as machine:
        passed = machine.tap("right", timeout=240)
        machine.expect("left", r"^left: stop right$", timeout=240)
        machine.control("vm_stop", "right", "off")
        machine.expect("left", r"^left: start right$", timeout=240)
        machine.control("vm_start", "right", "started")
        again = machine.expect("right", r"^right: again, (\d+) words kept, status 0x(\w+)\n", timeout=240)
        need(again.groups() == ("999", "60"), "the second run found %s words kept and line status 0x%s" % again.groups())
        passed += machine.tap("left", timeout=240)
        need(not re.search(r"vm (left|right): stopped:", machine.since("hypervisor")), "a VM was stopped")
    return passed + 2


def service(board):
    with session(board, "links-service") as machine:
        passed = machine.tap("svc", timeout=240)
        need(machine.vm_state("uvm1") == "off", "uvm1 is not off")
    return passed + 1


def tests():
    return [Test("links%s.%s" % (suffix, judge.__name__), lambda judge=judge, board=board: judge(board))
            for suffix, board in BOARDS for judge in (prelaunched, service)]
