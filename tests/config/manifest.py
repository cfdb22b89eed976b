#!/usr/bin/env python3
"""Tests of bhmanifest: what it reads out of a manifest is what bhc put in, from an ELF too, and hostile files do it no harm. Standard library only.

    manifest.py --bhc PATH --bhmanifest PATH [--mutations N]
"""

import argparse
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCHEMA = os.path.join(ROOT, "gen", "schema")
SAN = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:exitcode=99", UBSAN_OPTIONS="print_stacktrace=1")
SEED = 5


class Failed(Exception):
    """A test found what it must not find."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=SAN, timeout=60, check=False)
    expect(done.returncode in (0, 1, 2), "%s: status %d\n%s" % (" ".join(command[:2]), done.returncode, done.stderr.decode("utf-8", "replace")[-3000:]))
    return done


def pairs():
    """(board, scenario) files: the tree's own, and those of the configuration tests that use every element."""
    out = [(os.path.join(HERE, "good", name + "-board.xml"), os.path.join(HERE, "good", name + "-scenario.xml"))
           for name in sorted(re.sub("-board.xml$", "", os.path.basename(path)) for path in glob.glob(os.path.join(HERE, "good", "*-board.xml")))]
    return out + [(board, scenario) for board in sorted(glob.glob(os.path.join(ROOT, "boards", "*.xml")))
                  for scenario in sorted(glob.glob(os.path.join(ROOT, "scenarios", "*.xml")))]


class Suite:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.made = []
        self.passed = self.failed = 0

    def run(self, name, test):
        try:
            test()
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as error:
            self.failed += 1
            print("not ok - %s" % name)
            print("\n".join("#   " + line for line in str(error).splitlines()))
        else:
            self.passed += 1
            print("ok - %s" % name)

    def manifest(self, how, path):
        return run([self.options.bhmanifest, how, path])

    def write(self, name, data):
        path = os.path.join(self.scratch, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def compile_all(self):
        for index, (board, scenario) in enumerate(pairs()):
            folder = os.path.join(self.scratch, str(index))
            os.mkdir(folder)
            if run([self.options.bhc, board, scenario, "--schema-dir", SCHEMA, "--out-dir", folder]).returncode == 0:
                self.made.append(folder)
        expect(len(self.made) >= 5, "only %d pairs are valid" % len(self.made))

    # ---- what it says ------------------------------------------------------------------------------------------------------------

    def round_trip(self):
        """Nodes, properties, values and their kinds are those of resolved.xml, byte for byte."""
        for folder in self.made:
            dtb = os.path.join(folder, "manifest.dtb")
            with open(os.path.join(folder, "resolved.xml"), "rb") as file:
                wanted = file.read().splitlines()
            done = self.manifest("xml", dtb)
            found = done.stdout.splitlines()
            for want, have in zip(wanted, found):
                expect(want == have, "resolved.xml: %s\nbhmanifest:   %s" % (want.decode(), have.decode()))
            expect(len(wanted) == len(found), "%d lines instead of %d" % (len(found), len(wanted)))

    def as_json(self):
        def compare(node, element, path):
            expect(node["name"] == element.tag, "%s: %s" % (path, node["name"]))
            expect(list(node["properties"]) == list(element.attrib), "%s has %s" % (path, list(node["properties"])))
            for name, text in element.attrib.items():
                value = node["properties"][name]
                shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
                expect(shown == text, "%s %s: %r" % (path, name, value))
            expect(len(node["nodes"]) == len(element), "%s has %d nodes" % (path, len(node["nodes"])))
            for child, expected in zip(node["nodes"], element):
                compare(child, expected, path + "/" + expected.tag)
        for folder in self.made:
            found = json.loads(self.manifest("json", os.path.join(folder, "manifest.dtb")).stdout)
            compare(found, ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot(), "")

    def as_text(self):
        for folder in self.made:
            text = self.manifest("text", os.path.join(folder, "manifest.dtb")).stdout.decode()
            root = ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot()
            for element in [root.find("board"), root.find("scenario")] + root.findall("scenario/vm") + root.findall("scenario/module"):
                expect(re.search(r"\b%s\b" % re.escape(element.get("name")), text), "no %s '%s' in it" % (element.tag, element.get("name")))
            for element in root.findall("input"):
                expect(element.get("sha256") in text, "no hash of the %s in it" % element.get("kind"))
            for element in root.findall("scenario/vm/device"):
                expect(element.get("address") in text, "no device %s in it" % element.get("address"))

    def input_hashes(self):
        import hashlib
        for index, files in enumerate(pairs()):
            folder = os.path.join(self.scratch, str(index))
            if folder not in self.made:
                continue
            root = ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot()
            for kind, path in zip(("board", "scenario"), files):
                with open(path, "rb") as file:
                    wanted = hashlib.sha256(file.read()).hexdigest()
                found = [element.get("sha256") for element in root.findall("input") if element.get("kind") == kind]
                expect(found == [wanted], "%s of %s: %s" % (kind, path, found))

    # ---- other containers --------------------------------------------------------------------------------------------------------

    def elf(self, wide, dtb=None):
        """An ELF file of either class with the first manifest in its section .manifest."""
        if dtb is None:
            with open(os.path.join(self.made[0], "manifest.dtb"), "rb") as file:
                dtb = file.read()
        names = b"\0.shstrtab\0.manifest\0"
        header = 64 if wide else 52
        at = header + len(names) + len(dtb)
        ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
        if wide:
            head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, at, 0, 64, 0, 0, 64, 3, 1)
            rows = b"".join(struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, 1, 0) for name, kind, offset, size in self.rows(header, names, dtb))
        else:
            head = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 0, at, 0, 52, 0, 0, 40, 3, 1)
            rows = b"".join(struct.pack("<IIIIIIIIII", name, kind, 0, 0, offset, size, 0, 0, 1, 0) for name, kind, offset, size in self.rows(header, names, dtb))
        return head + names + dtb + rows

    @staticmethod
    def rows(header, names, dtb):
        return [(0, 0, 0, 0), (1, 3, header, len(names)), (11, 1, header + len(names), len(dtb))]

    def from_elf(self):
        wanted = self.manifest("json", os.path.join(self.made[0], "manifest.dtb")).stdout
        for wide in (False, True):
            path = self.write("image.elf", self.elf(wide))
            done = self.manifest("json", path)
            expect(done.returncode == 0 and done.stdout == wanted, "ELF%d: %s" % (64 if wide else 32, done.stderr.decode()))
            out = os.path.join(self.scratch, "copy.dtb")
            done = run([self.options.bhmanifest, "dtb", path, out])
            with open(out, "rb") as copy, open(os.path.join(self.made[0], "manifest.dtb"), "rb") as original:
                expect(done.returncode == 0 and copy.read() == original.read(), "the copy differs")

    def refused(self):
        """What is no manifest is refused in one line that says why."""
        with open(os.path.join(self.made[0], "manifest.dtb"), "rb") as file:
            dtb = file.read()
        no_section = self.elf(True).replace(b".manifest", b".manifold")
        for name, data, pattern in (("empty", b"", "neither a hypervisor image"), ("text", b"hello, world", "neither a hypervisor image"),
                                    ("cut", dtb[:200], "cut short"), ("header only", dtb[:4], "cut short"), ("elf", no_section, r"without a section \.manifest"),
                                    ("other tree", dtb.replace(b"bulkhead,manifest-1", b"bulkhead,manifest-9"), "compatible"),
                                    ("elf header", self.elf(True)[:40], "neither a hypervisor image|without a section")):
            done = self.manifest("text", self.write("refused", data))
            lines = done.stderr.decode().splitlines()
            expect(done.returncode == 2 and done.stdout == b"" and len(lines) == 1 and re.search(pattern, lines[0]), "%s: status %d, %s" % (name, done.returncode, lines))
        for path in (self.scratch, os.path.join(self.scratch, "not there"), "/dev/zero"):
            done = self.manifest("text", path)
            expect(done.returncode == 2 and done.stderr.count(b"\n") == 1, "%s: %s" % (path, done.stderr))

    # ---- hostile input -------------------------------------------------------------------------------------------------------------

    def escapes(self):
        """Text of a manifest cannot reach the terminal as anything but text."""
        with open(os.path.join(self.made[0], "manifest.dtb"), "rb") as file:
            dtb = file.read()
        description = ElementTree.parse(os.path.join(self.made[0], "resolved.xml")).getroot().find("board").get("description").encode()
        evil = b"\x1b]0;x\x07\x1b[2J\r\n\x7f\xc2\x9b\xe2\x80\xae\xff\"\\"
        expect(len(description) >= len(evil), "the description is too short for this test")
        path = self.write("evil.dtb", dtb.replace(description, evil.ljust(len(description), b"x")))
        text = self.manifest("text", path).stdout
        expect(rb"\x1b]0;x\x07\x1b[2J\x0d\x0a\x7f\xc2\x9b\xe2\x80\xae\xff" in text, "not escaped:\n%r" % text[:400])
        expect(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae|\xff", text), "raw control characters:\n%r" % text[:400])
        data = self.manifest("json", path).stdout
        expect(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xff", data), "raw control characters in JSON")
        board = [node for node in json.loads(data)["nodes"] if node["name"] == "board"][0]
        expect(board["properties"]["description"].startswith("\x1b]0;x\x07\x1b[2J\r\n\x7f\x9b\u202e\ufffd\"\\"), repr(board["properties"]["description"]))

    def mutations(self):
        """Files with some bytes changed, cut out or doubled: read, or refused, within bounds."""
        chance = random.Random(SEED)
        with open(os.path.join(self.made[0], "manifest.dtb"), "rb") as file:
            dtb = file.read()
        read = 0
        for index in range(self.options.mutations):
            data = bytearray((dtb, self.elf(True), self.elf(False))[index % 3])
            for _ in range(chance.choice((1, 1, 2, 8))):
                at = chance.randrange(chance.choice((64, len(data))))
                kind = chance.randrange(4)
                if kind == 0:
                    data[at] = chance.choice((0, 1, 3, 9, 0x7f, 0x80, 0xff, chance.randrange(256)))
                elif kind == 1:
                    data[at & ~3:(at & ~3) + 4] = struct.pack(">I", chance.choice((0, 1, 2, 3, 4, 9, 0x7fffffff, 0x80000000, 0xffffffff, len(data))))
                elif kind == 2:
                    del data[at:at + chance.choice((1, 4, 64))]
                else:
                    data[at:at] = data[at:at + chance.choice((1, 4, 64))]
            path = self.write("mutated", bytes(data))
            read += self.manifest(("text", "json", "xml")[index % 3], path).returncode == 0
        expect(0 < read < self.options.mutations, "%d of %d were read: the mutations test nothing" % (read, self.options.mutations))
        print("# %d of %d mutated files were still read" % (read, self.options.mutations))

    def deep(self):
        """A tree of a million nested nodes, and one with strings that would be searched for ever."""
        def tree(struct_block, strings):
            head = 40 + 16
            total = head + len(struct_block) + len(strings)
            return struct.pack(">10I", 0xd00dfeed, total, head, head + len(struct_block), 40, 17, 16, 0, len(strings), len(struct_block)) + bytes(16) + \
                struct_block + strings
        begin, end = struct.pack(">I", 1), struct.pack(">I", 2)
        compatible = struct.pack(">3I", 3, 20, 0) + b"bulkhead,manifest-1\0"
        nested = begin + b"\0\0\0\0" + compatible + (begin + b"a\0\0\0") * 1000000 + end * 1000001 + struct.pack(">I", 9)
        done = self.manifest("text", self.write("deep", tree(nested, b"compatible\0")))
        expect(done.returncode == 2 and b"too deep" in done.stderr, "status %d %s" % (done.returncode, done.stderr))
        props = begin + b"\0\0\0\0" + compatible + struct.pack(">3I", 3, 0, 0) * 500000 + end + struct.pack(">I", 9)
        done = self.manifest("text", self.write("long", tree(props, b"compatible\0" + b"x" * 4000000 + b"\0")))
        expect(done.returncode == 2, "status %d" % done.returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bhc", required=True)
    parser.add_argument("--bhmanifest", required=True)
    parser.add_argument("--mutations", type=int, default=600)
    with tempfile.TemporaryDirectory() as scratch:
        suite = Suite(parser.parse_args(), scratch)
        try:
            suite.compile_all()
        except Failed as error:
            sys.exit("not ok - %s" % error)
        for name, test in (("the tree is that of resolved.xml", suite.round_trip), ("JSON is complete and typed", suite.as_json),
                           ("text names what matters", suite.as_text), ("hashes are those of the input files", suite.input_hashes),
                           ("ELF files of both classes", suite.from_elf), ("what is no manifest", suite.refused),
                           ("text is escaped", suite.escapes), ("mutated files", suite.mutations), ("deep and long trees", suite.deep)):
            suite.run(name, test)
    print("1..%d\n# %d passed, %d failed" % (suite.passed + suite.failed, suite.passed, suite.failed))
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
