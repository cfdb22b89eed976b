"""./bulkhead bench: what the hypervisor costs, against the budgets. Exits and interrupts are counted in guest-visible instructions under
QEMU's -icount, so the figures are the same on every machine."""

import json
import os
import re

import qemu
from build import Build
from common import DEFAULT_BOARD, DEFAULT_SCENARIO, Problem, say, write_file
from elf import Elf
from harness import Failure, Session, Test

BENCH_SCENARIO = "bench"
SIZE_BOARD, SIZE_SCENARIO = "synthetic-16", "size"
TIMEOUT = 300

# name: (budget, unit, what)
BUDGETS = {
    "exit.cpuid": (100, "instructions", "CPUID exit"),
    "exit.hypercall": (140, "instructions", "VMMCALL with an unknown id"),
    "exit.port": (140, "instructions", "port read served in the hypervisor"),
    "exit.rdmsr": (100, "instructions", "RDMSR served"),
    "exit.lapic_read": (800, "instructions", "local APIC register read by MMIO"),
    "exit.lapic_eoi": (800, "instructions", "EOI write by MMIO"),
    "ipi.self": (2000, "instructions", "self-IPI, send and deliver"),
    "ipi.halted": (20000, "instructions", "IPI to a halted vCPU, until acknowledged"),
    "ipi.busy": (20000, "instructions", "IPI to a busy vCPU, until acknowledged"),
    "boot.first_guest": (5000, "us", "multiboot entry to the first guest instruction, image copies left out"),
    "size.text": (100 << 10, "bytes", "hypervisor code"),
    "size.resident": (4 << 20, "bytes", "everything resident with 8 VMs and 16 CPUs"),
}


def run_guest(quiet):
    """The figures that the bench guest and the hypervisor's log give."""
    build = Build(DEFAULT_BOARD, BENCH_SCENARIO).make(quiet=quiet)
    figures = {}
    with Session(build, "bench", icount=True) as session:
        session.expect("bench", r"^(bench done|Bail out!.*)$", TIMEOUT)
        for name, value in re.findall(r"^BENCH (\S+) (\d+)$", session.since("bench"), re.MULTILINE):
            figures[name] = int(value)
        session.expect("hypervisor", r"boot\.first_guest: (\d+) us", 60)
        figures["boot.first_guest"] = int(re.search(r"boot\.first_guest: (\d+) us", session.since("hypervisor")).group(1))
        missing = [name for name in BUDGETS if not name.startswith("size.") and name not in figures]
        if missing:
            raise Failure("the bench guest gave no figure for %s" % ", ".join(missing))
    return figures


def measure(names, quiet=False):
    """[{name, board, value, unit}] for the names, in the order of the budget table."""
    values = {}
    if any(not name.startswith("size.") for name in names):
        for name, value in run_guest(quiet).items():
            values[name] = (DEFAULT_BOARD, value)
    if "size.text" in names:
        build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO)
        build.ninja(["src/bulkhead.elf"], quiet)
        values["size.text"] = (DEFAULT_BOARD, Elf(build.image64).text_size())
    if "size.resident" in names:
        build = Build(SIZE_BOARD, SIZE_SCENARIO)
        build.ninja(["src/bulkhead.elf"], quiet)
        values["size.resident"] = (SIZE_BOARD, Elf(build.image64).resident_size())
    return [{"name": name, "board": values[name][0], "value": values[name][1], "unit": BUDGETS[name][1]} for name in BUDGETS if name in names]


def selected(only):
    if not only:
        return list(BUDGETS)
    for word in only:
        if not any(name == word or name.startswith(word + ".") for name in BUDGETS):
            raise Problem("--only %s: there is no such figure; choose of: %s" % (word, ", ".join(BUDGETS)))
    return [name for name in BUDGETS if any(name == word or name.startswith(word + ".") for word in only)]


def missed(result):
    return result["value"] > BUDGETS[result["name"]][0]


def command_bench(options):
    if options.json:
        folder = os.path.dirname(os.path.abspath(options.json))
        if not os.path.isdir(folder):
            raise Problem("--json %s: folder %s does not exist" % (options.json, folder))
    try:
        results = measure(selected(options.only))
    except (Failure, TimeoutError, qemu.Ended) as error:
        raise Problem("bench: %s" % error) from error
    say("%-17s %10s %10s  %-13s %s" % ("FIGURE", "VALUE", "BUDGET", "UNIT", "WHAT"))
    for result in results:
        budget, unit, what = BUDGETS[result["name"]]
        say("%-17s %10d %10d  %-13s %s%s" % (result["name"], result["value"], budget, unit, what, "  MISSED" if missed(result) else ""))
    if options.json:
        write_file(options.json if os.path.isabs(options.json) else os.path.join(os.getcwd(), options.json),
                   (json.dumps({"results": results}, indent=2) + "\n").encode())
    over = [result["name"] for result in results if missed(result)]
    if over:
        raise Problem("over budget: " + ", ".join(over))
    return 0


_results = {}


def figure_test(name):
    def run():
        if not _results:
            for result in measure(list(BUDGETS), quiet=True):
                _results[result["name"]] = result
        result = _results[name]
        if missed(result):
            raise Failure("%s is %d %s, its budget is %d" % (name, result["value"], result["unit"], BUDGETS[name][0]))
    return run


def repeatable():
    """Two runs give the same figures."""
    first = {name: result["value"] for name, result in _results.items() if not name.startswith("size.")}
    second = run_guest(True)
    different = ["%s %s/%s" % (name, first[name], second.get(name)) for name in first if second.get(name) != first[name]]
    if different:
        raise Failure("a second run differs: " + ", ".join(different))


def tests():
    return [Test("bench." + name, figure_test(name), chain="bench") for name in BUDGETS] + \
           [Test("bench.repeatable", repeatable, chain="bench")]
