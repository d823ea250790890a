"""The command line as people and scripts use it."""

import json
import re
import stat
import subprocess
import time

import pytest
from harness import ROOT, TRAILER, trailer, wait_until, workspace

EXAMPLE = """
kind: Network
name: lab
---
kind: Volume
name: data
---
kind: Workspace
name: dev
running: true
spec:
  image: trailer.dev/busybox:1
  command: [sleep, "1000000"]
  networks: [{network: lab}]
  mounts: [{volume: data, target: /data}]
"""


def test_from_login_to_delete(standalone, tmp_path):
    env = standalone.env
    password = standalone.directory / "data" / "initial_admin_password"
    done = trailer("login", "--server", standalone.url, "--username", "admin", "--password-file", password, env=env)
    assert done.returncode == 0, done.stderr
    saved = standalone.directory / "config" / "trailer.dev" / "client.yml"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600

    file = tmp_path / "example.yml"
    file.write_text(EXAMPLE)
    done = trailer("apply", "-f", file, "--wait", env=env)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "\x1b" not in done.stdout  # colours and progress are for terminals
    for line in ("network/lab created", "volume/data created", "workspace/dev created"):
        assert line in done.stdout

    table = trailer("get", "workspaces", env=env).stdout
    assert re.search(r"^NAME +HOST +STATUS", table) and re.search(r"^dev +host-1 +running", table, re.M)
    view = json.loads(trailer("get", "workspaces", "dev", "-o", "json", env=env).stdout)
    assert view["status"] == "running" and view["name"] == "dev"
    assert "status: running" in trailer("get", "ws", "dev", "-o", "yaml", env=env).stdout
    for kind, name in (("hosts", "host-1"), ("networks", "lab"), ("volumes", "data")):
        assert name in trailer("get", kind, env=env).stdout
    assert trailer("get", "images", env=env).returncode == 0
    described = trailer("describe", "workspace", "dev", env=env)
    assert described.returncode == 0 and "trailer.dev/busybox:1" in described.stdout

    assert trailer("apply", "-f", "-", env=env, stdin=EXAMPLE).stdout.count("unchanged") == 3
    assert trailer("stop", "dev", "--wait", env=env).returncode == 0
    assert standalone.api.status("workspaces", "dev") == "stopped"
    assert trailer("start", "dev", "--wait", env=env).returncode == 0
    assert standalone.api.status("workspaces", "dev") == "running"
    assert trailer("delete", "workspace", "dev", "--wait", env=env).returncode == 0
    assert standalone.api.status("workspaces", "dev") is None


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["get"], ["get", "gadgets"], ["get", "workspaces", "--colour"],
                                       ["apply"], ["agent", "--no-such-flag"], ["delete", "workspace"]])
def test_bad_usage_exits_with_2(arguments, installation):
    done = trailer(*arguments, env=installation.env)
    assert done.returncode == 2, done
    assert done.stderr


def test_failure_exits_with_1_and_says_what_to_do(installation):
    done = installation.command("get", "workspaces")
    assert done.returncode == 1
    assert installation.url.removeprefix("http://") in done.stderr


def test_a_bad_document_is_told_with_its_file_line_and_column(standalone, tmp_path):
    file = tmp_path / "bad.yml"
    file.write_text("kind: Workspace\nname: dev\nspec:\n  image: x\n  ports:\n    - host: eighty\n      container: 80\n")
    done = standalone.command("apply", "-f", file)
    assert done.returncode == 1
    assert f"{file}:6:" in done.stderr and "/spec/ports/0/host" in done.stderr


def test_watch_shows_changes_as_they_come(standalone, tmp_path):
    token = tmp_path / "token"
    token.write_text(standalone.api.token)
    token.chmod(0o600)
    output = tmp_path / "watch.out"
    with output.open("w") as file:
        watch = subprocess.Popen([TRAILER, "get", "workspaces", "-w", "--server", standalone.url, "--token-file", token],
                                 stdout=file, stderr=file, env=standalone.env)
    try:
        time.sleep(1)
        standalone.api.apply(workspace("dev"))
        wait_until(lambda: re.search(r"^dev .*running", output.read_text(), re.M), "the watch to show it running", 20)
        assert watch.poll() is None
    finally:
        watch.terminate()
        watch.wait(10)


def test_completion_for_each_shell(installation):
    for shell in ("bash", "zsh", "fish"):
        done = trailer("completion", shell, env=installation.env)
        assert done.returncode == 0 and "trailer" in done.stdout
    script = trailer("completion", "bash", env=installation.env).stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_version_and_doctor(standalone):
    assert re.match(r"trailer \d+\.\d+", trailer("version", env=standalone.env).stdout)
    done = standalone.command("doctor", "--docker-host", standalone.engine.address)
    assert "engine" in done.stdout.lower() and "server" in done.stdout.lower()


def test_the_page_of_commands_is_what_the_program_says():
    done = subprocess.run([ROOT / "tools/commands_page", TRAILER], capture_output=True, text=True, check=True)
    assert done.stdout == (ROOT / "docs/commands.md").read_text(), "run: tools/commands_page build/dev/trailer --write"
