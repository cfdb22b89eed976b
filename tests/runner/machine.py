"""A running emulator whose serial port speaks mux: its process, and the consoles behind that port."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time

import mux
from common import tail

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Ended(Exception):
    """The machine stopped, or the hypervisor did, while something else was awaited."""


def child_setup():
    """In the child before exec: the emulator must not outlive the runner, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """A running machine whose serial port speaks mux. Text of each channel is kept and written to logs as it comes. Each kind of emulator
    has a class of its own that says how it is started and how its serial port is reached."""

    emulator = None  # its name, for messages and its own log
    harmless = r"(?!)"  # lines on its standard error that mean nothing
    patience = 1  # how many times longer than elsewhere things may take

    def __init__(self, channels, log_dir):
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
        self.stderr_path = os.path.join(log_dir, self.emulator.lower() + ".log")
        self.write_lock = threading.Lock()
        self.child = self._spawn()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _spawn(self):
        """Starts the emulator; its subprocess.Popen."""
        raise NotImplementedError

    def _receive(self):
        """The next bytes of the serial port; b"" at its end. In the reader's thread."""
        raise NotImplementedError

    def _transmit(self, data):
        """Bytes into the serial port."""
        raise NotImplementedError

    def _close_serial(self):
        """After the emulator has ended."""
        raise NotImplementedError

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
                data = self._receive()
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
                self._transmit(mux.encode(channel, data))
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

    def _let_finish(self):
        """Under self.changed: until the hypervisor has said nothing more for a moment."""
        end = time.monotonic() + 3
        before = -1
        while before != len(self.text[mux.HYPERVISOR]) and time.monotonic() < end:
            before = len(self.text[mux.HYPERVISOR])
            self.changed.wait_for(lambda: len(self.text[mux.HYPERVISOR]) != before, 0.5)

    def _status(self):
        """Its exit status; the serial line may close a moment before the process ends."""
        try:
            return self.child.wait(5)
        except subprocess.TimeoutExpired:
            return "still running"

    def wait(self, condition, timeout, what):
        """Waits until condition() (called under the lock after new text) gives something true, and returns that. Raises Ended when
        the machine or the hypervisor stops first, TimeoutError when time is over."""
        timeout *= self.patience
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                result = condition()
                if result:
                    return result
                if self.hypervisor_died():
                    self._let_finish()
                    raise Ended("the hypervisor stopped: %s" % self.hypervisor_died())
                if self.ended:
                    raise Ended("%s ended (status %s) before %s" % (self.emulator, self._status(), what))
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("%s did not come within %d s" % (what, timeout))
                self.changed.wait(min(left, 1.0))

    def expect(self, channel, pattern, timeout, mark=0):
        """Waits for a regular expression on a channel, from mark on; returns the match."""
        compiled = re.compile(pattern, re.MULTILINE)
        return self.wait(lambda: compiled.search(self.text[channel], mark), timeout, "%r on the console of %s" % (pattern, self.names[channel]))

    def stop_reason(self):
        """What the emulator itself complained about."""
        with open(self.stderr_path, "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if not re.search(self.harmless, line))

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
            out.append("  %s says (%s):\n%s" % (self.emulator, self.stderr_path, tail(complaint, 5)))
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
        self._close_serial()
        for log in self.logs.values():
            log.close()
