"""The figures of bench/run. Needs TRAILER_TEST_ENGINE and TRAILER, which bench/run sets."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.path.insert(0, str(ROOT / "bench"))
import reconcile as reconcile_figures  # noqa: E402
import sessions as session_figures  # noqa: E402
import storm as storm_figures  # noqa: E402
from harness import BUSYBOX, TRAILER, Api, Engine, Process, free_port, wait_until  # noqa: E402
from sides import Events, direct_down, direct_up, documents, milliseconds  # noqa: E402


class Installation:
    """A server and one approved agent, with all their files under one directory."""

    def __init__(self, directory, engine):
        self.directory, self.engine = directory, engine
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory)}
        self.server = self._process("server", self.url, "-d", directory / "data")
        self.agent = self.new_agent(self.url)
        self.api = Api(self.url)

    def _process(self, role, url, *flags):
        return Process([role, "-C", self.directory / f"{role}.yml", "-S", url, "--log-directory",
                        self.directory / "log" / role, *flags], self.directory / f"{role}.out", self.env)

    def new_agent(self, url, engine=None):
        return self._process("agent", url, "-D", "bench", "--docker-host", engine or self.engine.address,
                             "--state-directory", self.directory / "state")

    def start(self):
        self.server.start()
        password = self.directory / "data" / "initial_admin_password"
        wait_until(lambda: self._ready() and password.exists(), "the server to be ready")
        self.api.login(password.read_text().strip())
        self.agent.start()
        wait_until(lambda: self.api.get("/api/hosts")["items"], "the host to ask for approval")
        self.api.call("POST", "/api/hosts/bench/approve", {})
        self.wait_online()

    def _ready(self):
        try:
            return self.api.raw("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def wait_online(self):
        def online():
            host = self.api.get("/api/hosts/bench")
            return host["status"] == "online" and host["realtime"]["status"] == "ok" and host["engine"]["status"] == "ok"

        wait_until(online, "the host to be online")

    def stop(self):
        self.agent.end()
        self.server.end()


def memory_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return {key: int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M).group(1)) * 1024 for key in ("VmRSS", "VmHWM", "RssAnon")}


def size(installation, arguments):
    """Bytes of the binary, and resident memory of a registered agent and its server with nothing to do."""
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, TRAILER], check=True)
        binary = os.path.getsize(stripped.name)
    time.sleep(3 if arguments.quick else 12)  # two heartbeats and a poll
    return {"binary_stripped_bytes": binary, "agent_idle_rss_bytes": memory_of(installation.agent.pid)["VmRSS"],
            "agent_idle_anonymous_bytes": memory_of(installation.agent.pid)["RssAnon"],
            "agent_peak_rss_bytes": memory_of(installation.agent.pid)["VmHWM"],
            "server_idle_rss_bytes": memory_of(installation.server.pid)["VmRSS"]}


class RegistrationWatch:
    """Stands between agent and server, passes bytes on, and notes when the answer to register goes by."""

    def __init__(self, port):
        self.registered = threading.Event()
        self.at = 0.0
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._upstream))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = threading.Event()
            threading.Thread(target=self._copy, args=(client, server, asked, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, asked, False), daemon=True).start()

    def _copy(self, source, sink, asked, up):
        try:
            while data := source.recv(65536):
                if up and b"/api/agent/register" in data:
                    asked.set()
                elif not up and asked.is_set() and b" 200 " in data[:32] and not self.registered.is_set():
                    self.at = time.monotonic()
                    self.registered.set()
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self._listener.close()


def start(installation, arguments):
    """From the start of an approved agent's process to the server's answer that it is registered."""
    installation.agent.end()
    taken = []
    for _ in range(5 if arguments.quick else 20):
        watch = RegistrationWatch(installation.port)
        agent = installation.new_agent(watch.url)
        began = time.monotonic()
        agent.start()
        if not watch.registered.wait(20):
            raise AssertionError(f"the agent did not register within 20 s: {agent.text()}")
        taken.append((watch.at - began) * 1000)
        agent.stop()
        watch.close()
    installation.agent.start()
    installation.wait_online()
    return milliseconds(taken)


def compare(installation, names, width, rounds):
    """Alternates Trailer and the engine's API for the same workspaces; gives both and their ratio."""
    api, engine = installation.api, installation.engine
    events = Events(api)
    workspaces = [("workspace", name) for name in names]
    everything = [(document["kind"].lower(), document["name"]) for name in names for document in documents(name)]
    trailer, direct = [], []
    for turn in range(rounds + 1):
        began = time.monotonic()
        api.apply(*[document for name in names for document in documents(name)])
        events.wait(workspaces, "running")
        took = time.monotonic() - began
        for name in names:
            api.call("DELETE", f"/api/workspaces/{name}")
        events.wait(workspaces, "gone")
        for kind, name in everything:
            if kind != "workspace":
                api.call("DELETE", f"/api/{kind}s/{name}")
        events.wait(everything, "gone")

        with concurrent.futures.ThreadPoolExecutor(width) as pool:
            began = time.monotonic()
            list(pool.map(lambda name: direct_up(engine, name), names))
            took_direct = time.monotonic() - began
            list(pool.map(lambda name: direct_down(engine, name), names))
        if turn > 0:  # the first round warms both
            trailer.append(took * 1000)
            direct.append(took_direct * 1000)
    events.close()
    ratio = statistics.median(trailer) / statistics.median(direct)
    return {"trailer": milliseconds(trailer), "engine": milliseconds(direct), "ratio_of_medians": round(ratio, 2)}


def apply(installation, arguments):
    """One workspace with its network and volume: POST /api/apply to `running`, and the engine's API called directly."""
    return compare(installation, ["one"], 1, 4 if arguments.quick else 12)


def many(installation, arguments):
    """25 workspaces, each with a network and a volume; the engine's API with 4 at a time, its floor."""
    count = 8 if arguments.quick else 25
    return {"workspaces": count, **compare(installation, [f"w{i:02}" for i in range(count)], 4, 1 if arguments.quick else 3)}


def wrk(url, token, seconds):
    done = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token}", url],
                          capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    scale = {"us": 0.001, "ms": 1, "s": 1000}

    def percentile(which):
        number, unit = re.search(rf"^ +{which}% +([\d.]+)(us|ms|s)", done, re.M).groups()
        return round(float(number) * scale[unit], 2)

    if "Non-2xx" in done or "Socket errors" in done:
        raise AssertionError(done)
    return {"requests_per_second": float(re.search(r"Requests/sec: +([\d.]+)", done).group(1)),
            "p50_ms": percentile(50), "p99_ms": percentile(99)}


def list_(installation, arguments):
    """GET /api/workspaces with 1,000 workspaces on a host that is away; wrk, 16 connections."""
    installation.agent.end()
    api = installation.api
    for first in range(0, 1000, 100):
        api.apply(*[{"kind": "Workspace", "name": f"list-{i:04}", "running": False, "host": "bench",
                     "spec": {"image": BUSYBOX, "env": {"A": "1"}, "resources": {"memory": 67108864}}}
                    for i in range(first, first + 100)])
    seconds = 3 if arguments.quick else 10
    found = {}
    for path in ("/api/workspaces", "/api/workspaces?limit=1000"):
        status, _, text = api.raw("GET", path)
        assert status == 200
        found[path] = {"items": len(json.loads(text)["items"]), "bytes": len(text), **wrk(installation.url + path, api.token, seconds)}
    found["server_rss_bytes"] = memory_of(installation.server.pid)["VmRSS"]
    return found


# What is aimed at: figure -> (path into its result, at most).
AIMS = {"size": [(("agent_idle_rss_bytes",), 12_000_000)], "start": [(("median_ms",), 60)],
        "apply": [(("ratio_of_medians",), 1.25)],
        "reconcile": reconcile_figures.AIMS, "among": reconcile_figures.AMONG_AIMS, "storm": storm_figures.AIMS}
FIGURES = {"size": size, "start": start, "apply": apply, "many": many,
           "reconcile": reconcile_figures.reconcile, "among": reconcile_figures.among, "sessions": session_figures.sessions,
           "storm": storm_figures.storm, "list": list_}


def show(value, indent="  "):
    for key, each in value.items():
        if isinstance(each, dict):
            print(f"{indent}{key}")
            show(each, indent + "  ")
        else:
            print(f"{indent}{key:<28} {each:,}")


def at(value, path):
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def main():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works, not to compare")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    arguments = parser.parse_args()
    unknown = set(arguments.figures) - set(FIGURES)
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    engine = Engine(os.environ["TRAILER_TEST_ENGINE"])
    directory = pathlib.Path(tempfile.mkdtemp(prefix="trailer-bench-"))
    results = {}
    installation = Installation(directory, engine)
    try:
        installation.start()
        for name, figure in FIGURES.items():  # `list` comes last: it ends the agent
            if arguments.figures and name not in arguments.figures:
                continue
            print(f"{name}: {figure.__doc__}")
            results[name] = figure(installation, arguments)
            show(results[name])
            for path, bound, at_least in session_figures.AIMS if name == "sessions" else []:
                value = at(results[name], path)
                met = value >= bound if at_least else value <= bound
                print(f"  aim: {': '.join(path)} at {'least' if at_least else 'most'} {bound:,}: "
                      f"{'met' if met else 'NOT met'} ({value:,})")
            for path, most in AIMS.get(name, []):
                value = at(results[name], path)
                if value is not None:  # a quick run leaves some out
                    print(f"  aim: {': '.join(path)} at most {most:,}: {'met' if value <= most else 'NOT met'} ({value:,})")
    finally:
        installation.stop()
        shutil.rmtree(directory, ignore_errors=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
