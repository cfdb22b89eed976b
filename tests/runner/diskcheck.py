"""Reading disk images back (diskimage.py has their layout): files out of the FAT by mtools, and whether every byte is what it should be.

An image may come from anywhere. Nothing of it is believed: its table is compared with one that is worked out here from the UEFI
specification, files are read as a stream, and what is read is bounded by the partition's size.
"""

import hashlib
import os
import struct
import subprocess
import tempfile
import uuid
import zlib

import diskimage
import manifest
from common import Problem
from diskimage import BIOS_LBA, BIOS_SECTORS, BOOT_CODE, ENTRIES, ESP_LBA, GPT_SECTORS, MANIFEST, MIB, NAMES, SECTOR, TYPE_BIOS, TYPE_ESP
from image import HYPERVISOR

SIGNATURE = b"EFI PART"
ISO_MARK = (0x8001, b"CD001")  # ECMA-119, 8.4.2
MAX_FILE = 64 * MIB  # of what bhmanifest reads
MTOOLS_TIMEOUT = 300
CHUNK = 1 << 20


def kind_of(path):
    """disk, iso or other, by what is in the file."""
    try:
        with open(path, "rb") as file:
            start = file.read(2 * SECTOR)
            file.seek(ISO_MARK[0])
            if file.read(len(ISO_MARK[1])) == ISO_MARK[1]:
                return "iso"
            file.seek(max(0, os.path.getsize(path) - SECTOR))
            if SIGNATURE in (start[SECTOR:SECTOR + 8], file.read(8)):
                return "disk"
    except OSError as error:
        raise Problem("cannot read %s: %s" % (path, error.strerror)) from error
    return "other"


# ---- the partition table ---------------------------------------------------------------------------------------------------------

def protective_mbr(sectors):
    """What follows the code in LBA 0 (UEFI 2.10, 5.2.3)."""
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xee, b"\xff\xff\xff", 1, min(sectors - 1, 0xffffffff))
    return b"\0" * (446 - BOOT_CODE) + entry + b"\0" * 48 + b"\x55\xaa"


def gpt_entries(sectors, guids):
    """The partition entry array (UEFI 2.10, 5.3.3)."""
    out = b""
    for (first, count, kind), name, guid in zip(((BIOS_LBA, BIOS_SECTORS, TYPE_BIOS), (ESP_LBA, esp_sectors(sectors), TYPE_ESP)), NAMES, guids):
        out += struct.pack("<16s16sQQQ72s", kind.bytes_le, guid.bytes_le, first, first + count - 1, 0, name.encode("utf-16-le"))
    return out.ljust(ENTRIES * 128, b"\0")


def gpt_header(sectors, disk, entries, backup):
    """One of the two headers, a whole sector (UEFI 2.10, 5.3.2)."""
    own, other = (sectors - 1, 1) if backup else (1, sectors - 1)

    def packed(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", SIGNATURE, 0x10000, 92, crc, 0, own, other, GPT_SECTORS + 1, sectors - GPT_SECTORS - 1, disk.bytes_le,
                           sectors - GPT_SECTORS if backup else 2, ENTRIES, 128, zlib.crc32(entries))
    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def esp_sectors(sectors):
    return sectors - MIB // SECTOR - ESP_LBA


def first_difference(found, expected):
    return next(i for i in range(max(len(found), len(expected))) if found[i:i + 1] != expected[i:i + 1])


class Disk:
    """An open disk image."""

    def __init__(self, path):
        self.path = path
        if kind_of(path) != "disk":
            raise Problem("%s is not a disk image: it has no GUID partition table" % path)
        self.size = os.path.getsize(path)
        self.sectors = self.size // SECTOR

    def read(self, offset, size):
        with open(self.path, "rb") as file:
            file.seek(max(0, offset))
            return file.read(size)

    def guids(self):
        """The GUIDs of the disk and of the two partitions, from whichever table is sound; None when neither is."""
        for header_at, entries_at in ((SECTOR, 2 * SECTOR), (self.size - SECTOR, self.size - GPT_SECTORS * SECTOR)):
            header, entries = self.read(header_at, SECTOR), self.read(entries_at, ENTRIES * 128)
            if len(header) == SECTOR and header[:8] == SIGNATURE and zlib.crc32(entries) == struct.unpack_from("<I", header, 88)[0] and \
                    zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:92]) == struct.unpack_from("<I", header, 16)[0]:
                return [uuid.UUID(bytes_le=data) for data in (header[56:72], entries[16:32], entries[144:160])]
        return None

    def table_differences(self, guids):
        """What of the partition tables is not as it should be, and what lies in the gaps."""
        if self.size % MIB or self.sectors < ESP_LBA + 2 * MIB // SECTOR:
            return ["its length of %d bytes is not that of an image: it was cut or something was added" % self.size]
        entries = gpt_entries(self.sectors, guids[1:])
        backup_at = (self.sectors - GPT_SECTORS) * SECTOR
        wanted = [("the protective MBR", BOOT_CODE, protective_mbr(self.sectors)),
                  ("the GPT's header", SECTOR, gpt_header(self.sectors, guids[0], entries, False)),
                  ("the GPT's entries", 2 * SECTOR, entries),
                  ("the copy of the GPT's entries", backup_at, entries),
                  ("the copy of the GPT's header", self.size - SECTOR, gpt_header(self.sectors, guids[0], entries, True)),
                  ("the gap behind the GPT", (GPT_SECTORS + 1) * SECTOR, bytes((BIOS_LBA - GPT_SECTORS - 1) * SECTOR)),
                  ("the gap before the copy of the GPT", self.size - MIB, bytes(MIB - GPT_SECTORS * SECTOR))]
        out = []
        for what, offset, expected in wanted:
            found = self.read(offset, len(expected))
            if found != expected:
                out.append("%s differs at byte %#x" % (what, offset + first_difference(found, expected)))
        return out

    def content_differences(self, guids):
        """Which partitions do not have the bytes that their GUIDs were made from."""
        out = []
        for name, guid, lba, count in ((NAMES[0], guids[1], BIOS_LBA, BIOS_SECTORS), (NAMES[1], guids[2], ESP_LBA, esp_sectors(self.sectors))):
            if diskimage.content_guid(diskimage.region_digest(self.path, lba * SECTOR, count * SECTOR)) != guid:
                out.append("the partition '%s' does not have the content that its GUID was made from" % name)
        return out

    # ---- files -------------------------------------------------------------------------------------------------------------------

    def _mtools(self, command, sink, limit):
        """Feeds a tool's output to sink; raises Problem when it fails, is longer than limit, or does not end."""
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(["timeout", str(MTOOLS_TIMEOUT)] + command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL,
                                     env=diskimage.tool_environment())
            taken = 0
            try:
                while True:
                    data = child.stdout.read(CHUNK)
                    taken += len(data)
                    if not data or taken > limit:
                        break
                    sink(data)
            finally:
                child.stdout.close()
                if taken > limit:
                    child.kill()
                status = child.wait()
            if taken > limit:
                raise Problem("it is larger than %d MiB" % (limit // MIB))
            if status != 0:
                errors.seek(0)
                lines = errors.read(4096).decode("utf-8", "replace").strip().splitlines()
                raise Problem("mtools: %s" % (lines[-1] if lines else "status %d" % status))

    def volume(self):
        return "%s@@%d" % (self.path, ESP_LBA * SECTOR)

    def names(self):
        """The paths of all files in the FAT."""
        out = []
        self._mtools(["mdir", "-i", self.volume(), "-/", "-b", "-a", "::/"], out.append, 16 * MIB)
        lines = b"".join(out).decode("utf-8", "replace").splitlines()
        return [line[2:] for line in lines if line.startswith("::/") and not line.endswith("/")]

    def file_digest(self, name):
        """(size, SHA-256) of a file."""
        digest, sizes = hashlib.sha256(), []

        def take(data):
            digest.update(data)
            sizes.append(len(data))
        self._mtools(["mcopy", "-i", self.volume(), "::" + name, "-"], take, self.size)
        return sum(sizes), digest.hexdigest()

    def extract(self, name, path, limit):
        """Copies a file of at most limit bytes out."""
        with open(path, "wb") as file:
            self._mtools(["mcopy", "-i", self.volume(), "::" + name, "-"], file.write, limit)


# ---- the whole image ---------------------------------------------------------------------------------------------------------------

class Origin:
    """What an image says it was made from, and the files that its manifest lists: {path: (kind, SHA-256)}."""

    def __init__(self, tree):
        if tree["name"] != "image":
            raise Problem("%s is a manifest of something else" % MANIFEST)
        self.tree = tree
        self.identity = tree["properties"].get("identity", "")
        self.inputs = manifest.inputs(tree)
        self.files, self.bytes, self.regions = {}, {}, []
        for entry in manifest.nodes(tree, "file"):
            said = entry["properties"]
            self.files[said.get("path", "")] = (said.get("kind", ""), said.get("sha256", ""))
            self.bytes[said.get("path", "")] = said.get("bytes")
        for entry in manifest.nodes(tree, "region"):
            said = entry["properties"]
            self.regions.append((said.get("what", ""), manifest.number(said, "offset"), manifest.number(said, "bytes"), said.get("sha256", "")))

    def own(self):
        """What was put in for this board and scenario, boot loaders aside: {path: SHA-256}."""
        return {path: digest for path, (kind, digest) in self.files.items() if kind in ("hypervisor", "module", "config")}


def read_manifest(disk, work, name):
    """The tree of the manifest that a file of the image is or has. Raises Problem when it cannot be had."""
    path = os.path.join(work, "file")
    try:
        disk.extract(name, path, MAX_FILE)
        return manifest.tree(path, name)
    except Problem as problem:
        what = "manifest" if name == MANIFEST else "hypervisor"
        raise Problem("its %s %s cannot be read: %s" % (what, name, problem)) from problem


def file_differences(disk, origin):
    out = []
    try:
        present = set(disk.names())
    except Problem as problem:
        return ["the files of the EFI system partition cannot be listed: %s" % problem]
    for name in sorted(present - set(origin.files) - {MANIFEST}):
        out.append("file %s is not in the manifest" % name)
    for name, (kind, digest) in origin.files.items():
        what = "module '%s' (%s)" % (os.path.basename(name), name) if kind == "module" else "file %s" % name
        if name not in present:
            out.append(what + " is missing")
            continue
        try:
            size, found = disk.file_digest(name)
        except Problem as problem:
            out.append("%s cannot be read: %s" % (what, problem))
            continue
        if found != digest or size != origin.bytes[name]:
            out.append("%s is not the file that was put in (SHA-256 %s, the manifest says %s)" % (what, found, digest))
    return out


def region_differences(disk, origin):
    out = []
    for what, offset, size, digest in origin.regions:
        if diskimage.region_digest(disk.path, offset, size).hex() != digest:
            out.append("%s, %d bytes at %#x, is not what was put in" % (what, size, offset))
    if [(offset, size) for _, offset, size, _ in origin.regions] != [(0, BOOT_CODE), (BIOS_LBA * SECTOR, BIOS_SECTORS * SECTOR)]:
        out.append("the manifest does not cover GRUB's code for BIOS")
    return out


def origin_differences(disk, origin, hypervisor, guids):
    """Whether the image's manifest, its hypervisor's and the names made from them agree."""
    out = []
    if manifest.inputs(hypervisor) != origin.inputs:
        out.append("the manifest names other board and scenario files than its hypervisor does")
    if diskimage.identity_of(origin.own().items()) != origin.identity:
        out.append("the manifest's identity does not follow from its files")
        return out
    if diskimage.content_guid(bytes.fromhex(origin.identity)) != guids[0]:
        out.append("the disk's GUID does not follow from the image's identity")
    serial = disk.read(ESP_LBA * SECTOR + 67, 4)[::-1].hex()  # BS_VolID of a FAT32
    if serial != diskimage.serial_of(origin.identity):
        out.append("the FAT's serial number does not follow from the image's identity")
    if diskimage.marker_of(origin.identity) not in origin.files:
        out.append("the file by which GRUB finds its disk is not in the manifest")
    return out


def differences(path):
    """(what is wrong with the image by itself, its Origin or None)"""
    disk = Disk(path)
    guids = disk.guids()
    if guids is None:
        return ["neither of its partition tables is sound"], None
    out = disk.table_differences(guids) + disk.content_differences(guids)
    with tempfile.TemporaryDirectory() as work:
        try:
            origin = Origin(read_manifest(disk, work, MANIFEST))
        except Problem as problem:
            return out + [str(problem)], None
        out += file_differences(disk, origin) + region_differences(disk, origin)
        try:
            out += origin_differences(disk, origin, read_manifest(disk, work, HYPERVISOR), guids)
        except Problem as problem:
            out.append(str(problem))
    return out, origin
