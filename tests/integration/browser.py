"""A real browser, Debian's Chromium without a screen, driven by its own DevTools protocol."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request

import websocket
from harness import wait_until

CHROMIUM = shutil.which("chromium")


class PageError(AssertionError):
    """What a script in the page threw."""


class Browser:
    """One browser with a profile of its own. `names`: host names, with *, that lead to this machine."""

    def __init__(self, directory, names=()):
        self._profile = tempfile.mkdtemp(prefix="profile-", dir=directory)
        rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
                   "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={self._profile}",
                   f"--host-resolver-rules={rules}", "about:blank"]
        with open(f"{self._profile}.out", "wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._last = 0
        port = wait_until(self._debugging_port, "the browser to start", 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
            page = next(each for each in json.load(answer) if each["type"] == "page")
        self._socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=30)
        self._call("Page.enable")
        self._call("Runtime.enable")

    def _debugging_port(self):
        assert self._process.poll() is None, open(f"{self._profile}.out", encoding="utf-8", errors="replace").read()
        with contextlib.suppress(OSError):
            text = open(f"{self._profile}/DevToolsActivePort", encoding="ascii").read()
            return text.split("\n")[0]

    def _call(self, method, **parameters):
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._last:
                assert "error" not in message, message
                return message["result"]

    def go(self, url):
        """Returns when the page has loaded."""
        gone = self._call("Page.navigate", url=url)
        assert "errorText" not in gone, gone
        wait_until(lambda: self.run("document.readyState") == "complete" and self.run("location.href") != "about:blank",
                   f"{url} to load", 20)

    def run(self, script):
        """What the expression gives in the page, awaited where it is a promise. Throws PageError with what it threw."""
        done = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in done:
            thrown = done["exceptionDetails"]
            raise PageError(thrown.get("exception", {}).get("description") or thrown["text"])
        return done["result"].get("value")

    def close(self):
        self._socket.close()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)  # its children may write for a moment more
