"""Compose files: applied as they are, on a real engine; and groups."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from harness import BUSYBOX, ROOT, free_port, wait_until

CORPUS = ROOT / "tests/compose"

SHOP = """\
services:
  web:
    image: ${BASE:?}
    command: sh -c 'mkdir -p /srv && echo "$$GREETING" > /srv/index.html && exec httpd -f -h /srv'
    environment:
      GREETING: ${GREETING:-hello}
    ports:
      - "127.0.0.1:${WEB_PORT}:80"
    depends_on:
      api:
        condition: service_started
      db:
        condition: service_healthy
    stop_grace_period: 1s
  api:
    image: ${BASE}
    entrypoint: [sleep]
    command: ["1000000"]
    networks: {default: {aliases: [backend]}, inner: }
    volumes: [/cache, "data:/data:ro"]
    deploy: {resources: {limits: {cpus: "0.25", memory: 32M}}}
    stop_grace_period: 1s
  db:
    image: ${BASE}
    command: sh -c "sleep 1; touch /data/ready; exec sleep 1000000"
    volumes: ["data:/data"]
    networks: [inner, default]
    healthcheck:
      test: test -f /data/ready
      interval: 500ms
      timeout: 5s
      retries: 20
    restart: always
    stop_grace_period: 1s
networks:
  inner: {internal: true}
volumes:
  data:
"""


@pytest.fixture
def shop(standalone, tmp_path):
    directory = tmp_path / "shop"
    directory.mkdir()
    standalone.file = directory / "compose.yaml"
    standalone.file.write_text(SHOP)
    (directory / ".env").write_text(f"BASE={BUSYBOX}\nWEB_PORT={free_port()}\n")
    return standalone


def apply(installation, *arguments, code=0):
    done = installation.command("apply", "-f", installation.file, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def inside(engine, container, command):
    """What a command prints in a container."""
    made = engine.call("POST", f"/containers/{container}/exec",
                       {"AttachStdout": True, "AttachStderr": True, "Tty": True, "Cmd": ["sh", "-c", command]})
    return engine.call("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True}).decode()


def test_services_come_up_in_their_order_and_find_each_other(shop, engine):
    done = apply(shop, "--wait", "--timeout", "120")
    for line in ("network/shop_default created", "network/shop_inner created", "volume/shop_data created",
                 "volume/shop_api_cache created", "workspace/shop-web created"):
        assert line in done.stdout
    assert engine.managed_names() == ["shop-api", "shop-db", "shop-web"]

    web, db = engine.inspect("shop-web"), engine.inspect("shop-db")
    assert db["State"]["Health"]["Status"] == "healthy"
    first_healthy = next(p["End"] for p in db["State"]["Health"]["Log"] if p["ExitCode"] == 0)
    assert web["State"]["StartedAt"] > first_healthy[:19], "web waits until db is healthy"
    assert db["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert web["HostConfig"]["RestartPolicy"]["Name"] == "no"
    api = engine.inspect("shop-api")
    assert (api["HostConfig"]["NanoCpus"], api["HostConfig"]["Memory"]) == (250_000_000, 32 << 20)

    assert inside(engine, "shop-api", "wget -q -O - http://web/").strip() == "hello"
    assert "ready" in inside(engine, "shop-api", "ls /data")
    for name in ("backend", "api", "db", "shop-db"):
        assert "1 packets received" in inside(engine, "shop-web", f"ping -c 1 -W 2 {name}"), name

    table = shop.command("get", "groups").stdout
    assert re.search(r"^shop +host-1 +3 running +2 +2 ", table, re.M), table
    assert shop.command("get", "ws", "--group", "shop", "-o", "name").stdout.split() == ["shop-api", "shop-db", "shop-web"]
    described = shop.command("describe", "group", "shop").stdout
    assert "shop_inner" in described and "3 running" in described


def test_the_same_again_is_unchanged_and_a_change_touches_one_service(shop, engine):
    apply(shop, "--wait", "--timeout", "120")
    before = {name: engine.inspect(name)["Id"] for name in engine.managed_names()}
    again = apply(shop).stdout
    assert again.count("unchanged") == 7 and "created" not in again and "updated" not in again

    shop.file.write_text(SHOP.replace("GREETING:-hello", "GREETING:-good day"))
    changed = apply(shop, "--wait", "--timeout", "120").stdout
    assert "workspace/shop-web updated (/spec/env/GREETING)" in changed and changed.count("unchanged") == 6
    wait_until(lambda: inside(engine, "shop-api", "wget -q -O - http://web/").strip() == "good day", "the new page")
    wait_until(lambda: len(engine.managed_names()) == 3 and engine.inspect("shop-web")["Id"] != before["shop-web"],
               "the old container to go")
    after = {name: engine.inspect(name)["Id"] for name in engine.managed_names()}
    assert (after["shop-api"], after["shop-db"]) == (before["shop-api"], before["shop-db"])


def test_a_service_that_left_the_file_is_told_of_and_goes_with_prune(shop, engine):
    apply(shop, "--wait", "--timeout", "120")
    fewer = yaml.safe_load(SHOP)
    del fewer["services"]["web"]
    shop.file.write_text(yaml.safe_dump(fewer))
    done = apply(shop)
    assert "workspace/shop-web is in the group, but not in these documents; --prune deletes it" in done.stderr
    assert "shop-web" in engine.managed_names()
    plan = apply(shop, "--prune", "--dry-run").stdout
    assert "workspace/shop-web deleted (dry run)" in plan and "remove_container shop-web" in plan
    assert "workspace/shop-web deleted" in apply(shop, "--prune", "--wait", "--timeout", "60").stdout
    assert engine.managed_names() == ["shop-api", "shop-db"]


def test_a_group_is_deleted_at_once_and_its_volumes_only_when_asked_for(shop, engine):
    apply(shop, "--wait", "--timeout", "120")
    done = shop.command("delete", "group", "shop", "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert "volume/shop_data kept; --volumes deletes it too" in done.stdout
    assert engine.managed_names() == []
    assert not engine.exists("networks", "shop_default") and engine.exists("volumes", "shop_data")
    assert "none" in shop.command("get", "groups").stdout

    done = shop.command("delete", "group", "shop", "--volumes", "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert not engine.exists("volumes", "shop_data")
    assert "shop" not in shop.command("get", "groups").stdout
    assert shop.command("delete", "group", "shop").returncode == 1

    apply(shop, "--wait", "--timeout", "120")
    assert shop.command("delete", "-f", shop.file, "--wait", "--timeout", "60").returncode == 0
    assert engine.managed_names() == [] and engine.exists("volumes", "shop_data")


def test_faults_are_told_where_they_stand_and_nothing_is_applied(shop, engine):
    shop.file.write_text(SHOP.replace("    stop_grace_period: 1s\n", "    secrets: [s]\n    imagee: x\n", 1))
    done = apply(shop, code=1)
    assert f"{shop.file}:14:5: services.web.secrets: is not supported" in done.stderr
    assert f"{shop.file}:15:5: services.web.imagee: is not known" in done.stderr
    done = apply(shop, "--ignore-unsupported", code=1)
    assert "services.web.secrets" not in done.stderr and "imagee" in done.stderr

    shop.file.write_text(SHOP.replace("    stop_grace_period: 1s\n", "    platform: linux/arm64\n", 1))
    assert "--ignore-unsupported" in apply(shop, code=1).stderr
    done = apply(shop, "--ignore-unsupported", "--dry-run")
    assert "warning" in done.stderr and "services.web.platform" in done.stderr

    (shop.file.parent / ".env").write_text("WEB_PORT=1\n")
    shop.file.write_text(SHOP)
    assert f"{shop.file}:3:5: services.web.image: the variable BASE is required" in apply(shop, code=1).stderr

    # What only the server can know.
    (shop.file.parent / ".env").write_text(f"BASE={BUSYBOX}\nWEB_PORT=1\n")
    shop.file.write_text(SHOP.replace("memory: 32M", "memory: 32768G"))
    done = apply(shop, code=1)
    assert re.search(rf"{re.escape(str(shop.file))}:\d+:\d+: /spec/resources/memory: host host-1 has", done.stderr)
    assert engine.managed_names() == [] and "shop" not in shop.command("get", "groups").stdout


def test_an_image_is_built_from_a_dockerfile_that_stands_alone(shop, engine):
    directory = shop.file.parent
    (directory / "Dockerfile").write_text(f"FROM {BUSYBOX}\nARG WORD\nRUN echo $WORD > /word\n")
    shop.file.write_text("services: {tool: {build: {context: ., args: {WORD: built}}, command: sleep 1000000, init: true,"
                         " healthcheck: {disable: true}}}\n")
    apply(shop, "--wait", "--timeout", "120")
    assert inside(engine, "shop-tool", "cat /word").strip() == "built"
    assert engine.inspect("shop-tool")["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert apply(shop).stdout.count("unchanged") == 3
    (directory / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY . /app\n")
    assert "takes files from the build's context" in apply(shop, code=1).stderr


def test_two_projects_from_one_file_and_profiles(shop, engine):
    shop.file.write_text(f"services:\n  one: {{image: {BUSYBOX}, command: sleep 9999, init: true}}\n"
                         f"  two: {{image: {BUSYBOX}, command: sleep 9999, init: true, profiles: [more]}}\n")
    apply(shop, "--group", "left", "--wait", "--timeout", "60")
    apply(shop, "--group", "right", "--profile", "more", "--wait", "--timeout", "60")
    assert engine.managed_names() == ["left-one", "right-one", "right-two"]
    assert shop.command("get", "groups", "-o", "name").stdout.split() == ["left", "right"]


def compose_config(file, directory):
    """What docker-compose makes of a file, as JSON's values."""
    done = subprocess.run(["docker-compose", "--project-directory", directory, "-f", file, "config"],
                          capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def words(command):
    return shlex.split(command) if isinstance(command, str) else [str(c) for c in command or []]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize("name", [p.stem for p in sorted(CORPUS.glob("*.yaml")) if "# compared" in p.read_text()])
def test_values_are_those_that_docker_compose_reads(name, standalone, tmp_path):
    directory = tmp_path / name
    directory.mkdir()
    file = pathlib.Path(shutil.copy(CORPUS / f"{name}.yaml", directory / "compose.yaml"))
    theirs = compose_config(file, directory)["services"]
    done = standalone.command("apply", "-f", file)
    assert done.returncode == 0, done.stderr
    ours = {view["name"].removeprefix(name + "-"): view["spec"]
            for view in json.loads(standalone.command("get", "ws", "--group", name, "-o", "json").stdout)}
    assert set(ours) == set(theirs)
    for service, wanted in theirs.items():
        spec = ours[service]
        # In its output a dollar sign stands twice: it could be read again.
        single = lambda text: str(text).replace("$$", "$")
        assert spec["image"] == wanted["image"]
        assert spec["env"] == {k: single(v) for k, v in (wanted.get("environment") or {}).items()}
        assert spec["command"] == words(wanted.get("command"))
        assert [p["container"] for p in spec["ports"]] == [
            p["target"] if isinstance(p, dict) else int(p.rsplit(":", 1)[-1].split("/")[0])
            for p in wanted.get("ports", [])]
        assert {d["workspace"].removeprefix(name + "-") for d in spec["depends_on"]} == set(wanted.get("depends_on", []))
        assert spec["restart"] == wanted.get("restart", "no")
