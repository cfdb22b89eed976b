#!/usr/bin/env python3
"""Tests of bhdiff: what it says of pairs of scenarios that differ in one known way, and what it makes of files that are no manifests.

    diff.py --bhc PATH --bhdiff PATH
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOARD = os.path.join(ROOT, "boards", "qemu-q35.xml")
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:exitcode=99", UBSAN_OPTIONS="halt_on_error=1:exitcode=99")

# Scenario of this tree, what is replaced in it, and lines that must be said (others may be).
CASES = [
    ("nothing", "hybrid", [], []),
    ("a comment", "hybrid", [("<hypervisor ", "<!-- a remark --><hypervisor ")], []),
    ("a CPU that nobody had", "partitioned", [('<cpus><cpu id="5"/></cpus>', '<cpus><cpu id="5"/><cpu id="0"/></cpus>')],
     ["vm rtos0 gains CPU 0, which no VM had", "vm rtos0: vcpus is 2 instead of 1"]),
    ("a CPU changes hands", "partitioned", [('<cpu id="1"/><cpu id="2"/>', '<cpu id="1"/>'), ('<cpus><cpu id="5"/></cpus>', '<cpus><cpu id="5"/><cpu id="2"/></cpus>')],
     ["vm linux0 loses CPU 2 to rtos0"]),
    ("a CPU that nobody has", "partitioned", [('<cpu id="1"/><cpu id="2"/>', '<cpu id="1"/>')], ["vm linux0 loses CPU 2; no VM has it now"]),
    ("a slot's CPU", "hybrid", [('<cpu id="4"/><cpu id="3"/><cpu id="2"/>', '<cpu id="4"/><cpu id="3"/>')], ["user slot uvm0 may no longer use CPU 2"]),
    ("more memory", "partitioned", [('<ram size="16M"/>', '<ram size="32M" base="0x30000000"/>')],
     ["vm rtos0: RAM is 32M at host 0x30000000 (guest 0x0) instead of 16M at host 0x22e00000 (guest 0x0)"]),
    ("another command line", "partitioned", [('cmdline="rtos0"', 'cmdline="quiet"')], ["vm rtos0, boot: cmdline is quiet instead of rtos0"]),
    ("another name, the same key", "partitioned", [('<vm name="rtos0"', '<vm name="rtos9"')], ["vm rtos9: name is rtos9 instead of rtos0"]),
    ("a new name and key", "partitioned", [('<vm name="rtos0" key="0b1c2d30-0000-4000-8000-000000000003"', '<vm name="x" key="y"')],
     ["vm rtos0 is gone", "vm rtos0 loses CPU 5 to x"]),
    ("a flag less", "partitioned", [("<flags><rt/></flags>", "")], ["vm rtos0 loses flag rt"]),
    ("another ABI", "hybrid", [('abi="hsm"', 'abi="v1"')], ["scenario, service: abi is v1 instead of hsm"]),
    ("another vUART", "partitioned", [('<vuart port="0x3f8" irq="4" console="yes"/>\n    <flags>', '<vuart port="0x2f8" irq="3" console="yes"/>\n    <flags>')],
     ["vm rtos0 loses vuart 0x3f8 (irq 4, console yes)", "vm rtos0 gains vuart 0x2f8 (irq 3, console yes)"]),
    ("another loglevel", "partitioned", [('loglevel="info"', 'loglevel="debug"')], ["scenario, hypervisor: loglevel is debug instead of info"]),
]


class Wrong(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Wrong(text)


def manifest(options, scratch, name, text):
    folder = os.path.join(scratch, name)
    os.makedirs(folder)
    scenario = os.path.join(folder, "s.xml")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run([options.bhc, BOARD, scenario, "--schema-dir", os.path.join(ROOT, "gen/schema"), "--out-dir", folder], env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=60, check=False)
    need(done.returncode == 0, done.stderr)
    return os.path.join(folder, "manifest.dtb")


def diff(options, *arguments):
    done = subprocess.run([options.bhdiff, *arguments], env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
    need(done.returncode in (0, 1, 2), "bhdiff ended with status %d: %s" % (done.returncode, done.stderr.decode(errors="replace")[-2000:]))
    return done


def case(options, scratch, number):
    _, name, replacements, expected = CASES[number]
    with open(os.path.join(ROOT, "scenarios", name + ".xml"), encoding="utf-8") as file:
        before = after = file.read()
    for old, new in replacements:
        need(old in after, "the scenario no longer holds %s" % old)
        head, _, rest = after.rpartition(old) if "flags" in old else after.partition(old)
        after = head + new + rest
    paths = [manifest(options, scratch, "%d%s" % (number, side), text) for side, text in (("a", before), ("b", after))]
    there, back = diff(options, *paths), diff(options, paths[1], paths[0])
    lines = there.stdout.decode().splitlines()
    for line in expected:
        need(line in lines, "not said: %s\n%s" % (line, "\n".join(lines)))
    need(bool(lines) == bool(expected) and there.returncode == back.returncode == (1 if expected else 0),
         "status %d and %d, %r" % (there.returncode, back.returncode, lines))
    said = json.loads(diff(options, *paths, "--json").stdout)
    need([change["text"] for change in said["changes"]] == lines and said["count"] == len(lines), "JSON says something else: %r" % said)


def hostile(options, scratch):
    """Broken manifests end with words and status 2, or are compared as far as they go; nothing else."""
    with open(os.path.join(ROOT, "scenarios", "hybrid.xml"), encoding="utf-8") as file:
        good = manifest(options, scratch, "good", file.read())
    with open(good, "rb") as file:
        data = file.read()
    chance = random.Random(5)
    for turn in range(150):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            broken[chance.randrange(len(broken))] = chance.choice([0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)])
        if turn % 5 == 0:
            broken = broken[:chance.randrange(len(broken))]
        path = os.path.join(scratch, "broken.dtb")
        with open(path, "wb") as file:
            file.write(broken)
        done = diff(options, good, path)
        need(done.returncode != 2 or b"bhdiff: " in done.stderr, "status 2 without a word")
        need(not any(byte < 0x20 and byte != 10 for byte in done.stdout), "control characters come through")
    for path in ("/nonexistent", scratch, os.path.join(ROOT, "README.md")):
        need(diff(options, good, path).returncode == 2, "%s is taken for a manifest" % path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bhc", required=True)
    parser.add_argument("--bhdiff", required=True)
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        tests = [(CASES[i][0], lambda i=i: case(options, scratch, i)) for i in range(len(CASES))]
        for name, test in tests + [("hostile manifests", lambda: hostile(options, scratch))]:
            try:
                test()
            except (Wrong, subprocess.SubprocessError, ValueError) as error:
                failed += 1
                print("not ok - %s\n#   %s" % (name, str(error).replace("\n", "\n#   ")))
            else:
                passed += 1
                print("ok - %s" % name)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
