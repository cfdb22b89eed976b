#!/usr/bin/env python3
"""Prints docs/CONFIG.md: what the XSDs say of every element and attribute, in the frame of templates/CONFIG.md.j2.

    config_doc.py > docs/CONFIG.md
"""

import os
import sys
import xml.etree.ElementTree as ElementTree

import jinja2

HERE = os.path.dirname(os.path.abspath(__file__))
XS = "{http://www.w3.org/2001/XMLSchema}"
# What a named type admits, in a few words; the schema's own text completes an error message instead.
TYPES = {"number": "number", "size": "size", "yes-no": "`yes` `no`", "file-name": "file name", "bdf": "PCI address", "words": "words", "hertz": "Hz, or `calibrate`",
         "version": "version", "xs:string": "text"}


class Undocumented(Exception):
    """An element or attribute of which the schema says nothing."""


def text_of(node, what):
    found = node.find(XS + "annotation/" + XS + "documentation")
    text = " ".join(found.text.split()) if found is not None and found.text else ""
    if not text:
        raise Undocumented("%s has no annotation" % what)
    return text.replace("<", "`<").replace(">", ">`").replace("|", "\\|")


def how_often(node):
    least, most = node.get("minOccurs", "1"), node.get("maxOccurs", "1")
    return {("1", "1"): "", ("0", "1"): "optional", ("1", "unbounded"): "one or more", ("0", "unbounded"): "any number"}[least, most]


def attribute(node, path):
    name = node.get("name")
    values = [value.get("value") for value in node.iter(XS + "enumeration")]
    return {"name": name, "required": node.get("use") == "required", "form": " ".join("`%s`" % value for value in values) or TYPES[node.get("type")],
            "text": text_of(node, "%s@%s" % (path, name))}


def elements(node, above="", often=""):
    """Every element below node, in document order: path, how often, text, attributes."""
    path = above + node.get("name")
    result = [{"path": path, "often": often, "text": text_of(node, path), "attributes": []}]
    inside = node.find(XS + "complexType")
    for part in inside.iter() if inside is not None else ():
        if part.tag == XS + "attribute" and owner(inside, part):
            result[0]["attributes"].append(attribute(part, path))
    for child, repeated in children(inside):
        result += elements(child, path + "/", repeated or how_often(child))
    return result


def owner(inside, wanted):
    """Whether an attribute belongs to this type itself and not to an element within."""
    direct = list(inside) + [part for extension in inside.findall(XS + "simpleContent/" + XS + "extension") for part in extension]
    return wanted in direct


def children(inside):
    for group in ("sequence", "choice"):
        for part in inside.findall(XS + group) if inside is not None else ():
            for child in part.findall(XS + "element"):
                yield child, how_often(part)


def page():
    model = {}
    for kind in ("board", "scenario"):
        root = ElementTree.parse(os.path.join(HERE, "schema", kind + ".xsd")).getroot()
        model[kind] = elements(root.find(XS + "element"))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(os.path.join(HERE, "templates")), undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    return environment.get_template("CONFIG.md.j2").render(model)


def main():
    try:
        sys.stdout.write(page())
    except (Undocumented, KeyError) as problem:
        sys.exit("config_doc.py: %s; add it to gen/schema" % problem)


if __name__ == "__main__":
    main()
