"""Fixtures: an engine, an installation of its own for each test, and its parts as processes."""

import json
import os
import pathlib
import sys

import pytest
from harness import Api, Engine, Process, free_port, trailer, wait_until


def pytest_configure(config):
    config.addinivalue_line("markers", "fault: takes minutes; tests/faults/run runs these, ./test does not")


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr:  # whoever asks for a mark says what to run
        return
    long = [each for each in items if each.get_closest_marker("fault")]
    config.hook.pytest_deselected(items=long)
    items[:] = [each for each in items if each not in long]


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """At once, so that a run that is cut off has told what failed until then."""
    if report.failed:
        print(f"\n_____ {report.nodeid} ({report.when}) failed _____\n{report.longreprtext}", file=sys.__stderr__, flush=True)
        for title, text in report.sections:
            print(f"----- {title} -----\n{text}", file=sys.__stderr__, flush=True)


def pytest_sessionfinish(session):
    session.config.option.tbstyle = "no"  # all has been told


@pytest.fixture(scope="session")
def engine():
    address = os.environ.get("TRAILER_TEST_ENGINE")
    if not address:
        pytest.skip("TRAILER_TEST_ENGINE is not set: ./test integration sets it")
    return Engine(address)


@pytest.fixture(autouse=True)
def clean_engine(engine):
    engine.clean()
    yield
    engine.clean()


class Installation:
    """A server and its agents, with all their files under one directory."""

    def __init__(self, directory: pathlib.Path, engine: Engine):
        self.directory = directory
        self.engine = engine
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = Api(self.url)
        self.processes = []
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_CONFIG_HOME": str(directory / "config"),
                    "XDG_STATE_HOME": str(directory / "state")}

    def process(self, name, *arguments, within=()):
        made = Process(arguments, self.directory / f"{name}.out", self.env, within)
        self.processes.append(made)
        return made

    def _flags(self, name, url=None):
        return ["-C", self.directory / f"{name}.yml", "-S", url or self.url, "--log-directory",
                self.directory / "log" / name]

    def server(self, bind=None):
        return self.process("server", "server", *self._flags("server", bind), "-d", self.directory / "data")

    def agent(self, name="host-1", state=None, url=None, docker_host=None, within=()):
        return self.process(name, "agent", *self._flags(name, url), "-D", name, "--docker-host",
                            docker_host or self.engine.address, "--state-directory",
                            self.directory / (state or f"{name}-state"), within=within)

    def standalone(self, name="host-1"):
        return self.process("standalone", "standalone", *self._flags("standalone"), "-D", name, "-d",
                            self.directory / "data", "--docker-host", self.engine.address, "--state-directory",
                            self.directory / "standalone-state")

    def log_in(self):
        """Waits for the server and logs in as the first admin."""
        password = self.directory / "data" / "initial_admin_password"
        wait_until(lambda: self._ready() and password.exists(), "the server to be ready", 30)
        self.api.login(password.read_text().strip())
        return self.api

    def _ready(self):
        try:
            return self.api.raw("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def wait_ready(self):
        wait_until(self._ready, "the server to be ready", 30)

    def wait_online(self, name="host-1", timeout=30):
        def online():
            status, _, text = self.api.raw("GET", f"/api/hosts/{name}")
            if status == 404:  # it has not registered yet
                return False
            host = json.loads(text)
            parts = [host[p]["status"] for p in ("heartbeat", "realtime", "engine", "reconcile")]
            return host["status"] == "online" and parts == ["ok"] * 4

        wait_until(online, f"host {name} to be online with all its parts", timeout)

    def approve(self, name="host-1"):
        wait_until(lambda: [h for h in self.api.get("/api/hosts")["items"] if h["name"] == name],
                   f"host {name} to ask for approval")
        self.api.call("POST", f"/api/hosts/{name}/approve", {})

    def command(self, *arguments, **kwargs):
        """A client command against this server, as the logged-in admin."""
        flags = ["--server", self.url]
        if self.api.token:
            token = self.directory / "token"
            token.write_text(self.api.token)
            token.chmod(0o600)
            flags += ["--token-file", token]
        return trailer(*arguments, *flags, env=self.env, **kwargs)


@pytest.fixture
def installation(tmp_path, engine):
    made = Installation(tmp_path, engine)
    yield made
    for process in reversed(made.processes):
        process.end()


@pytest.fixture
def standalone(installation):
    """A running standalone with its host online, and the admin logged in."""
    installation.main = installation.standalone().start()
    installation.log_in()
    installation.wait_online()
    return installation


@pytest.fixture
def pair(installation):
    """A running server and an approved agent, as two processes."""
    installation.server_process = installation.server().start()
    installation.log_in()
    installation.agent_process = installation.agent().start()
    installation.approve()
    installation.wait_online()
    return installation
