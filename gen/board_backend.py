#!/usr/bin/env python3
"""Prints which CPU backend a board needs: svm or vmx. Only what the build must know before bhc exists. What bhc refuses for its bytes or markup
(rules XML-002 to XML-005) is refused here too; all else waits for bhc."""

import os
import sys
import xml.parsers.expat

MAX_FILE = 8 << 20
MAX_DEPTH = 256


def read(path):
    """The file's bytes: UTF-8, without its mark."""
    if os.stat(path).st_size > MAX_FILE:
        raise ValueError("is larger than 8 MiB")
    with open(path, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ValueError("is larger than 8 MiB")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    return data[3:] if data.startswith(b"\xef\xbb\xbf") else data


def backend(path):
    """The extension attribute of <board><cpu>, or an exception whose text says what is wrong."""
    found = []
    open_elements = []

    def start(name, attributes):
        open_elements.append(name)
        if len(open_elements) > MAX_DEPTH:
            raise ValueError("is nested more than %d deep" % MAX_DEPTH)
        if open_elements == ["board", "cpu"]:
            found.append(attributes.get("extension"))

    def refuse_doctype(*_):
        raise ValueError("has a document type declaration; remove it")

    def declaration(_version, encoding, _standalone):
        if encoding and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise ValueError("declares another encoding than UTF-8")

    parser = xml.parsers.expat.ParserCreate("UTF-8", " ")  # with namespaces, as bhc reads it
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.XmlDeclHandler = declaration
    parser.Parse(read(path), True)
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
