"""Tools of the integration tests: the engine's API, Trailer's API, and processes."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAILER = os.environ.get("TRAILER", str(ROOT / "build/dev/trailer"))
BUSYBOX = "trailer.dev/busybox:1"


class NotThere(AssertionError):
    """The engine has no object of that name, at this moment."""


def wait_until(condition, what, timeout=30.0, every=0.05):
    """Calls `condition` until it gives something true, which is returned. A container that is being replaced has no
    name between two moments: NotThere means not yet."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
        except NotThere as absent:
            last = absent
        else:
            if last:
                return last
        time.sleep(every)
    raise AssertionError(f"waited {timeout:.0f} s in vain for: {what}; last seen: {last!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class EngineHangs(AssertionError):
    """The engine gave no answer within the time that each of its calls has."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The engine's own API (1.41), to see what Trailer did and to meddle with it."""

    def __init__(self, address):
        self.address = address
        self.path = urllib.parse.urlparse(address).path
        self.directory = os.path.dirname(self.path)

    def call(self, method, path, body=None, ok=(200, 201, 204, 304)):
        connection = _UnixConnection(self.path)
        try:
            connection.request(method, "/v1.41" + path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except TimeoutError:
            raise EngineHangs(f"engine: {method} {path}: no answer within {connection.timeout} s") from None
        finally:
            connection.close()
        if ok is not None and answer.status not in ok:
            if answer.status == 404:
                raise NotThere(f"engine: {method} {path}: 404 {text.decode()}")
            raise AssertionError(f"engine: {method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text.startswith((b"{", b"[")) else text

    def containers(self, **labels):
        filters = {"label": [f"{k}={v}" for k, v in labels.items()] or ["dev.trailer.managed=true"]}
        return self.call("GET", "/containers/json?all=1&filters=" + urllib.parse.quote(json.dumps(filters)))

    def managed_names(self):
        return sorted(c["Names"][0].lstrip("/") for c in self.containers())

    def inspect(self, name):
        return self.call("GET", f"/containers/{name}/json", ok=(200,))

    def exists(self, kind, name):
        answer = self.call("GET", f"/{kind}/{name}" + ("/json" if kind in ("containers", "images") else ""),
                           ok=(200, 404))
        return "message" not in answer

    def run(self, name, command=("sleep", "1000000"), labels=None, image=BUSYBOX):
        made = self.call("POST", f"/containers/create?name={name}",
                         {"Image": image, "Cmd": list(command), "Labels": labels or {}})
        self.call("POST", f"/containers/{made['Id']}/start")
        return made["Id"]

    def remove(self, name):
        self.call("DELETE", f"/containers/{name}?force=1", ok=(204, 404))

    def _remove_for_good(self, container):
        """An engine that was restarted may keep a container's files busy for a while (20.10). False if it does so for long."""
        for _ in range(8):
            answer = self.call("DELETE", f"/containers/{container}?force=1&v=1", ok=(204, 404, 409, 500))
            if not self.exists("containers", container):
                return True
            time.sleep(0.5)
        if "device or resource busy" not in str(answer):
            raise AssertionError(f"container {container} can't be removed: {answer}")
        return False

    def _forget(self, containers):
        """Of an engine that was ended in the middle of a start a mount may be left to which no path leads any more: its
        container can't be removed by anybody. An engine that begins without it does not mind."""
        tool = str(ROOT / "tools/engine")
        subprocess.run([tool, "stop", self.directory], check=True, timeout=60)
        for each in containers:
            shutil.rmtree(pathlib.Path(self.directory) / "data/containers" / each)
        subprocess.run([tool, "start", self.directory], check=True, timeout=60, stdout=subprocess.DEVNULL)

    def _remove_network_for_good(self, network):
        """An engine ended in the middle of a start may keep the endpoint of a container that is no more (20.10), or only
        count it, which nothing but its next start puts right ("Fixing inconsistent endpoint_cnt" in its log)."""
        for restart in (False, True):
            if restart:
                print(f"network {network} can't be removed: {answer}; on it: {left}; the engine starts again")
                self.restart()
            for _ in range(20):
                answer = self.call("DELETE", f"/networks/{network}", ok=(204, 403, 404))
                if not self.exists("networks", network):
                    return
                left = self.call("GET", f"/networks/{network}", ok=(200, 404)).get("Containers") or {}
                for endpoint in left.values():
                    self.call("POST", f"/networks/{network}/disconnect", {"Container": endpoint["Name"], "Force": True},
                              ok=(200, 403, 404, 500))
                time.sleep(0.5)
        raise AssertionError(f"network {network} can't be removed, after a restart of the engine neither: {answer}; on it: {left}")

    def clean(self):
        """Removes all that Trailer made, and all containers. An engine that hangs is told with what it waits for, and
        replaced by one that does not, so that no other test fails for it."""
        try:
            self._clean()
        except EngineHangs as hangs:
            waiting = self.waiting()
            self.restart("kill")
            self._clean()
            raise EngineHangs(f"{hangs}; it was killed and started again. What waited in it:\n\n{waiting}") from None

    def waiting(self):
        """The stacks of the engine's goroutines that have waited for a minute and longer."""
        directory = pathlib.Path(self.directory)
        for each in directory.glob("exec/goroutine-stacks-*.log"):
            each.unlink()
        os.kill(int((directory / "docker.pid").read_text()), signal.SIGUSR1)
        time.sleep(3)
        text = "".join(each.read_text() for each in directory.glob("exec/goroutine-stacks-*.log"))
        if not text:
            return "It wrote no stacks: it does not run at all."
        return "\n\n".join(each for each in text.split("\n\n") if " minutes]:" in each.partition("\n")[0]) or text

    def _clean(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # hundreds, sometimes
            containers = [each["Id"] for each in self.call("GET", "/containers/json?all=1")]
            left = [each for each, gone in zip(containers, pool.map(self._remove_for_good, containers)) if not gone]
        if left:
            self._forget(left)
        managed = urllib.parse.quote(json.dumps({"label": ["dev.trailer.managed=true"]}))
        for network in self.call("GET", f"/networks?filters={managed}"):
            self._remove_network_for_good(network["Id"])
        for volume in self.call("GET", f"/volumes?filters={managed}")["Volumes"] or []:
            self.call("DELETE", f"/volumes/{volume['Name']}?force=1", ok=(204, 404))
        for image in self.call("GET", f"/images/json?filters={managed}"):
            self.call("DELETE", f"/images/{image['Id']}?force=1", ok=(200, 404))

    def restart(self, end="stop"):
        """`end`: stop or kill."""
        tool = str(ROOT / "tools/engine")
        subprocess.run([tool, end, self.directory], check=True, timeout=60)
        subprocess.run([tool, "start", self.directory], check=True, timeout=60, stdout=subprocess.DEVNULL)


class ApiError(AssertionError):
    def __init__(self, method, path, status, problem):
        super().__init__(f"{method} {path}: {status} {problem}")
        self.status = status
        self.problem = problem if isinstance(problem, dict) else {}
        self.pointers = [e["pointer"] for e in self.problem.get("errors", [])]


class Api:
    """Trailer's REST API."""

    def __init__(self, url, token=None):
        self.url = url
        self.token = token
        parts = urllib.parse.urlparse(url)
        self._host, self._port = parts.hostname, parts.port

    def raw(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        fields = {"Content-Type": "application/json", **(headers or {})}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        try:
            connection.request(method, path, data, fields)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, dict(answer.getheaders()), text

    def call(self, method, path, body=None):
        status, _, text = self.raw(method, path, body)
        value = json.loads(text) if text.startswith((b"{", b"[")) else text.decode()
        if status >= 400:
            raise ApiError(method, path, status, value)
        return value

    def get(self, path):
        return self.call("GET", path)

    def apply(self, *documents, dry_run=False):
        return self.call("POST", "/api/apply" + ("?dry_run=true" if dry_run else ""), list(documents))

    def login(self, password, username="admin"):
        self.token = self.call("POST", "/api/auth/login", {"username": username, "password": password})["token"]

    def status(self, kind, name):
        """The state word, or None when it is not there."""
        try:
            return self.get(f"/api/{kind}/{name}")["status"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def wait(self, kind, name, status, timeout=30.0):
        seen = None

        def reached():
            nonlocal seen
            seen = self.status(kind, name)
            if seen == "error" and status not in (None, "error"):
                raise AssertionError(f"{kind}/{name} is in error: {self.get(f'/api/{kind}/{name}')['messages']}")
            return seen == status

        try:
            wait_until(reached, f"{kind}/{name} to be {status}", timeout)
        except AssertionError as late:
            whole = self.get(f"/api/{kind}/{name}") if seen else None
            raise AssertionError(f"{late}; the resource: {whole}") from late
        return None if status is None else self.get(f"/api/{kind}/{name}")

    def wait_error(self, kind, name, timeout=30.0):
        """Waits for the state `error`; gives the messages as one text."""
        wait_until(lambda: self.status(kind, name) == "error", f"{kind}/{name} to be in error", timeout)
        return "\n".join(m["text"] for m in self.get(f"/api/{kind}/{name}")["messages"])


class Process:
    """A `trailer` process whose output goes to a file. `within`: the command that puts it into a namespace."""

    def __init__(self, arguments, log, env=None, within=()):
        self.arguments = [*within, TRAILER, *map(str, arguments)]
        self.log = pathlib.Path(log)
        self.env = env
        self.process = None

    def start(self):
        assert self.process is None or self.process.poll() is not None
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, env=self.env)
        return self

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL: at any instant, no chance to tidy up."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout=5.5):
        """SIGTERM; gives the exit code. The product promises 5 s."""
        self.process.terminate()
        return self.process.wait(timeout)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def end(self):
        if self.alive():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.alive():
                self.process.kill()
                self.process.wait(10)


def trailer(*arguments, env=None, stdin="", timeout=60):
    """Runs a client command; gives the finished process with its output as text."""
    return subprocess.run([TRAILER, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout, env=env, check=False)


def network(name, **spec):
    return {"kind": "Network", "name": name, "spec": spec}


def volume(name, **spec):
    return {"kind": "Volume", "name": name, "spec": spec}


def workspace(name, running=True, **spec):
    spec.setdefault("image", BUSYBOX)
    # busybox' sleep dies of SIGTERM only where it is not process 1: a shell with a trap stops at once.
    spec.setdefault("command", ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"])
    return {"kind": "Workspace", "name": name, "running": running, "spec": spec}


__all__ = [name for name in dir() if not name.startswith("_")]
SIGHUP = signal.SIGHUP
