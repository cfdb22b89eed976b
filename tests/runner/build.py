"""Builds of boards and scenarios, each in a folder of its own under build/."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import sources
from common import (BUILD, BUILD_SPACE, ROOT, Problem, Ticker, cache_dir, have_tool, names_in, need_space, pair_name, run_logged, say, tail, xml_description, xml_path)


def compiler_command(compiler):
    """The compiler, behind ccache where that is installed: most objects of one pair are those of another, to the byte."""
    return "ccache " + compiler if have_tool("ccache") else compiler


def ccache_settings():
    """A cache of our own. Object files do not name the folder they were built in (src/meson.build), so it need not be part of the key."""
    return {"CCACHE_DIR": os.path.join(cache_dir(), "ccache"), "CCACHE_MAXSIZE": "1G", "CCACHE_NOHASHDIR": "1"}


def module_overrides(texts):
    """{module name: file} of what --module NAME=FILE says."""
    overrides = {}
    for text in texts or ():
        name, separator, path = text.partition("=")
        if not separator or not name or not path:
            raise Problem("--module %s: write NAME=FILE" % text)
        overrides[name] = path
    return overrides


def forget_setup(folder):
    """Before a build folder without build.ninja is set up: what an interrupted set-up left, with which meson would do nothing."""
    shutil.rmtree(os.path.join(folder, "meson-private"), ignore_errors=True)


def set_up_host_programs(folder, option, quiet):
    """Sets up a build folder of programs for this machine, unless it is."""
    if os.path.exists(os.path.join(folder, "build.ninja")):
        return
    name = os.path.basename(folder)
    forget_setup(folder)
    run_logged(["meson", "setup", folder, ROOT, "-Dhypervisor=false", option], os.path.join(BUILD, "logs", name + "-setup.log"),
               "configuring the build folder '%s'" % name, quiet=quiet)


class Build:
    """One configured build folder. compiler: gcc or clang."""

    def __init__(self, board, scenario, compiler="gcc", suffix="", options=()):
        self.board, self.scenario, self.compiler = board, scenario, compiler
        self.board_xml, self.scenario_xml = xml_path("board", board), xml_path("scenario", scenario)
        names = [path if name.endswith(".xml") else name for name, path in ((board, self.board_xml), (scenario, self.scenario_xml))]
        self.options = ["-Dboard=" + names[0], "-Dscenario=" + names[1], "-Dunit=false"] + list(options)
        self.name = pair_name(board, scenario) + ("" if compiler == "gcc" else "-" + compiler) + suffix
        self.dir = os.path.join(BUILD, self.name)
        self.logs = os.path.join(self.dir, "logs")

    def path(self, name):
        return os.path.join(self.dir, name)

    @property
    def image32(self):
        return self.path("src/bulkhead.elf32")

    @property
    def image64(self):
        return self.path("src/bulkhead.elf")

    def config(self):
        with open(self.path("gen/config/run.json"), encoding="utf-8") as file:
            return json.load(file)

    def _configure(self):
        env = dict(os.environ, CC=compiler_command(self.compiler))
        os.makedirs(self.logs, exist_ok=True)
        ready = os.path.exists(self.path("build.ninja"))
        recorded = self.path("options.txt")
        wanted = " ".join([compiler_command(self.compiler)] + self.options)
        if ready and os.path.exists(recorded) and open(recorded, encoding="utf-8").read() == wanted:
            return
        command = ["meson", "setup", self.dir, ROOT] + self.options
        if ready:
            command.insert(2, "--wipe")
        else:
            forget_setup(self.dir)
        run_logged(command, os.path.join(BUILD, "logs", self.name + "-setup.log"), "configuring " + self.name, env=env)
        os.makedirs(self.logs, exist_ok=True)
        with open(recorded, "w", encoding="utf-8") as file:
            file.write(wanted)

    def ninja(self, targets, quiet=False):
        """Builds targets; a Problem carries the compiler's or bhc's own lines."""
        need_space(self.dir, BUILD_SPACE, "the build of " + self.name)
        os.makedirs(self.dir, exist_ok=True)
        with open(self.path(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the same pair build one after the other
            self._configure()
            log = self.path("logs/build.log")
            os.makedirs(self.logs, exist_ok=True)
            with open(log, "wb") as file:
                child = subprocess.Popen(["ninja", "-C", self.dir] + list(targets), stdout=file, stderr=subprocess.STDOUT,
                                         stdin=subprocess.DEVNULL, env=dict(ccache_settings(), **os.environ))
                try:
                    if quiet:
                        code = child.wait()
                    else:
                        with Ticker(lambda: "building " + self.name + " " + ninja_step(log), 5.0):
                            code = child.wait()
                except BaseException:
                    child.terminate()
                    child.wait()
                    raise
        if code != 0:
            with open(log, encoding="utf-8", errors="replace") as file:
                raise Problem(failure_text(self.name, file.read(), log))

    def describe(self, quiet=False):
        """Checks the configuration and makes the runner files alone; what is in run.json."""
        self.ninja(["gen/config/run.json", "gen/config/grub.cfg"], quiet)
        return self.config()

    def make(self, guests=(), quiet=False):
        """The hypervisor image, runner files and the guest programs that the scenario's modules name (and those in guests)."""
        self.describe(quiet)
        targets = ["src/bulkhead.elf32"] + ["tests/guests/%s.elf" % name for name in guests]
        for module in self.config()["modules"]:
            if sources.has_target(module["source"]):
                targets.append(sources.guest_target(module["source"]))
        self.ninja(sorted(set(targets)), quiet)
        return self

    def modules(self, overrides):
        """[(file, module name)] in the scenario's order. Overrides: {module name: file}."""
        known = [module["name"] for module in self.config()["modules"]]
        for name in overrides:
            if name not in known:
                raise Problem("--module %s=...: scenario '%s' has no module of that name; it has: %s" %
                              (name, self.scenario, ", ".join(known)))
        near = os.path.dirname(self.scenario_xml) if self.scenario.endswith(".xml") else ROOT
        return [(sources.resolve(module, self.dir, overrides, near), module["name"]) for module in self.config()["modules"]]


def ninja_step(log):
    """The progress mark of the last finished step in ninja's output, such as [17/90]."""
    try:
        with open(log, "rb") as file:
            marks = re.findall(rb"^\[\d+/\d+\]", file.read(), re.MULTILINE)
    except OSError:
        return ""
    return marks[-1].decode() if marks else ""


def failure_text(name, output, log):
    """What a person needs from a failed build: bhc's diagnostics alone when it was the configuration, else the compiler's first errors."""
    diagnostics = [line for line in output.splitlines() if re.search(r": error: \[[A-Z]+-\d+\]", line)]
    if diagnostics:
        return "configuration refused:\n" + "\n".join(diagnostics)
    if "No space left on device" in output:
        return "no free disk: the build of %s stopped; whole output: %s" % (name, log)
    lines = output.splitlines()
    first = next((i for i, line in enumerate(lines) if re.search(r"error[: ]|^FAILED", line)), max(0, len(lines) - 15))
    shown = [line for line in lines[first:first + 25] if not re.match(r"(cc|gcc|clang) .* -c ", line)]
    return "build of %s failed:\n%s\n  whole output: %s" % (name, tail("\n".join(shown), 20), log)


def build_tool(target, quiet=False):
    """A program of gen/ that runs on this machine, such as gen/bhc; its path."""
    where = os.path.join(BUILD, "tools")
    need_space(where, BUILD_SPACE, "the build of " + os.path.basename(target))
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(BUILD, ".tools.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up_host_programs(where, "-Dunit=false", quiet)
        run_logged(["ninja", "-C", where, target], os.path.join(BUILD, "logs", "tools-build.log"), "building " + os.path.basename(target), quiet=quiet)
    return os.path.join(where, target)


def build_bhc(quiet=False):
    """The configuration compiler alone; path of its program."""
    return build_tool("gen/bhc", quiet)


class Verdict:
    """What the configuration compiler says of a pair: whether it is valid, the first complaint if not, and how many warnings there are."""

    def __init__(self, done):
        said = json.loads(done.stdout)
        self.valid = done.returncode == 0
        self.warnings = said["warnings"]
        errors = [entry for entry in said["diagnostics"] if entry["severity"] == "error"]
        self.complaint = None if self.valid else "%(file)s:%(line)d: error: [%(rule)s] %(message)s" % errors[0] if errors else said.get("cannot_run", "?")


def judge_pairs(bhc):
    """{(board, scenario): Verdict} for all of this tree."""
    pairs = {}
    for board in names_in("boards"):
        for scenario in names_in("scenarios"):
            done = subprocess.run([bhc, xml_path("board", board), xml_path("scenario", scenario), "--schema-dir", os.path.join(ROOT, "gen/schema"),
                                   "--check", "--format=json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            try:
                pairs[board, scenario] = Verdict(done)
            except ValueError as error:
                raise Problem("bhc does not answer for %s on %s: %s" % (scenario, board, done.stdout.decode("utf-8", "replace")[:200])) from error
    return pairs


def valid_pairs(bhc):
    """{(board, scenario): None or the first complaint}"""
    return {pair: verdict.complaint for pair, verdict in judge_pairs(bhc).items()}


def complain(problem):
    sys.stderr.write("bulkhead: %s\n" % problem)


def board_emulator(name):
    """qemu, bochs, or None for a real machine."""
    try:
        emulator = ElementTree.parse(xml_path("board", name)).getroot().find("emulator")
    except (OSError, ElementTree.ParseError):
        return None
    return None if emulator is None else emulator.get("kind")


def board_quirks(name):
    """The emulator faults that a board's file names."""
    try:
        return [quirk.get("name") for quirk in ElementTree.parse(os.path.join(ROOT, "boards", name + ".xml")).getroot().iter("quirk")]
    except (OSError, ElementTree.ParseError):
        return []


def listing(as_json):
    pairs = valid_pairs(build_bhc(quiet=True))
    if as_json:
        print(json.dumps({
            "boards": [{"name": name, "description": xml_description("boards", name), "quirks": board_quirks(name)}
                       for name in names_in("boards")],
            "scenarios": [{"name": name, "description": xml_description("scenarios", name)} for name in names_in("scenarios")],
            "pairs": [{"board": board, "scenario": scenario} for (board, scenario), wrong in sorted(pairs.items()) if wrong is None],
        }, indent=2))
        return 0
    for folder in ("boards", "scenarios"):
        print(folder.capitalize())
        for name in names_in(folder):
            print("  %-16s %s" % (name, xml_description(folder, name)))
            if folder == "boards" and board_quirks(name):
                print("  %-16s   quirks: %s" % ("", " ".join(board_quirks(name))))
        print()
    print("Valid pairs (./bulkhead build SCENARIO --board BOARD)")
    for board in names_in("boards"):
        good = [scenario for scenario in names_in("scenarios") if pairs[board, scenario] is None]
        print("  %-16s %s" % (board, ", ".join(good) or "none"))
    return 0


def command_build(options):
    began = time.monotonic()
    if options.clean:
        shutil.rmtree(Build(options.board, options.scenario, options.compiler).dir, ignore_errors=True)
    build = Build(options.board, options.scenario, options.compiler).make()
    say("built %s for board %s in %d s: %s" % (options.scenario, options.board, time.monotonic() - began, build.image32))
    return 0
