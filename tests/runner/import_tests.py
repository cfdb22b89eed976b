"""Tests of ./bulkhead import acrn: the files of tests/import, and five of ACRN's own scenarios where they lie beside this tree."""

import os
import re
import subprocess
import sys
import tempfile

import build
import harness
from common import BUILD, PYTHON, ROOT

DATA = os.path.join(os.path.dirname(ROOT), "shared/acrn-data")
BAD = "whl-ipc-i5-shared_launch_1user_vm_hardrt"
# (board, scenario, what its result must say, what its report must say)
GOOD = [
    ("whl-ipc-i5", "whl-ipc-i5-hybrid", ['<vm name="SAFETY_VM0" key="SAFETY_VM0" kind="pre-launched">', '<ram size="512M" base="0x100000000"/>',
                                         '<end vm="SAFETY_VM0" port="0x2f8"/>', 'kind="elf"', '<memory limit="4G"/>'],
     ["hybrid.xml:120: <os_type> Windows OS: "]),
    ("whl-ipc-i5", "whl-ipc-i5-partitioned", ['<pci address="04:00.0" vendor="0x8086" device="0x157b"/>', '<end vm="PRE_STD_VM1" port="0x2f8"/>',
                                              'cmdline="rw rootwait root=/dev/sda3 console=ttyS0 noxsave '],
     ["partitioned.xml:135: vm 'PRE_STD_VM1' is given 00:14.0 without the rest of its IOMMU group"]),
    ("whl-ipc-i5", "whl-ipc-i5-hybrid_rt_launch_1user_vm_waag", ["<rt/>", '<shared-memory name="shm_region_0" id="0" size="2M">', '<vcpus max="1"/>'],
     ["<lapic_passthrough> of vm 'PRE_RT_VM0': built for user VMs only", ":137: CPU 0 was taken from vm 'POST_STD_VM1'", "<VBDF> 00:08.0"]),
    ("qemu", "qemu-shared", ['<end vm="POST_STD_VM1" port="0x2f8"/>', '<image base="0x11000000" size="6M"/>', '<service abi="hsm" upcall-vector="0xf3" dma="unprotected"/>'],
     ["qemu-shared.xml:54: the vUART at port 0x2f8 of vm 'POST_STD_VM1' was given interrupt line 3", "vm 'POST_STD_VM1' has no memory size"]),
]


def data_file(name):
    """One of ACRN's own files. They are not this project's: a CI machine has them beside the tree, others may lack them."""
    path = os.path.join(DATA, name + ".xml")
    harness.need(os.path.exists(path), "%s is not there" % path)
    return path


def run_import(board, scenario, folder):
    env = dict(os.environ, BULKHEAD_BUILD_DIR=BUILD)
    return subprocess.run([PYTHON, os.path.join(ROOT, "tests/runner/main.py"), "import", "acrn", "--board", data_file(board), "--scenario",
                           data_file(scenario), "-o", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, check=False)


def own_files():
    program, bhc = build.build_tool("gen/import/bh-import", quiet=True), build.build_bhc(quiet=True)
    done = subprocess.run([PYTHON, os.path.join(ROOT, "tests/import/run.py"), "--program", program, "--bhc", bhc, "--mutations", "20"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    harness.need(done.returncode == 0, done.stdout)
    return int(re.search(r"(\d+) passed", done.stdout).group(1))


def name_of(scenario):
    return scenario.replace("_", "-")


def translate(board, scenario, results, reports):
    """In a folder that stays, because the build of it does too."""
    folder = os.path.join(BUILD, "import", name_of(scenario))
    done = run_import(board, scenario, folder)
    harness.need(done.returncode == 0, done.stdout + done.stderr)
    with open(os.path.join(folder, "scenarios", name_of(scenario) + ".xml"), encoding="utf-8") as file:
        text = file.read()
    for part in results:
        harness.need(part in text, "the result lacks %r:\n%s" % (part, text))
    for part in reports:
        harness.need(part in done.stdout, "the report lacks %r:\n%s" % (part, done.stdout))
    harness.need("does not know this element" not in done.stdout, "an element is unknown:\n" + done.stdout)
    return folder, len(results) + len(reports) + 2


def translated(board, scenario, results, reports):
    return lambda: translate(board, scenario, results, reports)[1]


def built(board, scenario, results, reports):
    def run():
        folder, count = translate(board, scenario, results, reports)
        made = build.Build(os.path.join(folder, "boards", board + ".xml"), os.path.join(folder, "scenarios", name_of(scenario) + ".xml"))
        made.ninja(["src/bulkhead.elf32"], quiet=True)
        harness.need(os.path.getsize(made.image32) > 100000, "there is no image")
        config = made.config()
        harness.need(config is not None, "there is no run.json")
        return count + 1
    return run


def refused():
    path = data_file(BAD)
    with tempfile.TemporaryDirectory() as folder:
        done = run_import("whl-ipc-i5", BAD, os.path.join(folder, "out"))
        harness.need(done.returncode == 1 and not os.path.exists(os.path.join(folder, "out")), "status %d\n%s" % (done.returncode, done.stdout))
    lines = done.stderr.splitlines()
    harness.need(len(lines) == 2, done.stderr)
    harness.need(lines[0].startswith(path + ":53: error: [ACRN-018] connection 'vUART connection 1' ends at vm 'POST_RT_VM1', but no VM has that name "),
                 lines[0])
    harness.need(lines[1].startswith(path + ":89: error: [ACRN-004] the VM with id 2 is named 'POST_STD_VM1', but so is the VM with id 1 (line 75), "),
                 lines[1])
    return 4


def tests():
    out = [harness.Test("import: own files", own_files)]
    if os.path.isdir(DATA) or os.environ.get("CI"):
        out += [harness.Test("import: %s is refused" % BAD, refused)]
        out += [harness.Test("import: %s builds" % case[1], built(*case)) for case in GOOD]
    else:
        sys.stderr.write("import: %s is not there; ACRN's own files are not tried\n" % DATA)
    return out
