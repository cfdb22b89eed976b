"""Paths, messages and small helpers that every part of the runner uses."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BULKHEAD_BUILD_DIR") or os.path.join(ROOT, "build")
PYTHON = "/usr/bin/python3"
DEFAULT_BOARD = "qemu-q35"
DEFAULT_SCENARIO = "partitioned"

# What a build of one board and scenario takes at most, and the unpacked kernel package in the cache.
BUILD_SPACE = 120 << 20
CACHE_SPACE = 400 << 20


class Problem(Exception):
    """Something that a person has to mend; its text is the whole message."""


def say(text):
    """One line of progress."""
    print(text, flush=True)


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "bulkhead")


def existing_parent(path):
    """The nearest folder on the way up that exists."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def need_space(path, amount, what):
    """Refuses before anything is written when the file system of path has less than amount bytes free."""
    free = shutil.disk_usage(existing_parent(path)).free
    if free < amount:
        raise Problem("no free disk: %s needs %d MiB in %s, %d MiB are free" % (what, amount >> 20, path, free >> 20))


def names_in(folder):
    try:
        entries = os.listdir(os.path.join(ROOT, folder))
    except OSError:
        return []
    return sorted(name[:-4] for name in entries if name.endswith(".xml"))


def check_name(kind, name, known):
    """Refuses a board or scenario that is not there, naming those that are."""
    if name not in known:
        raise Problem("there is no %s '%s'; choose one of: %s; or give the path of an XML file" % (kind, name, ", ".join(known)))
    return name


def xml_path(kind, name):
    """The file of a board or scenario (kind: board, scenario): a name stands for one of this tree, anything that ends in .xml is a path."""
    if name.endswith(".xml"):
        path = os.path.abspath(name)
        if not os.path.isfile(path):
            raise Problem("there is no %s file %s" % (kind, name))
        return path
    folder = kind + "s"
    return os.path.join(ROOT, folder, check_name(kind, name, names_in(folder)) + ".xml")


def pair_name(board, scenario):
    """What the build of a pair is called: BOARD-SCENARIO; files from elsewhere are told apart by a hash of where they lie."""
    paths = [xml_path("board", board), xml_path("scenario", scenario)]
    name = "-".join(os.path.splitext(os.path.basename(path))[0] for path in paths)
    if board.endswith(".xml") or scenario.endswith(".xml"):
        name += "-" + hashlib.sha256("\0".join(paths).encode()).hexdigest()[:8]
    return name


def xml_description(folder, name):
    try:
        return ElementTree.parse(os.path.join(ROOT, folder, name + ".xml")).getroot().get("description", "")
    except (OSError, ElementTree.ParseError):
        return ""


def write_file(path, data):
    """The whole file or nothing: written beside its name, then renamed."""
    temporary = "%s.%d.%d.tmp" % (path, os.getpid(), threading.get_ident())
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise Problem("cannot write %s: %s" % (path, error.strerror)) from error


class Ticker:
    """Prints a line every few seconds while something long runs, so that a person sees that it lives."""

    def __init__(self, text, every=10.0):
        self.text = text
        self.every = every
        self.start = time.monotonic()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.stop.wait(self.every):
            text = self.text() if callable(self.text) else self.text
            say("  ... %s (%d s)" % (text, time.monotonic() - self.start))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def run_logged(command, log, what, cwd=None, env=None, quiet=False, progress=None):
    """Runs a command with its output in a log file, telling every few seconds that it still runs. Raises Problem with the end of the
    output when it fails. Returns the output."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as file:
        try:
            child = subprocess.Popen(command, cwd=cwd or ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise Problem("%s: cannot run %s: %s" % (what, command[0], error.strerror)) from error

        def text():
            return "%s%s" % (what, (": " + last_line(log, progress)) if progress else "")
        try:
            if quiet:
                code = child.wait()
            else:
                with Ticker(text):
                    code = child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise
    with open(log, "rb") as file:
        output = file.read().decode("utf-8", "replace")
    if code != 0:
        raise Problem("%s failed (status %d):\n%s\n  whole output: %s" % (what, code, tail(output, 15), log))
    return output


def last_line(path, pattern):
    """The last line of a growing log that matches pattern, shortened."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        if re.search(pattern, line):
            return line.strip()[:90]
    return ""


def tail(text, count):
    lines = [line.rstrip() for line in text.replace("\r", "").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join("    " + line for line in lines[-count:])


def have_tool(name):
    return shutil.which(name) is not None


def die(text):
    sys.stderr.write("bulkhead: %s\n" % text)
    sys.exit(1)
