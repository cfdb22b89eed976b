"""Bare-metal service VMs of tests/guests: programs that drive user VMs by hypercalls, beside a neighbour that must notice nothing."""

import os
import re

from build import Build
from common import DEFAULT_BOARD, Problem
from harness import Session, Test, need

# Of the guest's own time; Bochs takes some twenty times as long for them.
HOSTILE_SECONDS = {"qemu": 20, "bochs": 3}


def plain(session):
    """A TAP program that runs by itself."""
    return session.tap("subject")


def general(session):
    passed = plain(session)
    cpus = session.config["cpus"]
    need(re.search(r"^# hcall cpus %d$" % cpus, session.since("subject"), re.MULTILINE), "GET_PLATFORM_INFO does not say %d CPUs" % cpus)
    return passed + 1


def restart(session):
    """The service VM is restarted by the shell, then by its own reset, with requests outstanding; then everything works."""
    mark = 0
    for way in ("shell", "own reset"):
        start = session.expect("subject", r"^restart: start, run (\d+), dirty (\d+)$", timeout=120, mark=mark)
        need(start.groups() == ("1", "0"), "before the restart by %s: run %s, %s words of its memory are old" % ((way,) + start.groups()))
        session.expect("subject", r"^restart: what\?$", mark=mark)
        mark = session.mark("subject")
        session.type("subject", "1")
        outstanding = session.expect("subject", r"^restart: outstanding (\d)$", mark=mark)
        need(outstanding.group(1) == "1", "the user VMs sent no requests")
        need(session.vm_state("uvm0") == "started", "vm_list does not show uvm0 started")
        mark = session.mark("subject")
        if way == "shell":
            session.control("vm_restart", "subject", "started")
        else:
            session.type("subject", "r")
    start = session.expect("subject", r"^restart: start, run (\d+), dirty (\d+)$", timeout=120, mark=mark)
    need(start.groups() == ("1", "0"), "after its own reset: run %s, %s words of its memory are old" % start.groups())
    need(session.vm_state("uvm0") == "off", "uvm0 is not off after the service VM's restart")
    session.expect("subject", r"^restart: what\?$", mark=mark)
    session.type("subject", "2")
    return session.tap("subject", timeout=120) + 8


def hostile_run(emulator):
    """Seed and seconds of the hostile service VM. BULKHEAD_HOSTILE="SEED SECONDS" makes it another run, such as "1 600"."""
    wanted = os.environ.get("BULKHEAD_HOSTILE")
    if not wanted:
        return 1, HOSTILE_SECONDS[emulator]
    found = re.fullmatch(r"(\d+) (\d+)", wanted)
    if not found:
        raise Problem("BULKHEAD_HOSTILE must be two numbers, seed and seconds, such as \"1 600\"; it is \"%s\"" % wanted)
    return int(found.group(1)), int(found.group(2))


def hostile(session):
    seed, seconds = hostile_run(session.config["emulator"]["kind"])
    session.expect("subject", r"^hostile: seed and seconds\?$")
    session.type("subject", "%d %d\r" % (seed, seconds))
    return session.tap("subject", timeout=20 * seconds + 200)


# Program, scenario, board, judge.
PROGRAMS = [
    ("hcall_general", "hcall-test", DEFAULT_BOARD, general),
    ("hcall_life", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_vcpu", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_mem", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_irq", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_ioreq", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_sbuf", "hcall-test", DEFAULT_BOARD, plain),
    ("hcall_restart", "hcall-test", DEFAULT_BOARD, restart),
    ("hcall_eight", "hcall-test-8", "qemu-q35-12", plain),
    ("hcall_hsm", "hcall-test-hsm", DEFAULT_BOARD, plain),
    ("hcall_dm", "hcall-test-hsm", DEFAULT_BOARD, plain),
    ("hostile", "hcall-test", DEFAULT_BOARD, hostile),
]


def run_program(name, scenario, board, judge, devices=None):
    guests = [program for program, of, _, _ in PROGRAMS if of == scenario] + ([name] if devices else [])
    made = Build(board, scenario).make(guests=guests + ["neighbour"], quiet=True)
    with Session(made, name, {"subject": made.path("tests/guests/%s.elf" % name)}, change={"devices": devices}) as session:
        session.expect("neighbour", r"^neighbour ready$")
        passed = judge(session)
        need(session.vm_state("neighbour") == "started", "the neighbour is not running any more")
        session.neighbour_sound()
    return passed + 1


# The other backend's machine. Its emulator has at most 8 CPUs, so that the scenario for 12 runs on the first backend only.
VMX_BOARD = "bochs-skylake-6"


def tests():
    out = []
    for name, scenario, board, judge in PROGRAMS:
        boards = [("", board)] + ([(".vmx", VMX_BOARD)] if board == DEFAULT_BOARD else [])
        for suffix, on in boards:
            out.append(Test("hcall%s.%s" % (suffix, name.replace("hcall_", "")), lambda name=name, scenario=scenario, on=on, judge=judge:
                            run_program(name, scenario, on, judge)))
    # A real device of the service VM's, with INTx, MSI and DMA: QEMU's "edu", which no other emulator has.
    out.append(Test("hcall.host_edu", lambda: run_program("host_edu", "hcall-test", DEFAULT_BOARD, plain, ["edu,addr=05.0"])))
    return out
