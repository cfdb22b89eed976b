"""./bulkhead run: a scenario on its board, at a person's terminal or for a script."""

import os
import re
import sys
import termios
import threading
import time

import emulators
import image
import mux
from build import Build, module_overrides
from common import Problem, say
from machine import Ended

DEFAULT_TIMEOUT = 300
CONSOLE_HELP = """The terminal is the hypervisor's console now: its log, then its shell.
  vm_console NAME   attaches a VM's console ({vms}); Ctrl-] comes back to the shell
  help              lists the shell's commands
  Ctrl-A x          ends the emulator
"""


def prepare(options):
    """Build, modules and, with --iso, the ISO. Returns (build, config, keyword arguments for the emulator)."""
    build = Build(options.board, options.scenario)
    if getattr(options, "iso", None) not in (None, "bios", "uefi"):
        raise Problem("--iso %s: choose bios or uefi" % options.iso)
    overrides = module_overrides(options.module)
    say("building scenario %s for board %s" % (options.scenario, options.board))
    config = build.describe()
    emulator = emulators.of(config)
    if not emulator:
        raise Problem("board '%s' names no emulator that can run it; ./bulkhead build %s --board %s makes its image" %
                      (options.board, options.scenario, options.board))
    emulator.check(config["emulator"], options.board)
    build.make()
    modules = build.modules(overrides)
    append = "console=mux" if options.headless else ""
    where = {"kernel": build.image32, "modules": modules, "append": append}
    if options.iso:
        where = {"iso": image.make_iso(build, modules, append, build.path("bulkhead-%s.iso" % ("mux" if append else "plain")))}
        if options.iso == "uefi":
            where["firmware"] = image.uefi_files(build)
    return build, config, where


def interactive(build, config, where, options):
    say(CONSOLE_HELP.format(vms=", ".join(vm["name"] for vm in config["vms"] if vm["console"])))
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    try:
        emulators.of(config).interactive(config, build.path("logs/%s.log" % config["emulator"]["kind"]), timeout=options.timeout,
                                         icount=options.icount, **where)
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        print()
    return 0


def channels_of(config):
    """{channel: name} of the hypervisor and every VM that has a console."""
    channels = {mux.HYPERVISOR: "hypervisor"}
    for vm in config["vms"]:
        if vm["console"]:
            channels[mux.vm_channel(vm["id"])] = vm["name"]
    return channels


class Readiness:
    """Which VMs have printed their ready text."""

    def __init__(self, config):
        ids = {vm["name"]: vm["id"] for vm in config["vms"]}
        # A user VM's text appears on the console of the service VM, which relays it.
        self.shown_on = {vm["name"]: vm.get("ready_on") or vm["name"] for vm in config["vms"]}
        self.channel = {name: mux.vm_channel(ids[shown]) for name, shown in self.shown_on.items()}
        self.waiting = {vm["name"]: vm for vm in config["vms"] if vm["ready"]}
        if not self.waiting:
            raise Problem("--until-ready: no VM of this scenario has a ready text; add <ready> or leave the option out")
        self.lock = threading.Lock()

    def look(self, machine):
        """Under machine.changed: takes VMs that became ready off the list and returns them."""
        found = []
        with self.lock:
            for name, vm in list(self.waiting.items()):
                if vm["ready"] in machine.text[self.channel[name]]:
                    found.append(vm)
                    del self.waiting[name]
        return found

    def lost(self, machine):
        """Under machine.changed: the hypervisor's line that says that a VM which is awaited will not come, or None."""
        names = "|".join(sorted({re.escape(self.shown_on[name]) for name in self.waiting}))
        found = re.search(r"vm (?:%s): (?:stopped: |not started: |off\b).*\n" % names, machine.text[mux.HYPERVISOR]) if names else None
        return found.group(0).strip() if found else None


def wait_ready(machine, config, timeout, report=say):
    """Waits until every VM with a ready text has printed it. Raises Problem that names the VM and its last console lines."""
    ready = Readiness(config)
    end = machine.started + timeout
    next_note = machine.started + 10
    while ready.waiting:
        names = ", ".join(vm["name"] for vm in ready.waiting.values())
        try:
            left = max(0.1, min(end, next_note) - time.monotonic())
            found = machine.wait(lambda: ready.look(machine) or ready.lost(machine), left / machine.patience, "readiness")
            if isinstance(found, list):
                for vm in found:
                    report("%s is ready after %.1f s" % (vm["name"], time.monotonic() - machine.started))
                continue
            why = "the hypervisor says '%s'" % found
        except TimeoutError:
            if time.monotonic() < end:
                report("  ... waiting for %s (%d s)" % (names, time.monotonic() - machine.started))
                next_note = time.monotonic() + 10
                continue
            why = "did not print its ready text within %d s" % timeout
        except Ended as ended:
            why = str(ended)
        lines = []
        for name, vm in sorted(ready.waiting.items()):
            channel = ready.channel[name]
            lines.append("vm '%s' is not ready (%r): %s; its last console lines (%s):" %
                         (name, vm["ready"], why, machine.log_path(channel)))
            lines.append(machine.last_lines(channel) or "    (none)")
        lines.append("last lines of the hypervisor (%s):" % machine.log_path(mux.HYPERVISOR))
        lines.append(machine.last_lines(mux.HYPERVISOR) or "    (none)")
        complaint = machine.stop_reason()
        if complaint:
            lines.append("%s says: %s" % (machine.emulator, complaint.splitlines()[-1]))
        raise Problem("\n".join(lines))


def show_log(machine, stop):
    """Prints the hypervisor's log as it comes (headless without --until-ready)."""
    shown = 0
    while not stop.is_set():
        with machine.changed:
            machine.changed.wait(0.5)
            text = machine.text[mux.HYPERVISOR]
        end = text.rfind("\n") + 1
        if end > shown:
            sys.stdout.write(text[shown:end])
            sys.stdout.flush()
            shown = end


def headless(build, config, where, options):
    logs = build.path("logs")
    with emulators.of(config).Machine(config, channels_of(config), logs, icount=options.icount, **where) as machine:
        say("started; console logs are in %s" % logs)
        if options.until_ready:
            wait_ready(machine, config, options.timeout or DEFAULT_TIMEOUT)
            return 0
        stop = threading.Event()
        shower = threading.Thread(target=show_log, args=(machine, stop), daemon=True)
        shower.start()
        try:
            machine.wait(lambda: False, options.timeout or 10 ** 9, "the end")
        except TimeoutError:
            say("stopped after %d s" % options.timeout)
        except Ended as ended:
            time.sleep(0.6)
            if re.search("panic|boot stopped", str(ended)) or machine.child.poll() not in (0, None):
                raise Problem("%s\n%s" % (ended, machine.report())) from ended
            say(str(ended))
        except KeyboardInterrupt:
            say("stopped")
        finally:
            stop.set()
            shower.join(2)
    return 0


def command_run(options):
    if options.until_ready:
        options.headless = True
    build, config, where = prepare(options)
    if options.headless:
        return headless(build, config, where, options)
    return interactive(build, config, where, options)
