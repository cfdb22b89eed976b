#!/usr/bin/env python3
"""The rules of DESIGN.md section 2 that a compiler does not check: who may include whom, no vendor #ifdef, nothing that makes two builds
differ, file length. Prints one line per breach, `file:line: rule: text`, and ends with status 1 when there was one."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAX_LINES = 600

# Folder of headers -> short name. Longest match wins.
PLACES = [
    ("include/lib", "lib"), ("include/abi", "abi"), ("include/config", "config"), ("include/arch", "arch"), ("include/core", "core"),
    ("src/core", "core-impl"), ("src/hcall", "hcall"), ("src/x86/include/arch_impl", "arch-impl"), ("src/x86/hw", "hw"),
    ("src/x86/guest", "guest"), ("src/x86/vdev", "vdev"), ("src/x86/iommu", "iommu"), ("src/x86/svm", "svm"), ("src/x86/vmx", "vmx"),
    ("src/x86/boot", "boot"),
]

BASE = {"lib", "abi", "config", "arch", "arch-impl"}
EMULATION = BASE | {"core", "hw", "guest", "vdev", "iommu"}
# Who may include headers of which places; every place may include its own. arch_impl is the inline part of include/arch.
ALLOWED = {
    "lib": set(),
    "abi": {"lib"},
    "config": {"lib", "abi"},
    "arch": {"lib", "abi", "config", "arch-impl"},
    "arch-impl": {"lib"},
    "core": BASE,
    "core-impl": BASE | {"core"},
    "hcall": BASE | {"core"},
    "hw": BASE | {"core"},
    "guest": EMULATION,
    "vdev": EMULATION,
    "iommu": EMULATION,
    "svm": EMULATION,
    "vmx": EMULATION,
    "boot": EMULATION,
}
# The freestanding headers of the C standard (C11 section 4) that the hypervisor uses, and the generated ones.
SYSTEM = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h"}
GENERATED = {"config/sizes.h": "config"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
VENDOR = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*(?:\b|_)(?:SVM|VMX|AMD|INTEL|QEMU|BOCHS)(?:\b|_)")
NOT_REPEATABLE = re.compile(r"\b__(?:DATE|TIME|TIMESTAMP)__\b")


def place_of(path):
    """The layer of a file, by its path relative to the root; None outside the layers."""
    best = None
    for folder, name in PLACES:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best[0])):
            best = (folder, name)
    return best[1] if best else None


def resolve(root, path, quote, name):
    """Path of an included header relative to the root, or None when no include folder has it."""
    folders = ["include", "src", "src/x86/include"]
    if quote == '"':
        folders.insert(0, os.path.dirname(path))
    for folder in folders:
        candidate = os.path.normpath(os.path.join(folder, name))
        if os.path.exists(os.path.join(root, candidate)):
            return candidate
    return None


def check_include(root, path, quote, name):
    """A complaint about one #include of a file in a layer, or None."""
    own = place_of(path)
    if name in SYSTEM:
        return None
    if name in GENERATED:
        other = GENERATED[name]
    else:
        target = resolve(root, path, quote, name)
        if target is None:
            return "layer: %s is in no include folder" % name
        other = place_of(target)
        if other is None:
            return "layer: %s belongs to no layer" % target
    if other != own and other not in ALLOWED[own]:
        return "layer: %s may not include %s (%s)" % (own, other, name)
    return None


def files(root):
    """Source files of the project, relative paths in order."""
    for top in ("include", "src", "gen", "tests"):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                if name.endswith((".c", ".h", ".S", ".py", ".j2", ".ld")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check_file(root, path):
    """Complaints about one file."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    layered = place_of(path) is not None
    out = []
    for number, line in enumerate(lines, 1):
        found = INCLUDE.match(line)
        if found and layered:
            complaint = check_include(root, path, found.group(1), found.group(2))
            if complaint:
                out.append("%s:%d: %s" % (path, number, complaint))
        guard = re.match(r"#ifndef BH_\w+_H$", line)
        if layered and VENDOR.match(line) and not guard:
            out.append("%s:%d: vendor: choose by the linked backend, not by #if: %s" % (path, number, line.strip()))
        if path.endswith((".c", ".h", ".S", ".j2")) and NOT_REPEATABLE.search(line):
            out.append("%s:%d: repeatable: the build must not depend on when it runs" % (path, number))
    if len(lines) > MAX_LINES:
        out.append("%s:%d: length: %d lines, at most %d; divide it" % (path, MAX_LINES + 1, len(lines), MAX_LINES))
    return out


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    checked, complaints = 0, []
    for path in files(root):
        checked += 1
        complaints += check_file(root, path)
    for complaint in complaints:
        print(complaint)
    print("%d files checked, %d complaints" % (checked, len(complaints)))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
