"""Who a host is, and who may say so."""

import os
import stat

from harness import ApiError, wait_until, workspace


def test_a_new_host_waits_for_approval_and_shows_its_key(installation):
    installation.server().start()
    api = installation.log_in()
    agent = installation.agent().start()
    host = wait_until(lambda: (api.get("/api/hosts")["items"] or [None])[0], "the host to be shown")
    assert host["status"] == "pending_approval"
    assert host["fingerprint"].startswith("SHA256:")
    wait_until(lambda: "approv" in agent.text(), "the agent to say what it waits for")
    try:
        api.apply(workspace("dev"))
    except ApiError as error:
        assert error.status in (409, 422)
    api.call("POST", f"/api/hosts/{host['id']}/approve", {"fingerprint": host["fingerprint"]})
    installation.wait_online()


def test_two_agents_that_claim_one_identity(pair, engine):
    """The second has the same machine ID and another key: it is refused and shown, the first goes on."""
    api = pair.api
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    bound = api.get("/api/hosts/host-1")["fingerprint"]
    thief = pair.agent("host-2").start()
    conflict = wait_until(lambda: api.get("/api/hosts/host-1").get("identity_conflict"), "the conflict to be shown")
    assert conflict["fingerprint"] != bound and conflict["address"]
    assert len(api.get("/api/hosts")["items"]) == 1
    assert thief.alive()
    pair.wait_online()
    assert api.get("/api/hosts/host-1")["fingerprint"] == bound
    assert engine.inspect("dev")["State"]["Running"]

    # The admin decides for the other one: then the first is the stranger.
    api.call("POST", "/api/hosts/host-1/approve", {"fingerprint": conflict["fingerprint"]})
    wait_until(lambda: api.get("/api/hosts/host-1")["fingerprint"] == conflict["fingerprint"], "the re-approval")
    pair.agent_process.end()
    pair.wait_online()


def test_the_key_is_private_and_the_machine_id_stays_here(pair):
    key = pair.directory / "host-1-state" / "agent_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    machine_id = open("/etc/machine-id", encoding="ascii").read().strip() if os.path.exists("/etc/machine-id") else None
    if machine_id:
        for file in pair.directory.rglob("*"):
            if file.is_file():
                assert machine_id.encode() not in file.read_bytes(), file


def test_one_state_directory_serves_one_agent(pair):
    second = pair.agent("host-1").start()
    assert second.process.wait(10) == 1
    assert str(pair.agent_process.pid) in second.text() or "state" in second.text()
    assert pair.agent_process.alive()


def test_agent_routes_need_the_agents_own_token(pair):
    for method, path in (("POST", "/api/agent/heartbeat"), ("GET", "/api/agent/desired-state?revision=0"),
                         ("POST", "/api/agent/status")):
        status, _, _ = pair.api.raw(method, path, "{}" if method == "POST" else None)  # an admin's token
        assert status == 401, path


def test_deleting_a_host_needs_it_disabled(pair):
    try:
        pair.api.call("DELETE", "/api/hosts/host-1")
        raise AssertionError("deleted an enabled host")
    except ApiError as error:
        assert error.status == 409
