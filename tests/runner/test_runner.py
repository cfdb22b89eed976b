"""Tests of the runner's own parts (unittest; ./bulkhead test runs them)."""

import gzip
import os
import struct
import subprocess
import tempfile
import unittest

import common
import elf
import initramfs
import linux_kernel
import mux
import run
import sources
from build import failure_text


class Mux(unittest.TestCase):
    def decode(self, data, step=None):
        decoder = mux.Decoder()
        out = {}
        for start in range(0, len(data), step or max(1, len(data))):
            for channel, payload in decoder.feed(data[start:start + (step or len(data))]):
                out[channel] = out.get(channel, b"") + payload
        return out

    def test_round_trip_in_pieces_of_any_size(self):
        wire = mux.encode(0, b"log line\n") + mux.encode(2, bytes(range(256))) + mux.encode(1, b"x")
        for step in (1, 2, 3, 7, 64, 1000):
            self.assertEqual(self.decode(wire, step), {0: b"log line\n", 2: bytes(range(256)), 1: b"x"})

    def test_long_payload_is_cut_into_frames_of_at_most_120(self):
        wire = mux.encode(1, b"a" * 250)
        self.assertEqual([wire[2], wire[125], wire[248]], [0x80 + 120, 0x80 + 120, 0x80 + 10])

    def test_start_byte_inside_a_payload_is_payload(self):
        self.assertEqual(self.decode(mux.encode(3, b"\x01\x30\x81"), 1), {3: b"\x01\x30\x81"})

    def test_bytes_outside_frames_are_kept_apart(self):
        self.assertEqual(self.decode(b"GRUB loading\n" + mux.encode(0, b"ok") + b"tail"), {None: b"GRUB loading\ntail", 0: b"ok"})

    def test_damaged_header_does_not_swallow_the_next_frame(self):
        self.assertEqual(self.decode(b"\x01\x05" + mux.encode(0, b"ok")), {0: b"ok"})
        self.assertEqual(self.decode(b"\x01\x30\x10" + mux.encode(0, b"ok")), {0: b"ok"})
        self.assertEqual(self.decode(b"\x01" + mux.encode(0, b"ok")), {0: b"ok"})

    def test_empty_data_makes_no_frame(self):
        self.assertEqual(mux.encode(0, b""), b"")


class Initramfs(unittest.TestCase):
    def test_same_bytes_twice_and_holds_init(self):
        with tempfile.TemporaryDirectory() as work:
            first, second = os.path.join(work, "a"), os.path.join(work, "b")
            initramfs.build(first)
            initramfs.build(second)
            with open(first, "rb") as one, open(second, "rb") as two:
                data = one.read()
                self.assertEqual(data, two.read())
            self.assertEqual(data[4:8], b"\0\0\0\0", "gzip header has a time")
            archive = gzip.decompress(data)
            self.assertTrue(archive.startswith(b"070701"))
            self.assertIn(b"bulkhead: $name ready", archive)
            self.assertTrue(archive.rstrip(b"\0").endswith(b"TRAILER!!!"))

    def test_every_entry_is_aligned(self):
        archive = initramfs.Archive()
        archive.add("a", 0o100644, b"xyz")
        archive.add("bc", 0o100644, b"")
        data = archive.bytes()
        offset = 0
        names = []
        while offset < len(data):
            self.assertEqual(data[offset:offset + 6], b"070701")
            size, length = int(data[offset + 54:offset + 62], 16), int(data[offset + 94:offset + 102], 16)
            names.append(data[offset + 110:offset + 110 + length - 1].decode())
            offset = (offset + 110 + length + 3) // 4 * 4
            offset = (offset + size + 3) // 4 * 4
        self.assertEqual(names, ["a", "bc", "TRAILER!!!"])

    def test_static_program_is_told_from_a_dynamic_one(self):
        self.assertTrue(initramfs.is_static("/bin/busybox"))
        self.assertFalse(initramfs.is_static(os.path.realpath("/bin/sh")))


    def test_service_archive_holds_the_device_model_and_a_user_vm(self):
        with tempfile.TemporaryDirectory() as work:
            paths = {name: os.path.join(work, name) for name in ("dm", "kernel", "guest", "out")}
            for name in ("dm", "kernel", "guest"):
                common.write_file(paths[name], b"bytes of " + name.encode())
            initramfs.build_service(paths["out"], paths["dm"], paths["kernel"], paths["guest"])
            with open(paths["out"], "rb") as file:
                data = file.read()
            for text in (b"bin/dm", b"bytes of dm", b"boot/vmlinuz", b"bytes of kernel", b"boot/initramfs", b"bytes of guest", b"bin/uvm"):
                self.assertIn(text, data)
            with self.assertRaisesRegex(common.Problem, "hsm:initramfs: cannot read"):
                initramfs.build_service(paths["out"], "/no/such", paths["kernel"], paths["guest"])

    def test_scripts_inside_are_shell(self):
        for text in (initramfs.RC, initramfs.SERVICE_RC, initramfs.UVM):
            done = subprocess.run([initramfs.BUSYBOX, "sh", "-n"], input=text.encode(), check=False, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr)


class HsmKernel(unittest.TestCase):
    def test_options_that_the_configuration_lacks_are_named(self):
        fragment = "# comment\nCONFIG_A=y\n\nCONFIG_B=n\nCONFIG_C=32\nCONFIG_D=y\n"
        config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=64\n"
        self.assertEqual(linux_kernel.unmet(fragment, config), ["CONFIG_C=32", "CONFIG_D=y"])
        self.assertEqual(linux_kernel.unmet(fragment, config + "CONFIG_B=y\nCONFIG_D=y\n"), ["CONFIG_B=n", "CONFIG_C=32"])

    def test_compiled_files_are_counted(self):
        with tempfile.TemporaryDirectory() as work:
            log = os.path.join(work, "log")
            self.assertEqual(linux_kernel.compiled(log), 0)
            common.write_file(log, b"  CC      a.o\n  AS      b.o\n  AR      c.a\nmake: x\n  CC      d.o\n")
            self.assertEqual(linux_kernel.compiled(log), 3)

    def test_failed_step_shows_its_errors(self):
        with tempfile.TemporaryDirectory() as work:
            before, linux_kernel.cache_dir = linux_kernel.cache_dir, lambda: work
            try:
                with self.assertRaisesRegex(common.Problem, r"hsm:kernel: a step failed \(status 3\):\n *x.c:1: error: no\n"):
                    linux_kernel.run_step(["sh", "-c", "echo fine; echo x.c:1: error: no; exit 3"], os.path.join(work, "log"), "a step", "step")
            finally:
                linux_kernel.cache_dir = before

    def test_driver_is_in_the_fragment(self):
        with open(linux_kernel.FRAGMENT, encoding="utf-8") as file:
            wanted = dict(linux_kernel.wanted_options(file.read()))
        self.assertEqual((wanted["CONFIG_ACRN_HSM"], wanted["CONFIG_ACPI_HOTPLUG_CPU"]), ("y", "n"))


class ReadyTexts(unittest.TestCase):
    class Machine:
        def __init__(self, text):
            self.text = text

    def test_user_vms_text_is_looked_for_on_its_service_vm(self):
        config = {"vms": [{"name": "service", "id": 0, "ready": "service up"},
                          {"name": "uvm0", "id": 1, "ready": "uvm0 up", "ready_on": "service"}]}
        channel = mux.vm_channel(0)
        ready = run.Readiness(config)
        self.assertEqual(ready.look(self.Machine({channel: "service up\n"}))[0]["name"], "service")
        self.assertEqual(list(ready.waiting), ["uvm0"])
        self.assertEqual(ready.look(self.Machine({channel: "service up\n[uvm0] uvm0 up\n"}))[0]["name"], "uvm0")
        self.assertFalse(ready.waiting)


class Files(unittest.TestCase):
    def test_write_leaves_no_half_file(self):
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "x")
            common.write_file(path, b"one")
            common.write_file(path, b"two")
            self.assertEqual(os.listdir(work), ["x"])
            with self.assertRaises(common.Problem):
                common.write_file("/proc/no/such/place", b"x")

    def test_space_is_asked_of_the_nearest_folder_that_exists(self):
        with tempfile.TemporaryDirectory() as work:
            common.need_space(os.path.join(work, "a/b/c"), 1, "x")
            with self.assertRaisesRegex(common.Problem, "no free disk: x needs"):
                common.need_space(os.path.join(work, "a/b/c"), 1 << 60, "x")

    def test_unknown_name_lists_the_known(self):
        with self.assertRaisesRegex(common.Problem, "there is no board 'x'; choose one of: a, b"):
            common.check_name("board", "x", ["a", "b"])

    def test_tail_keeps_the_last_lines(self):
        self.assertEqual(common.tail("a\r\nb\r\nc\r\n\r\n", 2), "    b\n    c")


class Sources(unittest.TestCase):
    def module(self, source, size=1 << 20):
        return {"name": "m", "source": source, "max_size": size}

    def test_override_wins_and_must_exist(self):
        self.assertEqual(sources.resolve(self.module("guest:x"), "/nowhere", {"m": __file__}), os.path.abspath(__file__))
        with self.assertRaisesRegex(common.Problem, "module 'm': cannot read /no/such"):
            sources.resolve(self.module("guest:x"), "/nowhere", {"m": "/no/such"})

    def test_too_large_a_file_is_refused(self):
        with self.assertRaisesRegex(common.Problem, "raise its max-size"):
            sources.resolve(self.module("guest:x", 16), "/nowhere", {"m": "/bin/busybox"})

    def test_unknown_source_is_named(self):
        with self.assertRaisesRegex(common.Problem, "source 'ftp:x'"):
            sources.resolve(self.module("ftp:x"), "/nowhere", {})

    def test_missing_guest_program_asks_for_module(self):
        with self.assertRaisesRegex(common.Problem, "needs --module m=FILE"):
            sources.resolve(self.module("guest:nothing"), "/nowhere", {})


class ElfFiles(unittest.TestCase):
    def sample(self, wide):
        """One executable section of 0x123 bytes, one of data, one loaded segment of 0x2000 bytes."""
        header = 64 if wide else 52
        sections = [(0, 0, 0), (1, 6, 0x123), (1, 3, 0x50), (8, 7, 0x999)]
        segments = [(1, 0x2000), (4, 0x4000)]
        out = bytearray(b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + b"\0" * 9)
        at = header + len(segments) * (56 if wide else 32)
        if wide:
            out += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, header, at, 0, header, 56, len(segments), 64, len(sections), 0)
            for kind, size in segments:
                out += struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, size, 0)
            for kind, flags, size in sections:
                out += struct.pack("<IIQQQQIIQQ", 0, kind, flags, 0, 0, size, 0, 0, 0, 0)
        else:
            out += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, header, at, 0, header, 32, len(segments), 40, len(sections), 0)
            for kind, size in segments:
                out += struct.pack("<IIIIIIII", kind, 0, 0, 0, 0, size, 0, 0)
            for kind, flags, size in sections:
                out += struct.pack("<IIIIIIIIII", 0, kind, flags, 0, 0, size, 0, 0, 0, 0)
        return bytes(out)

    def test_sizes_of_both_classes(self):
        for wide in (True, False):
            with tempfile.NamedTemporaryFile() as file:
                file.write(self.sample(wide))
                file.flush()
                image = elf.Elf(file.name)
                self.assertEqual((image.text_size(), image.resident_size()), (0x123, 0x2000))

    def test_not_an_elf_is_said(self):
        with self.assertRaises(ValueError):
            elf.Elf(__file__)


class Failures(unittest.TestCase):
    def test_configuration_errors_come_alone(self):
        text = failure_text("x", "[1/2] cc\nFAILED: y\nboards/a.xml:3: error: [CPU-001] two CPUs\nninja: stopped\n", "/log")
        self.assertEqual(text, "configuration refused:\nboards/a.xml:3: error: [CPU-001] two CPUs")

    def test_full_disk_is_said(self):
        self.assertIn("no free disk", failure_text("x", "cc: error: No space left on device\n", "/log"))


if __name__ == "__main__":
    unittest.main()
