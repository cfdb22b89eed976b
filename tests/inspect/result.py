"""bh-inspect run on an archive, and what it made of it."""

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import archive as a

TIME_LIMIT = 60  # seconds for one run, under sanitizers on a busy machine


class Wrong(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Wrong(text)


class Result:
    """What the program made of an archive."""

    program = None

    def __init__(self, files, *arguments):
        data = files if isinstance(files, bytes) else a.tar(files)
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "archive.tar")
            with open(path, "wb") as file:
                file.write(data)
            done = subprocess.run([self.program] + list(arguments) + [path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                                  timeout=TIME_LIMIT)
        self.status, self.xml, self.said = done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").replace(work, "")
        need(self.status in (0, 1, 2) and "runtime error" not in self.said and "Sanitizer" not in self.said,
             "it broke (status %d):\n%s" % (self.status, self.said[-3000:]))
        # The board file is there unless it cannot run, and always well-formed.
        need((self.status == 2) == (not self.xml), "status %d with %d bytes of XML" % (self.status, len(self.xml)))
        self.root = ElementTree.fromstring(self.xml) if self.xml else None
        lines = self.said.splitlines()
        self.notes = [line[6:] for line in lines if line.startswith("note: ")]
        self.lacks = [line[7:] for line in lines if line.startswith("lacks: ")]

    def all(self, path):
        """[attributes] of the elements at a path."""
        return [dict(element.attrib) for element in self.root.findall(path)]

    def one(self, path, **wanted):
        found = self.all(path)
        need(len(found) == 1, "%d elements %s" % (len(found), path))
        for name, value in wanted.items():
            name = name.replace("_", "-")
            need(found[0].get(name) == value, "%s: %s=%r, not %r" % (path, name, found[0].get(name), value))
        return found[0]

    def function(self, address):
        return self.root.find("pci/function[@address='%s']" % address)

    def noted(self, text):
        need(any(text in line for line in self.notes), "no note has %r; there are: %s" % (text, self.notes))
        # Each is a comment of the board file too.
        need(text.replace("--", "- -") in self.xml.decode(), "the board file has no comment with %r" % text)

    def scope(self, index=0):
        return [device.get("address") for device in self.root.findall("iommu")[index].findall("device")]


def sound(*parts):
    result = Result(a.machine(*parts))
    need(result.status == 0 and not result.lacks, "status %d: %s" % (result.status, result.said))
    return result


def lacking(text, *parts):
    result = Result(a.machine(*parts))
    need(result.status == 1, "status %d: %s" % (result.status, result.said))
    need(any(text in line for line in result.lacks), "nothing lacking has %r: %s" % (text, result.lacks))
    need("<!-- lacks: " in result.xml.decode(), "the board file does not say what lacks")
    return result
