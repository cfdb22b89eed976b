"""Builds the Linux VMs' initramfs: Debian's static busybox and an init, as a cpio archive whose bytes depend on nothing else. The service
VM's has the device model and a user VM's kernel and initramfs besides."""

import gzip
import io
import os
import struct
import subprocess

from common import Problem, write_file

BUSYBOX = "/bin/busybox"

INITTAB = """# busybox init: what runs at the start, and a shell on the console for ever (a login shell, so that it has job control).
::sysinit:/bin/sh /etc/rc
ttyS0::respawn:-/bin/sh
"""

RC = """# Start of a Bulkhead Linux guest: mounts, a name, and the word that the runner waits for.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
name=linux
for word in $(cat /proc/cmdline); do
  case $word in
    bh.name=*) name=${word#bh.name=} ;;
  esac
done
hostname "$name"
# From now on the console is the shell's: a kernel message could come in the middle of any line (dmesg has them all).
dmesg -n 3
echo "bulkhead: $name ready"
"""

# The service VM's. Huge pages are reserved while memory is still in one piece: for two user VMs of 128 MiB.
SERVICE_RC = """# Start of a Bulkhead service VM: mounts, huge pages, the word that the runner waits for, then its first user VM.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
name=service
first=uvm0
for word in $(cat /proc/cmdline); do
  case $word in
    bh.name=*) name=${word#bh.name=} ;;
    bh.autostart=*) first=${word#bh.autostart=} ;;
  esac
done
hostname "$name"
echo 128 >/proc/sys/vm/nr_hugepages
# I/O requests arrive at CPU 0. The driver's work queue and the device models stay there, or each request would be handed from CPU to CPU.
echo 1 >/sys/devices/virtual/workqueue/cpumask
[ -c /dev/acrn_hsm ] || echo "$name: there is no /dev/acrn_hsm: the driver did not find its hypervisor"
# From now on the console is the shell's: a kernel message could come in the middle of any line (dmesg has them all).
dmesg -n 3
echo "bulkhead: $name ready"
[ "$first" = no ] || uvm start "$first"
"""

UVM = """#!/bin/sh
# User VMs of this service VM.
usage() {
  cat <<'TEXT'
usage: uvm start NAME [DM OPTIONS]   starts Linux in the slot NAME (dm --help: its options); its console lines show as [NAME] ...
       uvm console NAME              a terminal on its console; Ctrl-\\ leaves it
       uvm status|pause|reset NAME   says how it is; pauses it; starts it anew
       uvm stop NAME                 ends it and gives back what it had
       uvm list                      the user VMs that are there
TEXT
  exit 2
}
command=$1 name=$2
case $command in
  list)
    for socket in /run/*.control; do
      [ -S "$socket" ] && dm --send "$socket" status
    done
    exit 0
    ;;
  start | console | status | pause | reset | stop) [ -n "$name" ] || usage ;;
  *) usage ;;
esac
case $command in
  start)
    shift 2
    setsid taskset 1 dm --name "$name" --memory 128M --kernel /boot/vmlinuz --initrd /boot/initramfs \
      --cmdline "console=ttyS0 tsc_early_khz=@tsc_khz@ tsc=reliable panic=-1 quiet bh.name=$name" \
      --console "socket:/run/$name.console" --relay "[$name] " --control "/run/$name.control" "$@" </dev/null >/dev/console 2>&1 &
    ;;
  console) exec dm --attach "/run/$name.console" ;;
  stop) exec dm --send "/run/$name.control" quit ;;
  *) exec dm --send "/run/$name.control" "$command" ;;
esac
"""

PROFILE = """export PATH=/bin HOME=/ PS1="$(hostname)# "
"""


def is_static(path):
    """True for an ELF64 file without an interpreter (program header type 3)."""
    with open(path, "rb") as file:
        data = file.read(4096)
    if data[:5] != b"\x7fELF\x02":
        return False
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return all(struct.unpack_from("<I", data, offset + i * size)[0] != 3 for i in range(count) if offset + i * size + 4 <= len(data))


class Archive:
    """A cpio archive in the format 'newc' (Linux Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.out = io.BytesIO()
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        links = 2 if mode & 0o170000 == 0o040000 else 1
        raw = name.encode() + b"\0"
        fields = (self.inode if name != "TRAILER!!!" else 0, mode, 0, 0, links, 0, len(data), 0, 0, device[0], device[1], len(raw), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + raw)
        self._pad()
        self.out.write(data)
        self._pad()

    def _pad(self):
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def bytes(self):
        self.add("TRAILER!!!", 0)
        return self.out.getvalue()


def base(folders, texts):
    """An archive with busybox, its applets, folders and text files [(name, text, mode)]."""
    if not os.path.exists(BUSYBOX) or not is_static(BUSYBOX):
        raise Problem("debian:initramfs: %s is missing or not static; package busybox-static has it" % BUSYBOX)
    with open(BUSYBOX, "rb") as file:
        busybox = file.read()
    listing = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    archive = Archive()
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp") + folders:
        archive.add(folder, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("dev/null", 0o020666, device=(1, 3))
    archive.add("bin/busybox", 0o100755, busybox)
    for applet in sorted(set(listing) - {"busybox"}):
        archive.add("bin/" + applet, 0o120777, b"busybox")
    for name, text, mode in texts:
        archive.add(name, 0o100000 | mode, text.encode())
    archive.add("init", 0o120777, b"bin/busybox")
    return archive


def put(path, data):
    """Writes the file, if it is not there already with the same contents; its path."""
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == data:
                return path
    write_file(path, data)
    return path


def build(path):
    """The guests' archive, compressed."""
    archive = base((), [("etc/inittab", INITTAB, 0o644), ("etc/profile", PROFILE, 0o644), ("etc/rc", RC, 0o644)])
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, compresslevel=6, mtime=0) as stream:
        stream.write(archive.bytes())
    return put(path, compressed.getvalue())


def build_service(path, dm, kernel, guest_initramfs):
    """The service VM's archive: the device model, and what a user VM boots from. Not compressed: most of it is already, and an emulated
    CPU takes long to unpack it."""
    archive = base(("boot", "run"), [("etc/inittab", INITTAB, 0o644), ("etc/profile", PROFILE, 0o644), ("etc/rc", SERVICE_RC, 0o644),
                                     ("bin/uvm", UVM, 0o755)])
    for name, mode, source in (("bin/dm", 0o755, dm), ("boot/vmlinuz", 0o644, kernel), ("boot/initramfs", 0o644, guest_initramfs)):
        try:
            with open(source, "rb") as file:
                archive.add(name, 0o100000 | mode, file.read())
        except OSError as error:
            raise Problem("hsm:initramfs: cannot read %s: %s" % (source, error.strerror)) from error
    return put(path, archive.bytes())
