"""One QEMU machine: its command line, its process, and the consoles behind its serial port."""

import os
import re
import subprocess

import machine
from common import Problem
from machine import Ended  # noqa: F401 (the tests know it by this name)

QEMU = "qemu-system-x86_64"


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


def check(emulator, board):
    """Refuses a version of QEMU that is older than the board needs."""
    wanted = emulator["min_version"]
    have, text = version()
    if have < tuple(int(part) for part in wanted.split(".")):
        raise Problem("%s is version %s, board '%s' needs %s or later; Debian 12's package qemu-system-x86 has it" %
                      (QEMU, text, board, wanted))


def command_line(config, serial, icount=False, kernel=None, modules=(), append="", iso=None, disk=None, firmware=None, cpus=None):
    """The argument list for a machine of the board. Boots from kernel and modules [(file, name)], or from an ISO or a disk image (which
    stays as it is) with BIOS, or with the UEFI firmware files (code, variables)."""
    emulator = config["emulator"]
    if icount:
        accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01,clock=vm"]
    else:
        accel = ["-accel", "tcg,thread=multi"]
    command = [QEMU] + accel + ["-M", emulator["machine"], "-cpu", emulator["cpu"], "-m", emulator["memory"],
                                "-smp", str(cpus or config["cpus"]), "-display", "none", "-nodefaults", "-no-reboot"] + serial
    for device in emulator.get("devices", ()):
        command += ["-device", device]
    if iso or disk:
        command += ["-cdrom", iso] if iso else ["-drive", "if=ide,format=raw,snapshot=on,file=" + disk.replace(",", ",,")]
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


class Machine(machine.Machine):
    """QEMU with the serial port on its standard input and output."""

    emulator = "QEMU"
    harmless = r"TCG doesn't support requested feature"

    def __init__(self, config, channels, log_dir, **options):
        """options: as command_line() takes them."""
        self.command = command_line(config, ["-serial", "stdio"], **options)
        super().__init__(channels, log_dir)

    def _spawn(self):
        with open(self.stderr_path, "wb") as stderr:
            return subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0,
                                    start_new_session=True, preexec_fn=machine.child_setup)

    def _receive(self):
        return os.read(self.child.stdout.fileno(), 65536)

    def _transmit(self, data):
        self.child.stdin.write(data)

    def _close_serial(self):
        for stream in (self.child.stdin, self.child.stdout):
            try:
                stream.close()
            except OSError:
                pass


def interactive(config, log, timeout=None, **options):
    """Runs the machine on the caller's terminal until it ends, for at most timeout seconds; Ctrl-A x ends it. Its exit status."""
    command = command_line(config, ["-serial", "mon:stdio"], **options)
    with open(log, "wb") as stderr:
        child = subprocess.Popen(command, stderr=stderr, preexec_fn=machine.child_setup)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            code = 0
            child.terminate()
            child.wait()
        except KeyboardInterrupt:
            child.terminate()
            code = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if code not in (0, -15):
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if not re.search(Machine.harmless, line)]
        raise Problem("QEMU ended with status %d: %s" % (code, lines[-1] if lines else "no message"))
