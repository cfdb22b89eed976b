"""The service VM's kernel: Debian's kernel source with the in-tree driver of /dev/acrn_hsm, configured by tests/linux/hsm.fragment. Built
once and kept in the user's cache folder."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from common import ROOT, Problem, Ticker, cache_dir, need_space, say, tail, write_file
from machine import child_setup

PACKAGE = "linux-source-6.1"
SOURCE = "/usr/src/linux-source-6.1.tar.xz"
FRAGMENT = os.path.join(ROOT, "tests/linux/hsm.fragment")
BUILD_SPACE = 1200 << 20
STEPS = 956  # files that a build compiles, for the progress line
KEPT = 3     # kernels in the cache; older ones go when a new one is built
PREFIX = "hsm-kernel-"

# Nothing of these is compiled; without them the unpacked tree is a third of its size. Kconfig and make files all stay.
LEFT_OUT = ["Documentation/*.rst", "Documentation/*.yaml", "Documentation/*.txt", "sound/*.[ch]", "drivers/gpu/*.[ch]",
            "drivers/media/*.[ch]", "drivers/net/*/*.[ch]", "drivers/infiniband/*.[ch]", "drivers/scsi/*.[ch]", "drivers/staging/*.[ch]",
            "tools/testing", "tools/perf", "arch/[!x]*.[chS]", "arch/xtensa/*.[chS]", "*.dts", "*.dtsi"]


def output_of(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def cache_key():
    """What the kernel depends on: the source package's version, the fragment, the compiler."""
    version = output_of(["dpkg-query", "-W", "-f", "${Version}", PACKAGE])
    compiler = output_of(["gcc", "--version"]).split("\n")[0]
    if not version or not os.path.exists(SOURCE):
        raise Problem("hsm:kernel: %s is missing; package %s has it" % (SOURCE, PACKAGE))
    if not compiler:
        raise Problem("hsm:kernel: gcc cannot be run; package gcc has it")
    digest = hashlib.sha256()
    with open(FRAGMENT, "rb") as file:
        for part in (version.encode(), file.read(), compiler.encode()):
            digest.update(part + b"\0")
    return "%s%s-%s" % (PREFIX, re.sub(r"[^\w.]", "_", version), digest.hexdigest()[:12])


def wanted_options(fragment):
    """[(option, value)] of a fragment; value n stands for 'not set'."""
    lines = [line.strip() for line in fragment.splitlines()]
    return [tuple(line.split("=", 1)) for line in lines if line and not line.startswith("#")]


def unmet(fragment, config):
    """Lines of the fragment that the finished configuration does not have."""
    have = dict(wanted_options(config))
    return ["%s=%s" % (name, value) for name, value in wanted_options(fragment) if have.get(name, "n") != value]


def compiled(log):
    """How many files the build has compiled by now."""
    try:
        with open(log, "rb") as file:
            return len(re.findall(rb"^  (?:CC|AS) ", file.read(), re.MULTILINE))
    except OSError:
        return 0


def run_step(command, log, what, progress, env=None):
    """One step of the build with its output in log. Its process group ends with it, however it ends."""
    with open(log, "ab") as file:
        try:
            child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env,
                                     start_new_session=True, preexec_fn=child_setup)
        except OSError as error:
            raise Problem("hsm:kernel: %s: cannot run %s: %s" % (what, command[0], error.strerror)) from error
        try:
            with Ticker(progress, 4.0):
                code = child.wait()
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
    if code != 0:
        with open(log, encoding="utf-8", errors="replace") as file:
            output = file.read()
        if "No space left on device" in output:
            raise Problem("no free disk: hsm:kernel: %s stopped" % what)
        lines = [line for line in output.splitlines() if re.search(r"error[: ]|\*\*\*|No rule", line)] or output.splitlines()
        kept = os.path.join(cache_dir(), "hsm-kernel-failed.log")
        shutil.copyfile(log, kept)
        raise Problem("hsm:kernel: %s failed (status %d):\n%s\n  whole output: %s" % (what, code, tail("\n".join(lines), 12), kept))


def configure(make, log, out):
    run_step(make + ["KCONFIG_ALLCONFIG=" + FRAGMENT, "allnoconfig"], log, "the configuration", "configuring the service VM's kernel",
             environment())
    with open(FRAGMENT, encoding="utf-8") as one, open(os.path.join(out, ".config"), encoding="utf-8") as two:
        wrong = unmet(one.read(), two.read())
    if wrong:
        raise Problem("hsm:kernel: tests/linux/hsm.fragment asks for what this kernel source does not give: %s" % ", ".join(wrong))


def environment():
    """Nothing of the caller's make, and no date, user or host in the kernel."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE")}
    env.update(LC_ALL="C", KBUILD_BUILD_TIMESTAMP="2026-01-01", KBUILD_BUILD_USER="bulkhead", KBUILD_BUILD_HOST="bulkhead")
    return env


def compile_kernel(work):
    """Unpacks, configures and builds in the folder work; path of the bzImage. Raises Problem."""
    log = os.path.join(work, "build.log")
    out = os.path.join(work, "out")
    os.mkdir(out)
    say("building the service VM's kernel from %s: once, some minutes; later runs take it from %s" % (PACKAGE, cache_dir()))
    excludes = ["--exclude=%s/%s" % (PACKAGE, pattern) for pattern in LEFT_OUT]
    run_step(["tar", "-xJf", SOURCE, "-C", work, "--no-same-owner", "--wildcards"] + excludes, log, "unpacking " + PACKAGE,
             "unpacking " + PACKAGE)
    make = ["make", "-C", os.path.join(work, PACKAGE), "O=" + out, "ARCH=x86_64"]
    configure(make, log, out)

    def progress():
        done = compiled(log)
        return "building the service VM's kernel: %d of about %d files (%d %%)" % (done, STEPS, min(99, done * 100 // STEPS))
    run_step(make + ["-j%d" % (os.cpu_count() or 2), "bzImage"], log, "the build", progress, environment())
    say("the service VM's kernel is built (%d files)" % compiled(log))
    return os.path.join(out, "arch/x86/boot/bzImage")


def forget_old(keep):
    """Removes kernels beyond the newest KEPT."""
    kernels = [os.path.join(cache_dir(), name) for name in os.listdir(cache_dir()) if name.startswith(PREFIX) and name != keep and
               os.path.isdir(os.path.join(cache_dir(), name))]
    for path in sorted(kernels, key=os.path.getmtime, reverse=True)[KEPT - 1:]:
        shutil.rmtree(path, ignore_errors=True)


def locked(lock):
    """Takes the lock of the one builder at a time, saying so while another has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with Ticker("waiting for another run that builds the service VM's kernel", 4.0):
            fcntl.flock(lock, fcntl.LOCK_EX)


def hsm_kernel():
    """The bzImage of the service VM's kernel, built if the cache does not have it."""
    key = cache_key()
    image = os.path.join(cache_dir(), key, "bzImage")
    if os.path.exists(image):
        return image
    os.makedirs(cache_dir(), exist_ok=True)
    with open(os.path.join(cache_dir(), ".hsm-kernel.lock"), "w", encoding="utf-8") as lock:
        locked(lock)
        if os.path.exists(image):
            return image
        # Whoever holds the lock is alone: what an interrupted build left lies here still.
        for name in os.listdir(cache_dir()):
            if name.startswith(".hsm-build-"):
                shutil.rmtree(os.path.join(cache_dir(), name), ignore_errors=True)
        need_space(cache_dir(), BUILD_SPACE, "hsm:kernel")
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".hsm-build-") as work:
            with open(compile_kernel(work), "rb") as file:
                write_file(image, file.read())
        forget_old(key)
    return image
