"""Who may open which session, and what the audit log has of it: on the real engine."""

import json
import socket
import time
import types

import pytest
import websocket
from harness import Api, ApiError, wait_until, workspace
from test_client_sessions import run
from test_sessions import NUMBERED, Session, words

PASSWORD = "a long password"
SECRET = "hunter2-in-the-stream"


def user_of(installation, name, role=None, on="workspaces/dev"):
    """An installation as another person sees it."""
    installation.api.call("POST", "/api/users", {"username": name, "password": PASSWORD})
    if role:
        installation.api.call("PUT", f"/api/{on}/grants/{name}", {"role": role})
    api = Api(installation.url)
    api.login(PASSWORD, name)
    return types.SimpleNamespace(url=installation.url, api=api)


def refusal(open_session):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        open_session()
    return refused.value.status_code


def entries(installation, **query):
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return installation.api.get(f"/api/audit?{text}")["items"]


def ended(installation, count=1, **query):
    """The newest entries, once as many as `count` have ended."""
    def all_ended():
        found = entries(installation, **query)
        return found if len(found) == count and all("ended" in e and e["ended"] for e in found) else None

    return wait_until(all_ended, f"{count} ended entries of {query}; there are {entries(installation, **query)}")


@pytest.fixture
def dev(standalone):
    command = "echo hello; trap 'exit 0' TERM; while :; do sleep 1; done"
    standalone.api.apply(workspace("dev", command=["sh", "-c", command]), workspace("other"))
    for name in ("dev", "other"):
        standalone.api.wait("workspaces", name, "running")
    return standalone


def test_a_viewer_reads_logs_and_opens_pages_and_runs_nothing(dev):
    eve = user_of(dev, "eve", "viewer")
    out, _, _ = Session(eve, "/api/workspaces/dev/logs").all()
    assert out == b"hello\n"
    for path, query in (("exec", words("true")), ("attach", ()), ("ports/80", ())):
        assert refusal(lambda path=path, query=query: Session(eve, f"/api/workspaces/dev/{path}", query)) == 403
    # Nothing listens there, but the right is the same as for what does.
    assert eve.api.raw("GET", "/proxy/dev/81/")[0] in (502, 503)
    for path, query in (("logs", ()), ("exec", words("true"))):
        assert refusal(lambda path=path, query=query: Session(eve, f"/api/workspaces/other/{path}", query)) == 404
    assert eve.api.raw("GET", "/proxy/other/81/")[0] == 404
    assert refusal(lambda: Session(eve, "/api/hosts/host-1/logs")) == 403


def test_an_editor_runs_commands(dev):
    eve = user_of(dev, "eve", "editor")
    assert Session(eve, "/api/workspaces/dev/exec", words("echo", "hi")).all() == (b"hi\n", b"", {"exit_code": 0})
    assert refusal(lambda: Session(eve, "/api/hosts/host-1/logs")) == 403
    with pytest.raises(ApiError) as refused:
        eve.api.call("DELETE", "/api/workspaces/dev")
    assert refused.value.status == 403


def test_who_loses_the_right_loses_the_session(dev):
    eve = user_of(dev, "eve", "editor")
    session = Session(eve, "/api/workspaces/dev/exec", words("cat"))
    session.send(0, b"still here")
    session.until(b"still here")
    dev.api.call("PUT", "/api/workspaces/dev/grants/eve", {"role": "viewer"})
    with pytest.raises((websocket.WebSocketConnectionClosedException, AssertionError)):
        session.until(b"never said")
    wait_until(lambda: "cat" not in dev.engine.call("GET", "/containers/dev/top")["Processes"][-1][-1],
               "the command to end with its session")
    logs = Session(eve, "/api/workspaces/dev/logs", [("follow", "true")])
    logs.until(b"hello")
    dev.api.call("DELETE", "/api/users/eve")
    with pytest.raises((websocket.WebSocketConnectionClosedException, AssertionError)):
        logs.until(b"never said")


def test_what_a_session_runs_ends_with_the_right_to_it(dev):
    """At once: a numbered session would else wait a minute for another connection."""
    eve = user_of(dev, "eve", "editor")
    session = Session(eve, "/api/workspaces/dev/exec", words("sleep", "8769"), NUMBERED)

    def runs():
        return any("sleep 8769" in row[-1] for row in dev.engine.call("GET", "/containers/dev/top")["Processes"])
    wait_until(runs, "the command to run")
    dev.api.call("PUT", "/api/workspaces/dev/grants/eve", {"role": "viewer"})
    wait_until(lambda: not runs(), "the command to end", 20)
    assert ended(dev, kind="exec")[0]["user"] == "eve"
    session.socket.close()


def test_who_loses_the_right_loses_what_the_proxy_has_open(dev):
    """A connection that stays open for days too."""
    answer = "HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n"
    script = f"printf '{answer}' > /answer; while :; do nc -l -p 7000 -e sh -c 'cat /answer -'; done"
    dev.api.apply(workspace("echo", command=["sh", "-c", script]))
    dev.api.wait("workspaces", "echo", "running")
    eve = user_of(dev, "eve", "viewer", "workspaces/echo")
    with socket.create_connection(("127.0.0.1", dev.port), timeout=20) as raw:
        def hear(text):
            heard = b""
            while text not in heard:
                piece = raw.recv(4096)
                assert piece and b"HTTP/1.1 5" not in heard, heard
                heard += piece

        raw.sendall((f"GET /proxy/echo/7000/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {eve.api.token}\r\n"
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        hear(b"HTTP/1.1 101")
        raw.sendall(b"it echoes\n")
        hear(b"it echoes\n")
        dev.api.call("DELETE", "/api/workspaces/echo/grants/eve")
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass


def test_a_viewers_logs_go_on_after_a_cut(dev):
    eve = user_of(dev, "eve", "viewer")
    first = Session(eve, "/api/workspaces/dev/logs", [("follow", "true")], NUMBERED)
    first.until(b"hello\n")
    first.socket.sock.close()
    path = f"/api/workspaces/dev/sessions/{first.opened['session']}"
    again = Session(eve, path, [("received", "1")], NUMBERED)
    assert again.opened["session"] == first.opened["session"]
    mallory = user_of(dev, "mallory", "manager")
    assert refusal(lambda: Session(mallory, path, [("received", "0")], NUMBERED)) == 404


def test_the_audit_log_tells_each_session_and_never_what_was_said(dev):
    Session(dev, "/api/workspaces/dev/exec",
            [*words("sh", "-c", f"echo {SECRET}; exit 7"), ("env", f"TOKEN={SECRET}")]).all()
    (entry,) = ended(dev, kind="exec")
    assert {k: entry[k] for k in ("user", "workspace", "host", "program", "exit_code", "connections", "failure")} == {
        "user": "admin", "workspace": "dev", "host": "host-1", "program": "sh", "exit_code": 7, "connections": 1,
        "failure": ""}
    assert entry["address"] == "127.0.0.1"
    assert entry["began"] <= entry["ended"]
    assert entry["bytes_out"] >= len(SECRET)
    Session(dev, "/api/workspaces/dev/logs").all()
    assert ended(dev, kind="logs")[0]["bytes_out"] >= len("hello\n")
    host = Session(dev, "/api/hosts/host-1/logs", [("tail", "1")])
    host.all()
    (entry,) = ended(dev, kind="host_logs")
    assert (entry["workspace"], entry["host"]) == ("", "host-1")
    for file in (dev.directory / "data").iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


def test_what_did_not_open_is_in_the_audit_log_too(dev):
    dev.api.call("POST", "/api/workspaces/other/stop", {})
    dev.api.wait("workspaces", "other", "stopped")
    assert refusal(lambda: Session(dev, "/api/workspaces/other/exec", words("true"))) in (404, 409)
    (entry,) = ended(dev, workspace="other")
    assert entry["failure"]


def test_requests_through_the_proxy_are_one_visit(dev):
    script = "mkdir -p /w; echo page > /w/index.html; exec httpd -f -p 8080 -h /w"
    dev.api.apply(workspace("web", command=["sh", "-c", script]))
    dev.api.wait("workspaces", "web", "running")
    wait_until(lambda: dev.api.raw("GET", "/proxy/web/8080/")[0] == 200, "the page")
    before = entries(dev, kind="proxy", workspace="web")
    assert len(before) == 1
    for _ in range(5):
        assert dev.api.raw("GET", "/proxy/web/8080/")[2] == b"page\n"
    (entry,) = wait_until(
        lambda: [e for e in entries(dev, kind="proxy", workspace="web")
                 if e["connections"] >= before[0]["connections"] + 5 and e["bytes_out"]], "the visit to be written down")
    assert (entry["port"], entry["user"]) == (8080, "admin")


def test_one_session_is_one_entry_over_cuts_and_restarts_of_the_server(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    first = Session(pair, "/api/workspaces/dev/exec", words("cat"), NUMBERED)
    first.send(0, b"one\n")
    hear(first, b"one\n")
    (entry,) = entries(pair)
    path = f"/api/workspaces/dev/sessions/{first.opened['session']}"
    first.socket.sock.close()
    second = Session(pair, path, [("received", "1")], NUMBERED)
    second.send(0, b"two\n")
    hear(second, b"two\n")
    pair.server_process.kill()
    pair.server_process.start()
    pair.wait_ready()
    pair.wait_online()
    third = wait_until(lambda: again(pair, path), "the session to be taken up again")
    third.close_input()
    while third.receive()[0] != 3:
        pass
    (last,) = ended(pair)
    assert last["id"] == entry["id"]
    assert last["connections"] == 3
    assert last["exit_code"] == 0


def hear(session, text):
    """Reads on until the output is there; acknowledgements come in between."""
    heard = b""
    while text not in heard:
        channel, data = session.receive()
        heard += data if channel == 1 else b""


def again(installation, path):
    try:
        return Session(installation, path, [("received", "2")], NUMBERED)
    except websocket.WebSocketBadStatusException as refused:
        if refused.status_code == 503:  # its agent is not back yet
            return None
        raise


def test_the_command_line_manages_users_and_shows_the_audit_log(dev):
    password = dev.directory / "password"
    password.write_text(PASSWORD + "\n")
    made = dev.command("user", "add", "eve", "--password-file", password)
    assert (made.returncode, made.stdout) == (0, "user/eve created\n"), made.stderr
    assert "eve" in dev.command("user", "list").stdout
    given = dev.command("grant", "eve", "viewer", "workspace/dev")
    assert (given.returncode, given.stdout) == (0, "workspace/dev: eve is granted viewer\n"), given.stderr
    assert dev.command("grant", "eve", "view,create_workspaces", "host/host-1").returncode == 0
    listed = dev.command("grants", "user/eve", "-o", "json")
    assert {(g["kind"], g["name"]) for g in json.loads(listed.stdout)} == {("Workspace", "dev"), ("Host", "host-1")}
    assert "eve" in dev.command("grants", "workspace/dev").stdout
    flags = ["--server", dev.url, "--token-file", dev.directory / "token"]  # which command() has made
    wrong = dev.command("grant", "eve", "king", "workspace/dev")
    assert wrong.returncode == 2 and "viewer, editor or manager" in wrong.stderr
    assert run(dev, "exec", *flags, "dev", "--", "sh", "-c", "exit 3").returncode == 3
    ended(dev, kind="exec")
    table = dev.command("audit", "--workspace", "dev", "--since", "10m").stdout.splitlines()
    assert table[0].split() == ["BEGAN", "USER", "WORKSPACE", "WHAT", "FROM", "LASTED", "IN", "OUT", "END"]
    assert "exec sh" in table[1] and "exit 3" in table[1]
    assert dev.command("revoke", "eve", "workspace/dev").returncode == 0
    assert dev.command("user", "remove", "eve").returncode == 0
    assert "eve" not in dev.command("user", "list").stdout


def test_others_see_their_own_audit_entries_alone(dev):
    eve = user_of(dev, "eve", "viewer")
    Session(eve, "/api/workspaces/dev/logs").all()
    Session(dev, "/api/workspaces/dev/logs").all()
    ended(dev, count=2, kind="logs")
    assert [e["user"] for e in eve.api.get("/api/audit")["items"]] == ["eve"]
    with pytest.raises(ApiError) as refused:
        eve.api.get("/api/audit?user=admin")
    assert refused.value.status == 403
    page = dev.api.get("/api/audit?limit=1")
    rest = dev.api.get(f"/api/audit?limit=1&cursor={page['next_cursor']}")
    assert [page["items"][0]["user"], rest["items"][0]["user"]] == ["admin", "eve"]
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    assert dev.api.get(f"/api/audit?from={later}")["items"] == []


