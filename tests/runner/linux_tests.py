"""Scenario partitioned on its machine: two Linux VMs and a bare-metal guest. One boot serves several tests, which run in order; when one
fails the next still run. The last ones change VMs' states."""

import re
import threading
import time

from build import Build
from common import DEFAULT_BOARD, DEFAULT_SCENARIO
from harness import Failure, Session, Test, need
from run import wait_ready

BOOT_TIMEOUT = 800
BUSY_SECONDS = 60
RELAYED = r"\[\w+\] "  # a line of a user VM on its service VM's console
COUNT_LINE = r"^count (\d+) ([\d.]+)\n"
# Once a second: a number and the guest's own clock.
COUNTER = "n=0; while :; do n=$((n+1)); read u r </proc/uptime; echo count $n $u; sleep 1; done\r"


class Boot:
    """The machine that all tests of a chain share: started by the first, closed by the last. shells: the VMs with a shell on their
    console."""

    def __init__(self, scenario, test, shells):
        self.scenario, self.test, self.shells = scenario, test, shells
        self.session = None
        self.problem = None
        self.serial = 0
        self.lock = threading.Lock()

    def get(self):
        if self.problem:
            raise Failure("not run: the machine did not boot")
        if self.session is None:
            try:
                build = Build(DEFAULT_BOARD, self.scenario).make(quiet=True)
                session = Session(build, self.test)
                try:
                    wait_ready(session.machine, session.config, BOOT_TIMEOUT, report=lambda _: None)
                    for vm in self.shells:
                        session.expect(vm, r"^%s# " % vm, 60)
                except BaseException:
                    session.machine.close()
                    raise
                self.session = session
            except BaseException as error:
                self.problem = error
                raise
        return self.session

    def close(self):
        if self.session is not None:
            self.session.machine.close()
            self.session = None

    def command(self, vm, text, timeout=120):
        """Types a command at a Linux console; its output without the echo and without what a service VM relays."""
        return self.status(vm, text, timeout)[1]

    def status(self, vm, text, timeout=120):
        """The same; (exit status, output)."""
        self.serial += 1
        session = self.get()
        mark = session.mark(vm)
        # The markers are put together by the shell, so that the echo of the typed line is not taken for them.
        session.type(vm, "echo \"begin\"-%d; %s; echo \"end\"-%d-\"of\"-$?\r" % (self.serial, text, self.serial))
        found = session.expect(vm, r"^begin-%d\n((?:.*\n)*)end-%d-of-(\d+)\n" % (self.serial, self.serial), timeout, mark)
        lines = [line for line in found.group(1).splitlines() if not re.match(RELAYED, line)]
        return int(found.group(2)), "\n".join(lines).strip()

    def stop(self, vm):
        """Ctrl-C at a console, and its prompt."""
        session = self.get()
        mark = session.mark(vm)
        session.type(vm, "\x03")
        session.expect(vm, r"%s# " % vm, 60, mark)

    def chain(self, name, steps):
        """The steps [(name, function)] as tests of one chain on this machine."""
        return [Test("%s.%s" % (name, step), self._test(fn, step == steps[-1][0]), chain=name) for step, fn in steps]

    def _test(self, fn, last):
        def run():
            with self.lock:
                try:
                    self.get()
                    return fn()
                except Exception as error:
                    text = str(error)
                    if self.session is not None:
                        text += "\n" + self.session.machine.report()
                        if self.session.machine.ended or self.session.machine.hypervisor_died():
                            self.close()
                            self.problem = error
                    raise Failure(text) from error
                finally:
                    if last:
                        self.close()
        return run


boot = Boot(DEFAULT_SCENARIO, "linux", ("linux0", "linux1"))


def ready():
    boot.get()
    return 3


def cpus():
    for vm in ("linux0", "linux1"):
        answer = boot.command(vm, "nproc")
        need(answer == "2", "nproc in %s says %r" % (vm, answer))
    return 2


def kernel_log():
    """No warning about clocks and no sign of a fault in the kernel's log."""
    for vm in ("linux0", "linux1"):
        log = boot.command(vm, "dmesg -r", timeout=300)
        lines = log.splitlines()
        need(len(lines) > 100, "dmesg of %s is short (%d lines)" % (vm, len(lines)))
        bad = [line for line in lines if re.search(r"Call Trace|\bBUG:|\bOops|unchecked MSR|soft lockup|rcu.*stall|TSC.*unstable|"
                                                   r"clocksource.*(skew|unstable)|nobody cared|general protection", line)]
        bad += [line for line in lines if re.match(r"<[0-4]>", line) and re.search(r"calibrat|\btsc\b|clocksource|apic.*timer|jiffies", line, re.I)]
        need(not bad, "the log of %s has:\n%s" % (vm, "\n".join("    " + line for line in bad[:8])))
    return 2


def uptime(vm):
    return float(boot.command(vm, "cat /proc/uptime").split()[0])


def timed_uptime(vm):
    """A guest's uptime, and the runner's clock before and after it was read."""
    before = time.monotonic()
    return uptime(vm), before, time.monotonic()


def clocks():
    """Ten seconds of the runner's clock are ten seconds of each guest's."""
    first = {vm: timed_uptime(vm) for vm in ("linux0", "linux1")}
    time.sleep(10)
    for vm, (guest, before, after) in first.items():
        later = timed_uptime(vm)
        passed, least, most = later[0] - guest, later[1] - after, later[2] - before  # on a busy machine a command takes its time
        need(least - 1.5 < passed < most + 1.5, "%.1f to %.1f s of the runner's clock were %.1f s in %s" % (least, most, passed, vm))
    return 2


def consoles():
    """What is typed at one console is answered there and shows nowhere else."""
    session = boot.get()
    marks = {name: session.mark(name) for name in session.channel}
    for vm in ("linux0", "linux1"):
        answer = boot.command(vm, "echo it-is-$(hostname)")
        need(answer == "it-is-" + vm, "%s answers %r" % (vm, answer))
    for vm in ("linux0", "linux1"):
        for name, mark in marks.items():
            if name != vm:
                need("it-is-" + vm not in session.since(name, mark), "the answer of %s shows on the console of %s" % (vm, name))
    mark = session.mark("rtos0")
    session.type("rtos0", "ticks\r")
    session.expect("rtos0", r"^rtos0: \d+ ticks at 100 Hz$", 60, mark)
    return 7


def counts(vm, mark):
    return [(int(n), float(up)) for n, up in re.findall(COUNT_LINE, boot.get().since(vm, mark), re.MULTILINE)]


def check_counts(vm, mark, at_least):
    """The counter's lines are complete and its clock is sound. On a busy machine a step lasts longer than a second."""
    seen = counts(vm, mark)
    numbers = [n for n, _ in seen]
    need(len(seen) >= at_least, "%s counted to %d only, expected %d" % (vm, len(seen), at_least))
    need(numbers == list(range(numbers[0], numbers[0] + len(numbers))), "%s missed a count: %s" % (vm, numbers))
    steps = [later - earlier for (_, earlier), (_, later) in zip(seen, seen[1:])]
    need(min(steps) > 0.9 and max(steps) < 15.0, "the clock of %s does not step by a second: %.2f to %.2f" % (vm, min(steps), max(steps)))
    return seen


def busy_loop():
    """Both CPUs of linux0 spin for a minute; linux1's clock and console and rtos0's ticks stay sound."""
    session = boot.get()
    mark = session.mark("linux1")
    session.type("linux1", COUNTER)
    session.expect("linux1", COUNT_LINE, 60, mark)
    began = time.monotonic()
    first = counts("linux1", mark)[0]
    rtos = session.mark("rtos0")
    boot.command("linux0", "for i in 1 2; do (while :; do :; done) & done; sleep %d; kill $(jobs -p)" % BUSY_SECONDS, BUSY_SECONDS * 4)
    # From one line's arrival to another's: both are about as late.
    session.expect("linux1", COUNT_LINE, 60, session.mark("linux1"))
    host = time.monotonic() - began
    seen = check_counts("linux1", mark, BUSY_SECONDS // 6)
    guest = seen[-1][1] - first[1]
    need(abs(host - guest) < 5, "%.1f s of the runner's clock were %.1f s in linux1" % (host, guest))
    boot.stop("linux1")
    ticks = [int(n) for n in re.findall(r"^rtos0: (\d+) ticks$", session.since("rtos0", rtos), re.MULTILINE)]
    need(len(ticks) >= BUSY_SECONDS // 20, "rtos0 reported its ticks %d times in %d s" % (len(ticks), BUSY_SECONDS))
    return 4


def reboot_one():
    """linux0 reboots by itself while linux1 counts: linux1 misses nothing."""
    session = boot.get()
    mark = session.mark("linux1")
    session.type("linux1", COUNTER)
    session.expect("linux1", COUNT_LINE, 60, mark)
    starts = session.mark("linux0")
    session.type("linux0", "reboot\r")
    session.expect("linux0", r"^bulkhead: linux0 ready$(?:.|\n)*^linux0# ", BOOT_TIMEOUT, starts)
    check_counts("linux1", mark, 5)
    boot.stop("linux1")
    need(boot.command("linux0", "nproc") == "2", "linux0 does not have 2 CPUs after its reboot")
    need(uptime("linux0") < uptime("linux1"), "linux0's uptime says that it did not reboot")
    return 4


def poweroff_one():
    """linux0 powers itself off; the others go on; the shell starts it again."""
    session = boot.get()
    mark = session.mark()
    session.type("linux0", "poweroff\r")
    session.expect("hypervisor", r"vm linux0: off", 120, mark)
    need(session.vm_state("linux0") == "off", "vm_list does not say that linux0 is off")
    need(session.vm_state("linux1") == "started", "linux1 is not running any more")
    need(boot.command("linux1", "hostname") == "linux1", "linux1 does not answer")
    starts = session.mark("linux0")
    session.control("vm_start", "linux0", "started")
    session.expect("linux0", r"^bulkhead: linux0 ready$(?:.|\n)*^linux0# ", BOOT_TIMEOUT, starts)
    return 5


def restart_one():
    """vm_restart from the shell: linux1 starts anew, linux0 keeps what it has."""
    session = boot.get()
    boot.command("linux0", "echo kept >/tmp/kept")
    boot.command("linux1", "echo lost >/tmp/lost")
    starts = session.mark("linux1")
    session.control("vm_restart", "linux1", "started")
    session.expect("linux1", r"^bulkhead: linux1 ready$(?:.|\n)*^linux1# ", BOOT_TIMEOUT, starts)
    need(boot.command("linux1", "ls /tmp") == "", "a file of linux1 outlived its restart")
    need(boot.command("linux0", "cat /tmp/kept") == "kept", "linux0 lost a file")
    return 3


SHELL_COMMANDS = [
    ("help", r"vm_list"), ("version", r"qemu-q35"), ("vm_list", r"linux1 .*started"), ("vcpu_list", r"linux0 +1 "),
    ("vcpu_dumpreg linux0 0", r"rip"), ("vcpu_dumpreg rtos0 0", r"rip"), ("dump_guest_mem linux0 0x100000 64", r"0000000000100000  "),
    ("dump_guest_mem linux0 0x7fffffff0000 16", r"no memory"), ("dump_host_mem 0x1000000 64", r"0000000001000000  "),
    ("vioapic linux0", r"(?i)pin|gsi|entry"), ("int", r"\d"), ("dump_ioapic", r"(?i)pin|gsi|entry|ioapic"), ("loglevel", r"4|info"),
    ("cpuid 0", r"(?i)68747541|authenticamd|ebx"), ("rdmsr 0x1b", r"(?i)fee00"), ("rdmsr 0xffffffff", r"."), ("vmexit", r"(?i)cpuid"),
    ("vm_console nobody", r"there is no vm"), ("nonsense", r"no such command"),
]


def shell():
    session = boot.get()
    for command, pattern in SHELL_COMMANDS:
        mark = session.mark()
        session.shell(command)
        try:
            session.expect("hypervisor", pattern, 30, mark)
        except TimeoutError:
            raise Failure("shell command '%s' answers:\n%s" % (command, session.since("hypervisor", mark))) from None
    return len(SHELL_COMMANDS)


STEPS = [("ready", ready), ("cpus", cpus), ("kernel_log", kernel_log), ("clocks", clocks), ("consoles", consoles), ("shell", shell),
         ("busy_loop", busy_loop), ("reboot_one", reboot_one), ("poweroff_one", poweroff_one), ("restart_one", restart_one)]


def tests():
    return boot.chain("linux", STEPS)
