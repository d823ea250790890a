"""The figures of bench/run. Needs TRAILER_TEST_ENGINE and TRAILER, which bench/run sets."""

import argparse
import concurrent.futures
import http.client
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
import sessions as session_figures  # noqa: E402
import storm as storm_figures  # noqa: E402
from harness import BUSYBOX, TRAILER, Api, Engine, Process, free_port, wait_until  # noqa: E402

# A shell with a trap stops at once; sleep as process 1 would wait to be killed.
COMMAND = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


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

    def new_agent(self, url):
        return self._process("agent", url, "-D", "bench", "--docker-host", self.engine.address,
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


def milliseconds(values):
    values = sorted(values)
    return {"median_ms": round(statistics.median(values), 1), "best_ms": round(values[0], 1),
            "worst_ms": round(values[-1], 1), "runs": len(values)}


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


class Events:
    """Reads /api/events in a thread; tells when a set of workspaces is in a state."""

    def __init__(self, api):
        self._lines = http.client.HTTPConnection(api._host, api._port, timeout=120)
        self._lines.request("GET", "/api/events", headers={"Authorization": f"Bearer {api.token}"})
        self._answer = self._lines.getresponse()
        self._changed = threading.Condition()
        self._seen = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self._answer:
                if not line.startswith(b"data:") or not line[5:].strip():
                    continue
                event = json.loads(line[5:])
                status = "gone" if event["type"] == "deleted" else event["resource"].get("status")
                with self._changed:
                    self._seen[event["kind"].lower(), event["name"]] = status
                    self._changed.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed

    def wait(self, keys, status, timeout=120):
        def reached():
            bad = [key for key in keys if self._seen.get(key) == "error"]
            if bad:
                raise AssertionError(f"in error: {bad}")
            return all(self._seen.get(key) == status for key in keys)

        with self._changed:
            if not self._changed.wait_for(reached, timeout):
                raise AssertionError(f"waited {timeout} s for {status}: { {k: self._seen.get(k) for k in keys} }")

    def close(self):
        self._lines.sock.shutdown(socket.SHUT_RDWR)


def documents(name):
    return [{"kind": "Network", "name": f"{name}-net"}, {"kind": "Volume", "name": f"{name}-vol"},
            {"kind": "Workspace", "name": name, "running": True, "spec": {
                "image": BUSYBOX, "command": COMMAND, "env": {"A": "1"}, "mounts": [{"volume": f"{name}-vol", "target": "/data"}],
                "networks": [{"network": f"{name}-net", "aliases": [name]}],
                "resources": {"memory": 67108864, "cpus": 0.5, "pids": 64}}}]


def direct_up(engine, name):
    """The same as `documents`, in the engine's own words, one call after the other."""
    engine.call("POST", "/networks/create", {"Name": f"{name}-net", "Driver": "bridge", "CheckDuplicate": True})
    engine.call("POST", "/volumes/create", {"Name": f"{name}-vol"})
    made = engine.call("POST", f"/containers/create?name={name}", {
        "Image": BUSYBOX, "Cmd": COMMAND, "Env": ["A=1"],
        "HostConfig": {"Mounts": [{"Type": "volume", "Source": f"{name}-vol", "Target": "/data"}], "NetworkMode": f"{name}-net",
                       "Memory": 67108864, "NanoCpus": 500000000, "PidsLimit": 64, "RestartPolicy": {"Name": "unless-stopped"}},
        "NetworkingConfig": {"EndpointsConfig": {f"{name}-net": {"Aliases": [name]}}}})
    engine.call("POST", f"/containers/{made['Id']}/start")


def direct_down(engine, name):
    engine.call("POST", f"/containers/{name}/stop")
    engine.call("DELETE", f"/containers/{name}?v=1")
    engine.call("DELETE", f"/networks/{name}-net")
    engine.call("DELETE", f"/volumes/{name}-vol")


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


def compose_file(directory, names):
    """The same as `documents`, in docker-compose's words."""
    services = {name: {
        "image": BUSYBOX, "container_name": name, "command": COMMAND, "environment": {"A": "1"},
        "volumes": [f"{name}-vol:/data"], "networks": {f"{name}-net": {"aliases": [name]}}, "mem_limit": 67108864,
        "cpus": 0.5, "pids_limit": 64, "restart": "unless-stopped"} for name in names}
    file = directory / "compose.json"  # JSON is YAML
    file.write_text(json.dumps({"version": "2.4", "services": services, "networks": {f"{n}-net": {} for n in names},
                                "volumes": {f"{n}-vol": {} for n in names}}))
    return file


WIDTHS = (1, 2, 4, 8)


def compose_up_and_down(installation, names):
    compose = ["docker-compose", "-H", installation.engine.address, "-p", "bench", "-f",
               str(compose_file(installation.directory, names))]
    for verb, arguments in (("up", ["up", "-d"]), ("down", ["down", "-v"])):
        began = time.monotonic()
        subprocess.run(compose + arguments, check=True, capture_output=True, timeout=600,
                       env={**os.environ, "COMPOSE_HTTP_TIMEOUT": "300"})
        yield verb, time.monotonic() - began


def engine_up_and_down(engine, names, width):
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        for verb, work in (("up", direct_up), ("down", direct_down)):
            began = time.monotonic()
            list(pool.map(lambda name, work=work: work(engine, name), names))
            yield verb, time.monotonic() - began


def trailer_up_and_down(installation, names):
    api = installation.api
    events = Events(api)
    everything = [(document["kind"].lower(), document["name"]) for name in names for document in documents(name)]
    began = time.monotonic()
    api.apply(*[document for name in names for document in documents(name)])
    events.wait([("workspace", name) for name in names], "running")
    yield "up", time.monotonic() - began
    began = time.monotonic()
    for kind, name in sorted(everything, reverse=True):  # workspaces first
        api.call("DELETE", f"/api/{kind}s/{name}")
    events.wait(everything, "gone")
    yield "down", time.monotonic() - began
    events.close()


def up_and_down(installation, names, rounds):
    """Seconds from nothing to running and back: Trailer, the engine's API at each width, docker-compose; in turns.

    The floor of a verb is the best of the widths' medians."""
    sides = {"trailer": lambda: trailer_up_and_down(installation, names),
             **{f"engine at {width}": lambda width=width: engine_up_and_down(installation.engine, names, width)
                for width in WIDTHS},
             "compose": lambda: compose_up_and_down(installation, names)}
    took = {}
    for turn in range(rounds):
        order = list(sides)
        for side in order[turn % len(order):] + order[:turn % len(order)]:  # none always comes first
            for verb, seconds in sides[side]():
                took.setdefault((side, verb), []).append(seconds)
    medians = {key: statistics.median(values) for key, values in took.items()}
    found = {f"{side} {verb} s": round(value, 2) for (side, verb), value in medians.items()}
    for verb in ("up", "down"):
        width = min(WIDTHS, key=lambda width: medians[f"engine at {width}", verb])
        found[f"{verb}: best width"] = width
        found[f"{verb}: trailer / engine"] = round(medians["trailer", verb] / medians[f"engine at {width}", verb], 2)
        found[f"{verb}: trailer / compose"] = round(medians["trailer", verb] / medians["compose", verb], 2)
    return found


def reconcile(installation, arguments):
    """Workspaces with a network and a volume each, up and down; a cycle without a change; one change among many."""
    found = {}
    for count in (8,) if arguments.quick else (25, 50):
        names = [f"r{i:02}" for i in range(count)]
        found[f"{count} workspaces"] = up_and_down(installation, names, 1 if arguments.quick else 3)
    found["among many"] = among_many(installation, 50 if arguments.quick else 300, 4 if arguments.quick else 15)
    return found


def cpu_seconds(pid):
    """CPU time to the nanosecond, of all threads; /proc/PID/stat counts in ticks of 10 ms."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def among_many(installation, count, turns):
    """What a cycle without a change costs, and one change in place and one replacement among many."""
    api = installation.api
    names = [f"i{i:03}" for i in range(count)]
    events = Events(api)
    api.apply({"kind": "Network", "name": "many", "spec": {"subnet": "10.77.0.0/22"}},  # a /24 has room for 253
              *[{"kind": "Workspace", "name": name, "spec": {
                  "image": BUSYBOX, "command": COMMAND, "networks": [{"network": "many"}], "resources": {"pids": 64}}}
                for name in names])
    events.wait([("workspace", name) for name in names], "running", 900)
    found = {"workspaces": count, "cpu_ms_per_unchanged_cycle": idle_cycle(installation),
             "in place": one_change(installation, names, turns, in_place, engine_in_place),
             "replacement": one_change(installation, names, turns, replacement, engine_replacement)}
    for name in names:
        api.call("DELETE", f"/api/workspaces/{name}")
    events.wait([("workspace", name) for name in names], "gone", 900)
    api.call("DELETE", "/api/networks/many")
    events.wait([("network", "many")], "gone")
    events.close()
    return found


def idle_cycle(installation):
    """The agent's CPU time for a poll that finds nothing new, its heartbeats (one to 50 polls) with it."""
    before_settings = installation.api.get("/api/hosts/bench")["settings"]
    installation.api.call("PATCH", "/api/hosts/bench", {"settings": {"reconcile_interval_ms": 100}})
    time.sleep(3)
    before = cpu_seconds(installation.agent.pid)
    time.sleep(10)
    used = cpu_seconds(installation.agent.pid) - before
    installation.api.call("PATCH", "/api/hosts/bench", {"settings": {
        "reconcile_interval_ms": before_settings["reconcile_interval_ms"]}})
    return round(used * 1000 / 100, 2)


def one_change(installation, names, turns, ours, engines):
    """From the call to the change in force, ours and the engine's own calls for the same, in turns.

    Either may give back what is to be done before the next turn, outside the measured time."""
    plain = engine_container(installation.engine, "plain")  # not ours: what someone changes on ours is changed back
    taken = {"trailer": [], "engine": []}
    for turn in range(turns):
        for side, work in (("trailer", lambda turn=turn: ours(installation, names[turn], turn)),
                           ("engine", lambda turn=turn: engines(installation.engine, "plain", turn))):
            began = time.monotonic()
            tidy_up = work()
            taken[side].append((time.monotonic() - began) * 1000)
            if tidy_up:
                tidy_up()
    installation.engine.remove(plain)
    return {**{side: milliseconds(values[1:]) for side, values in taken.items()},  # the first warms both
            "ratio_of_medians": round(statistics.median(taken["trailer"][1:]) / statistics.median(taken["engine"][1:]), 2)}


def in_place(installation, name, turn):
    installation.api.call("PATCH", f"/api/workspaces/{name}", {"spec": {"resources": {"pids": 70 + turn}}})
    while installation.engine.inspect(name)["HostConfig"]["PidsLimit"] != 70 + turn:
        pass


def engine_in_place(engine, name, turn):
    engine.call("POST", f"/containers/{name}/update", {"PidsLimit": 70 + turn})
    while engine.inspect(name)["HostConfig"]["PidsLimit"] != 70 + turn:
        pass


def replacement(installation, name, turn):
    """In force when the new one runs; that it proves itself before the old one goes is not the change's time."""
    installation.api.call("PATCH", f"/api/workspaces/{name}", {"spec": {"env": {"TURN": str(turn)}}})
    while not any(runs_with(installation.engine, each, turn) for each in (f"{name}.next", name)):
        pass
    return lambda: wait_until(lambda: runs_with(installation.engine, name, turn), f"{name} to have its name again")


def runs_with(engine, name, turn):
    try:
        container = engine.inspect(name)
    except AssertionError:  # not there, at this moment
        return False
    return container["State"]["Running"] and f"TURN={turn}" in container["Config"]["Env"]


def engine_container(engine, name, turn=None):
    engine.call("POST", f"/containers/create?name={name}", {
        "Image": BUSYBOX, "Cmd": COMMAND, "Env": [] if turn is None else [f"TURN={turn}"],
        "HostConfig": {"NetworkMode": "many", "PidsLimit": 64, "RestartPolicy": {"Name": "unless-stopped"}}})
    if turn is None:
        engine.call("POST", f"/containers/{name}/start")
    return name


def engine_replacement(engine, name, turn):
    """The same steps: the new one is made, the old one stopped, the new one started."""
    engine_container(engine, f"{name}.next", turn)
    engine.call("POST", f"/containers/{name}/stop")
    engine.call("POST", f"/containers/{name}.next/start")
    while not runs_with(engine, f"{name}.next", turn):
        pass

    def tidy_up():
        engine.call("DELETE", f"/containers/{name}?v=1")
        engine.call("POST", f"/containers/{name}.next/rename?name={name}")

    return tidy_up


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
        "reconcile": [*[((f"{count} workspaces", f"{verb}: trailer / {other}"), most) for count in (25, 50)
                        for verb, other, most in (("up", "engine", 1.10), ("up", "compose", 0.65), ("down", "engine", 1.10))],
                      (("among many", "cpu_ms_per_unchanged_cycle"), 1.0),
                      (("among many", "in place", "ratio_of_medians"), 1.25),
                      (("among many", "replacement", "ratio_of_medians"), 1.25)],
        "storm": storm_figures.AIMS}
FIGURES = {"size": size, "start": start, "apply": apply, "many": many,
           "reconcile": reconcile, "sessions": session_figures.sessions,
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
