"""./bulkhead inspect: what an image says it is."""

import json
import os
import sys
import tempfile

import diskcheck
import diskimage
import manifest
from common import Problem, have_tool
from diskimage import MANIFEST
from image import HYPERVISOR


def register(commands):
    parser = commands.add_parser("inspect", help="what an image is: board, scenario, versions, hashes",
                                 description="Prints the manifest of an image: a disk image, an ISO, a hypervisor image (bulkhead.elf, bulkhead.elf32) "
                                 "or a manifest.dtb. It believes what the image says; ./bulkhead image --verify checks that.")
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("--json", action="store_true",
                        help='{"kind": disk|iso|hypervisor|manifest, "image": TREE or null, "manifest": TREE or null}, a TREE being {"name": .., '
                        '"properties": {..}, "nodes": [TREE ..]}')
    parser.set_defaults(run=command_inspect)


def from_iso(path, work):
    """The hypervisor out of an ISO."""
    if not have_tool("xorriso"):
        raise Problem("%s is an ISO: package xorriso reads it" % path)
    out = os.path.join(work, "bulkhead.elf")
    diskimage.tool(["xorriso", "-osirrox", "on", "-indev", path, "-extract", HYPERVISOR, out], "taking %s out of %s" % (HYPERVISOR, path))
    return out


def manifests(path, work):
    """The files in which the manifests of an image are: (kind, that of the disk image or None, that of the hypervisor or None)."""
    kind = diskcheck.kind_of(path)
    if kind == "disk":
        disk = diskcheck.Disk(path)
        files = [os.path.join(work, name) for name in ("image.dtb", "bulkhead.elf")]
        for name, file in zip((MANIFEST, HYPERVISOR), files):
            try:
                disk.extract(name, file, diskcheck.MAX_FILE)
            except Problem as problem:
                raise Problem("%s: %s cannot be read: %s" % (path, name, problem)) from problem
        return kind, files[0], files[1]
    if kind == "iso":
        return kind, None, from_iso(path, work)
    if manifest.tree(path)["name"] == "image":
        return "manifest", path, None
    with open(path, "rb") as file:
        return "hypervisor" if file.read(4) == b"\x7fELF" else "manifest", None, path


def command_inspect(options):
    with tempfile.TemporaryDirectory(prefix="bulkhead-inspect-") as work:
        kind, *files = manifests(options.image, work)
        labels = [options.image + ("" if kind in ("hypervisor", "manifest") else ":" + name) for name in (MANIFEST, HYPERVISOR)]
        if options.json:
            trees = [manifest.tree(file, label) if file else None for file, label in zip(files, labels)]
            json.dump({"kind": kind, "image": trees[0], "manifest": trees[1]}, sys.stdout, indent=1)
            print()
            return 0
        texts = [manifest.call(["text", file], label) for file, label in zip(files, labels) if file]
        sys.stdout.write("\n".join(text.decode("utf-8") for text in texts))
    return 0
