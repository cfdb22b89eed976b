"""What the configuration compiler costs: CPU time (user and system) of bhc and of rendering, the least of several runs, because other work on the machine can
only add to it."""

import math
import os
import shutil
import subprocess
import tempfile

from build import Build, build_tool
from common import BUILD, DEFAULT_BOARD, DEFAULT_SCENARIO, PYTHON, ROOT, Problem

SCHEMA, TEMPLATES = os.path.join(ROOT, "gen/schema"), os.path.join(ROOT, "gen/templates")
SYNTH = os.path.join(ROOT, "tests/config/synth.py")
FILES = ["sizes.h", "tables.c", "manifest.c", "layout.ld", "run.json", "grub.cfg", "report.html", "report.txt"]
RUNS = 7

# The larger of ACRN's boards with its scenario, where that data lies beside the project. Always a synthetic board whose XML is about as large as that
# file (whose 146 KB become 7 KB of ours), and, to be rendered where there is no such data, one with as many functions.
ACRN = os.path.join(os.path.dirname(ROOT), "shared", "acrn-data")
ACRN_BOARD, ACRN_SCENARIO = "whl-ipc-i5", "whl-ipc-i5-partitioned"
AS_LARGE = (4, 480)  # VMs and PCI functions: 125 KB
AS_MANY = (4, 32)
LARGE = (64, 256)
LARGEST = (64, 64 * 256)
GROWTH = 2048  # functions, and four times as many

# name: (budget, unit, what)
BUDGETS = {
    "config.bhc": (50, "ms CPU", "check, place and emit for a board as large as ACRN's larger one"),
    "config.all": (300, "ms CPU", "the same and everything rendered"),
    "config.large": (200, "ms CPU", "64 VMs and 256 devices"),
    "config.largest": (1000, "ms CPU", "64 VMs with 256 devices each: 16384 on the board"),
    "config.growth": (100, "% of n log n", "cost of four times as many devices"),
}


def cpu_ms(command):
    """CPU milliseconds that a command takes: the least of RUNS."""
    best = math.inf
    for _ in range(RUNS):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            raise Problem("%s ended with status %d: %s" % (command[0], child.returncode, done.stdout.decode(errors="replace")[:1000]))
        best = min(best, usage.ru_utime + usage.ru_stime)
    return best * 1000


class Bench:
    def __init__(self, folder, quiet):
        build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO)
        build.ninja(["gen/bhc"], quiet)
        self.bhc, self.folder, self.quiet = build.path("gen/bhc"), folder, quiet

    def synthetic(self, vms, devices):
        files = [os.path.join(self.folder, "%s-%d-%d.xml" % (kind, vms, devices)) for kind in ("board", "scenario")]
        if not os.path.exists(files[0]):
            subprocess.run([PYTHON, SYNTH, str(vms), str(devices)] + files, check=True)
        return files

    def imported(self):
        """Board and scenario as ./bulkhead import acrn makes them, or nothing without the data."""
        if not os.path.isdir(ACRN):
            return []
        subprocess.run([build_tool("gen/import/bh-import", quiet=True), "--board", os.path.join(ACRN, ACRN_BOARD + ".xml"), "--scenario",
                        os.path.join(ACRN, ACRN_SCENARIO + ".xml"), "-o", self.folder], check=True, stdout=subprocess.DEVNULL)
        return [[os.path.join(self.folder, "boards", ACRN_BOARD + ".xml"), os.path.join(self.folder, "scenarios", ACRN_SCENARIO + ".xml")]]

    def compile(self, files):
        return cpu_ms([self.bhc] + files + ["--schema-dir", SCHEMA, "--out-dir", self.folder])

    def render(self, files):
        subprocess.run([self.bhc] + files + ["--schema-dir", SCHEMA, "--out-dir", self.folder], check=True, stderr=subprocess.DEVNULL)
        rendered = tempfile.mkdtemp(dir=self.folder)
        return cpu_ms([PYTHON, "-E", "-s", os.path.join(ROOT, "gen/render.py"), os.path.join(self.folder, "resolved.xml")] + FILES +
                      ["--templates", TEMPLATES, "--cache", os.path.join(self.folder, "cache"), "--manifest", os.path.join(self.folder, "manifest.dtb"), "--out-dir", rendered])

    def growth(self):
        """What four times as many devices cost, in percent of what n log n allows; what the program costs without any is left out."""
        nothing = self.compile(self.synthetic(64, 0))
        once, four = (self.compile(self.synthetic(64, count)) - nothing for count in (GROWTH, 4 * GROWTH))
        return 100 * four / once / (4 * math.log(4 * GROWTH) / math.log(GROWTH))

    def figures(self, names):
        out = {}
        if {"config.bhc", "config.all"} & set(names):
            pairs = self.imported() or [self.synthetic(*AS_MANY)]
            out["config.bhc"] = max(self.compile(files) for files in pairs + [self.synthetic(*AS_LARGE)])
            if "config.all" in names:
                out["config.all"] = max(self.compile(files) + self.render(files) for files in pairs)
        if "config.large" in names:
            out["config.large"] = self.compile(self.synthetic(*LARGE))
        if "config.largest" in names:
            out["config.largest"] = self.compile(self.synthetic(*LARGEST))
        if "config.growth" in names:
            out["config.growth"] = self.growth()
        return {name: math.ceil(value) for name, value in out.items()}


def measure(names, quiet=False):
    """{name: value} for the names among BUDGETS."""
    os.makedirs(BUILD, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="bench-config-", dir=BUILD)
    try:
        return Bench(folder, quiet).figures(names)
    finally:
        shutil.rmtree(folder)
