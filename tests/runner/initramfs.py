"""Builds the Linux guests' initramfs: Debian's static busybox and an init, as a cpio archive whose bytes depend on nothing else."""

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
echo "bulkhead: $name ready"
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


def build(path):
    """Writes the compressed archive to path, if it is not there already with the same contents."""
    if not os.path.exists(BUSYBOX) or not is_static(BUSYBOX):
        raise Problem("debian:initramfs: %s is missing or not static; package busybox-static has it" % BUSYBOX)
    with open(BUSYBOX, "rb") as file:
        busybox = file.read()
    listing = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    archive = Archive()
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        archive.add(folder, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("dev/null", 0o020666, device=(1, 3))
    archive.add("bin/busybox", 0o100755, busybox)
    for applet in sorted(set(listing) - {"busybox"}):
        archive.add("bin/" + applet, 0o120777, b"busybox")
    for name, text in (("etc/inittab", INITTAB), ("etc/profile", PROFILE), ("etc/rc", RC)):
        archive.add(name, 0o100644, text.encode())
    archive.add("init", 0o120777, b"bin/busybox")
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, compresslevel=6, mtime=0) as stream:
        stream.write(archive.bytes())
    data = compressed.getvalue()
    if not os.path.exists(path) or open(path, "rb").read() != data:
        write_file(path, data)
    return path
