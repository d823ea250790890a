"""The reverse proxy to a workspace's port, on the real engine, with curl, raw sockets and a WebSocket client."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest
import websocket
from harness import wait_until, workspace

PORT = 8123
SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"


def serve_in(installation, name):
    """A server in the workspace's own network, reachable by nothing but the agent."""
    pid = installation.engine.inspect(name)["State"]["Pid"]
    return subprocess.Popen(["nsenter", "-t", str(pid), "-n", sys.executable,
                             pathlib.Path(__file__).parent / "port_server.py", str(PORT)])


@pytest.fixture
def standalone(installation):
    # What AddressSanitizer keeps of freed memory (256 MB by itself) is not the server's.
    installation.env["ASAN_OPTIONS"] = "quarantine_size_mb=8"
    installation.main = installation.standalone().start()
    installation.log_in()
    installation.wait_online()
    return installation


@pytest.fixture
def dev(standalone):
    standalone.api.apply(workspace("dev", command=["sleep", "100000"]))
    standalone.api.wait("workspaces", "dev", "running")
    server = serve_in(standalone, "dev")
    wait_until(lambda: get(standalone, "/").status == 200, "the port to listen")
    yield standalone
    server.kill()
    server.wait()


class Answer:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    def json(self):
        return json.loads(self.body)


def ask(installation, method, path, body=None, headers=None, token=True, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
    fields = {"Authorization": f"Bearer {installation.api.token}"} if token else {}
    if host:
        fields["Host"] = host
    connection.request(method, path, body, {**fields, **(headers or {})})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def get(installation, path, **more):
    return ask(installation, "GET", f"/proxy/dev/{PORT}{path}", **more)


def state(installation):
    return get(installation, "/state").json()


def curl(installation, *arguments):
    return subprocess.run(["curl", "-sS", "-H", f"Authorization: Bearer {installation.api.token}", *arguments],
                          capture_output=True, timeout=300)


def test_shows_a_port_that_is_not_published_and_hides_our_credentials(dev):
    answer = get(dev, "/echo?a=%2F&b", headers={"Cookie": "trailer_session=s; app=1; trailer_csrf=c",
                                                "X-Forwarded-For": "1.2.3.4"})
    shown = answer.json()
    headers = {name.lower(): value for name, value in shown["headers"]}
    assert shown["path"] == "/echo?a=%2F&b"
    assert "authorization" not in headers and headers["cookie"] == "app=1"
    assert headers["host"] == f"127.0.0.1:{dev.port}"
    assert headers["x-forwarded-prefix"] == f"/proxy/dev/{PORT}"
    assert headers["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"  # a peer on this machine is believed
    assert answer.headers["Content-Security-Policy"] == SANDBOX


def test_redirects_and_cookies_stay_under_the_prefix(dev):
    answer = get(dev, "/move")
    assert answer.status == 302 and answer.headers["Location"] == f"/proxy/dev/{PORT}/echo?moved"
    assert answer.headers.get_all("Set-Cookie") == [f"app=1; Path=/proxy/dev/{PORT}/"]
    bare = ask(dev, "GET", f"/proxy/dev/{PORT}?q")
    assert bare.status == 308 and bare.headers["Location"] == f"/proxy/dev/{PORT}/?q"


def test_connections_to_the_workspace_are_kept_and_chunks_pass(dev):
    before = state(dev)["connections"]
    for _ in range(20):
        assert get(dev, "/chunks").body == b"one" + b"two" * 10000
    assert state(dev)["connections"] - before <= 2
    head = ask(dev, "HEAD", f"/proxy/dev/{PORT}/")
    assert head.status == 501 and get(dev, "/").status == 200  # the answer to HEAD breaks nothing


def memory_of(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) << 10


@pytest.mark.parametrize(("form", "megabytes"), [("chunked", 200), ("sized", 80)])
def test_a_large_upload_streams_in_bounded_memory(dev, tmp_path, form, megabytes):
    data = tmp_path / "upload"
    block = bytes(range(256)) * 4096
    with data.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    before = memory_of(dev.main)
    more = ["-H", "Transfer-Encoding: chunked"] if form == "chunked" else []
    upload = subprocess.Popen(["curl", "-sS", "-H", f"Authorization: Bearer {dev.api.token}", *more, "-T", data,
                               f"{dev.url}/proxy/dev/{PORT}/upload"], stdout=subprocess.PIPE)
    most = before
    while upload.poll() is None:
        most = max(most, memory_of(dev.main))
        time.sleep(0.02)
    told = json.loads(upload.stdout.read())
    assert told == {"size": megabytes << 20, "sha256": digest, "chunked": form == "chunked"}
    assert most - before < 60 << 20, f"grew by {(most - before) >> 20} MiB"


def test_a_large_answer_streams_to_a_slow_reader_in_bounded_memory(dev):
    before = memory_of(dev.main)
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=60)
    connection.request("GET", f"/proxy/dev/{PORT}/big", headers={"Authorization": f"Bearer {dev.api.token}"})
    answer = connection.getresponse()
    time.sleep(2)  # reads nothing meanwhile
    assert memory_of(dev.main) - before < 60 << 20
    size = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
    assert size == 200 << 20


def test_server_sent_events_come_at_once_and_a_client_that_goes_is_told_to_the_workspace(dev):
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=10)
    connection.request("GET", f"/proxy/dev/{PORT}/events", headers={"Authorization": f"Bearer {dev.api.token}"})
    answer = connection.getresponse()
    for _ in range(5):
        line = answer.fp.readline()
        while not line.startswith(b"data:"):
            line = answer.fp.readline()
        assert time.time() - float(line.split()[2]) < 0.5
    answer.close()
    connection.close()
    wait_until(lambda: state(dev)["aborted"] >= 1, "the workspace to see that the client has gone", 10)


def test_a_websocket_passes(dev):
    url = dev.url.replace("http", "ws") + f"/proxy/dev/{PORT}/socket"
    socket_ = websocket.create_connection(url, timeout=10, suppress_origin=True,
                                          header=[f"Authorization: Bearer {dev.api.token}"])
    for each in ("hello", "again"):
        socket_.send(each)
        assert socket_.recv() == each
    socket_.sock.close()
    wait_until(lambda: state(dev)["aborted"] >= 1, "the workspace to see that the client has gone", 10)


def test_a_hundred_at_once(dev):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: get(dev, f"/n{n}"), range(300)))
    assert [a.status for a in answers] == [200] * 300
    assert all(a.body == f"hello from /n{n}".encode() for n, a in enumerate(answers))


def connections_of(process, port):
    """How many a process has to a port on this machine."""
    own = {os.readlink(each) for each in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()}
    lines = [line.split() for line in pathlib.Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01" and f"socket:[{line[9]}]" in own)


def test_requests_of_a_host_share_one_connection_of_its_agent(dev):
    def few_connections():  # from the second on: the first asks for it
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = [pool.submit(get, dev, "/slow") for _ in range(50)]
            time.sleep(1)
            taken = connections_of(dev.main, dev.port)
            assert [each.result().status for each in answers] == [200] * 50
        return taken <= 3 + 32  # the realtime one, the trunk, and those that rest
    wait_until(few_connections, "fifty requests over one connection", 60)


@pytest.mark.parametrize("who", ["server", "agent"])
def test_goes_on_when_the_server_or_the_agent_is_back(pair, who):
    pair.api.apply(workspace("dev", command=["sleep", "100000"]))
    pair.api.wait("workspaces", "dev", "running")
    server = serve_in(pair, "dev")
    process = pair.server_process if who == "server" else pair.agent_process

    def answers():
        try:
            return get(pair, "/").status == 200
        except OSError:  # the server is not there yet
            return False
    try:
        for _ in range(3):
            wait_until(answers, "an answer", 30)
            assert [get(pair, "/").status for _ in range(5)] == [200] * 5
            process.kill()
            process.start()
        wait_until(answers, "an answer", 30)
    finally:
        server.kill()
        server.wait()


def test_says_what_is_wrong_and_where(dev):
    broken = get(dev, "/break")
    assert broken.status == 502 and f"port {PORT} of workspace dev" in broken.json()["detail"]
    nothing = ask(dev, "GET", "/proxy/dev/9/")
    assert nothing.status == 503 and "port 9 of workspace dev" in nothing.json()["detail"]
    assert ask(dev, "GET", "/proxy/nobody/80/").status == 404
    assert ask(dev, "GET", "/proxy/dev/http/").status == 422
    assert get(dev, "/", token=False).status == 401
    dev.api.call("POST", "/api/workspaces/dev/stop")
    dev.api.wait("workspaces", "dev", "stopped")
    stopped = get(dev, "/")
    assert stopped.status == 503 and "start it" in stopped.json()["detail"]


def open_port(installation, path="/", host=None):
    body = json.dumps({"path": path})
    return ask(installation, "POST", f"/api/workspaces/dev/ports/{PORT}/open", body, host=host).json()["url"]


def test_a_ticket_opens_the_port_once_and_its_cookie_opens_nothing_else(dev):
    url = open_port(dev, "/echo?a=1")
    path = url[len(dev.url):]
    entered = ask(dev, "GET", path, token=False)
    assert entered.status == 303 and entered.headers["Location"] == f"/proxy/dev/{PORT}/echo?a=1"
    cookie = entered.headers["Set-Cookie"]
    for part in (f"Path=/proxy/dev/{PORT}/", "HttpOnly", "SameSite=Lax"):
        assert part in cookie
    value = {"Cookie": cookie.split(";")[0]}
    shown = get(dev, "/echo?a=1", token=False, headers=value)
    assert shown.status == 200 and "trailer_proxy" not in shown.body.decode()
    assert ask(dev, "GET", path, token=False).status == 401  # once
    for other in (f"/proxy/dev/{PORT + 1}/", "/api/workspaces", "/api/auth/me"):
        assert ask(dev, "GET", other, token=False, headers=value).status == 401
    forged = {"Cookie": cookie.split(";")[0][:-2] + "xx"}
    assert get(dev, "/", token=False, headers=forged).status == 401
    # The workspace's own Authorization passes beside the cookie.
    own = get(dev, "/echo", token=False, headers={**value, "Authorization": "Bearer of-the-app"}).json()
    assert ["Authorization", "Bearer of-the-app"] in own["headers"]
    for origin, status in (("http://evil.example", 403), ("null", 200), (dev.url, 200)):
        posted = ask(dev, "POST", f"/proxy/dev/{PORT}/", b"x", token=False, headers={**value, "Origin": origin})
        assert posted.status == status
    dev.api.call("POST", "/api/auth/logout")
    assert get(dev, "/", token=False, headers=value).status == 401  # it ends with the session


def test_the_pages_session_alone_opens_by_navigation_only(dev):
    session = {"Cookie": f"trailer_session={dev.api.token}"}
    assert get(dev, "/", token=False, headers=session).status == 401
    typed = {**session, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    entered = get(dev, "/echo", token=False, headers=typed)
    assert entered.status == 303 and "trailer_proxy=" in entered.headers["Set-Cookie"]
    for change in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Mode": "no-cors"},
                   {"Sec-Fetch-Dest": "iframe"}):
        assert get(dev, "/", token=False, headers={**typed, **change}).status == 401


def test_a_domain_gives_each_port_an_origin_of_its_own(installation):
    installation.main = installation.process(
        "standalone", "standalone", *installation._flags("standalone"), "-D", "host-1", "-d",
        installation.directory / "data", "--docker-host", installation.engine.address, "--state-directory",
        installation.directory / "standalone-state", "--workspace-domain", "ws.example.org").start()
    installation.log_in()
    installation.wait_online()
    installation.api.apply(workspace("dev", command=["sleep", "100000"]))
    installation.api.wait("workspaces", "dev", "running")
    server = serve_in(installation, "dev")
    try:
        host = f"{PORT}--dev.ws.example.org:{installation.port}"
        wait_until(lambda: ask(installation, "GET", "/", host=host).status == 200, "the port to listen")
        url = open_port(installation, "/echo")
        assert url.startswith(f"http://{host}/echo?trailer_ticket=")
        entered = ask(installation, "GET", url.split(str(installation.port), 1)[1], token=False, host=host)
        assert entered.status == 303 and entered.headers["Location"] == "/echo"
        cookie = entered.headers["Set-Cookie"]
        assert "Path=/;" in cookie and "Domain" not in cookie
        value = {"Cookie": cookie.split(";")[0]}
        shown = ask(installation, "GET", "/echo", token=False, host=host, headers=value)
        assert shown.status == 200 and "Content-Security-Policy" not in shown.headers
        # Nothing of ours is served there, and another port's host does not take the cookie.
        api = ask(installation, "GET", "/api/workspaces", token=False, host=host, headers=value)
        assert api.body == b"hello from /api/workspaces"
        other = f"{PORT + 1}--dev.ws.example.org"
        assert ask(installation, "GET", "/", token=False, host=other, headers=value).status == 401
    finally:
        server.kill()
        server.wait()


def test_a_client_that_breaks_off_its_upload_ends_it_at_the_workspace(dev):
    with socket.create_connection(("127.0.0.1", dev.port)) as raw:
        raw.sendall((f"POST /proxy/dev/{PORT}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {dev.api.token}\r\n"
                     "Content-Length: 1000000\r\n\r\n").encode() + b"x" * 1000)
        time.sleep(0.3)
    wait_until(lambda: state(dev)["aborted"] == 1, "the workspace to see that the body broke off", 10)
