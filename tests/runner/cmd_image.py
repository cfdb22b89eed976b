"""./bulkhead image: a disk image that can be written to a disk as it is, and the check of one."""

import os
import re
import tempfile

import diskcheck
import diskimage
import image
import manifest
from build import Build, complain, module_overrides
from common import Problem, need_space, say, write_file, xml_path

SAME, DIFFERS, CANNOT_RUN = 0, 1, 2
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_in_bytes(text):
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", text)
    if not found:
        raise Problem("--size %s: write a number of bytes, or one with K, M or G" % text)
    return int(found.group(1)) * UNITS[found.group(2)]


def register(commands):
    parser = commands.add_parser(
        "image", help="make or verify a flashable disk image",
        description="Builds a scenario and makes a disk image of it that boots under BIOS and UEFI: hypervisor, modules and boot loader. Equal inputs "
        "give equal bytes. Write it to a disk or stick with: dd if=FILE of=/dev/DISK bs=1M conv=fsync. With --verify: checks an image, by itself or "
        "against the board and scenario that it should be made from; status 0: it is, 1: it differs (what is said), 2: cannot run.")
    parser.add_argument("board", nargs="?", metavar="BOARD", help="name of a file in boards/ without .xml, or the path of one")
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="name of a file in scenarios/ without .xml, or the path of one")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write the image; a file of that name is replaced when the new one is complete")
    parser.add_argument("--verify", metavar="FILE", help="check this image instead of making one")
    parser.add_argument("--module", action="append", metavar="NAME=FILE", help="take boot module NAME from FILE; may be given several times")
    parser.add_argument("--append", metavar="WORDS", help="words for the hypervisor's command line, such as console=mux")
    parser.add_argument("--size", metavar="N", help="size of the whole image, such as 128M (left out: as small as can be)")
    parser.set_defaults(run=command_image)


def command_image(options):
    if options.verify is None:
        make(options)
        return 0
    try:
        return verify(options)
    except Problem as problem:
        complain(problem)
        return CANNOT_RUN


# ---- what goes in ----------------------------------------------------------------------------------------------------------------

def check_names(modules):
    """A FAT does not tell large letters from small, and drops dots at the end of names."""
    seen = {}
    for _, name in modules:
        if name.endswith("."):
            raise Problem("module '%s': a FAT keeps no name that ends with a dot; rename it in the scenario" % name)
        if name.lower() in seen:
            raise Problem("modules '%s' and '%s' differ in large and small letters only, which a FAT does not tell apart; rename one in the scenario" %
                          (seen[name.lower()], name))
        seen[name.lower()] = name


def stage(options, work):
    """Builds what the options say; [(kind, path in the image, file here)] without boot loaders."""
    build = Build(options.board, options.scenario).make()
    modules = build.modules(module_overrides(options.module))
    check_names(modules)
    # Without debugging information, which names the folder of the build.
    stripped = os.path.join(work, "bulkhead.elf")
    diskimage.tool(["objcopy", "--strip-all", build.image32, stripped], "taking the debugging information out of the hypervisor")
    console = manifest.node(manifest.tree(stripped, build.image32), "scenario", "hypervisor", "console")["properties"]
    settings = os.path.join(work, "settings")
    write_file(settings, image.grub_settings(options.append or "", manifest.number(console, "port") or 0x3f8,
                                             manifest.number(console, "baud") or 115200).encode())
    parts = image.contents(build, modules, settings)
    return [(kind, path, stripped if kind == "hypervisor" else file) for kind, path, file in parts]


def identify(parts):
    return diskimage.identity_of([(path, diskimage.file_digest(file)) for _, path, file in parts])


# ---- making ----------------------------------------------------------------------------------------------------------------------

def loaders(identity, work):
    """Boot loaders and the marker: ([(kind, path, file)], the MBR's code, the BIOS boot partition)."""
    boot, core = diskimage.bios_code(diskimage.grub_core("i386-pc", identity, work))
    files = {"marker": os.path.join(work, "marker"), "boot": os.path.join(work, "boot"), "core": os.path.join(work, "core")}
    write_file(files["marker"], (identity + "\n").encode())
    write_file(files["boot"], boot)
    write_file(files["core"], core)
    return [("loader", "/EFI/BOOT/BOOTX64.EFI", diskimage.grub_core("x86_64-efi", identity, work)),
            ("marker", diskimage.marker_of(identity), files["marker"]),
            ("region", "boot.img@0", files["boot"]),
            ("region", "core.img@%d" % (diskimage.BIOS_LBA * diskimage.SECTOR), files["core"])], boot, core


def make(options):
    if not options.board or not options.scenario or not options.output:
        raise Problem("image: say BOARD SCENARIO -o FILE, or --verify FILE; see ./bulkhead image --help")
    wanted = size_in_bytes(options.size) if options.size else None
    output = os.path.abspath(options.output)
    if os.path.exists(output) and not os.path.isfile(output):
        raise Problem("%s is not a regular file; write the image to a file first, then copy that with dd" % options.output)
    folder = os.path.dirname(output)
    if not os.path.isdir(folder):
        raise Problem("there is no folder %s" % folder)
    with tempfile.TemporaryDirectory(prefix="bulkhead-image-") as work:
        say("building scenario %s for board %s" % (options.scenario, options.board))
        parts = stage(options, work)
        say("making GRUB for BIOS and UEFI")
        identity = identify(parts)
        extra, boot, core = loaders(identity, work)
        parts += extra
        record = os.path.join(work, "image.dtb")
        manifest.call(["make", record, dict((kind, file) for kind, _, file in parts)["hypervisor"], identity] +
                      [word for part in parts for word in part])
        files = {path: file for kind, path, file in parts if kind != "region"}
        files[diskimage.MANIFEST] = record
        size = diskimage.disk_size(files, wanted)
        need_space(folder, size, "the image")
        say("writing %s, %d MiB" % (options.output, size // diskimage.MIB))
        temporary = "%s.%d.tmp" % (output, os.getpid())
        try:
            diskimage.write(temporary, size, files, identity, boot, core)
            os.replace(temporary, output)
        except OSError as error:
            raise Problem("cannot write %s: %s" % (options.output, error.strerror)) from error
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    say("made %s: %s on %s, identity %s" % (options.output, options.scenario, options.board, identity))


# ---- verifying -------------------------------------------------------------------------------------------------------------------

def verify(options):
    for name, given in (("-o", options.output), ("--size", options.size)):
        if given is not None:
            raise Problem("--verify does not go with %s" % name)
    if options.board and not options.scenario:
        raise Problem("--verify: give a board and a scenario, or neither")
    if not options.board and (options.module or options.append is not None):
        raise Problem("--verify: --module and --append go with a board and a scenario")
    found, origin = diskcheck.differences(options.verify)
    if options.board and origin:
        found += input_differences(options, origin)
    for text in found:
        print("%s: %s" % (options.verify, text))
    if found:
        return DIFFERS
    board, scenario = (manifest.nodes(origin.tree, "input") + [None, None])[:2]
    print("%s: sound%s: %s on %s, identity %s" % (options.verify, " and made from these inputs" if options.board else "",
                                                  scenario["properties"]["name"], board["properties"]["name"], origin.identity))
    return SAME


def input_differences(options, origin):
    """What of the image was made from something else than the options say."""
    out = []
    for kind, given in (("board", options.board), ("scenario", options.scenario)):
        path = xml_path(kind, given)
        if diskimage.file_digest(path) != origin.inputs.get(kind):
            out.append("it was made from another %s file than %s (SHA-256 %s)" % (kind, path, origin.inputs.get(kind)))
    if out:
        return out
    have = origin.own()
    with tempfile.TemporaryDirectory(prefix="bulkhead-image-") as work:
        wanted = {path: (kind, diskimage.file_digest(file)) for kind, path, file in stage(options, work)}
    for path in sorted(set(have) | set(wanted)):
        kind, digest = wanted.get(path, ("file", None))
        what = "module '%s'" % os.path.basename(path) if kind == "module" else path
        if path not in have or digest is None:
            out.append("%s is only in %s" % (what, "the image" if digest is None else "what would be made now"))
        elif have[path] != digest:
            out.append("%s differs from what would be put in now (SHA-256 %s in the image, %s now)" % (what, have[path], digest))
    return out
