"""Kills the agent at a chosen step, and tells whether two hosts ended the same."""

import random
import threading

from harness import ApiError, network, volume, wait_until, workspace
from relay import engine_relay

# Where the agent is when it dies: its request has not reached the engine; it has, and the engine works on it; the engine
# has done it, and the answer is lost.
MOMENTS = ("before", "under way", "after")
# Makes a mark in each volume that it finds empty: a volume that was lost and made anew has another.
COMMAND = ["sh", "-c", "for each in /data*; do [ -d $each ] && { [ -e $each/mark ] || cat /proc/sys/kernel/random/uuid "
           ">$each/mark; }; done; trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


class Killer:
    """A relay in front of the engine's socket that kills the agent at the n-th request that changes something."""

    def __init__(self, path, engine):
        self.fired = threading.Event()
        self._lock = threading.Lock()
        self._process = None
        self._left, self._moment, self._chosen = 0, "", None
        self.request = ""
        self._relay = engine_relay(path, engine, gate=self._gate, answered=self._answered)
        self.address = f"unix://{path}"

    def arm(self, process, nth, moment):
        with self._lock:
            self._process, self._left, self._moment, self._chosen, self.request = process, nth, moment, None, ""
            self.fired.clear()

    def disarm(self):
        """From here on every request passes. The number of changes since arm()."""
        with self._lock:
            self._process = None
            changes = sum(1 for each in self._relay.asked() if each.changes)
            self._relay.forget()
            return changes

    def changes(self):
        return [each.what for each in self._relay.asked() if each.changes]

    def close(self):
        self._relay.close()

    def _gate(self, request):
        with self._lock:
            if self._process is None:
                return True
            if self.fired.is_set():
                return False  # nothing gets by once it is dead
            if not request.changes:
                return True
            self._left -= 1
            if self._left != 0:
                return True
            self.request = request.what
            if self._moment == "after":
                self._chosen = request
                return True
            self._kill()
            return self._moment == "under way"

    def _answered(self, request, _status):
        with self._lock:
            if self._process is None:
                return True
            if request is not self._chosen:
                return not self.fired.is_set()
            self._kill()
            return False

    def _kill(self):
        self._process.kill()
        self.fired.set()


def first_state():
    return [network("lab", subnet="10.77.8.0/24"), network("old"), volume("data"), volume("kept"),
            one("keep", ["lab"], pids=64), one("replace", ["lab"], ["data"], env="1", fixed="10.77.8.77"),
            one("delete", ["old"], ["kept"]), one("move", ["lab", "old"]), one("stop", [])]


def second_state():
    return [network("lab", subnet="10.77.8.0/24"), network("new"), volume("data"), volume("kept"), volume("more"),
            one("keep", ["lab"], pids=96), one("replace", ["lab"], ["data"], env="2", fixed="10.77.8.77"),
            one("create", ["new"], ["more"]), one("move", ["new", "lab"]), one("stop", [], running=False)]


def one(name, networks, volumes=(), env=None, pids=None, memory=None, running=True, fixed=""):
    attached = [{"network": each} | ({"ipv4": fixed} if fixed else {}) for each in networks]
    resources = ({"pids": pids} if pids else {}) | ({"memory": memory << 20} if memory else {})
    return workspace(name, running=running, command=COMMAND, networks=attached, env={"STATE": env} if env else {},
                     mounts=[{"volume": each, "target": f"/data-{each}"} for each in volumes], resources=resources)


def random_state(dice: random.Random):
    """Few names, so that two states have much in common: kept, changed in place, replaced, deleted, created."""
    networks = [each for each in ("n0", "n1", "n2") if dice.random() < 0.6]
    volumes = [each for each in ("v0", "v1", "v2") if dice.random() < 0.6]
    documents = [network(each) for each in networks] + [volume(each) for each in volumes]
    for name in ("w0", "w1", "w2", "w3", "w4"):
        if dice.random() < 0.7:
            documents.append(one(name, [n for n in networks if dice.random() < 0.5],
                                 [v for v in volumes if dice.random() < 0.5], env=dice.choice((None, "1", "2")),
                                 pids=dice.choice((None, 64, 96)), memory=dice.choice((None, 64)),
                                 running=dice.random() < 0.8))
    return documents


def key_of(document):
    return document["kind"].lower() + "s", document["name"]


def reach(api, documents, former):
    """Asks for `documents`, and for the deletion of what `former` has beyond them."""
    api.apply(*documents)
    kept = {key_of(each) for each in documents}
    for kind, name in sorted((key_of(each) for each in former), reverse=True):  # workspaces first
        if (kind, name) in kept:
            continue
        try:
            api.call("DELETE", f"/api/{kind}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise


def settled(api):
    host = api.get("/api/hosts/host-1")
    return host["revision"] == host["revision_applied"] and host["reconcile"]["status"] == "ok"


def outcome(engine):
    """What a host ended with, without what differs from one time to the next: ids, addresses, times."""
    found = {}
    for listed in engine.containers():
        container = engine.inspect(listed["Id"])
        name = container["Name"].lstrip("/")
        networks = {}
        for network_name, each in container["NetworkSettings"]["Networks"].items():
            aliases = set(each["Aliases"] or []) - {container["Id"][:12]}
            networks[network_name] = [sorted(aliases), (each["IPAMConfig"] or {}).get("IPv4Address", "")]
        host = container["HostConfig"]
        found[f"container {name}"] = {
            "image": container["Config"]["Image"], "env": sorted(container["Config"]["Env"]),
            "running": container["State"]["Running"], "networks": networks, "pids": host["PidsLimit"],
            "memory": host["Memory"], "restart": host["RestartPolicy"]["Name"],
            "mounts": sorted((each["Name"], each["Destination"], each["RW"]) for each in container["Mounts"])}
    for each in engine.call("GET", "/networks"):
        if each["Labels"].get("dev.trailer.managed"):
            found.setdefault(f"network {each['Name']}", []).append(each["Driver"])
    for each in engine.call("GET", "/volumes")["Volumes"] or []:
        if (each["Labels"] or {}).get("dev.trailer.managed"):
            found[f"volume {each['Name']}"] = each["Driver"]
    return found


def marks(engine):
    """Volume -> what its first container wrote there."""
    found = {}
    for each in engine.call("GET", "/volumes")["Volumes"] or []:
        try:
            with open(f"{each['Mountpoint']}/mark", encoding="ascii") as file:
                found[each["Name"]] = file.read()
        except FileNotFoundError:
            pass
    return found


class Strangers:
    """A container, a network and a volume that are none of Trailer's."""

    def __init__(self, engine):
        self._engine = engine
        engine.call("POST", "/networks/create", {"Name": "strange-net", "Labels": {"a": "b"}})
        engine.call("POST", "/volumes/create", {"Name": "strange-vol"})
        made = engine.call("POST", "/containers/create?name=stranger", {
            "Image": "trailer.dev/busybox:1", "Cmd": COMMAND, "Labels": {"dev.trailer.name": "w0"},
            "HostConfig": {"NetworkMode": "strange-net", "Mounts": [
                {"Type": "volume", "Source": "strange-vol", "Target": "/data-strange"}]}})
        engine.call("POST", f"/containers/{made['Id']}/start")
        self._first = self.seen()

    def seen(self):
        container = self._engine.inspect("stranger")
        return {"container": {each: container[each] for each in ("Id", "State", "RestartCount", "HostConfig", "Mounts")},
                "networks": container["NetworkSettings"]["Networks"],
                "network": self._engine.call("GET", "/networks/strange-net")["Id"],
                "volume": self._engine.call("GET", "/volumes/strange-vol")}

    def unchanged(self):
        return self.seen() == self._first

    def remove(self):
        self._engine.remove("stranger")
        self._engine.call("DELETE", "/networks/strange-net", ok=(204, 404))
        self._engine.call("DELETE", "/volumes/strange-vol", ok=(204, 404))


class Journey:
    """Goes from one desired state to another and back, and dies on the way."""

    def __init__(self, installation, engine, states):
        self.api, self.engine = installation.api, engine
        self.killer = Killer(installation.directory / "relay.sock", engine)
        self.strangers = Strangers(engine)
        self.agent = installation.agent(docker_host=self.killer.address).start()
        installation.approve()
        installation.wait_online()
        self.api.call("PATCH", "/api/hosts/host-1", {"settings": {"heartbeat_interval_ms": 200}})
        self.states = states
        self.here = 0
        self._set_out(states[0], [])
        self.wait_settled()
        self.outcomes = {0: outcome(engine)}
        self.steps = {}
        self.killer.disarm()
        # Once there and back undisturbed: what is to come out of each way, and how many changes it takes.
        for _ in range(2):
            way = self.here
            self._go()
            self.wait_settled()
            self.steps[way] = self.killer.disarm()
            self.outcomes.setdefault(self.here, outcome(engine))
            assert outcome(engine) == self.outcomes[self.here]

    def _set_out(self, documents, former):
        reach(self.api, documents, former)

    def _go(self):
        target = 1 - self.here
        self._set_out(self.states[target], self.states[self.here])
        self.here = target

    def wait_settled(self, timeout=90):
        wait_until(lambda: settled(self.api), "the host to be as wanted", timeout)

    def die(self, nth, moment):
        """One way with one death at its nth change; False where the way had no so many changes."""
        before = marks(self.engine)
        self.killer.arm(self.agent, nth, moment)
        self._go()
        wait_until(lambda: self.killer.fired.is_set() or settled(self.api), "the agent to die or to arrive", 90)
        died = self.killer.fired.is_set()
        where = f"killed {moment} change {nth} ({self.killer.request}), on the way to state {self.here}"
        self.killer.disarm()
        if died:
            self.agent.start()
        try:
            self.wait_settled()
        except AssertionError as error:
            host = self.api.get("/api/hosts/host-1")
            raise AssertionError(f"{where}: {error}; {host['reconcile']}; {difference(self.expected(), self.now())}") from None
        assert self.now() == self.expected(), f"{where}: {difference(self.expected(), self.now())}"
        assert self.strangers.unchanged(), f"{where}: it touched what is not its own"
        after = marks(self.engine)
        lost = [name for name in before.keys() & after.keys() if before[name] != after[name]]
        wanted = {key_of(each) for each in self.states[self.here]}
        lost += [name for name in before if ("volumes", name) in wanted and name not in after]
        assert not lost, f"{where}: lost what was in {lost}"
        return died

    def now(self):
        return outcome(self.engine)

    def expected(self):
        return self.outcomes[self.here]

    def end(self):
        self.agent.end()
        self.killer.close()
        self.engine.clean()
        self.strangers.remove()


def difference(expected, found):
    lines = []
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            lines.append(f"{key}: expected {expected.get(key)}, found {found.get(key)}")
    return "; ".join(lines) or "all is as expected"
