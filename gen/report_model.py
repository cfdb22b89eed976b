"""What report.html and report.txt show: a document of sections, each of tables, drawings, facts and notes, made from the model of render.py.

Nothing is decided here that bhc has not decided; positions, sums and words are worked out so that the templates hold loops alone. Each text that
comes from a file passes shown(), and the template's escaping after that. The same model gives the same document.
"""

import base64
import hashlib
import os

import report_draw as draw
import report_text
from report_draw import shown, size_text
from report_memory import ADDRESS_COLUMNS, address_rows, guest_regions, host_memory, iommu_name
from report_words import FLAGS, KINDS, class_name, listed, plural, runs

NO_INDEX, NO_GROUP = 0xffff, 0xffffffff
HUES, MARKS = 8, 6

MAX_FILLS = 1000  # rows of a table that show their owner's pattern beside its name


# ---- parts of the document -------------------------------------------------------------------------------------------------------

def table(caption, columns, rows, note=None):
    """columns: (title, class); class num or code or empty. rows: (fill or None, [texts]); the first cell names the row. Without rows: a note, or
    nothing where that is an empty one."""
    if not rows:
        return {"type": "note", "text": caption + ": none." if note is None else note}
    fills = len(rows) <= MAX_FILLS
    classes = [css for _, css in columns]
    body = [(fill if fills else None, cells[0], list(zip(classes[1:], cells[1:]))) for fill, cells in rows]
    return {"type": "table", "caption": caption, "columns": columns, "rows": rows, "first_class": classes[0], "body": body,
            "wide": len(columns) > 6}


def note(text):
    return {"type": "note", "text": text}


def facts(items):
    return {"type": "facts", "items": [(term, text, css) for term, text, css in items if text != ""]}


def figures(drawings, beside=()):
    """beside: blocks that stand next to the drawings where there is room."""
    return {"type": "figures", "figures": drawings, "beside": [block for block in beside if block.get("text") != ""]}


def section(ident, title, intro, blocks):
    return {"id": ident, "title": title, "intro": intro, "blocks": blocks}


# ---- who is who ------------------------------------------------------------------------------------------------------------------

class Names:
    """Names, fills and owners, looked up once."""

    def __init__(self, model):
        self.vms = model["vms"]
        for place, vm in enumerate(self.vms):
            vm["label"] = shown(vm["name"])
            vm["fill"] = "vm%d" % place
        self.service = next((vm for vm in self.vms if vm["kind"] == "service"), None)
        self.console_function = next((uart["pci"] for uart in model["board"]["uart_list"] if uart["name"] == model["console"].get("uart") and uart["pci"]), None)
        self.given = {device["bdf"]: (vm, device) for vm in self.vms for device in vm["device_list"]}
        self.functions = {function["bdf"]: function for function in model["board"]["function_list"]}

    def vm(self, index):
        return self.vms[index] if index < len(self.vms) else None

    def owner(self, function):
        """(name, fill, what that means today) of a PCI function."""
        if function["bdf"] in self.given:
            vm = self.given[function["bdf"]][0]
            if vm["kind"] == "service":
                return vm["label"], vm["fill"], "in use"
            if vm["kind"] == "user":
                return vm["label"], vm["fill"], "not handed over: no IOMMU driver, it stays with the service VM"
            return vm["label"], vm["fill"], "set aside, not handed over: no IOMMU driver"
        if self.console_function == function["address"]:
            return "hypervisor", "hv", "console"
        if self.service:
            return self.service["label"], self.service["fill"], "in use, DMA unrestricted" if self.service["dma"] else "in use"
        return "nobody", "free", "not used"


def owner_fills(vms):
    """The pattern of each VM: a hue and a hatching, together different for the first 48."""
    return [{"id": vm["fill"], "hue": place % HUES, "mark": (place + place // HUES) % MARKS} for place, vm in enumerate(vms)]


# ---- memory ----------------------------------------------------------------------------------------------------------------------

def memory_section(model, names):
    regions = host_memory(model, names)
    pieces = draw.flatten(regions)
    total = sum(ram["size"] for ram in model["board"]["ram_list"])
    shares = [("hypervisor image", "hv", model["hv"]["size"]), ("module store", "store", model["modules"]["size"])]
    shares += [(vm["label"], vm["fill"], sum(mem["size"] for mem in vm["mem_list"])) for vm in names.vms if vm["mem_list"]]
    shares += [(shown(shm["name"]) + " (shared)", "shared", shm["size"]) for shm in model["shm_list"]]
    shares.append(("nobody", "free", sum(piece["high"] - piece["low"] for piece in pieces if piece["rank"] == 0)))
    rows = [(fill, [name, size_text(size), "%.1f %%" % (100 * size / total)]) for name, fill, size in shares if size]
    ram = [(None, ["%#x" % r["base"], "%#x" % (r["base"] + r["size"] - 1), size_text(r["size"])]) for r in model["board"]["ram_list"]]
    return section("memory", "Physical memory", [
        "The host\u2019s physical addresses. The first strip is to scale with unused stretches cut out (wavy lines); what is too small on it is shown again, "
        "larger, in a detail. No region is drawn lower than two pixels."], [
            figures(draw.address_map(pieces, "The whole map", "Physical address map")),
            table("Shares of the board\u2019s %s of RAM" % size_text(total), [("Owner", ""), ("Size", "num"), ("Share", "num")], rows),
            table("RAM of the board", ADDRESS_COLUMNS[:3], ram),
            table("Physical address map", ADDRESS_COLUMNS, address_rows(r for r in regions if r["rank"] > 0)),
        ])


# ---- VMs -------------------------------------------------------------------------------------------------------------------------

def module_name(model, index):
    return shown(model["module_list"][index]["name"]) if index < len(model["module_list"]) else ""


def vm_ram(vm):
    return "up to " + size_text(vm["mem_limit"]) if vm["kind"] == "user" else size_text(sum(mem["size"] for mem in vm["mem_list"]))


def vm_cpus(vm):
    cpus = runs(cpu["id"] for cpu in vm["pcpu_list"])
    return "%d of %s" % (vm["vcpus"], cpus) if vm["kind"] == "user" else cpus


def vm_facts(model, vm):
    boot = vm["boot"]
    words = [FLAGS.get(flag["name"], flag["name"]) for flag in vm["flag_list"]]
    rows = [
        ("Kind", KINDS[vm["kind"]], ""), ("Key", shown(vm["key"]) or ("any that is not in use" if any(f["name"] == "spare" for f in vm["flag_list"]) else ""), "code"),
        ("CPUs", vm_cpus(vm), ""), ("vCPUs", str(vm["vcpus"]) + (" at most" if vm["kind"] == "user" else ""), ""), ("RAM", vm_ram(vm), ""),
        ("Properties", listed(words, ""), ""), ("May ask for", listed((FLAGS.get(f["name"], f["name"]) for f in vm["may_ask_list"]), ""), ""),
        ("Second-level tables", plural(vm["s2_pages"], "page"), ""), ("Cache class", str(vm["clos"]) if model["cache_class_list"] else "", ""),
        ("DMA", "unprotected: its devices reach all memory" if vm["dma"] else "", ""),
    ]
    if vm["kind"] != "user":
        rows += [
            ("Boots", "%s%s" % (shown(boot["kind"]), ", protocol " + boot["protocol"] if boot["kind"] == "bzimage" else ""), ""),
            ("Kernel", module_name(model, boot["kernel"]), "code"), ("Initial RAM disk", module_name(model, boot["initrd"]), "code"),
            ("Command line", shown(boot["cmdline"]), "code"),
        ]
        if boot["kind"] == "raw":
            rows.append(("Loaded at, entered at", "%#x, %#x" % (boot["load"], boot["entry"]), "code"))
    if vm["ready"] is not None:
        rows.append(("Ready text", "%s (on the console of %s)" % (shown(vm["ready"]), shown(vm["ready_on"])), "code"))
    if vm["kind"] == "service":
        service = model["service"]
        rows.append(("Hypercalls", "edition %s, upcall vector %#x, debug group %s" % (service["abi"], service["upcall_vector"],
                                                                                     "answers" if service["debug_hypercalls"] else "refused"), ""))
    return facts(rows)


def vm_blocks(model, names, vm, peers):
    blocks = [{"type": "heading", "id": "vm-%d" % vm["id"], "text": "VM %d: %s" % (vm["id"], vm["label"]), "fill": vm["fill"]}, vm_facts(model, vm)]
    regions = guest_regions(model, names, vm)
    caption = "Guest-physical map of " + vm["label"]
    if vm["kind"] == "user":
        blocks.append(note("The service VM maps memory of its own into this slot at run time, at most %s at one time; configuration fixes no other address." %
                           size_text(vm["mem_limit"])))
    if regions:
        blocks.append(figures(draw.address_map(draw.flatten(regions), caption, caption), [table(caption, ADDRESS_COLUMNS, address_rows(regions))]))
    uarts = [(None, ["%#x" % uart["port"], str(uart["irq"]), "console" if uart["console"] else peers.get(uart["peer"], "not connected")]) for uart in vm["vuart_list"]]
    blocks.append(table("Virtual serial ports of " + vm["label"], [("Port", "code num"), ("Line", "num"), ("Leads to", "")], uarts, ""))
    devices = []
    for device in vm["device_list"]:
        function = names.functions.get(device["bdf"])
        devices.append((vm["fill"], [device["address"], device["virtual"], class_name(function["class"]) if function else "",
                                     "messages and INTx" if device["intx"] else "messages",
                                     listed(("BAR %d at %#x" % (bar["index"], bar["gpa"]) for bar in device["vbar_list"]), "")]))
    blocks.append(table("Devices of %s (not handed over: no IOMMU driver)" % vm["label"],
                        [("Host", "code"), ("In the VM", "code"), ("What", ""), ("Interrupts", ""), ("Memory", "code")], devices, ""))
    return [block for block in blocks if block.get("text") != ""]


def vms_section(model, names):
    uarts = [(vm, uart) for vm in names.vms for uart in vm["vuart_list"]]
    peers = {place: "%s, port %#x" % (vm["label"], uart["port"]) for place, (vm, uart) in enumerate(uarts)}
    return section("vms", "Virtual machines", [], [block for vm in names.vms for block in vm_blocks(model, names, vm, peers)])


# ---- the other sections ----------------------------------------------------------------------------------------------------------

def overview_section(model, names):
    board = model["board"]
    rows = [(vm["fill"], [vm["label"], KINDS[vm["kind"]], vm_cpus(vm), vm_ram(vm), str(len(vm["device_list"])) if vm is not names.service else
                          str(sum(names.owner(f)[1] == vm["fill"] for f in board["function_list"])),
                          listed((FLAGS.get(flag["name"], flag["name"]) for flag in vm["flag_list"]), "")]) for vm in names.vms]
    return section("overview", "Overview", [], [
        table("Who has what", [("VM", ""), ("Kind", ""), ("CPUs", "num"), ("RAM", "num"), ("PCI functions", "num"), ("Properties", "")], rows),
        facts([
            ("Hypervisor", "%s at %#x; console %s on CPU %d, %s at boot; log level %s" % (
                size_text(model["hv"]["size"]), model["hv"]["base"], shown(model["console"].get("uart", "none")), model["console"]["cpu"],
                "attached to " + names.vm(model["console"]["vm"])["label"] if names.vm(model["console"]["vm"]) else "the shell", model["loglevel"]), ""),
            ("CPUs", "%d of %s, %s" % (len(board["cpu_list"]), {"amd": "AMD", "intel": "Intel"}.get(board["vendor"], board["vendor"]), board["extension"].upper()), ""),
            ("Cross-VM", "%s, %s" % (plural(len(model["link_list"]), "connection"), plural(len(model["shm_list"]), "shared memory", "shared memories")), ""),
        ]),
    ])


def warning_count(model):
    """Also those that bhc did not keep."""
    return len(model["warning_list"]) + model["warnings_omitted"]


def warnings_section(model):
    rows = [(None, ["%s, line %d" % (warning["file"], warning["line"]), warning["rule"], shown(warning["text"])]) for warning in model["warning_list"]]
    intro = ["The first %d of %d warnings." % (len(rows), warning_count(model))] if model["warnings_omitted"] else []
    return section("warnings", "Warnings", intro, [
        table("What the configuration compiler warns of", [("Where", ""), ("Rule", "code"), ("What, and a way to mend it", "long")], rows,
              "The configuration compiler has nothing to warn of.")])


def cpus_section(model, names):
    cores = model["board"]["cpu_list"]
    mixed = len({core["core"] for core in cores}) > 1
    rows = [("hypervisor console", "hv")] + [("%s" % vm["label"], vm["fill"]) for vm in names.vms]
    columns = [["%d" % i] + (["P" if core["core"] == "performance" else "E"] if mixed else []) for i, core in enumerate(cores)]
    cells = {(0, model["console"]["cpu"]): ("dot", "con")}
    owners, slots, vcpu = {}, {}, {}
    for place, vm in enumerate(names.vms):
        for i, cpu in enumerate(vm["pcpu_list"]):
            if vm["kind"] == "user":
                cells[place + 1, cpu["id"]] = ("maybe", "may")
                slots.setdefault(cpu["id"], []).append(vm["label"])
            else:
                cells[place + 1, cpu["id"]] = ("full", "%d" % i)
                owners[cpu["id"]], vcpu[cpu["id"]] = vm, i
    body = []
    for i, core in enumerate(cores):
        vm = owners.get(i)
        body.append((vm["fill"] if vm else "free", [str(i), "%#x" % core["apic_id"], core["core"], "%s, vCPU %d" % (vm["label"], vcpu[i]) if vm else
                                                   "user VMs" if i in slots else "nobody", listed(slots.get(i, []), ""),
                                                   "serves the console" if i == model["console"]["cpu"] else ""]))
    desc = "; ".join("CPU %s" % ", ".join(filter(None, (row[0], row[3], "may run " + row[4] if row[4] else "", row[5]))) for _, row in body)
    unowned = [i for i in range(len(cores)) if i not in owners and i not in slots]
    intro = ["A filled cell is a CPU that the VM owns for itself, with the number of its vCPU; a dashed cell is one that a user VM may take when it is free. "
             "con: the CPU that serves the console." + (" P and E: performance and efficient cores." if mixed else "")]
    if unowned:
        intro.append("Owned by nobody: CPU %s." % runs(unowned))
    return section("cpus", "CPUs", intro, [
        figures(draw.matrix("VMs by CPUs", desc, rows, columns, cells)),
        table("CPUs", [("CPU", "num"), ("APIC id", "code num"), ("Core", ""), ("Owner", ""), ("User VMs that may use it", ""), ("Also", "")], body),
    ])


def function_row(function, names):
    owner, fill, state = names.owner(function)
    messages = ["MSI %d" % m["vectors"] for m in function["msi_list"]] + ["MSI-X %d (BAR %d)" % (m["vectors"], m["bar"]) for m in function["msix_list"]]
    intx = ["INT%s# GSI %d" % ("ABCD"[(i["pin"] - 1) % 4], i["gsi"]) for i in function["intx_list"]]
    group = "own" if function["iommu_group"] == NO_GROUP else str(function["iommu_group"])
    return (fill, [function["address"], "%04x:%04x" % (function["vendor"], function["device"]), class_name(function["class"]), owner, state,
                   group, "yes" if function["acs"] else "no", listed(intx + messages, ""),
                   listed(("%d: %#x+%s%s" % (bar["index"], bar["base"], size_text(bar["size"]), " I/O" if bar["io"] else "") for bar in function["bar_list"]), "")])


MAX_BOXES = 256


def devices_section(model, names):
    board = model["board"]
    functions = sorted(board["function_list"], key=lambda f: f["bdf"])
    groups = {}
    for function in functions:
        groups.setdefault(function["iommu_group"], []).append(function)
    boxes = []
    for number, members in sorted(groups.items()):
        items = []
        for function in members:
            owner, fill, state = names.owner(function)
            items.append({"fill": fill, "name": function["address"], "what": class_name(function["class"]), "owner": owner, "later": "not handed over" in state})
        boxes.append({"title": "No group number: each by itself" if number == NO_GROUP else "Group %d" % number, "items": items})
    blocks = []
    if not functions:
        blocks.append(note("The board description names no PCI function."))
    elif len(functions) <= MAX_BOXES:
        blocks.append({"type": "groups", "groups": boxes})
    else:
        blocks.append(note("%d functions in %d groups: too many to draw, the table has them." % (len(functions), len(groups))))
    blocks.append(table("PCI functions", [("Address", "code"), ("Vendor:device", "code"), ("What", ""), ("Owner", "name"), ("State", ""), ("Group", "num"), ("ACS", ""),
                                          ("Interrupts", ""), ("BARs", "code long")], [function_row(function, names) for function in functions], ""))
    units = [("mmio", [iommu_name(place, iommu), "%#x" % iommu["base"], ("all that no other unit names" if iommu["all"] else "") +
                       ("; " if iommu["all"] and iommu["device_list"] else "") + listed((d["address"] for d in iommu["device_list"]), "")])
             for place, iommu in enumerate(board["iommu_list"])]
    blocks.append(table("DMA remapping units", [("Unit", ""), ("Registers", "code num"), ("Translates for", "")], units,
                        "The board description names no IOMMU: nothing keeps devices from memory of others."))
    reserved = [("reserved", ["%#x" % r["base"], "%#x" % (r["base"] + r["size"] - 1), shown(r["what"]), listed(d["address"] for d in r["device_list"])])
                for r in board["reserved_list"] if r["device_list"]]
    blocks.append(table("Memory that firmware lets devices use (RMRR, IVMD)", [("First byte", "code num"), ("Last byte", "code num"), ("What", ""), ("Devices", "code")],
                        reserved, ""))
    aside = sum("not handed over" in names.owner(f)[2] for f in functions)
    intro = ["Functions of one IOMMU group cannot be kept from each other and go to one owner together."]
    if aside:
        intro.append("There is no IOMMU driver yet. %s for VMs that do not get %s: those of pre-launched VMs are in nobody else\u2019s hands, those of user "
                     "VMs stay with the service VM." % (plural(aside, "function is", "functions are"), "it" if aside == 1 else "them"))
    return section("devices", "Devices and IOMMU groups", intro, [block for block in blocks if block.get("text") != ""])


def ioapic_pin(board, gsi):
    for ioapic in board["ioapic_list"]:
        if ioapic["gsi_base"] <= gsi < ioapic["gsi_base"] + ioapic["pins"]:
            return "I/O APIC %d pin %d" % (ioapic["id"], gsi - ioapic["gsi_base"])
    return "no I/O APIC"


def interrupt_rows(model, names):
    """(GSI or -1, source, by way of, destination, fill, solid) of everything that raises an interrupt by a line."""
    board, out = model["board"], []
    for uart in board["uart_list"]:
        is_console = uart["name"] == model["console"].get("uart")
        owner = ("hypervisor", "hv") if is_console else (names.service["label"], names.service["fill"]) if names.service else ("nobody", "free")
        out.append((uart["gsi"], "%s at %#x" % (shown(uart["name"]), uart["port"]), owner[0] + (" (console)" if is_console else ""), owner[1], owner[0] != "nobody"))
    for function in board["function_list"]:
        vm, device = names.given.get(function["bdf"], (None, None))
        owner, fill, _ = names.owner(function)
        for intx in function["intx_list"]:
            used = device["intx"] and vm["kind"] == "service" if device else fill != "free"
            to = owner if not device else owner + (" (not handed over)" if device["intx"] else " (messages only)")
            out.append((intx["gsi"], "%s INT%s#" % (function["address"], "ABCD"[(intx["pin"] - 1) % 4]), to, fill, used))
    for vm in names.vms:
        out += [(irq["gsi"], "line given to a VM", "%s line %d (not handed over)" % (vm["label"], irq["line"]), vm["fill"], False) for irq in vm["irq_list"]]
    rows = [(gsi, "GSI %d" % gsi, source, to, fill, solid) for gsi, source, to, fill, solid in out]
    for vm in names.vms:
        rows += [(1 << 32, "virtual", "vUART %#x" % uart["port"], "%s line %d" % (vm["label"], uart["irq"]), vm["fill"], True) for uart in vm["vuart_list"]]
    return sorted(rows, key=lambda row: row[0])


def interrupts_section(model, names):
    rows = interrupt_rows(model, names)
    blocks = []
    if rows:
        desc = "; ".join("%s, %s, to %s" % row[1:4] for row in rows[:draw.MAX_ROUTES]) + "."
        blocks.append(figures([draw.routes("Interrupt lines", desc, ("From", "By way of", "To"), [row[1:] for row in rows])]))
    if len(rows) > draw.MAX_ROUTES:
        blocks.append(note("The first %d lines are drawn; the table has all %d." % (draw.MAX_ROUTES, len(rows))))
    body = [(fill, [source, ioapic_pin(model["board"], gsi) if gsi < 1 << 32 else "", via, to, "yes" if solid else "no"]) for gsi, source, via, to, fill, solid in rows]
    blocks.append(table("Interrupt lines", [("From", ""), ("Pin", ""), ("By way of", ""), ("To", ""), ("Works today", "")], body))
    messages = []
    for function in sorted(model["board"]["function_list"], key=lambda f: f["bdf"]):
        if function["msi_list"] or function["msix_list"]:
            owner, fill, state = names.owner(function)
            messages.append((fill, [function["address"], class_name(function["class"]), owner, str(sum(m["vectors"] for m in function["msi_list"]) or ""),
                                    str(sum(m["vectors"] for m in function["msix_list"]) or ""), state]))
    blocks.append(table("Message-signalled interrupts", [("Function", "code"), ("What", ""), ("Owner", ""), ("MSI", "num"), ("MSI-X", "num"), ("State", "")], messages,
                        "The board description names no message-signalled interrupts."))
    intro = ["Dashed: not handed over, or used by nobody."]
    if names.service:
        intro.append("Every interrupt line that nobody else was given goes to %s, at the line of the same number." % names.service["label"])
    return section("interrupts", "Interrupt routes", intro, blocks)


def links_section(model, names):
    links, shms = model["link_list"], model["shm_list"]
    if not links and not shms:
        return section("links", "Links between VMs", [], [note("No connection and no shared memory: the VMs have no way to each other but what devices offer.")])
    involved = sorted({end["vm"] for link in links for end in link["end_list"]} | {user["vm"] for shm in shms for user in shm["user_list"]})
    lane = {vm: place for place, vm in enumerate(involved)}
    lanes = [(names.vm(vm)["label"], names.vm(vm)["fill"]) for vm in involved]
    columns, cells, joins, link_rows, shm_rows = [], {}, [], [], []
    for place, link in enumerate(links):
        ends = sorted(lane[end["vm"]] for end in link["end_list"])
        columns.append(["C%d" % (place + 1)])
        joins.append((len(columns) - 1, ends[0], ends[-1]))
        for end in link["end_list"]:
            cells[lane[end["vm"]], len(columns) - 1] = ("dot", "tty")
        link_rows.append((None, ["C%d" % (place + 1)] + ["%s, port %#x" % (names.vm(end["vm"])["label"], end["port"]) for end in link["end_list"]]))
    for place, shm in enumerate(shms):
        columns.append(["M%d" % (place + 1)])
        users = sorted(lane[user["vm"]] for user in shm["user_list"])
        if users:
            joins.append((len(columns) - 1, users[0], users[-1]))
        for user in shm["user_list"]:
            cells[lane[user["vm"]], len(columns) - 1] = ("dot" if user["writable"] else "maybe", "rw" if user["writable"] else "ro")
            shm_rows.append((names.vm(user["vm"])["fill"], ["M%d" % (place + 1), shown(shm["name"]), str(shm["id"]), "%#x" % shm["base"], size_text(shm["size"]),
                                                          names.vm(user["vm"])["label"], "%#x" % user["gpa"], "read-write" if user["writable"] else "read only"]))
    desc = "; ".join([" to ".join([row[0] + ": " + row[1]] + row[2:]) for _, row in link_rows] + ["%s: %s seen by %s, %s" % (row[0], row[1], row[5], row[7])
                                                                                              for _, row in shm_rows])
    return section("links", "Links between VMs", [
        "Each column is one link, tied from VM to VM. C: two serial ports joined as by a null-modem cable (tty). M: shared memory, which a VM may write (rw) or only read (ro)."], [
            figures(draw.matrix("Links by VMs", desc, lanes, columns, cells, joins)),
            table("Connections", [("Link", ""), ("One end", ""), ("Other end", "")], link_rows),
            table("Shared memories", [("Link", ""), ("Name", ""), ("Id", "num"), ("Host address", "code num"), ("Size", "num"), ("VM", ""), ("Guest address", "code num"),
                                      ("Access", "")], shm_rows),
        ])


def cache_section(model, names):
    classes, caches = model["cache_class_list"], model["board"]["cache_list"]
    if not caches:
        return section("cache", "Cache partitioning", [], [note("The board\u2019s caches cannot be divided.")])
    allocs = [(None, ["L%d" % cache["level"], str(cache["ways"]), str(cache["classes"])]) for cache in caches]
    blocks = []
    for cache in caches:
        here = [one for one in classes if one["level"] == cache["level"]]
        if all(one["id"] for one in here):
            here.insert(0, {"id": 0, "mask": (1 << cache["ways"]) - 1, "user_list": []})
        rows, cells = [], {}
        for place, one in enumerate(here):
            users = [names.vm(user["vm"]) for user in one["user_list"]]
            rows.append(("class %d: %s" % (one["id"], listed([vm["label"] for vm in users] + ([] if one["id"] else ["all others"]))), users[0]["fill"] if users else "free"))
            cells.update({(place, way): ("full", "") for way in range(cache["ways"]) if one["mask"] >> way & 1})
        desc = "; ".join("%s fills ways %s" % (row[0], runs(way for r, way in cells if r == place)) for place, row in enumerate(rows))
        blocks.append(figures(draw.matrix("Level %d cache: classes by ways" % cache["level"], desc, rows, [["%d" % way] for way in range(cache["ways"])], cells)))
    body = [(None, [str(one["id"]), "L%d" % one["level"], "%#x" % one["mask"], runs(way for way in range(64) if one["mask"] >> way & 1),
                    listed((names.vm(user["vm"])["label"] for user in one["user_list"]))]) for one in classes]
    blocks.append(table("Classes of service", [("Class", "num"), ("Cache", ""), ("Mask", "code num"), ("Ways", ""), ("VMs", "")], body,
                        "The scenario defines no class of service: every CPU fills all ways."))
    blocks.append(table("Caches that can be divided", [("Cache", ""), ("Ways", "num"), ("Classes", "num")], allocs))
    return section("cache", "Cache partitioning", [], blocks)


SPACES = {0: "memory", 1: "I/O port", 0x7f: "fixed hardware"}


def boot_section(model, names):
    board, used = model["board"], {}
    for vm in names.vms:
        for index in {vm["boot"]["kernel"], vm["boot"]["initrd"]}:
            used.setdefault(index, []).append(vm["label"])
    modules = [(None, [shown(m["name"]), shown(m["source"]), size_text(m["max_size"]), listed(used.get(i, []), "nobody")]) for i, m in enumerate(model["module_list"])]
    acpi = board["acpi"]
    px = [(None, ["P%d" % i, "%d MHz" % p["core_mhz"], "%d mW" % p["power_mw"], "%d \u00b5s" % p["latency_us"], "%#x" % p["control"]]) for i, p in enumerate(board["px_list"])]
    cx = [(None, ["C%d" % c["type"], SPACES.get(c["space"], "%#x" % c["space"]), "%#x" % c["address"], "%d \u00b5s" % c["latency_us"], "%d mW" % c["power_mw"]])
          for c in board["cx_list"]]
    return section("boot", "Boot and power", [], [
        table("Boot modules", [("Module", ""), ("Source", "code long"), ("Room", "num"), ("Used by", "")], modules),
        facts([
            ("Module store", "%s at %#x" % (size_text(model["modules"]["size"]), model["modules"]["base"]), ""),
            ("Other CPUs start at", "%#x" % board["trampoline"], "code"),
            ("Power management timer", "port %#x" % acpi["pm_timer_port"] if acpi["pm_timer_port"] else "none", ""),
            ("Switching off", "port %#x, SLP_TYP %d" % (acpi["pm1a_cnt_port"], acpi["s5_slp_typ"]) if acpi["pm1a_cnt_port"] else "not known", ""),
            ("Reset", "port %#x, value %#x" % (acpi["reset_port"], acpi["reset_value"]) if acpi["reset_port"] else "not known", ""),
            ("CPU hot-plug registers", "port %#x" % acpi["cpu_hotplug_port"] if acpi["cpu_hotplug_port"] else "", ""),
        ]),
        table("Performance states", [("State", ""), ("Clock", "num"), ("Power", "num"), ("Latency", "num"), ("Control", "code num")], px,
              "No performance states are known."),
        table("Idle states", [("State", ""), ("Entered by", ""), ("Address", "code num"), ("Latency", "num"), ("Power", "num")], cx, "No idle states are known."),
    ])


def board_section(model):
    board, emulator = model["board"], model["board"]["emulator"]
    tsc = "%s, %s" % ("%d Hz" % board["tsc"]["hz"] if board["tsc"]["hz"] else "measured at boot", "invariant" if board["tsc"]["invariant"] else "not invariant")
    apics = [("mmio", ["%d" % a["id"], "%#x" % a["base"], str(a["pins"]), "%d\u2013%d" % (a["gsi_base"], a["gsi_base"] + a["pins"] - 1)]) for a in board["ioapic_list"]]
    uarts = [(None, [shown(u["name"]), "%#x" % u["port"], str(u["gsi"]), str(u["baud"]), u["pci"] or "legacy port"]) for u in board["uart_list"]]
    return section("board", "Board", [], [
        facts([
            ("Name", shown(board["name"]), ""), ("Description", shown(board["description"]), ""),
            ("Emulator", "%s, machine %s, CPU %s, memory %s, version %s or later" % tuple(
                shown(emulator[k]) for k in ("kind", "machine", "cpu", "memory", "min_version")) if emulator else "none: a real machine", ""),
            ("Time stamp counter", tsc, ""), ("Promised CPU features", listed((f["name"] for f in board["feature_list"])), ""),
            ("Done at each VM entry", listed((m["name"] for m in board["mitigation_list"]), "nothing"), ""),
            ("Quirks worked around", listed((shown(q["name"]) for q in board["quirk_list"])), ""),
        ]),
        table("I/O APICs", [("Id", "num"), ("Registers", "code num"), ("Pins", "num"), ("GSIs", "num")], apics),
        table("Serial ports", [("UART", ""), ("Port", "code num"), ("GSI", "num"), ("Baud", "num"), ("Where", "code")], uarts),
    ])


SIZE_WORDS = {
    "pcpus": "Physical CPUs", "vms": "VMs and slots", "vcpus": "vCPUs", "max_vcpus_per_vm": "Most vCPUs of one VM", "modules": "Boot modules",
    "vuarts": "Virtual serial ports", "user_vms": "User VM slots", "s2_pages": "Pages for second-level tables", "links": "Connections", "shms": "Shared memories",
    "shm_users": "Uses of shared memory", "classes": "Cache classes", "service": "Service VMs",
}


def sizes_section(model):
    rows = [(None, [SIZE_WORDS.get(name, name.replace("_", " ")), str(value)]) for name, value in model["sizes"].items()]
    return section("sizes", "Sizes of the hypervisor\u2019s tables", [], [table("Everything that the image has room for", [("What", ""), ("Count", "num")], rows)])


# ---- the document ----------------------------------------------------------------------------------------------------------------

def fill_lists(model):
    """Lists that only a report needs, where the model leaves empty ones out."""
    board = model["board"]
    for name in ("window", "iommu", "cache", "uart", "ioapic", "cpu", "ram"):
        board.setdefault(name + "_list", [])
    for name in ("intx", "msi", "msix"):
        for function in board["function_list"]:
            function.setdefault(name + "_list", [])
    for owner in board["reserved_list"] + board["iommu_list"]:
        owner.setdefault("device_list", [])
    for name, parts in (("link", "end"), ("shm", "user"), ("cache_class", "user")):
        model[name + "_list"] = model["scenario"].get(name + "_list", [])
        for one in model[name + "_list"]:
            one.setdefault(parts + "_list", [])
    for vm in model["vms"]:
        for name in ("irq", "device", "pcpu"):
            vm.setdefault(name + "_list", [])
        for device in vm["device_list"]:
            device.setdefault("vbar_list", [])


def numbered(sections):
    """Tables and drawings get the numbers by which people speak of them."""
    tables = drawings = 0
    for part in sections:
        for block in part["blocks"]:
            for figure in block.get("figures", []):
                drawings += 1
                figure["number"] = drawings
            for one in [block] + block.get("beside", []):
                if one["type"] == "table":
                    tables += 1
                    one["number"] = tables
    return sections


def build(model, templates):
    """The document of a model (render.load_model), which is extended on the way. templates: the folder where report.css lies."""
    fill_lists(model)
    names = Names(model)
    sections = numbered([
        overview_section(model, names), warnings_section(model), cpus_section(model, names), memory_section(model, names), vms_section(model, names),
        devices_section(model, names), interrupts_section(model, names), links_section(model, names), cache_section(model, names), boot_section(model, names),
        board_section(model), sizes_section(model),
    ])
    with open(os.path.join(templates, "report.css"), encoding="utf-8") as file:
        css = file.read()
    report = {
        "scenario": shown(model["scenario"]["name"]), "board": shown(model["board"]["name"]), "scenario_text": shown(model["scenario"]["description"]),
        "board_text": shown(model["board"]["description"]), "sections": sections, "vm_fills": owner_fills(names.vms), "css": css,
        "css_hash": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        "figures": [
            (str(len(model["board"]["cpu_list"])), "CPUs"), (size_text(sum(ram["size"] for ram in model["board"]["ram_list"])), "RAM"),
            (str(len(names.vms)), "VMs and slots"), (str(len(model["board"]["function_list"])), "PCI functions"),
            (str(warning_count(model)), "warning" if warning_count(model) == 1 else "warnings"),
        ],
    }
    report["lines"] = report_text.lines(report)
    return report
