"""What bhmanifest (gen/manifest) says of an image: the tree of its manifest, as Python has it."""

import functools
import json
import subprocess

from build import build_tool
from common import Problem

PROGRAM = "gen/manifest/bhmanifest"


@functools.lru_cache(maxsize=None)
def program():
    """The path of bhmanifest, built once in the life of this process."""
    return build_tool(PROGRAM, quiet=True)


def call(arguments, label=None):
    """bhmanifest's standard output. label: what its message shall name instead of the file (a temporary one)."""
    done = subprocess.run([program()] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        text = done.stderr.decode("utf-8", "replace").strip().replace("bhmanifest: ", "", 1)
        if label:
            text = text.replace(arguments[1], label)
        raise Problem(text or "bhmanifest ended with status %d" % done.returncode)
    return done.stdout


def tree(path, label=None):
    """The manifest of a hypervisor image, or one in a file of its own: {"name", "properties", "nodes"}."""
    return json.loads(call(["json", path], label))


def nodes(parent, name):
    """The children of that name."""
    return [node for node in parent["nodes"] if node["name"] == name]


def node(parent, *names):
    """The first child of that name, its first child of the next name and so on; an empty one where there is none."""
    for name in names:
        parent = (nodes(parent, name) or [{"name": name, "properties": {}, "nodes": []}])[0]
    return parent


def number(properties, name):
    """A number of a node's properties; 0 where there is none."""
    value = properties.get(name, 0)
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except ValueError:
        return 0


def inputs(root):
    """{"board": SHA-256, "scenario": SHA-256} of the files that a manifest names as what it was made from."""
    return {entry["properties"].get("kind", "?"): entry["properties"].get("sha256", "?") for entry in nodes(root, "input")}
