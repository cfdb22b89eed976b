"""One Bochs machine: its configuration file, how the hypervisor gets into its memory, its process, and the serial port's socket.

Bochs runs a fixed number of instructions per virtual second whatever the host does, so that a run to which nothing is typed is the same
each time, to the byte."""

import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
import tty

import machine
from common import ROOT, Problem, run_logged, write_file
from elf import Elf

BOCHS = "bochs"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/vgabios/vgabios.bin"
LOADER = os.path.join(ROOT, "tests/boot/bochs_loader.S")

# Instructions per virtual second where the board leaves the TSC's rate to calibration.
DEFAULT_IPS = 50000000
DISK_BYTES = 16 * 63 * 512  # one cylinder: the least that Bochs takes for a disk
LOADER_PARAMETERS = 0x1b0
MEMORY_STEP = 64 << 10  # at most as large as the pieces in which Bochs makes memory
MEMORY_END = b"\xb0\xc5\x0d\xe1"  # the boot sector looks for it: all of the file is where it should be

# Multiboot 0.6.96 section 3.3.
MB_CMDLINE, MB_MODULES, MB_MAP = 1 << 2, 1 << 3, 1 << 6
MBI_SIZE = 52
PAGE = 4096

# Debian's Bochs has the debugger, which runs these commands: go, and when the machine stops, show where.
DEBUGGER_SCRIPT = ["c", "r", "sreg", "creg", "q"]
CONNECT_TIMEOUT = 120


def version():
    try:
        text = subprocess.run([BOCHS, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False).stdout.decode("utf-8", "replace")
    except OSError as error:
        raise Problem("%s cannot be run: %s; package bochs has it" % (BOCHS, error.strerror)) from error
    found = re.search(r"Bochs x86 Emulator (\d+(?:\.\d+)*)", text)
    if not found:
        raise Problem("%s --help says no version: %s" % (BOCHS, text.strip()[-80:]))
    return found.group(1)


def check(emulator, board):
    """Refuses a Bochs older than the board needs, and one without its BIOS files."""
    have, wanted = version(), emulator["min_version"]
    if [int(part) for part in have.split(".")] < [int(part) for part in wanted.split(".")]:
        raise Problem("%s is version %s, board '%s' needs %s or later; Debian 12's package bochs has it" % (BOCHS, have, board, wanted))
    for path, package in ((BIOS, "bochsbios"), (VGA_BIOS, "vgabios")):
        if not os.path.exists(path):
            raise Problem("Bochs needs %s; package %s has it" % (path, package))


def megabytes(text):
    """A size of the board file, such as 512M or 1G, in MiB."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    value = int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text, 0)
    return value >> 20


# ---- the fast way in: everything lies in RAM before the machine starts ------------------------------------------------------------

def assemble_loader(work):
    """The boot sector's bytes."""
    log = os.path.join(work, "loader.log")
    out = [os.path.join(work, "loader." + suffix) for suffix in ("o", "elf", "bin")]
    for command in (["gcc", "-m32", "-c", "-o", out[0], LOADER],
                    ["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "-e", "start", "-o", out[1], out[0]],
                    ["objcopy", "-O", "binary", "-j", ".text", out[1], out[2]]):
        run_logged(command, log, "assembling the boot sector", quiet=True)
    with open(out[2], "rb") as file:
        sector = bytearray(file.read())
    for path in out + [log]:
        os.unlink(path)
    if len(sector) != 512:
        raise Problem("%s became %d bytes, a boot sector has 512" % (LOADER, len(sector)))
    return sector


def flat_image(path):
    """(physical address, entry point, bytes) of the hypervisor as it lies in memory, zeroed part included."""
    elf = Elf(path)
    segments = elf.loaded()
    base = min(where[1] for where, _ in segments)
    image = bytearray(max(where[1] + where[3] for where, _ in segments) - base)
    for where, data in segments:
        image[where[1] - base:where[1] - base + len(data)] = data
    return base, elf.entry(), bytes(image)


def package(at, modules, append):
    """Multiboot information and modules [(file, name)] as they must lie at physical address `at`. The boot sector adds the memory map."""
    listing, strings, blocks = bytearray(), bytearray(), []
    strings_at = MBI_SIZE + 16 * len(modules)
    command = ("bulkhead " + append).encode() + b"\0"
    strings += command
    size = strings_at + len(command) + sum(len(name.encode()) + 1 for _, name in modules)
    for path, name in modules:
        start = -(-size // PAGE) * PAGE
        with open(path, "rb") as file:
            data = file.read()
        blocks.append((start, data))
        listing += struct.pack("<IIII", at + start, at + start + len(data), at + strings_at + len(strings), 0)
        strings += name.encode() + b"\0"
        size = start + len(data)
    info = struct.pack("<13I", MB_CMDLINE | MB_MODULES | MB_MAP, 0, 0, 0, at + strings_at, len(modules), at + MBI_SIZE, 0, 0, 0, 0, 0, 0)
    out = bytearray(size)
    for start, data in [(0, info), (MBI_SIZE, listing), (strings_at, strings)] + blocks:
        out[start:start + len(data)] = data
    return bytes(out)


def write_fast_boot(work, config, where):
    """Boot disk and memory contents; the lines of the configuration file that name them."""
    base, entry, image = flat_image(where["kernel"])
    at = -(-(config["hv"]["base"] + config["hv"]["size"]) // PAGE) * PAGE
    sector = assemble_loader(work)
    memory = image.ljust(at - base, b"\0") + package(at, where["modules"], where.get("append", ""))
    memory += MEMORY_END
    struct.pack_into("<III", sector, LOADER_PARAMETERS, at, entry, base + len(memory) - len(MEMORY_END))
    files = {"boot.img": bytes(sector).ljust(DISK_BYTES, b"\0"), "memory.bin": memory}
    for name, data in files.items():
        write_file(os.path.join(work, name), data)
    # Bochs gives each stretch of memory its place at its first use, but reads the whole file to where the first one lies: the others must
    # follow in order before anything else uses memory.
    touch = ["xp /1bx 0x%x" % address for address in range(base, base + len(memory), MEMORY_STEP)]
    return ["ata0-master: type=disk, path=%s, mode=flat" % os.path.join(work, "boot.img"), "boot: disk",
            "optramimage1: file=%s, address=0x%x" % (os.path.join(work, "memory.bin"), base)], touch


def write_configuration(work, config, serial, where, cpus=None):
    """Writes the bochsrc and what it names; its path, and debugger commands that must come first. serial: the options of com1."""
    emulator = config["emulator"]
    if where.get("firmware"):
        raise Problem("Bochs has a BIOS only: UEFI cannot be tried on board '%s'" % config["board"])
    touch = []
    if where.get("iso"):
        boot = ["ata0-master: type=cdrom, path=%s, status=inserted" % where["iso"], "boot: cdrom"]
    else:
        boot, touch = write_fast_boot(work, config, where)
    memory = megabytes(emulator["memory"])
    # Bochs reports each EPT violation and each failed VM entry as an error of the guest's.
    errors = os.environ.get("BULKHEAD_BOCHS_ERRORS", "ignore")
    lines = [
        "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, iodebug=1, parallel=0, serial=1",
        "config_interface: textconfig",
        'display_library: rfb, options="timeout=0"',
        "romimage: file=%s, options=fastboot" % emulator.get("bios", BIOS),
        "vgaromimage: file=%s" % VGA_BIOS,
        "cpu: model=%s, count=%d, ips=%d, quantum=32, reset_on_triple_fault=0, ignore_bad_msrs=0" %
        (emulator["cpu"], cpus or config["cpus"], config["tsc_hz"] or DEFAULT_IPS),
        "memory: guest=%d, host=%d" % (memory, memory),
        "clock: sync=none, time0=1000000000",
        "pci: enabled=1, chipset=%s" % emulator["machine"],
        "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
    ] + boot + [
        "com1: enabled=1, " + serial,
        "panic: action=fatal", "error: action=" + errors, "info: action=ignore", "debug: action=ignore",
        "log: " + os.path.join(work, "bochs-device.log"),
    ]
    path = os.path.join(work, "bochsrc")
    write_file(path, ("\n".join(lines) + "\n").encode())
    return path, touch


def command_line(work, config, serial, where, cpus=None):
    """The argument list, after all files that it names are written."""
    bochsrc, script = write_configuration(work, config, serial, where, cpus)
    path = os.path.join(work, "debugger.rc")
    write_file(path, ("\n".join(script + DEBUGGER_SCRIPT) + "\n").encode())
    return [BOCHS, "-q", "-unlock", "-f", bochsrc, "-rc", path]


class Serial:
    """The socket to which Bochs connects its serial port: the kernel chooses the port, so that runs beside each other never meet."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.connection = None

    @property
    def option(self):
        return "mode=socket-client, dev=127.0.0.1:%d" % self.listener.getsockname()[1]

    def connect(self, child):
        """Waits for the connection; False when the emulator ended instead."""
        end = time.monotonic() + CONNECT_TIMEOUT
        while child.poll() is None and time.monotonic() < end:
            if select.select([self.listener], [], [], 0.1)[0]:
                self.connection = self.listener.accept()[0]
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return True
        return False

    def close(self):
        for item in (self.connection, self.listener):
            if item is not None:
                item.close()


class Machine(machine.Machine):
    """Bochs with its serial port on a socket."""

    emulator = "Bochs"
    patience = 4

    def __init__(self, config, channels, log_dir, icount=False, cpus=None, **where):
        """where: as for qemu.command_line(). icount: every run is repeatable here."""
        del icount
        self.config, self.cpus, self.where = config, cpus, where
        self.wire = bytearray()  # all that came out of the serial port
        self.work = os.path.join(log_dir, "bochs")
        self.serial = Serial()
        super().__init__(channels, log_dir)

    def _spawn(self):
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        command = command_line(self.work, self.config, self.serial.option, self.where, self.cpus)
        with open(self.stderr_path, "wb") as output:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, cwd=self.work, start_new_session=True, preexec_fn=machine.child_setup)
        if not self.serial.connect(child):
            child.kill()
            child.wait()
            self.serial.close()
            raise Problem("Bochs did not start: %s" % (self.stop_reason() or "see " + self.stderr_path))
        return child

    def _receive(self):
        data = self.serial.connection.recv(65536)
        self.wire += data
        return data

    def _transmit(self, data):
        self.serial.connection.sendall(data)

    def _close_serial(self):
        self.serial.close()
        for name in ("boot.img", "memory.bin"):
            path = os.path.join(self.work, name)
            if os.path.exists(path):
                os.unlink(path)

    def stop_reason(self):
        """What Bochs says when it gives up, and where each CPU stood."""
        with open(self.stderr_path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
        found = re.search(r"Bochs is exiting with the following message:\n(?:.|\n)*", text)
        lines = found.group(0).splitlines()[1:] if found else re.findall(r"^.*(?:PANIC|>>PANIC<<|FATAL).*$", text, re.MULTILINE)
        return "\n".join(line for line in lines if not line.startswith("====") and "quit_sim" not in line)


def interactive(config, log, timeout=None, icount=False, **where):
    """Runs the machine with its serial port on the caller's terminal until it ends or Ctrl-A x is typed, for at most timeout seconds."""
    del icount
    work = log[:-len(".log")]
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    serial = Serial()
    command = command_line(work, config, serial.option, where)
    with open(log, "wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=work,
                                 start_new_session=True, preexec_fn=machine.child_setup)
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    try:
        if not serial.connect(child):
            raise Problem("Bochs did not start; its output: %s" % log)
        if saved:
            tty.setraw(0)
        bridge(serial.connection, time.monotonic() + timeout if timeout else None)
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
        serial.close()
        shutil.rmtree(work, ignore_errors=True)


def bridge(connection, end):
    """Bytes between the terminal and the machine until one of them ends. Ctrl-A x ends it, Ctrl-A Ctrl-A is Ctrl-A."""
    escaped = False
    sources = [connection, 0]
    while end is None or time.monotonic() < end:
        ready = select.select(sources, [], [], 0.5)[0]
        if connection in ready:
            data = connection.recv(4096)
            if not data:
                return
            os.write(1, data)
        if 0 in ready:
            data = os.read(0, 1024)
            if not data:
                sources.remove(0)
            out = bytearray()
            for byte in data:
                if escaped and byte == ord("x"):
                    return
                if byte == 1 and not escaped:
                    escaped = True
                    continue
                escaped = False
                out.append(byte)
            connection.sendall(bytes(out))
