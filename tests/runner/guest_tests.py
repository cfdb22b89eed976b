"""Guest programs of tests/guests on scenario guest-test: each runs in VM 'subject' beside VM 'neighbour', and the neighbour must notice
nothing. One table: program, what is expected of it."""

import re

from build import Build
from common import DEFAULT_BOARD
from harness import Failure, Session, Test, need

SCENARIO = "guest-test"


def plain(session):
    """A TAP program that runs by itself."""
    return session.tap("subject")


def tap_with(pattern):
    """A TAP program that must also print a line."""
    def run(session):
        passed = session.tap("subject")
        need(re.search(pattern, session.since("subject"), re.MULTILINE), "its console lacks a line like %r" % pattern)
        return passed
    return run


def uart(session):
    session.expect("subject", r"^type hello$")
    session.type("subject", "hello\r")
    return session.tap("subject")


def acpi(session):
    passed = session.tap("subject")
    vcpus = next(vm["vcpus"] for vm in session.config["vms"] if vm["name"] == "subject")
    need(re.search(r"^# acpi cpus %d$" % vcpus, session.since("subject"), re.MULTILINE), "the MADT does not list %d CPUs" % vcpus)
    return passed + 1


def power(session):
    session.expect("subject", r"^power: going off")
    session.expect("hypervisor", r"vm subject: off")
    need("still here" not in session.since("subject"), "the guest ran on after its power-off")
    need(session.vm_state("subject") == "off", "vm_list does not say off")
    need(session.vm_state("neighbour") == "started", "the neighbour is off too")
    mark = session.mark("subject")
    session.control("vm_start", "subject", "started")
    session.expect("subject", r"^power: going off", mark=mark)
    return 4


def reboot(session):
    """Every way of reset; each time memory must be clean and the devices cold."""
    checks = 0
    mark = 0
    for way in "12345":
        start = session.expect("subject", r"^reboot: start, run (\d+), dirty (\d+), devices (\w+),", mark=mark)
        need(start.group(1) == "1", "its image was not loaded again")
        need(start.group(2) == "0", "%s words of its memory survived the reset" % start.group(2))
        need(start.group(3) == "cold", "its devices were not reset")
        session.expect("subject", r"^reboot: way\?$", mark=mark)
        mark = session.mark("subject")
        session.type("subject", way)
        session.expect("subject", r"^reboot: way %s$" % way, mark=mark)
        if way == "5":
            # Not at "stopped:" yet: its registers are still being dumped then, and it counts as started.
            session.expect("hypervisor", r"vm subject: stopped:(?:.|\n)*vm subject: off")
            session.control("vm_start", "subject", "started")
        checks += 3
    start = session.expect("subject", r"^reboot: start, run (\d+), dirty (\d+), devices (\w+),", mark=mark)
    need(start.groups() == ("1", "0", "cold"), "after vm_start: run %s, dirty %s, devices %s" % start.groups())
    need("still here" not in session.since("subject"), "a way of reset did nothing")
    return checks + 1


def stopped(session):
    """The VM is stopped by the hypervisor, which says why; it can be started again and is stopped again."""
    session.expect("hypervisor", r"vm subject: stopped: .+ at rip 0x")
    session.expect("hypervisor", r"vm subject: off")
    need("still here" not in session.since("subject"), "the guest ran on")
    session.neighbour_sound()
    mark = session.mark()
    session.control("vm_start", "subject", "started")
    session.expect("hypervisor", r"vm subject: stopped: .+ at rip 0x", mark=mark)
    return 3


def console_hammer(session):
    def lines():
        return [int(n) for n in re.findall(r"^hammer (\d+) ", session.since("subject"), re.MULTILINE)]
    session.expect("subject", r"^hammer 200 ", timeout=300)
    session.neighbour_sound(beats=30)
    need(session.vm_state("subject") == "started", "the shell does not answer as it should beside the hammer")
    numbers = lines()
    need(numbers == list(range(len(numbers))), "the hammer's own lines have gaps")
    session.control("vm_stop", "subject", "off")
    return 4


def endless(pattern, beats=30):
    """Runs for ever; the shell can end it."""
    def run(session):
        session.expect("subject", pattern)
        session.neighbour_sound(beats=beats)
        session.control("vm_stop", "subject", "off")
        need(session.vm_state("neighbour") == "started", "the neighbour went off with it")
        return 3
    return run


def reset_loop(session):
    session.expect("subject", r"(?:reset_loop: start\n(?:.*\n)*?){5}", timeout=300)
    session.neighbour_sound(beats=20)
    session.control("vm_stop", "subject", "off")
    need(session.vm_state("neighbour") == "started", "the neighbour went off with it")
    return 3


def ipi_storm(session):
    passed = session.tap("subject", timeout=300)
    session.neighbour_sound(beats=20)
    session.control("vm_stop", "subject", "off")
    return passed + 1


CAPABILITY = [
    ("exits", plain), ("fpu", plain), ("apic", plain), ("ioapic", plain), ("pic", plain), ("pit", plain), ("rtc", plain),
    ("pmtimer", plain), ("uart", uart), ("pci", tap_with(r"^# pci functions 1$")), ("mmio", plain), ("smp", plain), ("acpi", acpi),
    ("pagetables", plain), ("modes", plain), ("events", plain), ("power", power), ("reboot", reboot),
]

CONFINEMENT = [
    ("triple_fault", stopped), ("jump_nowhere", stopped), ("console_hammer", console_hammer), ("unowned", plain), ("vmrun", plain),
    ("ipi_storm", ipi_storm), ("irq_off_spin", endless(r"^irq_off_spin: 2 CPUs spin$")), ("reset_loop", reset_loop), ("npt_probe", plain),
]

PROGRAMS = [name for name, _ in CAPABILITY + CONFINEMENT]

# Every program runs on both backends. A third machine, whose CPU virtualises less of the local APIC, runs what has to do with interrupts.
INTERRUPTS = ["apic", "ioapic", "pic", "pit", "smp", "events", "ipi_storm"]
MACHINES = [("", DEFAULT_BOARD, PROGRAMS), (".vmx", "bochs-skylake", PROGRAMS), (".softapic", "bochs-cannonlake", INTERRUPTS)]


def build(board):
    return Build(board, SCENARIO).make(guests=PROGRAMS + ["neighbour"], quiet=True)


def run_program(board, name, judge):
    made = build(board)
    with Session(made, name, {"subject": made.path("tests/guests/%s.elf" % name)}) as session:
        session.expect("neighbour", r"^neighbour ready$")
        passed = judge(session)
        if session.vm_state("neighbour") != "started":
            raise Failure("the neighbour is not running any more")
        session.neighbour_sound()
    return passed + 1


def tests():
    out = []
    for suffix, board, programs in MACHINES:
        for group, table in (("guest", CAPABILITY), ("confine", CONFINEMENT)):
            for name, judge in table:
                if name in programs:
                    out.append(Test("%s%s.%s" % (group, suffix, name),
                                    lambda board=board, name=name, judge=judge: run_program(board, name, judge)))
    return out
