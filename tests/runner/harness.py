"""Tests as the suite runs them, and what every test on a running machine needs."""

import os
import re

import emulators
import qemu
from common import write_file
from run import channels_of

SHELL_TIMEOUT = 120
LAST_WORDS_TIMEOUT = 10


class Failure(Exception):
    """A test found something wrong; its text says what."""


class Test:
    """fn() runs it and returns how many checks passed (None: one) or raises. Tests of one chain run one after the other, in order; tests
    without a chain run beside them. alone: nothing else runs beside it."""

    def __init__(self, name, fn, chain=None, alone=False):
        self.name, self.fn, self.chain, self.alone = name, fn, chain, alone


def need(condition, text):
    if not condition:
        raise Failure(text)


def refusal(session, timeout, last="boot stopped"):
    """Waits until the hypervisor has refused to start; its log. last: what its last line has."""
    try:
        session.expect("neighbour", r"^neighbour ready$", timeout)
        raise Failure("it started anyway")
    except qemu.Ended as ended:
        need(last in str(ended), "it ended otherwise: %s" % ended)
    return session.since("hypervisor")


class Session:
    """A running machine for one test: named consoles, the shell, and reports that name the logs."""

    def __init__(self, build, test, overrides=None, icount=False, cpus=None, where=None, change=None):
        """change: entries of the emulator's description to replace (those that are not None)."""
        self.build, self.test = build, test
        self.config = build.config()
        self.config["emulator"].update({name: value for name, value in (change or {}).items() if value})
        if where is None:
            where = {"kernel": build.image32, "modules": build.modules(overrides or {}), "append": "console=mux"}
        self.channel = {name: number for number, name in channels_of(self.config).items()}
        self.machine = emulators.of(self.config).Machine(self.config, channels_of(self.config), os.path.join(build.dir, "logs", test),
                                                         icount=icount, cpus=cpus, **where)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        autopsy = self.look_inside() if kind in (Failure, TimeoutError) else ""
        self.machine.close()
        if kind in (Failure, TimeoutError, qemu.Ended):
            raise Failure("%s\n%s" % (error, self.machine.report() + autopsy)) from error
        return False

    def look_inside(self):
        """After a failure: what the hypervisor's shell says of VMs and vCPUs. All of it, with every vCPU's registers, goes into a log."""
        mark = self.mark()
        try:
            vcpus = self.shell("vcpu_list", LAST_WORDS_TIMEOUT)
            self.shell("vm_list", LAST_WORDS_TIMEOUT)
            for vm, vcpu in re.findall(r"^(\S+) +(\d+) +\d+ +(?!offline)", vcpus, re.MULTILINE):
                self.shell("vcpu_dumpreg %s %s" % (vm, vcpu), LAST_WORDS_TIMEOUT)
            dumped = self.mark()
            for command in ("vmexit", "int"):
                self.shell(command, LAST_WORDS_TIMEOUT)
        except (TimeoutError, qemu.Ended):
            dumped = self.mark()
        text = self.since("hypervisor", mark)
        log = os.path.join(self.machine.log_dir, "autopsy.log")
        write_file(log, text.encode())
        short = re.findall(r"^(?:(?:ID|VM|rip) .*|\d+ +\S+ +[a-z].*|\S+ +\d+ +\d+ +[a-z].*|\S+ vcpu \d+ on cpu \d+: .*)$", text[:dumped - mark], re.MULTILINE)
        return "\n  the hypervisor's shell says (%s):\n%s" % (log, "\n".join("    " + line for line in short))

    def mark(self, who="hypervisor"):
        return self.machine.mark(self.channel[who])

    def since(self, who, mark=0):
        return self.machine.since(self.channel[who], mark)

    def expect(self, who, pattern, timeout=300, mark=0):
        return self.machine.expect(self.channel[who], pattern, timeout, mark)

    def type(self, who, text):
        self.machine.send(self.channel[who], text)

    def shell(self, command, timeout=SHELL_TIMEOUT):
        """Types a command at the hypervisor's shell; its output up to the next prompt."""
        mark = self.mark()
        self.type("hypervisor", command + "\r")
        self.expect("hypervisor", r"bulkhead> ", timeout, mark)
        return self.since("hypervisor", mark)

    def vm_state(self, name):
        """A VM's state as vm_list shows it."""
        found = re.search(r"^\d+ +%s +\S+ +(\S+)" % re.escape(name), self.shell("vm_list"), re.MULTILINE)
        need(found, "vm_list does not show %s" % name)
        return found.group(1)

    def control(self, command, name, state, timeout=300):
        """vm_start, vm_stop or vm_restart, and waits until the hypervisor says that the VM is `state` (started or off)."""
        mark = self.mark()
        self.type("hypervisor", "%s %s\r" % (command, name))
        # What is said may come before the command's prompt, which the next command would then take for its own.
        self.expect("hypervisor", r"bulkhead> ", timeout, mark)
        self.expect("hypervisor", r"vm %s: %s" % (name, state), timeout, mark)

    def tap(self, who, timeout=400):
        """Waits for the end of a TAP program; the number of its checks. Fails with the lines that are not ok."""
        def finished():
            return (re.search(r"^(1\.\.(\d+)|Bail out!.*)\n", self.machine.text[self.channel[who]], re.MULTILINE) or
                    re.search(r"(vm %s: stopped:.*)()$" % who, self.machine.text[self.channel["hypervisor"]], re.MULTILINE))
        found = self.machine.wait(finished, timeout, "the end of the program in %s" % who)
        text = self.since(who)
        wrong = re.findall(r"^not ok .*$", text, re.MULTILINE)
        if not found.group(2):
            raise Failure("\n".join([found.group(0)] + wrong))
        passed = len(re.findall(r"^ok \d+ - ", text, re.MULTILINE))
        need(not wrong, "%d of %s checks failed:\n%s" % (len(wrong), found.group(2), "\n".join("    " + line for line in wrong)))
        need(passed == int(found.group(2)) and passed > 0, "the plan says %s checks, %d passed" % (found.group(2), passed))
        return passed

    def neighbour_sound(self, beats=10, who="neighbour", timeout=300):
        """The neighbour goes on for some heartbeats, none was missed since it started, and it noticed nothing."""
        channel = self.channel[who]
        before = len(re.findall(r"^neighbour ok \d+$", self.since(who), re.MULTILINE))

        def enough():
            text = self.machine.text[channel]
            return "BAD" in text or "Bail out" in text or len(re.findall(r"^neighbour ok \d+$", text, re.MULTILINE)) >= before + beats
        self.machine.wait(enough, timeout, "%d heartbeats of the neighbour" % beats)
        text = self.since(who)
        lines = text.split("\n")[:-1]
        bad = [line for line in lines if not re.fullmatch(r"neighbour (ready|ok \d+)", line)]
        need(not bad, "the neighbour noticed something: %s" % "; ".join(bad[:3]))
        numbers = [int(line.split()[2]) for line in lines if line.startswith("neighbour ok ")]
        need(numbers == list(range(1, len(numbers) + 1)), "the neighbour's heartbeats have a gap")
