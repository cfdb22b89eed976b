#!/usr/bin/env python3
"""What the fuzzer begins with, made from the project's own files each time: a corpus folder (boards, scenarios and the samples of tests/config, two to an
input, as target.c reads them) and a dictionary (every element, attribute and enumerated value of the XSDs). Standard library only.

    seeds.py CORPUS_DIR DICTIONARY
"""

import glob
import hashlib
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONFIG = os.path.join(ROOT, "tests", "config")
XS = "{http://www.w3.org/2001/XMLSchema}"
LARGEST = 40000  # bytes of one input: larger samples say nothing that smaller ones do not, and cost as much time as many


def text_of(path):
    """Without comments and indentation, which the fuzzer would spend its time on."""
    with open(path, "rb") as file:
        data = file.read()
    return re.sub(rb"\n\s+", b"\n", re.sub(rb"<!--.*?-->", b"", data, flags=re.DOTALL))


def pairs():
    """Board and scenario files that belong together."""
    base = [os.path.join(CONFIG, "base", kind + ".xml") for kind in ("board", "scenario")]
    yield tuple(base)
    yield base[0], os.path.join(CONFIG, "base", "service.xml")
    for board in sorted(glob.glob(os.path.join(CONFIG, "good", "*-board.xml"))):
        scenario = board.replace("-board.xml", "-scenario.xml")
        yield board, scenario if os.path.exists(scenario) else base[1]
    for folder in sorted(glob.glob(os.path.join(CONFIG, "bad", "*"))):
        own = [os.path.join(folder, kind + ".xml") for kind in ("board", "scenario")]
        yield tuple(path if os.path.exists(path) else other for path, other in zip(own, base))
    for scenario in sorted(glob.glob(os.path.join(ROOT, "scenarios", "*.xml"))):
        yield os.path.join(ROOT, "boards", "qemu-q35.xml"), scenario


def words():
    """What a mutation may put in: tags, attributes with their '=', and the values that an attribute may have."""
    found = set()
    for kind in ("board", "scenario"):
        root = ElementTree.parse(os.path.join(ROOT, "gen", "schema", kind + ".xsd")).getroot()
        found.update("<%s" % e.get("name") for e in root.iter(XS + "element"))
        found.update(' %s="' % a.get("name") for a in root.iter(XS + "attribute"))
        found.update('"%s"' % e.get("value") for e in root.iter(XS + "enumeration"))
    return sorted(found | {"/>", "&amp;", "&#x", "<!--", "]]>", "<![CDATA["})


def write_seeds(corpus, dictionary):
    os.makedirs(corpus, exist_ok=True)
    for board, scenario in pairs():
        data = text_of(board) + b"\n%%\n" + text_of(scenario)
        if len(data) <= LARGEST:
            with open(os.path.join(corpus, hashlib.sha256(data).hexdigest()[:16]), "wb") as file:
                file.write(data)
    with open(dictionary, "w", encoding="ascii") as file:
        file.writelines('"%s"\n' % word.replace("\\", "\\\\").replace('"', '\\"') for word in words())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    write_seeds(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
