"""The server's own promises: who may, how much, how fast, and what others are told."""

import http.client
import json
import pathlib
import re
import socket
import stat
import threading
import time

import pytest
from harness import Api, ApiError, wait_until, workspace


def test_the_first_admins_password_is_random_private_and_shown_once(installation):
    server = installation.server().start()
    installation.log_in()
    file = installation.directory / "data" / "initial_admin_password"
    password = file.read_text().strip()
    assert len(password) >= 16 and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert password in server.text()
    assert stat.S_IMODE((installation.directory / "data").stat().st_mode) == 0o700
    server.stop()
    server.log.write_text("")
    server.start()
    installation.wait_ready()
    assert password not in server.text()
    for log in (installation.directory / "log").rglob("*.log"):
        assert password not in log.read_text()


def test_login_is_limited_and_sessions_end(standalone):
    stranger = Api(standalone.url)
    statuses = []
    for _ in range(12):
        statuses.append(stranger.raw("POST", "/api/auth/login", {"username": "admin", "password": "wrong"})[0])
    assert statuses[0] == 401 and statuses[-1] == 429, statuses
    with pytest.raises(ApiError) as caught:
        stranger.get("/api/workspaces")
    assert caught.value.status == 401
    api = standalone.api
    assert api.get("/api/auth/me")["username"] == "admin"
    made = api.call("POST", "/api/tokens", {"name": "ci"})
    assert made["token"]
    assert all("token" not in t or not t["token"] for t in api.get("/api/tokens")["items"])
    program = Api(standalone.url, made["token"])
    assert program.get("/api/auth/me")["username"] == "admin"
    api.call("DELETE", f"/api/tokens/{made['id']}")
    with pytest.raises(ApiError):
        program.get("/api/auth/me")
    api.call("POST", "/api/auth/logout")
    with pytest.raises(ApiError):
        api.get("/api/auth/me")


def test_no_token_stands_in_the_database(standalone):
    made = standalone.api.call("POST", "/api/tokens", {"name": "ci"})["token"]
    for file in (standalone.directory / "data").iterdir():
        if file.is_file():
            assert made.encode() not in file.read_bytes()
            assert standalone.api.token.encode() not in file.read_bytes()


def test_lists_are_paged_and_ids_and_names_both_serve(standalone):
    api = standalone.api
    api.apply(*[workspace(f"w{i:02}", running=False) for i in range(7)])
    names, cursor = [], ""
    while True:
        page = api.get(f"/api/workspaces?limit=3{cursor}")
        assert len(page["items"]) <= 3
        names += [w["name"] for w in page["items"]]
        if not page.get("next_cursor"):
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert sorted(names) == [f"w{i:02}" for i in range(7)]
    one = api.get("/api/workspaces/w03")
    assert api.get(f"/api/workspaces/{one['id']}")["name"] == "w03"
    with pytest.raises(ApiError) as caught:
        api.get("/api/workspaces?limit=5000")
    assert caught.value.status in (400, 422)
    with pytest.raises(ApiError) as caught:
        api.get("/api/workspaces/nothing")
    assert caught.value.status == 404


class Events:
    """Reads /api/events in a thread."""

    def __init__(self, api, last_id=None):
        self.items, self.ids, self.names = [], [], []
        self._connection = http.client.HTTPConnection(api._host, api._port, timeout=30)
        headers = {"Authorization": f"Bearer {api.token}", "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self._connection.request("GET", "/api/events", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        assert self._answer.getheader("Content-Type").startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for raw in self._answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("id:"):
                    self.ids.append(line[3:].strip())
                elif line.startswith("event:"):
                    self.names.append(line[6:].strip())
                elif line.startswith("data:") and line[5:].strip():
                    self.items.append(json.loads(line[5:]))
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def close(self):
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


def test_events_tell_every_change_and_resume_where_they_broke(standalone):
    api = standalone.api
    events = Events(api)
    api.apply(workspace("dev"))
    wait_until(lambda: [e for e in events.items if e["name"] == "dev" and e["resource"]
                        and e["resource"]["status"] == "running"], "the event that it runs")
    assert [e["type"] for e in events.items if e["name"] == "dev"][0] == "created"
    last = events.ids[-1]
    events.close()
    api.apply(workspace("other", running=False))
    again = Events(api, last)
    wait_until(lambda: [e for e in again.items if e["name"] == "other" and e["type"] == "created"],
               "the event that came in between")
    assert not [e for e in again.items if e["name"] == "dev" and e["type"] == "created"]
    again.close()
    unknown = Events(api, "gone-1")
    wait_until(lambda: "reset" in unknown.names, "the word that events were missed")
    unknown.close()


def test_slow_and_huge_requests_are_bounded(standalone):
    api = standalone.api
    status, _, _ = api.raw("GET", "/healthz", headers={"X-Big": "x" * 200_000})
    assert status == 431
    with socket.create_connection((api._host, api._port)) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        slow.settimeout(40)
        began = time.monotonic()
        while slow.recv(4096):
            pass
        assert time.monotonic() - began < 35
    assert api.raw("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("role", ["server", "agent", "standalone"])
def test_each_role_takes_as_many_open_files_as_it_may_have(installation, role):
    """A login begins its programs with 1024, which a server of 300 hosts needs at once."""
    process = getattr(installation, role)()
    process.arguments = ["prlimit", "--nofile=200:3000", *process.arguments]
    process.start()
    limits = pathlib.Path(f"/proc/{process.pid}/limits")
    wait_until(lambda: re.search(r"^Max open files +3000 +3000 ", limits.read_text(), re.M), "the limit to be raised")


def test_problems_are_problem_json(standalone):
    status, headers, text = standalone.api.raw("GET", "/api/nothing-here")
    assert status == 404 and headers["Content-Type"].startswith("application/problem+json")
    assert json.loads(text)["status"] == 404
    status, headers, _ = standalone.api.raw("DELETE", "/api/apply")
    assert status == 405 and "POST" in headers["Allow"]


def test_metrics_and_health_are_there_for_machines(standalone):
    assert Api(standalone.url).raw("GET", "/healthz")[0] == 200
    status, _, text = standalone.api.raw("GET", "/metrics")
    assert status == 200 and b"trailer_" in text
    host = standalone.api.get("/api/hosts/host-1")
    wait_until(lambda: standalone.api.get("/api/hosts/host-1")["metrics"].get("host"), "the host's metrics")
    metrics = standalone.api.get("/api/hosts/host-1")["metrics"]["host"]
    assert metrics["cpus"] >= 1 and metrics["memory_total"] > metrics["memory_used"] > 0
    assert host["capabilities"]["runtime_version"]
