"""The configuration compiler under a fuzzer: clang's libFuzzer with the address and undefined-behaviour sanitizers, on tests/fuzz/target.c.

In the test command it makes a fixed number of runs from a fixed seed. By hand, for longer: BULKHEAD_FUZZ_SECONDS=N ./bulkhead test --only fuzz, which goes
on from what earlier runs learnt and keeps that in BUILD/fuzz/corpus; tests/fuzz/corpus is what is worth keeping in the project.
"""

import glob
import os
import shutil
import subprocess

from build import Build
from common import BUILD, DEFAULT_BOARD, DEFAULT_SCENARIO, PYTHON, ROOT, tail
from harness import Failure, Test, need

FUZZ = os.path.join(ROOT, "tests", "fuzz")
WORK = os.path.join(BUILD, "fuzz")
TARGET = "tests/fuzz/bhc-fuzz"
RUNS = 20000  # about 40 s
LONGEST_RUN = 20  # seconds for one input, on a busy machine: they take a millisecond
MEMORY_MB = 2048  # the sanitizers' own included


def target():
    """The program, in the folder of the analysers' clang build."""
    build = Build(DEFAULT_BOARD, DEFAULT_SCENARIO, "clang", suffix="-fuzz", options=["-Dhypervisor=false", "-Dunit=true"])
    build.ninja([TARGET], quiet=True)
    return build.path(TARGET)


def run_fuzzer(program, arguments, log):
    """Runs it with its output in a log; a finding is the failure, with the input's place."""
    artifacts = os.path.join(WORK, "found")
    os.makedirs(artifacts, exist_ok=True)
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    with open(log, "wb") as file:
        done = subprocess.run(["nice", program, "-artifact_prefix=%s/" % artifacts, "-timeout=%d" % LONGEST_RUN, "-rss_limit_mb=%d" % MEMORY_MB,
                               "-max_len=50000", "-print_final_stats=1"] + arguments, stdout=file, stderr=subprocess.STDOUT, env=environment,
                              cwd=WORK, check=False)
    if done.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as file:
            raise Failure("the fuzzer found something (the input is in %s, the whole log in %s):\n%s" % (artifacts, log, tail(file.read(), 40)))


def seeds():
    """Corpus folder and dictionary, made anew."""
    folder, dictionary = os.path.join(WORK, "seeds"), os.path.join(WORK, "dictionary")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([PYTHON, os.path.join(FUZZ, "seeds.py"), folder, dictionary], check=True)
    need(len(os.listdir(folder)) > 100, "there are hardly any seeds in %s" % folder)
    return folder, dictionary


def fuzz():
    """The kept inputs, each once; then the fuzzer on them and on the seeds."""
    os.makedirs(WORK, exist_ok=True)
    program = target()
    folder, dictionary = seeds()
    kept = sorted(glob.glob(os.path.join(FUZZ, "corpus", "*")))
    if kept:
        run_fuzzer(program, kept, os.path.join(WORK, "kept.log"))
    seconds = os.environ.get("BULKHEAD_FUZZ_SECONDS")
    arguments = ["-dict=" + dictionary]
    if seconds:
        learnt = os.path.join(WORK, "corpus")
        os.makedirs(learnt, exist_ok=True)
        arguments += ["-max_total_time=%d" % int(seconds), learnt]
    else:
        # What a run learns goes into an empty folder: the next one begins as this one did.
        learnt = os.path.join(WORK, "run")
        shutil.rmtree(learnt, ignore_errors=True)
        os.makedirs(learnt)
        arguments += ["-seed=1", "-runs=%d" % RUNS, learnt]
    run_fuzzer(program, arguments + [folder, os.path.join(FUZZ, "corpus")], os.path.join(WORK, "fuzz.log"))


def tests():
    return [Test("fuzz.bhc", fuzz)]
