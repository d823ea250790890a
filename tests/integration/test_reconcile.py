"""What the reconciler promises on a real engine: replacements that give way, drift, leftovers, what is cleared away."""

import json
import os
import shutil
import time

import pytest
from harness import BUSYBOX, free_port, network, volume, wait_until, workspace
from test_sessions import run

NEVER = {"reconcile_interval_ms": 3_600_000}  # nothing comes of the poll


def settings(api, **values):
    api.call("PATCH", "/api/hosts/host-1", {"settings": values})


def texts(api, name):
    return "\n".join(m["text"] for m in api.get(f"/api/workspaces/{name}")["messages"])


def running(engine, name):
    return engine.exists("containers", name) and engine.inspect(name)["State"]["Running"]


def test_a_fixed_port_and_a_fixed_address_change_hands_and_come_back(standalone, engine):
    api = standalone.api
    port = free_port()
    fixed = {"ports": [{"host": port, "container": 80}], "networks": [{"network": "lab", "ipv4": "10.77.0.10"}]}

    def holds():
        seen = engine.inspect("dev")
        return (seen["State"]["Running"] and seen["NetworkSettings"]["Networks"]["lab"]["IPAddress"] == "10.77.0.10"
                and seen["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == str(port))

    api.apply(network("lab", subnet="10.77.0.0/24"), workspace("dev", **fixed))
    api.wait("workspaces", "dev", "running")
    first = engine.inspect("dev")["Id"]
    api.apply(workspace("dev", env={"A": "1"}, **fixed))
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] != first and holds(), "the new one")
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: engine.managed_names() == ["dev"], "nothing to be left behind")
    second = engine.inspect("dev")["Id"]

    api.apply(workspace("dev", command=["sh", "-c", "exit 7"], **fixed))
    told = api.wait_error("workspaces", "dev")
    assert "exit code 7" in told and "dev.failed" in told
    assert engine.inspect("dev")["Id"] == second and holds()
    failed = engine.inspect("dev.failed")
    assert not failed["State"]["Running"]
    time.sleep(3)  # longer than the first two waits of what is tried again
    assert engine.inspect("dev.failed")["Id"] == failed["Id"], "it was tried again"
    assert engine.inspect("dev")["State"]["StartedAt"] < engine.inspect("dev.failed")["State"]["FinishedAt"] or holds()

    api.apply(workspace("dev", env={"A": "2"}, **fixed))
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: engine.managed_names() == ["dev"] and holds(), "the mended one alone")
    assert engine.inspect("dev")["Id"] != second


def test_a_new_container_that_does_not_get_healthy_is_rolled_back(standalone, engine):
    api = standalone.api

    def checked(command, **spec):
        check = {"command": ["sh", "-c", command], "interval_ms": 200, "timeout_ms": 1000, "retries": 2}
        return workspace("dev", health_check=check,
                         replace={"on_unhealthy": "roll_back", "healthy_within_ms": 20_000}, **spec)

    api.apply(checked("exit 0"))
    api.wait("workspaces", "dev", "running")
    first = engine.inspect("dev")["Id"]
    api.apply(checked("exit 0", env={"A": "1"}))
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] != first, "a healthy one to replace it")
    api.wait("workspaces", "dev", "running")
    second = engine.inspect("dev")["Id"]
    api.apply(checked("echo no luck; exit 1"))
    told = api.wait_error("workspaces", "dev")
    assert "no luck" in told and "dev.failed" in told
    assert engine.inspect("dev")["Id"] == second
    wait_until(lambda: running(engine, "dev"), "the former one to run")
    assert not running(engine, "dev.failed")


def meddle(engine, what):
    """Changes something on `dev` behind Trailer's back; gives how one sees that it was repaired."""
    before = engine.inspect("dev")["Id"]
    if what == "removed":
        engine.remove("dev")
        return lambda: running(engine, "dev")
    if what == "stopped":
        engine.call("POST", "/containers/dev/stop?t=1")
        return lambda: running(engine, "dev")
    if what == "paused":
        engine.call("POST", "/containers/dev/pause")
        return lambda: engine.inspect("dev")["State"]["Status"] == "running" and engine.inspect("dev")["Id"] == before
    if what == "renamed":
        engine.call("POST", "/containers/dev/rename?name=elsewhere")
        return lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] == before
    if what == "detached":
        engine.call("POST", "/networks/lab/disconnect", {"Container": "dev", "Force": True})
        return lambda: "lab" in engine.inspect("dev")["NetworkSettings"]["Networks"]
    if what == "limits":
        engine.call("POST", "/containers/dev/update", {"PidsLimit": 55})
        return lambda: engine.inspect("dev")["HostConfig"]["PidsLimit"] == 44
    if what == "volume":
        engine.remove("dev")
        # The agent makes the container anew at once: its volume may be gone for a moment only.
        engine.call("DELETE", "/volumes/data?force=1", ok=(204, 409, 404))
        return lambda: running(engine, "dev") and engine.exists("volumes", "data")
    assert what == "network"
    engine.call("POST", "/networks/lab/disconnect", {"Container": "dev", "Force": True})
    engine.call("DELETE", "/networks/lab", ok=(204, 403, 404))
    return lambda: (engine.exists("networks", "lab")
                    and "lab" in engine.inspect("dev")["NetworkSettings"]["Networks"])


def test_every_drift_is_repaired_by_the_events_alone(standalone, engine):
    api = standalone.api
    settings(api, **NEVER)
    api.apply(network("lab"), volume("data"),
              workspace("dev", networks=[{"network": "lab"}], mounts=[{"volume": "data", "target": "/data"}],
                        resources={"pids": 44}))
    for what in ("stopped", "paused", "renamed", "limits", "detached", "network", "removed", "volume"):
        # A step that crosses what is done behind our back may fail, and is tried again after a second.
        wait_until(lambda: api.status("workspaces", "dev") == "running", "it to run")
        repaired = meddle(engine, what)
        began = time.monotonic()
        wait_until(repaired, f"{what} to be repaired", 20)
        print(f"{what}: {time.monotonic() - began:.2f} s")
    wait_until(lambda: engine.managed_names() == ["dev"], "one container")


def test_a_paused_workspace_is_stopped_replaced_and_deleted_like_any_other(standalone, engine):
    api = standalone.api
    command = ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]

    def document(running=True, **spec):
        return workspace("dev", running=running, drift="report", command=command, **spec)

    def in_force():
        seen = api.get("/api/workspaces/dev")
        return seen["observed"].get("applied_revision") == seen["revision"] and not seen["messages"]

    def paused():
        api.wait("workspaces", "dev", "running")
        wait_until(in_force, "it to be in force")
        engine.call("POST", "/containers/dev/pause")
        wait_until(lambda: "it was paused" in texts(api, "dev"), "the pause to be told")
        return engine.inspect("dev")["Id"]

    api.apply(document())
    first = paused()
    [item] = api.apply(document())["items"]
    assert item["changes"] == ["/observed/drift"]
    wait_until(lambda: not engine.inspect("dev")["State"]["Paused"], "it to go on once it is applied again")
    assert engine.inspect("dev")["Id"] == first
    paused()
    api.apply(document(running=False))
    api.wait("workspaces", "dev", "stopped")
    assert engine.inspect("dev")["State"]["ExitCode"] == 3, "it was not stopped by its signal"
    api.apply(document())
    paused()
    api.apply(document(env={"A": "1"}))
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] != first, "the new one")
    api.wait("workspaces", "dev", "running")
    paused()
    api.call("DELETE", "/api/workspaces/dev")
    api.wait("workspaces", "dev", None)
    assert not engine.exists("containers", "dev")


@pytest.mark.parametrize("restarted", [False, True])
def test_drift_that_is_to_be_told_is_told_until_it_is_applied(pair, engine, restarted):
    api = pair.api
    document = workspace("dev", drift="report", resources={"pids": 44})
    api.apply(document)
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: api.get("/api/workspaces/dev")["observed"].get("applied_revision") == 1, "it to be in force")
    if restarted:
        pair.agent_process.kill()
    engine.call("POST", "/containers/dev/update", {"PidsLimit": 55})
    if restarted:
        pair.agent_process.start()
    wait_until(lambda: "resources/pids: 55 -> 44" in texts(api, "dev"), "the changed limit to be told")
    engine.call("POST", "/containers/dev/pause")
    wait_until(lambda: "it was paused" in texts(api, "dev"), "the pause to be told")
    assert engine.inspect("dev")["State"]["Paused"]
    engine.remove("dev")
    wait_until(lambda: "its container is gone" in texts(api, "dev"), "the removal to be told")
    time.sleep(1)
    assert not engine.exists("containers", "dev")
    [item] = api.apply(document)["items"]
    assert item["result"] == "updated" and item["changes"] == ["/observed/drift"]
    api.wait("workspaces", "dev", "running")
    assert engine.inspect("dev")["HostConfig"]["PidsLimit"] == 44
    wait_until(lambda: texts(api, "dev") == "", "the warning to go")
    [item] = api.apply(document)["items"]
    assert item["result"] == "unchanged"


def test_what_an_images_volume_holds_outlives_replacements_and_ends_with_the_workspace(standalone, engine):
    api = standalone.api
    volumes = {each["Name"] for each in engine.call("GET", "/volumes")["Volumes"] or []}

    def new_volumes():
        return {each["Name"] for each in engine.call("GET", "/volumes")["Volumes"] or []} - volumes

    api.apply({"kind": "Image", "name": "keeper", "spec": {"reference": "keeper:1", "dockerfile": f"FROM {BUSYBOX}\nVOLUME /data\n"}},
              workspace("dev", image="keeper", env={"ROUND": "0"}, stop_grace_ms=500, command=["sh", "-c", "date >> /data/log; exec sleep 1000"]))
    api.wait("workspaces", "dev", "running", 60)
    for number in "12":
        api.apply(workspace("dev", image="keeper", env={"ROUND": number}, stop_grace_ms=500, command=["sh", "-c", "date >> /data/log; exec sleep 1000"]))
        wait_until(lambda number=number: f"ROUND={number}" in engine.inspect("dev")["Config"]["Env"], "the replacement", 60)
        api.wait("workspaces", "dev", "running", 60)
    assert len(new_volumes()) == 1
    assert run(standalone, "sh", "-c", "wc -l < /data/log")[0] == b"3\n"
    api.call("DELETE", "/api/workspaces/dev")
    api.wait("workspaces", "dev", None, 60)
    assert not new_volumes()


def test_what_an_images_volume_holds_outlives_a_container_that_can_not_be_started_any_more(standalone, engine):
    api = standalone.api
    image = {"kind": "Image", "name": "keeper", "spec": {"reference": "keeper:1", "dockerfile": f"FROM {BUSYBOX}\nVOLUME /data\n"}}
    document = workspace("dev", image="keeper", stop_grace_ms=500, command=["sh", "-c", "date >> /data/log; exec sleep 1000"])
    api.apply(image, document)
    api.wait("workspaces", "dev", "running", 60)
    before = engine.inspect("dev")
    api.apply({**document, "running": False})
    api.wait("workspaces", "dev", "stopped")
    # As an engine (20.10) leaves it that is ended in the middle of a start.
    left = os.path.join(engine.directory, "exec/containerd/daemon/io.containerd.runtime.v2.task/moby", before["Id"])
    os.makedirs(left)
    try:
        api.apply(document)
        wait_until(lambda: running(engine, "dev") and engine.inspect("dev")["Id"] != before["Id"], "another container", 60)
        api.wait("workspaces", "dev", "running", 60)
    finally:
        shutil.rmtree(left, ignore_errors=True)
    assert [each["Name"] for each in engine.inspect("dev")["Mounts"]] == [each["Name"] for each in before["Mounts"]]
    assert run(standalone, "sh", "-c", "wc -l < /data/log")[0] == b"2\n"
    wait_until(lambda: engine.managed_names() == ["dev"], "one container")


def test_a_leftover_is_shown_and_goes_after_its_grace(standalone, engine):
    api = standalone.api
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    settings(api, leftover_grace_ms=4000, heartbeat_interval_ms=200)
    host = api.get("/api/hosts/host-1")
    engine.run("astray", labels={"dev.trailer.managed": "true", "dev.trailer.host": host["id"], "dev.trailer.id": "gone"})
    engine.run("anothers", labels={"dev.trailer.managed": "true", "dev.trailer.host": "other", "dev.trailer.id": "gone"})
    wait_until(lambda: [each["name"] for each in api.get("/api/hosts/host-1")["upkeep"]["leftovers"]] == ["astray"],
               "the leftover to be told")
    [plan] = api.apply(workspace("dev"), dry_run=True)["plans"]
    assert [each["name"] for each in plan["plan"]["leftovers"]] == ["astray"]
    assert "astray" in standalone.command("describe", "host", "host-1").stdout
    assert engine.exists("containers", "astray")
    wait_until(lambda: not engine.exists("containers", "astray"), "the leftover to go", 15)
    wait_until(lambda: api.get("/api/hosts/host-1")["upkeep"]["leftovers_count"] == 0, "nothing to be told any more")
    assert engine.managed_names() == ["anothers", "dev"]


def test_former_builds_are_cleared_away_by_the_hosts_policy(standalone, engine):
    api = standalone.api

    def build(number):
        api.apply({"kind": "Image", "name": "tools", "spec": {
            "reference": "strength-tools:1", "dockerfile": f"FROM {BUSYBOX}\nRUN echo {number} > /number\n"}})
        wait_until(lambda: api.get("/api/images/tools")["status"] == "build_finished", "the build", 60)
        return engine.call("GET", "/images/strength-tools:1/json", ok=(200,))["Id"]

    builds = []
    for number in range(3):
        builds.append(build(number))
        wait_until(lambda: len(set(builds)) == len(builds), "another image")
    settings(api, heartbeat_interval_ms=200, collection={"keep": 1, "older_than_ms": 0})
    wait_until(lambda: not engine.exists("images", builds[0]), "the oldest build to go", 20)
    assert engine.exists("images", builds[1]) and engine.exists("images", builds[2])
    wait_until(lambda: api.get("/api/hosts/host-1")["upkeep"]["collected_count"] == 1, "it to be told")
    [told] = api.get("/api/hosts/host-1")["upkeep"]["collected"]
    assert told["name"] == "tools" and "newer build" in told["reason"]
    assert api.status("images", "tools") == "build_finished"


def test_a_full_disk_takes_all_former_builds(standalone, engine):
    api = standalone.api
    # Neither their number nor their age would do.
    settings(api, heartbeat_interval_ms=200, collection={"keep": 10, "older_than_ms": 86_400_000, "disk_above_percent": 100})
    builds = []
    for number in range(3):
        api.apply({"kind": "Image", "name": "tools", "spec": {
            "reference": "strength-tools:1", "dockerfile": f"FROM {BUSYBOX}\nRUN echo full {number} > /number\n"}})
        wait_until(lambda: api.get("/api/images/tools")["status"] == "build_finished", "the build", 60)
        builds.append(engine.call("GET", "/images/strength-tools:1/json", ok=(200,))["Id"])
    wait_until(lambda: api.get("/api/hosts/host-1")["upkeep"].get("disk_used_percent"), "the disk to be seen")
    described = standalone.command("describe", "host", "host-1").stdout
    assert "disk_above_percent: 100" in described and "% used, by all" in described
    assert all(engine.exists("images", each) for each in builds)
    if api.get("/api/hosts/host-1")["upkeep"]["disk_used_percent"] <= 1:
        pytest.skip("the disk of this machine is empty")
    settings(api, collection={"disk_above_percent": 1})
    wait_until(lambda: not any(engine.exists("images", each) for each in builds[:2]), "the former builds to go", 40)
    assert engine.exists("images", builds[2])
    wait_until(lambda: api.get("/api/hosts/host-1")["upkeep"]["collected_count"] == 2, "it to be told")
    assert "% full" in api.get("/api/hosts/host-1")["upkeep"]["collected"][0]["reason"]


def test_deleting_by_a_file_takes_any_order(standalone, engine):
    api = standalone.api
    documents = [workspace("web", networks=[{"network": "lab"}], depends_on=[{"workspace": "db"}]),
                 workspace("db", networks=[{"network": "lab"}], mounts=[{"volume": "data", "target": "/data"}]),
                 volume("data"), network("lab")]
    for order in (documents, documents[::-1]):
        file = standalone.directory / "all.json"
        file.write_text(json.dumps(order))
        api.apply(*order)
        api.wait("workspaces", "web", "running")
        done = standalone.command("delete", "-f", file, "--wait", "--timeout", "60")
        assert done.returncode == 0, done.stdout + done.stderr
        assert engine.managed_names() == [] and not engine.exists("networks", "lab") and not engine.exists("volumes", "data")


@pytest.mark.parametrize(("value", "pointer"), [
    ({"leftover_grace_ms": -1}, "/settings/leftover_grace_ms"),
    ({"collection": {"keep": -1}}, "/settings/collection/keep"),
    ({"collection": {"disk_above_percent": 0}}, "/settings/collection/disk_above_percent"),
])
def test_settings_out_of_their_range_are_named(standalone, value, pointer):
    status, _, text = standalone.api.raw("PATCH", "/api/hosts/host-1", {"settings": value})
    assert status == 422 and pointer in text.decode()
