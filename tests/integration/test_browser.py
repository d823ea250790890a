"""What only a browser can say: what the page of a workspace may do, and that sessions work from a page."""

import json
import urllib.parse

import pytest
from browser import CHROMIUM, Browser, PageError
from harness import wait_until, workspace
from test_proxy import PORT, ask, open_port, serve_in

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: tools/setup test installs it")

PLATFORM, ELSEWHERE, BENEATH = "trailer.test", "pages.test", "ws.trailer.test"


@pytest.fixture
def started(installation, request):
    """A server with a workspace and its application, and a browser that has logged in on the platform's own page."""
    domain = getattr(request, "param", None)
    flags = ["--workspace-domain", domain] if domain else []
    installation.main = installation.process(
        "standalone", "standalone", *installation._flags("standalone"), "-D", "host-1", "-d", installation.directory / "data",
        "--docker-host", installation.engine.address, "--state-directory", installation.directory / "standalone-state",
        *flags).start()
    installation.log_in()
    installation.wait_online()
    installation.api.apply(workspace("dev", command=["sleep", "100000"]))
    installation.api.wait("workspaces", "dev", "running")
    application = serve_in(installation, "dev")
    installation.platform = f"http://{PLATFORM}:{installation.port}"
    browser = Browser(installation.directory, [PLATFORM, f"*.{ELSEWHERE}", f"*.{BENEATH}"])
    try:
        log_in(installation, browser)
        installation.browser = browser
        wait_until(lambda: ask(installation, "GET", f"/proxy/dev/{PORT}/").status == 200, "the port to listen") \
            if not domain else None
        yield installation
    finally:
        browser.close()
        application.kill()
        application.wait()


def log_in(installation, browser):
    password = (installation.directory / "data" / "initial_admin_password").read_text().strip()
    browser.go(installation.platform + "/healthz")
    login = json.dumps({"username": "admin", "password": password})
    assert browser.run(f"""fetch('/api/auth/login', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
        body: JSON.stringify({login})}}).then(answer => answer.status)""") == 200
    assert browser.run("fetch('/api/auth/me').then(answer => answer.status)") == 200, "the browser is logged in"


def show_the_page(installation, browser):
    """By a ticket, as the platform's own page does."""
    browser.go(open_port(installation, "/page", host=f"{PLATFORM}:{installation.port}"))
    wait_until(lambda: browser.run("document.title") == "an application", "the application's page")


def read(browser, url, **options):
    """What a script of the page gets of a URL: status and text, or why it gets nothing."""
    wanted = json.dumps({"credentials": "include", **options})
    try:
        return browser.run(f"fetch({json.dumps(url)}, {wanted}).then(async a => a.type + ' ' + a.status + ' ' + await a.text())")
    except PageError as error:
        return f"refused: {error}"


def make_token(installation, browser):
    """The strongest that a page can try without the platform's consent: a form's request with the person's cookies."""
    return read(browser, installation.platform + "/api/tokens", method="POST", mode="no-cors", body='{"name": "stolen"}',
                headers={"Content-Type": "text/plain"})


def tokens(installation):
    return [each["name"] for each in installation.api.get("/api/tokens")["items"]]


def assert_harmless(installation, browser):
    """Nothing of the platform's is within the page's reach."""
    try:
        cookies = browser.run("document.cookie")
    except PageError as error:  # a sandboxed page has none at all
        cookies, sandboxed = "", str(error)
        assert "sandboxed" in sandboxed
    assert "trailer" not in cookies
    for path in ("/api/auth/me", "/api/workspaces", "/api/tokens"):
        assert read(browser, installation.platform + path).startswith("refused"), path
        assert not read(browser, installation.platform + path, mode="no-cors").startswith("basic"), path
    before = tokens(installation)
    make_token(installation, browser)
    assert tokens(installation) == before
    # Nor by a frame or a window of it.
    framed = browser.run(f"""new Promise(done => {{
        const frame = document.createElement('iframe');
        frame.onload = frame.onerror = () => {{
            try {{ done('read: ' + frame.contentDocument.body.innerText); }} catch (e) {{ done('refused: ' + e); }}
        }};
        frame.src = {json.dumps(installation.platform + "/api/auth/me")};
        document.body.append(frame);
    }})""")
    assert framed.startswith("refused") or "admin" not in framed, framed
    # Nor a session, whose handshake no policy of the browser's holds up.
    url = installation.platform.replace("http", "ws") + "/api/workspaces/dev/exec?cmd=id"
    assert browser.run(f"""new Promise(done => {{
        const socket = new WebSocket({json.dumps(url)}, 'v5.channel.k8s.io');
        socket.onopen = () => done('open'); socket.onclose = () => done('closed');
    }})""") == "closed"


def test_a_workspaces_page_is_sandboxed_where_it_shares_the_platforms_origin(started):
    browser = started.browser
    show_the_page(started, browser)
    assert browser.run("origin") == "null"
    assert_harmless(started, browser)
    # The pass for the port is not the script's to read, and opens nothing of the platform's.
    browser.go(started.platform + "/healthz")
    assert "trailer_proxy" not in browser.run("document.cookie")


@pytest.mark.parametrize("started", [ELSEWHERE, BENEATH], indirect=True)
def test_with_a_domain_a_workspaces_page_has_an_origin_of_its_own(started, request):
    domain = request.node.callspec.params["started"]
    browser = started.browser
    show_the_page(started, browser)
    assert browser.run("origin") == f"http://{PORT}--dev.{domain}:{started.port}"
    assert_harmless(started, browser)
    # What applications need works: requests, storage, WebSockets, and events as they come.
    assert read(browser, "/echo").startswith("basic 200")
    assert browser.run("localStorage.setItem('a', '1'), localStorage.getItem('a')") == "1"
    assert browser.run("""new Promise((done, fail) => {
        const socket = new WebSocket(`ws://${location.host}/socket`);
        socket.onopen = () => socket.send('hello');
        socket.onmessage = message => done(message.data);
        socket.onerror = () => fail(new Error('refused'));
    })""") == "hello"
    late = browser.run("""new Promise((done, fail) => {
        const late = [], events = new EventSource('/events');
        events.onmessage = event => {
            late.push(Date.now() / 1000 - Number(event.data.split(' ')[1]));
            if (late.length == 5) { events.close(); done(late); }
        };
        events.onerror = () => fail(new Error('refused'));
    })""")
    assert max(late) < 0.15, f"events are written each 0.2 s, and were late by {late}"


def test_sessions_work_from_the_platforms_own_page(started):
    browser = started.browser
    browser.go(started.platform + "/healthz")
    query = urllib.parse.urlencode([("cmd", "sh"), ("cmd", "-c"), ("cmd", "cat; echo trouble >&2; exit 7")])
    heard = browser.run(f"""new Promise((done, fail) => {{
        const socket = new WebSocket(`ws://${{location.host}}/api/workspaces/dev/exec?{query}`, 'v5.channel.k8s.io');
        socket.binaryType = 'arraybuffer';
        const heard = {{}}, say = (...bytes) => socket.send(new Uint8Array(bytes));
        socket.onopen = () => {{ say(0, 104, 105, 10); say(255, 0); }};
        socket.onmessage = message => {{
            const [channel, ...data] = new Uint8Array(message.data);
            heard[channel] = (heard[channel] ?? '') + String.fromCharCode(...data);
        }};
        socket.onerror = () => fail(new Error('refused'));
        socket.onclose = event => done({{...heard, code: event.code, protocol: socket.protocol}});
    }})""")
    assert heard == {"1": "hi\n", "2": "trouble\n", "3": '{"exit_code":7}', "code": 1000, "protocol": "v5.channel.k8s.io"}
