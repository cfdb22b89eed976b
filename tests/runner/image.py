"""A GRUB ISO of a build: starts under BIOS and under UEFI, the same hypervisor image in both."""

import os
import shutil
import tempfile

from common import Problem, have_tool, run_logged, write_file

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"


def make_iso(build, modules, append, path):
    """Writes an ISO with the build's image and modules [(file, name)]; append: words for the hypervisor's command line."""
    for tool, package in (("grub-mkrescue", "grub-common"), ("xorriso", "xorriso"), ("mformat", "mtools")):
        if not have_tool(tool):
            raise Problem("an ISO needs %s; package %s has it" % (tool, package))
    with tempfile.TemporaryDirectory(dir=build.dir, prefix=".iso-") as work:
        tree = os.path.join(work, "tree")
        os.makedirs(os.path.join(tree, "boot/grub"))
        os.makedirs(os.path.join(tree, "boot/modules"))
        shutil.copyfile(build.path("gen/grub.cfg"), os.path.join(tree, "boot/grub/grub.cfg"))
        shutil.copyfile(build.image32, os.path.join(tree, "boot/bulkhead.elf"))
        for source, name in modules:
            shutil.copyfile(source, os.path.join(tree, "boot/modules", name))
        # GRUB talks to the serial port too, so that a machine without a screen shows what it does.
        write_file(os.path.join(tree, "boot/bulkhead.cfg"),
                   ("serial --unit=0 --speed=115200\nterminal_output serial\nset bulkhead_args=\"%s\"\n" % append).encode())
        result = os.path.join(work, "out.iso")
        run_logged(["grub-mkrescue", "-o", result, tree], build.path("logs/iso.log"), "making the ISO of " + build.name)
        os.replace(result, path)
    return path


def uefi_files(build):
    """OVMF's code and a fresh copy of its variables."""
    for path in (OVMF_CODE, OVMF_VARS):
        if not os.path.exists(path):
            raise Problem("UEFI needs %s; package ovmf has it" % path)
    variables = build.path("ovmf-vars.fd")
    shutil.copyfile(OVMF_VARS, variables)
    return OVMF_CODE, variables
