"""Networks and volumes on a real engine: automatic subnets, both families, interfaces, sizes.

The agent must stand in the engine's network namespace, as it does on a host: run these with the tests' own
namespace entered (./test integration does)."""

import ipaddress
import os
import subprocess

import pytest
from harness import ApiError, network, volume, wait_until, workspace

# The engine needs a fifth of a second for each, up and down; 300 are run where there is time for them.
MANY = int(os.environ.get("TRAILER_TEST_NETWORKS", "40"))


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).returncode == 0


def subnet_of(api, name, member="subnet"):
    return ipaddress.ip_network(api.get(f"/api/networks/{name}")["observed"][member])


def engine_subnets(engine):
    return [ipaddress.ip_network(pool["Subnet"]) for each in engine.call("GET", "/networks")
            for pool in each["IPAM"]["Config"] or []]




def run_in(engine, name, *command):
    """Output of a command in a container."""
    made = engine.call("POST", f"/containers/{name}/exec",
                       {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, "Tty": True})
    return engine.call("POST", f"/exec/{made['Id']}/start", {"Tty": True}).decode(errors="replace")


@pytest.fixture
def parent():
    """An interface of this namespace that can be a parent, with a peer that nobody uses."""
    ip("link", "add", "eth7", "type", "veth", "peer", "name", "eth7peer")
    ip("link", "set", "eth7", "up")
    ip("link", "set", "eth7peer", "up")
    yield "eth7"
    ip("link", "del", "eth7")


def start_seeing_interfaces(installation):
    """/sys shows the interfaces of the namespace in which it was mounted: this standalone gets one of its own."""
    process = installation.standalone()
    process.arguments = ["unshare", "--mount", "sh", "-c", 'mount -t sysfs none /sys && exec "$@"', "sh",
                         *process.arguments]
    process.start()
    api = installation.log_in()
    installation.wait_online()
    return api


def has_link_type(parent, *kind):
    """Whether this kernel has it."""
    made = ip("link", "add", "link", parent, "name", "probe0", "type", *kind, check=False)
    if made:
        ip("link", "del", "probe0")
    return made


def test_many_networks_in_one_apply_and_away_again(standalone, engine):
    api = standalone.api
    names = [f"net{i}" for i in range(MANY)]
    api.apply(*(network(name) for name in names))
    wait_until(lambda: all(n["status"] == "created" for n in api.get("/api/networks?limit=1000")["items"]),
               f"{MANY} networks", 600, 0.5)
    subnets = [ipaddress.ip_network(n["observed"]["subnet"]) for n in api.get("/api/networks?limit=1000")["items"]]
    assert len(set(subnets)) == MANY
    assert all(each.subnet_of(ipaddress.ip_network("10.200.0.0/15")) and each.prefixlen == 24 for each in subnets)
    for name in names:
        api.call("DELETE", f"/api/networks/{name}")
    wait_until(lambda: not api.get("/api/networks?limit=1")["items"], "all to be gone", 600, 0.5)
    assert not any(each in subnets for each in engine_subnets(engine))


def test_no_subnet_overlaps_a_route_an_address_or_another_network(installation, engine):
    """A pool of eight pieces, of which the host, the engine and a document leave two."""
    (installation.directory / "standalone.yml").write_text('network_pools: [10.234.0.0/21, "fd34::/62"]\n')
    foreign = engine.call("POST", "/networks/create", {"Name": "foreign", "IPAM": {"Config": [
        {"Subnet": "10.234.4.128/25"}]}})["Id"]
    ip("link", "add", "route0", "type", "bridge")
    try:
        ip("addr", "add", "10.234.3.7/32", "dev", "route0")
        ip("link", "set", "route0", "up")
        ip("route", "add", "10.234.0.0/23", "dev", "route0")
        ip("route", "add", "10.234.5.0/24", "dev", "route0", "table", "52")  # as VPNs do
        ip("-6", "addr", "add", "fd34:0:0:2::7/128", "dev", "route0")
        ip("-6", "route", "add", "fd34::/63", "dev", "route0")
        standalone = installation.standalone().start()
        api = installation.log_in()
        installation.wait_online()
        api.apply(network("named", subnet="10.234.6.0/24"), network("one"), network("two"),
                  network("six", subnet="10.236.9.0/24", ipv6=True))
        for name in ("named", "one", "two", "six"):
            api.wait("networks", name, "created")
        assert str(subnet_of(api, "six", "ipv6_subnet")) == "fd34:0:0:3::/64"
        assert {str(subnet_of(api, name)) for name in ("one", "two")} == {"10.234.2.0/24", "10.234.7.0/24"}
        api.apply(network("three"))
        text = api.wait_error("networks", "three")
        assert "no free subnet of /24" in text and "10.234.0.0/21" in text and "network_pools" in text, text
        # One that goes makes room, by itself; one that is made anew has its former subnet.
        former = subnet_of(api, "two")
        api.call("DELETE", "/api/networks/two")
        wait_until(lambda: api.status("networks", "three") == "created", "three to take two's place", 60)
        assert subnet_of(api, "three") == former
        assert standalone.alive()
    finally:
        ip("link", "del", "route0", check=False)
        engine.call("DELETE", f"/networks/{foreign}")


def test_a_network_made_anew_has_its_former_subnet_and_a_restart_changes_none(pair, engine):
    api = pair.api
    api.apply(network("lab"), network("lap"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    api.wait("networks", "lap", "created")
    lab, lap = subnet_of(api, "lab"), subnet_of(api, "lap")
    container = engine.inspect("dev")["Id"]
    pair.agent_process.stop()
    # An agent of other pools leaves what is there.
    (pair.directory / "host-1.yml").write_text("network_pools: [10.235.0.0/16]\n")
    pair.agent_process.start()
    pair.wait_online()
    api.apply(network("new"))
    api.wait("networks", "new", "created")
    assert subnet_of(api, "new").subnet_of(ipaddress.ip_network("10.235.0.0/16"))
    assert (subnet_of(api, "lab"), subnet_of(api, "lap")) == (lab, lap)
    assert engine.inspect("dev")["Id"] == container
    former = subnet_of(api, "new")
    api.call("DELETE", "/api/networks/new")
    api.wait("networks", "new", None)
    api.apply(network("new"))
    api.wait("networks", "new", "created")
    assert subnet_of(api, "new") == former


def test_workspaces_share_a_network_of_both_families_with_fixed_addresses_and_aliases(standalone, engine):
    api = standalone.api
    api.apply(network("lab", ipv6=True),
              network("fixed", subnet="10.236.1.0/24", ipv6=True, ipv6_subnet="fd00:236:1::/64"),
              workspace("db", networks=[{"network": "lab", "aliases": ["database"]},
                                        {"network": "fixed", "ipv4": "10.236.1.9", "ipv6": "fd00:236:1::9"}]),
              workspace("web", networks=[{"network": "lab"}]))
    db = api.wait("workspaces", "db", "running")
    api.wait("workspaces", "web", "running")
    six = subnet_of(api, "lab", "ipv6_subnet")
    assert six.prefixlen == 64 and six.subnet_of(ipaddress.ip_network("fd00::/8"))
    assert db["observed"]["networks"]["fixed"] == {"ipv4": "10.236.1.9", "ipv6": "fd00:236:1::9"}
    assert ipaddress.ip_address(db["observed"]["networks"]["lab"]["ipv6"]) in six
    assert "1 packets received" in run_in(engine, "web", "ping", "-c", "1", "-W", "5", "database")
    assert "1 packets received" in run_in(engine, "web", "ping", "-6", "-c", "1", "-W", "5",
                                          db["observed"]["networks"]["lab"]["ipv6"])
    # In place: another fixed address keeps the container.
    container = engine.inspect("db")["Id"]
    api.apply(workspace("db", networks=[{"network": "lab", "aliases": ["database"]},
                                        {"network": "fixed", "ipv4": "10.236.1.9", "ipv6": "FD00:236:1:0::10"}]))
    wait_until(lambda: api.get("/api/workspaces/db")["observed"]["networks"].get("fixed", {}).get("ipv6") ==
               "fd00:236:1::10", "the other address")
    assert engine.inspect("db")["Id"] == container


@pytest.fixture
def outside():
    """The address of a machine beyond the host."""
    name = "trailer-outside"
    ip("netns", "add", name)
    try:
        ip("link", "add", "outside0", "type", "veth", "peer", "name", "inside0", "netns", name)
        ip("addr", "add", "10.238.0.1/30", "dev", "outside0")
        ip("link", "set", "outside0", "up")
        ip("-n", name, "addr", "add", "10.238.0.2/30", "dev", "inside0")
        ip("-n", name, "link", "set", "inside0", "up")
        yield "10.238.0.2"
    finally:
        ip("link", "del", "outside0", check=False)
        ip("netns", "del", name)


def test_an_internal_network_leads_nowhere(standalone, engine, outside):
    api = standalone.api
    api.apply(network("inside", internal=True), network("open"),
              workspace("dev", networks=[{"network": "inside"}]),
              workspace("peer", networks=[{"network": "inside"}]),
              workspace("free", networks=[{"network": "open"}]))
    for name in ("dev", "peer", "free"):
        api.wait("workspaces", name, "running")
    assert api.get("/api/networks/inside")["observed"]["internal"] is True
    assert "1 packets received" in run_in(engine, "free", "ping", "-c", "1", "-W", "5", outside)
    assert "1 packets received" in run_in(engine, "dev", "ping", "-c", "1", "-W", "5", "peer")
    assert "1 packets received" not in run_in(engine, "dev", "ping", "-c", "1", "-W", "2", outside)


def test_a_network_in_use_is_not_deleted_and_says_by_whom(standalone, engine):
    api = standalone.api
    api.apply(network("lab"), workspace("one", networks=[{"network": "lab"}]),
              workspace("two", running=False, networks=[{"network": "lab"}]))
    api.wait("workspaces", "one", "running")
    with pytest.raises(ApiError) as refused:
        api.call("DELETE", "/api/networks/lab")
    assert refused.value.status == 409
    assert "one, two" in refused.value.problem["detail"]
    # What others have put on it is told too, and left alone.
    for name in ("one", "two"):
        api.call("DELETE", f"/api/workspaces/{name}")
        api.wait("workspaces", name, None)
    stranger = engine.run("stranger")
    engine.call("POST", "/networks/lab/connect", {"Container": stranger})
    api.call("DELETE", "/api/networks/lab")
    text = api.wait_error("networks", "lab")
    assert "in use by stranger, not made by Trailer" in text
    engine.call("POST", "/networks/lab/disconnect", {"Container": stranger})
    api.wait("networks", "lab", None)


def test_a_name_that_two_networks_have_is_no_failure_of_the_new_container(standalone, engine):
    """An engine makes a second one where two requests cross, and starts no container until one of them has gone."""
    api = standalone.api
    api.apply(network("lab"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    double = engine.call("POST", "/networks/create", {"Name": "lab", "CheckDuplicate": False})["Id"]
    try:
        api.apply(workspace("dev", networks=[{"network": "lab"}], env={"ROUND": "2"}))
        text = api.wait_error("workspaces", "dev")
        assert "network lab is ambiguous" in text and "next try in" in text, text
        wait_until(lambda: engine.inspect("dev")["State"]["Running"], "the former container to be back")
        assert engine.inspect("dev")["Id"] == before and engine.managed_names() == ["dev"]
    finally:
        engine.call("DELETE", f"/networks/{double}")
    wait_until(lambda: "ROUND=2" in engine.inspect("dev")["Config"]["Env"], "the new one to take its place")
    wait_until(lambda: api.status("workspaces", "dev") == "running", "that to be told")


def test_a_network_stays_for_a_former_container_that_came_back_to_it(standalone, engine):
    api = standalone.api
    api.apply(network("lab"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    before = engine.inspect("dev")["Id"]
    api.apply(workspace("dev", command=["false"], restart="no"))
    api.call("DELETE", "/api/networks/lab")
    assert "former one is back" in api.wait_error("workspaces", "dev")
    seen = engine.inspect("dev")
    assert seen["Id"] == before and seen["State"]["Running"] and list(seen["NetworkSettings"]["Networks"]) == ["lab"]
    waits = wait_until(lambda: api.get("/api/networks/lab")["messages"], "what the network waits for")
    assert "container dev, which uses it" in waits[0]["text"], waits
    api.apply(workspace("dev"))
    api.wait("networks", "lab", None)
    wait_until(lambda: api.status("workspaces", "dev") == "running", "that to be told")


def test_macvlan_on_a_parent_of_the_host(installation, engine, parent):
    if not has_link_type(parent, "macvlan", "mode", "bridge"):
        pytest.skip("this kernel has no macvlan")
    api = start_seeing_interfaces(installation)
    host = api.get("/api/hosts/host-1")
    assert parent in [i["name"] for i in host["capabilities"]["network_interfaces"]]
    assert {"bridge", "macvlan", "ipvlan"} <= set(host["capabilities"]["network_drivers"])
    api.apply(network("lan", driver="macvlan", parent=parent, subnet="10.237.1.0/24", gateway="10.237.1.1",
                      ip_range="10.237.1.128/25"),
              workspace("dev", networks=[{"network": "lan", "ipv4": "10.237.1.130"}]))
    api.wait("workspaces", "dev", "running")
    assert "10.237.1.130/24" in run_in(engine, "dev", "ip", "addr")
    assert engine.call("GET", "/networks/lan")["Options"]["parent"] == parent
    for spec, pointer in ((dict(parent="eth8", subnet="10.237.2.0/24"), "/0/spec/parent"),
                          (dict(parent=parent, subnet="10.237.2.0/24"), "/0/spec/parent"),
                          (dict(parent=parent, subnet="10.237.1.0/25", vlan=10), "/0/spec/subnet"),
                          (dict(parent=parent, subnet="10.237.2.0/24", vlan=4095), "/0/spec/vlan")):
        with pytest.raises(ApiError) as refused:
            api.apply(network("more", driver="macvlan", **spec))
        assert refused.value.pointers == [pointer], refused.value


def test_a_vlan_tag_is_the_engines_interface_of_that_name(installation, engine, parent):
    """The engine makes eth7.10 where the kernel has VLANs, and takes one that is there where it has none."""
    makes = has_link_type(parent, "vlan", "id", "10")
    if not has_link_type(parent, "macvlan", "mode", "bridge"):
        pytest.skip("this kernel has no macvlan")
    if not makes:
        ip("link", "add", f"{parent}.10", "type", "veth", "peer", "name", "eth710peer")
    try:
        api = start_seeing_interfaces(installation)
        api.apply(network("lan", driver="macvlan", parent=parent, vlan=10, subnet="10.237.3.0/24"),
                  workspace("dev", networks=[{"network": "lan"}]))
        api.wait("workspaces", "dev", "running")
        assert engine.call("GET", "/networks/lan")["Options"]["parent"] == f"{parent}.10"
        assert ip("link", "show", f"{parent}.10")
        api.call("DELETE", "/api/workspaces/dev")
        api.wait("workspaces", "dev", None)
        api.call("DELETE", "/api/networks/lan")
        api.wait("networks", "lan", None)
        if makes:
            assert not ip("link", "show", f"{parent}.10", check=False), "the engine's own interface stayed"
    finally:
        if not makes:
            ip("link", "del", f"{parent}.10", check=False)


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_ipvlan_in_both_modes(installation, engine, parent, mode):
    api = start_seeing_interfaces(installation)
    documents = [network("lan", driver="ipvlan", parent=parent, subnet="10.237.4.0/24", mode=mode),
                 workspace("dev", networks=[{"network": "lan", "ipv4": "10.237.4.9"}])]
    api.apply(*documents)
    api.wait("networks", "lan", "created")
    made = engine.call("GET", "/networks/lan")
    assert (made["Driver"], made["Options"]) == ("ipvlan", {"parent": parent, "ipvlan_mode": mode})
    if not has_link_type(parent, "ipvlan", "mode", "l2"):
        pytest.skip("this kernel has no ipvlan: the network was made, no container can be on it")
    api.wait("workspaces", "dev", "running")
    assert "10.237.4.9/24" in run_in(engine, "dev", "ip", "addr")


def test_a_volume_with_driver_options_its_size_and_its_end(pair, engine):
    api = pair.api
    api.apply(volume("scratch", driver_options={"type": "tmpfs", "device": "tmpfs", "o": "size=8m"}), volume("data"),
              workspace("dev", mounts=[{"volume": "scratch", "target": "/scratch"}, {"volume": "data", "target": "/data"}],
                        command=["sh", "-c", "head -c 300000 /dev/zero >/data/f; trap 'exit 0' TERM; "
                                             "while :; do sleep 3600 & wait; done"]))
    api.wait("workspaces", "dev", "running")
    assert engine.call("GET", "/volumes/scratch")["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=8m"}
    mounts = run_in(engine, "dev", "sh", "-c", "grep scratch /proc/mounts; df -m /scratch")
    assert "tmpfs /scratch tmpfs" in mounts and " 8 " in mounts, mounts
    wait_until(lambda: "size" in api.get("/api/volumes/data")["observed"], "the size to be measured", 30)
    pair.agent_process.stop()
    pair.agent_process.start()  # measures anew soon after
    wait_until(lambda: api.get("/api/volumes/data")["observed"].get("size", 0) >= 300000, "the size in force", 60)
    # A new agent knows no size until it has measured, some seconds after its first report: both may come in between.
    wait_until(lambda: "size: 3" in pair.command("describe", "volume", "data").stdout, "describe to show it")
    wait_until(lambda: "293K" in pair.command("get", "volumes", "data").stdout, "the list to show it")
    assert "SIZE" in pair.command("get", "volumes").stdout
    # Gone by name alone.
    api.call("DELETE", "/api/workspaces/dev")
    api.wait("workspaces", "dev", None)
    assert engine.exists("volumes", "data") and engine.exists("volumes", "scratch")
    for name in ("data", "scratch"):
        api.call("DELETE", f"/api/volumes/{name}")
        api.wait("volumes", name, None)
        assert not engine.exists("volumes", name)


def test_volumes_are_not_measured_where_that_is_turned_off(pair, engine):
    api = pair.api
    api.call("PATCH", "/api/hosts/host-1", {"settings": {"metrics": {"volumes": False}}})
    api.apply(volume("data"))
    api.wait("volumes", "data", "created")
    with pytest.raises(AssertionError):
        wait_until(lambda: "size" in api.get("/api/volumes/data")["observed"], "a size that does not come", 12)
    assert api.get("/api/hosts/host-1")["settings"]["metrics"] == {"host": True, "workspaces": True, "gpus": True,
                                                                   "volumes": False}
