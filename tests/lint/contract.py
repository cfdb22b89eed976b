#!/usr/bin/env python3
"""The table of docs/ARCHITECTURE.md that shows each function of include/arch beside its implementations, held against the sources: every
function of vcpu.h and s2.h is named, what is named is declared, and each is defined in the files of its row, once in each backend that the
row gives one (or once in the column for both)."""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADING = "## The contract and its implementations"
HEADERS = ("include/arch/vcpu.h", "include/arch/s2.h")  # what the backends implement; the other headers are the machine's


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def declared(root, header):
    return set(re.findall(r"\b(arch_\w+)\([^;{]*\);", re.sub(r"/\*.*?\*/", "", read(root, header), flags=re.DOTALL)))


def rows(text):
    """(functions, SVM, VMX, both) of each row, as they stand in the table."""
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return [row[1:] for row in cells[2:]]


def functions(cell, known):
    """Names of a cell. A short one goes on from as much of the one written out before it as makes a function that there is."""
    out, full = [], ""
    for name in re.findall(r"`(\w+)`", cell):
        if not name.startswith("_"):
            full = name
            out.append(name)
            continue
        parts = full.split("_")
        tries = ["_".join(parts[:count]) + name for count in range(len(parts), 0, -1)]
        out.append(next((one for one in tries if one in known), full + " ... " + name))
    return out


def files(root, cell):
    """Paths of the sources that a cell names; a name without a folder lies where the one before it does."""
    out, folder = [], ""
    for text in re.findall(r"`([\w/{},*.]+\.[cS])`", cell):
        if "/" in text:
            folder = os.path.dirname(text)
        else:
            text = os.path.join(folder, text)
        inner = re.search(r"\{(.*)\}", text)
        for part in inner.group(1).split(",") if inner else [None]:
            path = text if part is None else text.replace(inner.group(0), part)
            out += sorted(glob.glob(os.path.join(root, "src/x86", path))) or [os.path.join(root, "src/x86", path)]
    return out


def definitions(paths, name):
    pattern = r"^(?:\w[\w ]*[ *])" + name + r"\([^;{]*\)\s*\{|\.globl\s+" + name + r"\b"
    return sum(len(re.findall(pattern, read(path), re.MULTILINE)) for path in paths if os.path.exists(path))


def check_row(root, row, everything, complain):
    names = functions(row[0], everything)
    columns = {title: files(root, cell) for title, cell in zip(("SVM", "VMX", "both"), row[1:])}
    for title, paths in columns.items():
        for path in paths:
            if not os.path.exists(path):
                complain("column %s names %s, which does not exist" % (title, os.path.relpath(path, root)))
    for name in names:
        if name not in everything:
            complain("%s is declared nowhere in include/arch" % name)
            continue
        found = {title: definitions(paths, name) for title, paths in columns.items()}
        backends = [title for title in ("SVM", "VMX") if columns[title]]
        if found["both"] == 0 and any(found[title] != 1 for title in backends) or found["both"] > 1 or sum(found.values()) == 0:
            complain("%s is not defined where its row says (%s)" % (name, ", ".join("%s: %d" % pair for pair in found.items())))
    return names


def main(root):
    complaints = []
    known = set().union(*(declared(root, header) for header in HEADERS))
    everything = set().union(*(declared(root, header) for header in glob.glob("include/arch/*.h", root_dir=root)))
    named = []
    for row in rows(read(root, "docs/ARCHITECTURE.md")):
        if re.search(r"`arch_\w+`", row[0]):
            named += check_row(root, row, everything, complaints.append)
        else:
            for path in [path for cell in row[1:] for path in files(root, cell) if not os.path.exists(path)]:
                complaints.append("a row names %s, which does not exist" % os.path.relpath(path, root))
    complaints += ["%s stands in no row" % name for name in sorted(known - set(named))]
    complaints += ["%s stands in more than one row" % name for name in sorted(known) if named.count(name) > 1]
    for complaint in complaints:
        print("docs/ARCHITECTURE.md: " + complaint)
    print("%d functions checked, %d complaints" % (len(known), len(complaints)))
    return 1 if complaints or not known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ROOT))
