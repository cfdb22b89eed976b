"""Scenarios shared and hybrid: a Linux service VM with the in-tree driver starts user VMs with the device model of tests/dm. One boot of
each serves several tests, which run in order."""

import re
import time

import linux_kernel
from harness import Test, need
from linux_tests import BOOT_TIMEOUT, Boot

CYCLES = 20
LEAK_KB = 4096  # what free memory may differ by for good: slabs, a daemon's heap; 1/20 of it per cycle is less than any object of a user VM
DETACH = "\x1c"
# Quick to show life: the kernel's first line comes by the early console, before anything is probed.
EARLY = '--cmdline "earlyprintk=serial,ttyS0 console=ttyS0 tsc_early_khz=@tsc_khz@ tsc=reliable panic=-1 bh.name=%s"'
DRIVER_TROUBLE = r"acrn_hsm.*(fail|error|run out|cannot)|Call Trace|\bBUG:|\bOops|WARNING:|soft lockup|rcu.*stall|nobody cared"

shared = Boot("shared", "hsm", ("service",))
hybrid = Boot("hybrid", "hybrid", ("service",))


def status_of(boot, name):
    """What `uvm status` says, without the leading ok; None when no device model runs for that name."""
    code, text = boot.status("service", "uvm status %s" % name)
    return text[3:] if code == 0 and text.startswith("ok ") else None


def wait_until(what, condition, timeout=120):
    end = time.monotonic() + timeout
    while not condition():
        need(time.monotonic() < end, "%s did not come within %d s" % (what, timeout))
        time.sleep(0.5)


def relayed(boot, name, pattern, mark, timeout=BOOT_TIMEOUT):
    """Waits for a line of a user VM on the service VM's console."""
    return boot.get().expect("service", r"\[%s\] .*%s" % (name, pattern), timeout, mark)


def prompt(session, name):
    """Gets a prompt of an attached user VM. What else the service VM relays may have torn the first one apart: then another is asked for."""
    for attempt in range(12):
        mark = session.mark("service")
        session.type("service", "\r")
        try:
            session.expect("service", r"^%s# " % name, 10, mark)
            return
        except TimeoutError:
            need(attempt < 11, "%s shows no prompt" % name)


def in_user_vm(boot, name, commands):
    """Attaches to a user VM's console, types commands, detaches; their outputs."""
    session = boot.get()
    mark = session.mark("service")
    session.type("service", "uvm console %s\r" % name)
    session.expect("service", r"^attached; ", 60, mark)
    prompt(session, name)
    try:
        return [boot.command("service", command, 180) for command in commands]
    finally:
        mark = session.mark("service")
        session.type("service", DETACH)
        session.expect("service", r"^detached$(?:.|\n)*service# ", 60, mark)


def start(boot, name, options="", shows="bulkhead: %s ready"):
    """Starts a user VM and waits for its line."""
    mark = boot.get().mark("service")
    boot.command("service", "uvm start %s %s" % (name, options))
    relayed(boot, name, shows % name if "%s" in shows else shows, mark)


def gone(boot, name):
    """Waits until a user VM's device model is gone: the process itself, which closes its sockets before it gives its memory back and before
    it takes away their names, which the next one's sockets have too."""
    wait_until("the end of the device model of " + name,
               lambda: boot.status("service", "ps -o args | grep -q '^dm --name %s '" % name)[0] != 0)


def stop(boot, name):
    """Ends a user VM and waits until its device model is gone."""
    code, text = boot.status("service", "uvm stop %s" % name)
    need(code == 0, "uvm stop %s says: %s" % (name, text))
    gone(boot, name)


def memory(boot):
    """Free memory of the service VM in kB (buddy allocator and its lists per CPU, without the page cache), its huge pages (free, all),
    and how many pages drivers hold pinned."""
    boot.command("service", "sync; echo 3 >/proc/sys/vm/drop_caches")
    meminfo = boot.command("service", "cat /proc/meminfo")
    free, huge_free, huge = (int(re.search(r"^%s: +(\d+)" % name, meminfo, re.MULTILINE).group(1))
                             for name in ("MemFree", "HugePages_Free", "HugePages_Total"))
    lists = boot.command("service", "grep -E '^ +count:' /proc/zoneinfo")
    free += 4 * sum(int(count) for count in re.findall(r"count: (\d+)", lists))
    pins = boot.command("service", "grep nr_foll_pin_ /proc/vmstat")
    acquired, released = (int(re.search(r"nr_foll_pin_%s (\d+)" % name, pins).group(1)) for name in ("acquired", "released"))
    return {"free": free, "huge": (huge_free, huge), "pinned": acquired - released}


def nothing_used(boot, before=None):
    """Waits until user VMs have no memory any more, and, when it is given, all is there again that was there before; memory() then. Frees
    may be deferred (RCU, work queues); what is lost stays lost."""
    end = time.monotonic() + 60
    while True:
        now = memory(boot)
        if (now["huge"][0] == now["huge"][1] and now["pinned"] == 0 and
                (before is None or (now["huge"] == before["huge"] and before["free"] - now["free"] <= LEAK_KB))):
            return now
        need(time.monotonic() < end, "no user VM is there; free memory in kB, huge pages, pages pinned: %r, before: %r" % (now, before))
        time.sleep(2)


# ---- scenario shared -------------------------------------------------------------------------------------------------------------

def kernel():
    """The service VM's kernel builds, or is in the cache."""
    linux_kernel.hsm_kernel()


def driver():
    code, _ = shared.status("service", "test -c /dev/acrn_hsm -a -w /sys/class/misc/acrn_hsm/remove_cpu")
    need(code == 0, "/dev/acrn_hsm or its remove_cpu is not there")
    log = shared.command("service", "dmesg", 300)
    bad = [line for line in log.splitlines() if re.search(DRIVER_TROUBLE, line, re.I)]
    need(not bad, "the service VM's kernel complains:\n" + "\n".join(bad[:8]))
    need(shared.command("service", "nproc") == "4", "the service VM does not have its 4 CPUs")
    return 3


def user_shell():
    """The user VM that the service VM starts by itself has 2 CPUs and answers at its console."""
    answers = in_user_vm(shared, "uvm0", ["hostname", "nproc", "test -e /dev/acrn_hsm; echo $?"])
    need(answers == ["uvm0", "2", "1"], "uvm0 answers %r" % answers)
    need(shared.command("service", "hostname") == "service", "the service VM's own shell does not answer")
    return 4


def user_reboot():
    """A reboot from inside the user VM starts it anew; the service VM does not notice."""
    mark = shared.get().mark("service")
    in_user_vm(shared, "uvm0", ["{ (sleep 3; reboot -f) & }"])  # when nobody is attached any more
    relayed(shared, "uvm0", "bulkhead: uvm0 ready", mark)
    need(in_user_vm(shared, "uvm0", ["nproc"]) == ["2"], "uvm0 does not have 2 CPUs after its reboot")
    return 2


def pause_reset():
    status, text = shared.status("service", "uvm pause uvm0")
    need(status == 0 and "paused" in text, "uvm pause says: " + text)
    said = [status_of(shared, "uvm0") for _ in range(2)]
    need(said[0] == said[1] and "paused" in said[0], "a paused VM goes on: %r" % said)
    mark = shared.get().mark("service")
    status, text = shared.status("service", "uvm reset uvm0")
    need(status == 0 and "running" in text, "uvm reset says: " + text)
    relayed(shared, "uvm0", "bulkhead: uvm0 ready", mark)
    return 4


def user_poweroff():
    """The user VM powers itself off: its device model ends, its slot is free, and it can be started again."""
    mark = shared.get().mark("service")
    in_user_vm(shared, "uvm0", ["{ (sleep 3; poweroff -f) & }"])  # when nobody is attached any more
    shared.get().expect("service", r"dm: uvm0 is off$", 120, mark)  # it may come behind the shell's prompt
    gone(shared, "uvm0")
    need(shared.get().vm_state("uvm0") == "off", "vm_list does not say that uvm0 is off")
    start(shared, "uvm0")
    stop(shared, "uvm0")
    return 4


def cycles():
    """Twenty times create, start, pause, reset, destroy: all memory comes back."""
    before = nothing_used(shared)
    for i in range(CYCLES):
        start(shared, "uvm0", EARLY % "uvm0", "Linux version")
        need("paused" in shared.command("service", "uvm pause uvm0"), "cycle %d: it does not pause" % i)
        mark = shared.get().mark("service")
        need("running" in shared.command("service", "uvm reset uvm0"), "cycle %d: it does not reset" % i)
        relayed(shared, "uvm0", "Linux version", mark)
        stop(shared, "uvm0")
    nothing_used(shared, before)
    return CYCLES * 4 + 2


def small_pages():
    """A user VM from ordinary pages: tens of thousands of regions in one call."""
    before = nothing_used(shared)
    start(shared, "uvm0", "--small-pages")
    need(in_user_vm(shared, "uvm0", ["hostname"]) == ["uvm0"], "uvm0 does not answer")
    stop(shared, "uvm0")
    nothing_used(shared, before)
    return 2


def polling():
    """The mode in which the hypervisor polls for the completion of I/O requests."""
    start(shared, "uvm0", "--polling")
    need(in_user_vm(shared, "uvm0", ["nproc"]) == ["2"], "uvm0 does not answer")
    stop(shared, "uvm0")
    return 2


def refused():
    """What is refused is said with the call's name; nothing is left behind."""
    code, text = shared.status("service", "dm --name uvm0 --kernel /boot/vmlinuz --cpus 1 --affinity 1 </dev/null 2>&1")
    need(code == 1 and "CREATE_VM" in text, "a CPU that is not the slot's: %r" % text)
    code, text = shared.status("service", "dm --name uvm0 --kernel /boot/vmlinuz --memory 3G </dev/null 2>&1")
    need(code == 1 and "huge pages" in text, "more memory than there is: %r" % text)
    code, text = shared.status("service", "dm --name uvm0 --kernel /etc/rc </dev/null 2>&1")
    need(code == 1 and "neither a bzImage nor an ELF file" in text, "a kernel that is none: %r" % text)
    need(shared.get().vm_state("uvm0") == "off", "uvm0 is not off after refusals")
    return 4


def remove_cpu():
    """A CPU that the service VM gives up becomes usable by a slot; the boot CPU cannot be given up."""
    code, _ = shared.status("service", "echo 0 >/sys/class/misc/acrn_hsm/remove_cpu")
    need(code != 0, "CPU 0 could be removed")
    code, text = shared.status("service", "echo 3 >/sys/class/misc/acrn_hsm/remove_cpu")
    need(code == 0, "remove_cpu: " + text)
    need(shared.command("service", "nproc") == "3", "the service VM still has CPU 3")
    start(shared, "guest1", "--cpus 1 --affinity 8 --apic-ids 3")
    need(in_user_vm(shared, "guest1", ["nproc"]) == ["1"], "guest1 does not run on the CPU that was given up")
    stop(shared, "guest1")
    return 5


def two_user_vms():
    """The keyed slot and the spare one at once, each on its own CPUs."""
    code, text = shared.status("service", "echo 2 >/sys/class/misc/acrn_hsm/remove_cpu")
    need(code == 0, "remove_cpu: " + text)
    for name in ("uvm0", "guest1"):
        start(shared, name)
        answers = in_user_vm(shared, name, ["hostname", "nproc"])
        need(answers == [name, "2"], "%s answers %r" % (name, answers))
    need(in_user_vm(shared, "uvm0", ["hostname"]) == ["uvm0"], "uvm0 does not answer beside guest1")
    need(len(shared.command("service", "uvm list").splitlines()) == 2, "uvm list does not show two VMs")
    # The device model of one is killed: the driver destroys its VM, the other goes on.
    shared.command("service", "kill -9 $(pidof dm | cut -d ' ' -f 1)")
    wait_until("one user VM", lambda: len(shared.command("service", "uvm list 2>/dev/null").splitlines()) == 1)
    left = re.match(r"ok (\w+):", shared.command("service", "uvm list 2>/dev/null")).group(1)
    need(in_user_vm(shared, left, ["hostname"]) == [left], "the user VM that is left does not answer")
    stop(shared, left)
    nothing_used(shared)
    return 9


def service_off():
    """The service VM powers off with a user VM running: both end, the hypervisor lives."""
    session = shared.get()
    start(shared, "uvm0")
    mark = session.mark()
    session.type("service", "poweroff -f\r")
    session.expect("hypervisor", r"vm service: off", 120, mark)
    need(session.vm_state("uvm0") == "off", "uvm0 outlived its service VM")
    return 2


# ---- scenario hybrid -------------------------------------------------------------------------------------------------------------

def safety_ready():
    need(hybrid.get().vm_state("rtos0") == "started", "rtos0 does not run")
    need(status_of(hybrid, "uvm0") is not None, "uvm0 does not run")
    return 2


def service_reboot():
    """reboot -f in the service VM: it and its user VM come back; the safety VM's heart goes on beating meanwhile."""
    session = hybrid.get()
    beats, began = session.mark("rtos0"), time.monotonic()
    mark = session.mark("service")
    session.type("service", "reboot -f\r")
    session.expect("service", r"^bulkhead: service ready$", BOOT_TIMEOUT, mark)
    relayed(hybrid, "uvm0", "bulkhead: uvm0 ready", mark)
    asked = session.mark("rtos0")
    session.type("rtos0", "ticks\r")
    session.expect("rtos0", r"^rtos0: \d+ ticks at 100 Hz$", 60, asked)
    seen = [int(n) for n in re.findall(r"^rtos0: (\d+) ticks$", session.since("rtos0", beats), re.MULTILINE)]
    passed = time.monotonic() - began
    need(len(seen) >= passed // 20, "rtos0 reported its ticks %d times in %d s" % (len(seen), passed))
    need(all(later > earlier for earlier, later in zip(seen, seen[1:])), "rtos0's count does not only grow: %s" % seen)
    session.expect("service", r"^service# ", 60, mark)
    need(in_user_vm(hybrid, "uvm0", ["hostname"]) == ["uvm0"], "uvm0 does not answer after the service VM's reboot")
    return 5


def service_stop():
    """The hypervisor's shell stops the service VM and starts it again: the safety VM goes on, the user VM ends and comes back."""
    session = hybrid.get()
    session.control("vm_stop", "service", "off")
    need(session.vm_state("uvm0") == "off", "uvm0 outlived its service VM")
    beats = session.mark("rtos0")
    session.expect("rtos0", r"^rtos0: \d+ ticks$(?:.|\n)*^rtos0: \d+ ticks$", 300, beats)
    mark = session.mark("service")
    session.control("vm_start", "service", "started")
    relayed(hybrid, "uvm0", "bulkhead: uvm0 ready", mark)
    return 4


SHARED_STEPS = [("driver", driver), ("user_shell", user_shell), ("user_reboot", user_reboot), ("pause_reset", pause_reset),
                ("user_poweroff", user_poweroff), ("cycles", cycles), ("small_pages", small_pages), ("polling", polling),
                ("refused", refused), ("remove_cpu", remove_cpu), ("two_user_vms", two_user_vms), ("service_off", service_off)]
HYBRID_STEPS = [("safety_ready", safety_ready), ("service_reboot", service_reboot), ("service_stop", service_stop)]


def tests():
    return [Test("hsm.kernel", kernel, chain="hsm")] + shared.chain("hsm", SHARED_STEPS) + hybrid.chain("hybrid", HYBRID_STEPS)
