"""Images of a registry: by digest, pulled when that is asked for, and a registry that hangs."""

import base64
import contextlib
import socket
import subprocess
import threading
import time

import pytest
from harness import BUSYBOX, free_port, wait_until, workspace


class Registry:
    """Debian's docker-registry on loopback, where an engine asks for no TLS. `publish` gives a reference an image."""

    def __init__(self, engine, directory):
        self.engine = engine
        self.port = free_port()
        self.at = f"127.0.0.1:{self.port}"
        (directory / "blobs").mkdir()
        config = directory / "registry.yml"
        config.write_text(f"version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nhttp: {{addr: '{self.at}'}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {directory / 'blobs'}}}}}\n")
        self.log = directory / "registry.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=output, stderr=output)
        wait_until(self._listens, "the registry to listen")
        self.made = set()

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def publish(self, name, note):
        """Another image for each note, by way of the engine, under another name of the registry: what the tests pull is as
        it was. Gives its id."""
        reference = f"localhost:{self.port}/{name}"
        made = self.engine.call("POST", "/containers/create", {"Image": BUSYBOX, "Labels": {"note": note}})
        image = self.engine.call("POST", f"/commit?container={made['Id']}&repo={reference}&tag=1")["Id"]
        self.engine.call("DELETE", f"/containers/{made['Id']}")
        nobody = base64.urlsafe_b64encode(b"{}").decode()
        self._push(reference, nobody)
        self.engine.call("DELETE", f"/images/{reference}:1?force=1", ok=(200, 404))
        self.made.add(f"{self.at}/{name}")
        return image

    def _push(self, reference, auth):
        done = subprocess.run(["curl", "-sS", "--unix-socket", self.engine.path, "-X", "POST", "-H", f"X-Registry-Auth: {auth}",
                               f"http://engine/v1.41/images/{reference}/push?tag=1"], capture_output=True, text=True, check=True)
        assert '"errorDetail"' not in done.stdout, done.stdout

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        for reference in self.made:
            self.engine.call("DELETE", f"/images/{reference}:1?force=1", ok=(200, 404, 409))


@pytest.fixture
def registry(engine, tmp_path):
    made = Registry(engine, tmp_path)
    yield made
    engine.clean()
    made.close()


def replaced(engine, name, before):
    return engine.exists("containers", name) and engine.inspect(name)["Id"] != before and engine.inspect(name)["State"]["Running"]


def test_a_moved_tag_is_seen_by_its_digest_where_a_pull_is_asked_for(standalone, engine, registry):
    api = standalone.api
    reference = f"{registry.at}/tools:1"
    first = registry.publish("tools", "first")
    api.apply(workspace("always", image=reference, pull="always"), workspace("missing", image=reference),
              {"kind": "Image", "name": "tools", "spec": {"reference": reference}}, workspace("by-image", image="tools"))
    for name in ("always", "missing", "by-image"):
        api.wait("workspaces", name, "running")
        assert engine.inspect(name)["Image"] == first
    before = {name: engine.inspect(name)["Id"] for name in ("always", "missing", "by-image")}

    second = registry.publish("tools", "second")
    assert second != first
    time.sleep(1)
    assert {name: engine.inspect(name)["Id"] for name in before} == before, "nobody asked for a pull"

    api.call("POST", "/api/workspaces/always/redeploy")
    wait_until(lambda: replaced(engine, "always", before["always"]), "a redeploy with `pull: always`")
    assert engine.inspect("always")["Image"] == second
    assert engine.inspect("by-image")["Id"] == before["by-image"]

    api.call("POST", "/api/images/tools/build")
    wait_until(lambda: replaced(engine, "by-image", before["by-image"]), "who names the Image to be replaced")
    assert engine.inspect("by-image")["Image"] == second
    api.wait("workspaces", "by-image", "running")
    steps = api.get("/api/workspaces/by-image")["observed"]["last_plan"]
    assert any(f"{first[7:19]} -> {second[7:19]}" in each["reason"] for each in steps), steps
    assert engine.inspect("missing")["Id"] == before["missing"]

    # The tag means the same as before: nothing is replaced.
    now = engine.inspect("by-image")["Id"]
    api.call("POST", "/api/images/tools/build")
    wait_until(lambda: api.status("images", "tools") == "build_finished", "the pull")
    time.sleep(1)
    assert engine.inspect("by-image")["Id"] == now


@pytest.mark.parametrize("tag", ["", ":1"])
def test_an_image_is_pulled_by_its_digest(standalone, engine, registry, tag):
    first = registry.publish("tools", "first")
    standalone.api.apply(workspace("by-tag", image=f"{registry.at}/tools:1"))
    standalone.api.wait("workspaces", "by-tag", "running")
    digest = engine.call("GET", f"/images/{first}/json")["RepoDigests"][0].partition("@")[2]
    standalone.api.call("DELETE", "/api/workspaces/by-tag")
    wait_until(lambda: not engine.exists("containers", "by-tag"), "its end")
    engine.call("DELETE", f"/images/{first}?force=1")
    registry.publish("tools", "second")
    standalone.api.apply(workspace("by-digest", image=f"{registry.at}/tools{tag}@{digest}"))
    standalone.api.wait("workspaces", "by-digest", "running")
    assert engine.inspect("by-digest")["Image"] == first
    time.sleep(1)
    assert standalone.api.status("workspaces", "by-digest") == "running"


def test_never_pulls_nothing_and_says_so(standalone, engine, registry):
    api = standalone.api
    registry.publish("tools", "only there")
    api.apply(workspace("dev", image=f"{registry.at}/tools:1", pull="never"))
    assert "pull: never" in api.wait_error("workspaces", "dev")
    assert not engine.exists("images", f"{registry.at}/tools:1")


def test_what_was_pulled_by_force_is_not_pulled_again_after_the_agent_restarts(pair, engine, registry):
    api = pair.api
    registry.publish("tools", "first")
    api.apply({"kind": "Image", "name": "tools", "spec": {"reference": f"{registry.at}/tools:1", "pull": True}},
              workspace("dev", image="tools"))
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: "forced_pull" in api.get("/api/images/tools")["observed"], "the pull to be told")
    before = engine.inspect("dev")["Id"]
    plan = api.get("/api/workspaces/dev")["observed"]["last_plan"]
    moved = registry.publish("tools", "second")
    for with_server in (True, False):
        pair.agent_process.kill()
        if not with_server:
            pair.server_process.kill()
        pair.agent_process.start()
        if with_server:
            pair.wait_online()
        time.sleep(3)
        seen = engine.call("GET", f"/images/{registry.at}/tools:1/json", ok=(200,))["Id"]
        assert seen != moved and engine.inspect("dev")["Id"] == before
        if with_server:
            assert api.get("/api/workspaces/dev")["observed"]["last_plan"] == plan, "the plan of the agent before"


@contextlib.contextmanager
def silent_registry():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        taken = []

        def take():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()
    thread.join(10)


def test_a_registry_that_hangs_holds_up_nobody_else(standalone, engine):
    api = standalone.api
    with silent_registry() as address:
        api.apply(*[workspace(f"a{i:02}", image=f"{address}/far/away:{i}") for i in range(40)], workspace("dev"))
        api.wait("workspaces", "dev", "running", 10)
        wait_until(lambda: "pulling" in str(api.get("/api/workspaces/a39")["messages"]), "the last of them to pull", 20)
        api.call("POST", "/api/workspaces/dev/stop")
        api.wait("workspaces", "dev", "stopped", 10)
        api.call("POST", "/api/workspaces/dev/start")
        api.wait("workspaces", "dev", "running", 10)
        for i in range(40):
            api.call("DELETE", f"/api/workspaces/a{i:02}")
    wait_until(lambda: api.get("/api/workspaces?limit=100")["items"][0]["name"] == "dev", "all of them to go", 60)
