"""What a cycle without a change costs: no call to the engine, one conditional request to the server."""

import time

import pytest
from harness import network, wait_until, workspace
from relay import engine_relay, server_relay

FAULT = pytest.mark.fault
POLL_S, HEARTBEAT_S, WATCHED_S = 0.2, 0.5, 6.0


@pytest.fixture
def counted(installation, engine):
    """A server and an agent with a relay in front of the engine and one in front of the server."""
    to_engine = engine_relay(installation.directory / "relay.sock", engine)
    to_server = server_relay(installation.port)
    installation.server().start()
    installation.log_in()
    installation.agent_process = installation.agent(url=f"http://127.0.0.1:{to_server.address[1]}",
                                                    docker_host=f"unix://{to_engine.address}").start()
    installation.approve()
    installation.wait_online()
    yield installation, to_engine, to_server
    to_engine.close()
    to_server.close()


def settled(api):
    host = api.get("/api/hosts/host-1")
    return host["revision"] if host["revision"] == host["revision_applied"] else None


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=FAULT), pytest.param(300, marks=FAULT)])
def test_a_cycle_without_change_makes_no_engine_call_and_one_conditional_request(counted, count):
    installation, to_engine, to_server = counted
    api = installation.api
    # One network for all: an engine's own has room for 253.
    api.apply(network("many", subnet="10.77.0.0/22"),
              *[workspace(f"w{i:03}", networks=[{"network": "many"}], resources={"pids": 64}) for i in range(count)])
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"heartbeat_interval_ms": int(HEARTBEAT_S * 1000),
                                                         "reconcile_interval_ms": int(POLL_S * 1000)}})
    wait_until(lambda: settled(api) and len(to_engine.asked()) > count, f"{count} workspaces to run", 600, every=0.5)
    time.sleep(2)  # the last events and reports

    to_engine.forget()
    to_server.forget()
    time.sleep(WATCHED_S)
    engine_calls, server_calls, answers = to_engine.asked(), to_server.asked(), to_server.counts()

    assert engine_calls == []
    revision = settled(api)
    polls = [each.path for each in server_calls if each.path.startswith("/api/agent/desired-state")]
    assert len(set(polls)) == 1
    assert polls[0].startswith(f"/api/agent/desired-state?revision={revision}&history=")
    assert set(answers) == {"GET /api/agent/desired-state 304", "POST /api/agent/heartbeat 200"}
    # One of them a cycle: never more, and on a busy machine a cycle may come late.
    assert WATCHED_S / POLL_S / 3 < len(polls) <= WATCHED_S / POLL_S + 2
    heartbeats = len(server_calls) - len(polls)
    assert WATCHED_S / HEARTBEAT_S / 3 < heartbeats <= WATCHED_S / HEARTBEAT_S + 2


def test_the_count_sees_what_a_change_costs(counted, engine):
    """The counting itself: a container that someone stops is looked at and started, and no other is asked about."""
    installation, to_engine, _ = counted
    api = installation.api
    api.apply(*[workspace(f"w{i}") for i in range(5)])
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"heartbeat_interval_ms": 500, "reconcile_interval_ms": 200}})
    wait_until(lambda: settled(api) and len(engine.managed_names()) == 5, "5 workspaces to run")
    time.sleep(1)
    to_engine.forget()
    engine.call("POST", "/containers/w3/stop?t=1")
    wait_until(lambda: engine.inspect("w3")["State"]["Running"], "the drift to be repaired")
    time.sleep(1)
    repaired = engine.inspect("w3")["Id"]
    asked = to_engine.asked()
    assert [each.what for each in asked if each.changes] == ["POST /containers/*/start"]
    assert {each.path.split("/")[3] for each in asked} == {repaired}
