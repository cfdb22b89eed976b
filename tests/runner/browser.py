"""Headless Chromium, told what to do through the DevTools protocol over two pipes (--remote-debugging-pipe): JSON messages, each ended by a
NUL byte, the browser reads descriptor 3 and writes descriptor 4. Standard library only."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from common import Problem

TIMEOUT = 240


class Browser:
    """One browser with one page. Everything that the page complains of is kept in .complaints, what it wants to load in .requests."""

    def __init__(self, program="chromium"):
        self.profile = tempfile.mkdtemp(prefix="bulkhead-chromium-")
        to_read, self.outgoing = os.pipe()
        self.incoming, to_write = os.pipe()
        # Well above 4, so that the child can put them at 3 and 4 in any order.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 16) for end in (to_read, to_write)]
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
                   "--disable-dev-shm-usage", "--user-data-dir=" + self.profile, "about:blank"]
        shell = ["/bin/bash", "-c", 'exec 3<&%d 4>&%d %d<&- %d>&-; exec "$@"' % (*ends, *ends), "bash"]
        try:
            self.child = subprocess.Popen(shell + command, pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        finally:
            for end in (to_read, to_write, *ends):
                os.close(end)
        self.buffer, self.number, self.session = b"", 0, None
        self.complaints, self.requests, self.loaded = [], [], set()
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.outgoing)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        os.close(self.incoming)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _attach(self):
        until = time.monotonic() + TIMEOUT
        pages = []
        while not pages:  # it answers before it has opened its first page
            if time.monotonic() > until:
                raise TimeoutError("the browser has no page after %d s" % TIMEOUT)
            time.sleep(0.05)
            pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "DOM"):
            self.call(domain + ".enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def _receive(self, until):
        while b"\0" not in self.buffer:
            ready = select.select([self.incoming], [], [], max(0, until - time.monotonic()))[0]
            if not ready:
                raise TimeoutError("the browser does not answer within %d s" % TIMEOUT)
            data = os.read(self.incoming, 1 << 16)
            if not data:
                raise Problem("the browser has ended (status %s)" % self.child.poll())
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.lifecycleEvent" and params["name"] == "load":
            self.loaded.add(params["loaderId"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([argument.get("value") for argument in params["args"]]))

    def call(self, method, **params):
        """Calls a method of the protocol; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.outgoing, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + TIMEOUT
        while True:
            answer = self._receive(until)
            if answer.get("id") == self.number:
                break
            self._note(answer)
        if "error" in answer:
            raise Problem("%s: %s" % (method, answer["error"].get("message")))
        return answer["result"]

    def open(self, path, width=1280, height=900, dark=False, media=""):
        """Loads a file into a window of that size and waits until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.complaints, self.requests, self.loaded = [], [], set()
        # The load of this very document: that of the empty first page may be told late.
        loader = self.call("Page.navigate", url="file://" + path)["loaderId"]
        until = time.monotonic() + TIMEOUT
        while loader not in self.loaded:
            self._note(self._receive(until))

    def run(self, script):
        """What a JavaScript expression gives. It runs beside the page, which may forbid scripts of its own."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise Problem("script in the browser: %s" % result["exceptionDetails"].get("exception", {}).get("description", result["exceptionDetails"]["text"]))
        return result["result"].get("value")

    def screenshot(self):
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"])

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
