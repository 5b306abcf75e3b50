"""Headless Chromium for tests, spoken to through a pipe: no driver and no package are needed."""

import json
import os
import shutil
import subprocess

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def found():
    """The path of a Chromium, or None; Windows has no such pipe."""
    names = ("chromium", "chromium-browser", "google-chrome") * (os.name == "posix")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One tab; `requests` are the addresses that were asked for, `complaints` errors of a page."""

    def __init__(self, folder):
        down, up = os.pipe(), os.pipe()

        def place():  # where Chromium reads and writes
            low = os.dup(down[0]), os.dup(up[1])
            os.dup2(low[0], 3)
            os.dup2(low[1], 4)

        self.process = subprocess.Popen(
            [found(), *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=place,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down[0])
        os.close(up[1])
        self.down, self.up = os.fdopen(down[1], "wb"), os.fdopen(up[0], "rb")
        self.number, self.rest, self.session = 0, b"", None
        self.requests, self.complaints, self.loaded = [], [], False
        tab = next(
            one["targetId"]
            for one in self.call("Target.getTargets")["targetInfos"]
            if one["type"] == "page"
        )
        self.session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for part in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{part}.enable")

    def call(self, method, **parameters):
        """The result of one command of the DevTools protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.down.write(json.dumps(message).encode() + b"\0")
        self.down.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.up.fileno(), 1 << 20)
            assert more, "Chromium ended"
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\0")
        told = json.loads(line)
        event, about = told.get("method"), told.get("params", {})
        self.loaded |= event == "Page.loadEventFired"
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(about)
        return told

    def open(self, address):
        """Load a page, and wait until its script has run."""
        self.loaded = False
        self.call("Page.navigate", url=address)
        while not self.loaded:
            self._receive()

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        options = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def type(self, text):
        """Insert text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key, code, text=""):
        """A key with its Windows code, down and up; `text` is what it writes."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def close(self):
        """End Chromium."""
        self.process.kill()
        self.process.wait()
        self.down.close()
        self.up.close()
