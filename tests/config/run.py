#!/usr/bin/env python3
"""Tests of the configuration compiler: every rule's sample and its message, hostile input, determinism, and that what is generated says what the
model says. Standard library only.

    run.py --bhc PATH [--update] [FILTER]

--update rewrites the expected messages; read the difference before keeping it.
"""

import argparse
import filecmp
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import checks
import hostile
import report_checks

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCHEMA = os.path.join(ROOT, "gen", "schema")
TEMPLATES = os.path.join(ROOT, "gen", "templates")
GENERATED = ["sizes.h", "tables.c", "manifest.c", "run.json", "grub.cfg", "layout.ld"]
REPORT = ["report.html", "report.txt"]


class Failed(Exception):
    """A test found what it must not find."""


class Suite:
    def __init__(self, options, scratch):
        self.bhc = os.path.abspath(options.bhc)
        self.plain = os.path.abspath(options.plain or os.path.join(os.path.dirname(self.bhc), "bhc"))
        self.schema = SCHEMA
        self.python = options.python
        self.update = options.update
        self.filter = options.filter
        self.scratch = scratch
        self.passed = self.failed = 0

    def run(self, name, test, *arguments):
        if self.filter and self.filter not in name:
            return
        try:
            test(self, *arguments)
        except (Failed, checks.Wrong, OSError, subprocess.SubprocessError) as error:
            self.failed += 1
            print("not ok - %s" % name)
            for line in str(error).splitlines():
                print("#   " + line)
        else:
            self.passed += 1
            print("ok - %s" % name)

    def folder(self):
        return tempfile.mkdtemp(dir=self.scratch)

    def compile(self, board, scenario, *extra, out=None, schema=SCHEMA, cwd=HERE, limit=None):
        """Runs bhc. Paths as given, so that messages hold them as given."""
        command = [self.bhc, board, scenario, "--schema-dir", schema]
        if out is not None:
            command += ["--out-dir", out]
        environment = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:exitcode=99", UBSAN_OPTIONS="print_stacktrace=1")
        done = subprocess.run(command + list(extra), cwd=cwd, env=environment, capture_output=True, timeout=120, preexec_fn=limit, check=False)
        if done.returncode not in (0, 1, 2):
            raise Failed("bhc ended with status %d\n%s" % (done.returncode, done.stderr.decode(errors="replace")))
        return done

    def render(self, folder, names=None):
        done = subprocess.run([self.python, os.path.join(ROOT, "gen", "render.py"), os.path.join(folder, "resolved.xml"), *(names or GENERATED),
                               "--templates", TEMPLATES, "--manifest", os.path.join(folder, "manifest.dtb"), "--out-dir", folder],
                              capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise Failed("render.py ended with status %d\n%s" % (done.returncode, done.stderr))

    def build(self, board, scenario):
        """A folder with everything generated."""
        folder = self.folder()
        done = self.compile(board, scenario, out=folder)
        expect(done.returncode == 0, "bhc ended with status %d\n%s" % (done.returncode, done.stderr.decode()))
        self.render(folder)
        return folder


def expect(condition, message):
    if not condition:
        raise Failed(message)


def expect_same(found, expected, what):
    expect(found == expected, "%s\n  found:    %r\n  expected: %r" % (what, found, expected))


def base(kind):
    return os.path.join("base", kind + ".xml")


# ---- samples of mistakes ---------------------------------------------------------------------------------------------------------

def sample_files(folder):
    """Board and scenario of a sample; what it does not bring along comes from base/."""
    files = []
    for kind in ("board", "scenario"):
        own = os.path.join("bad", folder, kind + ".xml")
        files.append(own if os.path.exists(os.path.join(HERE, own)) else base(kind))
    return files


def test_sample(suite, folder):
    board, scenario = sample_files(folder)
    out = suite.folder()
    done = suite.compile(board, scenario, out=out)
    text = done.stderr.decode()
    golden = os.path.join(HERE, "bad", folder, "expected.txt")
    if suite.update:
        with open(golden, "w", encoding="utf-8") as file:
            file.write(text)
    with open(golden, encoding="utf-8") as file:
        expected = file.read()
    expect(text == expected, "found:\n%s\nexpected:\n%s" % (text, expected))
    errors = re.findall(r": error: ", text)
    expect_same(done.returncode, 1 if errors else 0, "exit status")
    if errors:
        expect_same(os.listdir(out), [], "files left behind")
    rule = re.match(r"[A-Z]+-\d+", folder)
    if rule:
        expect("[%s]" % rule.group() in text, "the sample does not break rule %s" % rule.group())
    for line in text.splitlines():
        expect(re.match(r"[^:]+:\d+: (error|warning): \[[A-Z]+-\d{3}\] .+; .+", line), "not of the form of a diagnostic: " + line)

    done = suite.compile(board, scenario, "--check", "--format=json")
    found = json.loads(done.stdout)
    lines = ["%(file)s:%(line)d: %(severity)s: [%(rule)s] %(message)s" % d for d in found["diagnostics"]]
    expect_same(lines, text.splitlines(), "JSON says otherwise")
    expect_same(found["errors"], len(errors), "count of errors")
    expect_same(done.stderr, b"", "stderr with --format=json")


def rule_ids(suite):
    done = subprocess.run([suite.bhc, "--list-rules=json"], capture_output=True, check=True)
    return [rule["id"] for rule in json.loads(done.stdout)]


def test_every_rule_has_a_sample(suite):
    samples = os.listdir(os.path.join(HERE, "bad"))
    made_here = {"XML-004"}  # too large to keep: hostile.py
    missing = [rule for rule in rule_ids(suite) if not any(s.startswith(rule) for s in samples) and rule not in made_here]
    expect_same(missing, [], "rules without a sample")


def test_rules_are_numbered_once(suite):
    ids = rule_ids(suite)
    expect_same(len(ids), len(set(ids)), "rules with the same id")


def test_rules_page(suite):
    done = subprocess.run([suite.bhc, "--list-rules=md"], capture_output=True, check=True)
    page = os.path.join(ROOT, "docs", "RULES.md")
    if suite.update:
        with open(page, "wb") as file:
            file.write(done.stdout)
    with open(page, "rb") as file:
        expect(file.read() == done.stdout, "docs/RULES.md is not what bhc --list-rules=md prints; write it anew")


def test_config_page(suite):
    """docs/CONFIG.md is what gen/config_doc.py prints, and names every feature and quirk (those stand in its template)."""
    done = subprocess.run([suite.python, os.path.join(ROOT, "gen", "config_doc.py")], capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0, "config_doc.py ended with status %d\n%s" % (done.returncode, done.stderr))
    with open(os.path.join(ROOT, "docs", "CONFIG.md"), encoding="utf-8") as file:
        expect(file.read() == done.stdout, "docs/CONFIG.md is not what gen/config_doc.py prints; run: gen/config_doc.py > docs/CONFIG.md")
    with open(os.path.join(ROOT, "docs", "CONFIG.md"), encoding="utf-8") as file:
        page = file.read()
    words = []
    for sample in ("BRD-004-unknown", "BRD-006-unknown"):
        done = suite.compile(*sample_files(sample), "--check")
        words += done.stderr.decode().strip().split("the known ones are ")[1].split(", ")
    for kind in ("board", "scenario"):
        root = ElementTree.parse(os.path.join(SCHEMA, kind + ".xsd")).getroot()
        words += [e.get("name") for tag in ("element", "attribute") for e in root.iter("{http://www.w3.org/2001/XMLSchema}" + tag)]
    expect_same([word for word in words if not re.search(r"(?<![a-z-])%s(?![a-z-])" % re.escape(word), page)], [], "not in docs/CONFIG.md")


# ---- good input ------------------------------------------------------------------------------------------------------------------

def test_accepted(suite, board, scenario):
    done = suite.compile(board, scenario, "--check")
    expect_same((done.returncode, done.stderr.decode()), (0, ""), "bhc on %s, %s" % (board, scenario))


def test_golden(suite, name):
    """Placement must not drift: flashed images and their manifests are compared with it."""
    folder = suite.build("good/%s-board.xml" % name, "good/%s-scenario.xml" % name)
    golden = os.path.join(HERE, "good", name + "-resolved.xml")
    if suite.update:
        shutil.copy(os.path.join(folder, "resolved.xml"), golden)
    with open(golden, encoding="utf-8") as expected, open(os.path.join(folder, "resolved.xml"), encoding="utf-8") as found:
        lines = [[line for line in file.read().splitlines() if not re.match(r"  <(versions|input) ", line)] for file in (expected, found)]
        for want, have in zip(*lines):
            expect_same(have, want, "resolved.xml")


def test_manifest(suite, board, scenario):
    folder = suite.build(board, scenario)
    checks.manifest_matches(folder)


def test_memory(suite, board, scenario):
    """Accepted, if with warnings, and every page of RAM has one owner."""
    folder = suite.folder()
    done = suite.compile(board, scenario, out=folder)
    mistakes = [line for line in done.stderr.decode().splitlines() if ": warning: [" not in line]
    expect_same((done.returncode, mistakes), (0, []), "bhc on %s, %s" % (board, scenario))
    checks.memory_is_partitioned(folder)


def test_tables(suite, board, scenario, compiler):
    folder = suite.build(board, scenario)
    checks.tables_match(folder, ROOT, compiler)


def test_freestanding(suite, board, scenario, compiler):
    checks.compiles_freestanding(suite.build(board, scenario), ROOT, compiler)


def test_run_json(suite, board, scenario):
    checks.run_json_matches(suite.build(board, scenario))


def test_layout(suite):
    checks.link_refuses_overlap(suite.build(base("board"), base("scenario")))


def test_deterministic(suite):
    """Two runs in different places, over copies in different places: the same bytes."""
    places = []
    for name in ("one", "another place"):
        inputs = os.path.join(suite.folder(), name)
        os.mkdir(inputs)
        for kind in ("board", "scenario"):
            shutil.copy(os.path.join(HERE, "good", "full-%s.xml" % kind), inputs)
        places.append(suite.build(os.path.join(inputs, "full-board.xml"), os.path.join(inputs, "full-scenario.xml")))
        suite.render(places[-1], REPORT)
    names = sorted(os.listdir(places[0]))
    expect_same(names, sorted(GENERATED + REPORT + ["resolved.xml", "manifest.dtb"]), "generated files")
    for name in names:
        expect(filecmp.cmp(os.path.join(places[0], name), os.path.join(places[1], name), shallow=False), name + " differs")
        with open(os.path.join(places[0], name), "rb") as file:
            content = file.read()
        for place in (suite.scratch, ROOT):
            expect(place.encode() not in content, "%s holds the path %s" % (name, place))


# ---- reports ---------------------------------------------------------------------------------------------------------------------

def reported(suite, board, scenario):
    """A folder with resolved.xml and the reports."""
    folder = suite.folder()
    done = suite.compile(board, scenario, out=folder)
    expect(done.returncode == 0, "bhc ended with status %d\n%s" % (done.returncode, done.stderr.decode()))
    suite.render(folder, REPORT)
    return folder


def test_report(suite, board, scenario):
    folder = reported(suite, board, scenario)
    report_checks.page_is_sound(folder)
    report_checks.says_everything(folder)


def test_report_warnings(suite):
    """Warnings reach resolved.xml, manifest.dtb and the reports, with the kind of their file and no path."""
    folder = reported(suite, *sample_files("MEM-010"))
    checks.manifest_matches(folder)
    report_checks.says_everything(folder)
    found = [(w.get("rule"), w.get("file"), int(w.get("line"))) for w in ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot().findall("warning")]
    with open(os.path.join(HERE, "bad", "MEM-010", "expected.txt"), encoding="utf-8") as file:
        said = re.findall(r"^\S*(board|scenario)\.xml:(\d+): warning: \[(\S+)\]", file.read(), re.MULTILINE)
    expect_same(found, [(rule, kind, int(line)) for kind, line, rule in said], "warnings of resolved.xml")
    expect(found, "the sample has no warning")


def test_report_hostile(suite, board, scenario):
    calm, hostile = reported(suite, board, scenario), suite.folder()
    expect(report_checks.make_hostile(os.path.join(calm, "resolved.xml"), hostile) > 5, "there is no text to attack with")
    shutil.copy(os.path.join(calm, "manifest.dtb"), hostile)
    suite.render(hostile, REPORT)
    report_checks.hostile_is_text(calm, hostile)


def test_report_platform(suite):
    report_checks.platform_agrees(ROOT, reported(suite, base("board"), base("scenario")))


def render_seconds(suite, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    suite.render(folder, REPORT)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def test_report_large(suite):
    """64 VMs with very many functions: drawn in bounded room, told whole, and four times the functions cost no more than n log n (with room for noise)."""
    folders = []
    for devices in (1024, 4096):
        inputs = suite.folder()
        files = [os.path.join(inputs, name) for name in ("board.xml", "scenario.xml")]
        subprocess.run([suite.python, os.path.join(HERE, "synth.py"), "64", str(devices), *files], check=True, timeout=60)
        with open(files[0], encoding="utf-8") as file:
            board = re.sub(r"\n *<msix[^\n]*", "", file.read())  # there are not as many vectors
        with open(files[0], "w", encoding="utf-8") as file:
            file.write(board)
        folders.append(suite.folder())
        done = suite.compile(*files, out=folders[-1])
        expect(done.returncode == 0, "bhc ended with status %d\n%s" % (done.returncode, done.stderr.decode()[:2000]))
    for _ in range(3):  # other work on the machine adds to the one or to the other
        seconds = [render_seconds(suite, folder) for folder in folders]
        if seconds[1] < 8 * seconds[0]:
            break
    expect(seconds[1] < 8 * seconds[0], "1024 functions take %.2f s, 4096 take %.2f s" % tuple(seconds))
    for folder in folders:
        page = report_checks.page_is_sound(folder)
        drawn = sum(page.tags.count(tag) for tag in ("rect", "path", "text"))
        expect(drawn < 120000, "%d shapes are drawn" % drawn)


# ---- hostile and impossible input ------------------------------------------------------------------------------------------------

def test_cannot_run(suite, arguments, words):
    folder = suite.folder()
    arguments = [a.replace("@", folder) for a in arguments]
    done = subprocess.run([suite.bhc] + arguments, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    expect_same(done.returncode, 2, "exit status; it said %s" % done.stderr)
    expect(done.stderr.startswith("bhc: ") and done.stderr.count("\n") == 1, "not one line: " + done.stderr)
    expect(words in done.stderr, "%r is not in %r" % (words, done.stderr))
    expect_same(os.listdir(folder), [], "files left behind")
    if words in ("use text or json",):
        return  # the option that asks for JSON is the one that is wrong
    done = subprocess.run([suite.bhc, "--format=json"] + arguments, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    found = json.loads(done.stdout)
    expect_same((done.returncode, done.stderr), (2, ""), "status and stderr with --format=json")
    expect(words in found.pop("cannot_run"), "JSON says %s" % done.stdout)
    expect_same(found, {"diagnostics": [], "errors": 0, "warnings": 0}, "the rest of the document")


def test_warnings_as_errors(suite):
    """Status 1 and nothing written, but they are called warnings as ever; without warnings no difference."""
    files = sample_files("MEM-010")
    for extra, status, left in (([], 0, ["manifest.dtb", "resolved.xml"]), (["--warnings-as-errors"], 1, [])):
        out = suite.folder()
        done = suite.compile(*files, *extra, out=out)
        text = done.stderr.decode()
        expect_same((done.returncode, sorted(os.listdir(out))), (status, left), "status and files; it said " + text)
        expect(": warning: [MEM-010]" in text and ": error:" not in text, "it said " + text)
        expect_same("(--warnings-as-errors)\n" in text, bool(extra), "the note about them")
        found = json.loads(suite.compile(*files, *extra, "--check", "--format=json").stdout)
        expect_same((found["errors"], found["warnings"] > 0, found.get("warnings_are_errors")), (0, True, True if extra else None), "JSON")
    done = suite.compile(base("board"), base("scenario"), "--check", "--warnings-as-errors")
    expect_same((done.returncode, done.stderr), (0, b""), "without warnings")


FILES = ["base/board.xml", "base/scenario.xml"]
CANNOT_RUN = {
    "no board file": (["base/nothing.xml", FILES[1], "--schema-dir", SCHEMA, "--check"], "base/nothing.xml: No such file"),
    "board is a folder": (["base", FILES[1], "--schema-dir", SCHEMA, "--check"], "not a regular file"),
    "board never ends": (["/dev/zero", FILES[1], "--schema-dir", SCHEMA, "--check"], "not a regular file"),
    "no schema": (FILES + ["--schema-dir", "@", "--check"], "board.xsd: No such file"),
    "no place to write": (FILES + ["--schema-dir", SCHEMA, "--out-dir", "@/none"], "cannot write"),
    "place to write is a file": (FILES + ["--schema-dir", SCHEMA, "--out-dir", "base/board.xml"], "cannot write"),
    "no schema folder given": (FILES + ["--check"], "--schema-dir is missing"),
    "no output folder given": (FILES + ["--schema-dir", SCHEMA], "--out-dir is missing"),
    "one file only": ([FILES[0], "--schema-dir", SCHEMA], "give one board file and one scenario file"),
    "unknown option": (["--frobnicate"], "--frobnicate is not a known option"),
    "option without value": (FILES + ["--schema-dir"], "lacks its value"),
    "unknown format": (FILES + ["--format=yaml"], "use text or json"),
}


def test_full_disk(suite):
    """No file may grow beyond 1000 bytes: neither of the two results may appear, nor anything half-written."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    out = suite.folder()
    done = suite.compile(base("board"), base("scenario"), out=out, limit=limit)
    expect_same(done.returncode, 2, "exit status")
    expect(b"cannot write" in done.stderr, "it said %r" % done.stderr)
    expect_same(os.listdir(out), [], "files left behind")


def test_mistakes_keep_old_results(suite):
    """After a failed run the results of the one before are still there, whole."""
    folder = suite.build(base("board"), base("scenario"))
    with open(os.path.join(folder, "resolved.xml"), "rb") as file:
        before = file.read()
    done = suite.compile(base("board"), "bad/VM-001/scenario.xml", out=folder)
    expect_same(done.returncode, 1, "exit status")
    with open(os.path.join(folder, "resolved.xml"), "rb") as file:
        expect(file.read() == before, "resolved.xml changed")


def test_help(suite):
    done = subprocess.run([suite.bhc, "--help"], capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0 and done.stdout.startswith("usage: bhc"), "bhc --help: %r" % (done,))


# ---- schemas and the backend script ----------------------------------------------------------------------------------------------

def test_schemas(suite):
    del suite
    xs = "{http://www.w3.org/2001/XMLSchema}"
    types = {}
    for kind in ("board", "scenario"):
        root = ElementTree.parse(os.path.join(SCHEMA, kind + ".xsd")).getroot()
        for element in list(root.iter(xs + "element")) + list(root.iter(xs + "attribute")):
            words = element.find(xs + "annotation/" + xs + "documentation")
            expect(words is not None and words.text.strip(), "%s.xsd: %s has no documentation" % (kind, element.get("name")))
        for simple in root.findall(xs + "simpleType"):
            expect(simple.find(xs + "annotation/" + xs + "documentation") is not None, "%s.xsd: type %s has no documentation" % (kind, simple.get("name")))
            text = ElementTree.tostring(simple)
            expect_same(text.strip(), types.setdefault(simple.get("name"), text).strip(), "type %s differs between the schemas" % simple.get("name"))


def backend(suite, path):
    return subprocess.run([suite.python, os.path.join(ROOT, "gen", "board_backend.py"), path], capture_output=True, text=True, timeout=60, check=False)


def test_backend(suite):
    for board in glob.glob(os.path.join(ROOT, "boards", "*.xml")):
        wanted = ElementTree.parse(board).getroot().find("cpu").get("extension")
        expect_same(backend(suite, board).stdout, wanted + "\n", "backend of " + board)


def test_backend_refuses(suite):
    for content, words in ((b'<!DOCTYPE board [<!ENTITY x "svm">]><board><cpu extension="&x;"/></board>', "document type"), (b"<board/>", "svm or vmx"),
                           (b'<board><cpu extension="tcg"/></board>', "svm or vmx"), (b"<board><cpu", "board.xml")):
        path = os.path.join(suite.folder(), "board.xml")
        with open(path, "wb") as file:
            file.write(content)
        done = backend(suite, path)
        expect(done.returncode != 0 and words in done.stderr and "Traceback" not in done.stderr, "%r gives %r" % (content, done.stderr))
    done = backend(suite, os.path.join(suite.folder(), "none.xml"))
    expect(done.returncode != 0 and "cannot read" in done.stderr and "Traceback" not in done.stderr, "missing file gives %r" % done.stderr)


# ---- all of it -------------------------------------------------------------------------------------------------------------------

def size_of(text):
    """Bytes of a size as the schemas allow it."""
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1])
    return int(text[:-1]) * unit if unit else int(text, 0)


def pairs():
    """Every board and scenario of the project that go together: CPUs and RAM are there for all."""
    for scenario in sorted(glob.glob(os.path.join(ROOT, "scenarios", "*.xml"))):
        root = ElementTree.parse(scenario).getroot()
        highest = max(int(cpu.get("id")) for cpu in root.iter("cpu"))
        wanted = max([sum(size_of(ram.get("size")) for ram in root.iter("ram"))] +
                     [size_of(memory.get("limit")) for memory in root.iter("memory") if memory.get("limit")])
        for board in sorted(glob.glob(os.path.join(ROOT, "boards", "*.xml"))):
            machine = ElementTree.parse(board).getroot()
            ram = sum(size_of(ram.get("size")) for ram in machine.iter("ram"))
            if len(machine.findall("cpu/core")) > highest and ram > wanted:
                yield board, scenario


def run_all(suite):
    for folder in sorted(os.listdir(os.path.join(HERE, "bad"))):
        suite.run("sample " + folder, test_sample, folder)
    suite.run("every rule has a sample", test_every_rule_has_a_sample)
    suite.run("every rule has a number of its own", test_rules_are_numbered_once)
    suite.run("docs/RULES.md is current", test_rules_page)
    suite.run("docs/CONFIG.md names everything", test_config_page)
    for board, scenario in pairs():
        suite.run("accepted: %s on %s" % (os.path.basename(scenario), os.path.basename(board)), test_memory, board, scenario)
    suite.run("accepted: base", test_accepted, base("board"), base("scenario"))
    full = ("good/full-board.xml", "good/full-scenario.xml")
    service = ("good/service-board.xml", "good/service-scenario.xml")
    links = ("good/links-board.xml", "good/links-scenario.xml")
    devices = (base("pci-board"), base("pci-scenario"))
    intel = ("good/intel-board.xml", base("scenario"))
    suite.run("accepted: Intel", test_accepted, *intel)
    suite.run("accepted: all that VMs share", test_accepted, *links)
    suite.run("accepted: base with a service VM", test_accepted, base("board"), base("service"))
    for name in ("full", "service", "links"):
        suite.run("the resolved model is what it was: " + name, test_golden, name)
    suite.run("same input, same bytes, no paths", test_deterministic)
    for name, files in (("base", (base("board"), base("scenario"))), ("full", full), ("service", service), ("Intel", intel), ("links", links),
                        ("devices", devices)):
        suite.run("memory belongs to one: " + name, test_memory, *files)
        suite.run("manifest.dtb says what resolved.xml says: " + name, test_manifest, *files)
        suite.run("run.json says what resolved.xml says: " + name, test_run_json, *files)
        for compiler in ("gcc", "clang"):
            suite.run("tables say what resolved.xml says: %s, %s" % (name, compiler), test_tables, *files, compiler)
            suite.run("tables compile freestanding: %s, %s" % (name, compiler), test_freestanding, *files, compiler)
    extended = ("good/extended-board.xml", "good/extended-scenario.xml")
    for name, files in (("base", (base("board"), base("scenario"))), ("full", full), ("service", service), ("Intel", intel), ("extended", extended)):
        suite.run("report says what resolved.xml says: " + name, test_report, *files)
    for name, files in (("full", full), ("extended", extended)):
        suite.run("report of hostile texts: " + name, test_report_hostile, *files)
    suite.run("report has the warnings", test_report_warnings)
    suite.run("report places the virtual platform as the hypervisor does", test_report_platform)
    suite.run("report of 64 VMs and 4096 functions", test_report_large)
    suite.run("the link fails where the image meets others", test_layout)
    hostile.run(suite)
    for name, (arguments, words) in CANNOT_RUN.items():
        suite.run("cannot run: " + name, test_cannot_run, arguments, words)
    suite.run("a full disk leaves nothing behind", test_full_disk)
    suite.run("mistakes leave earlier results alone", test_mistakes_keep_old_results)
    suite.run("warnings as errors", test_warnings_as_errors)
    suite.run("--help", test_help)
    suite.run("schemas are annotated and agree", test_schemas)
    suite.run("board_backend.py answers", test_backend)
    suite.run("board_backend.py refuses", test_backend_refuses)


def main():
    parser = argparse.ArgumentParser(description="Tests of the configuration compiler.")
    parser.add_argument("--bhc", required=True, help="the program to test, best built with sanitizers")
    parser.add_argument("--plain", help="the program without sanitizers, which is tried under limits (left out: bhc beside the other)")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python that has Jinja2")
    parser.add_argument("--update", action="store_true", help="rewrite expected results")
    parser.add_argument("filter", nargs="?", help="run only tests whose name holds this")
    options = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="bhc-test-")
    suite = Suite(options, scratch)
    try:
        run_all(suite)
    finally:
        shutil.rmtree(scratch)
    print("%d passed, %d failed" % (suite.passed, suite.failed))
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
