"""./bulkhead bench: what the hypervisor costs, against the budgets. Exits and interrupts are counted in guest-visible instructions under
QEMU's -icount, so the figures are the same on every machine."""

import json
import os
import re
import time

import bench_config
import qemu
from build import Build
from common import DEFAULT_BOARD, DEFAULT_SCENARIO, Problem, say, write_file
from elf import Elf
from harness import Failure, Session, Test

BENCH_SCENARIO = "bench"
SERVICE_SCENARIO = "hcall-bench"
SIZE_BOARD, SIZE_SCENARIO = "synthetic-16", "size"
TIMEOUT = 1200

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
    "hcall.gpa_to_hpa": (500, "instructions", "hypercall with a parameter structure"),
    "hcall.memory_region": (1500, "instructions", "set_memory_regions, 1 GiB as 2 MiB entries, per entry"),
    "ioreq.polling": (1500, "instructions", "I/O request in polling mode, the hypervisor's own"),
    "ioreq.notify": (3000, "instructions", "I/O request by upcall and notify, the hypervisor's own on both CPUs"),
    "ioreq.roundtrip": (25000, "instructions", "the same, as the user VM sees it"),
    "vm.cycle": (400000, "instructions", "create, start and destroy a 1-vCPU user VM with 64 MiB"),
    "boot.first_guest": (5000, "us", "multiboot entry to the first guest instruction, image copies left out"),
    "size.text": (100 << 10, "bytes", "hypervisor code"),
    "size.resident": (4 << 20, "bytes", "everything resident with 8 VMs and 16 CPUs"),
    **bench_config.BUDGETS,
}


def on_machine(name):
    """Whether a running machine gives that figure."""
    return not name.startswith(("size.", "config."))


# On Intel's processors, as Bochs emulates one: its clock is the instruction too.
VMX_BOARD, VMX_SIZE_SCENARIO = "bochs-skylake", "linux1"
VMX_BUDGETS = {
    "exit.cpuid": (110, "instructions", "CPUID exit"),
    "exit.hypercall": (140, "instructions", "VMCALL with an unknown id"),
    "exit.port": (140, "instructions", "port read served in the hypervisor"),
    "exit.rdmsr": (110, "instructions", "RDMSR served"),
    "exit.lapic_eoi": (20, "instructions", "EOI write by MMIO: with virtual-interrupt delivery no exit"),
    "ipi.self": (600, "instructions", "self-IPI, send and deliver, with APIC virtualisation"),
    "ipi.halted": (20000, "instructions", "IPI to a halted vCPU, until acknowledged"),
    "ipi.busy": (20000, "instructions", "IPI to a busy vCPU, until acknowledged"),
    "size.text": (100 << 10, "bytes", "hypervisor code"),
}


def exit_account(session, vm):
    """{(vCPU, reason): (count, ticks in all)} of what the shell's vmexit shows for a VM; ticks of io-wait are those spent waiting."""
    account = {}
    for vcpu, reason, count, average, total in re.findall(r"^%s +(\d+) +(\S+) +(\d+) +(\d+)(?: +\((\d+) in all\))?$" % re.escape(vm),
                                                          session.shell("vmexit " + vm), re.MULTILINE):
        account[int(vcpu), reason] = (int(count), int(total) if total else int(count) * int(average))
    return account


def own_work(session, slot, requests):
    """What the hypervisor itself did for each of a user VM's port requests, on that VM's CPU."""
    account = exit_account(session, slot)
    exits, ticks = account.get((0, "port"), (0, 0))
    waits, waited = account.get((0, "io-wait"), (0, 0))
    if exits != waits or exits < requests:
        raise Failure("vmexit %s: %d port exits, %d waits, for %d requests" % (slot, exits, waits, requests))
    return (ticks - waited) / exits


def run_service(quiet):
    """The figures of the measuring service VM; those of single requests come from the hypervisor's account of exits."""
    build = Build(DEFAULT_BOARD, SERVICE_SCENARIO).make(guests=["hbench", "hbench_notify"], quiet=quiet)
    figures = {}
    with Session(build, "hbench", icount=True) as session:
        session.expect("hbench", r"^(bench done|Bail out!.*)$", TIMEOUT)
        text = session.since("hbench")
        for name, value in re.findall(r"^BENCH (\S+) (\d+)$", text, re.MULTILINE):
            figures[name] = int(value)
        requests = re.search(r"^polling requests (\d+)$", text, re.MULTILINE)
        if requests:
            figures["ioreq.polling"] = round(own_work(session, "poll0", int(requests.group(1))))
    with Session(build, "hbench_notify", {"hbench": build.path("tests/guests/hbench_notify.elf")}, icount=True) as session:
        session.expect("hbench", r"^(bench done|Bail out!.*)$", TIMEOUT)
        requests = re.search(r"^notify requests (\d+) ", session.since("hbench"), re.MULTILINE)
        if requests:
            service = exit_account(session, "hbench")
            ticks = sum(service.get((0, reason), (0, 0))[1] for reason in ("hypercall", "interrupt"))
            figures["ioreq.notify"] = round(own_work(session, "notify0", int(requests.group(1))) + ticks / int(requests.group(1)))
    return figures


def run_guests(quiet):
    """All figures that running machines give."""
    figures = run_service(quiet)
    figures.update(run_guest(quiet))
    missing = [name for name in BUDGETS if on_machine(name) and name not in figures]
    if missing:
        raise Failure("the bench programs gave no figure for %s" % ", ".join(missing))
    return figures


def run_guest(quiet, board=DEFAULT_BOARD):
    """The figures that the bench guest and the hypervisor's log give."""
    build = Build(board, BENCH_SCENARIO).make(quiet=quiet)
    figures = {}
    with Session(build, "bench", icount=True) as session:
        session.expect("bench", r"^(bench done|Bail out!.*)$", TIMEOUT)
        for name, value in re.findall(r"^BENCH (\S+) (\d+)$", session.since("bench"), re.MULTILINE):
            figures[name] = int(value)
        session.expect("hypervisor", r"boot\.first_guest: (\d+) us", 60)
        figures["boot.first_guest"] = int(re.search(r"boot\.first_guest: (\d+) us", session.since("hypervisor")).group(1))
    return figures


def measure(names, quiet=False):
    """[{name, board, value, unit}] for the names, in the order of the budget table."""
    values = {}
    if any(on_machine(name) for name in names):
        for name, value in run_guests(quiet).items():
            values[name] = (DEFAULT_BOARD, value)
    if "size.text" in names:
        build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO)
        build.ninja(["src/bulkhead.elf"], quiet)
        values["size.text"] = (DEFAULT_BOARD, Elf(build.image64).text_size())
    if "size.resident" in names:
        build = Build(SIZE_BOARD, SIZE_SCENARIO)
        build.ninja(["src/bulkhead.elf"], quiet)
        values["size.resident"] = (SIZE_BOARD, Elf(build.image64).resident_size())
    if any(name in bench_config.BUDGETS for name in names):
        for name, value in bench_config.measure(names, quiet).items():
            values[name] = (DEFAULT_BOARD, value)
    return [{"name": name, "board": values[name][0], "value": values[name][1], "unit": BUDGETS[name][1]} for name in BUDGETS if name in names]


def measure_vmx(names, quiet=False):
    """The same on VMX_BOARD."""
    values = {}
    if any(name != "size.text" for name in names):
        values = run_guest(quiet, VMX_BOARD)
    if "size.text" in names:
        build = Build(VMX_BOARD, VMX_SIZE_SCENARIO)
        build.ninja(["src/bulkhead.elf"], quiet)
        values["size.text"] = Elf(build.image64).text_size()
    missing = [name for name in names if name not in values]
    if missing:
        raise Failure("the bench guest gave no figure for %s" % ", ".join(missing))
    return [{"name": name, "board": VMX_BOARD, "value": values[name], "unit": VMX_BUDGETS[name][1]} for name in names]


# What ./bulkhead bench measures on a board, and how.
BOARDS = {DEFAULT_BOARD: (BUDGETS, measure), VMX_BOARD: (VMX_BUDGETS, measure_vmx)}


def selected(only, budgets):
    if not only:
        return list(budgets)
    for word in only:
        if not any(name == word or name.startswith(word + ".") for name in budgets):
            raise Problem("--only %s: there is no such figure; choose of: %s" % (word, ", ".join(budgets)))
    return [name for name in budgets if any(name == word or name.startswith(word + ".") for word in only)]


def missed(result):
    return result["value"] > BOARDS[result["board"]][0][result["name"]][0] if result["board"] in BOARDS else \
        result["value"] > BUDGETS[result["name"]][0]


def command_bench(options):
    if options.json:
        folder = os.path.dirname(os.path.abspath(options.json))
        if not os.path.isdir(folder):
            raise Problem("--json %s: folder %s does not exist" % (options.json, folder))
    if options.board not in BOARDS:
        raise Problem("--board %s: there are budgets for these only: %s" % (options.board, ", ".join(BOARDS)))
    budgets, run = BOARDS[options.board]
    try:
        results = run(selected(options.only, budgets))
    except (Failure, TimeoutError, qemu.Ended) as error:
        raise Problem("bench: %s" % error) from error
    say("%-17s %10s %10s  %-13s %s" % ("FIGURE", "VALUE", "BUDGET", "UNIT", "WHAT"))
    for result in results:
        budget, unit, what = budgets[result["name"]]
        say("%-17s %10d %10d  %-13s %s%s" % (result["name"], result["value"], budget, unit, what, "  MISSED" if missed(result) else ""))
    if options.json:
        write_file(options.json if os.path.isabs(options.json) else os.path.join(os.getcwd(), options.json),
                   (json.dumps({"results": results}, indent=2) + "\n").encode())
    over = [result["name"] for result in results if missed(result)]
    if over:
        raise Problem("over budget: " + ", ".join(over))
    return 0


_results = {}
_vmx_results = {}

# CPU time is not counted in instructions: whatever shares caches and cores adds to it. A figure over its budget is measured again, later.
CONFIG_RETRIES, CONFIG_PAUSE = 5, 20


def vmx_figure_test(name):
    def run():
        if not _vmx_results:
            for result in measure_vmx(list(VMX_BUDGETS), quiet=True):
                _vmx_results[result["name"]] = result
        result = _vmx_results[name]
        if missed(result):
            raise Failure("%s is %d %s, its budget is %d" % (name, result["value"], result["unit"], VMX_BUDGETS[name][0]))
    return run


def figure_test(name):
    def run():
        if not _results:
            for result in measure(list(BUDGETS), quiet=True):
                _results[result["name"]] = result
        result = _results[name]
        for _ in range(CONFIG_RETRIES if name in bench_config.BUDGETS else 0):
            if not missed(result):
                break
            time.sleep(CONFIG_PAUSE)
            result = dict(result, value=min(result["value"], bench_config.measure([name], quiet=True)[name]))
        if missed(result):
            raise Failure("%s is %d %s, its budget is %d" % (name, result["value"], result["unit"], BUDGETS[name][0]))
    return run


def repeatable():
    """Two runs give the same figures."""
    first = {name: result["value"] for name, result in _results.items() if on_machine(name)}
    second = run_guests(True)
    different = ["%s %s/%s" % (name, first[name], second.get(name)) for name in first if second.get(name) != first[name]]
    if different:
        raise Failure("a second run differs: " + ", ".join(different))


def tests():
    return [Test("bench." + name, figure_test(name), chain="bench") for name in BUDGETS] + \
           [Test("bench.repeatable", repeatable, chain="bench")] + \
           [Test("bench.vmx." + name, vmx_figure_test(name), chain="vmx bench") for name in VMX_BUDGETS]
