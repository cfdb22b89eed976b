"""inspect-board on a machine: stock Linux on QEMU tells what boards/qemu-q35.xml says, fact by fact."""

import base64
import gzip
import hashlib
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import build
import cmd_inspect_board
import initramfs
import qemu
import sources
from common import BUILD, ROOT, tail, write_file, xml_path
from harness import Failure, Test, need
from machine import child_setup

TIMEOUT = 1800  # seconds: some ten on an idle machine, thirty times as many were seen on a busy one
RC = """# Start of a machine that inspects itself: the archive goes over the serial port, the board file that is made there too.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec >/dev/ttyS0 2>&1
dmesg -n 1
send() {
  gzip -9 <$1 >$1.gz
  echo "begin $2 $(sha256sum <$1.gz)"
  base64 $1.gz
  echo "end $2"
}
bh-inspect --collect /tmp/archive --probe-intx
echo "collect: status $?"
bh-inspect -o /tmp/board.xml --name there --probe-intx 2>/dev/null
echo "inspect: status $?"
send /tmp/archive archive
send /tmp/board.xml board
echo "functions left enabled: $(cat /sys/bus/pci/devices/*/enable | grep -vc '^0')"
stty onlcr </dev/ttyS0 # which waits until all is sent
poweroff -f
"""

# What a board file holds that no machine tells: how it is emulated, its emulator's faults, and values that only AML methods give.
NOT_DERIVABLE = ("emulator", "quirks", "pm", "board@name", "board@description")
# Values that stand for themselves and are numbers.
NUMBER = re.compile(r"(?:0x[0-9a-fA-F]+|[0-9]+[KMG]?)\Z")
# What tells elements of one name apart; others are numbered as they come.
KEYS = {"function": "address", "bar": "index", "uart": "name"}


def number(text):
    if not NUMBER.match(text):
        return text
    factor = {"K": 10, "M": 20, "G": 30}.get(text[-1])
    return int(text[:-1]) << factor if factor and not text.startswith("0x") else int(text, 0)


def facts(element, path=None):
    """{"board/pci/function[00:1f.2]/bar[4]@base": 0xfebff000, ...} of a board file's root element."""
    path = path or element.tag
    out = {path: "there"}
    out.update(("%s@%s" % (path, name), number(value)) for name, value in element.attrib.items())
    counts = {}
    for child in element:
        index = child.get(KEYS[child.tag]) if child.tag in KEYS else counts.get(child.tag, 0)
        counts[child.tag] = counts.get(child.tag, 0) + 1
        out.update(facts(child, "%s/%s[%s]" % (path, child.tag, index)))
    return out


def derivable(fact):
    return fact not in NOT_DERIVABLE and not any(fact.startswith("board/%s[" % name) for name in NOT_DERIVABLE)


def differences(wanted, found):
    """Lines that say where two board files' facts differ; and how many were compared."""
    one, two = ({name: value for name, value in facts(root).items() if derivable(name)} for root in (wanted, found))
    lines = ["%s: the board file says %s, the machine says %s" % (name, one.get(name, "nothing"), two.get(name, "nothing"))
             for name in sorted(set(one) | set(two)) if one.get(name) != two.get(name)]
    return lines, len(set(one) | set(two))


def payload(text, name):
    """What the machine sent under a name, checked."""
    found = re.search(r"^begin %s ([0-9a-f]{64}) .*\n((?:.*\n)*?)end %s$" % (name, name), text, re.MULTILINE)
    need(found, "the machine did not send its %s; its last lines:\n%s" % (name, tail(text, 15)))
    data = base64.b64decode(found.group(2))
    need(hashlib.sha256(data).hexdigest() == found.group(1), "the %s was damaged on the serial port" % name)
    return gzip.decompress(data)


def inspect_on_qemu(config, name, extra=(), append=""):
    """Boots stock Linux on a machine and inspects it there; (everything it printed, the archive, the board file of its own)."""
    archive = initramfs.base((), [("etc/inittab", "::sysinit:/bin/sh /etc/rc\n", 0o644), ("etc/rc", RC, 0o755)])
    with open(cmd_inspect_board.program(), "rb") as file:
        archive.add("bin/bh-inspect", 0o100755, file.read())
    initrd = initramfs.put(os.path.join(BUILD, "inspect-initramfs.cpio"), archive.bytes())
    # no_timer_check: on a busy host the emulator's timer may be later than the kernel's test of it allows, which then panics.
    command = qemu.command_line(config, ["-serial", "stdio"], kernel=sources.debian_kernel(),
                                append=("console=ttyS0,115200 quiet panic=-1 no_timer_check " + append).strip())
    try:
        done = subprocess.run(command + ["-initrd", initrd] + list(extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=TIMEOUT, preexec_fn=child_setup)
    except subprocess.TimeoutExpired as error:
        raise Failure("the machine did not end within %d s; its last lines:\n%s" %
                      (TIMEOUT, tail((error.stdout or b"").decode("utf-8", "replace"), 15))) from error
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    write_file(os.path.join(BUILD, "logs", name + ".log"), text.encode())
    need(done.returncode == 0, "QEMU ended with status %d: %s" % (done.returncode, tail(done.stderr.decode("utf-8", "replace"), 5)))
    return text, payload(text, "archive"), payload(text, "board")


def analyse(archive, name):
    """The board file that this machine makes of an archive: (status, XML, lines on standard error)."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "archive.tar")
        with open(path, "wb") as file:
            file.write(archive)
        done = subprocess.run([cmd_inspect_board.program(), "--name", name, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def accepted(xml, scenario):
    """bhc takes the board file together with a scenario of this tree."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "there.xml")
        with open(path, "wb") as file:
            file.write(xml)
        done = subprocess.run([build.build_bhc(quiet=True), path, xml_path("scenario", scenario), "--schema-dir", os.path.join(ROOT, "gen/schema"),
                               "--check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    need(done.returncode == 0, "bhc refuses the board file:\n" + tail(done.stdout.decode("utf-8", "replace"), 10))


def board_config(board):
    """The part of run.json that a machine is started by, from the board file alone."""
    root = ElementTree.parse(xml_path("board", board)).getroot()
    emulator = root.find("emulator")
    return root, {"emulator": {"machine": emulator.get("machine"), "cpu": emulator.get("cpu"), "memory": emulator.get("memory")},
                  "cpus": len(root.findall("cpu/core"))}


def same_facts(board, scenario):
    """Stock Linux on the board's machine gives back the board file."""
    def run():
        wanted, config = board_config(board)
        text, archive, there = inspect_on_qemu(config, "inspect-" + board)
        need("collect: status 0\n" in text and "inspect: status 0\n" in text, "it ended with another status than 0:\n" + tail(text[:4000], 15))
        need("functions left enabled: 0\n" in text, "--probe-intx left functions enabled")
        status, xml, said = analyse(archive, "there")
        need(status == 0, "the archive is refused here: " + said)
        need(xml == there, "the program makes another board file of the archive than it made on the machine")
        # Additional facts are differences too: so the board file has all that the machine tells.
        lines, count = differences(wanted, ElementTree.fromstring(xml))
        need(not lines, "%d facts differ (compared are all but %s):\n%s" % (len(lines), ", ".join(NOT_DERIVABLE), "\n".join(lines[:40])))
        need(count > 60, "only %d facts were compared" % count)
        accepted(xml, scenario)
        return count
    return run


def iommu_of(machine, kind, cpu, append, groups, status):
    """On a machine with an emulated IOMMU and bridges: every function is in its scope, and the kernel's groups are there."""
    devices = ["pcie-root-port,id=rp0,chassis=1,slot=1,bus=pcie.0,addr=4.0,multifunction=on", "pcie-pci-bridge,id=pb,bus=rp0",
               "edu,bus=pb,addr=1", "pcie-root-port,id=rp1,chassis=2,slot=2,bus=pcie.0,addr=4.1", "qemu-xhci,bus=rp1"]

    def run():
        config = {"emulator": {"machine": "q35", "cpu": cpu, "memory": "1G", "devices": [machine] + devices}, "cpus": 2}
        text, archive, there = inspect_on_qemu(config, "inspect-" + kind, append=append)
        need("inspect: status %d\n" % status in text, "it ended with another status than %d:\n%s" % (status, tail(text[:4000], 15)))
        _, xml, _ = analyse(archive, "there")
        need(xml == there, "the program makes another board file of the archive than it made on the machine")
        root = ElementTree.fromstring(xml)
        units = root.findall("iommu")
        need([unit.get("kind") for unit in units] == [kind], "IOMMUs: %s" % [unit.attrib for unit in units])
        functions = {function.get("address"): function for function in root.findall("pci/function")}
        itself = {address for address, function in functions.items() if function.get("class") == "0x080600"}
        behind = {address for address in functions if not address.startswith("00:")}
        need(len(behind) == 3, "functions behind bridges: %s" % sorted(behind))
        scope = {device.get("address") for device in units[0].findall("device")}
        need(scope == set(functions) - itself, "not in scope: %s" % sorted(set(functions) - itself - scope))
        numbers = [function.get("iommu-group") for function in functions.values()]
        need(groups == all(numbers), "IOMMU groups: %s" % numbers)
        return len(functions)
    return run


def command_in_words():
    """The command on this machine, whatever it is: words and a status, never a traceback."""
    front = os.path.join(ROOT, "bulkhead")
    done = subprocess.run([front, "inspect-board", "-o", os.path.join(BUILD, "here.xml")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    text = done.stderr.decode("utf-8", "replace")
    need(done.returncode in (0, 1, 2) and "Traceback" not in text, "status %d: %s" % (done.returncode, tail(text, 10)))
    need(text.strip(), "it says nothing")
    done = subprocess.run([front, "inspect-board", "/nowhere/archive.tar"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    need(done.returncode == 2 and b"/nowhere/archive.tar cannot be read" in done.stderr, "status %d: %r" % (done.returncode, done.stderr))
    done = subprocess.run([front, "inspect-board", "--program"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    path = done.stdout.decode().strip()
    need(done.returncode == 0 and initramfs.is_static(path), "--program: %r is not a static program" % path)
    return 3


def tests():
    return [Test("inspect.command", command_in_words),
            Test("inspect.qemu_q35", same_facts("qemu-q35", "partitioned")),
            Test("inspect.qemu_q35_12", same_facts("qemu-q35-12", "partitioned")),
            Test("inspect.vtd", iommu_of("intel-iommu", "vtd", "Skylake-Client", "intel_iommu=on", True, 1)),
            Test("inspect.amd_vi", iommu_of("amd-iommu,intremap=on", "amd-vi", "EPYC,-monitor", "", False, 0))]
