"""./bulkhead test: all tests, a few at a time, one line for each, and one line at the end."""

import concurrent.futures
import threading
import time
import traceback

import harness
from common import Problem, say

WORKERS = 2  # tests at once: each may hold an emulator


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = 0
        self.failures = []
        self.running = {}
        self.stopped = False  # the runner is to end: no further test begins

    def note(self, test, seconds, passed, problem):
        with self.lock:
            self.running.pop(test.name, None)
            if problem is None:
                self.passed += passed
                say("ok   %s (%.0f s)%s" % (test.name, seconds, " %d checks" % passed if passed > 1 else ""))
            else:
                self.failed += 1
                self.failures.append(test.name)
                say("FAIL %s (%.0f s)\n%s" % (test.name, seconds, "\n".join("     " + line for line in problem.split("\n"))))

    def begin(self, test):
        with self.lock:
            self.running[test.name] = time.monotonic()

    def busy(self):
        with self.lock:
            return ", ".join("%s %d s" % (name, time.monotonic() - since) for name, since in self.running.items())


def run_one(test, tally):
    began = time.monotonic()
    tally.begin(test)
    try:
        passed = test.fn()
        tally.note(test, time.monotonic() - began, 1 if passed is None else passed, None)
    except (harness.Failure, Problem, TimeoutError, harness.qemu.Ended) as error:
        tally.note(test, time.monotonic() - began, 0, str(error))
    except Exception as error:  # a test that breaks is a failed test, with the place where it broke
        tally.note(test, time.monotonic() - began, 0, "%s: %s\n%s" % (type(error).__name__, error, traceback.format_exc(limit=4)))


def all_tests(quick):
    import checks
    out = checks.tests(quick)
    if not quick:
        import bench
        import boot_tests
        import fuzz_tests
        import guest_tests
        import hcall_tests
        import hsm_tests
        import image_tests
        import import_tests
        import inspect_tests
        import link_tests
        import linux_tests
        import report_tests
        import vmx_tests
        for module in (guest_tests, hcall_tests, link_tests, boot_tests, image_tests, import_tests, report_tests, linux_tests, hsm_tests, vmx_tests,
                       inspect_tests, fuzz_tests, bench):
            out += module.tests()
    return out


def run_group(tests, tally):
    """Runs tests a few at a time. A chain is one job; chains go first, being long."""
    jobs = {}
    for test in tests:
        jobs.setdefault(test.chain or "test " + test.name, []).append(test)

    def run_job(job):
        for test in job:
            if not tally.stopped:
                run_one(test, tally)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(run_job, job) for job in sorted(jobs.values(), key=lambda job: job[0].chain is None)]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C, SIGTERM, or nobody reads the output any more
            tally.stopped = True
            raise


def run_all(tests):
    tally = Tally()
    stop = threading.Event()

    def ticker():
        last = time.monotonic()
        seen = 0
        while not stop.wait(1):
            done = tally.passed + tally.failed
            if done != seen:
                seen, last = done, time.monotonic()
            elif time.monotonic() - last > 15 and tally.busy():
                say("  ... running: " + tally.busy())
                last = time.monotonic()
    threading.Thread(target=ticker, daemon=True).start()
    try:
        group = []
        for test in tests:
            # Tests that must be alone end the group before them.
            if test.alone:
                run_group(group, tally)
                group = []
                run_one(test, tally)
            else:
                group.append(test)
        run_group(group, tally)
    finally:
        stop.set()
    return tally


def command_test(options):
    began = time.monotonic()
    tests = all_tests(options.quick)
    if options.only:
        tests = [test for test in tests if any(text in test.name for text in options.only)]
        if not tests:
            raise Problem("no test's name contains %s; --list names them" % " or ".join("'%s'" % text for text in options.only))
    if options.list:
        for test in tests:
            print(test.name)
        return 0
    tally = run_all(tests)
    if tally.failures:
        say("failed: " + ", ".join(tally.failures))
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    say("took %d min %d s" % (minutes, seconds))
    say("%d passed, %d failed" % (tally.passed, tally.failed))
    return 1 if tally.failed else 0
