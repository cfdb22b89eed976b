#!/usr/bin/env python3
"""Boards and scenarios of any size, for measuring and for finding limits: the same numbers give the same bytes. Standard library only.

    synth.py VMS DEVICES BOARD.xml SCENARIO.xml

DEVICES counts PCI functions in all. Each VM is given an equal share of them, whole devices of up to eight functions.
"""

import sys

CPUS_MAX = 64
BUS_FUNCTIONS = 256
BUS_DEVICES = 31  # of a VM's bus 0, beside the host bridge
BAR_BASE = 0xc0000000  # above the RAM below 4 GiB, below the local APIC; two pages for each function
RAM_OF_VM = "16M"


def bdf(index):
    """The address of function `index`: bus 0 is the host's own, then bus after bus is filled."""
    return "%02x:%02x.%x" % (1 + index // BUS_FUNCTIONS, index % BUS_FUNCTIONS // 8, index % 8)


def function(index, group):
    """An Ethernet controller with two pages of registers. One in 128 has an interrupt: there are 160 host vectors (rule INT-008)."""
    base = BAR_BASE + index * 0x2000
    msix = '      <msix vectors="1" bar="3" offset="0x0"/>\n' if index % 128 == 0 else ""
    return ('    <function address="%s" vendor="0x8086" device="0x10d3" class="0x020000" iommu-group="%d" acs="yes">\n'
            '      <bar index="0" kind="mem" base="%#x" size="0x1000"/>\n'
            '      <bar index="3" kind="mem" base="%#x" size="0x1000"/>\n'
            '%s    </function>\n' % (bdf(index), group, base, base + 0x1000, msix))


def board(vms, devices):
    """A machine with a CPU for each VM and that many functions, each in an IOMMU group of its own."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>\n<!-- Made by tests/config/synth.py. -->\n'
             '<board name="synth" description="%d CPUs, %d PCI functions">\n' % (vms, devices),
             '  <cpu vendor="intel" extension="vmx" features="vmx ept unrestricted-guest nx page1g">\n']
    lines += ['    <core apic-id="%d"/>\n' % cpu for cpu in range(min(vms, CPUS_MAX))]
    lines += ['  </cpu>\n  <tsc hz="2000000000" invariant="yes"/>\n  <memory trampoline="0x8000">\n'
              '    <ram base="0x0" size="0x9f000"/>\n    <ram base="0x100000" size="2047M"/>\n    <ram base="4G" size="16G"/>\n'
              '    <reserved base="0xe0000" size="0x20000" what="firmware"/>\n  </memory>\n'
              '  <lapic base="0xfee00000"/>\n  <ioapic id="0" base="0xfec00000" pins="120" gsi-base="0"/>\n'
              '  <mcfg base="0xb0000000" start-bus="0" end-bus="255"/>\n'
              '  <acpi pm-timer-port="0x1808" pm1a-cnt-port="0x1804" s5-slp-typ="0" reset-port="0xcf9" reset-value="0x0f"/>\n'
              '  <iommu kind="vtd" base="0xfed90000" all="yes"/>\n'
              '  <uart name="com1" port="0x3f8" gsi="4" baud="115200" clock-hz="1843200"/>\n  <pci>\n'
              '    <window base="%#x" size="0x20000000"/>\n'
              '    <function address="00:00.0" vendor="0x8086" device="0x29c0" class="0x060000"/>\n' % BAR_BASE]
    lines += [function(index, 1 + index) for index in range(devices)]
    return "".join(lines) + "  </pci>\n</board>\n"


def shares(vms, devices):
    """Which functions each VM is given: a range for each, on device boundaries where there is more than one device a VM. No more than its
    bus 0 has room for: what is left is nobody's."""
    each = devices // vms
    return [range(vm * each, vm * each + min(each, BUS_DEVICES * 8)) for vm in range(vms)]


def scenario(vms, devices):
    lines = ['<?xml version="1.0" encoding="UTF-8"?>\n<!-- Made by tests/config/synth.py. -->\n'
             '<scenario name="synth" description="%d VMs, %d PCI functions">\n' % (vms, devices),
             '  <hypervisor>\n    <console uart="com1" cpu="0"/>\n    <image base="16M" size="32M"/>\n  </hypervisor>\n'
             '  <modules>\n    <module name="rtos" source="guest:rtos" max-size="256K"/>\n  </modules>\n']
    for vm, share in enumerate(shares(vms, devices)):
        lines.append('  <vm name="vm%d" key="0b1c2d30-0000-4000-8000-%012x" kind="pre-launched">\n    <cpus><cpu id="%d"/></cpus>\n'
                     '    <memory><ram size="%s"/></memory>\n    <boot kind="multiboot" kernel="rtos" cmdline="vm%d"/>\n'
                     '    <vuart port="0x3f8" irq="4" console="yes"/>\n    <devices dma="unprotected">\n' % (vm, vm, vm, RAM_OF_VM, vm))
        lines += ['      <pci address="%s"%s/>\n' % (bdf(index), ' virtual="%s"' % virtual(place) if len(share) > 31 else "")
                  for place, index in enumerate(share)]
        lines.append("    </devices>\n  </vm>\n")
    return "".join(lines) + "</scenario>\n"


def virtual(place):
    """The virtual address of a VM's device: more than 31 need more functions than the first of each device."""
    return "00:%02x.%x" % (1 + place // 8, place % 8)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__.strip())
    vms, devices = int(sys.argv[1]), int(sys.argv[2])
    for path, make in ((sys.argv[3], board), (sys.argv[4], scenario)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(make(vms, devices))


if __name__ == "__main__":
    main()
