"""Disk images: they start under BIOS and UEFI, equal inputs give equal bytes, --verify finds whatever is changed in them, and inspect tells
what they are."""

import contextlib
import filecmp
import json
import os
import re
import shutil
import subprocess
import tempfile

import cmd_image
import diskcheck
import diskimage
import image
import manifest
from boot_tests import bulkhead, refuses
from build import Build
from common import BUILD, DEFAULT_BOARD, DEFAULT_SCENARIO, ROOT, Problem, write_file
from diskimage import BIOS_LBA, BOOT_CODE, ESP_LBA, GPT_SECTORS, MIB, SECTOR
from harness import Failure, Session, Test, need
from run import wait_ready

BARE = [DEFAULT_BOARD, "bare"]
FOLDER = os.path.join(BUILD, "disk-images")


def make(name, arguments, env=None):
    """./bulkhead image with these arguments; the image's path."""
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, name)
    status, output = bulkhead(["image"] + arguments + ["-o", path], env)
    need(status == 0, output)
    return path


def verify(arguments, expected, pattern=None):
    """--verify ends with that status and says something like pattern."""
    status, output = bulkhead(["image", "--verify"] + arguments)
    need(status == expected, "--verify %s: status %d instead of %d\n%s" % (" ".join(arguments), status, expected, output))
    need("Traceback" not in output and (pattern is None or re.search(pattern, output)), "no %r in:\n%s" % (pattern, output))


# ---- booting ---------------------------------------------------------------------------------------------------------------------

def boots(firmware, scenario):
    """Every VM of the scenario gets ready on a machine whose only disk is the image."""
    def run():
        path = make("boot-%s.img" % firmware, [DEFAULT_BOARD, scenario, "--append", "console=mux"])
        build = Build(DEFAULT_BOARD, scenario)
        where = {"disk": path}
        if firmware == "uefi":
            where["firmware"] = image.uefi_files(build)
        with Session(build, "disk-" + firmware, where=where) as session:
            wait_ready(session.machine, session.config, 800, report=lambda _: None)
            need(re.search(r"started by multiboot2", session.since("hypervisor")), "the log does not say multiboot2")
        return 3
    return run


# ---- equal bytes -----------------------------------------------------------------------------------------------------------------

def same_bytes():
    """Two builds from nothing, in two folders, at two times: one image. Another input: another."""
    first = make("same.img", BARE)
    with tempfile.TemporaryDirectory(dir=FOLDER) as elsewhere:
        env = {"BULKHEAD_BUILD_DIR": os.path.join(elsewhere, "another place"), "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"}
        second = make("same-again.img", BARE, env)
        need(filecmp.cmp(first, second, shallow=False), "the images differ: compare %s with %s" % (first, second))
    other = make("same-not.img", BARE + ["--append", "console=mux"])
    need(not filecmp.cmp(first, other, shallow=False), "another command line makes the same image")
    with open(first, "rb") as file:
        content = file.read()
    for place in (BUILD, ROOT):
        need(place.encode() not in content, "the image holds the path %s" % place)
    return 4


# ---- verifying -------------------------------------------------------------------------------------------------------------------

def flipped(path, offset):
    """The image with one byte changed while the caller looks at it."""
    class Flip:
        def write(self, byte):
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(bytes([byte]))

        def __enter__(self):
            with open(path, "rb") as file:
                file.seek(offset)
                self.old = file.read(1)[0]
            self.write(self.old ^ 0x10)

        def __exit__(self, *_):
            self.write(self.old)
    return Flip()


def table_places(size):
    """[(offset, a text that its report must have)] in the partition tables and the gaps around them."""
    backup = size - GPT_SECTORS * SECTOR
    out = [(440, "MBR"), (446, "MBR"), (460, "MBR"), (511, "MBR")]
    for name, at in (("the GPT's header", SECTOR), ("the copy of the GPT's header", size - SECTOR)):
        out += [(at + field, name) for field in (0, 8, 12, 16, 20, 24, 32, 40, 48, 56, 71, 72, 80, 84, 88, 92, 511)]
    for name, at in (("the GPT's entries", 2 * SECTOR), ("the copy of the GPT's entries", backup)):
        out += [(at + field, name) for field in (0, 16, 32, 40, 48, 56, 128, 144, 160, 183, 256, 16383)]
    return out + [((GPT_SECTORS + 1) * SECTOR, "gap behind"), (BIOS_LBA * SECTOR - 1, "gap behind"), (backup - 1, "gap before"), (size - MIB, "gap before")]


def file_places(path):
    """{path in the image: (where its bytes start, how many)}; files of a new FAT lie in one piece."""
    disk, out = diskcheck.Disk(path), {}
    with open(path, "rb") as file:
        content = file.read()
    with tempfile.TemporaryDirectory() as work:
        for name in disk.names():
            copy = os.path.join(work, "copy")
            disk.extract(name, copy, len(content))
            with open(copy, "rb") as file:
                data = file.read()
            start = content.index(data[:SECTOR], ESP_LBA * SECTOR)
            need(content[start:start + len(data)] == data, "%s does not lie in one piece" % name)
            out[name] = (start, len(data))
    return out


def expect_found(wrong, text, offset):
    need(any(text in line for line in wrong), "byte %#x flipped: no %r in %s" % (offset, text, wrong))


def finds_flips():
    """One changed byte, wherever it is, is found and its place named."""
    path = make("flips.img", BARE)
    wrong, _ = diskcheck.differences(path)
    need(not wrong, "a new image is said to differ: %s" % wrong)
    size, esp = os.path.getsize(path), ESP_LBA * SECTOR
    tables = table_places(size)
    for offset, text in tables:
        with flipped(path, offset):
            disk = diskcheck.Disk(path)
            expect_found(disk.table_differences(disk.guids()), text, offset)
    contents = [esp + offset for offset in (0, 3, 67, 510, SECTOR + 4, 6 * SECTOR, 32 * SECTOR + 100, (size - MIB - esp) // 2)] + [size - MIB - 1]
    contents += [BIOS_LBA * SECTOR + offset for offset in (0, 500, 40000, MIB - 1)]
    files = file_places(path)
    start, length = files.pop(diskimage.MANIFEST)  # nothing stands above it but the hash of its partition
    contents += [start, start + length // 2, start + length - 1]
    for offset in contents:
        with flipped(path, offset):
            disk = diskcheck.Disk(path)
            expect_found(disk.content_differences(disk.guids()), "EFI system" if offset >= esp else "BIOS boot", offset)
    # Each of the rest has its own line in the report: all at once.
    for share in (0, 0.5, 1):
        places = {start + int((length - 1) * share): name for name, (start, length) in files.items()}
        places.update({int((BOOT_CODE - 1) * share): "boot.img", BIOS_LBA * SECTOR + int((MIB - 1) * share): "core.img"})
        with contextlib.ExitStack() as stack:
            for offset in places:
                stack.enter_context(flipped(path, offset))
            wrong, _ = diskcheck.differences(path)
        for offset, name in places.items():
            expect_found(wrong, name, offset)
    with flipped(path, SECTOR + 16):
        verify([path], 1, "the GPT's header differs at byte 0x210")
    with flipped(path, SECTOR), flipped(path, size - SECTOR):
        verify([path], 2, "not a disk image")
    verify([path], 0, "sound: bare on qemu-q35")
    return len(tables) + len(contents) + 3 * (len(files) + 2) + 3


def finds_forgery():
    """A change that someone made with care, so that the partition table fits it: found by the manifest's hashes."""
    original = make("forgery-original.img", BARE)
    path = os.path.join(FOLDER, "forgery.img")
    volume = "%s@@%d" % (path, ESP_LBA * SECTOR)
    disk = diskcheck.Disk(original)
    checks = 0

    def forge(commands):
        shutil.copyfile(original, path)
        for command in commands:
            diskimage.tool(command, "forging")
        guids = disk.guids()
        diskimage.write_table(path, os.path.getsize(path), guids[0])
        return diskcheck.differences(path)[0]
    need(forge([]) == [], "a table that was written again differs: %s" % forge([]))
    with tempfile.TemporaryDirectory() as work:
        module, extra = os.path.join(work, "rtos"), os.path.join(work, "extra")
        disk.extract("/boot/modules/rtos", module, MIB)
        with open(module, "ab") as file:
            file.write(b"x")
        write_file(extra, b"set bulkhead_args='other'\n")
        for commands, pattern in (
                ([["mcopy", "-o", "-i", volume, module, "::/boot/modules/rtos"]], r"module 'rtos' .* is not the file that was put in"),
                ([["mcopy", "-i", volume, extra, "::/boot/extra"]], r"file /boot/extra is not in the manifest"),
                ([["mdel", "-i", volume, "::/boot/modules/rtos"]], r"module 'rtos' .* is missing"),
                ([["mcopy", "-o", "-i", volume, extra, "::/boot/bulkhead.cfg"]], r"/boot/bulkhead\.cfg is not the file"),
                ([["mcopy", "-o", "-i", volume, extra, "::/EFI/BOOT/BOOTX64.EFI"]], r"BOOTX64\.EFI is not the file"),
                ([["mcopy", "-o", "-i", volume, extra, "::/boot/image.dtb"]], r"its manifest /boot/image\.dtb cannot be read"),
                ([["mcopy", "-o", "-i", volume, extra, "::/boot/bulkhead.elf"]], r"its hypervisor /boot/bulkhead\.elf cannot be read")):
            wrong = forge(commands)
            need(any(re.search(pattern, line) for line in wrong), "no %r in %s" % (pattern, wrong))
            checks += 1
    for change, pattern in ((lambda file: file.truncate(os.path.getsize(path) - MIB), "not a disk image|differs"),
                            (lambda file: (file.seek(0, os.SEEK_END), file.write(bytes(MIB))), "length|differs")):
        shutil.copyfile(original, path)
        with open(path, "r+b") as file:
            change(file)
        status, output = bulkhead(["image", "--verify", path])
        need(status in (1, 2) and re.search(pattern, output) and "Traceback" not in output, "status %d: %s" % (status, output))
        checks += 1
    return checks


def against_inputs():
    """--verify with a board and a scenario: the same inputs, and each of them changed."""
    path = make("inputs.img", BARE)
    verify([path] + BARE, 0, "made from these inputs")
    with tempfile.TemporaryDirectory() as work:
        for kind, name in (("board", DEFAULT_BOARD), ("scenario", "bare")):
            copy = os.path.join(work, name + ".xml")
            shutil.copyfile(os.path.join(ROOT, kind + "s", name + ".xml"), copy)
            pair = [copy if kind == "board" else BARE[0], copy if kind == "scenario" else BARE[1]]
            verify([path] + pair, 0)
            with open(copy, "ab") as file:
                file.write(b"<!-- -->\n")
            verify([path] + pair, 1, "made from another %s file" % kind)
        module = os.path.join(work, "rtos")
        shutil.copyfile(Build(*BARE).path("tests/guests/rtos.elf"), module)
        verify([path] + BARE + ["--module", "rtos=" + module], 0)
        with open(module, "ab") as file:
            file.write(b"\0")
        verify([path] + BARE + ["--module", "rtos=" + module], 1, "module 'rtos' differs")
    verify([path] + BARE + ["--append", "console=mux"], 1, r"/boot/bulkhead\.cfg differs")
    verify([path, DEFAULT_BOARD, DEFAULT_SCENARIO], 1, "made from another scenario file")
    verify([path, DEFAULT_BOARD], 2, "a board and a scenario, or neither")
    verify([path, DEFAULT_BOARD, "no-such"], 2, "no scenario 'no-such'")
    verify([path + ".not"], 2, "cannot read .*: No such file")
    verify([os.path.join(ROOT, "README.md")], 2, "not a disk image")
    return 12


# ---- what is refused -------------------------------------------------------------------------------------------------------------

def refusals():
    """Each mistake in one line; an image that was there stays as it was, and nothing else is left."""
    os.makedirs(FOLDER, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as work:
        path = os.path.join(work, "old.img")
        write_file(path, b"old")
        big = os.path.join(work, "big")
        with open(big, "wb") as file:
            file.truncate(257 << 10)
        cases = ((BARE + ["--module", "rtos=" + os.path.join(work, "gone")], r"module 'rtos': cannot read .*gone: No such file"),
                 (BARE + ["--module", "rtos=" + big], r"module 'rtos': .*big has 263168 bytes, the scenario allows 262144; raise its max-size"),
                 (BARE + ["--module", "nobody=/dev/null"], r"no module of that name"), (BARE + ["--module", "rtos"], r"write NAME=FILE"),
                 (BARE + ["--size", "20M"], r"--size 20 MiB: this image needs \d+ MiB at least"), (BARE + ["--size", "big"], r"--size big: write a number"),
                 (BARE + ["--append", "a\nb"], r"printable ASCII only"), ([DEFAULT_BOARD], r"say BOARD SCENARIO -o FILE"),
                 ([DEFAULT_BOARD, "size"], r"configuration refused"))
        for arguments, pattern in cases:
            refuses(["image"] + arguments + ["-o", path], pattern)
            with open(path, "rb") as file:
                need(file.read() == b"old", "the old image is gone after: %s" % arguments)
        refuses(["image"] + BARE + ["-o", work], r"is not a regular file; write the image to a file first")
        refuses(["image"] + BARE + ["-o", os.path.join(work, "no", "where.img")], r"there is no folder")
        refuses(["image"] + BARE, r"say BOARD SCENARIO -o FILE")
        need(sorted(os.listdir(work)) == ["big", "old.img"], "left behind: %s" % sorted(os.listdir(work)))
    for modules, pattern in (([("", "a"), ("", "A")], r"'a' and 'A' differ in large and small"), ([("", "a.")], r"ends with a dot")):
        try:
            cmd_image.check_names(modules)
        except Problem as problem:
            need(re.search(pattern, str(problem)), str(problem))
        else:
            raise Failure("accepted: %s" % modules)
    return len(cases) + 5


def sizes():
    """A larger image is as sound as the smallest one; words for the hypervisor reach GRUB quoted."""
    path = make("large.img", BARE + ["--size", "96M", "--append", "a='b\" $c; reboot"])
    need(os.path.getsize(path) == 96 * MIB, "it has %d bytes" % os.path.getsize(path))
    verify([path], 0)
    with tempfile.TemporaryDirectory() as work:
        copy = os.path.join(work, "cfg")
        diskcheck.Disk(path).extract(image.SETTINGS, copy, MIB)
        with open(copy, encoding="ascii") as file:
            need("set bulkhead_args='a='\\''b\" $c; reboot'\n" in file.read(), "not quoted")
        done = subprocess.run(["grub-script-check", copy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        need(done.returncode == 0, done.stdout.decode())
        with open(path, "rb") as file:
            file.seek(ESP_LBA * SECTOR)
            write_file(os.path.join(work, "esp"), file.read(os.path.getsize(path) - MIB - ESP_LBA * SECTOR))
        for command in (["fsck.vfat", "-n", os.path.join(work, "esp")], ["sfdisk", "--verify", path]):
            diskimage.tool(command, " ".join(command))
    return 5


def other_board():
    """A board without an emulator: its image can be made and is sound, though nobody here can start it."""
    with tempfile.TemporaryDirectory() as work:
        board = os.path.join(work, "real.xml")
        with open(os.path.join(ROOT, "boards", DEFAULT_BOARD + ".xml"), encoding="utf-8") as file:
            text = re.sub(r"<emulator\b[^>]*/>|<emulator\b.*?</emulator>", "", file.read(), flags=re.DOTALL)
        write_file(board, text.encode())
        path = make("real.img", [board, "bare"])
        verify([path, board, "bare"], 0)
        shutil.rmtree(Build(board, "bare").dir, ignore_errors=True)
    return 2


# ---- inspecting ------------------------------------------------------------------------------------------------------------------

def inspects():
    """Text and JSON of every kind of image agree with what was built."""
    path = make("inspect.img", BARE)
    build = Build(*BARE)
    wanted = manifest.tree(os.path.join(build.dir, os.path.relpath(find_manifest(build), build.dir)))
    kinds = {path: "disk", build.image32: "hypervisor", build.image64: "hypervisor", find_manifest(build): "manifest"}
    kinds[image.make_iso(build, build.modules({}), "", build.path("inspect.iso"))] = "iso"
    for file, kind in kinds.items():
        status, output = bulkhead(["inspect", file, "--json"])
        need(status == 0, output)
        found = json.loads(output)
        need(found["kind"] == kind and found["manifest"] == wanted, "%s: the manifest of a %s differs" % (file, found["kind"]))
        need((found["image"] is not None) == (kind == "disk"), "%s: %s" % (file, found["image"]))
        status, output = bulkhead(["inspect", file])
        need(status == 0 and re.search(r"board +qemu-q35: ", output) and re.search(r"rtos1: pre-launched, 1 vCPUs on CPUs 2", output), output)
    _, output = bulkhead(["inspect", path])
    for name, file in (("modules/rtos", build.path("tests/guests/rtos.elf")), ("board", build.board_xml), ("scenario", build.scenario_xml)):
        need(re.search(r"%s.*SHA-256 %s" % (name, diskimage.file_digest(file)), output), "no hash of %s in:\n%s" % (name, output))
    refuses(["inspect", os.path.join(ROOT, "README.md")], r"neither a hypervisor image .* nor a manifest")
    refuses(["inspect", path + ".not"], r"cannot read .*: No such file")
    with flipped(path, ESP_LBA * SECTOR + 11):  # bytes per sector
        refuses(["inspect", path], r"/boot/image\.dtb cannot be read: mtools")
    return 3 * len(kinds) + 6


def find_manifest(build):
    return next(path for path in (build.path("gen/config/manifest.dtb"), build.path("gen/manifest.dtb")) if os.path.exists(path))


def tests():
    return [
        Test("image.bios", boots("bios", DEFAULT_SCENARIO), chain="image"), Test("image.uefi", boots("uefi", "bare"), chain="image"),
        Test("image.same_bytes", same_bytes, chain="image"), Test("image.finds_flips", finds_flips, chain="image"),
        Test("image.finds_forgery", finds_forgery, chain="image"), Test("image.against_inputs", against_inputs, chain="image"),
        Test("image.refusals", refusals, chain="image"), Test("image.sizes", sizes, chain="image"), Test("image.other_board", other_board, chain="image"),
        Test("image.inspect", inspects, chain="image"),
    ]
