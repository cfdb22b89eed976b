"""Files made to harm the configuration compiler: each is refused with a numbered rule, or accepted, in bounded time and memory. Both builds of bhc
are tried: the one with sanitizers, and the plain one under limits on CPU time and address space."""

import json
import os
import re
import resource
import subprocess

from checks import Wrong

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

CPU_SECONDS = 10  # of the plain bhc; the costliest case takes half a second
ADDRESS_SPACE = 640 << 20
TOO_LARGE_SPACE = 96 << 20  # enough to start, too little to read a 100 MB file
MAX_FILE = 8 << 20


def need(condition, message):
    if not condition:
        raise Wrong(message)


def base(kind):
    with open(os.path.join(HERE, "base", kind + ".xml"), "rb") as file:
        return file.read()


def swapped(kind, old, new, count=1):
    text = base(kind)
    need(old in text, "%r is not in the base %s" % (old, kind))
    return text.replace(old, new, count)


def scenario(old, new):
    return lambda: swapped("scenario", old, new)


def board(old, new):
    return lambda: swapped("board", old, new)


def headed(kind, before, after=b""):
    """The base file with text right before its root element's name and after its start tag's name."""
    return swapped(kind, b"<%s name" % kind.encode(), before + b"<%s%s name" % (kind.encode(), after))


def bomb():
    entities = b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10) for i in range(1, 10))
    return headed("scenario", b'<!DOCTYPE scenario [<!ENTITY e0 "lol">%s]>\n' % entities).replace(b'cmdline="console=ttyS0"', b'cmdline="&e9;"')


def recoded(codec, declared=None, mark=b""):
    """The base scenario in another encoding, which it declares."""
    def make():
        text = base("scenario").decode("utf-8").replace('encoding="UTF-8"', 'encoding="%s"' % (declared or codec)).replace("description=\"", "description=\"\u00e9 ")
        return mark + text.encode(codec)
    return make


def swap_words(data):
    """UTF-32 big-endian to the unusual order 2143."""
    return b"".join(data[i + 1:i + 2] + data[i:i + 1] + data[i + 3:i + 4] + data[i + 2:i + 3] for i in range(0, len(data), 4))


def utf7():
    """Markup by shift sequences (RFC 2152): a reader that believes in UTF-7 sees elements where others see text."""
    return base("scenario").replace(b'encoding="UTF-8"', b'encoding="UTF-7"').replace(b"<modules>", b"<modules>+ADwAdgBtAC8APg-")


def attributes(count, each=10 ** 9):
    """That many attributes, at most `each` on one element."""
    def make():
        out, left = [b"<scenario>"], count
        while left > 0:
            take = min(left, each)
            out.append(b"<a " + b" ".join(b"a%d=''" % i for i in range(take)) + b"/>")
            left -= take
        return b"".join(out) + b"</scenario>"
    return make


ENCODINGS = {
    "UTF-16 with a mark": recoded("utf-16"),
    "UTF-16LE without a mark": recoded("utf-16-le", "UTF-16LE"),
    "UTF-16BE without a mark": recoded("utf-16-be", "UTF-16BE"),
    "UTF-32 with a mark": recoded("utf-32"),
    "UTF-32LE": recoded("utf-32-le", "UTF-32LE"),
    "UTF-32BE": recoded("utf-32-be", "UTF-32BE"),
    "UCS-4 in unusual order": lambda: swap_words(recoded("utf-32-be", "ISO-10646-UCS-4")()),
    "EBCDIC": recoded("cp037"),
    "UTF-7": utf7,
    "UTF-7 from the first byte": lambda: b"+ADw-scenario/+AD4-",
    "ISO-8859-1": recoded("iso-8859-1"),
    "ISO-8859-15": recoded("iso-8859-15"),
    "Shift-JIS declared, ASCII in fact": scenario(b'encoding="UTF-8"', b"encoding='Shift_JIS'"),
    "UTF-16 declared, UTF-8 in fact": scenario(b'encoding="UTF-8"', b'encoding = "UTF-16"'),
    "UTF-8 declared, ISO-8859-1 in fact": lambda: recoded("iso-8859-1", "UTF-8")(),
    "an encoding that nobody knows": scenario(b"UTF-8", b"x-klingon"),
    "broken UTF-8": scenario(b"svc-1", b"svc\xff\xfe-1"),
    "overlong UTF-8": scenario(b"svc-1", b"svc\xc0\xafetc-1"),
    "a surrogate": scenario(b"svc-1", b"svc\xed\xa0\x80-1"),
    "beyond the last plane": scenario(b"svc-1", b"svc\xf4\x90\x80\x80-1"),
    "a character cut off": lambda: base("scenario") + b"\xe2\x82",
    "bytes of all values": lambda: b"<" + bytes(range(256)) * 16,
}

RAM = b'<ram size="64M"/>'
XINCLUDE = b'<modules><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'
XSI = b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://192.0.2.1/x.xsd" colour="red"'
# name: (content, rule)
REFUSED = {
    "entity bomb": (bomb, "XML-003"),
    "external entity": (lambda: headed("scenario", b'<!DOCTYPE scenario [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n').replace(b"<modules>", b"<modules>&x;"), "XML-003"),
    "external document type": (lambda: headed("scenario", b'<!DOCTYPE scenario SYSTEM "http://192.0.2.1/x.dtd">\n'), "XML-003"),
    "parameter entity": (lambda: headed("scenario", b'<!DOCTYPE s [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>\n'), "XML-003"),
    "default attributes by the thousand": (lambda: headed("scenario", b"<!DOCTYPE s [<!ATTLIST vm %s>]>\n" % b" ".join(b'a%d CDATA "x"' % i for i in range(9999))), "XML-003"),
    "undeclared entity": (scenario(b"console=ttyS0", b"&passwd;"), "XML-002"),
    "nested 100000 deep": (lambda: b"<scenario>" + b"<a>" * 100000, "XML-002"),
    "nested 300 deep and closed": (lambda: b"<scenario>" + b"<a>" * 300 + b"</a>" * 300 + b"</scenario>", "XML-002"),
    "nine megabytes": (lambda: b"<scenario>" + b" " * (9 << 20) + b"</scenario>", "XML-004"),
    "just over the limit": (lambda: b"<scenario>".ljust(MAX_FILE + 1), "XML-004"),
    "nothing": (lambda: b"", "XML-002"),
    "a mark and nothing else": (lambda: b"\xef\xbb\xbf", "XML-002"),
    "NUL bytes": (scenario(b"svc-1", b"svc\0-1"), "XML-002"),
    "a control character by reference": (scenario(b"svc-1", b"svc&#x1b;[31m-1"), "XML-002"),
    "a terminal escape": (scenario(b'name="rt0"', b'name="\xc2\x9b31m"'), "XML-007"),
    "a terminal escape by reference": (scenario(b"console=ttyS0", b"&#x9b;31m"), "XML-007"),
    "a line end in a value": (scenario(b"console=ttyS0", b"a&#10;menuentry"), "XML-007"),
    "text that runs from right to left": (scenario(b"console=ttyS0", b"\xe2\x80\xaeSyt"), "XML-007"),
    "characters without width": (scenario(b"console=ttyS0", b"cons\xe2\x80\x8bole"), "XML-007"),
    "a format string": (scenario(b'name="rt0"', b'name="%n%s%n%s"'), "VM-003"),
    "a name of 60 KB": (lambda: swapped("scenario", b'name="rt0"', b'name="%s"' % (b"a" * 60000)), "VM-003"),
    "a name of 900 KB": (lambda: swapped("scenario", b'name="rt0"', b'name="%s"' % (b"a" * 900000)), "XML-006"),
    "a number of 60000 digits": (scenario(RAM, b'<ram size="%s"/>' % (b"9" * 60000)), "XML-001"),
    "an element's name of 49 KB": (scenario(RAM, b"<%s/>" % (b"r" * 49000)), "XML-001"),
    "an element's name of 1 MB": (scenario(RAM, b"<%s/>" % (b"r" * 1000000)), "XML-002"),
    "200000 attributes on one element": (attributes(200000), "XML-006"),
    "700000 attributes": (attributes(700000, 250), "XML-006"),
    "an attribute twice": (scenario(RAM, b'<ram size="64M" size="1M"/>'), "XML-002"),
    "two million elements": (lambda: b"<scenario>" + b"<a/>" * 2000000 + b"</scenario>", "XML-006"),
    "a million comments": (lambda: b"<scenario>" + b"<!---->" * 1000000 + b"</scenario>", "XML-006"),
    "text cut up by 300000 comments": (scenario(b"</vm>", b"<ready>" + b"a<!---->" * 300000 + b"</ready></vm>"), "XML-006"),
    "text cut up by 300000 CDATA sections": (scenario(b"</vm>", b"<ready>" + b"<![CDATA[a]]>" * 300000 + b"</ready></vm>"), "XML-006"),
    "a thousand namespaces": (lambda: headed("scenario", b"", b"".join(b' xmlns:n%d="u:%d"' % (i, i) for i in range(100))), "XML-006"),
    "another namespace": (scenario(b"<scenario ", b'<scenario xmlns="urn:else" '), "XML-001"),
    "an undeclared namespace": (scenario(RAM, b'<x:ram size="64M"/>'), "XML-002"),
    "a schema of its own": (scenario(b"<scenario", b"<scenario" + XSI), "XML-001"),
    "a type of its own": (scenario(b"<modules>", b'<modules xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="board">'), "XML-001"),
    "nothing by xsi:nil": (scenario(b"<modules>", b'<modules xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true">'), "XML-001"),
    "XInclude": (scenario(b"<modules>", XINCLUDE), "XML-001"),
    "xml:base": (scenario(b"<modules>", b'<modules xml:base="file:///etc/">'), "XML-001"),
    "40000 overlapping RAM blocks": (scenario(RAM, b'<ram size="2M" base="0"/>' * 40000), "MEM-004"),
    "40000 RAM blocks to place": (scenario(RAM, b'<ram size="4K"/>' * 40000), "MEM-012"),
    "40000 CPUs": (scenario(b'<cpu id="2"/>', b'<cpu id="2"/>' * 40000), "CPU-003"),
    "words without end": (board(b'features="', b'features="' + b"nx " * 20000), "BRD-004"),
    "a pattern that almost fits": (board(b'features="', b'features="' + b"a-" * 30000 + b"! "), "XML-001"),
    "40000 functions at one address": (board(b"<function ", b'<function address="00:05.0" vendor="1" device="1" class="0"/>\n' * 40000 + b"<function "), "PCI-001"),
    "40000 BARs at one address": (board(b'<function address="00:00.0" vendor="0x8086" device="0x29c0" class="0x060000"/>',
                                        b'<function address="00:00.0" vendor="0x8086" device="0x29c0" class="0x060000">' +
                                        b'<bar index="0" kind="mem" base="0xe0000000" size="0x1000"/>\n' * 40000 + b"</function>"), "PCI-002"),
    "20000 reserved ranges in RAM": (board(b"</memory>", b"".join(b'<reserved base="%d" size="1" what="x"/>\n' % (0x2000000 + 8192 * i) for i in range(20000)) + b"</memory>"), None),
}
REFUSED.update({"encoding: " + name: (make, "XML-005") for name, make in ENCODINGS.items()})

# What looks hostile and is sound.
ACCEPTED = {
    "a byte-order mark": lambda: b"\xef\xbb\xbf" + base("scenario"),
    "US-ASCII": lambda: swapped("scenario", b'encoding="UTF-8"', b"encoding='us-ascii'"),
    "no declaration": lambda: base("scenario").split(b"?>", 1)[1].lstrip(),
    "a comment of 7 MB": lambda: headed("scenario", b"<!-- %s -->\n" % (b"x = 'y' z> " * 640000)),
    "a processing instruction of 5 MB": lambda: headed("scenario", b"<?php %s?>\n" % (b"system('reboot'); " * 290000)),
    "a style sheet from elsewhere": lambda: headed("scenario", b'<?xml-stylesheet type="text/xsl" href="http://192.0.2.1/x.xsl"?>\n'),
    "a line of 5 MB": lambda: swapped("scenario", b"<modules>", b"<modules>" + b" " * 5000000),
    "line ends of all kinds": lambda: base("scenario").replace(b"\n", b"\r\n"),
}


def limits(cpu, space):
    def apply():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    return apply


def run_plain(suite, arguments, space=ADDRESS_SPACE):
    """The plain bhc under limits; its status and everything it said."""
    done = subprocess.run([suite.plain] + arguments, cwd=HERE, capture_output=True, timeout=60, preexec_fn=limits(CPU_SECONDS, space), check=False)
    need(done.returncode in (0, 1), "the plain bhc ended with status %d within %d s and %d MiB; it said %r" %
         (done.returncode, CPU_SECONDS, space >> 20, done.stderr[:500]))
    return done


def kind_of(content):
    return "board" if b"<board" in content[:20000] else "scenario"


def files_of(suite, content):
    """Writes the content; board and scenario to give to bhc, relative to HERE where they are the base's."""
    path = os.path.join(suite.folder(), "hostile.xml")
    with open(path, "wb") as file:
        file.write(content)
    return [path, "base/scenario.xml"] if kind_of(content) == "board" else ["base/board.xml", path]


def check_refusal(text, rule):
    need(rule is None or "[%s]" % rule in text, "no diagnostic of rule %s in\n%s" % (rule, text[:2000]))
    need("root:" not in text, "the diagnostics hold the content of a file that was only named")
    need(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]", text), "the diagnostics hold control characters")
    for line in text.splitlines():
        need(re.match(r"[^:]+(:\d+)?: (error|warning): \[[A-Z]+-\d{3}\] .+; .+|bhc: \d+ more ", line), "not of the form of a diagnostic: " + line[:300])


def test_refused(suite, name):
    make, rule = REFUSED[name]
    files = files_of(suite, make())
    out = suite.folder()
    done = suite.compile(*files, out=out)
    text = done.stderr.decode(errors="replace")
    need(done.returncode == 1, "exit status %d; it said\n%s" % (done.returncode, text[:2000]))
    check_refusal(text, rule)
    need(os.listdir(out) == [], "files left behind")
    plain = run_plain(suite, files + ["--schema-dir", suite.schema, "--check", "--format=json"])
    found = json.loads(plain.stdout)
    need(plain.returncode == 1 and found["errors"] > 0, "the plain bhc accepts it")
    need(rule is None or rule in {d["rule"] for d in found["diagnostics"]}, "the plain bhc says otherwise")


def test_accepted(suite, name):
    """Sound, and the same result as without it."""
    files = files_of(suite, ACCEPTED[name]())
    results = []
    for scenario_file in (files[1], "base/scenario.xml"):
        out = suite.folder()
        done = suite.compile(files[0], scenario_file, out=out)
        need(done.returncode == 0, "exit status %d; it said\n%s" % (done.returncode, done.stderr.decode(errors="replace")[:2000]))
        with open(os.path.join(out, "resolved.xml"), encoding="utf-8") as file:
            results.append(re.sub(r"<(input|source|file)[^>]*>|(sha256|size)=\"[^\"]*\"", "", file.read()))
    need(results[0] == results[1], "the result differs")
    need(run_plain(suite, files + ["--schema-dir", suite.schema, "--check"]).returncode == 0, "the plain bhc refuses it")


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_100_megabytes(suite):
    """Refused by its size, without being read: there is no memory for it, nor any of the time that reading takes."""
    path = os.path.join(suite.folder(), "large.xml")
    with open(path, "wb") as file:
        file.write(base("scenario"))
        file.truncate(100 << 20)
    began = cpu_of_children()
    done = run_plain(suite, ["base/board.xml", path, "--schema-dir", suite.schema, "--check"], TOO_LARGE_SPACE)
    took = cpu_of_children() - began
    need(done.returncode == 1, "exit status %d" % done.returncode)
    check_refusal(done.stderr.decode(), "XML-004")
    need(took < 1, "it took %.1f s" % took)
    refused = backend(suite, path, TOO_LARGE_SPACE)
    need(refused.returncode == 1 and "larger than 8 MiB" in refused.stderr, "board_backend.py says %r" % refused.stderr)


def test_far_lines(suite):
    """Lines beyond 65535, where libxml2's own count ends."""
    for filler, old, new, rule in ((b"\n" * 100000, b'name="rt0"', b'name="-rt0"', "VM-003"), (b"\n" * 100000, b'name="rt0"', b'nome="rt0"', "XML-001")):
        text = swapped("scenario", b"<modules>", filler + b"<modules>").replace(old, new, 1)
        line = text[:text.index(new)].count(b"\n") + 1
        done = run_plain(suite, files_of(suite, text) + ["--schema-dir", suite.schema, "--check"])
        need(":%d: error: [%s]" % (line, rule) in done.stderr.decode(), "line %d is not named in %s" % (line, done.stderr.decode()[:500]))


def test_many_diagnostics(suite):
    """What is kept is bounded, what is counted is not."""
    arguments = files_of(suite, swapped("scenario", b"<modules>", b"<modules>" + b'<module name="-" source="-" max-size="0"/>' * 30000))
    done = run_plain(suite, arguments + ["--schema-dir", suite.schema, "--check", "--format=json"])
    found = json.loads(done.stdout)
    need(len(found["diagnostics"]) <= 5000 and found["errors"] >= 30000, "%d kept of %d" % (len(found["diagnostics"]), found["errors"]))
    need(found["omitted"] == found["errors"] + found["warnings"] - len(found["diagnostics"]), "omitted is wrong")


def backend(suite, path, space=ADDRESS_SPACE):
    return subprocess.run([suite.python, os.path.join(ROOT, "gen", "board_backend.py"), path], capture_output=True, text=True, timeout=60,
                          preexec_fn=limits(CPU_SECONDS, space), check=False)


# What is wrong with the bytes or the markup is wrong in a board too.
BACKEND_REFUSES = {"XML-002", "XML-003", "XML-004", "XML-005"}


def test_backend(suite, name):
    """gen/board_backend.py, which sees a board before bhc does, is as strict about markup and never breaks."""
    make, rule = REFUSED[name]
    content = make()
    for old, new in (("scenario", "board"), ("vm", "cpu")):
        for codec in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp037"):
            content = content.replace(old.encode(codec), new.encode(codec))
    path = os.path.join(suite.folder(), "board.xml")
    with open(path, "wb") as file:
        file.write(content)
    done = backend(suite, path)
    need("Traceback" not in done.stderr and done.returncode in (0, 1), "status %d: %s" % (done.returncode, done.stderr[-500:]))
    need(done.returncode == 1 or rule not in BACKEND_REFUSES, "it answers %r" % done.stdout)
    need(done.returncode == 0 or re.match(r"board_backend\.py: \S+: \S.*\n$", done.stderr), "it says %r" % done.stderr)


def run(suite):
    for name in REFUSED:
        suite.run("hostile: " + name, test_refused, name)
        suite.run("hostile, board_backend.py: " + name, test_backend, name)
    for name in ACCEPTED:
        suite.run("hostile in looks only: " + name, test_accepted, name)
    suite.run("hostile: 100 MB", test_100_megabytes)
    suite.run("lines beyond 65535", test_far_lines)
    suite.run("more mistakes than anyone reads", test_many_diagnostics)
