"""One QEMU machine: its command line, its process, and the consoles behind its serial port."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time

import mux
from common import Problem, tail

QEMU = "qemu-system-x86_64"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Ended(Exception):
    """The machine stopped, or the hypervisor did, while something else was awaited."""


def version():
    """QEMU's version as a tuple, and as text."""
    try:
        text = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()
    except OSError as error:
        raise Problem("%s cannot be run: %s; package qemu-system-x86 has it" % (QEMU, error.strerror)) from error
    found = re.search(r"version (\d+(?:\.\d+)*)", text)
    if not found:
        raise Problem("%s --version says nothing that looks like a version: %s" % (QEMU, text.strip()[:80]))
    return tuple(int(part) for part in found.group(1).split(".")), found.group(1)


def check_version(emulator, board):
    wanted = emulator["min_version"]
    have, text = version()
    if have < tuple(int(part) for part in wanted.split(".")):
        raise Problem("%s is version %s, board '%s' needs %s or later; Debian 12's package qemu-system-x86 has it" %
                      (QEMU, text, board, wanted))


def command_line(config, serial, icount=False, kernel=None, modules=(), append="", iso=None, firmware=None, cpus=None):
    """The argument list for a machine of the board. Boots from kernel and modules [(file, name)], or from an ISO with BIOS, or with the
    UEFI firmware files (code, variables)."""
    emulator = config["emulator"]
    if icount:
        accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01,clock=vm"]
    else:
        accel = ["-accel", "tcg,thread=multi"]
    command = [QEMU] + accel + ["-M", emulator["machine"], "-cpu", emulator["cpu"], "-m", emulator["memory"],
                                "-smp", str(cpus or config["cpus"]), "-display", "none", "-nodefaults", "-no-reboot"] + serial
    if iso:
        command += ["-cdrom", iso]
        if firmware:
            code, variables = firmware
            command += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
                        "-drive", "if=pflash,format=raw,unit=1,file=" + variables]
        return command
    command += ["-kernel", kernel]
    if append:
        command += ["-append", append]
    if modules:
        command += ["-initrd", ",".join("%s %s" % (path.replace(",", ",,"), name) for path, name in modules)]
    return command


def child_setup():
    """In the child before exec: QEMU must not outlive the runner, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """A running machine whose serial port speaks mux. Text of each channel is kept and written to logs as it comes."""

    def __init__(self, command, channels, log_dir):
        """channels: {channel number: name}; each name gets log_dir/NAME.log."""
        os.makedirs(log_dir, exist_ok=True)
        self.log_dir = log_dir
        self.names = dict(channels)
        self.text = {number: "" for number in channels}
        self.raw = b""
        self.logs = {number: open(self.log_path(number), "wb") for number in channels}
        self.changed = threading.Condition()
        self.ended = False
        self.started = time.monotonic()
        self.stderr_path = os.path.join(log_dir, "qemu.log")
        with open(self.stderr_path, "wb") as stderr:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0,
                                          start_new_session=True, preexec_fn=child_setup)
        self.write_lock = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log_path(self, channel):
        return os.path.join(self.log_dir, self.names[channel] + ".log")

    def _read(self):
        decoder = mux.Decoder()
        try:
            while True:
                data = os.read(self.child.stdout.fileno(), 65536)
                if not data:
                    break
                with self.changed:
                    for channel, payload in decoder.feed(data):
                        self._take(channel, payload)
                    self.changed.notify_all()
        except (OSError, ValueError):
            pass
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _take(self, channel, payload):
        if channel is None:
            self.raw += payload
            # A panic on a damaged wire is not framed: it belongs to the hypervisor's log too.
            if b"panic:" not in self.raw[-4096:] and b"boot stopped:" not in self.raw[-4096:]:
                return
            channel = mux.HYPERVISOR
        if channel not in self.text:
            return
        self.logs[channel].write(payload)
        self.logs[channel].flush()
        self.text[channel] += payload.decode("utf-8", "replace").replace("\r", "")

    def send(self, channel, data):
        """Types bytes at a console."""
        if isinstance(data, str):
            data = data.encode()
        with self.write_lock:
            try:
                self.child.stdin.write(mux.encode(channel, data))
            except OSError:
                pass  # the machine ended; whoever waits for an answer finds out

    def mark(self, channel):
        """Where the text of a channel ends now."""
        with self.changed:
            return len(self.text[channel])

    def since(self, channel, mark=0):
        with self.changed:
            return self.text[channel][mark:]

    def hypervisor_died(self):
        """The line in which the hypervisor said that it stopped, or None. Under self.changed."""
        found = re.search(r"^.*(boot stopped:|panic:).*$", self.text[mux.HYPERVISOR], re.MULTILINE)
        return found.group(0).strip() if found else None

    def wait(self, condition, timeout, what):
        """Waits until condition() (called under the lock after new text) gives something true, and returns that. Raises Ended when
        the machine or the hypervisor stops first, TimeoutError when time is over."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                result = condition()
                if result:
                    return result
                died = self.hypervisor_died()
                if died:
                    self.changed.wait(0.5)  # its other lines
                    raise Ended("the hypervisor stopped: %s" % died)
                if self.ended:
                    raise Ended("QEMU ended (status %s) before %s" % (self.child.poll(), what))
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("%s did not come within %d s" % (what, timeout))
                self.changed.wait(min(left, 1.0))

    def expect(self, channel, pattern, timeout, mark=0):
        """Waits for a regular expression on a channel, from mark on; returns the match."""
        compiled = re.compile(pattern, re.MULTILINE)
        return self.wait(lambda: compiled.search(self.text[channel], mark), timeout, "%r on the console of %s" % (pattern, self.names[channel]))

    def stop_reason(self):
        """What QEMU itself complained about, without its notes on CPU features that TCG lacks."""
        with open(self.stderr_path, "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if "TCG doesn't support requested feature" not in line)

    def last_lines(self, channel, count=12):
        return tail(self.since(channel), count)

    def report(self, count=12):
        """The ends of all consoles and where the whole of them is."""
        out = []
        for channel, name in sorted(self.names.items()):
            out.append("  last lines of %s (%s):" % (name, self.log_path(channel)))
            out.append(self.last_lines(channel, count))
        complaint = self.stop_reason()
        if complaint:
            out.append("  QEMU says (%s):\n%s" % (self.stderr_path, tail(complaint, 5)))
        return "\n".join(out)

    def close(self):
        """Ends this machine and no other."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(5)
        for stream in (self.child.stdin, self.child.stdout):
            try:
                stream.close()
            except OSError:
                pass
        for log in self.logs.values():
            log.close()
