"""Bad input and clashes: a clear error that names the field; nothing half-applied."""

import pytest
from harness import ApiError, network, volume, wait_until, workspace

BAD = [
    ([workspace("dev", ports=[{"host": "eighty", "container": 80}])], "/0/spec/ports/0/host"),
    ([workspace("dev", ports=[{"host": 80}])], "/0/spec/ports/0/container"),
    ([workspace("dev", imagee="x")], "/0/spec/imagee"),
    ([{"kind": "Workspace", "name": "dev", "spec": {}}], "/0/spec/image"),
    ([{"kind": "Workspase", "name": "dev", "spec": {}}], "/0/kind"),
    ([{"kind": "Workspace", "spec": {"image": "x"}}], "/0/name"),
    ([workspace("a b")], "/0/name"),
    ([workspace("dev", networks=[{"network": "nowhere"}])], "/0/spec/networks/0/network"),
    ([workspace("dev", mounts=[{"volume": "nowhere", "target": "/x"}])], "/0/spec/mounts/0/volume"),
    ([workspace("dev", mounts=[{"target": "/x"}])], "/0/spec/mounts/0"),
    ([workspace("dev", resources={"memory": 1})], "/0/spec/resources/memory"),
    ([workspace("dev", resources={"memory": 1 << 50})], "/0/spec/resources/memory"),
    ([workspace("dev", restart="sometimes")], "/0/spec/restart"),
    ([dict(workspace("dev"), host="elsewhere")], "/0/host"),
    ([dict(workspace("dev"), color="red")], "/0/color"),
    ([network("lab", subnet="10.1.2.3/24")], "/0/spec/subnet"),
    ([network("lab", subnet="10.9.0.0/24"), network("lap", subnet="10.9.0.0/25")], "/1/spec/subnet"),
    ([workspace("one", ports=[{"host": 80, "container": 80}]),
      workspace("two", ports=[{"host": 80, "container": 80}])], "/1/spec/ports/0/host"),
]


def test_each_bad_document_names_its_field_and_nothing_is_applied(standalone, engine):
    api = standalone.api
    for documents, pointer in BAD:
        with pytest.raises(ApiError) as caught:
            api.apply(network("innocent"), *documents)
        expected = pointer.replace("/1/", "/2/", 1) if pointer.startswith("/1/") else pointer.replace("/0/", "/1/", 1)
        assert caught.value.status == 422, (documents, caught.value)
        assert expected in caught.value.pointers, (expected, caught.value.pointers)
    assert api.get("/api/networks")["items"] == []
    assert engine.managed_names() == []


def test_what_is_no_json_is_told_so(standalone):
    status, headers, text = standalone.api.raw("POST", "/api/apply", '[{"kind": ')
    assert status in (400, 422) and headers["Content-Type"].startswith("application/problem+json"), text
    status, _, _ = standalone.api.raw("POST", "/api/apply", "x" * (20 << 20))
    assert status == 413


def test_a_foreign_container_with_the_name_is_told_and_left_alone(standalone, engine):
    foreign = engine.run("dev")
    standalone.api.apply(workspace("dev"))
    text = standalone.api.wait_error("workspaces", "dev")
    assert "dev" in text
    assert engine.inspect("dev")["Id"] == foreign and engine.inspect("dev")["State"]["Running"]
    standalone.api.apply(workspace("bystander"))
    standalone.api.wait("workspaces", "bystander", "running")
    engine.remove("dev")
    wait_until(lambda: standalone.api.status("workspaces", "dev") == "running", "the name to be free and taken", 60)


def test_a_foreign_volume_with_the_name_is_told_and_left_alone(standalone, engine):
    engine.call("POST", "/volumes/create", {"Name": "data"})
    try:
        standalone.api.apply(volume("data"))
        assert "data" in standalone.api.wait_error("volumes", "data")
        labels = engine.call("GET", "/volumes/data")["Labels"]
        assert not labels or "dev.trailer.managed" not in labels
    finally:
        engine.call("DELETE", "/volumes/data", ok=(204, 404))


def test_a_network_in_use_is_not_deleted_and_says_by_whom(standalone):
    api = standalone.api
    api.apply(network("lab"), workspace("dev", networks=[{"network": "lab"}]))
    api.wait("workspaces", "dev", "running")
    with pytest.raises(ApiError) as caught:
        api.call("DELETE", "/api/networks/lab")
    assert caught.value.status == 409 and "dev" in caught.value.problem["detail"]


def test_one_that_fails_blocks_no_other(standalone):
    api = standalone.api
    api.apply(workspace("bad", command=["/no/such/program"]), workspace("good"),
              {"kind": "Image", "name": "broken",
               "spec": {"reference": "broken:1", "dockerfile": "FROM trailer.dev/busybox:1\nRUN echo why-it-broke; exit 7\n"}},
              workspace("waits", image="broken"))
    api.wait("workspaces", "good", "running")
    assert "/no/such/program" in api.wait_error("workspaces", "bad")
    assert "why-it-broke" in api.wait_error("images", "broken")


def test_a_missing_image_is_told(standalone):
    standalone.api.apply(workspace("dev", image="no-such-image:1"))
    assert "no-such-image" in standalone.api.wait_error("workspaces", "dev", 60)
