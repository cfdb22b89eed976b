"""Address maps of the report: what lies where in the host's memory and in each VM's."""

from report_draw import shown, size_text
from report_words import class_name, listed

# What x86 VMs have at fixed guest-physical addresses: src/x86/vdev/platform_map.h.
VIRTUAL_LAPIC = (0xfee00000, 0x1000)
VIRTUAL_IOAPIC = (0xfec00000, 0x1000)
APIC_SIZE, IOMMU_SIZE = 0x1000, 0x1000


def region(low, size, name, fill, rank, weak=False, what=""):
    return {"low": low, "high": low + size, "name": name, "fill": fill, "rank": rank, "weak": weak, "what": what}


def hole_name(hole):
    name = shown(hole["what"])
    return name if "reserved" in name.lower() else name + " (reserved)"


def host_memory(model, names):
    """Everything that lies in the host's physical address space, of which higher ranks lie over lower ones."""
    board = model["board"]
    out = [region(ram["base"], ram["size"], "RAM, nobody's", "free", 0, True, "RAM of the board") for ram in board["ram_list"]]
    out += [region(window["base"], window["size"], "PCI window", "window", 1, True, "passed on to PCI") for window in board["window_list"]]
    if board["mcfg"]["base"]:
        out.append(region(board["mcfg"]["base"], (board["mcfg"]["end_bus"] - board["mcfg"]["start_bus"] + 1) << 20, "PCI config space (ECAM)", "mmio", 2,
                          what="buses %d to %d" % (board["mcfg"]["start_bus"], board["mcfg"]["end_bus"])))
    for vm in names.vms:
        out += [region(mem["hpa"], mem["size"], vm["label"], vm["fill"], 3, what="RAM of vm %s at %#x" % (vm["label"], mem["gpa"])) for mem in vm["mem_list"]]
    out += [region(hole["base"], hole["size"], hole_name(hole), "reserved", 4,
                   what="reserved" + ("; firmware lets %s use it" % listed(device["address"] for device in hole["device_list"]) if hole["device_list"] else ""))
            for hole in board["reserved_list"]]
    for function in board["function_list"]:
        owner, fill, _ = names.owner(function)
        out += [region(bar["base"], bar["size"], "%s BAR %d" % (function["address"], bar["index"]), fill if fill != "free" else "device", 5,
                       what="%s; owner: %s" % (class_name(function["class"]), owner)) for bar in function["bar_list"] if not bar["io"]]
    for shm in model["shm_list"]:
        out.append(region(shm["base"], shm["size"], shown(shm["name"]) + " (shared)", "shared", 6,
                          what="shared by " + listed((names.vm(user["vm"]) or {"label": "?"})["label"] for user in shm["user_list"])))
    out.append(region(model["hv"]["base"], model["hv"]["size"], "hypervisor image", "hv", 7, what="code, tables and per-CPU areas"))
    if model["modules"]["size"]:
        out.append(region(model["modules"]["base"], model["modules"]["size"], "module store", "store", 7, what="boot modules, kept for restarts"))
    out += [region(ioapic["base"], APIC_SIZE, "I/O APIC %d" % ioapic["id"], "mmio", 8, what="GSIs %d to %d" % (
        ioapic["gsi_base"], ioapic["gsi_base"] + ioapic["pins"] - 1)) for ioapic in board["ioapic_list"]]
    out += [region(iommu["base"], IOMMU_SIZE, iommu_name(place, iommu), "mmio", 8, what="registers of a DMA remapping unit")
            for place, iommu in enumerate(board["iommu_list"])]
    out.append(region(board["lapic"]["base"], APIC_SIZE, "local APIC", "mmio", 8, what="each CPU's own registers"))
    return out


def iommu_name(place, iommu):
    return "IOMMU %d (%s)" % (place, {"vtd": "VT-d", "amd-vi": "AMD-Vi"}.get(iommu["kind"], shown(iommu["kind"])))


ADDRESS_COLUMNS = [("First byte", "code num"), ("Last byte", "code num"), ("Size", "num"), ("What", "long"), ("Details", "long")]


def address_rows(regions):
    """Every range as it was given, lowest first; where two begin together, the one that holds the other."""
    return [(r["fill"], ["%#x" % r["low"], "%#x" % (r["high"] - 1), size_text(r["high"] - r["low"]), r["name"], r["what"]])
            for r in sorted(regions, key=lambda r: (r["low"], -r["high"], r["rank"]))]


def guest_regions(model, names, vm):
    """The guest-physical addresses that configuration fixes."""
    shm = [region(user["gpa"], s["size"], shown(s["name"]) + " (shared)", "shared", 6, what="read-write" if user["writable"] else "read only")
           for s in model["shm_list"] for user in s["user_list"] if names.vm(user["vm"]) is vm]
    if vm["kind"] == "user":
        return shm
    out = [region(mem["gpa"], mem["size"], "RAM", vm["fill"], 3, what="host address %#x" % mem["hpa"]) for mem in vm["mem_list"]]
    out += [region(*VIRTUAL_LAPIC, "local APIC", "mmio", 8, what="virtual"), region(*VIRTUAL_IOAPIC, "I/O APIC", "mmio", 8, what="virtual")]
    for device in vm["device_list"]:
        out += [region(bar["gpa"], bar["size"], "%s BAR %d" % (device["virtual"], bar["index"]), "device", 5, what="of host device %s; not mapped yet" % device["address"])
                for bar in device["vbar_list"]]
    if vm is names.service:
        out += [region(bar["base"], bar["size"], "%s BAR %d" % (function["address"], bar["index"]), "device", 5, what="at its host address")
                for function in model["board"]["function_list"] if names.owner(function)[1] == vm["fill"] for bar in function["bar_list"] if not bar["io"]]
        mcfg = model["board"]["mcfg"]
        if mcfg["base"]:
            out.append(region(mcfg["base"], (mcfg["end_bus"] - mcfg["start_bus"] + 1) << 20, "PCI config space (ECAM)", "mmio", 2, what="checked access"))
    return out + shm
