#!/usr/bin/env python3
"""Tests of bh-import: what the files here become, every mistake's message, and files that chance has spoilt.

run.py --program BH_IMPORT --bhc BHC [--update] [--mutations N]"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, "../../gen/schema")
PAIRS = ("old", "new")
TIMEOUT = 60


def import_files(program, folder, pair, scenario=True):
    """Runs the program in folder, on PAIR-board.xml and PAIR-scenario.xml; results go to folder/out."""
    command = [program, "--board", pair + "-board.xml", "-o", "out"] + (["--scenario", pair + "-scenario.xml"] if scenario else [])
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)


def check_result(bhc, folder, pair):
    return subprocess.run([bhc, "out/boards/%s-board.xml" % pair, "out/scenarios/%s-scenario.xml" % pair, "--schema-dir", SCHEMA, "--check"],
                          cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def copy_files(folder, pair):
    for kind in ("board", "scenario"):
        shutil.copy(os.path.join(HERE, "%s-%s.xml" % (pair, kind)), folder)


class Tally:
    def __init__(self, options):
        self.options, self.passed, self.failed = options, 0, 0

    def note(self, name, problem):
        if problem:
            self.failed += 1
            print("not ok - %s: %s" % (name, problem))
        else:
            self.passed += 1

    def same(self, name, have, golden):
        path = os.path.join(HERE, "golden", golden)
        if self.options.update:
            write(path, have)
        want = read(path) if os.path.exists(path) else None
        self.note(name, None if have == want else "differs from %s; have:\n%s" % (path, have.decode("utf-8", "replace")))


def test_results(tally, pair):
    with tempfile.TemporaryDirectory() as folder:
        copy_files(folder, pair)
        done = import_files(tally.options.program, folder, pair)
        tally.note(pair + " is translated", None if done.returncode == 0 and not done.stderr else done.stderr.decode())
        for name in ("boards/%s-board.xml" % pair, "scenarios/%s-scenario.xml" % pair, "import-report.txt"):
            tally.same("%s: %s" % (pair, name), read(os.path.join(folder, "out", name)), "%s/%s" % (pair, os.path.basename(name)))
        judged = check_result(tally.options.bhc, folder, pair)
        tally.note(pair + " keeps the rules", None if judged.returncode == 0 else judged.stderr.decode())
        report = read(os.path.join(folder, "out/import-report.txt"))
        shown = done.stdout.split(b"\nNot needed")[0]
        tally.note(pair + ": the terminal shows guesses and losses", None if report.startswith(shown) else "it shows something else")


def test_accounts(tally, pair):
    """Every element of the scenario is in the report, or has left something in the result: none is dropped without a word."""
    with tempfile.TemporaryDirectory() as folder:
        copy_files(folder, pair)
        path = os.path.join(folder, pair + "-scenario.xml")
        text = read(path).decode()
        places = [found.end() for found in re.finditer(r"<(hv|vm id=\"\d\"|DEBUG_OPTIONS|FEATURES|MEMORY|CAPACITIES|RDT|memory|os_config)>", text)]
        for place in places:
            write(path, (text[:place] + "<stranger>7</stranger>" + text[place:]).encode())
            done = import_files(tally.options.program, folder, pair)
            line = text.count("\n", 0, place) + 1
            at = b"%s-scenario.xml:%d: <stranger> 7: the importer does not know this element" % (pair.encode(), line)
            covered = text[text.rindex("<", 0, place):place] in ("<CAPACITIES>",) or (pair, line) in COVERED
            tally.note("%s: a stranger in line %d" % (pair, line), None if done.returncode == 0 and (at in done.stdout or covered) else done.stdout.decode())


# <memory> of service VMs is passed over as a whole.
COVERED = {("old", 107)}


def test_mistakes(tally):
    import cases
    ids = subprocess.run([tally.options.program, "--list-rules"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
    known = {line.split()[0] for line in ids if line}
    tally.note("every mistake has a case", None if known == {case[0] for case in cases.CASES} else "missing: %s" % sorted(known ^ {case[0] for case in cases.CASES}))
    said = []
    for rule, kind, old, new in (case[:4] for case in cases.CASES):
        with tempfile.TemporaryDirectory() as folder:
            copy_files(folder, "new")
            path = os.path.join(folder, "new-%s.xml" % kind)
            text = read(path).decode()
            assert old in text, (rule, old)
            write(path, text.replace(old, new).encode() if old == "acrn-config" else text.replace(old, new, 1).encode())
            if kind == "scenario" and "<hw>" in new:
                write(path, text.replace(old, new).replace("</hv>", "</hw>").encode())
            done = import_files(tally.options.program, folder, "new")
            lines = done.stderr.decode()
            good = done.returncode == 1 and ("error: [%s] " % rule) in lines and not os.path.exists(os.path.join(folder, "out"))
            tally.note("%s by %r" % (rule, new), None if good else "status %d\n%s" % (done.returncode, lines))
            said.append("%s: %r -> %r\n%s" % (kind, old, new, lines))
    tally.same("messages of mistakes", "\n".join(said).encode(), "mistakes.txt")


def test_cannot_run(tally):
    program = tally.options.program
    with tempfile.TemporaryDirectory() as folder:
        copy_files(folder, "new")
        for words in ([], ["--board", "new-board.xml"], ["--board", "nothing.xml", "-o", "out"], ["--board", "new-board.xml", "-o", "new-board.xml"],
                      ["--board", "new-board.xml", "-o", "out", "more"], ["--bored"]):
            done = subprocess.run([program] + words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
            tally.note("cannot run with %s" % words, None if done.returncode == 2 and done.stderr.startswith("bulkhead import: ") else done.stderr)
        done = import_files(program, folder, "new", scenario=False)
        tally.note("a board alone", None if done.returncode == 0 and os.listdir(os.path.join(folder, "out/boards")) == ["new-board.xml"] and
                   not os.path.exists(os.path.join(folder, "out/scenarios")) else done.stderr.decode())


EXTREMES = ["", "0", "-1", "0x", "0xffffffffffffffff", "18446744073709551616", "4294967296", "65536", "256", "1e9", "99999999999999999999999999",
            "%s%n", "&#10;", "\u202e", "ff:1f.7", "0000:ff:1f.7", "A" * 300]


def mutate(random_source, text):
    """One change of a file's text."""
    kind = random_source.randrange(6)
    lines = text.split("\n")
    at = random_source.randrange(len(lines))
    if kind == 0:
        lines[at] = re.sub(r"0x[0-9a-fA-F]+|\d+", lambda _: random_source.choice(EXTREMES), lines[at], count=1)
    elif kind == 1:
        lines[at] = re.sub(r">[^<>]*<", ">" + random_source.choice(EXTREMES) + "<", lines[at], count=1)
    elif kind == 2:
        lines.insert(at, lines[random_source.randrange(len(lines))])
    elif kind == 3:
        del lines[at]
    elif kind == 4:
        other = random_source.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        place = random_source.randrange(max(1, len(text)))
        return text[:place] + random_source.choice("<>&\"'/{}#,:\n\t0fX\u00e9") + text[place + random_source.randrange(2):]
    return "\n".join(lines)


def one_mutation(tally, seed):
    source = random.Random(seed)
    pair = source.choice(PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        copy_files(folder, pair)
        for kind in source.choice((["board"], ["scenario"], ["board", "scenario"])):
            path = os.path.join(folder, "%s-%s.xml" % (pair, kind))
            text = read(path).decode()
            for _ in range(source.choice((1, 1, 2, 5))):
                text = mutate(source, text)
            write(path, text.encode())
        done = import_files(tally.options.program, folder, pair)
        if done.returncode not in (0, 1) or b"Sanitizer" in done.stderr or b"runtime error" in done.stderr:
            return "status %d\n%s" % (done.returncode, done.stderr.decode("utf-8", "replace"))
        if done.returncode == 1 and b": error: [" not in done.stderr:
            return "refused without a word"
        if done.returncode == 0:
            judged = check_result(tally.options.bhc, folder, pair)
            # A result may break rules of meaning, but it has the right shape always.
            if judged.returncode not in (0, 1) or re.search(rb"\[(XML-\d+|VAL-001)\]", judged.stderr):
                return "bhc: status %d\n%s" % (judged.returncode, judged.stderr.decode("utf-8", "replace"))
    return None


def test_mutations(tally):
    for seed in range(tally.options.mutations):
        problem = one_mutation(tally, seed)
        if problem:
            tally.note("mutation %d" % seed, problem)
            return
    tally.note("mutations", None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, type=os.path.abspath)
    parser.add_argument("--bhc", required=True, type=os.path.abspath)
    parser.add_argument("--update", action="store_true", help="write the golden files anew")
    parser.add_argument("--mutations", type=int, default=150)
    options = parser.parse_args()
    sys.path.insert(0, HERE)
    tally = Tally(options)
    for pair in PAIRS:
        test_results(tally, pair)
        test_accounts(tally, pair)
    test_mistakes(tally)
    test_cannot_run(tally)
    test_mutations(tally)
    print("%d passed, %d failed" % (tally.passed, tally.failed))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
