"""The agent as a container (row A12): manages the engine that it runs on, and never removes itself."""

import ipaddress
import shutil
import subprocess
import time

import pytest
from harness import ROOT, TRAILER, wait_until, workspace

BASE = "trailer.test/debian:bookworm-slim"


@pytest.fixture(scope="session")
def agent_image(engine, tmp_path_factory):
    """packaging/Dockerfile over a base made by mmdebstrap, built on the private engine."""
    if not shutil.which("mmdebstrap"):
        pytest.fail("mmdebstrap is missing: tools/setup installs it")
    done = subprocess.run([str(ROOT / "packaging/build-image"), "--engine", engine.address, "--binary", TRAILER,
                           "--base", BASE, "--tag", "trailer.test/agent:1"],
                          capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return "trailer.test/agent:1"


def test_manages_the_engine_that_it_runs_on(installation, engine, agent_image):
    # The server listens on the bridge's gateway, where the container reaches it.
    subnet = engine.call("GET", "/networks/bridge")["IPAM"]["Config"][0]["Subnet"]
    gateway = ipaddress.ip_network(subnet)[1]
    installation.url = f"http://{gateway}:{installation.port}"
    from harness import Api
    installation.api = Api(installation.url)
    installation.server().start()
    api = installation.log_in()
    made = engine.call("POST", "/containers/create?name=trailer-agent", {
        "Image": agent_image,
        "Cmd": ["-S", installation.url, "-D", "boxed"],
        "HostConfig": {"Binds": [f"{engine.path}:/var/run/docker.sock"]},
        # Even a label of ours on its own container must not make it remove itself.
        "Labels": {"dev.trailer.managed": "true", "dev.trailer.id": "00000000-0000-7000-8000-000000000000"}})
    engine.call("POST", f"/containers/{made['Id']}/start")
    try:
        installation.approve("boxed")
        installation.wait_online("boxed")
        api.apply(workspace("dev"))
        api.wait("workspaces", "dev", "running")
        assert engine.inspect("dev")["State"]["Running"]
        api.call("DELETE", "/api/workspaces/dev")
        api.wait("workspaces", "dev", None)
        time.sleep(1)
        assert engine.inspect("trailer-agent")["State"]["Running"]
        engine.call("POST", "/containers/trailer-agent/restart?t=5")
        wait_until(lambda: engine.inspect("trailer-agent")["State"]["Running"], "the agent's container to be back")
        installation.wait_online("boxed")
        assert len(api.get("/api/hosts")["items"]) == 1
    finally:
        engine.remove("trailer-agent")
