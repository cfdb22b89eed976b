#!/usr/bin/env python3
"""Nothing outside the CPU backends may know which vendor's processor it runs on: no #if, and no look at the vendor at run time. What differs
between vendors is chosen by the linker (src/x86/svm or src/x86/vmx) or stands in tables whose rows say for whom they are. Prints one line
per breach and ends with status 1 when there was one."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

BACKENDS = ("src/x86/svm/", "src/x86/vmx/")
# Files that may name vendors, and why.
ALLOWED = {
    "include/config/config.h": "declares which vendors a board may say",
    "src/x86/boot/board.c": "compares the machine with the board: the one run-time look at the vendor",
    "src/x86/hw/features.c": "reads the vendor from CPUID, for that comparison",
    "src/x86/hw/features.h": "keeps it, for that comparison",
    "src/x86/guest/cpuid_policy.h": "declares for whose processors a row of a policy table is",
}

# What a look at the vendor would need: its name in the configuration or in CPUID, or the processor's feature by which to guess it.
LOOK = re.compile(r"\bCPU_VENDOR_\w+|\bcfg_board\s*\.\s*vendor\b|\bhw_features\s*\.\s*vendor\w*|\bFEAT_(?:SVM|VMX)\b|"
                  r"\b(?:GenuineIntel|AuthenticAMD|HygonGenuine)\b|0x756e6547|0x68747541")
CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b")
# Conditions that choose no vendor: include guards, the generated configuration, host unit tests, the version that the build may set.
HARMLESS = re.compile(r"^#ifndef BH_\w+_H$|^#if !?(?:CFG_\w+|__STDC_HOSTED__)$|^#ifndef BH_VERSION$")
# A policy table's row says FOR_AMD or FOR_INTEL; code may not.
ROW = re.compile(r"\bFOR_(?:AMD|INTEL)\b")
ROW_LINE = re.compile(r"^\s*(?:\{|X\()")


def strip_comments(lines):
    """The lines without comments and without string literals that could mislead (assembler text stays)."""
    inside = False
    for line in lines:
        out = ""
        while line:
            if inside:
                end = line.find("*/")
                if end < 0:
                    break
                line, inside = line[end + 2:], False
                continue
            start = line.find("/*")
            if start < 0:
                out += line
                break
            out, line, inside = out + line[:start], line[start + 2:], True
        yield out


def check_file(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    out = []
    for number, line in enumerate(strip_comments(lines), 1):
        if CONDITION.match(line) and not HARMLESS.match(line):
            out.append("%s:%d: condition: choose by the linked backend or by the generated tables, not by the preprocessor: %s" %
                       (path, number, line.strip()))
        if path in ALLOWED:
            continue
        if LOOK.search(line):
            out.append("%s:%d: vendor: only the backends may know whose processor this is: %s" % (path, number, line.strip()))
        if ROW.search(line) and not ROW_LINE.match(line):
            out.append("%s:%d: row: FOR_AMD and FOR_INTEL belong into rows of policy tables: %s" % (path, number, line.strip()))
    return out


def files(root):
    for top in ("include", "src"):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith((".c", ".h", ".S")) and not path.startswith(BACKENDS):
                    yield path


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    checked, complaints = 0, []
    for path in files(root):
        checked += 1
        complaints += check_file(root, path)
    for path in ALLOWED:
        if root == ROOT and not os.path.exists(os.path.join(root, path)):
            complaints.append("%s:1: allowed: the file is gone; take it off the list in tests/lint/vendor.py" % path)
    for complaint in complaints:
        print(complaint)
    print("%d files checked, %d complaints" % (checked, len(complaints)))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
