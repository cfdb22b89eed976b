"""Hand-made collections: ACPI tables, configuration spaces and the rest, as bh-inspect --collect would have read them."""

import io
import struct
import tarfile

FORMAT = {"bulkhead-collection": b"1\n"}


def tar(files):
    """A ustar archive of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            archive.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def untar(data):
    """{name: bytes}"""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}


def table(signature, body, revision=1, break_sum=False):
    """An ACPI table with its header (ACPI 6.5 table 5.4) and checksum."""
    data = bytearray(signature.encode() + struct.pack("<IBB6s8sI4sI", 36 + len(body), revision, 0, b"BULKHD", b"TESTTEST", 1, b"TEST", 1) + body)
    data[9] = (-sum(data) + (1 if break_sum else 0)) & 0xff
    return bytes(data)


def acpi(*tables):
    """Files of tables; further ones of a signature are numbered as the kernel does."""
    files, seen = {}, {}
    for data in tables:
        name = data[:4].decode()
        seen[name] = seen.get(name, 0) + 1
        files["sys/firmware/acpi/tables/" + name + (str(seen[name]) if seen[name] > 1 else "")] = data
    return files


# MADT (ACPI 6.5 section 5.2.12)
def madt(*entries, lapic=0xfee00000):
    return table("APIC", struct.pack("<II", lapic, 1) + b"".join(entries))


def lapic_entry(apic_id, enabled=True, uid=0):
    return struct.pack("<BBBBI", 0, 8, uid, apic_id, int(enabled))


def x2apic_entry(apic_id, enabled=True):
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, int(enabled), 0)


def ioapic_entry(ident, base, gsi):
    return struct.pack("<BBBBII", 1, 12, ident, 0, base, gsi)


def override_entry(irq, gsi):
    return struct.pack("<BBBBIH", 2, 10, 0, irq, gsi, 0)


def lapic_address_entry(base):
    return struct.pack("<BBHQ", 5, 12, 0, base)


def mcfg(*ranges):
    return table("MCFG", bytes(8) + b"".join(struct.pack("<QHBBI", base, segment, first, last, 0) for base, segment, first, last in ranges))


def gas(space, address, width=32):
    return struct.pack("<BBBBQ", space, width, 0, 0, address)


def fadt(timer=0x408, control=0x404, reset=(1, 0xcf9, 6), flags=1 << 10, x_timer=None):
    """reset: (space, address, value); x_timer: (space, address) of the extended field."""
    body = bytearray(276 - 36)
    struct.pack_into("<I", body, 64 - 36, control)
    struct.pack_into("<I", body, 76 - 36, timer)
    struct.pack_into("<I", body, 112 - 36, flags)
    body[116 - 36:128 - 36] = gas(reset[0], reset[1], 8)
    body[128 - 36] = reset[2]
    if x_timer:
        body[208 - 36:220 - 36] = gas(*x_timer)
    return table("FACP", bytes(body), 5)


def s5(*values, root=False):
    """Name (_S5, Package {...}); values below 2 as constants, others with a byte prefix."""
    elements = b"".join(bytes([value]) if value < 2 else b"\x0a" + bytes([value]) for value in values)
    return b"\x08" + (b"\\" if root else b"") + b"_S5_\x12" + bytes([len(elements) + 2, len(values)]) + elements


# DMAR (VT-d 4.1 chapter 8)
def scope(kind, bus, *path):
    return struct.pack("<BBHBB", kind, 6 + 2 * len(path), 0, 0, bus) + b"".join(bytes(step) for step in path)


def drhd(base, *scopes, everything=False, segment=0):
    body = b"".join(scopes)
    return struct.pack("<HHBBHQ", 0, 16 + len(body), int(everything), 0, segment, base) + body


def rmrr(base, limit, *scopes):
    body = b"".join(scopes)
    return struct.pack("<HHHHQQ", 1, 24 + len(body), 0, 0, base, limit) + body


def dmar(*structures):
    return table("DMAR", bytes([38, 0]) + bytes(10) + b"".join(structures))


# IVRS (AMD IOMMU 3.07 chapter 5)
def ivhd(kind, base, *entries, device=0x02, segment=0):
    body = b"".join(entries)
    extra = bytes(16) if kind != 0x10 else b""
    return struct.pack("<BBHHHQHHI", kind, 0, 24 + len(extra) + len(body), device, 0x40, base, segment, 0, 0) + extra + body


def ivhd_entry(kind, ident):
    return struct.pack("<BHB", kind, ident, 0) + bytes((4 << (kind >> 6)) - 4)


def ivhd_acpi(ident, uid):
    return struct.pack("<BHB8s8sBB", 0xf0, ident, 0, b"AMDI0020", bytes(8), 2, len(uid)) + uid


def ivmd(kind, base, size, first=0, last=0, flags=7):
    return struct.pack("<BBHHHQQQ", kind, flags, 32, first, last, 0, base, size)


def ivrs(*blocks):
    return table("IVRS", bytes(12) + b"".join(blocks))


# PCI
class Function:
    """One PCI function. caps: [bytes of a capability without the next pointer], put at 0x40 and on."""

    def __init__(self, address, vendor=0x8086, device=0x1234, class_code=0x020000, header=0, pin=0, secondary=0, subordinate=0, caps=(),
                 extended=(), resources=(), irq=0, enable=0, group=None, virtual=False):
        self.address = address
        self.irq, self.enable, self.group, self.virtual = irq, enable, group, virtual
        space = bytearray(4096 if extended else 256)
        struct.pack_into("<HH", space, 0, vendor, device)
        struct.pack_into("<I", space, 8, class_code << 8)
        space[0x0e] = header
        space[0x19], space[0x1a] = secondary, subordinate
        space[0x3d] = pin
        at = 0x40
        if caps:
            struct.pack_into("<H", space, 6, 0x10)
            space[0x34] = at
        for index, cap in enumerate(caps):
            after = (at + len(cap) + 3) & ~3
            space[at:at + len(cap)] = cap
            space[at + 1] = after if index + 1 < len(caps) else 0
            at = after
        at = 0x100
        for index, cap in enumerate(extended):
            after = (at + len(cap) + 3) & ~3
            space[at:at + len(cap)] = cap
            head, = struct.unpack_from("<I", space, at)
            struct.pack_into("<I", space, at, head | ((after if index + 1 < len(extended) else 0) << 20))
            at = after
        self.config = bytes(space)
        lines = ["0x%016x 0x%016x 0x%016x" % resource for resource in resources]
        self.resource = "\n".join(lines + ["0x%016x 0x%016x 0x%016x" % (0, 0, 0)] * (13 - len(lines))) + "\n"

    def files(self):
        folder = "sys/bus/pci/devices/" + (self.address if self.address.count(":") == 2 else "0000:" + self.address) + "/"
        out = {folder + "config": self.config, folder + "resource": self.resource.encode(), folder + "irq": b"%d\n" % self.irq,
               folder + "enable": b"%d\n" % self.enable}
        if self.group is not None:
            out[folder + "iommu_group"] = b"/sys/kernel/iommu_groups/%d" % self.group
        if self.virtual:
            out[folder + "physfn"] = b"/sys/devices/pci0000:00/0000:00:03.0"
        return out


def bridge(address, secondary, subordinate=None, **more):
    return Function(address, class_code=0x060400, header=1, secondary=secondary, subordinate=secondary if subordinate is None else subordinate, **more)


def msi(log, wide=True, enabled=False):
    return struct.pack("<BBH", 5, 0, (0x80 if wide else 0) | log << 1 | int(enabled)) + bytes(10)


def msix(count, bar, offset):
    return struct.pack("<BBHII", 0x11, 0, count - 1, offset | bar, 0)


def acs(bits=0x1f):
    return struct.pack("<IHH", 0x0001000d, bits, 0)


def pci(*functions):
    return {name: data for function in functions for name, data in function.files().items()}


def irq(number, pin, chip="IO-APIC"):
    return {"sys/kernel/irq/%d/chip_name" % number: chip.encode() + b"\n", "sys/kernel/irq/%d/hwirq" % number: b"%d\n" % pin}


# CPUID
AMD, INTEL = (0x68747541, 0x444d4163, 0x69746e65), (0x756e6547, 0x6c65746e, 0x49656e69)


def cpuid(vendor, cpus, leaves, each=None):
    """leaves: {(leaf, subleaf): (eax, ebx, ecx, edx)}; each(cpu): the leaves of one CPU in addition."""
    lines = []
    for cpu, apic in enumerate(cpus):
        mine = {(0, 0): (0x16, vendor[0], vendor[1], vendor[2])}
        mine.update(leaves)
        eax, _, ecx, edx = mine.get((1, 0), (0, 0, 0, 0))
        mine[1, 0] = (eax, (apic & 0xff) << 24, ecx, edx)
        mine[0xb, 0] = (0, 1, 0, apic)
        mine.update(each(cpu) if each else {})
        lines += ["%d %08x %08x %08x %08x %08x %08x" % ((cpu,) + leaf + regs) for leaf, regs in sorted(mine.items())]
    return {"cpuid": ("\n".join(lines) + "\n").encode()}


AMD_LEAVES = {(0x80000001, 0): (0, 0, 1 << 2, 1 << 20 | 1 << 26), (0x8000000a, 0): (1, 8, 0, 1 << 0 | 1 << 3),
              (0x80000007, 0): (0, 0, 0, 1 << 8)}
INTEL_LEAVES = {(1, 0): (0, 0, 1 << 5 | 1 << 21 | 1 << 26, 0), (0x80000001, 0): (0, 0, 0, 1 << 20), (0x80000007, 0): (0, 0, 0, 1 << 8)}


def tty(number, port, irq_number, kind=4, clock=1843200, device="/sys/devices/pnp0/00:03/00:03:0/00:03:0.0"):
    folder = "sys/class/tty/ttyS%d/" % number
    return {folder + "port": b"0x%X\n" % port, folder + "irq": b"%d\n" % irq_number, folder + "type": b"%d\n" % kind,
            folder + "uartclk": b"%d\n" % clock, folder + "device": device.encode()}


def memory(*blocks):
    """(start, end, type) as in /sys/firmware/memmap."""
    files = {}
    for number, (start, end, kind) in enumerate(blocks):
        files.update({"sys/firmware/memmap/%d/%s" % (number, name): data.encode() for name, data in
                      (("start", "0x%x\n" % start), ("end", "0x%x\n" % end), ("type", kind + "\n"))})
    return files


RAM, RESERVED = "System RAM", "Reserved"


def machine(*parts):
    """A sound AMD machine of two CPUs, with the files of parts instead of its own."""
    files = dict(FORMAT)
    files.update(acpi(madt(lapic_entry(0), lapic_entry(1), ioapic_entry(0, 0xfec00000, 0), override_entry(0, 2)), fadt(),
                      mcfg((0xe0000000, 0, 0, 255)), table("DSDT", s5(5, 5, 0, 0))))
    files.update(cpuid(AMD, (0, 1), AMD_LEAVES))
    files.update(memory((0, 0x9efff, RAM), (0x9f000, 0xfffff, RESERVED), (0x100000, 0x3fffffff, RAM)))
    files.update(tty(0, 0x3f8, 4))
    files["proc/cmdline"] = b"root=/dev/sda1 console=ttyS0,57600n8\n"
    files["proc/iomem"] = b"00100000-3fffffff : System RAM\n80000000-dfffffff : PCI Bus 0000:00\n"
    files["kernel-log"] = b"IOAPIC[0]: apic_id 0, version 32, address 0xfec00000, GSI 0-23\n"
    for part in parts:
        files.update(part)
    return files
