"""Where boot modules come from: guest:NAME, debian:kernel, debian:initramfs, hsm:kernel, hsm:initramfs, file:PATH."""

import os
import re
import shutil
import subprocess
import tempfile

import initramfs
import linux_kernel
from common import CACHE_SPACE, ROOT, Problem, Ticker, cache_dir, need_space, say

META_PACKAGE = "linux-image-cloud-amd64"
KERNEL_PATTERN = r"linux-image-6\.1\S*-cloud-amd64"


def apt(arguments, cwd=None):
    """Runs an apt tool; (status, output)."""
    try:
        done = subprocess.run(arguments, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, LC_ALL="C"))
    except OSError as error:
        return 127, "%s: %s" % (arguments[0], error.strerror)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def wanted_kernel():
    """Package and version of the kernel that the meta package stands for, by the package lists on this machine; or None."""
    _, text = apt(["apt-cache", "depends", META_PACKAGE])
    found = re.search(r"Depends: (%s)" % KERNEL_PATTERN, text)
    if not found:
        return None
    package = found.group(1)
    _, text = apt(["apt-cache", "policy", package])
    candidate = re.search(r"Candidate: (\S+)", text)
    if not candidate or candidate.group(1) == "(none)":
        return None
    return package, candidate.group(1)


def cached_kernels():
    """Kernels in the cache, newest last."""
    found = []
    try:
        entries = os.listdir(cache_dir())
    except OSError:
        return []
    for name in entries:
        path = os.path.join(cache_dir(), name, "vmlinuz")
        if name.startswith("linux-image-") and os.path.exists(path):
            key = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
            found.append((key, path))
    return [path for _, path in sorted(found)]


def update_lists():
    """Fetches the package lists when this user may; whether it did."""
    command = ["apt-get", "update", "-q"]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            return False
        command = ["sudo", "-n"] + command
    say("fetching Debian's package lists (to find the kernel package)")
    with Ticker("apt-get update"):
        return apt(command)[0] == 0


def fetch_kernel(package, version):
    """Downloads and unpacks one kernel package into the cache; path of its vmlinuz. Raises Problem."""
    target = os.path.join(cache_dir(), "%s_%s" % (package, version.replace(":", "%3a").replace("/", "_")))
    vmlinuz = os.path.join(target, "vmlinuz")
    if os.path.exists(vmlinuz):
        return vmlinuz
    need_space(cache_dir(), CACHE_SPACE, "debian:kernel")
    os.makedirs(cache_dir(), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".fetch-") as work:
        say("fetching Debian's kernel package %s %s (the Linux guests run it unmodified)" % (package, version))
        with Ticker("apt-get download %s" % package):
            status, text = apt(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "%s=%s" % (package, version)], cwd=work)
        files = [name for name in os.listdir(work) if name.endswith(".deb")]
        if status != 0 or len(files) != 1:
            raise Problem("debian:kernel: package %s %s could not be fetched: %s" % (package, version, reason(text)))
        unpacked = os.path.join(work, "unpacked")
        with Ticker("unpacking %s" % package):
            status, text = apt(["dpkg-deb", "-x", os.path.join(work, files[0]), unpacked])
        if status != 0:
            raise Problem("debian:kernel: %s could not be unpacked: %s" % (files[0], reason(text)))
        boot = os.path.join(unpacked, "boot")
        images = [name for name in (os.listdir(boot) if os.path.isdir(boot) else []) if name.startswith("vmlinuz-")]
        if len(images) != 1:
            raise Problem("debian:kernel: %s holds no single boot/vmlinuz-*" % files[0])
        ready = os.path.join(work, "ready")
        os.mkdir(ready)
        os.replace(os.path.join(boot, images[0]), os.path.join(ready, "vmlinuz"))
        if not os.path.exists(vmlinuz):
            shutil.rmtree(target, ignore_errors=True)
            try:
                os.replace(ready, target)
            except OSError:
                if not os.path.exists(vmlinuz):  # else another run was a moment earlier
                    raise
    return vmlinuz


def reason(text):
    """The one line of a tool's output that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("E:"):
            return line
    return lines[-1] if lines else "no output"


def debian_kernel():
    """The vmlinuz of Debian's 6.1 cloud kernel: the one that the package lists name, or, where there are none, the newest that was
    fetched before."""
    wanted = wanted_kernel()
    if wanted is None and not cached_kernels() and update_lists():
        wanted = wanted_kernel()
    if wanted is None:
        cached = cached_kernels()
        if cached:
            return cached[-1]
        raise Problem("debian:kernel: the package lists of this machine have no %s; run 'apt-get update' on a Debian 12 with its main "
                      "archive, or give a kernel with --module NAME=FILE" % META_PACKAGE)
    try:
        return fetch_kernel(*wanted)
    except Problem:
        if cached_kernels():
            return cached_kernels()[-1]
        if not update_lists():
            raise
    again = wanted_kernel()
    return fetch_kernel(*(again or wanted))


DM_TARGET = "tests/dm/dm"


def guest_target(source):
    """The build target of a source that is built with the hypervisor, or None."""
    if source == "hsm:initramfs":
        return DM_TARGET
    return "tests/guests/%s.elf" % source[6:] if source.startswith("guest:") else None


def has_target(source):
    """Whether there is a program to build for this source (a guest:NAME may be given with --module instead)."""
    target = guest_target(source)
    return target is not None and (target == DM_TARGET or os.path.exists(os.path.join(ROOT, target[:-4] + ".c")))


def resolve(module, build_dir, overrides, near=ROOT):
    """Path of the file for one module of run.json; near: where file:PATH starts from. Raises Problem naming the module."""
    name, source = module["name"], module["source"]
    if name in overrides:
        path = os.path.abspath(overrides[name])
    elif source.startswith("guest:"):
        path = os.path.join(build_dir, guest_target(source))
        if not os.path.exists(path):
            raise Problem("module '%s' needs --module %s=FILE: there is no guest program '%s' in tests/guests" % (name, name, source[6:]))
    elif source == "debian:kernel":
        path = debian_kernel()
    elif source == "debian:initramfs":
        path = initramfs.build(os.path.join(build_dir, "initramfs.cpio.gz"))
    elif source == "hsm:kernel":
        path = linux_kernel.hsm_kernel()
    elif source == "hsm:initramfs":
        path = initramfs.build_service(os.path.join(build_dir, "service-initramfs.cpio"), os.path.join(build_dir, DM_TARGET), debian_kernel(),
                                       initramfs.build(os.path.join(build_dir, "initramfs.cpio.gz")))
    elif source.startswith("file:"):
        path = os.path.join(near, source[5:])
    else:
        raise Problem("module '%s' has source '%s'; the runner knows guest:NAME, debian:kernel, debian:initramfs, hsm:kernel, "
                      "hsm:initramfs and file:PATH" % (name, source))
    try:
        size = os.path.getsize(path)
    except OSError as error:
        raise Problem("module '%s': cannot read %s: %s" % (name, path, error.strerror)) from error
    if size > module["max_size"]:
        raise Problem("module '%s': %s has %d bytes, the scenario allows %d; raise its max-size" % (name, path, size, module["max_size"]))
    return path
