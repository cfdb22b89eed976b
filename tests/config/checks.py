"""What is generated must say what resolved.xml says. Each check reads the generated file on its own terms: compiled C, a device tree parsed here,
JSON; none of it goes through gen/render.py's view of the model."""

import json
import os
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wvla", "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wundef",
            "-Wpointer-arith", "-Wformat=2", "-Werror"]
FREESTANDING = ["-ffreestanding", "-fno-pic", "-fno-pie", "-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only", "-O2", "-fdata-sections"]


class Wrong(Exception):
    """A generated file says something else than the model."""


def same(found, expected, what):
    if found != expected:
        raise Wrong("%s\n  found:    %r\n  expected: %r" % (what, found, expected))


def model(folder):
    return ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot()


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise Wrong("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


# ---- C -------------------------------------------------------------------------------------------------------------------------

def include_arguments(folder, root):
    os.makedirs(os.path.join(folder, "config"), exist_ok=True)
    shutil.copy(os.path.join(folder, "sizes.h"), os.path.join(folder, "config"))
    return ["-I" + folder, "-I" + os.path.join(root, "include"), "-I" + os.path.join(root, "src", "x86", "include")]


def compiles_freestanding(folder, root, compiler):
    for name in ("tables", "manifest"):
        run([compiler, *WARNINGS, *FREESTANDING, *include_arguments(folder, root), "-c", os.path.join(folder, name + ".c"), "-o",
             os.path.join(folder, name + ".o")])
    sections = run(["objdump", "-h", os.path.join(folder, "tables.o")])
    for section in (".data.", ".bss."):
        if any(line.split()[1].startswith(section) for line in sections.splitlines() if len(line.split()) > 6 and line.split()[0].isdigit()):
            raise Wrong("tables.o has writable data:\n" + sections)
    run(["objcopy", "-O", "binary", "-j", ".manifest", os.path.join(folder, "manifest.o"), os.path.join(folder, "section")])
    with open(os.path.join(folder, "section"), "rb") as section, open(os.path.join(folder, "manifest.dtb"), "rb") as dtb:
        same(section.read(), dtb.read(), "section .manifest")


def number(text):
    return {"yes": 1, "no": 0}.get(text, None) if text in ("yes", "no") else int(text, 0)


def numbers(element, names):
    return " ".join(str(number(element.get(name))) for name in names.split())


def quoted(text):
    """As dump.c prints a string: every byte but plain letters and digits as hexadecimal."""
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else "%%%02x" % b for b in text.encode())


def expected_board(root):
    board, console = root.find("board"), root.find("scenario/hypervisor/console")
    yield "board %s %s %s" % (quoted(board.get("name")), quoted(board.get("description")), board.get("vendor"))
    for kind in ("feature", "mitigation", "quirk"):
        yield "%ss %s" % (kind, " ".join(sorted(f.get("name") for f in board.findall(kind))))
    for cpu in board.findall("cpu"):
        yield "cpu " + numbers(cpu, "apic-id")
    for ram in board.findall("ram"):
        yield "ram " + numbers(ram, "base size")
    for ioapic in board.findall("ioapic"):
        yield "ioapic " + numbers(ioapic, "id pins gsi-base base")
    yield "lapic " + numbers(board.find("lapic"), "base")
    yield "mcfg " + numbers(board.find("mcfg"), "base start-bus end-bus")
    yield "acpi " + numbers(board.find("acpi"), "pm-timer-port pm1a-cnt-port reset-port reset-value s5-slp-typ cpu-hotplug-port")
    for px in board.findall("px"):
        yield "px " + numbers(px, "core-mhz power-mw latency-us bus-master-us control status")
    for cx in board.findall("cx"):
        yield "cx " + numbers(cx, "type space width offset access address latency-us power-mw")
    yield "tsc " + numbers(board.find("tsc"), "hz invariant")
    yield "trampoline " + numbers(board, "trampoline")
    yield "console " + numbers(console, "port gsi baud clock-hz cpu")
    for function in board.findall("function"):
        yield "pci " + numbers(function, "bdf vendor device class")
        for bar in function.findall("bar"):
            yield "bar " + numbers(bar, "index io base size")
    for cache in board.findall("cache"):
        yield "cache " + numbers(cache, "level ways classes")


def key_bytes(text):
    """A key as hypercalls hold it: a UUID's digits, or a name of up to 15 characters, in hexadecimal."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return text.replace("-", "").lower()
    return (text.encode() if len(text) <= 15 else b"").ljust(16, b"\0").hex()


def bdf(address):
    bus, device, function = (int(part, 16) for part in re.split("[:.]", address))
    return bus << 8 | device << 3 | function


def expected_scenario(root):
    scenario = root.find("scenario")
    hypervisor = scenario.find("hypervisor")
    level = ["none", "fatal", "error", "warn", "info", "debug"].index(hypervisor.get("loglevel"))
    yield "scenario %s %s %d %s" % (quoted(scenario.get("name")), quoted(scenario.get("description")), level, number(hypervisor.find("console").get("vm")))
    service = scenario.find("service")
    yield "service %s %s %s" % (numbers(service, "vm"), service.get("abi"), numbers(service, "upcall-vector debug-hypercalls"))
    yield "image " + numbers(hypervisor.find("image"), "base size")
    yield "store " + numbers(hypervisor.find("module-store"), "base size")
    for module in scenario.findall("module"):
        yield "module %s %s" % (quoted(module.get("name")), numbers(module, "max-size"))
    vcpu = vuart = page = 0
    for vm in scenario.findall("vm"):
        boot = vm.find("boot")
        yield "vm %s %s %s" % (quoted(vm.get("name")), quoted(vm.get("key")), vm.get("kind"))
        yield "flags " + " ".join(sorted(f.get("name") for f in vm.findall("flag")))
        yield "may ask " + " ".join(sorted(f.get("name") for f in vm.findall("may-ask")))
        yield "bytes " + key_bytes(vm.get("key"))
        yield "first %d %d %d" % (vcpu, vuart, page)
        yield "vcpus %s limit %s" % (vm.get("vcpus"), numbers(vm, "mem-limit"))
        yield "pcpus " + " ".join(p.get("id") for p in vm.findall("pcpu"))
        yield "devices " + " ".join(str(bdf(d.get("address"))) for d in vm.findall("device"))
        for mem in vm.findall("mem"):
            yield "mem " + numbers(mem, "gpa hpa size")
        for uart in vm.findall("vuart"):
            yield "vuart " + numbers(uart, "port irq console peer")
        for index, shared in enumerate(scenario.findall("shm")):
            for user in shared.findall("user"):
                if number(user.get("vm")) == number(vm.get("id")):
                    yield "view %d %s" % (index, numbers(user, "gpa writable"))
        yield "clos " + numbers(vm, "clos")
        yield "boot %s %s %s %s" % (boot.get("kind"), boot.get("protocol"), numbers(boot, "kernel initrd load entry"), quoted(boot.get("cmdline")))
        vcpu += number(vm.get("vcpus"))
        vuart += len(vm.findall("vuart"))
        page += number(vm.get("s2-pages"))
    for shared in scenario.findall("shm"):
        yield "shm %s %s" % (quoted(shared.get("name")), numbers(shared, "id base size"))
    for part in scenario.findall("cache-class"):
        yield "class " + numbers(part, "id level mask")
    yield "joints %d %d %d %d %d %d" % (
        len(scenario.findall("link")), sum(len(vm.findall("vuart")) for vm in scenario.findall("vm") if vm.get("kind") == "user"),
        len(scenario.findall("shm")), len(scenario.findall("shm/user")), len(root.findall("board/cache")), len(scenario.findall("cache-class")))
    kinds = [vm.get("kind") for vm in scenario.findall("vm")]
    largest = max(number(vm.get("vcpus")) for vm in scenario.findall("vm"))
    yield "sizes %d %d %d %d %d %d %d %d %d" % (len(root.findall("board/cpu")), len(kinds), vcpu, largest, len(scenario.findall("module")), vuart,
                                                kinds.count("service"), kinds.count("user"), page)


def tables_match(folder, root, compiler):
    """Compiles the tables with dump.c, which prints them, and compares line by line."""
    program = os.path.join(folder, "dump")
    run([compiler, *WARNINGS, "-O1", *include_arguments(folder, root), os.path.join(folder, "tables.c"), os.path.join(HERE, "dump.c"), "-o", program])
    found = run([program]).splitlines()
    wanted = list(expected_board(model(folder))) + list(expected_scenario(model(folder)))
    for have, want in zip(found, wanted):
        same(have.rstrip(), want.rstrip(), "a line of the compiled tables")
    same(len(found), len(wanted), "number of lines")


# ---- placement ------------------------------------------------------------------------------------------------------------------

PAGE = 4096


def spans(elements, base="base"):
    return [(number(e.get(base)), number(e.get(base)) + number(e.get("size"))) for e in elements]


def without(left, taken):
    """The list of spans `left` without the span `taken`."""
    pieces = []
    for start, end in left:
        pieces += [(a, b) for a, b in ((start, min(end, taken[0])), (max(start, taken[1]), end)) if a < b]
    return pieces


def tables_for(ranges):
    """Pages of second-level tables for [(first, last)]: the root, and one page for each part of 512 GiB and 1 GiB, and of 2 MiB where a range begins or
    ends inside it."""
    parts = {(level, n) for first, last in ranges for level in (39, 30) for n in range(first >> level, (last >> level) + 1)}
    for first, last in ranges:
        parts |= {(21, edge >> 21) for edge, whole in ((first, first % (1 << 21) == 0), (last, (last + 1) % (1 << 21) == 0)) if not whole}
    return 1 + len(parts)


def service_memory(root, service, free):
    """The service VM has every page that is nobody's, where the host has it."""
    mems = [(number(m.get("gpa")), number(m.get("gpa")) + number(m.get("size"))) for m in service.findall("mem")]
    same(mems, spans(service.findall("mem"), "hpa"), "guest and host addresses of the service VM")
    same(mems, sorted(free), "memory of the service VM")
    windows = [(a, b - 1) for a, b in mems] + [(0, (4 << 30) - 1)]
    windows += [(a, b - 1) for a, b in spans(bar for bar in root.iter("bar") if bar.get("io") == "no")]
    if number(service.get("s2-pages")) < tables_for(windows) + 64:
        raise Wrong("%s pages of second-level tables for the service VM, less than %d and 64 to split" % (service.get("s2-pages"), tables_for(windows)))


def memory_is_partitioned(folder):
    """Nothing belongs to two, nothing lies outside RAM, and tables suffice."""
    root = model(folder)
    vms = root.findall("scenario/vm")
    kinds = ["pre-launched", "service", "user"]
    same([vm.get("kind") for vm in vms], sorted((vm.get("kind") for vm in vms), key=kinds.index), "order of the VMs")
    free = spans(root.findall("board/ram"))
    for start, end in spans(root.findall("scenario/hypervisor/image") + root.findall("scenario/hypervisor/module-store")):
        same(sum(b - a for a, b in free) - sum(b - a for a, b in without(free, (start, end))), end - start, "RAM of the hypervisor")
        free = without(free, (start, end))
    for start, end in spans(root.findall("board/reserved")):
        free = without(free, (start & -PAGE, (end + PAGE - 1) & -PAGE))
    for shm in root.findall("scenario/shm"):
        (span,) = spans([shm])
        left = without(free, span)
        same(sum(b - a for a, b in free) - sum(b - a for a, b in left), span[1] - span[0], "free memory of shared memory %s" % shm.get("name"))
        free = left
    page = 0
    for vm in vms:
        same(number(vm.get("first-s2-page")), page, "first page of second-level tables of " + vm.get("name"))
        page += number(vm.get("s2-pages"))
        if vm.get("kind") == "service":
            service_memory(root, vm, free)
        for mem in spans(vm.findall("mem"), "hpa"):
            left = without(free, mem)
            same(sum(b - a for a, b in free) - sum(b - a for a, b in left), mem[1] - mem[0], "free memory that %s is given" % vm.get("name"))
            free = left
        if vm.get("kind") == "user":
            limit = number(vm.get("mem-limit"))
            worst = 2 + (limit // PAGE + 511) // 512 + 2 + 2 * (limit // (1 << 30) + 2)
            if number(vm.get("s2-pages")) < worst:
                raise Wrong("%s pages of second-level tables for %s, of which %d may be needed" % (vm.get("s2-pages"), vm.get("name"), worst))


# ---- device tree -----------------------------------------------------------------------------------------------------------------

def parse_dtb(data):
    """The Devicetree Specification v0.4, chapter 5, as nested (name, {property: bytes}, [children])."""
    magic, total, structure, strings = struct.unpack_from(">4I", data)
    same((magic, total), (0xd00dfeed, len(data)), "header of manifest.dtb")
    position, stack, top = structure, [], None
    while True:
        token = struct.unpack_from(">I", data, position)[0]
        position += 4
        if token == 1:
            end = data.index(b"\0", position)
            node = (data[position:end].decode(), {}, [])
            position = (end + 4) & ~3
            if stack:
                stack[-1][2].append(node)
            else:
                top = node
            stack.append(node)
        elif token == 2:
            stack.pop()
        elif token == 3:
            length, name = struct.unpack_from(">2I", data, position)
            position += 8
            start = strings + name
            stack[-1][1][data[start:data.index(b"\0", start)].decode()] = data[position:position + length]
            position = (position + length + 3) & ~3
        elif token == 9:
            return top


def compare_node(node, element, path):
    name, properties, children = node
    same(name.split("-")[0], element.tag.split("-")[0], "name of a node in " + path)
    same(len(properties), len(element.attrib), "number of properties of " + path)
    for attribute, text in element.attrib.items():
        value = properties["label" if attribute == "name" else attribute]
        if value.endswith(b"\0") and value[:-1] == text.encode():
            continue
        same(int.from_bytes(value, "big"), number(text), "%s of %s" % (attribute, path))
        if len(value) not in (4, 8):
            raise Wrong("%s of %s has %d bytes" % (attribute, path, len(value)))
    same(len(children), len(element), "number of children of " + path)
    same(len({child[0] for child in children}), len(children), "number of differently named children of " + path)
    for child, expected in zip(children, element):
        compare_node(child, expected, path + "/" + child[0])


def manifest_matches(folder):
    with open(os.path.join(folder, "manifest.dtb"), "rb") as file:
        top = parse_dtb(file.read())
    same(top[1].get("compatible"), b"bulkhead,manifest-1\0", "compatible")
    same(len(top[2]), 1, "nodes below the root")
    compare_node(top[2][0], model(folder), "/bulkhead")


# ---- the runner's file, the linker script ------------------------------------------------------------------------------------------

def run_json_matches(folder):
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        found = json.load(file)
    root = model(folder)
    emulator, scenario = root.find("board/emulator"), root.find("scenario")
    same(found["board"], root.find("board").get("name"), "board")
    same(found["scenario"], scenario.get("name"), "scenario")
    same(found["cpus"], len(root.findall("board/cpu")), "cpus")
    if emulator is None:
        same(found["emulator"], None, "emulator")
    else:
        same(found["emulator"], {key.replace("-", "_"): text for key, text in emulator.attrib.items()}, "emulator")
    same([(vm["name"], vm["id"], vm["kind"], vm["vcpus"], vm["ready"], vm["ready_on"], vm["pcpus"], vm["console"]) for vm in found["vms"]],
         [(vm.get("name"), i, vm.get("kind"), number(vm.get("vcpus")), vm.get("ready"), vm.get("ready-on"), [int(p.get("id")) for p in vm.findall("pcpu")],
           any(u.get("console") == "yes" for u in vm.findall("vuart"))) for i, vm in enumerate(scenario.findall("vm"))], "vms")
    same([(m["name"], m["source"], m["max_size"]) for m in found["modules"]],
         [(m.get("name"), m.get("source"), number(m.get("max-size"))) for m in scenario.findall("module")], "modules")
    image = scenario.find("hypervisor/image")
    same(found["hv"], {"base": number(image.get("base")), "size": number(image.get("size"))}, "hv")


def link(folder, resident):
    """Links an image that keeps `resident` bytes with the generated linker script; what the linker says."""
    source, image = os.path.join(folder, "image.c"), os.path.join(folder, "image.elf")
    with open(source, "w", encoding="utf-8") as file:
        file.write('__attribute__((section(".boot"))) void _start(void) {}\nchar resident[%d];\n' % resident)
    done = subprocess.run(["gcc", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-ffreestanding", "-mcmodel=kernel", "-fno-asynchronous-unwind-tables",
                           "-Wl,-T," + os.path.join(folder, "layout.ld"), "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", source, "-o", image],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def link_refuses_overlap(folder):
    status, said = link(folder, 1 << 20)
    same(status, 0, "an image of 1 MiB does not link:\n" + said)
    status, said = link(folder, 5 << 20)
    if status == 0 or "larger than" not in said or "module store" not in said:
        raise Wrong("an image of 5 MiB must be refused by name of what it meets; the linker said\n" + said)
    status, said = link(folder, 600 << 20)
    if status == 0 or "VM 'svc'" not in said or "VM 'rt0'" not in said:
        raise Wrong("an image of 600 MiB must be refused by name of the VMs it meets; the linker said\n" + said)
