"""Reconciling against the engine's API called directly and docker-compose. A figure of bench/run."""

import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import time

from harness import BUSYBOX, wait_until
from relay import engine_relay, server_relay
from sides import COMMAND, Events, direct_down, direct_up, documents, milliseconds

WIDTHS = (1, 2, 4, 8, 16)
# A side whose first round took so much longer than the best is not looked at again.
HOPELESS = 1.15
GROUP = "bench"


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


def compose_up_and_down(installation, names):
    compose = ["docker-compose", "-H", installation.engine.address, "-p", GROUP, "-f",
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
    """One call each way, as compose: from the call to the event that the last one runs, or has gone."""
    api = installation.api
    events = Events(api)
    everything = [(document["kind"].lower(), document["name"]) for name in names for document in documents(name)]
    began = time.monotonic()
    api.apply(*[{**document, "group": GROUP} for name in names for document in documents(name)])
    events.wait([("workspace", name) for name in names], "running")
    yield "up", time.monotonic() - began
    began = time.monotonic()
    api.call("DELETE", f"/api/groups/{GROUP}?volumes=true")
    events.wait(everything, "gone")
    yield "down", time.monotonic() - began
    events.close()


def leaves_nothing(engine, side):
    """Every side must have removed all that it made, or the next would not do the same work."""
    left = [each["Names"][0] for each in engine.call("GET", "/containers/json?all=1")]
    left += [each["Name"] for each in engine.call("GET", "/networks") if each["Name"].endswith("-net")]
    left += [each["Name"] for each in engine.call("GET", "/volumes")["Volumes"] or [] if each["Name"].endswith("-vol")]
    if left:
        raise AssertionError(f"{side} left behind: {left}")


def up_and_down(installation, names, rounds):
    """Seconds from nothing to running and back: Trailer, the engine's API at each width, docker-compose; in turns.

    The floor of a verb is the best of the widths' medians. A width that is far off the best in the first round is left
    out of the others."""
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
            leaves_nothing(installation.engine, side)
        if turn == 0:
            for side in hopeless(took):
                del sides[side]
    medians = {key: statistics.median(values) for key, values in took.items()}
    found = {f"{side} {verb} s": round(value, 2) for (side, verb), value in medians.items()}
    for verb in ("up", "down"):
        floor = min((side for side in sides if side.startswith("engine")), key=lambda side, verb=verb: medians[side, verb])
        found[f"{verb}: best width"] = int(floor.split()[-1])
        found[f"{verb}: trailer / engine"] = round(medians["trailer", verb] / medians[floor, verb], 2)
        found[f"{verb}: trailer / compose"] = round(medians["trailer", verb] / medians["compose", verb], 2)
    found["rounds"] = rounds
    return found


def hopeless(took):
    widths = [f"engine at {width}" for width in WIDTHS]
    best = {verb: min(took[side, verb][0] for side in widths) for verb in ("up", "down")}
    return [side for side in widths if all(took[side, verb][0] > HOPELESS * best[verb] for verb in best)]


def cpu_seconds(pid):
    """CPU time to the nanosecond, of all threads; /proc/PID/stat counts in ticks of 10 ms."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def among_many(installation, count, turns):
    """What a cycle without a change costs, and one change in place and one replacement among many."""
    api = installation.api
    names = [f"i{i:03}" for i in range(count)]
    events = Events(api)
    api.apply({"kind": "Network", "name": "many", "group": GROUP, "spec": {"subnet": "10.77.0.0/22"}},  # a /24 has room for 253
              *[{"kind": "Workspace", "name": name, "group": GROUP, "spec": {
                  "image": BUSYBOX, "command": COMMAND, "networks": [{"network": "many"}], "resources": {"pids": 64}}}
                for name in names])
    events.wait([("workspace", name) for name in names], "running", 900)
    found = {"workspaces": count,
             "in place": one_change(installation, names, turns, in_place, engine_in_place),
             "replacement": one_change(installation, names, turns, replacement, engine_replacement),
             "drift": drift(installation, names[turns:], turns),
             "unchanged": idle_cycles(installation)}
    api.call("DELETE", f"/api/groups/{GROUP}")
    events.wait([("workspace", name) for name in names] + [("network", "many")], "gone", 900)
    events.close()
    return found


def idle_cycles(installation, seconds=20):
    """The agent's CPU time for a poll that finds nothing new, its heartbeats (one to some 50 polls) with it, and what it
    asks of the engine meanwhile. Relays between it, the server and the engine count."""
    to_server = server_relay(installation.port)
    to_engine = engine_relay(installation.directory / "relay.sock", installation.engine)
    agent = installation.new_agent(f"http://127.0.0.1:{to_server.address[1]}", f"unix://{to_engine.address}")
    before = installation.api.get("/api/hosts/bench")["settings"]["reconcile_interval_ms"]
    installation.api.call("PATCH", "/api/hosts/bench", {"settings": {"reconcile_interval_ms": 100}})
    installation.agent.end()
    try:
        agent.start()
        installation.wait_online()
        wait_until(lambda: settled(installation.api), "the agent to have looked at everything", 60)
        time.sleep(5)
        to_server.forget()
        to_engine.forget()
        used = cpu_seconds(agent.pid)
        time.sleep(seconds)
        used = cpu_seconds(agent.pid) - used
        calls, engine_calls = to_server.asked(), to_engine.asked()
    finally:
        agent.end()
        to_server.close()
        to_engine.close()
    installation.agent.start()
    installation.api.call("PATCH", "/api/hosts/bench", {"settings": {"reconcile_interval_ms": before}})
    installation.wait_online()
    polls = sum(call.path.startswith("/api/agent/desired-state") for call in calls)
    return {"cpu_ms_per_cycle": round(used * 1000 / polls, 3), "cycles": polls,
            "other_calls_to_the_server": len(calls) - polls, "calls_to_the_engine": len(engine_calls)}


def settled(api):
    host = api.get("/api/hosts/bench")
    return host["status"] == "online" and host["revision"] == host["revision_applied"]


def one_change(installation, names, turns, ours, engines):
    """From the call to the change in force, ours and the engine's own calls for the same, in turns.

    Each side gives its time, and what is to be done before the next turn, if anything is."""
    plain = engine_container(installation.engine, "plain")  # not ours: what someone changes on ours is changed back
    taken = {"trailer": [], "engine": []}
    for turn in range(turns):
        sides = [("trailer", lambda turn=turn: ours(installation, names[turn], turn)),
                 ("engine", lambda turn=turn: engines(installation.engine, "plain", turn))]
        for side, work in sides if turn % 2 else reversed(sides):
            took, tidy_up = work()
            taken[side].append(took * 1000)
            if tidy_up:
                tidy_up()
            time.sleep(0.6)  # what a change leaves to do is not the next one's
    installation.engine.remove(plain)
    return {**{side: milliseconds(values[1:]) for side, values in taken.items()},  # the first warms both
            "ratio_of_medians": round(statistics.median(taken["trailer"][1:]) / statistics.median(taken["engine"][1:]), 2)}


def drift(installation, names, turns):
    """From what someone did to a container behind the agent's back until that is undone: an event, a plan, and the
    engine's own time for what undoes it."""
    engine = installation.engine

    def seen(name):
        try:
            return engine.inspect(name)
        except AssertionError:  # not there, at this moment
            return None

    def runs(name):
        return seen(name) and seen(name)["State"]["Running"]

    ways = {"removed": (lambda name: engine.call("DELETE", f"/containers/{name}?force=1"), runs),
            "stopped": (lambda name: engine.call("POST", f"/containers/{name}/stop?t=0"), runs),
            "renamed": (lambda name: engine.call("POST", f"/containers/{name}/rename?name={name}-other"), runs),
            "detached": (lambda name: engine.call("POST", "/networks/many/disconnect", {"Container": name}),
                         lambda name: "many" in seen(name)["NetworkSettings"]["Networks"]),
            "limit changed": (lambda name: engine.call("POST", f"/containers/{name}/update", {"PidsLimit": 99}),
                              lambda name: seen(name)["HostConfig"]["PidsLimit"] == 64)}
    taken = {way: [] for way in ways}
    for turn in range(turns):
        for at, (way, (meddle, is_repaired)) in enumerate(ways.items()):
            name = names[(turn * len(ways) + at) % len(names)]
            meddle(name)
            began = time.monotonic()
            until(lambda name=name, is_repaired=is_repaired: is_repaired(name))
            taken[way].append((time.monotonic() - began) * 1000)
            time.sleep(0.3)
    return {way: milliseconds(values) for way, values in taken.items()}


def until(condition):
    """Looks each millisecond, so that looking does not keep a core from those who work."""
    while not condition():
        time.sleep(0.001)


def limit_file(engine, name):
    """Where the kernel tells the container's limit of processes: the engine tells the new one before it is in force."""
    memberships = pathlib.Path(f"/proc/{engine.inspect(name)['State']['Pid']}/cgroup").read_text().split()
    of_kind = {line.split(":")[1]: line.split(":")[2] for line in memberships}
    v1 = "pids" in of_kind
    group = of_kind["pids" if v1 else ""].lstrip("/")
    return pathlib.Path("/sys/fs/cgroup/pids" if v1 else "/sys/fs/cgroup") / group / "pids.max"


def in_place(installation, name, turn):
    file = limit_file(installation.engine, name)
    began = time.monotonic()
    installation.api.call("PATCH", f"/api/workspaces/{name}", {"spec": {"resources": {"pids": 70 + turn}}})
    until(lambda: file.read_text().strip() == str(70 + turn))
    return time.monotonic() - began, None


def engine_in_place(engine, name, turn):
    file = limit_file(engine, name)
    began = time.monotonic()
    engine.call("POST", f"/containers/{name}/update", {"PidsLimit": 70 + turn})
    until(lambda: file.read_text().strip() == str(70 + turn))
    return time.monotonic() - began, None


def replacement(installation, name, turn):
    """In force when the new one runs; that it proves itself before the old one goes is not the change's time."""
    began = time.monotonic()
    installation.api.call("PATCH", f"/api/workspaces/{name}", {"spec": {"env": {"TURN": str(turn)}}})
    until(lambda: any(runs_with(installation.engine, each, turn) for each in (f"{name}.next", name)))
    return time.monotonic() - began, lambda: wait_until(lambda: runs_with(installation.engine, name, turn),
                                                        f"{name} to have its name again")


def runs_with(engine, name, turn):
    try:
        container = engine.inspect(name)
    except AssertionError:  # not there, at this moment
        return False
    return container["State"]["Running"] and f"TURN={turn}" in (container["Config"]["Env"] or [])


def engine_container(engine, name, turn=None):
    engine.call("POST", f"/containers/create?name={name}", {
        "Image": BUSYBOX, "Cmd": COMMAND, "Env": [] if turn is None else [f"TURN={turn}"],
        "HostConfig": {"NetworkMode": "many", "PidsLimit": 64, "RestartPolicy": {"Name": "unless-stopped"}}})
    if turn is None:
        engine.call("POST", f"/containers/{name}/start")
    return name


def engine_replacement(engine, name, turn):
    """The same steps: the new one is made, the old one stopped, the new one started."""
    began = time.monotonic()
    engine_container(engine, f"{name}.next", turn)
    engine.call("POST", f"/containers/{name}/stop")
    engine.call("POST", f"/containers/{name}.next/start")
    until(lambda: runs_with(engine, f"{name}.next", turn))
    took = time.monotonic() - began

    def tidy_up():
        engine.call("DELETE", f"/containers/{name}?v=1")
        engine.call("POST", f"/containers/{name}.next/rename?name={name}")

    return took, tidy_up


def reconcile(installation, arguments):
    """Workspaces with a network and a volume each, from nothing to running and back to nothing."""
    found = {}
    for count in (8,) if arguments.quick else (25, 50):
        names = [f"r{i:02}" for i in range(count)]
        found[f"{count} workspaces"] = up_and_down(installation, names, 1 if arguments.quick else 3)
    return found


def among(installation, arguments):
    """One change among many workspaces, what someone does to them behind the agent's back, and cycles without a change."""
    return among_many(installation, 50 if arguments.quick else 300, 4 if arguments.quick else 15)


# What is aimed at: (path into the result, at most).
AIMS = [((f"{count} workspaces", f"{verb}: trailer / {other}"), most) for count in (25, 50)
        for verb, other, most in (("up", "engine", 1.10), ("up", "compose", 0.65), ("down", "engine", 1.10))]
AMONG_AIMS = [(("in place", "ratio_of_medians"), 1.25), (("replacement", "ratio_of_medians"), 1.25),
              *[(("drift", way, "median_ms"), 1000.0) for way in ("removed", "stopped", "renamed", "detached", "limit changed")],
              (("unchanged", "cpu_ms_per_cycle"), 1.0)]
