"""How the image starts: by GRUB under BIOS and UEFI, on a machine that is not the board, with modules missing; and ./bulkhead's messages
for what a person may get wrong."""

import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time

import image
from build import Build
from common import DEFAULT_BOARD, DEFAULT_SCENARIO, PYTHON, ROOT, Problem, need_space, tail
from harness import Failure, Session, Test, need, refusal
from run import wait_ready

MAIN = os.path.join(ROOT, "tests/runner/main.py")


def from_iso(firmware):
    def run():
        build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO).make(quiet=True)
        modules = build.modules({})
        iso = image.make_iso(build, modules, "console=mux", build.path("test-%s.iso" % firmware))
        where = {"iso": iso}
        if firmware == "uefi":
            where["firmware"] = image.uefi_files(build)
        with Session(build, "iso-" + firmware, where=where) as session:
            wait_ready(session.machine, session.config, 800, report=lambda _: None)
            need(re.search(r"started by multiboot2", session.since("hypervisor")), "the log does not say multiboot2")
        return 4
    return run


def stops(cpus=None, cpu=None, memory=None, drop=None, pattern=None):
    """The hypervisor refuses to start, with the expected line, and says so soon (in a few seconds, where nothing else runs)."""
    def run():
        build = Build(DEFAULT_BOARD, "guest-test").make(guests=["exits"], quiet=True)
        modules = build.modules({"subject": build.path("tests/guests/exits.elf")})
        where = {"kernel": build.image32, "modules": [pair for pair in modules if pair[1] != drop], "append": "console=mux"}
        session = Session(build, "stops-%s" % (cpus or cpu or memory or drop), where=where, cpus=cpus, change={"cpu": cpu, "memory": memory})
        with session:
            began = time.monotonic()
            log = refusal(session, 120)
            need(time.monotonic() - began < 90, "it took %d s to say so" % (time.monotonic() - began))
            need(re.search(pattern, log), "no line like %r" % pattern)
            lines = re.findall(r"ERROR: .*", log)
            need(lines and all(len(line) < 240 for line in lines), "the difference is not one line")
        return 3
    return run


def bulkhead(arguments, env=None):
    """Runs the runner's command line; (status, output)."""
    done = subprocess.run([PYTHON, MAIN] + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=ROOT,
                          env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL, timeout=1500)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def refuses(arguments, pattern, env=None):
    """The command ends with status 1 or 2 and one line that says what is wrong."""
    status, output = bulkhead(arguments, env)
    need(status in (1, 2), "status %d; it said:\n%s" % (status, output))
    need("Traceback" not in output, "a traceback:\n" + output)
    lines = [line for line in output.splitlines() if line.startswith("bulkhead: ")]
    need(len(lines) == 1 and re.search(pattern, lines[0]), "no single line like %r in:\n%s" % (pattern, output))


def fake_tool(folder, name, script):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + script)
    os.chmod(path, 0o755)


def wrong_names():
    refuses(["run", "no-such-scenario", "--headless"], r"no scenario 'no-such-scenario'; choose one of: .*partitioned")
    refuses(["run", "partitioned", "--board", "no-such-board", "--headless"], r"no board 'no-such-board'; choose one of: .*qemu-q35")
    refuses(["run", "guest-test", "--headless", "--module", "nobody=/dev/null"], r"no module of that name")
    refuses(["run", "guest-test", "--headless"], r"module 'subject' needs --module subject=FILE")
    refuses(["bench", "--only", "nothing"], r"no such figure")
    return 5


def missing_kernel():
    """No kernel in the cache and none to be had: one line, and nothing left in the cache."""
    Build(DEFAULT_BOARD, "linux1").make(quiet=True)  # with the compiler's own cache, not in the empty one
    with tempfile.TemporaryDirectory() as work:
        for tool in ("apt-cache", "apt-get", "sudo"):
            fake_tool(work, tool, "echo 'E: no network here'\nexit 100\n")
        env = {"PATH": work + ":" + os.environ["PATH"], "XDG_CACHE_HOME": os.path.join(work, "cache")}
        refuses(["run", "linux1", "--headless"], r"debian:kernel: .*linux-image-cloud-amd64", env)
        fake_tool(work, "apt-cache", "case $1 in depends) echo '  Depends: linux-image-6.1.0-1-cloud-amd64';; *) echo '  Candidate: 6.1.1-1';; esac\n")
        refuses(["run", "linux1", "--headless"], r"debian:kernel: package linux-image-6\.1\.0-1-cloud-amd64 .* could not be fetched: E: no network", env)
        left = [name for _, _, files in os.walk(os.path.join(work, "cache")) for name in files]
        need(not left, "left in the cache: %s" % left)
    return 3


def old_qemu():
    with tempfile.TemporaryDirectory() as work:
        fake_tool(work, "qemu-system-x86_64", "echo 'QEMU emulator version 6.2.0 (Debian)'\n")
        refuses(["run", "bare", "--headless"], r"version 6\.2\.0, board 'qemu-q35' needs 7\.2", {"PATH": work + ":" + os.environ["PATH"]})


def no_disk():
    """A build is refused before it writes anything when the disk cannot hold it."""
    with tempfile.TemporaryDirectory() as work:
        try:
            need_space(os.path.join(work, "build", "x"), 1 << 60, "the build of x")
        except Problem as problem:
            need(re.fullmatch(r"no free disk: the build of x needs \d+ MiB in .*, \d+ MiB are free", str(problem)), str(problem))
        else:
            raise Failure("2^60 bytes were said to be free")
        need(os.listdir(work) == [], "something was written")
        fake = "import common, os, sys\nimport shutil\nshutil.disk_usage = lambda path: type('U', (), {'free': 1 << 20})\n" \
               "import main\nsys.argv = ['bulkhead', 'build', 'bare']\nsys.exit(main.main())\n"
        done = subprocess.run([PYTHON, "-c", "import sys; sys.path.insert(0, %r); sys.dont_write_bytecode = True\n%s" %
                               (os.path.dirname(MAIN), fake)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env=dict(os.environ, BULKHEAD_BUILD_DIR=os.path.join(work, "build")))
        output = done.stdout.decode()
        need(done.returncode == 1 and re.match(r"bulkhead: no free disk: ", output) and output.count("\n") == 1, output)
        need(not os.path.exists(os.path.join(work, "build")), "something was written")
    return 4


def until_ready_fails():
    """--until-ready with a VM that never gets ready: status 1, the VM's name, its last lines."""
    build = Build(DEFAULT_BOARD, "bench").make(guests=["triple_fault"], quiet=True)
    status, output = bulkhead(["run", "bench", "--headless", "--until-ready", "--timeout", "120", "--module",
                               "bench=" + build.path("tests/guests/triple_fault.elf")])
    need(status == 1, "status %d" % status)
    need("vm 'bench' is not ready" in output and "triple_fault: now" in output and "the hypervisor says 'vm bench: stopped: " in output, output)
    return 4


class Terminal:
    """A command on a pseudo-terminal, as a person has it."""

    def __init__(self, arguments):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execv(PYTHON, [PYTHON, MAIN] + arguments)

    def expect(self, pattern, timeout=120):
        """Waits for a pattern and takes the text up to it away."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            if select.select([self.fd], [], [], 0.5)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode("utf-8", "replace").replace("\r", "")
                except OSError:
                    break
        raise Failure("%r did not come; the terminal's last lines:\n%s" % (pattern, tail(self.text, 12)))

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        """The command's exit status; ends it when it does not end by itself."""
        end = time.monotonic() + 20
        status = None
        while status is None and time.monotonic() < end:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(raw)
            elif select.select([self.fd], [], [], 0.2)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    time.sleep(0.1)
        if status is None:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
        return status


def interactive():
    """The terminal way: the keys are explained, the shell answers, a VM's console is attached and left, Ctrl-A x ends it."""
    terminal = Terminal(["run", "bare"])
    try:
        terminal.expect(r"Ctrl-\] comes back to the shell(?:.|\n)*Ctrl-A x +ends the emulator", 300)
        terminal.expect(r"bulkhead> ")
        # Each is started by a CPU of its own: in either order.
        terminal.expect(r"vm rtos(0|1): started(?:.|\n)*vm rtos(?!\1)[01]: started")
        terminal.type("vm_list\r")
        terminal.expect(r"rtos0 +pre-launched +started")
        terminal.type("vm_console rtos1\r")
        terminal.expect(r"\[console of vm rtos1; Ctrl-\] returns to the hypervisor shell\]")
        terminal.expect(r"rtos1 ready")  # before that it takes its UART into use, and what was typed is lost
        terminal.type("ticks\r")
        terminal.expect(r"rtos1: \d+ ticks at 100 Hz")
        terminal.type("\x1d")
        terminal.expect(r"\[hypervisor shell\]")
        terminal.type("version\r")
        terminal.expect(r"qemu-q35")
        terminal.type("\x01x")
    finally:
        status = terminal.close()
    need(status == 0, "it ended with status %s" % status)
    return 7


def icount_repeats():
    """--icount: two runs print the same console logs."""
    logs = []
    build = Build(DEFAULT_BOARD, "bare")
    for _ in range(2):
        status, output = bulkhead(["run", "bare", "--headless", "--until-ready", "--icount"])
        need(status == 0, output)
        with open(build.path("logs/hypervisor.log"), "rb") as file:
            logs.append(re.findall(rb"^\[.*(?:CPUs up|first_guest|TSC).*", file.read(), re.MULTILINE))
    need(len(logs[0]) >= 2 and logs[0] == logs[1], "the logs differ: %s" % logs)
    return 2


def listing():
    import json
    status, output = bulkhead(["list", "--json"])
    need(status == 0, output)
    found = json.loads(output)
    pairs = {(pair["board"], pair["scenario"]) for pair in found["pairs"]}
    need((DEFAULT_BOARD, DEFAULT_SCENARIO) in pairs, "the default pair is not listed")
    need((DEFAULT_BOARD, "size") not in pairs, "a scenario for 16 CPUs is listed for a board of 6")
    return 2


def tests():
    return [
        Test("boot.bios_iso", from_iso("bios"), chain="boot"),
        Test("boot.uefi_iso", from_iso("uefi"), chain="boot"),
        Test("boot.wrong_cpu_count", stops(cpus=4, pattern=r"machine has 4 CPUs, board 'qemu-q35' says 6")),
        Test("boot.wrong_vendor", stops(cpu="Skylake-Client", pattern=r"machine has a CPU by 'GenuineIntel'")),
        Test("boot.little_memory", stops(memory="64M", pattern=r"no usable RAM")),
        Test("boot.missing_module", stops(drop="neighbour", pattern=r"module 'neighbour' is missing")),
        Test("front.wrong_names", wrong_names), Test("front.missing_kernel", missing_kernel), Test("front.old_qemu", old_qemu),
        Test("front.no_disk", no_disk), Test("front.until_ready_fails", until_ready_fails), Test("front.list", listing),
        Test("front.interactive", interactive), Test("front.icount_repeats", icount_repeats),
    ]
