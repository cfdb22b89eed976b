"""Whole systems on Bochs, the Intel machine: that a run repeats to the byte, stock Linux as a VMX guest, GRUB, and machines that are not the
board. The guest programs run there too (guest_tests.py), and the benchmark (bench.py)."""

import re

import bochs
import image
from build import Build
from common import write_file
from harness import Failure, Session, Test, need, refusal
from run import wait_ready

BOARD, SOFT_BOARD = "bochs-skylake", "bochs-cannonlake"
LINUX_TIMEOUT = 400


def guest_build(board=BOARD):
    return Build(board, "guest-test").make(guests=["exits", "smp", "neighbour"], quiet=True)


def repeats():
    """Three runs of one program, to which nothing is typed: the serial port says the same bytes in the same order."""
    build = guest_build()
    wires = []
    for number in range(3):
        with Session(build, "repeat%d" % number, {"subject": build.path("tests/guests/smp.elf")}) as session:
            session.tap("subject")
            session.expect("neighbour", r"^neighbour ok 5$")
            wires.append(bytes(session.machine.wire))
    length = min(len(wire) for wire in wires)  # a machine is ended a little after what was awaited
    need(length > 2000, "only %d bytes came" % length)
    for wire in wires[1:]:
        if wire[:length] != wires[0][:length]:
            at = next(i for i in range(length) if wire[i] != wires[0][i])
            raise Failure("a run differs at byte %d: %r and %r" % (at, wires[0][at - 40:at + 40], wire[at - 40:at + 40]))
    return 3


def linux(scenario, vcpus):
    """Debian's kernel to its shell, which answers; nothing in its log looks like a fault."""
    def run():
        build = Build(BOARD, scenario).make(quiet=True)
        with Session(build, "linux-vmx") as session:
            wait_ready(session.machine, session.config, LINUX_TIMEOUT * session.machine.patience, report=lambda _: None)
            session.expect("linux0", r"^linux0# ", 60)
            mark = session.mark("linux0")
            session.type("linux0", "echo cpus=$(nproc) name=$(hostname)\r")
            session.expect("linux0", r"^cpus=%d name=linux0$" % vcpus, 60, mark)
            log = session.since("linux0")
            bad = [line for line in log.splitlines() if re.search(r"Call Trace|\bBUG:|\bOops|unchecked MSR|soft lockup|rcu.*stall|TSC.*unstable|"
                                                                  r"nobody cared|general protection|\[Firmware Bug\]", line)]
            need(not bad, "its log has:\n%s" % "\n".join("    " + line for line in bad[:8]))
        return 3
    return run


def grub():
    """From a GRUB ISO, as on a real machine, rather than with the image in memory from the start."""
    build = Build(BOARD, "bare").make(quiet=True)
    iso = image.make_iso(build, build.modules({}), "console=mux", build.path("test-bios.iso"))
    with Session(build, "iso-bios", where={"iso": iso}) as session:
        wait_ready(session.machine, session.config, 200 * session.machine.patience, report=lambda _: None)
        need(re.search(r"started by multiboot2", session.since("hypervisor")), "the log does not say multiboot2")
    return 3


def stops(pattern, name, cpus=None, last="boot stopped", **change):
    """The hypervisor refuses to start, with one line that says why. last: what its last line has; change: as for Session."""
    def run():
        build = guest_build()
        modules = build.modules({"subject": build.path("tests/guests/exits.elf")})
        where = {"kernel": build.image32, "modules": modules, "append": "console=mux"}
        with Session(build, "stops-" + name, where=where, cpus=cpus, change=change) as session:
            errors = re.findall(r"(?:ERROR|FATAL): (.*)", refusal(session, 60, last))
            need(any(re.search(pattern, line) for line in errors), "no line like %r among: %s" % (pattern, errors))
            need(all(len(line) < 240 for line in errors), "a difference is not one line: %s" % errors)
        return 2
    return run


# Where Bochs' BIOS ends the set-up of IA32_FEATURE_CONTROL: OR EAX, 5 (the lock and VMX; SDM vol. 4 table 2-2), WRMSR. The boot CPU is in
# 32-bit code then, the others in 16-bit code.
BOOT_CPU, OTHER_CPUS = b"\xb9\x3a\0\0\0\x0f\x32\x83\xc8\x05\x0f\x30", b"\x66\xb9\x3a\0\0\0\x0f\x32\x66\x83\xc8\x05\x0f\x30"


def locked_off(name, pattern, last, *places):
    """A firmware that locks VMX off: Bochs' BIOS with the lock alone set in those places."""
    def run():
        with open(bochs.BIOS, "rb") as file:
            bios = file.read()
        for place in places:
            need(bios.count(place) == 1, "%s sets IA32_FEATURE_CONTROL otherwise than this test knows" % bochs.BIOS)
            bios = bios.replace(place, place.replace(b"\xc8\x05", b"\xc8\x01"))
        path = guest_build().path("bios-locks-vmx-%s.bin" % name)
        write_file(path, bios)
        return stops(pattern, "locked-" + name, last=last, bios=path)()
    return run


def tests():
    wrong = r"machine cannot run guests: |machine's CPU lacks feature "
    return [
        Test("vmx.repeats", repeats),
        Test("vmx.grub", grub),
        Test("vmx.linux", linux("linux1", 2), chain="vmx linux"),
        Test("vmx.linux_one_vcpu", linux("linux1-up", 1), chain="vmx linux"),
        Test("vmx.stops.sandy_bridge", stops(r"lacks feature x2apic|EPT", "sandy", cpu="corei7_sandy_bridge_2600k")),
        Test("vmx.stops.ivy_bridge", stops(wrong, "ivy", cpu="corei7_ivy_bridge_3770k")),
        Test("vmx.stops.haswell", stops(r"lacks feature smap", "haswell", cpu="corei7_haswell_4770")),
        Test("vmx.stops.amd", stops(r"machine has a CPU by 'AuthenticAMD'", "amd", cpu="ryzen")),
        Test("vmx.stops.locked_off", locked_off("all", r"VMX is locked off by the firmware \(IA32_FEATURE_CONTROL\)", "boot stopped",
                                                BOOT_CPU, OTHER_CPUS)),
        Test("vmx.stops.locked_off_others", locked_off("others", r"CPU 1: VMX is locked off here, though not on the boot CPU", "panic",
                                                       OTHER_CPUS)),
        Test("vmx.stops.cpu_count", stops(r"machine has 2 CPUs, board 'bochs-skylake' says 4", "cpus", cpus=2)),
        Test("vmx.stops.memory", stops(r"no usable RAM", "memory", memory="64M")),
    ]
