"""What must hold when a part dies: nothing lost, nothing doubled."""

import subprocess
import time

import pytest
from harness import network, volume, wait_until, workspace


def twenty():
    documents = []
    for i in range(20):
        documents += [network(f"n{i:02}"), volume(f"v{i:02}"),
                      workspace(f"w{i:02}", networks=[{"network": f"n{i:02}"}],
                                mounts=[{"volume": f"v{i:02}", "target": "/data"}])]
    return documents


@pytest.mark.parametrize("after", [0.05, 0.4, 1.0, 2.0])
def test_agent_killed_in_the_middle_of_an_apply_of_20(pair, engine, after):
    api = pair.api
    api.apply(*twenty())
    time.sleep(after)
    pair.agent_process.kill()
    pair.agent_process.start()
    wanted = [f"w{i:02}" for i in range(20)]
    wait_until(lambda: all(api.status("workspaces", name) == "running" for name in wanted),
               "all 20 workspaces to run", 90, every=0.3)
    assert engine.managed_names() == wanted
    for i, name in enumerate(wanted):
        container = engine.inspect(name)
        assert container["State"]["Running"]
        assert list(container["NetworkSettings"]["Networks"]) == [f"n{i:02}"]
        assert [m["Name"] for m in container["Mounts"]] == [f"v{i:02}"]
    networks = [n["Name"] for n in engine.call("GET", "/networks") if n["Labels"].get("dev.trailer.managed")]
    assert sorted(networks) == [f"n{i:02}" for i in range(20)]


def test_agent_killed_while_it_replaces(pair, engine):
    api = pair.api
    api.apply(*[workspace(f"w{i}") for i in range(6)])
    for i in range(6):
        api.wait("workspaces", f"w{i}", "running")
    for attempt in range(4):
        api.apply(*[workspace(f"w{i}", env={"ROUND": str(attempt)}) for i in range(6)])
        time.sleep(0.15 + 0.25 * attempt)
        pair.agent_process.kill()
        pair.agent_process.start()
    wait_until(lambda: engine.managed_names() == [f"w{i}" for i in range(6)]
               and all("ROUND=3" in engine.inspect(f"w{i}")["Config"]["Env"] for i in range(6))
               and all(engine.inspect(f"w{i}")["State"]["Running"] for i in range(6)),
               "each workspace to be there once, in its last form", 90, every=0.3)


def test_server_killed_and_restarted_agent_and_workspaces_go_on(pair, engine):
    api = pair.api
    api.apply(workspace("dev"), workspace("other"))
    api.wait("workspaces", "dev", "running")
    api.wait("workspaces", "other", "running")
    before = engine.inspect("dev")
    pair.server_process.kill()
    # The agent goes on without its server: drift is repaired.
    engine.remove("other")
    wait_until(lambda: engine.exists("containers", "other") and engine.inspect("other")["State"]["Running"],
               "the agent to repair without its server", 15)
    pair.server_process.start()
    pair.wait_ready()
    pair.wait_online(timeout=60)
    assert api.get("/api/workspaces/dev")["status"] == "running"  # the same token: sessions survive
    assert engine.inspect("dev")["State"]["StartedAt"] == before["State"]["StartedAt"]
    api.apply(workspace("third"))
    api.wait("workspaces", "third", "running")


def test_agent_restarted_without_its_server_still_repairs(pair, engine):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    pair.server_process.kill()
    pair.agent_process.kill()
    engine.remove("dev")
    pair.agent_process.start()
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["State"]["Running"],
               "the agent to repair from what it last knew", 20)


def test_engine_restarted(pair, engine):
    api = pair.api
    api.apply(network("lab"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    engine.restart()
    pair.wait_online(timeout=60)
    wait_until(lambda: engine.inspect("dev")["State"]["Running"], "the workspace to run again", 30)
    api.apply(workspace("after"))
    api.wait("workspaces", "after", "running", 60)
    assert engine.managed_names() == ["after", "dev"]


def test_engine_away_is_told_and_is_no_green_light(installation, engine):
    """An agent whose engine never answers says so, and why."""
    installation.server().start()
    installation.log_in()
    away = installation.process("host-1", "agent", "-C", installation.directory / "a.yml", "-S", installation.url,
                                "-D", "host-1", "--docker-host", "unix:///nowhere/docker.sock", "--state-directory",
                                installation.directory / "a-state", "--log-directory", installation.directory / "a-log")
    away.start()
    installation.approve()

    def failing():
        host = installation.api.get("/api/hosts/host-1")
        return host["engine"]["status"] == "failing" and host["engine"]["reason"] and host["status"] == "online"

    wait_until(failing, "the engine's condition to be failing")


def test_a_stopped_agent_turns_the_lights_out(pair):
    pair.api.call("PATCH", "/api/hosts/host-1", {"settings": {"heartbeat_interval_ms": 300}})
    time.sleep(0.5)
    pair.agent_process.kill()

    def dark():
        host = pair.api.get("/api/hosts/host-1")
        return (host["status"] == "offline" and host["heartbeat"]["status"] == "failing"
                and host["realtime"]["status"] != "ok" and host["engine"]["status"] == "unknown"
                and host["reconcile"]["status"] == "unknown" and host["heartbeat"]["since"])

    wait_until(dark, "every part of the host to be told apart", 15)


def test_sigterm_ends_within_5_s_and_leaves_workspaces(pair, engine):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["State"]["StartedAt"]
    assert pair.agent_process.stop() == 0
    assert pair.server_process.stop() == 0
    assert engine.inspect("dev")["State"]["Running"]
    assert engine.inspect("dev")["State"]["StartedAt"] == before


def test_sighup_reopens_the_log(pair):
    log = pair.directory / "log" / "host-1"
    [current] = [p for p in log.iterdir() if p.name == "agent.log"]
    current.rename(log / "moved")
    from harness import SIGHUP
    pair.agent_process.signal(SIGHUP)
    wait_until((log / "agent.log").exists, "the log to be opened anew")
    assert pair.agent_process.alive()


def test_a_disabled_host_heartbeats_and_its_workspaces_are_left(pair, engine):
    api = pair.api
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"heartbeat_interval_ms": 300}})
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    api.call("PATCH", "/api/hosts/host-1", {"enabled": False})
    time.sleep(1)
    engine.call("POST", "/containers/dev/stop?t=1")
    api.apply(workspace("dev", env={"A": "1"}), workspace("new"))
    time.sleep(2)
    assert engine.managed_names() == ["dev"]
    assert not engine.inspect("dev")["State"]["Running"]
    host = api.get("/api/hosts/host-1")
    assert host["status"] == "online" and host["heartbeat"]["status"] == "ok"
    api.call("PATCH", "/api/hosts/host-1", {"enabled": True})
    api.wait("workspaces", "new", "running")
    wait_until(lambda: "A=1" in engine.inspect("dev")["Config"]["Env"] and engine.inspect("dev")["State"]["Running"],
               "the host to catch up")


def test_a_full_disk_stops_no_agent(installation, engine):
    installation.server().start()
    api = installation.log_in()
    disk = installation.directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
    try:
        agent = installation.process("host-1", "agent", "-C", installation.directory / "a.yml", "-S", installation.url,
                                     "-D", "host-1", "--docker-host", engine.address, "--state-directory", disk / "state",
                                     "--log-directory", disk / "log").start()
        installation.approve()
        installation.wait_online()
        try:
            with (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 4096)
        except OSError:
            pass
        api.apply(workspace("dev"))
        api.wait("workspaces", "dev", "running")
        wait_until(lambda: "No space left" in agent.text(), "the agent's word about its state directory")
        agent.kill()
        engine.remove("dev")
        agent.start()
        wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["State"]["Running"],
                   "the agent to work again, its disk still full")
        api.apply(workspace("dev"), workspace("other"))
        api.wait("workspaces", "other", "running")
        agent.end()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
