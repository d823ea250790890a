"""Sessions where things are not ideal: behind other people's proxies, over a link that is cut or loses, by the hundred,
beside a reader that does not read. What takes long carries the mark `fault`; a short form runs always."""

import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import websocket
from far import FarSide, PoorFarSide, SlowLine
from harness import TRAILER, Api, free_port, wait_until, workspace
from test_proxy import connections_of, get, serve_in
from test_sessions import END, NUMBERED, STDIN, STDOUT, Session, words

LONG = pytest.mark.fault
DEAD_WITHIN = 15  # seconds, until a peer that is gone is given up


def login_flags(installation, url=None):
    token = installation.directory / "token"
    token.write_text(installation.api.token)
    token.chmod(0o600)
    return ["--server", url or installation.url, "--token-file", str(token)]


def begin(installation, verb, *arguments, within=(), url=None, stdin=subprocess.DEVNULL):
    """A client command that goes on beside the test."""
    command = [*within, TRAILER, verb, *login_flags(installation, url), *map(str, arguments)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=installation.env)


def run(installation, verb, *arguments, within=(), url=None, stdin=b"", timeout=120):
    command = [*within, TRAILER, verb, *login_flags(installation, url), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, env=installation.env, check=False)


def timed(work):
    begun = time.monotonic()
    return work(), time.monotonic() - begun


class Collected:
    """What a process writes, while it runs."""

    def __init__(self, stream):
        self._data = bytearray()
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while piece := os.read(self._stream.fileno(), 65536):
            self._data += piece

    def so_far(self):
        return bytes(self._data)

    def all(self):
        self._thread.join(30)
        assert not self._thread.is_alive(), "the stream did not end"
        return bytes(self._data)


def commands_in(installation, name="dev"):
    top = installation.engine.call("GET", f"/containers/{name}/top?ps_args=-eo%20pid,args")
    return [" ".join(row[1:]) for row in top["Processes"]]


def is_sanitized(pid):
    """AddressSanitizer's shadow is terabytes of addresses; what it keeps aside says nothing of what is in use."""
    size = re.search(r"VmSize:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(size.group(1)) > 1 << 30


def resident(pid):
    """MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) // 1024


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def connections_to(pid, port):
    """How many TCP connections a process has to a port."""
    sockets = set()
    for each in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(f"/proc/{pid}/fd/{each}"))
    rows = [row.split() for row in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in sockets for row in rows)


# --- behind a reverse proxy

NGINX = """
user root; daemon off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{server};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    reverse_proxy 127.0.0.1:{server}
}}
"""


def start_proxy(kind, directory, server):
    """Debian's own, with its default time-outs. Gives the process and its port."""
    port = free_port()
    directory.mkdir()
    file = directory / f"{kind}.conf"
    file.write_text({"nginx": NGINX, "caddy": CADDY}[kind].format(directory=directory, port=port, server=server))
    command = {"nginx": ["nginx", "-e", directory / "nginx.log", "-p", directory, "-c", file],
               "caddy": ["caddy", "run", "--config", file, "--adapter", "caddyfile"]}[kind]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory), "XDG_DATA_HOME": str(directory),
           "XDG_CONFIG_HOME": str(directory)}
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)

    def listens():
        assert process.poll() is None, (directory / "output").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True

    wait_until(listens, f"{kind} to listen")
    return process, port


@pytest.fixture(params=["nginx", "caddy"])
def behind(request, installation):
    """Server and agent; the agent and every person come to the server by a proxy alone."""
    if not shutil.which(request.param, path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip(f"needs {request.param}: tools/setup test installs it")
    installation.server_process = installation.server().start()
    installation.log_in()
    proxy, port = start_proxy(request.param, installation.directory / "proxy", installation.port)
    try:
        installation.url = f"http://127.0.0.1:{port}"
        installation.api = Api(installation.url, installation.api.token)
        installation.agent_process = installation.agent().start()
        installation.approve()
        installation.wait_online()
        yield installation
    finally:
        proxy.terminate()
        proxy.wait(20)


# Longer than the 60 s after which nginx gives up a connection that is still.
@pytest.mark.parametrize("still", [2, pytest.param(75, marks=LONG)])
def test_sessions_pass_a_reverse_proxy_and_may_be_still(behind, still):
    script = ("trap 'exit 0' TERM; echo early; nc -ll -p 7000 -e cat & until [ -e /tmp/go ]; do sleep 0.2; done; "
              "echo late; while :; do sleep 1; done")
    behind.api.apply(workspace("dev", command=["sh", "-c", script]))
    behind.api.wait("workspaces", "dev", "running")
    data = random.Random(5).randbytes(3 << 20)
    done = run(behind, "exec", "dev", "--", "sh", "-c", "cat; echo trouble >&2; exit 9", stdin=data)
    assert (done.returncode, done.stdout, done.stderr) == (9, data, b"trouble\n")

    logs = begin(behind, "logs", "-f", "dev")
    shell = begin(behind, "exec", "dev", "--", "cat", stdin=subprocess.PIPE)
    plain = Session(behind, "/api/workspaces/dev/exec", words("cat"), timeout=still + 60)
    heard = threading.Thread(target=plain.until, args=(b"plain\n",), daemon=True)
    heard.start()  # as a browser: it is reading that answers pings
    forward = begin(behind, "port-forward", "dev", "0:7000")
    assert logs.stdout.readline() == b"early\n"
    port = int(re.match(rb"forwarding 127\.0\.0\.1:(\d+) -> ", forward.stdout.readline()).group(1))
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.settimeout(20)
        connection.sendall(b"one")
        assert connection.recv(100) == b"one"
        time.sleep(still)
        connection.sendall(b"two")
        assert connection.recv(100) == b"two"
        shell.stdin.write(b"still here\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"still here\n"
    assert run(behind, "exec", "dev", "--", "touch", "/tmp/go").returncode == 0
    assert logs.stdout.readline() == b"late\n"
    shell.stdin.close()
    assert (shell.wait(20), shell.stderr.read()) == (0, b"")
    for each in (logs, forward):
        each.send_signal(signal.SIGINT)
        assert each.wait(20) == 130
        assert b"lost" not in each.stderr.read()
    plain.send(STDIN, b"plain\n")
    heard.join(20)
    assert not heard.is_alive()
    assert behind.agent_process.text().count("realtime: connected") == 1


# --- a link that is cut


@pytest.fixture
def far():
    made = FarSide()
    yield made
    made.close()


@pytest.fixture
def parted_by(installation):
    """`start(link, side)`: server and agent, with the agent or the person on the far side of the link."""
    def start(link, side):
        installation.server_process = installation.server(bind=f"http://0.0.0.0:{installation.port}").start()
        installation.log_in()
        link.url = f"http://{link.here}:{installation.port}"
        agent_there = {"url": link.url, "within": link.inside} if side == "agent" else {}
        installation.agent_process = installation.agent(**agent_there).start()
        installation.approve()
        installation.wait_online()
        installation.api.apply(workspace("dev"))
        installation.api.wait("workspaces", "dev", "running")
        return installation

    yield start


@pytest.fixture
def parted(parted_by, far):
    yield lambda side: parted_by(far, side)


@LONG
@pytest.mark.parametrize("how", ["down", "silent"])
@pytest.mark.parametrize("side", ["agent", "person"])
def test_an_exec_goes_on_over_a_cut_of_20_seconds(parted, far, side, how):
    installation = parted(side)
    there = {"within": far.inside, "url": far.url} if side == "person" else {}
    numbers = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; cat"
    client = begin(installation, "exec", "dev", "--", "sh", "-c", numbers, stdin=subprocess.PIPE, **there)
    out, err = Collected(client.stdout), Collected(client.stderr)
    options = {"socket": far.connect(installation.port)} if side == "person" else {}
    plain = Session(installation, "/api/workspaces/dev/exec", words("sh", "-c", "echo begun; sleep 8765; true"),
                    timeout=40, **options)
    plain.until(b"begun\n")
    wait_until(lambda: b"line 20\n" in out.so_far(), "the first lines")

    cut_at = time.monotonic()
    far.cut(how)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        newcomer = pool.submit(timed, lambda: run(installation, "exec", "dev", "--", "echo", "hello", **there))
        if side == "agent":
            told = pool.submit(timed, plain.all)
            wait_until(lambda: installation.api.get("/api/hosts/host-1")["realtime"]["status"] != "ok",
                       "the server to notice that the agent is gone", 30)
            dead_after = time.monotonic() - cut_at
            end, told_after = told.result(30)
            assert "connection to the host" in end[2]["detail"], end
            print(f"the person of a plain session was told after {told_after:.1f} s")
            assert told_after <= DEAD_WITHIN
        else:
            wait_until(lambda: not any("8765" in each for each in commands_in(installation)),
                       "the command of a plain session to be ended with its person", 30)
            dead_after = time.monotonic() - cut_at - 2  # what is to end has 2 s for it
        print(f"the peer was given up after {dead_after:.1f} s")
        assert dead_after <= DEAD_WITHIN
        time.sleep(max(0.0, cut_at + 20 - time.monotonic()))
        assert client.poll() is None
        far.restore()
        # Whoever came while the line was dead waited at most his limit of 30 s, for an answer or for a refusal.
        done, took = newcomer.result(60)
        print(f"a newcomer: {done.returncode} after {took:.1f} s {done.stderr.decode()!r}")
        assert took <= 32
        assert done.stdout == b"hello\n" if done.returncode == 0 else done.returncode == 125 and done.stderr

    data = random.Random(6).randbytes(2 << 20)
    client.stdin.write(data)
    client.stdin.close()
    assert client.wait(90) == 0, err.all()
    assert out.all() == b"".join(b"line %d\n" % i for i in range(300)) + data
    assert b"reconnecting" in err.all() and b"back" in err.all(), err.all()
    installation.wait_online()


@LONG
@pytest.mark.parametrize("how", ["down", "silent"])
def test_the_proxy_over_a_cut_of_20_seconds(parted, far, how):
    """What is under way on the trunk is told within the time for a dead peer; what comes later is served again."""
    installation = parted("agent")
    server = serve_in(installation, "dev")
    try:
        wait_until(lambda: get(installation, "/").status == 200, "the port to listen")
        wait_until(lambda: connections_of(installation.agent_process, installation.port) >= 3, "the trunk")
        far.cut(how)
        cut_at = time.monotonic()
        refused, took = timed(lambda: get(installation, "/"))
        print(f"a request was answered with {refused.status} after {took:.1f} s")
        assert refused.status in (502, 503, 504) and took <= DEAD_WITHIN + 2
        time.sleep(max(0.0, cut_at + 20 - time.monotonic()))
        far.restore()
        _, took = timed(lambda: wait_until(lambda: get(installation, "/").status == 200, "an answer", 40))
        print(f"served again {took:.1f} s after the line was back")
        assert [get(installation, "/").status for _ in range(20)] == [200] * 20
    finally:
        server.kill()
        server.wait()


def test_the_person_of_a_plain_session_is_told_when_the_host_goes(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    session = Session(pair, "/api/workspaces/dev/exec", words("sh", "-c", "echo begun; sleep 8764; true"))
    session.until(b"begun\n")
    pair.agent_process.kill()
    _, _, end = session.all()
    assert end["status"] == 503 and "connection to the host" in end["detail"]
    opcode, data = session.socket.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and data[:2] == (1000).to_bytes(2, "big")


def test_commands_of_an_agent_that_was_killed_end_when_it_is_back(pair):
    """Nobody can take them up again, and the engine leaves them running. One that was let go was to go on."""
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    lost = Session(pair, "/api/workspaces/dev/exec", words("sh", "-c", "sleep 8765 & sleep 8766; true"), NUMBERED)
    let_go = Session(pair, "/api/workspaces/dev/exec", words("sleep", "8767"), NUMBERED)
    wait_until(lambda: {"sleep 8765", "sleep 8766", "sleep 8767"} <= set(commands_in(pair)), "all of them")
    let_go.send(END, b'{"detach":true}')
    wait_until(lambda: len(list((pair.directory / "host-1-state/commands").iterdir())) == 1, "it to be let go")
    pair.agent_process.kill()
    pair.agent_process.start()
    pair.wait_online()
    wait_until(lambda: not {"sleep 8765", "sleep 8766"} & set(commands_in(pair)), "the lost ones to end", 20)
    assert "sleep 8767" in commands_in(pair)
    assert not list((pair.directory / "host-1-state/commands").iterdir())
    lost.socket.close()


# --- 100 ms and 1 % loss


def work_over_a_bad_line(installation, url, within=(), size=2 << 20):
    """What people do, from there."""
    data = random.Random(7).randbytes(size)
    done = run(installation, "exec", "dev", "--", "cat", stdin=data, url=url, within=within)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout == data
    shell = begin(installation, "exec", "dev", "--", "cat", stdin=subprocess.PIPE, url=url, within=within)
    echoes = []
    for number in range(20):
        begun = time.monotonic()
        shell.stdin.write(b"%d\n" % number)
        shell.stdin.flush()
        assert shell.stdout.readline() == b"%d\n" % number
        echoes.append(time.monotonic() - begun)
    shell.stdin.close()
    assert (shell.wait(20), shell.stderr.read()) == (0, b"")
    print(f"echo: median {sorted(echoes)[10] * 1000:.0f} ms, longest {max(echoes) * 1000:.0f} ms")
    assert sorted(echoes)[10] < 1.5
    done = run(installation, "exec", "dev", "--", "sh", "-c", "seq 20000; exit 5", url=url, within=within)
    assert done.returncode == 5 and done.stdout == b"".join(b"%d\n" % i for i in range(1, 20001))
    logs = begin(installation, "logs", "-f", "--tail", "0", "dev", url=url, within=within)
    shown = Collected(logs.stdout)
    talk = "until [ -e /tmp/enough ]; do echo waiting; sleep 0.2; done; for i in $(seq 3000); do echo line $i; done; echo done"
    writer = begin(installation, "exec", "dev", "--", "sh", "-c", f"({talk}) >/proc/1/fd/1", url=url, within=within)
    wait_until(lambda: b"waiting\n" in shown.so_far(), "the log to be followed", 30)
    assert run(installation, "exec", "dev", "--", "touch", "/tmp/enough", url=url, within=within).returncode == 0
    assert writer.wait(30) == 0
    wait_until(lambda: shown.so_far().endswith(b"done\n"), "the end of the log", 60)
    assert shown.so_far().replace(b"waiting\n", b"") == b"".join(b"line %d\n" % i for i in range(1, 3001)) + b"done\n"
    logs.send_signal(signal.SIGINT)
    assert logs.wait(20) == 130 and logs.stderr.read() == b""


def test_sessions_over_a_slow_and_jerky_line(installation):
    """Both the agent's and the person's, 50 ms a way each: 200 ms there and back."""
    installation.server_process = installation.server().start()
    installation.log_in()
    line = SlowLine("127.0.0.1", ("127.0.0.1", installation.port), 0.05)
    try:
        url = f"http://127.0.0.1:{line.port}"
        installation.agent_process = installation.agent(url=url).start()
        installation.approve()
        installation.wait_online()
        installation.api.apply(workspace("dev"))
        installation.api.wait("workspaces", "dev", "running")
        work_over_a_bad_line(installation, url)
    finally:
        line.close()


def test_sessions_over_a_line_that_loses_one_packet_in_a_hundred(parted, far):
    """The agent's; the packets are really lost, whatever the kernel can emulate."""
    installation = parted("agent")
    far.lose(0.01)
    work_over_a_bad_line(installation, installation.url)


# Of the agent's link, or of the person's: 50 ms a way.
@pytest.mark.parametrize("side", ["agent", "person"])
def test_sessions_over_100_ms_and_1_percent_loss(parted_by, side):
    poor = PoorFarSide(delay=0.05, loss=0.01)
    try:
        installation = parted_by(poor, side)
        there = {"url": poor.url, "within": poor.inside} if side == "person" else {"url": installation.url}
        work_over_a_bad_line(installation, size=3 << 20, **there)
        print(f"{poor.passed} packets passed, {poor.lost} were lost")
        assert poor.lost >= poor.passed // 300, "the link lost next to nothing: this proves nothing"
    finally:
        poor.close()


# --- many


MARKER = "echo %s >/proc/1/fd/1"


@contextlib.contextmanager
def answering_pings(sessions):
    """For sessions of which nobody reads yet: to open hundreds takes longer than a server waits for a sign of life."""
    ended = threading.Event()
    heard = []

    def answer():
        while not ended.wait(0.5):
            for each in list(sessions):
                poll = select.poll()
                poll.register(each.socket.sock, select.POLLIN)
                if poll.poll(0):
                    heard.append(each.socket.recv_data_frame(control_frame=True)[0])

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert set(heard) <= {websocket.ABNF.OPCODE_PING}


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=LONG)])
def test_many_sessions_at_once_are_all_served_and_leave_nothing(pair, count):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    processes = {"agent": pair.agent_process.pid, "server": pair.server_process.pid}
    assert run(pair, "exec", "dev", "--", "true").returncode == 0
    time.sleep(1)
    before = {name: (open_files(pid), resident(pid)) for name, pid in processes.items()}

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        def each(work, items):
            return list(pool.map(work, items))

        begun = time.monotonic()
        shells, logs = [], []
        with answering_pings(shells), answering_pings(logs):
            each(lambda _: shells.append(Session(pair, "/api/workspaces/dev/exec", words("cat"), timeout=120)),
                 range(count // 2))
            each(lambda _: logs.append(Session(pair, "/api/workspaces/dev/logs", [("follow", "true")], timeout=120)),
                 range(count - count // 2))
        print(f"{count} sessions opened in {time.monotonic() - begun:.1f} s")
        for round_number in range(3):
            def echo(number):
                text = b"round %d of %d\n" % (round_number, number)
                shells[number].send(STDIN, text)
                return shells[number].until(b"\n") == text

            assert all(each(echo, range(len(shells))))
            line = f"line {round_number}\n".encode()
            assert run(pair, "exec", "dev", "--", "sh", "-c", MARKER % line.decode().strip()).returncode == 0
            assert each(lambda log: log.until(b"\n"), logs) == [line] * len(logs)
        during = {name: (open_files(pid), resident(pid)) for name, pid in processes.items()}
        print(f"files and MiB, before: {before}, during: {during}")
        for name, pid in processes.items():
            if not is_sanitized(pid):
                assert during[name][1] - before[name][1] < 32 + count * 0.25, f"MiB of the {name}"
        for number, session in enumerate(shells + logs):  # half of them without a good-bye
            session.socket.close() if number % 2 else session.socket.sock.close()

    wait_until(lambda: not any(each == "cat" for each in commands_in(pair)), "all commands to be ended", 120)
    # Kept for the next: up to 16 connections to the engine; to the server up to 32, of which one half goes each 30 s.
    spare = 52 if count < 100 else 20
    for name, pid in processes.items():
        wait_until(lambda pid=pid, name=name: open_files(pid) <= before[name][0] + spare,
                   f"the {name} to have no more files open than before", 60 if count < 100 else 240, 0.5)
    after = {name: (open_files(pid), resident(pid)) for name, pid in processes.items()}
    print(f"files and MiB, after: {after}; the agent's connections: {connections_to(pair.agent_process.pid, pair.port)}")
    assert run(pair, "exec", "dev", "--", "echo", "fine").stdout == b"fine\n"


@LONG
def test_the_pool_of_an_agent_shrinks_when_nobody_opens_sessions(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    connections = lambda: connections_to(pair.agent_process.pid, pair.port)
    before = connections()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        def session(_):
            return Session(pair, "/api/workspaces/dev/logs", timeout=60).all()[2]

        assert list(pool.map(session, range(120))) == [{}] * 120
    assert connections() > before + 4
    opened = 0
    end = time.monotonic() + 240
    while connections() > before + 1:
        assert time.monotonic() < end, f"{connections()} connections wait, {before} did before"
        assert Session(pair, "/api/workspaces/dev/logs").all()[2] == {}  # none is lost to one that just said good-bye
        opened += 1
        time.sleep(0.2)
    print(f"{opened} sessions were opened meanwhile")


# --- who never reads


@pytest.mark.parametrize("deaf_for", [4, pytest.param(30, marks=LONG)])
def test_who_never_reads_slows_nobody_else_and_is_still_served(pair, deaf_for):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    processes = {"agent": pair.agent_process.pid, "server": pair.server_process.pid}
    # Numbered by itself: what is lost or repeated shows.
    count = "i=0; while :; do echo $i; i=$((i+1)); done"
    deaf = Session(pair, "/api/workspaces/dev/exec", words("sh", "-c", count), timeout=30)
    more = [Session(pair, "/api/workspaces/dev/exec", words("yes"), timeout=30) for _ in range(8)]
    other = Session(pair, "/api/workspaces/dev/exec", words("cat"))
    time.sleep(2)
    before = {name: resident(pid) for name, pid in processes.items()}
    echoes = []
    end = time.monotonic() + deaf_for
    while time.monotonic() < end:
        begun = time.monotonic()
        other.send(STDIN, b"key\n")
        assert other.until(b"key\n") == b"key\n"
        echoes.append(time.monotonic() - begun)
        time.sleep(0.1)
    after = {name: resident(pid) for name, pid in processes.items()}
    print(f"echo beside 9 who do not read: median {sorted(echoes)[len(echoes) // 2] * 1000:.1f} ms, longest "
          f"{max(echoes) * 1000:.1f} ms; MiB before: {before}, after: {after}")
    assert sorted(echoes)[len(echoes) // 2] < 1
    for name, pid in processes.items():
        if not is_sanitized(pid):
            assert after[name] < 150 and after[name] - before[name] < 16, f"MiB of the {name}"
    heard = b""
    while len(heard) < 4 << 20:  # far beyond what was waiting on the way
        channel, data = deaf.receive()
        assert channel == STDOUT
        heard += data
    lines = heard[:heard.rindex(b"\n")].split(b"\n")
    assert lines == [b"%d" % i for i in range(len(lines))]
    for each in more:
        assert each.receive()[1].startswith((b"y", b"\n"))
        each.socket.close()
