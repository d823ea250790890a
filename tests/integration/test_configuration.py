"""Configuration exactly as product.md says (rows A10 and A11)."""

import stat

from harness import trailer, wait_until


def test_a_missing_file_is_created_with_the_values_in_force(pair):
    file = pair.directory / "host-1.yml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    for line in (f"server_url: {pair.url}", "deployment_name: host-1", "build_directory: /tmp",
                 "delete_build_context_after_build: true", "log_max_size: 10485760", "runtime: docker",
                 "allow_privileged: false"):
        assert line in text, text


def test_the_default_file_is_under_xdg_config_home(installation):
    installation.process("default", "agent", "-S", installation.url, "--docker-host",
                         installation.engine.address).start()
    wait_until((installation.directory / "config" / "trailer.dev" / "config.yml").exists, "the default file")


def test_an_unknown_key_is_refused_with_its_place(installation):
    file = installation.directory / "a.yml"
    file.write_text("deployment_name: x\nserver_urll: http://x\n")
    done = trailer("agent", "-C", file, env=installation.env)
    assert done.returncode == 2
    assert f"{file}:2:1" in done.stderr and "server_urll" in done.stderr


def test_a_wrong_type_is_refused_with_its_place(installation):
    file = installation.directory / "a.yml"
    file.write_text("log_max_size: plenty\n")
    done = trailer("agent", "-C", file, env=installation.env)
    assert done.returncode == 2
    assert f"{file}:1:" in done.stderr and "log_max_size" in done.stderr


def test_flags_win_over_the_file_and_no_environment_variable_binds_a_flag(installation):
    file = installation.directory / "host-1.yml"
    file.write_text(f"deployment_name: from-the-file\nserver_url: http://127.0.0.1:1\n")
    installation.server().start()
    api = installation.log_in()
    agent = installation.agent()  # -S and -D on the command line
    agent.env = {**installation.env, "TRAILER_DEPLOYMENT_NAME": "from-the-environment", "DEPLOYMENT_NAME": "env"}
    agent.start()
    host = wait_until(lambda: (api.get("/api/hosts")["items"] or [None])[0], "the host to be shown")
    assert host["name"] == "host-1"
    assert "from-the-file" in file.read_text()  # an existing file is not rewritten
