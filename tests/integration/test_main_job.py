"""The main job: apply, change, stop, start, delete, on a real engine."""

import http.client
import json
import time

from harness import network, volume, wait_until, workspace


def test_brings_a_network_a_volume_an_image_and_a_workspace_up(standalone, engine):
    api = standalone.api
    answer = api.apply(
        network("lab", subnet="10.77.0.0/24"),
        volume("data"),
        {"kind": "Image", "name": "page", "spec": {
            "reference": "page:1",
            "dockerfile": "FROM trailer.dev/busybox:1\nRUN mkdir -p /srv && echo hello > /srv/index.html\n"}},
        workspace("dev", image="page", command=["httpd", "-f", "-h", "/srv"], env={"EDITOR": "vim"},
                  ports=[{"host": 18080, "container": 80}], mounts=[{"volume": "data", "target": "/data"}],
                  networks=[{"network": "lab", "aliases": ["web"], "ipv4": "10.77.0.10"}],
                  resources={"cpus": 0.5, "memory": 67108864, "pids": 64, "shm_size": 1048576},
                  labels={"team": "blue"}))
    assert [(i["kind"], i["name"], i["result"]) for i in answer["items"]] == [
        ("Network", "lab", "created"), ("Volume", "data", "created"), ("Image", "page", "created"),
        ("Workspace", "dev", "created")]

    view = api.wait("workspaces", "dev", "running", 60)
    assert api.status("networks", "lab") == "created"
    assert api.status("volumes", "data") == "created"
    assert api.status("images", "page") == "build_finished"
    assert view["host"] == "host-1" and view["observed"]["container_id"]

    container = engine.inspect("dev")
    assert container["State"]["Running"]
    assert "EDITOR=vim" in container["Config"]["Env"]
    assert container["Config"]["Labels"]["team"] == "blue"
    assert container["Config"]["Labels"]["dev.trailer.id"] == view["id"]
    limits = container["HostConfig"]
    assert (limits["NanoCpus"], limits["Memory"], limits["PidsLimit"], limits["ShmSize"]) == (
        500_000_000, 67108864, 64, 1048576)
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    attached = container["NetworkSettings"]["Networks"]["lab"]
    assert attached["IPAddress"] == "10.77.0.10" and "web" in attached["Aliases"]
    assert [(m["Name"], m["Destination"]) for m in container["Mounts"]] == [("data", "/data")]

    def page():
        connection = http.client.HTTPConnection("127.0.0.1", 18080, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except OSError:
            return None
        finally:
            connection.close()

    assert wait_until(page, "the page to be served", 10) == b"hello\n"


def test_secrets_of_the_environment_stay_out_of_labels_and_logs(standalone, engine):
    standalone.api.apply(workspace("dev", env={"PASSWORD": "hunter2-very-secret"}))
    standalone.api.wait("workspaces", "dev", "running")
    assert "hunter2" not in json.dumps(engine.inspect("dev")["Config"]["Labels"])
    assert "hunter2" not in standalone.main.text()
    for log in (standalone.directory / "log").rglob("*.log"):
        assert "hunter2" not in log.read_text()


def test_a_change_that_the_engine_can_make_in_place_keeps_the_container(standalone, engine):
    api = standalone.api
    api.apply(network("lab"), network("lab2"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    api.apply(workspace("dev", networks=[{"network": "lab"}, {"network": "lab2"}], restart="always",
                        resources={"memory": 134217728, "cpus": 1}))
    wait_until(lambda: engine.inspect("dev")["HostConfig"]["Memory"] == 134217728
               and "lab2" in engine.inspect("dev")["NetworkSettings"]["Networks"], "the limits to change")
    after = engine.inspect("dev")
    assert after["Id"] == before
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_a_change_that_needs_it_replaces_the_container_and_leaves_one(standalone, engine):
    api = standalone.api
    api.apply(volume("data"), workspace("dev", env={"A": "1"}, mounts=[{"volume": "data", "target": "/data"}]))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    answer = api.apply(workspace("dev", env={"A": "2"}, mounts=[{"volume": "data", "target": "/data"}]))
    assert answer["items"][0]["result"] == "updated"
    wait_until(lambda: engine.managed_names() == ["dev"] and engine.inspect("dev")["Id"] != before,
               "the container to be replaced")
    assert "A=2" in engine.inspect("dev")["Config"]["Env"]
    api.wait("workspaces", "dev", "running")


def test_applying_the_same_again_changes_nothing(standalone, engine):
    api = standalone.api
    documents = [network("lab"), volume("data"), workspace("dev", networks=[{"network": "lab"}])]
    api.apply(*documents)
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")
    assert {i["result"] for i in api.apply(*documents)["items"]} == {"unchanged"}
    time.sleep(0.5)
    assert engine.inspect("dev")["Id"] == before["Id"]
    assert engine.inspect("dev")["State"]["StartedAt"] == before["State"]["StartedAt"]


def test_a_dry_run_changes_nothing(standalone, engine):
    answer = standalone.api.apply(workspace("dev"), dry_run=True)
    assert answer["items"][0]["result"] == "created"
    [plan] = [p["plan"] for p in answer["plans"]]
    assert [(s["action"], s["name"]) for s in plan["steps"]] == [("create_container", "dev"), ("start_container", "dev")]
    time.sleep(0.3)
    assert engine.managed_names() == []
    assert standalone.api.status("workspaces", "dev") is None


def test_a_dry_run_explains_what_changes_in_place_and_what_replaces(standalone, engine):
    api = standalone.api
    never = {"command": ["false"], "interval_ms": 1000, "timeout_ms": 1000}
    api.apply(workspace("dev", resources={"pids": 50}), workspace("db", health_check=never),
              workspace("waits", depends_on=[{"workspace": "db", "condition": "healthy"}]))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    [host] = api.apply(workspace("dev", resources={"pids": 60}), dry_run=True)["plans"]
    [step] = [each for each in host["plan"]["steps"] if each["name"] == "dev"]
    assert step["action"] == "update_container" and not step["replaces"]
    assert step["reason"] == "resources/pids: 50 -> 60"
    assert step["changes"] == [{"field": "resources/pids", "from": "50", "to": "60"}]
    wait_until(lambda: engine.exists("containers", "waits"), "all to be made, or to wait")
    [host] = api.apply(workspace("dev", resources={"pids": 60}), dry_run=True)["plans"]
    assert host["plan"]["obstacles"] == [{"kind": "Workspace", "name": "waits", "text": "waits for workspace db to be healthy"}]
    [host] = api.apply(workspace("dev", env={"A": "hunter2"}, resources={"pids": 50}), dry_run=True)["plans"]
    assert all(s["replaces"] for s in host["plan"]["steps"] if s["action"] != "stop_container")
    assert host["plan"]["steps"][0]["reason"] == "env/A: none -> another value"
    assert host["plan"]["steps"][0]["changes"] == [{"field": "env/A", "from": "none", "to": "another value"}]  # it is secret
    assert engine.inspect("dev")["Id"] == before


def test_the_new_container_failing_brings_the_old_one_back(standalone, engine):
    api = standalone.api
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    api.apply(workspace("dev", command=["/no/such/program"]))

    def told():
        return any("/no/such/program" in m["text"] for m in api.get("/api/workspaces/dev")["messages"])

    wait_until(told, "the failure to be told", 30)
    wait_until(lambda: engine.inspect("dev")["State"]["Running"], "the old container to run again")
    assert engine.inspect("dev")["Id"] == before
    api.apply(workspace("dev", env={"FIXED": "1"}))
    wait_until(lambda: engine.inspect("dev")["Id"] != before, "the mended one to replace it", 30)
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: engine.managed_names() == ["dev"], "what failed to go")


def test_stop_start_restart_redeploy(standalone, engine):
    api = standalone.api
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    first = engine.inspect("dev")
    api.call("POST", "/api/workspaces/dev/stop")
    api.wait("workspaces", "dev", "stopped")
    assert not engine.inspect("dev")["State"]["Running"]
    api.call("POST", "/api/workspaces/dev/start")
    api.wait("workspaces", "dev", "running")
    second = engine.inspect("dev")
    assert second["Id"] == first["Id"] and second["State"]["StartedAt"] > first["State"]["StartedAt"]
    api.call("POST", "/api/workspaces/dev/restart")
    wait_until(lambda: engine.inspect("dev")["State"]["StartedAt"] > second["State"]["StartedAt"]
               and engine.inspect("dev")["State"]["Running"], "the restart")
    assert engine.inspect("dev")["Id"] == first["Id"]
    api.wait("workspaces", "dev", "running")
    restarted = engine.inspect("dev")["State"]["StartedAt"]
    time.sleep(1)
    assert engine.inspect("dev")["State"]["StartedAt"] == restarted  # once, not again and again
    api.call("POST", "/api/workspaces/dev/redeploy")
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] != first["Id"], "the redeploy")
    api.wait("workspaces", "dev", "running")


def test_deleting_a_workspace_leaves_its_volume_until_that_is_deleted_by_name(standalone, engine):
    api = standalone.api
    api.apply(network("lab"), volume("data"),
              workspace("dev", networks=[{"network": "lab"}], mounts=[{"volume": "data", "target": "/data"}]))
    api.wait("workspaces", "dev", "running")
    api.call("DELETE", "/api/workspaces/dev")
    api.wait("workspaces", "dev", None)
    assert engine.managed_names() == []
    assert engine.exists("volumes", "data") and engine.exists("networks", "lab")
    api.call("DELETE", "/api/volumes/data")
    api.call("DELETE", "/api/networks/lab")
    api.wait("volumes", "data", None)
    api.wait("networks", "lab", None)
    assert not engine.exists("volumes", "data") and not engine.exists("networks", "lab")


def test_a_change_reaches_the_host_by_nudge_and_not_by_the_poll(standalone, engine):
    api = standalone.api
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"reconcile_interval_ms": 3_600_000}})
    time.sleep(0.3)
    began = time.monotonic()
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running", 10)
    assert time.monotonic() - began < 10  # an hour, without the nudge
    assert engine.inspect("dev")["State"]["Running"]


def test_a_container_removed_behind_our_back_comes_back(standalone, engine):
    api = standalone.api
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"reconcile_interval_ms": 3_600_000}})
    api.apply(workspace("dev"))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    engine.remove("dev")
    wait_until(lambda: engine.exists("containers", "dev") and engine.inspect("dev")["Id"] != before
               and engine.inspect("dev")["State"]["Running"], "the container to come back", 10)


def test_a_health_check_that_fails_is_told(standalone):
    api = standalone.api
    check = {"command": ["sh", "-c", "echo not today; exit 1"], "interval_ms": 300, "timeout_ms": 1000, "retries": 1}
    api.apply(workspace("dev", health_check=check))
    view = api.wait("workspaces", "dev", "unhealthy", 30)
    assert any("not today" in m["text"] for m in view["messages"])


def test_what_exits_is_told_with_its_code(standalone):
    standalone.api.apply(workspace("dev", command=["sh", "-c", "sleep 1; exit 3"], restart="no"))
    text = standalone.api.wait_error("workspaces", "dev")
    assert "3" in text


def test_what_a_workspace_finds_around_it(standalone, engine):
    api = standalone.api
    api.apply(workspace("dev", user="1000:1000", working_dir="/srv", hostname="box", dns=["10.9.9.9"],
                        extra_hosts={"db": "10.0.0.7"}, stop_signal="SIGINT", stop_grace_ms=1000, read_only=True,
                        ulimits={"nofile": {"soft": 512, "hard": 1024}}, sysctls={"net.core.somaxconn": "77"},
                        logging={"driver": "json-file", "options": {"max-size": "1m"}}, cap_drop=["ALL"],
                        mounts=[{"tmpfs": True, "size": 1048576, "target": "/scratch"}],
                        entrypoint=["sh", "-c"], command=["trap 'exit 0' INT; while :; do sleep 1 & wait; done"]))
    api.wait("workspaces", "dev", "running")
    seen = engine.inspect("dev")
    config, host = seen["Config"], seen["HostConfig"]
    assert (config["User"], config["WorkingDir"], config["Hostname"], config["StopSignal"]) == (
        "1000:1000", "/srv", "box", "SIGINT")
    assert config["Entrypoint"] == ["sh", "-c"]
    assert (host["Dns"], host["ExtraHosts"], host["ReadonlyRootfs"], host["CapDrop"]) == (
        ["10.9.9.9"], ["db:10.0.0.7"], True, ["ALL"])
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 512, "Hard": 1024}]
    assert host["Sysctls"] == {"net.core.somaxconn": "77"} and host["LogConfig"]["Config"] == {"max-size": "1m"}
    assert [(m["Type"], m["Target"]) for m in host["Mounts"]] == [("tmpfs", "/scratch")]
    # What only we read changes in place.
    view = api.get("/api/workspaces/dev")
    spec = dict(view["spec"], stop_grace_ms=2000, pull="never")
    api.apply({"kind": "Workspace", "name": "dev", "spec": spec})
    api.wait("workspaces", "dev", "running")
    assert engine.inspect("dev")["Id"] == seen["Id"]


def test_what_depends_on_another_is_started_when_that_is_healthy(standalone, engine):
    api = standalone.api
    ready = {"command": ["test", "-e", "/tmp/ready"], "interval_ms": 200, "timeout_ms": 1000, "retries": 50}
    api.apply(workspace("web", depends_on=[{"workspace": "db", "condition": "healthy"}]),
              workspace("db", health_check=ready,
                        command=["sh", "-c", "trap 'exit 0' TERM; sleep 2; touch /tmp/ready; sleep 3600 & wait"]))

    def waits():
        view = api.get("/api/workspaces/web")
        return any("db" in m["text"] and "healthy" in m["text"] for m in view["messages"])

    wait_until(waits, "web to say what it waits for")
    assert not engine.exists("containers", "web") or not engine.inspect("web")["State"]["Running"]
    api.wait("workspaces", "web", "running", 30)
    assert engine.inspect("db")["State"]["Health"]["Status"] == "healthy"
    assert engine.inspect("web")["State"]["StartedAt"] > engine.inspect("db")["State"]["StartedAt"]
