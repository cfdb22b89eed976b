#!/usr/bin/env python3
"""Tests of bh-inspect: hand-made tables (cases.py), machines that were collected on, and damaged archives. The program should be built with
sanitizers. The last line is 'N passed'."""

import argparse
import glob
import gzip
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import archive as a  # noqa: E402
import cases  # noqa: E402
from cases import TREE, intel  # noqa: E402
from result import TIME_LIMIT, Result, Wrong, need  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MUTATIONS = 300


# ---- archives ------------------------------------------------------------------------------------------------------------------------

def refused(data, text):
    r = Result(data)
    need(r.status == 2 and text in r.said, "status %d, %r" % (r.status, r.said))


def test_archives_refused():
    good = a.tar(a.machine())
    refused(b"", "it is empty")
    refused(b"<xml/>" * 1000, "it is not a tar archive")
    end = len(good.rstrip(b"\0"))
    for length in (100, 700, end // 2, end // 1024 * 512, end):
        refused(good[:length], "it is cut short")
    refused(a.tar({"bulkhead-collection": b"2\n"}), "another version")
    refused(a.tar({"proc/iomem": b""}), "is not a collection")
    refused(a.tar({"bulkhead-collection": b"1\n", "x": bytes(5 << 20)}), "more than 4 MiB")
    refused(good[:(end + 511) // 512 * 512] + a.tar({"proc/iomem": b"twice"}), "it holds proc/iomem twice")
    broken = bytearray(good)
    broken[0] ^= 1
    refused(bytes(broken), "checksum of a header")
    done = subprocess.run([Result.program, "/nowhere"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    need(done.returncode == 2 and b"/nowhere cannot be read" in done.stderr, str(done.stderr))
    for arguments in (["--wrong"], ["a", "b"], ["-o"], ["--collect", "x", "-o", "y"], ["--probe-intx", "a"]):
        done = subprocess.run([Result.program] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        need(done.returncode == 2 and done.stderr, "%s: status %d" % (arguments, done.returncode))
    need(subprocess.run([Result.program, "--help"], stdout=subprocess.PIPE, check=False).stdout.startswith(b"usage: "), "--help")


def test_foreign_tar():
    """An archive that was packed again by tar: names with ./ and folders."""
    with tempfile.TemporaryDirectory() as work:
        for name, data in a.machine().items():
            os.makedirs(os.path.dirname(os.path.join(work, "x", name)), exist_ok=True)
            with open(os.path.join(work, "x", name), "wb") as file:
                file.write(data)
        subprocess.run(["tar", "-C", os.path.join(work, "x"), "-cf", os.path.join(work, "y.tar"), "."], check=True)
        with open(os.path.join(work, "y.tar"), "rb") as file:
            need(Result(file.read()).xml == Result(a.machine()).xml, "another board file")


def test_not_root():
    def become_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "p")
        os.symlink(Result.program, program)
        done = subprocess.run([Result.program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, cwd="/",
                              preexec_fn=become_nobody if os.geteuid() == 0 else None)
    need(done.returncode == 2 and b"needs root" in done.stderr and not done.stdout, "status %d: %r" % (done.returncode, done.stderr))


def machines():
    return sorted(glob.glob(os.path.join(HERE, "machines/*.tar.gz")))


def read_machine(path):
    with gzip.open(path) as file:
        return file.read()


def test_machines(update=False):
    """Collections of QEMU machines under Linux: the board file is the one beside them."""
    need(len(machines()) >= 3, "there are no collections")
    for path in machines():
        name = os.path.basename(path)[:-7]
        r = Result(read_machine(path), "--name", name)
        expected = path[:-7] + ".xml"
        if update:
            with open(expected, "wb") as file:
                file.write(r.xml)
        with open(expected, "rb") as file:
            need(file.read() == r.xml, "%s: another board file (run with --update, and look at what changed)" % name)
    return len(machines())


# ---- damage --------------------------------------------------------------------------------------------------------------------------

def mutate(rng, files):
    """A copy with some of its files damaged, in ways that a parser may trip over."""
    files = dict(files)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        name = rng.choice(sorted(files))
        data = bytearray(files[name])
        way = rng.randrange(7)
        if way == 0 and data:
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif way == 1 and data:
            at = rng.randrange(len(data))
            data[at:at + 4] = struct.pack("<I", rng.choice((0, 1, 0xffffffff, 0x80000000, 0x7fffffff, rng.getrandbits(32))))
        elif way == 2:
            data = data[:rng.randrange(len(data) + 1)]
        elif way == 3:
            data += bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
        elif way == 4:
            data = bytearray(files[rng.choice(sorted(files))])
        elif way == 5 and data:
            at = rng.randrange(len(data))
            data[at:at] = rng.choice((b"\n", b"0x", b"-", b":", b"99999999999999999999", b"ffffffffffffffff", b"\0", b" "))
        elif way == 6:
            del files[name]
            continue
        files[name] = bytes(data)
    files.setdefault("bulkhead-collection", b"1\n")
    files["bulkhead-collection"] = b"1\n"
    return files


def interesting(files):
    """Most of a collection is idle interrupts: what parsers look at more closely is damaged more often."""
    return {name: data for name, data in files.items() if "/irq/" not in name}


def rich():
    """A machine that has everything."""
    return a.machine(TREE, a.acpi(a.dmar(a.drhd(0x1000, a.scope(1, 0, (2, 0))), a.drhd(0x2000, a.scope(2, 0, (0x1c, 0))),
                                         a.rmrr(0x7c000000, 0x7fffffff, a.scope(1, 0, (2, 0)))),
                                  a.ivrs(a.ivhd(0x11, 0x3000, a.ivhd_entry(3, 0), a.ivhd_entry(4, 0xffff), a.ivhd_acpi(5, b"abc")),
                                         a.ivmd(0x22, 0x70000000, 0x1000, 0, 0x200)),
                                  a.table("SRAT", bytes(12) + struct.pack("<BBIHQQIIQ", 1, 40, 1, 0, 0, 1 << 28, 0, 3, 0))),
                     a.pci(a.Function("00:03.0", pin=1, irq=17, enable=1, caps=(a.msi(3), a.msix(64, 0, 0x2000)), extended=(a.acs(), a.acs()), group=1,
                                      resources=((0xfe000000, 0xfe003fff, 0x40200),))), a.irq(17, 17), intel())


def test_damaged_contents():
    rng = random.Random(5)
    bases = [rich()] + [interesting(a.untar(read_machine(path))) for path in machines()]
    for count in range(MUTATIONS):
        base = bases[0] if count % 2 else rng.choice(bases)
        began = time.monotonic()
        Result(mutate(rng, base))
        need(time.monotonic() - began < TIME_LIMIT / 2, "mutation %d took %.0f s" % (count, time.monotonic() - began))
    return MUTATIONS


def test_damaged_archives():
    rng = random.Random(6)
    good = a.tar(rich())
    for _ in range(MUTATIONS // 2):
        data = bytearray(good[:rng.randrange(len(good))] if rng.random() < 0.3 else good)
        for _ in range(rng.choice((1, 3, 50))):
            at = rng.randrange(len(data) // 512 + 1) * 512 + rng.randrange(512)
            if at < len(data):
                data[at] = rng.randrange(256)
        Result(bytes(data))
    return MUTATIONS // 2


def test_large():
    """Bounded time: the largest tables that an archive may hold, and as many functions as there are addresses on sixteen buses."""
    scopes = a.scope(2, 0, (0x1c, 0)) * 5000
    files = a.machine(TREE, a.acpi(a.dmar(*[a.drhd(0x1000 * i, scopes) for i in range(100)]),
                                   a.ivrs(*[a.ivhd(0x11, 0x1000 * i, *[a.ivhd_entry(3, 0), a.ivhd_entry(4, 0xffff)] * 1000, device=i) for i in range(100)])),
                      a.pci(*[a.Function("%02x:%02x.%d" % (bus, dev, fn), pin=1) for bus in range(4, 20) for dev in range(32) for fn in range(8)]))
    files["proc/iomem"] += b"00000000-00000001 : PCI Bus 0000:00\n" * 100000
    files["cpuid"] += b"5 00000000 00000000 00000000 00000000 00000000 00000000\n" * 60000
    began = time.monotonic()
    Result(files)
    need(time.monotonic() - began < TIME_LIMIT / 2, "took %.0f s" % (time.monotonic() - began))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--update", action="store_true", help="write the expected board files of machines/ anew")
    parser.add_argument("filter", nargs="?", default="")
    options = parser.parse_args()
    Result.program = os.path.abspath(options.program)
    passed, failed = 0, 0
    for name, test in sorted({**vars(cases), **globals()}.items()):
        if not name.startswith("test_") or options.filter not in name:
            continue
        try:
            count = test(update=True) if options.update and test is test_machines else test()
            passed += count or 1
        except (Wrong, subprocess.SubprocessError, OSError, ElementTree.ParseError, AttributeError) as error:
            failed += 1
            print("FAIL %s: %s: %s" % (name, type(error).__name__, error))
    print("%d passed%s" % (passed, ", %d failed" % failed if failed else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
