#!/usr/bin/env python3
"""Prints which CPU backend a board needs: svm or vmx. Only what the build must know before bhc exists."""

import sys
import xml.parsers.expat

MAX_FILE = 1 << 20


def backend(path):
    """The extension attribute of <board><cpu>, or an exception whose text says what is wrong."""
    found = []
    open_elements = []

    def start(name, attributes):
        open_elements.append(name)
        if open_elements == ["board", "cpu"]:
            found.append(attributes.get("extension"))

    def refuse_doctype(*_):
        raise ValueError("has a document type declaration; remove it")

    with open(path, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ValueError("is larger than 1 MiB")
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.Parse(data, True)
    if len(found) != 1 or found[0] not in ("svm", "vmx"):
        raise ValueError('needs one <cpu extension="..."> that says svm or vmx')
    return found[0]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: board_backend.py BOARD.xml")
    try:
        print(backend(sys.argv[1]))
    except OSError as error:
        sys.exit("board_backend.py: cannot read %s: %s" % (sys.argv[1], error.strerror))
    except (ValueError, xml.parsers.expat.ExpatError) as error:
        sys.exit("board_backend.py: %s: %s" % (sys.argv[1], error))


if __name__ == "__main__":
    main()
