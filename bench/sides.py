"""What the figures compare: the same workspaces by Trailer and by the engine's API, and how their times are told."""

import http.client
import json
import socket
import statistics
import threading

from harness import BUSYBOX

# A shell with a trap stops at once; sleep as process 1 would wait to be killed.
COMMAND = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


def milliseconds(values):
    values = sorted(values)
    return {"median_ms": round(statistics.median(values), 1), "best_ms": round(values[0], 1),
            "worst_ms": round(values[-1], 1), "runs": len(values)}


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
