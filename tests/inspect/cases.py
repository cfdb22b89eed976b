"""One hand-made machine after another: what each table and file means, and what is said when it is damaged."""

import os
import struct
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import archive as a
from result import Result, lacking, need, sound

# ---- the machine as a whole ----------------------------------------------------------------------------------------------------------

def test_plain():
    r = sound()
    r.one("cpu", vendor="amd", extension="svm", features="svm npt nx page1g nrips", mitigations=None)
    need(r.all("cpu/core") == [{"apic-id": "0"}, {"apic-id": "1"}], "cores")
    r.one("tsc", hz="calibrate", invariant="yes")
    r.one("memory", trampoline="0x8000")
    need(r.all("memory/ram") == [{"base": "0x0", "size": "0x9f000"}, {"base": "0x100000", "size": "0x3ff00000"}], str(r.all("memory/ram")))
    r.one("memory/reserved", base="0xe0000", size="0x20000", what="firmware")
    r.one("lapic", base="0xfee00000")
    r.one("ioapic", id="0", base="0xfec00000", pins="24", gsi_base="0")
    r.one("mcfg", base="0xe0000000", start_bus="0", end_bus="255")
    r.one("acpi", pm_timer_port="0x408", pm1a_cnt_port="0x404", s5_slp_typ="5", reset_port="0xcf9", reset_value="0x06", cpu_hotplug_port=None)
    r.one("uart", name="com1", port="0x3f8", gsi="4", baud="57600", clock_hz="1843200", pci=None)
    r.one("pci/window", base="0x80000000", size="0x60000000")


def test_names_are_data():
    dmi = {"sys/class/dmi/id/sys_vendor": b'A<&"B\n', "sys/class/dmi/id/product_name": "Größe --> 1\x1b[31m\n".encode()}
    r = sound(dmi)
    need(r.root.get("name") == "gr-e-1-31m", r.root.get("name"))
    need(r.root.get("description").startswith('A<&"B Gr??'), r.root.get("description"))
    need("\x1b" not in r.xml.decode() and "\x1b" not in r.said, "control characters")
    need(Result(a.machine(), "--name", "my-board").root.get("name") == "my-board", "--name")
    need(Result(a.machine(), "--name", "My Board").status == 2, "--name takes what the schema refuses")
    need(sound().root.get("name") == "board", "a machine without a name")


def test_output_file():
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "line-7.xml")
        source = os.path.join(work, "archive.tar")
        with open(source, "wb") as file:
            file.write(a.tar(a.machine()))
        subprocess.run([Result.program, "-o", path, source], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        need(ElementTree.parse(path).getroot().get("name") == "line-7", "the name does not follow the file's")
        need(sorted(os.listdir(work)) == ["archive.tar", "line-7.xml"], str(os.listdir(work)))
        done = subprocess.run([Result.program, "-o", os.path.join(work, "no/b.xml"), source], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        need(done.returncode == 2 and b"cannot be written" in done.stderr, "a folder that is not there")


# ---- tables --------------------------------------------------------------------------------------------------------------------------

def test_madt():
    table = a.madt(a.lapic_entry(4), a.lapic_entry(0), a.lapic_entry(6, enabled=False), a.x2apic_entry(0), a.x2apic_entry(0x120),
                   a.x2apic_entry(0x121, enabled=False), a.lapic_entry(0xff), a.ioapic_entry(8, 0xfec00000, 0), a.ioapic_entry(9, 0xfec01000, 24),
                   a.ioapic_entry(10, 0xfec02000, 56), a.lapic_address_entry(0xfe000000), a.override_entry(4, 20))
    r = sound(a.acpi(table), a.cpuid(a.AMD, (0, 4), a.AMD_LEAVES),
              {"kernel-log": b"IOAPIC[1]: apic_id 9, version 32, address 0xfec01000, GSI 24-47\n"})
    need([core["apic-id"] for core in r.all("cpu/core")] == ["0", "4", "288"], "the boot CPU is not first: %s" % r.all("cpu/core"))
    need([io["pins"] for io in r.all("ioapic")] == ["24", "24", "24"], str(r.all("ioapic")))
    r.one("lapic", base="0xfe000000")
    r.one("uart", gsi="20")
    r.noted("pins of IOAPIC 8 are not known")
    r.noted("pins of IOAPIC 10 are not known")
    r.noted("the CPU with APIC id 288 was not online")
    need(not any("IOAPIC 9" in line for line in r.notes), "the kernel's log is not believed")


def test_madt_lacks():
    lacking("no usable ACPI table APIC", {"sys/firmware/acpi/tables/APIC": b"APIC"})
    lacking("names no CPU", a.acpi(a.madt(a.ioapic_entry(0, 0xfec00000, 0))))
    lacking("names no I/O APIC", a.acpi(a.madt(a.lapic_entry(0))))
    # An entry of length 0 or beyond the table ends it.
    r = lacking("names no I/O APIC", a.acpi(a.madt(a.lapic_entry(0), b"\x01\x00" + bytes(10), a.ioapic_entry(0, 0, 0))))
    need(len(r.all("cpu/core")) == 1, "cores before the damage")


def test_checksum():
    files = a.acpi(a.table("MCFG", bytes(8) + struct.pack("<QHBBI", 0xe0000000, 0, 0, 63, 0), break_sum=True))
    r = sound(files)
    r.noted("checksum of ACPI table MCFG")
    r.one("mcfg", end_bus="63")


def test_mcfg():
    r = sound(a.acpi(a.mcfg((0xd0000000, 1, 0, 255), (0xe0000000, 0, 0, 127))))
    r.one("mcfg", base="0xe0000000", end_bus="127")
    r.noted("segment 1")
    files = a.machine()
    del files["sys/firmware/acpi/tables/MCFG"]
    r = Result(files)
    need(r.status == 0 and not r.all("mcfg"), "no MCFG")
    r.noted("there is no MCFG")


def test_fadt():
    r = sound(a.acpi(a.fadt(timer=0x808, x_timer=(1, 0x1808))))
    r.one("acpi", pm_timer_port="0x1808")
    r = sound(a.acpi(a.fadt(x_timer=(0, 0xfed00000), reset=(0, 0xfed80000, 1))))
    r.one("acpi", pm_timer_port="0x0", reset_port="0x0", reset_value="0x00")
    r.noted("the PM timer is not at a port (address space 0)")
    r.noted("the reset register is not at a port")
    r = sound(a.acpi(a.fadt(timer=0, control=0x12345, flags=1 << 20)))
    r.one("acpi", pm_timer_port="0x0", pm1a_cnt_port="0x0", reset_port="0x0")
    for text in ("there is no PM timer", "0x12345", "no reset register", "hardware-reduced"):
        r.noted(text)
    # Of the first version: no reset register and no extended fields.
    r = sound(a.acpi(a.table("FACP", a.fadt()[36:116])))
    r.one("acpi", pm_timer_port="0x408", reset_port="0x0")


def test_s5():
    for value, dsdt in (("7", a.s5(7, 7, 0, 0)), ("0", a.s5(0, 0, 0, 0)), ("1", b"\x10\x20" + a.s5(1, 1, root=True)),
                        ("5", b"_S5_\x12\x09" + a.s5(9, 9) + a.s5(5, 5))):
        r = sound(a.acpi(a.table("DSDT", dsdt)))
        r.one("acpi", s5_slp_typ=value)
    # A package length of two bytes; a word for an element.
    r = sound(a.acpi(a.table("DSDT", b"\x08_S5_\x12\x4a\x00\x04\x0b\x06\x00\x00\x00\x00")))
    r.one("acpi", s5_slp_typ="6")
    r = sound(a.acpi(a.table("DSDT", b"\x08_S3_"), a.table("SSDT", b"\x00"), a.table("SSDT", a.s5(3, 3))))
    r.one("acpi", s5_slp_typ="3")
    for cut in range(1, 10):
        r = sound(a.acpi(a.table("DSDT", a.s5(5, 5)[:cut])))
        if cut < 8:
            r.noted("no package \\_S5")


def test_hotplug():
    region = b"\x5b\x80PRST\x01\x0b\xd8\x0c\x0a\x0c"
    uid = b"\x0dCPU Hotplug resources\x00"
    r = sound(a.acpi(a.table("DSDT", a.s5(0, 0) + uid + region)))
    r.one("acpi", cpu_hotplug_port="0xcd8")
    for dsdt in (uid, region, uid + region.replace(b"\x0a\x0c", b"\x0a\x10"), uid + region.replace(b"PRST\x01", b"PRST\x00"), uid + region[:-2]):
        need("cpu-hotplug-port" not in sound(a.acpi(a.table("DSDT", a.s5(0, 0) + dsdt))).one("acpi"), "found in %r" % dsdt)


def test_srat():
    def node(domain, base, flags):
        return struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, base, 0x10000000, 0, flags, 0)
    r = sound(a.acpi(a.table("SRAT", bytes(12) + node(0, 0, 1) + node(1, 0x10000000, 1) + node(2, 0x20000000, 0) + node(1, 0x40000000, 3))))
    r.noted("several nodes")
    r.noted("can be plugged and unplugged")
    need(not any("SRAT" in line for line in sound(a.acpi(a.table("SRAT", bytes(12) + node(0, 0, 1)))).notes), "one node")


# ---- IOMMUs --------------------------------------------------------------------------------------------------------------------------

TREE = a.pci(a.Function("00:00.0", class_code=0x060000), a.Function("00:02.0", class_code=0x030000), a.bridge("00:1c.0", 1, 3), a.bridge("01:00.0", 2, 3),
             a.Function("02:00.0"), a.Function("02:00.1"), a.bridge("02:01.0", 3), a.Function("03:00.0"), a.Function("00:1f.6"))


def test_dmar():
    unit = a.drhd(0xfed90000, a.scope(1, 0, (2, 0)))
    rest = a.drhd(0xfed91000, a.scope(3, 0xf0, (0x1f, 0)), a.scope(4, 0, (0x1f, 0)), everything=True)
    r = sound(TREE, a.acpi(a.dmar(unit, rest, a.rmrr(0x7c000000, 0x7fffffff, a.scope(1, 0, (2, 0))))))
    need(r.all("iommu") == [{"kind": "vtd", "base": "0xfed90000", "all": "no"}, {"kind": "vtd", "base": "0xfed91000", "all": "yes"}], str(r.all("iommu")))
    need(r.scope() == ["00:02.0"] and r.scope(1) == [], "scopes: %s %s" % (r.scope(), r.scope(1)))
    need(r.all("memory/reserved")[1] == {"base": "0x7c000000", "size": "0x4000000", "what": "RMRR"}, str(r.all("memory/reserved")))
    need([d["address"] for d in r.all("memory/reserved/device")] == ["00:02.0"], "the RMRR's device")


def test_dmar_paths():
    # Endpoints behind bridges are named by the way to them; a bridge's scope holds all that is behind it.
    r = sound(TREE, a.acpi(a.dmar(a.drhd(0x1000, a.scope(1, 0, (0x1c, 0), (0, 0), (0, 1))), a.drhd(0x2000, a.scope(2, 0, (0x1c, 0), (0, 0))),
                                  a.drhd(0x3000, a.scope(1, 0, (2, 0), (0, 0))), a.drhd(0x4000, a.scope(1, 0, (9, 0))),
                                  a.drhd(0x5000, a.scope(1, 0)), a.drhd(0x6000, a.scope(1, 0, (0x3f, 0)))), ))
    need(r.scope(0) == ["02:00.1"], str(r.scope(0)))
    need(r.scope(1) == ["01:00.0", "02:00.0", "02:00.1", "02:01.0", "03:00.0"], str(r.scope(1)))
    need(r.scope(2) == r.scope(3) == r.scope(4) == r.scope(5) == [], "paths that lead nowhere")
    r.noted("a path of the unit at 0x3000 does not lead")
    r.noted("names 00:09.0, which is not there")
    r.noted("a path of the unit at 0x5000 does not lead")
    r.noted("a path of the unit at 0x6000 does not lead")
    r.noted("the kernel does not use the machine's IOMMU")


def test_dmar_damaged():
    r = sound(TREE, a.acpi(a.dmar(a.drhd(0x1000, a.scope(1, 0, (2, 0)), segment=1), a.rmrr(0x2000, 0x1000), a.drhd(0x3000),
                                  struct.pack("<HH", 0, 2))))
    need([unit["base"] for unit in r.all("iommu")] == ["0x3000"], str(r.all("iommu")))
    for text in ("belongs to segment 1", "the RMRR 0x2000 to 0x1000", "damaged structure"):
        r.noted(text)
    # A scope that is longer than its structure.
    r = sound(TREE, a.acpi(a.dmar(a.drhd(0x1000, b"\x01\x40\x00\x00\x00\x00\x02\x00"))))
    need(r.scope() == [], "a scope beyond its structure")


def test_ivrs():
    old = a.ivhd(0x10, 0xfeb80000, a.ivhd_entry(2, 0x10))
    new = a.ivhd(0x11, 0xfeb80000, a.ivhd_entry(3, 0x08), a.ivhd_entry(4, 0x3ff), a.ivhd_entry(0x48, 0xa0), a.ivhd_entry(0, 0))
    other = a.ivhd(0x40, 0xfeb90000, a.ivhd_acpi(0x98, b"\\_SB.FUR0"), a.ivhd_entry(2, 0xfe), a.ivhd_entry(0x43, 0x200), a.ivhd_entry(4, 0x208),
                   device=0x3000)
    r = sound(TREE, a.acpi(a.ivrs(old, new, other)))
    need(r.all("iommu") == [{"kind": "amd-vi", "base": "0xfeb80000", "all": "no"}, {"kind": "amd-vi", "base": "0xfeb90000", "all": "no"}],
         "the highest type of a unit counts: %s" % r.all("iommu"))
    need(r.scope(0) == ["00:02.0", "00:1c.0", "00:1f.6", "01:00.0", "02:00.0", "02:00.1", "02:01.0", "03:00.0"], str(r.scope(0)))
    need(r.scope(1) == ["00:1f.6", "02:00.0", "02:00.1", "02:01.0"], str(r.scope(1)))
    r = sound(TREE, a.acpi(a.ivrs(a.ivhd(0x10, 0xfeb80000, a.ivhd_entry(1, 0)))))
    r.one("iommu", all="yes")


def test_ivmd():
    blocks = (a.ivhd(0x11, 0xfeb80000, a.ivhd_entry(1, 0)), a.ivmd(0x21, 0x70000000, 0x10000, 0x10), a.ivmd(0x22, 0x71000000, 0x1000, 0x200, 0x207),
              a.ivmd(0x20, 0x72000000, 0x1000, flags=8), a.ivmd(0x21, 0x73000000, 0), a.ivmd(0x22, 0x74000000, 0x1000, 0x300, 0x200))
    r = sound(TREE, a.acpi(a.ivrs(*blocks)))
    found = [(e.get("base"), e.get("what"), [d.get("address") for d in e]) for e in r.root.findall("memory/reserved")]
    need(found[1] == ("0x70000000", "IVMD", ["00:02.0"]), str(found))
    need(found[2] == ("0x71000000", "IVMD", ["02:00.0", "02:00.1"]), str(found))
    need(found[3][1] == "IVMD exclusion range" and len(found[3][2]) == 9, str(found))
    need(found[4][2] == [] and len(found) == 5, str(found))
    r.noted("the IVMD at 0x73000000")


def test_ivrs_damaged():
    r = sound(TREE, a.acpi(a.ivrs(a.ivhd(0x10, 0x1000, b"\xf0\x00"), a.ivhd(0x11, 0x2000, segment=3, device=5), b"\x10\x00\x02\x00")))
    need([unit["base"] for unit in r.all("iommu")] == ["0x1000"], str(r.all("iommu")))
    r.noted("belongs to segment 3")
    r.noted("damaged block")
    # An ACPI name that is longer than its block.
    r = sound(TREE, a.acpi(a.ivrs(a.ivhd(0x40, 0x1000, a.ivhd_acpi(0, b"x" * 20)[:-10], device=7))))
    need(r.scope() == [], "a name beyond its block")


# ---- CPUs ----------------------------------------------------------------------------------------------------------------------------

def intel(leaves=None, each=None, cpus=(0, 1), flags="vnmi ept vpid unrestricted_guest"):
    files = a.cpuid(a.INTEL, cpus, {**a.INTEL_LEAVES, **(leaves or {})}, each)
    files["proc/cpuinfo"] = ("processor\t: 0\nflags\t\t: fpu vmx ept_ad\nvmx flags\t: %s\n" % flags).encode() if flags is not None else b"processor\t: 0\n"
    return files


def test_intel():
    sound(intel()).one("cpu", vendor="intel", extension="vmx", features="vmx nx x2apic xsave ept vpid unrestricted-guest")
    lacking("'unrestricted-guest'", intel(flags="ept vpid"))
    r = lacking("'ept'", intel(flags=None))
    r.noted("load the kernel module msr")
    capable = b"3a 0000000000000005\n482 fff9fffe04006172\n48b 000000a200000000\n"
    sound(intel(flags=None), {"msr": capable}).one("cpu", features="vmx nx x2apic xsave ept vpid unrestricted-guest")
    lacking("locked", intel(flags=None), {"msr": capable.replace(b"05\n", b"01\n")})
    lacking("'vmx'", intel(leaves={(1, 0): (0, 0, 0, 0)}))
    lacking("neither AuthenticAMD nor GenuineIntel", a.cpuid((0x20205348, 0x20206961, 0x68676e61), (0, 1), a.AMD_LEAVES))
    lacking("'npt'", a.cpuid(a.AMD, (0, 1), {**a.AMD_LEAVES, (0x8000000a, 0): (1, 8, 0, 0)}))


def test_kinds_of_core():
    table = a.acpi(a.madt(*[a.lapic_entry(i) for i in (0, 1, 8, 10)], a.ioapic_entry(0, 0xfec00000, 0)))
    r = sound(table, intel(cpus=(0, 1, 8, 10), each=lambda cpu: {(0x1a, 0): ((0x40 if cpu < 2 else 0x20) << 24, 0, 0, 0)}))
    need([core.get("kind") for core in r.all("cpu/core")] == [None, None, "efficient", "efficient"], str(r.all("cpu/core")))


def test_caches_and_clock():
    r = sound(intel({(0x10, 0): (0, 6, 0, 0), (0x10, 1): (10, 0, 4, 15), (0x10, 2): (19, 0, 0, 7), (0x15, 0): (2, 84, 24000000, 0)}))
    need(r.all("cpu/cache-allocation") == [{"level": "2", "ways": "20", "classes": "8"}, {"level": "3", "ways": "11", "classes": "16"}],
         str(r.all("cpu/cache-allocation")))
    r.one("tsc", hz="1008000000", invariant="yes")
    r = sound(intel({(0x15, 0): (2, 84, 0, 0), (0x80000007, 0): (0, 0, 0, 0)}))
    r.one("tsc", hz="calibrate", invariant="no")
    r.noted("CPUID does not say that the TSC is invariant")
    tcg = {(0x80000007, 0): (0, 0, 0, 0), (0x40000000, 0): (0x40000001, 0x54474354, 0x43544743, 0x47435447)}
    r = sound(a.cpuid(a.AMD, (0, 1), {**a.AMD_LEAVES, **tcg}))
    r.one("tsc", invariant="yes")
    r.noted("QEMU's software emulation")


def test_mitigations():
    folder = "sys/devices/system/cpu/vulnerabilities/"
    r = sound(intel(), {folder + "l1tf": b"Mitigation: PTE Inversion; VMX: flush not necessary\n", folder + "mds": b"Vulnerable\n"})
    r.one("cpu", mitigations="l1d-flush mds-clear")
    need("mitigations" not in sound(intel(), {folder + "l1tf": b"Not affected\n", folder + "mds": b"Not affected\n"}).one("cpu"), "not affected")


# ---- memory --------------------------------------------------------------------------------------------------------------------------

def without(files, prefix):
    return {name: data for name, data in files.items() if not name.startswith(prefix)}


def test_memory():
    blocks = ((0x59000, 0x9e3ff, a.RAM), (0, 0x57fff, a.RAM), (0x100000, 0x3fffffff, a.RAM), (0x40000000, 0x7a2fffff, a.RAM),
              (0x7a300000, 0x7a3fffff, "ACPI Non-volatile Storage"), (0x7a400000, 0x7a412fff, a.RAM), (0x100000000, 0x27fffffff, a.RAM),
              (0x280000000, 0x2ffffffff, "Soft Reserved"))
    r = sound(a.memory(*blocks))
    need(r.all("memory/ram") == [{"base": "0x0", "size": "0x58000"}, {"base": "0x59000", "size": "0x45000"}, {"base": "0x100000", "size": "0x7a200000"},
                                 {"base": "0x100000000", "size": "0x180000000"}], str(r.all("memory/ram")))
    r.noted("is of type 'Soft Reserved'")
    r.noted("RAM at 0x7a400000, 0x13000 bytes, is left out")
    r = sound(a.memory((0x20000, 0x2ffff, a.RAM), (0x100000, 0x3fffffff, a.RAM)))
    r.one("memory", trampoline="0x20000")
    r = sound(a.memory((0x1000, 0x5fff, a.RAM), (0x100000, 0x3fffffff, a.RAM)))
    r.one("memory", trampoline="0x5000")
    lacking("no free page of RAM below 640 KiB", a.memory((0x100000, 0x3fffffff, a.RAM), (0, 0x9efff, a.RESERVED)))


def test_memory_by_kernel():
    files = without(a.machine(), "sys/firmware/memmap/")
    files["proc/iomem"] = b"00001000-0009ffff : System RAM\n00100000-1fffffff : System RAM\n  01000000-01ffffff : System RAM\n"
    r = Result(files)
    need(r.all("memory/ram") == [{"base": "0x1000", "size": "0x9f000"}, {"base": "0x100000", "size": "0x1ff00000"}], str(r.all("memory/ram")))
    r.noted("there is no /sys/firmware/memmap")
    r.noted("shows no window")
    files["proc/iomem"] = b"nonsense\n-\n12-\n"
    need(Result(files).status == 1, "no RAM")


def test_windows():
    iomem = (b"80000000-8fffffff : Reserved\n  80000000-83ffffff : PCI Bus 0000:00\n90000000-9fffffff : PCI Bus 0000:00\n  90000000-900fffff : PCI Bus 0000:01\n"
             b"a0000000-afffffff : PCI Bus 0000:80\nb0000000-bfffffff : PCI Bus 0001:00\n")
    r = sound(TREE, {"proc/iomem": iomem})
    need([w["base"] for w in r.all("pci/window")] == ["0x80000000", "0x90000000", "0xa0000000"], str(r.all("pci/window")))


# ---- PCI -----------------------------------------------------------------------------------------------------------------------------

def test_bars():
    resources = ((0xfe000000, 0xfe003fff, 0x40200), (0, 0, 0), (0x4000000000, 0x40000fffff, 0x14220c), (0, 0, 0), (0xe000, 0xe01f, 0x40101),
                 (0, 0xfff, 0x20040200), (0xfff00000, 0xfff0ffff, 0x46200), (0x90000000, 0x900fffff, 0x200))
    r = sound(a.pci(a.Function("00:03.0", resources=resources, vendor=0x1af4, device=0x1041)))
    need(r.all("pci/function/bar") == [{"index": "0", "kind": "mem", "base": "0xfe000000", "size": "0x4000"},
                                       {"index": "2", "kind": "mem", "base": "0x4000000000", "size": "0x100000"},
                                       {"index": "4", "kind": "io", "base": "0xe000", "size": "0x20"}], str(r.all("pci/function/bar")))
    r.noted("00:03.0: BAR 5 has no address")
    need(r.function("00:03.0").attrib == {"address": "00:03.0", "vendor": "0x1af4", "device": "0x1041", "class": "0x020000"}, "identity")


def test_messages():
    loop = bytearray(a.msi(0))
    r = sound(a.pci(a.Function("00:03.0", caps=(b"\x01\x00\x00\x00", a.msi(3), a.msix(2048, 4, 0x8000))), a.Function("00:04.0", caps=(a.msi(7),)),
                    a.Function("00:05.0", caps=(a.msix(1, 6, 0),))))
    need([{child.tag: child.attrib for child in function} for function in r.root.findall("pci/function")] ==
         [{"msi": {"vectors": "8"}, "msix": {"vectors": "2048", "bar": "4", "offset": "0x8000"}}, {}, {}], "messages")
    # A chain of capabilities that leads back to itself, and one out of the space that could be read.
    function = a.Function("00:03.0", caps=(b"\x01\x00\x00\x00", bytes(loop)))
    space = bytearray(function.config)
    space[0x45] = 0x40
    space[0x44] = 9
    function.config = bytes(space)
    need(not sound(a.pci(function)).all("pci/function/msi"), "a loop")
    function.config = bytes(space[:64])
    need(not sound(a.pci(function)).all("pci/function/msi"), "configuration space of 64 bytes")


def test_left_out():
    r = sound(a.pci(a.Function("00:03.0"), a.Function("00:03.1", virtual=True), a.Function("0001:00:04.0"), a.Function("10000:e1:00.0"),
                    a.Function("00:05.0", vendor=0xffff)), {"sys/bus/pci/devices/nonsense/config": bytes(256), "sys/bus/pci/devices/0000:00:06.0/irq": b"1\n"})
    need([function["address"] for function in r.all("pci/function")] == ["00:03.0"], str(r.all("pci/function")))
    for text in ("00:03.1 is a virtual function", "0001:00:04.0 is left out", "10000:e1:00.0 is left out", "00:05.0: its configuration space cannot",
                 "'nonsense' is not", "00:06.0: its configuration space cannot"):
        r.noted(text)


def test_groups_and_acs():
    r = sound(a.pci(a.bridge("00:01.0", 1, extended=(struct.pack("<I", 1) + bytes(12), a.acs())), a.bridge("00:02.0", 2, extended=(a.acs(0x13),)),
                    a.Function("01:00.0", group=3), a.Function("02:00.0", group=4), a.bridge("00:04.0", 4, extended=(a.acs(),)),
                    a.Function("04:00.0", group=5), a.Function("04:00.1", group=5, extended=(a.acs(0x0c),))))
    acs = {function["address"]: function.get("acs") for function in r.all("pci/function")}
    need(acs == {"00:01.0": "yes", "00:02.0": None, "01:00.0": "yes", "02:00.0": None, "00:04.0": "yes", "04:00.0": None, "04:00.1": "yes"}, str(acs))
    need([f.get("iommu-group") for f in r.all("pci/function")] == [None, None, None, "3", "4", "5", "5"], str(r.all("pci/function")))


def test_intx():
    functions = a.pci(a.Function("00:03.0", pin=1, irq=17, enable=1), a.Function("00:03.1", pin=1, irq=40, enable=1, caps=(a.msi(0, enabled=True),)),
                      a.Function("00:03.2", pin=2, irq=41, enable=1, caps=(a.msi(0, enabled=True),)), a.Function("00:04.0", pin=3, irq=11),
                      a.Function("00:05.0", pin=9, irq=17, enable=1), a.Function("00:06.0", pin=1, irq=50, enable=1))
    r = sound(functions, a.irq(17, 17), a.irq(40, 0, "PCI-MSI"), a.irq(11, 11))
    routes = {f.get("address"): f.find("intx").attrib for f in r.root.findall("pci/function") if f.find("intx") is not None}
    need(routes == {"00:03.0": {"pin": "1", "gsi": "17"}, "00:03.1": {"pin": "1", "gsi": "17"}}, str(routes))
    r.noted("00:03.2: which GSI its INTB# is routed to is not known (its driver uses MSI)")
    r.noted("00:04.0: which GSI its INTC# is routed to is not known (no driver uses it; --probe-intx")
    r.noted("00:06.0: which GSI its INTA# is routed to is not known (the kernel does not show")
    # Interrupts of a second I/O APIC have numbers that the kernel gives out as they come.
    two = a.acpi(a.madt(a.lapic_entry(0), a.lapic_entry(1), a.ioapic_entry(0, 0xfec00000, 0), a.ioapic_entry(1, 0xfec01000, 24)))
    r = sound(two, functions, a.irq(17, 17), a.irq(50, 8), {"kernel-log": b"IOAPIC[0]: x address 0xfec00000, GSI 0-23\nIOAPIC[1]: x address 0xfec01000, GSI 24-55\n"})
    need(r.function("00:06.0").find("intx").get("gsi") == "32" and r.function("00:03.0").find("intx").get("gsi") == "17", "second I/O APIC")


def test_uarts():
    r = sound(a.tty(1, 0x2f8, 3, kind=0), a.tty(2, 0, 16), a.tty(3, 0x2e8, 0),
              a.tty(4, 0xe060, 19, device="/sys/devices/pci0000:00/0000:00:16.3/0000:00:16.3:0/0000:00:16.3:0.0", clock=3686400),
              a.pci(a.Function("00:16.3", pin=4, irq=19, enable=1)), a.irq(19, 19))
    need(len(r.all("uart")) == 2, str(r.all("uart")))
    need(r.all("uart")[1] == {"name": "ttys4", "port": "0xe060", "gsi": "19", "baud": "115200", "clock-hz": "3686400", "pci": "00:16.3"}, str(r.all("uart")))
    r.noted("ttyS2 is not at a port")
    r.noted("com4 has no interrupt")
    lacking("no serial port", a.tty(0, 0x3f8, 4, kind=0))
