"""Words of the report: what kinds, flags and PCI classes are called, and how counts and lists are put."""

KINDS = {"pre-launched": "pre-launched", "service": "service VM", "user": "user VM slot"}
FLAGS = {
    "rt": "real time", "hypercall": "may issue hypercalls", "polling": "I/O requests by polling", "lapic-passthrough": "local APIC pass-through",
    "secure-world": "secure world", "autostart": "starts at boot", "spare": "takes any key that is not in use",
}
# PCI Code and ID Assignment Specification: base class and sub-class, then base class alone.
CLASSES = {
    0x0100: "SCSI controller", 0x0101: "IDE controller", 0x0104: "RAID controller", 0x0105: "ATA controller", 0x0106: "SATA controller", 0x0107: "SAS controller",
    0x0108: "NVMe controller", 0x0200: "Ethernet controller", 0x0280: "network controller", 0x0300: "VGA controller", 0x0302: "3D controller",
    0x0380: "display controller", 0x0400: "video device", 0x0401: "audio device", 0x0403: "HD audio device", 0x0480: "multimedia controller",
    0x0500: "RAM controller", 0x0580: "memory controller", 0x0600: "host bridge", 0x0601: "ISA bridge", 0x0604: "PCI bridge", 0x0680: "bridge",
    0x0700: "serial controller", 0x0780: "communication controller", 0x0800: "interrupt controller", 0x0805: "SD host controller", 0x0880: "system peripheral",
    0x0c00: "FireWire controller", 0x0c03: "USB controller", 0x0c05: "SMBus controller", 0x0c80: "serial bus controller", 0x0d80: "wireless controller",
    0x1101: "performance counters", 0x1180: "signal processing controller", 0x1200: "processing accelerator",
}
BASE_CLASSES = {
    0x00: "unclassified device", 0x01: "storage controller", 0x02: "network controller", 0x03: "display controller", 0x04: "multimedia device",
    0x05: "memory controller", 0x06: "bridge", 0x07: "communication controller", 0x08: "system peripheral", 0x09: "input device", 0x0b: "processor",
    0x0c: "serial bus controller", 0x0d: "wireless controller", 0x10: "encryption controller", 0x11: "signal processing controller", 0x12: "accelerator",
}


def class_name(code):
    return CLASSES.get(code >> 8) or BASE_CLASSES.get(code >> 16) or "class %#08x" % code


def plural(count, one, many=None):
    return "%d %s" % (count, one if count == 1 else many or one + "s")


def listed(items, none="none"):
    return ", ".join(str(item) for item in items) or none


def runs(numbers):
    """0, 1, 2, 5 as 0-2, 5."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join("%d" % a if a == b else "%d\u2013%d" % (a, b) for a, b in out)
