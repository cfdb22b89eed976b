#!/usr/bin/env python3
"""Renders what a build needs from resolved.xml, the complete model that bhc writes.

Templates hold loops and nothing more; whatever has to be worked out was worked out by bhc. Every value that reaches generated text passes
a filter for the language it ends up in. Same input, same bytes out.
"""

import argparse
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

try:
    import jinja2
except ImportError:
    sys.exit("render.py: Jinja2 is missing for %s; install python3-jinja2 and use Debian's /usr/bin/python3" % sys.executable)


class Problem(Exception):
    """Something that a person has to mend; its text is the whole message."""


# ---- filters: one per target language --------------------------------------------------------------------------------------------

def c_string(text):
    """A C string literal, byte for byte, that no digraph, trigraph or following digit can change."""
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in '"\\?':
            out.append("\\" + char)
        elif 0x20 <= byte < 0x7f:
            out.append(char)
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


def c_comment(text):
    """Text inside a C comment of one line."""
    return re.sub(r"[^ -~]", "?", text).replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")


def c_enum(name, prefix):
    """The enumerator of config.h that stands for a name of the XML: tsc-deadline with FEAT is FEAT_TSC_DEADLINE."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise Problem("'%s' cannot be an enumerator" % name)
    return prefix + "_" + name.upper().replace("-", "_")


def c_vm_kind(name):
    return c_enum(name.replace("-", ""), "VM")


def c_user_flag(name):
    """The enumerator of abi/hypercall.h for a flag of a user slot."""
    return c_enum({"polling": "io-polling"}.get(name, name), "HC_VM")


def c_number(value):
    """An integer constant that means the same in C, assembly and linker scripts."""
    return "%#x" % value if value > 9 else "%d" % value


def c_bool(value):
    return "true" if value else "false"


def c_bytes(data, per_line=16):
    """The initialiser of an array of bytes."""
    lines = []
    for start in range(0, len(data), per_line):
        lines.append("    0x" + data[start:start + per_line].hex(" ").replace(" ", ", 0x") + ",")
    return "\n".join(lines)


def c_hex_bytes(text):
    """The initialiser of a small array of bytes from their hexadecimal digits."""
    return "{" + ", ".join("0x%02x" % byte for byte in bytes.fromhex(text)) + "}"


def json_value(value):
    return json.dumps(value, ensure_ascii=True)


def grub_word(text):
    """One word of a GRUB script (GRUB manual, 'Shell-like scripting': nothing is special between single quotes)."""
    return "'" + re.sub(r"[^ -~]", "?", text).replace("'", "'\\''") + "'"


FILTERS = {
    "c_string": c_string, "c_comment": c_comment, "c_enum": c_enum, "c_vm_kind": c_vm_kind, "c_user_flag": c_user_flag, "c_number": c_number, "c_bool": c_bool,
    "c_bytes": c_bytes, "c_hex_bytes": c_hex_bytes, "json": json_value, "grub_word": grub_word,
}


# ---- the model as templates see it -----------------------------------------------------------------------------------------------

# Attributes that are text whatever they look like; all others are numbers or yes and no.
TEXT = {"name", "description", "vendor", "extension", "kind", "machine", "cpu", "memory", "min-version", "what", "address", "loglevel", "uart",
        "source", "key", "key-bytes", "ready", "ready-on", "protocol", "cmdline", "abi", "core", "virtual", "pci", "dma", "rule", "file", "text", "project", "sha256"}
# Attributes of these names are text in one element and numbers in another.
NUMBERS_IN = {("function", "vendor"), ("console", "cpu"), ("cx", "address")}


def value_of(tag, name, text):
    if name in TEXT and (tag, name) not in NUMBERS_IN:
        return text
    if text in ("yes", "no"):
        return text == "yes"
    return int(text, 0)


def as_dict(element):
    """Attributes by name, '-' as '_'; children in lists by their tag's plural."""
    result = {name.replace("-", "_"): value_of(element.tag, name, text) for name, text in element.attrib.items()}
    for child in element:
        result.setdefault(child.tag.replace("-", "_") + "_list", []).append(as_dict(child))
    return result


def only(parent, tag):
    """The one child of that tag."""
    found = parent.get(tag + "_list", [])
    if len(found) != 1:
        raise Problem("resolved.xml has %d <%s> where one is expected" % (len(found), tag))
    return found[0]


def load_model(path):
    try:
        root = as_dict(ElementTree.parse(path).getroot())
    except (ElementTree.ParseError, ValueError) as error:
        raise Problem("%s is not a resolved model: %s" % (path, error)) from error
    if root.get("version") != 1:
        raise Problem("%s has version %s, this render.py reads version 1; build bhc anew" % (path, root.get("version")))

    board, scenario = only(root, "board"), only(root, "scenario")
    for name in ("tsc", "lapic", "mcfg", "acpi"):
        board[name] = only(board, name)
    board["emulator"] = board.get("emulator_list", [None])[0]
    for name in ("feature", "mitigation", "quirk", "reserved", "px", "cx", "function", "cache"):
        board.setdefault(name + "_list", [])
    for function in board["function_list"]:
        function.setdefault("bar_list", [])
    for name in ("module", "shm", "cache_class"):
        scenario.setdefault(name + "_list", [])
    for shared in scenario["shm_list"]:
        shared.setdefault("user_list", [])
    hypervisor = only(scenario, "hypervisor")
    for vm in scenario["vm_list"]:
        for name in ("flag", "may_ask", "mem", "vuart", "device"):
            vm.setdefault(name + "_list", [])
        vm.setdefault("ready", None)
        vm.setdefault("ready_on", None)
        vm["boot"] = only(vm, "boot")
        vm["autostart"] = any(flag["name"] == "autostart" for flag in vm["flag_list"])
        vm["console"] = any(uart["console"] for uart in vm["vuart_list"])

    guests = [{"vm": vm["name"], "hpa": mem["hpa"], "size": mem["size"]} for vm in scenario["vm_list"] for mem in vm["mem_list"]]
    return {
        "sizes": only(root, "sizes"),
        "board": board,
        "scenario": scenario,
        "loglevel": hypervisor["loglevel"],
        "console": only(hypervisor, "console"),
        "service": only(scenario, "service"),
        "hv": only(hypervisor, "image"),
        "modules": only(hypervisor, "module_store"),
        "module_list": scenario["module_list"],
        "vms": scenario["vm_list"],
        "guests": guests,
        "warning_list": root.get("warning_list", []),
        "warnings_omitted": sum(omitted["count"] for omitted in root.get("warnings_omitted_list", [])),
    }


# ---- rendering -------------------------------------------------------------------------------------------------------------------

def environment_for(templates, cache):
    """cache: folder for compiled templates, which take longer to compile than to render; None: compile them anew."""
    if cache is not None:
        os.makedirs(cache, exist_ok=True)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(templates), undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=True, autoescape=lambda name: name.endswith(".html.j2"),
                                     bytecode_cache=None if cache is None else jinja2.FileSystemBytecodeCache(cache))
    environment.filters.update(FILTERS)
    return environment


def render(model, environment, name):
    try:
        return environment.get_template(name + ".j2").render(model)
    except jinja2.TemplateNotFound as error:
        raise Problem("there is no template %s in %s" % (error, ", ".join(environment.loader.searchpath))) from error
    except jinja2.TemplateError as error:
        raise Problem("template %s.j2: %s" % (name, error)) from error


def render_all(model, templates, names, cache):
    """{name: text}. What only the report needs is loaded and worked out only for it."""
    if any(name.startswith("report.") for name in names):
        import report_model
        model["report"] = report_model.build(model, templates)
    environment = environment_for(templates, cache)
    return {name: render(model, environment, name) for name in names}


def unchanged(path, text):
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read() == text
    except (OSError, UnicodeDecodeError):
        return False


def write_all(directory, texts):
    """All files or none: each beside its name first, then renamed. Files that hold the text already are left alone, so that ninja need not build anew
    what is made of them."""
    temporary = []
    try:
        for name, text in texts.items():
            if unchanged(os.path.join(directory, name), text):
                continue
            path = os.path.join(directory, ".%s.%d.tmp" % (name, os.getpid()))
            temporary.append((path, os.path.join(directory, name)))
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
        for path, final in temporary:
            os.replace(path, final)
    except OSError:
        for path, _ in temporary:
            if os.path.exists(path):
                os.unlink(path)
        raise


def main():
    parser = argparse.ArgumentParser(description="Renders configuration tables and runner files from bhc's resolved.xml.")
    parser.add_argument("resolved", help="resolved.xml")
    parser.add_argument("names", nargs="+", metavar="NAME", help="files to render: NAME.j2 in the template folder gives NAME")
    parser.add_argument("--templates", required=True, help="folder of the templates")
    parser.add_argument("--manifest", help="manifest.dtb, for templates that hold it")
    parser.add_argument("--cache", help="folder in which compiled templates are kept for the next time (left out: they are not)")
    parser.add_argument("--out-dir", required=True, help="where to write; must exist")
    options = parser.parse_args()
    try:
        model = load_model(options.resolved)
        if options.manifest:
            with open(options.manifest, "rb") as file:
                model["manifest"] = file.read()
        write_all(options.out_dir, render_all(model, options.templates, options.names, options.cache))
    except Problem as problem:
        sys.stderr.write("render.py: %s\n" % problem)
        return 2
    except OSError as error:
        sys.stderr.write("render.py: cannot read or write %s: %s\n" % (error.filename, error.strerror))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
