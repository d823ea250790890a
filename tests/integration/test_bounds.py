"""What a host does not allow: refused by the server with the member's name, and by the agent whatever the server says."""

import pytest
from harness import ApiError, network, volume, wait_until, workspace

NARROW = "allow_privileged: false\n"
ASKS = {
    "one": ("/spec/privileged", "allow_privileged", {"privileged": True}),
    "two": ("/spec/cap_add/0", "allowed_capabilities", {"cap_add": ["NET_ADMIN"]}),
    "three": ("/spec/devices/0/host", "allowed_devices", {"devices": [{"host": "/dev/null", "container": "/dev/zilch"}]}),
    "four": ("/spec/host_network", "allow_host_network", {"host_network": True}),
}
WIDE = """\
allow_privileged: true
allow_host_network: true
allowed_capabilities: [NET_ADMIN]
allowed_devices: [/dev/null]
"""


class Host:
    """A server, and an agent whose configuration file is written here."""

    def __init__(self, installation, text):
        self.file = installation.directory / "host-1.yml"
        self.write(text)
        installation.server().start()
        self.api = installation.log_in()
        self.agent = installation.agent().start()
        installation.approve()
        installation.wait_online()

    def write(self, text):
        self.file.write_text(text)


@pytest.fixture
def host(installation):
    return lambda text: Host(installation, text)


def refused(api, *documents):
    with pytest.raises(ApiError) as caught:
        api.apply(*documents)
    assert caught.value.status == 422
    return caught.value


def test_what_a_host_does_not_allow_is_refused_with_its_member(standalone, engine):
    api = standalone.api
    documents = [workspace(name, **spec) for name, (_, _, spec) in ASKS.items()]
    documents += [workspace("five", mounts=[{"bind": "/etc", "target": "/mnt/etc"}]),
                  volume("around", driver_options={"type": "none", "o": "bind", "device": "/etc"})]
    fault = refused(api, *documents)
    assert fault.pointers == [*(f"/{i}{pointer}" for i, (pointer, _, _) in enumerate(ASKS.values())),
                              "/4/spec/mounts/0/bind", "/5/spec/driver_options"]
    for _, key, _ in ASKS.values():
        assert key in str(fault)
    assert "allowed_bind_roots" in str(fault)
    assert engine.managed_names() == []


def test_what_a_host_does_not_allow_is_refused_by_the_host(host, engine):
    """The file is narrowed while the agent is away: its server, which knows no better, passes everything on."""
    here = host(WIDE)
    api = here.api
    api.apply(*[workspace(name, running=name == "three", **spec) for name, (_, _, spec) in ASKS.items()])
    for name in ASKS:
        api.wait("workspaces", name, "running" if name == "three" else "stopped")
    before = {name: engine.inspect(name)["Id"] for name in ASKS}
    here.agent.stop()
    here.write(NARROW)
    api.apply(*[workspace(name, env={"A": "1"}, **spec) for name, (_, _, spec) in ASKS.items()])
    engine.call("POST", "/containers/three/stop?t=1")
    here.agent.start()
    for name, (_, key, _) in ASKS.items():
        assert key in api.wait_error("workspaces", name)
    assert {name: engine.inspect(name)["Id"] for name in ASKS} == before
    assert not engine.inspect("three")["State"]["Running"], "it was started again, beyond the bounds"


def test_a_bind_mount_outside_the_hosts_roots_is_refused_by_the_host(host, engine, tmp_path):
    shared, secret = tmp_path / "shared", tmp_path / "secret"
    for each in (shared / "models", shared / "other", secret):
        each.mkdir(parents=True)
    (secret / "key").write_text("do not read")
    here = host(f"allowed_bind_roots: [{shared}]\n")
    api = here.api
    for path in (secret, f"{shared}/../secret", f"{shared}-not"):
        refused(api, workspace("dev", mounts=[{"bind": str(path), "target": "/x"}]))
    # Where links lead, only the host can say.
    (shared / "link").symlink_to(secret)
    api.apply(workspace("astray", mounts=[{"bind": f"{shared}/link", "target": "/x"}]),
              volume("around", driver_options={"type": "none", "o": "bind", "device": f"{shared}/link"}))
    assert str(secret) in api.wait_error("workspaces", "astray")
    assert str(secret) in api.wait_error("volumes", "around")
    assert not engine.exists("volumes", "around")

    # A workspace that may write there puts a link in the place of what another one mounts.
    api.apply(workspace("writer", mounts=[{"bind": str(shared), "target": "/shared"}]),
              workspace("dev", mounts=[{"bind": f"{shared}/models", "target": "/x"}]))
    api.wait("workspaces", "dev", "running")
    api.wait("workspaces", "writer", "running")
    (shared / "models").rmdir()
    (shared / "models").symlink_to(secret)
    engine.call("POST", "/containers/dev/stop?t=1")
    assert str(secret) in api.wait_error("workspaces", "dev")
    assert not engine.inspect("dev")["State"]["Running"]
    (shared / "models").unlink()
    (shared / "models").mkdir()
    wait_until(lambda: api.status("workspaces", "dev") == "running", "it to run again once the link has gone")


def test_a_volume_that_is_a_directory_of_the_roots_is_one(host, engine, tmp_path):
    (tmp_path / "data").mkdir()
    api = host(f"allowed_bind_roots: [{tmp_path}]\n").api
    api.apply(volume("data", driver_options={"type": "none", "o": "bind", "device": str(tmp_path / "data")}),
              workspace("dev", mounts=[{"volume": "data", "target": "/data"}],
                        command=["sh", "-c", "echo was-here >/data/note; trap 'exit 0' TERM; while :; do sleep 1; done"]))
    api.wait("workspaces", "dev", "running")
    wait_until(lambda: (tmp_path / "data" / "note").exists(), "the note")
    for options in ({"type": "none", "o": "bind", "device": "/etc"},
                    {"type": "overlay", "device": "overlay", "o": "lowerdir=/etc"},
                    {"type": "ext4", "device": "/dev/sda1"}):
        assert refused(api, volume("more", driver_options=options)).pointers == ["/0/spec/driver_options"]


def test_networks_on_a_parent_need_the_hosts_leave(host):
    api = host("allowed_parents: [eth77]\n").api
    names = [each["name"] for each in api.get("/api/hosts/host-1")["capabilities"]["network_interfaces"]]
    lan = network("lan", driver="macvlan", subnet="10.78.0.0/24", parent=names[0] if names else "eth0")
    fault = refused(api, lan)
    assert "/0/spec/parent" in fault.pointers and "allowed_parents has only eth77" in str(fault)
