"""Flashable disk images: a GPT with GRUB for BIOS and for UEFI and one FAT with the hypervisor, the modules and grub.cfg.

Equal inputs give equal bytes: nothing random and no date goes in. The FAT's serial number and the disk's GUID are made from a hash of the
inputs, each partition's GUID from a hash of the partition's own bytes, so that an image can be told sound by itself.

  LBA 0        protective MBR, with GRUB's boot.img as its code
  LBA 1..33    GPT (UEFI specification 2.10, chapter 5)
  LBA 2048     BIOS boot partition: GRUB's core.img
  LBA 4096     EFI system partition, FAT32: EFI/BOOT/BOOTX64.EFI and boot/
  the end      the GPT's copy
"""

import hashlib
import os
import struct
import subprocess
import uuid

from common import Problem, write_file

SECTOR = 512
MIB = 1 << 20
GPT_SECTORS = 33  # header and 128 entries of 128 bytes; as many at the end
ENTRIES = 128
BIOS_LBA, BIOS_SECTORS = 2048, 2048
ESP_LBA = 4096
MIN_ESP = 40 * MIB  # FAT32 has at least 65525 clusters (Microsoft's FAT specification), here of 512 bytes
TYPE_BIOS = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
TYPE_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
NAMES = ("BIOS boot", "EFI system")
MANIFEST = "/boot/image.dtb"
MAX_FAT_FILE = (4 << 30) - 1
BOOT_CODE = 440  # bytes of the MBR that are code
GRUB_DIR = "/usr/lib/grub"

# In GRUB's core: finding the disk, reading grub.cfg, and what grub.cfg uses. all_video and its kind come from here because the image holds no
# module files.
GRUB_MODULES = ["part_gpt", "fat", "search", "search_fs_file", "normal", "configfile", "multiboot2", "test", "echo", "serial", "terminal", "minicmd", "reboot"]
GRUB_TARGETS = {
    "i386-pc": ["biosdisk", "all_video", "halt"],
    "x86_64-efi": ["all_video", "halt"],
}

# GRUB 2.06's boot.img: where the LBA of core.img is (grub/i386/pc/boot.h, GRUB_BOOT_MACHINE_KERNEL_SECTOR), and the jump that a hard disk's
# installation takes out (GRUB_BOOT_MACHINE_DRIVE_CHECK). In core.img's first sector: where the LBA of its second sector is.
BOOT_KERNEL_SECTOR, BOOT_DRIVE_CHECK, CORE_NEXT_SECTOR = 0x5c, 0x66, SECTOR - 12


def content_guid(digest):
    """A UUID of version 8 (RFC 9562, 5.8) from a SHA-256 digest."""
    data = bytearray(digest[:16])
    data[6] = data[6] & 0x0f | 0x80
    data[8] = data[8] & 0x3f | 0x80
    return uuid.UUID(bytes=bytes(data))


def file_digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def identity_of(parts):
    """What an image is known by: a hash of everything in it that is not boot loader. parts: [(path in the image, SHA-256)]."""
    text = "".join("%s %s\n" % (digest, path) for path, digest in sorted(parts))
    return hashlib.sha256(("bulkhead image 1\n" + text).encode()).hexdigest()


def marker_of(identity):
    """The file by which GRUB knows its disk among others."""
    return "/boot/" + identity[:32]


def serial_of(identity):
    """The FAT's serial number, eight digits."""
    return identity[32:40]


def tool_environment():
    """mtools and mkfs.vfat write dates: all 1980-01-01, the FAT's first. What a user's own settings of mtools say does not matter."""
    return dict(os.environ, SOURCE_DATE_EPOCH="315532800", TZ="UTC", LC_ALL="C", MTOOLSRC="/dev/null", MTOOLS_SKIP_CHECK="1",
                PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def tool(command, what, input=None):
    """Runs a tool that is done in a moment. Raises Problem with what it says."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, input=input, timeout=120,
                              env=tool_environment())
    except OSError as error:
        raise Problem("%s: cannot run %s: %s" % (what, command[0], error.strerror)) from error
    except subprocess.TimeoutExpired as error:
        raise Problem("%s: %s does not come to an end" % (what, command[0])) from error
    if done.returncode != 0:
        raise Problem("%s failed: %s" % (what, done.stdout.decode("utf-8", "replace").strip()))
    return done.stdout


# ---- GRUB ------------------------------------------------------------------------------------------------------------------------

def grub_core(target, identity, work):
    """GRUB's core for one firmware; its path. It looks for its files on the disk that it came from, and, if the firmware does not say
    which that is, on the disk that has this image's marker."""
    if not os.path.exists(os.path.join(GRUB_DIR, target, "multiboot2.mod")):
        raise Problem("a disk image needs GRUB for %s; package %s has it" %
                      (target, "grub-pc-bin" if target == "i386-pc" else "grub-efi-amd64-bin"))
    config = os.path.join(work, "embedded-%s.cfg" % target)
    write_file(config, ("search.file %s root $root\nset prefix=($root)/boot/grub\n" % marker_of(identity)).encode())
    path = os.path.join(work, "core-" + target)
    tool(["grub-mkimage", "-O", target, "-d", os.path.join(GRUB_DIR, target), "-c", config, "-o", path,
          "-p", "(,gpt2)/boot/grub" if target == "i386-pc" else "/boot/grub"] + GRUB_MODULES + GRUB_TARGETS[target], "making GRUB for " + target)
    return path


def bios_code(core):
    """The MBR's code and the content of the BIOS boot partition, each knowing where the next one is."""
    with open(os.path.join(GRUB_DIR, "i386-pc/boot.img"), "rb") as file:
        boot = bytearray(file.read(SECTOR))
    with open(core, "rb") as file:
        data = bytearray(file.read())
    if len(data) > BIOS_SECTORS * SECTOR:
        raise Problem("GRUB's core for BIOS has %d bytes, its partition %d" % (len(data), BIOS_SECTORS * SECTOR))
    if boot[BOOT_DRIVE_CHECK] != 0xeb or struct.unpack_from("<Q", boot, BOOT_KERNEL_SECTOR)[0] != 1:
        raise Problem("%s/i386-pc/boot.img is not laid out as GRUB 2.06's; package grub-pc-bin of Debian 12 has one that is" % GRUB_DIR)
    struct.pack_into("<Q", boot, BOOT_KERNEL_SECTOR, BIOS_LBA)
    boot[BOOT_DRIVE_CHECK:BOOT_DRIVE_CHECK + 2] = b"\x90\x90"  # two NOPs: the drive that the BIOS names is believed
    struct.pack_into("<Q", data, CORE_NEXT_SECTOR, BIOS_LBA + 1)
    return bytes(boot[:BOOT_CODE]), bytes(data).ljust(BIOS_SECTORS * SECTOR, b"\0")


# ---- writing ---------------------------------------------------------------------------------------------------------------------

def esp_size(files):
    """Bytes that an EFI system partition with these files needs at least. files: {path in the image: file here}."""
    clusters = sum((os.path.getsize(path) + SECTOR - 1) // SECTOR + 2 for path in files.values()) + 64
    needed = clusters * SECTOR * 66 // 64 + MIB  # two FATs of four bytes a cluster, directories, reserved sectors
    return max(MIN_ESP, (needed + MIB - 1) // MIB * MIB)


def disk_size(files, wanted):
    """Bytes of the whole image; wanted: as the user says, or None."""
    for name, path in files.items():
        if os.path.getsize(path) > MAX_FAT_FILE:
            raise Problem("%s (%s) has %d MiB; a FAT holds no file of 4 GiB or more" % (name, path, os.path.getsize(path) // MIB))
    least = ESP_LBA * SECTOR + esp_size(files) + MIB
    if wanted is None:
        return least
    if wanted < least:
        raise Problem("--size %d MiB: this image needs %d MiB at least" % (wanted // MIB, least // MIB))
    if wanted % MIB:
        raise Problem("--size: give whole MiB")
    return wanted


def fill_fat(path, offset, files):
    """Copies files into the FAT at offset."""
    volume = "%s@@%d" % (path, offset)
    made = set()
    for name in files:
        parts = name.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                made.add(folder)
                tool(["mmd", "-i", volume, "::/" + folder], "making folder " + folder)
    for name, source in files.items():
        tool(["mcopy", "-i", volume, source, "::" + name], "copying %s into the image" % name)


def region_digest(path, offset, size):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(offset)
        while size > 0:
            data = file.read(min(size, MIB))
            if not data:
                break
            digest.update(data)
            size -= len(data)
    return digest.digest()


def write_table(path, size, disk):
    """The GPT, by sfdisk, with that GUID of the disk; the partitions' content is there already."""
    last = size // SECTOR - GPT_SECTORS - 1
    esp_sectors = (size - MIB) // SECTOR - ESP_LBA
    guids = [content_guid(region_digest(path, lba * SECTOR, sectors * SECTOR))
             for lba, sectors in ((BIOS_LBA, BIOS_SECTORS), (ESP_LBA, esp_sectors))]
    script = ["label: gpt", "label-id: %s" % str(disk).upper(), "unit: sectors", "first-lba: 34", "last-lba: %d" % last]
    for lba, sectors, kind, guid, name in ((BIOS_LBA, BIOS_SECTORS, TYPE_BIOS, guids[0], NAMES[0]), (ESP_LBA, esp_sectors, TYPE_ESP, guids[1], NAMES[1])):
        script.append('start=%d, size=%d, type=%s, uuid=%s, name="%s"' % (lba, sectors, str(kind).upper(), str(guid).upper(), name))
    tool(["sfdisk", "--quiet", "--wipe", "never", "--wipe-partitions", "never", "--no-reread", "--no-tell-kernel", path],
         "writing the partition table", input=("\n".join(script) + "\n").encode())


def write(path, size, files, identity, boot, core):
    """The image at path, which must not exist. files: {path in the image: file here}, in the order in which they are copied."""
    esp = ESP_LBA * SECTOR
    with open(path, "xb") as file:
        file.truncate(size)
        file.seek(BIOS_LBA * SECTOR)
        file.write(core)
    tool(["mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-h", str(ESP_LBA), "-i", serial_of(identity), "-n", "BULKHEAD",
          "--offset=%d" % ESP_LBA, path, str((size - MIB - esp) // 1024)], "making the EFI system partition")
    fill_fat(path, esp, files)
    write_table(path, size, content_guid(bytes.fromhex(identity)))
    with open(path, "r+b") as file:
        file.write(boot)
