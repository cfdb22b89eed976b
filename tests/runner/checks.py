"""What needs no machine: lints, both compilers' builds, unit tests, configuration tests, and the runner's own tests."""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from build import Build, build_bhc, failure_text, set_up_host_programs, valid_pairs
from common import BUILD, BUILD_SPACE, DEFAULT_BOARD, DEFAULT_SCENARIO, PYTHON, ROOT, need_space, run_logged, tail
from harness import Failure, Test, need

LOGS = os.path.join(BUILD, "logs")
TIDY_CONFIG = os.path.join(ROOT, "tests/lint/clang-tidy.yaml")
UNIT_DIR = os.path.join(BUILD, "unit")
PATIENCE = 10  # how many times longer than they say unit tests may take


def sources(*folders, suffixes=(".c", ".h")):
    """Files below folders, relative to the root, in order."""
    out = []
    for folder in folders:
        for where, folders_below, names in os.walk(os.path.join(ROOT, folder)):
            folders_below.sort()
            out += [os.path.relpath(os.path.join(where, name), ROOT) for name in sorted(names) if name.endswith(suffixes)]
    return out


def run_tool(command, what, cwd=ROOT):
    """Runs a lint tool; its output is the failure when it ends with another status than 0."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=cwd, stdin=subprocess.DEVNULL)
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise Failure("%s:\n%s" % (what, tail(output, 40)))
    return output


def finds_nothing(lint):
    """A lint of tests/lint has something to check and nothing to complain of."""
    output = run_tool([PYTHON, "tests/lint/%s.py" % lint], lint + " lint")
    need(re.search(r"^[1-9]\d+ (files|functions) checked, 0 complaints$", output, re.MULTILINE), output)


def complaints(lint, tree):
    """What it says of a tree with breaches, which it must refuse."""
    done = subprocess.run([PYTHON, os.path.join(ROOT, "tests/lint/%s.py" % lint), tree], stdout=subprocess.PIPE, check=False)
    need(done.returncode == 1, "it accepts a tree full of breaches")
    return done.stdout.decode()


def layers():
    finds_nothing("layers")


def layer_lint_bites():
    """The layer lint finds each kind of breach in a tree made for it."""
    breaches = {
        "src/core/bad.c": ('#include "x86/hw/cpu.h"\n', "core-impl may not include hw"),
        "src/hcall/bad.c": ('#include "x86/guest/emul.h"\n', "hcall may not include guest"),
        "include/lib/bad.h": ("#include <core/vm.h>\n", "lib may not include core"),
        "src/x86/guest/bad.c": ('#include "x86/svm/svm.h"\n', "guest may not include svm"),
        "src/x86/hw/bad.c": ("#ifdef CONFIG_SVM\n#endif\n", "vendor"),
        "src/core/date.c": ("const char *d = __DATE__;\n", "repeatable"),
        "src/core/long.c": ("\n" * 700, "length"),
    }
    headers = ["src/x86/hw/cpu.h", "src/x86/guest/emul.h", "include/core/vm.h", "src/x86/svm/svm.h"]
    with tempfile.TemporaryDirectory() as work:
        for path in headers + list(breaches):
            os.makedirs(os.path.dirname(os.path.join(work, path)), exist_ok=True)
            with open(os.path.join(work, path), "w", encoding="utf-8") as file:
                file.write(breaches[path][0] if path in breaches else "")
        output = complaints("layers", work)
        for path, (_, text) in breaches.items():
            need(re.search(re.escape(path) + r":\d+: .*" + text, output), "it does not find %s in %s" % (text, path))
    return len(breaches)


def vendor():
    finds_nothing("vendor")


def vendor_lint_bites():
    """The vendor lint finds each way in which code could choose by vendor, and leaves the backends alone."""
    breaches = {
        "src/core/a.c": "int f(void) { return cfg_board.vendor == 0; }\n",
        "src/x86/vdev/b.c": "#ifdef WITH_VMX\n#endif\n",
        "src/x86/hw/c.c": "if (hw_features.features & FEAT_SVM)\n",
        "src/x86/guest/d.c": "    if (who == FOR_AMD)\n",
        "include/core/e.h": "#if defined(INTEL)\n#endif\n",
        "src/hcall/f.c": 'static const char *v = "GenuineIntel";\n',
    }
    sound = {
        "src/x86/vmx/g.c": "if (cfg_board.vendor == CPU_VENDOR_INTEL)\n",
        "src/x86/guest/h.c": "/* cfg_board.vendor */\n    {0x1, FOR_AMD},\n",
        "include/core/i.h": "#ifndef BH_CORE_I_H\n#define BH_CORE_I_H\n#endif\n",
    }
    with tempfile.TemporaryDirectory() as work:
        for path, text in list(breaches.items()) + list(sound.items()):
            os.makedirs(os.path.dirname(os.path.join(work, path)), exist_ok=True)
            with open(os.path.join(work, path), "w", encoding="utf-8") as file:
                file.write(text)
        output = complaints("vendor", work)
        for path in breaches:
            need(path + ":" in output, "it does not find the breach in " + path)
        for path in sound:
            need(path + ":" not in output, "it complains about " + path)
    return len(breaches) + len(sound)


def contract():
    """docs/ARCHITECTURE.md shows the contract as it is; and that lint notices when it does not."""
    finds_nothing("contract")
    changes = [("docs/ARCHITECTURE.md", "`_set_boot_state`", "`_set_state`", "arch_vcpu_set_boot_state stands in no row"),
               ("docs/ARCHITECTURE.md", "`svm/npt.c`", "`svm/ntp.c`", "svm/ntp.c, which does not exist"),
               ("src/x86/vmx/vcpu.c", "arch_vcpu_refuse(", "vmx_refuse(", "arch_vcpu_refuse is not defined where its row says")]
    for path, old, new, complaint in changes:
        with tempfile.TemporaryDirectory() as work:
            for folder in ("docs", "include/arch", "src/x86"):
                shutil.copytree(os.path.join(ROOT, folder), os.path.join(work, folder))
            with open(os.path.join(work, path), "r+", encoding="utf-8") as file:
                text = file.read()
                need(old in text, "%s has no %s" % (path, old))
                file.seek(0)
                file.truncate()
                file.write(text.replace(old, new))
            need(complaint in complaints("contract", work), "it does not say \"%s\"" % complaint)
    return 1 + len(changes)


def formatting():
    files = sources("src", "include", "gen", "tests")
    output = subprocess.run(["clang-format", "--dry-run", "--Werror", "--ferror-limit=3"] + files, cwd=ROOT, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", output.stdout.decode(), re.MULTILINE)))
    need(output.returncode == 0, "not in the project's format (clang-format -i mends it): %s" % ", ".join(wrong))
    return len(files)


def shell_scripts():
    """bash can parse the front script and what CI calls."""
    for path in ("bulkhead", ".ci/run"):
        run_tool(["bash", "-n", path], path)
    return 2


def python_compiles():
    files = sources("gen", "tests", suffixes=(".py",))
    for path in files:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            compile(file.read(), path, "exec")
    return len(files)


def runner_self_tests():
    folder = os.path.dirname(os.path.abspath(__file__))
    suite = unittest.defaultTestLoader.discover(folder, pattern="test_*.py", top_level_dir=folder)
    result = unittest.TestResult()
    suite.run(result)
    problems = ["%s: %s" % (test, text) for test, text in result.failures + result.errors]
    need(not problems, "\n".join(problems))
    need(result.testsRun > 0, "no tests were found")
    return result.testsRun


# ---- analysers: they need the compile commands of a configured build -------------------------------------------------------------

def analysis_build():
    """A clang-configured build folder whose generated headers exist."""
    build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO, "clang", suffix="-analysis")
    build.ninja(["gen/config/sizes.h", "gen/config/tables.c"], quiet=True)
    return build


def analysed_files():
    return sources("src", "gen", "tests/dm", suffixes=(".c",))


def cppcheck():
    build = analysis_build()
    common = ["cppcheck", "--quiet", "--enable=warning,performance,portability", "--inline-suppr", "--error-exitcode=1", "--std=c11", "-j2",
              "--suppress=missingIncludeSystem", "--suppress=checkersReport", "--template={file}:{line}: {severity}: {id}: {message}"]
    run_tool(common + ["-Iinclude", "-Isrc", "-Isrc/x86/include", "-I" + build.path("gen"), "-D__x86_64__=1", "src"], "cppcheck of src")
    run_tool(common + ["-Iinclude", "-Isrc", "-Igen/bhc", "gen/bhc", "gen/diff", "gen/import", "gen/inspect", "gen/manifest"], "cppcheck of gen")
    run_tool(common + ["-Iinclude", "-Itests/dm", "-D__x86_64__=1", "tests/dm"], "cppcheck of tests/dm")
    return len(analysed_files())


def header_digest():
    digest = hashlib.sha256()
    for path in sources("include", "src", "gen", "tests/dm", suffixes=(".h", ".yaml")) + [os.path.relpath(TIDY_CONFIG, ROOT)]:
        with open(os.path.join(ROOT, path), "rb") as file:
            digest.update(path.encode() + b"\0" + file.read())
    return digest


def compile_commands(build):
    """A folder with the build's compile commands, one for each file: several programs share sources, and clang-tidy would analyse those as often (and, in
    version 14, take a va_list of the second time for one that was never begun)."""
    with open(build.path("compile_commands.json"), encoding="utf-8") as file:
        first = {}
        for entry in json.load(file):
            first.setdefault(os.path.realpath(os.path.join(entry["directory"], entry["file"])), entry)
    folder = build.path("tidy")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(list(first.values()), file)
    return folder


def clang_tidy(quick):
    """Every C file of src, gen and the device model. What was clean and has not changed since (nor any header) is not analysed again. quick, and what does
    not run on the target: the analyser follows fewer paths through long functions, which takes a third of the time."""
    database = compile_commands(analysis_build())
    cache = os.path.join(BUILD, "tidy-cache")
    os.makedirs(cache, exist_ok=True)
    headers = header_digest()

    def one(path):
        depth = 225000 if path.startswith("src/") and not quick else 20000  # nodes of a function's exploded graph; the former is clang's own limit
        digest = headers.copy()
        digest.update(b"%d\0" % depth)
        with open(os.path.join(ROOT, path), "rb") as file:
            digest.update(path.encode() + b"\0" + file.read())
        stamp = os.path.join(cache, digest.hexdigest())
        if os.path.exists(stamp):
            return ""
        done = subprocess.run(["clang-tidy", "--config-file=" + TIDY_CONFIG, "-p", database, "--quiet", "--extra-arg=-Xclang",
                               "--extra-arg=-analyzer-config", "--extra-arg=-Xclang", "--extra-arg=max-nodes=%d" % depth, path],
                              cwd=ROOT, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if re.search(r": (error|warning):", line)]
        if done.returncode == 0 and not lines:
            open(stamp, "w", encoding="utf-8").close()
            return ""
        return "\n".join(lines) or done.stdout.decode("utf-8", "replace")[-2000:]
    files = analysed_files()
    files.sort(key=lambda path: os.path.getsize(os.path.join(ROOT, path)), reverse=True)  # the longest first, so that none is left for last
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = [text for text in pool.map(one, files) if text]
    need(not found, "clang-tidy of %d files:\n%s" % (len(found), tail("\n".join(found), 40)))
    return len(files)


# ---- builds ----------------------------------------------------------------------------------------------------------------------

def build_pair(board, scenario, compiler):
    def run():
        build = Build(board, scenario, compiler)
        build.ninja([], quiet=True)
        with open(build.path("logs/build.log"), encoding="utf-8", errors="replace") as file:
            warnings = [line for line in file if re.search(r": warning: ", line)]
        need(not warnings, "warnings:\n" + tail("".join(warnings), 10))
        for path in (build.image32, build.image64):
            need(os.path.getsize(path) > 10000, "%s is too small" % path)
    return run


def all_pairs():
    """Every pair that bhc accepts is built to an image."""
    pairs = [pair for pair, wrong in sorted(valid_pairs(build_bhc(quiet=True)).items()) if wrong is None]
    need((DEFAULT_BOARD, DEFAULT_SCENARIO) in pairs, "the default pair is refused")
    for board, scenario in pairs:
        Build(board, scenario).ninja(["src/bulkhead.elf32"], quiet=True)
    return len(pairs)


SAME = ["src/bulkhead.elf", "src/bulkhead.elf32", "gen/resolved.xml", "gen/manifest.dtb"] + \
    ["gen/config/" + name for name in ("sizes.h", "tables.c", "manifest.c", "layout.ld", "run.json", "grub.cfg", "report.html", "report.txt")]


def same_bytes(compiler):
    """Two builds from nothing, of two copies of the source tree (nobody edits those meanwhile), one with the build inside and one with it apart: every byte of the image, debug
    information included, and of everything generated is the same."""
    os.makedirs(BUILD, exist_ok=True)
    work = tempfile.mkdtemp(prefix="same-", dir=BUILD)
    try:
        one, other = os.path.join(work, "tree"), os.path.join(work, "another place", "tree")
        for folder in ("boards", "scenarios", "gen", "include", "src", "tests"):
            shutil.copytree(os.path.join(ROOT, folder), os.path.join(one, folder), ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy(os.path.join(ROOT, name), one)
        shutil.copytree(one, other)
        places = [(one, os.path.join(one, "build")), (other, os.path.join(work, "deep", "in", "the build"))]
        for source, target in places:
            run_logged(["meson", "setup", target, source, "-Dboard=" + DEFAULT_BOARD, "-Dscenario=bare", "-Dunit=false"],
                       os.path.join(LOGS, "same-setup.log"), "configuring " + target, env=dict(os.environ, CC=compiler), quiet=True)
            run_logged(["ninja", "-C", target, "src/bulkhead.elf32", "gen/config/report.html"], os.path.join(LOGS, "same-build.log"), "building " + target,
                       quiet=True)
        for name in SAME:
            contents = []
            for _, target in places:
                with open(os.path.join(target, name), "rb") as file:
                    contents.append(file.read())
            need(contents[0] and contents[0] == contents[1], "%s differs (%s)" % (name, compiler))
            need(work.encode() not in contents[0] and ROOT.encode() not in contents[0], "%s names the folder it was built in" % name)
    finally:
        shutil.rmtree(work)
    return len(SAME)


# ---- unit tests ------------------------------------------------------------------------------------------------------------------

def unit_tests():
    """All of meson's tests under the sanitizers; counts Check's own figures where a program prints them."""
    need_space(UNIT_DIR, BUILD_SPACE, "the unit tests")
    set_up_host_programs(UNIT_DIR, "-Dunit=true", quiet=True)
    log = os.path.join(LOGS, "unit-build.log")
    done = subprocess.run(["ninja", "-C", UNIT_DIR] + unit_targets(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    with open(log, "wb") as file:
        file.write(done.stdout)
    if done.returncode != 0:
        raise Failure(failure_text("the unit tests", done.stdout.decode("utf-8", "replace"), log))
    # Time limits are for what hangs, not for a busy machine: meson's and Check's own.
    done = subprocess.run(["meson", "test", "-C", UNIT_DIR, "--no-rebuild", "--timeout-multiplier=%d" % PATIENCE], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, env=dict(os.environ, CK_TIMEOUT_MULTIPLIER=str(PATIENCE)))
    path = os.path.join(UNIT_DIR, "meson-logs/testlog.json")
    need(os.path.exists(path), "meson test left no log:\n" + tail(done.stdout.decode("utf-8", "replace"), 20))
    passed, problems, names = 0, [], 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            result = json.loads(line)
            names += 1
            output = result.get("stdout", "") + result.get("stderr", "")
            if result["result"] not in ("OK", "EXPECTEDFAIL"):
                wrong = re.findall(r"^not ok .*(?:\n#.*)*", output, re.MULTILINE)
                problems.append("%s: %s\n%s" % (result["name"], result["result"], tail("\n".join(wrong), 80) if wrong else tail(output, 25)))
                continue
            figures = re.findall(r"^\d+%: Checks: (\d+), Failures: 0, Errors: 0$", output, re.MULTILINE)
            passed += sum(int(figure) for figure in figures) or count_lines(output)
    need(not problems, "%d of %d programs failed:\n%s" % (len(problems), names, "\n".join(problems)))
    need(names > 0, "meson has no tests")
    return passed


def count_lines(output):
    """Checks of a program that is not Check's: its 'N passed' line, else one."""
    found = re.findall(r"^(?:.*\b)?(\d+) (?:tests? )?passed", output, re.MULTILINE)
    return int(found[-1]) if found and int(found[-1]) > 0 else 1


def unit_targets():
    """What meson's tests need (their programs are not all built by default)."""
    done = subprocess.run(["meson", "introspect", UNIT_DIR, "--tests"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    need(done.returncode == 0, "meson introspect: " + done.stderr.decode("utf-8", "replace"))
    wanted = {target for test in json.loads(done.stdout) for target in test.get("depends", [])}
    done = subprocess.run(["meson", "introspect", UNIT_DIR, "--targets"], stdout=subprocess.PIPE, check=True)
    return sorted(os.path.relpath(path, UNIT_DIR) for target in json.loads(done.stdout) if target["id"] in wanted
                  for path in target["filename"])


def tests(quick):
    out = [Test("lint.layers", layers), Test("lint.layers_bite", layer_lint_bites), Test("lint.vendor", vendor),
           Test("lint.vendor_bites", vendor_lint_bites), Test("lint.contract", contract), Test("lint.format", formatting),
           Test("lint.shell", shell_scripts), Test("lint.python", python_compiles), Test("lint.cppcheck", cppcheck),
           Test("lint.clang_tidy", lambda: clang_tidy(quick), chain="tidy"), Test("unit.runner", runner_self_tests), Test("unit.meson", unit_tests, chain="unit")]
    if not quick:
        out += [Test("build.clang", build_pair(DEFAULT_BOARD, DEFAULT_SCENARIO, "clang"), chain="build"),
                Test("build.clang_size", build_pair("synthetic-16", "size", "clang"), chain="build"),
                Test("build.gcc", build_pair(DEFAULT_BOARD, DEFAULT_SCENARIO, "gcc"), chain="build"),
                Test("build.all_pairs", all_pairs, chain="build"), Test("build.same_bytes", lambda: same_bytes("gcc"), chain="build"),
                Test("build.same_bytes_clang", lambda: same_bytes("clang"), chain="build")]
    return out

