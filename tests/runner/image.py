"""Boot media of a build: what GRUB reads in all of them, and the ISO, which starts under BIOS and under UEFI."""

import os
import re
import shutil
import tempfile

from common import Problem, have_tool, run_logged, write_file

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
HYPERVISOR = "/boot/bulkhead.elf"
GRUB_CFG = "/boot/grub/grub.cfg"
SETTINGS = "/boot/bulkhead.cfg"


def grub_settings(append, port=0x3f8, speed=115200):
    """The text of bulkhead.cfg. append: words for the hypervisor's command line. GRUB talks to the serial port too, so that a machine
    without a screen shows what it does; where there is no such port it goes on with the screen alone."""
    if re.search(r"[^ -~]", append):
        raise Problem("--append: the hypervisor's command line takes printable ASCII only")
    return ("if serial --port=%#x --speed=%d; then\n  terminal_output --append serial\nfi\nset bulkhead_args='%s'\n" %
            (port, speed, append.replace("'", "'\\''")))


def module_path(name):
    """Where a module lies on the medium."""
    return "/boot/modules/" + name


def contents(build, modules, settings):
    """[(kind, path on the medium, file here)] of a build with modules [(file, name)] and the file of settings."""
    return ([("hypervisor", HYPERVISOR, build.image32)] + [("module", module_path(name), source) for source, name in modules] +
            [("config", GRUB_CFG, build.path("gen/config/grub.cfg")), ("config", SETTINGS, settings)])


def make_iso(build, modules, append, path):
    """Writes an ISO with the build's image and modules [(file, name)]; append: words for the hypervisor's command line."""
    for tool, package in (("grub-mkrescue", "grub-common"), ("xorriso", "xorriso"), ("mformat", "mtools")):
        if not have_tool(tool):
            raise Problem("an ISO needs %s; package %s has it" % (tool, package))
    with tempfile.TemporaryDirectory(dir=build.dir, prefix=".iso-") as work:
        settings = os.path.join(work, "settings")
        write_file(settings, grub_settings(append).encode())
        tree = os.path.join(work, "tree")
        for _, name, source in contents(build, modules, settings):
            os.makedirs(os.path.dirname(tree + name), exist_ok=True)
            shutil.copyfile(source, tree + name)
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
