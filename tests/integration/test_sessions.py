"""Logs, exec, attach and ports, frame by frame, as the contract has them: on the real engine."""

import json
import struct
import time
import urllib.parse

import pytest
import websocket
from harness import BUSYBOX, wait_until, workspace

STDIN, STDOUT, STDERR, END, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PLAIN = "v5.channel.k8s.io"
NUMBERED = "v1.session.trailer.dev"


class Session:
    """One WebSocket of a session."""

    def __init__(self, installation, path, query=(), protocol=PLAIN, timeout=20, **options):
        url = installation.url.replace("http", "ws") + path
        if query:
            url += "?" + urllib.parse.urlencode(list(query))
        self.socket = websocket.create_connection(
            url, timeout=timeout, subprotocols=[protocol] if protocol else None, suppress_origin=True,
            header=[f"Authorization: Bearer {installation.api.token}"], **options)
        self.opened = json.loads(self.socket.recv()) if protocol == NUMBERED else None

    def send(self, channel, data=b""):
        self.socket.send_binary(bytes([channel]) + data)

    def close_input(self):
        self.send(CLOSE, bytes([STDIN]))

    def receive(self):
        frame = self.socket.recv()
        assert isinstance(frame, bytes), frame
        return frame[0], frame[1:]

    def until(self, text, channel=STDOUT):
        heard = b""
        while text not in heard:
            which, data = self.receive()
            assert which == channel, (which, data)
            heard += data
        return heard

    def all(self):
        """What comes to the end: stdout, stderr, and the end's object."""
        heard = {STDOUT: b"", STDERR: b""}
        while True:
            channel, data = self.receive()
            if channel == END:
                return heard[STDOUT], heard[STDERR], json.loads(data)
            heard[channel] += data


def words(*command, **more):
    return [("cmd", each) for each in command] + list(more.items())


@pytest.fixture
def dev(standalone):
    standalone.api.apply(workspace("dev", command=["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]))
    standalone.api.wait("workspaces", "dev", "running")
    return standalone


def run(installation, *command, **more):
    return Session(installation, "/api/workspaces/dev/exec", words(*command, **more)).all()


def test_a_long_line_of_a_terminal_is_in_the_log_as_it_was_written(standalone):
    """The engine keeps it in parts, each with its time."""
    script = "awk 'BEGIN { for (i = 0; i < 5000; ++i) printf \"%08d,\", i; print \"\" }'; sleep 1000"
    standalone.api.apply(workspace("long", command=["sh", "-c", script], tty=True))
    standalone.api.wait("workspaces", "long", "running")
    whole = "".join(f"{i:08}," for i in range(5000)).encode() + b"\r\n"
    wait_until(lambda: len(Session(standalone, "/api/workspaces/long/logs").all()[0]) >= len(whole), "the line")
    assert Session(standalone, "/api/workspaces/long/logs").all()[0] == whole


def test_runs_a_command_with_its_streams_apart_and_its_exit_code(dev):
    out, err, end = run(dev, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (out, err, end) == (b"out\n", b"err\n", {"exit_code": 7})


def test_passes_user_directory_and_environment(dev):
    query = words("sh", "-c", "id -u; pwd; echo $GREETING", user="1000", workdir="/tmp") + [("env", "GREETING=hi there")]
    out, _, end = Session(dev, "/api/workspaces/dev/exec", query).all()
    assert out.decode().split("\n")[:3] == ["1000", "/tmp", "hi there"] and end == {"exit_code": 0}


def test_passes_input_of_any_bytes_and_its_end(dev):
    session = Session(dev, "/api/workspaces/dev/exec", words("sha256sum"))
    data = bytes(range(256)) * 8192  # 2 MiB
    for at in range(0, len(data), 50_000):
        session.send(STDIN, data[at:at + 50_000])
    session.close_input()
    import hashlib

    out, _, end = session.all()
    assert out.decode().split()[0] == hashlib.sha256(data).hexdigest() and end == {"exit_code": 0}


def test_a_terminal_has_its_size_from_the_first_byte_and_is_resized(dev):
    session = Session(dev, "/api/workspaces/dev/exec",
                      words("sh", "-c", "stty size; read x; stty size", tty="true", cols="101", rows="37"))
    assert session.until(b"37 101\r\n") == b"37 101\r\n"
    session.send(RESIZE, json.dumps({"cols": 55, "rows": 22}).encode())
    time.sleep(0.3)
    session.send(STDIN, b"\n")
    out, _, end = session.all()
    assert b"22 55" in out and end == {"exit_code": 0}


def test_a_command_that_is_not_there_is_told_as_the_engine_does(dev):
    out, err, end = run(dev, "/no/such/command")
    assert end["exit_code"] in (126, 127) and b"no such" in (out + err).lower()


def test_the_processes_of_a_session_end_with_it(dev):
    session = Session(dev, "/api/workspaces/dev/exec", words("sh", "-c", "sleep 7654 & sleep 7655; true"))
    processes = lambda: run(dev, "ps", "-o", "args")[0]
    wait_until(lambda: b"sleep 7654" in processes() and b"sleep 7655" in processes(), "the command to run")
    session.socket.close()
    wait_until(lambda: b"765" not in processes(), "its processes to end", 15)


def test_says_before_the_upgrade_what_is_wrong(dev):
    def refusal(path, query=()):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            Session(dev, path, query)
        return caught.value.status_code

    assert refusal("/api/workspaces/nobody/exec", words("true")) == 404
    assert refusal("/api/workspaces/dev/exec") == 422
    assert refusal("/api/workspaces/dev/ports/0") == 422
    assert refusal("/api/workspaces/dev/ports/9") == 503  # nothing listens
    dev.api.call("POST", "/api/workspaces/dev/stop")
    dev.api.wait("workspaces", "dev", "stopped")
    assert refusal("/api/workspaces/dev/exec", words("true")) == 409
    status, headers, body = dev.api.raw("GET", "/api/workspaces/dev/exec?cmd=true")
    assert status in (400, 422) and b"WebSocket" in body


def test_another_origin_may_not_open_a_session(dev):
    url = dev.url.replace("http", "ws") + "/api/workspaces/dev/exec?cmd=true"
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(url, origin="http://evil.example", timeout=10,
                                    header=[f"Authorization: Bearer {dev.api.token}"])
    assert caught.value.status_code == 403


def test_attach_joins_the_workspaces_own_process(standalone):
    standalone.api.apply(workspace("cat", command=["cat"], tty=True, stdin_open=True))
    standalone.api.wait("workspaces", "cat", "running")
    one = Session(standalone, "/api/workspaces/cat/attach", [("cols", "80"), ("rows", "24")])
    two = Session(standalone, "/api/workspaces/cat/attach")
    one.send(STDIN, b"hello\n")
    assert b"hello\r\n" in one.until(b"hello\r\nhello\r\n")
    assert b"hello\r\n" in two.until(b"hello\r\nhello\r\n")
    one.socket.close()
    two.send(STDIN, b"still here\n")
    two.until(b"still here\r\nstill here\r\n")


def test_logs_of_a_running_and_of_a_stopped_workspace(standalone):
    script = "for i in 1 2 3; do echo out$i; echo err$i >&2; done; trap 'exit 0' TERM; while :; do sleep 1; done"
    standalone.api.apply(workspace("talker", command=["sh", "-c", script]))
    standalone.api.wait("workspaces", "talker", "running")
    path = "/api/workspaces/talker/logs"
    wait_until(lambda: Session(standalone, path).all()[0] == b"out1\nout2\nout3\n", "the lines")
    out, err, end = Session(standalone, path).all()
    assert err == b"err1\nerr2\nerr3\n" and end == {}
    out, err, _ = Session(standalone, path, [("tail", "2")]).all()
    assert len((out + err).split()) == 2
    out, _, _ = Session(standalone, path, [("timestamps", "true"), ("tail", "all")]).all()
    stamp, text = out.split(b"\n")[0].split(b" ")
    assert text == b"out1" and stamp.endswith(b"Z")
    out, err, _ = Session(standalone, path, [("since", stamp.decode()), ("skip", "1")]).all()
    assert b"out1" not in out and b"out3" in out
    standalone.api.call("POST", "/api/workspaces/talker/stop")
    standalone.api.wait("workspaces", "talker", "stopped")
    assert Session(standalone, path).all()[0] == b"out1\nout2\nout3\n"


def test_following_goes_on_with_the_container_that_replaces(standalone):
    def spec(word):
        return workspace("talker", command=["sh", "-c", f"echo {word}; trap 'exit 0' TERM; while :; do sleep 1; done"])

    standalone.api.apply(spec("one"))
    standalone.api.wait("workspaces", "talker", "running")
    session = Session(standalone, "/api/workspaces/talker/logs", [("follow", "true")])
    session.until(b"one\n")
    standalone.api.apply(spec("two"))
    session.until(b"two\n")
    standalone.api.call("POST", "/api/workspaces/talker/restart")
    session.until(b"two\n")


def test_a_raw_port_that_is_not_published(standalone):
    standalone.api.apply(workspace("web", command=["nc", "-ll", "-p", "7000", "-e", "cat"]))
    standalone.api.wait("workspaces", "web", "running")

    def connect():
        try:
            return Session(standalone, "/api/workspaces/web/ports/7000", protocol=None)
        except websocket.WebSocketBadStatusException:
            return None

    wait_until(connect, "the port to listen")
    session = connect()
    session.socket.send_binary(b"\x00\x01raw bytes")
    heard = b""
    while len(heard) < 11:
        heard += session.socket.recv()
    assert heard == b"\x00\x01raw bytes"


def test_a_hosts_own_log(standalone):
    out, _, _ = Session(standalone, "/api/hosts/host-1/logs", [("tail", "5")]).all()
    assert 1 <= len(out.decode().strip().split("\n")) <= 5


def test_a_numbered_session_survives_its_connection_and_the_server(pair):
    pair.api.apply(workspace("dev", command=["sleep", "100000"]))
    pair.api.wait("workspaces", "dev", "running")
    script = "i=0; while read line; do i=$((i+1)); echo $i $line; done; exit 3"
    first = Session(pair, "/api/workspaces/dev/exec", words("sh", "-c", script), protocol=NUMBERED)
    first.send(STDIN, b"a\nb\n")
    received = 0
    heard = b""
    while b"2 b\n" not in heard:
        channel, data = first.receive()
        if channel == STDOUT:
            received += 1
            heard += data
    first.socket.sock.close()  # no good-bye
    pair.server_process.kill()
    pair.server_process.start()
    pair.wait_ready()
    path = f"/api/workspaces/dev/sessions/{first.opened['session']}"

    def resume():
        try:
            return Session(pair, path, [("received", str(received))], protocol=NUMBERED)
        except websocket.WebSocketBadStatusException:
            return None

    second = wait_until(resume, "the session to be taken up again", 40)
    assert second.opened["received"] == 1
    second.send(STDIN, b"c\n")
    second.close_input()
    out = b""
    while True:
        channel, data = second.receive()
        if channel == STDOUT:
            out += data
        if channel == END:
            break
    assert out == b"3 c\n" and json.loads(data) == {"exit_code": 3}
    second.socket.send_binary(b"\xfe" + struct.pack(">Q", 10 ** 6))  # nonsense ends it, and nothing else
    assert run(pair, "echo", "fine")[0] == b"fine\n"
