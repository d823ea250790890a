"""Sessions as people use them: exec, attach, logs, cp, port-forward and ssh, by the program itself."""

import fcntl
import hashlib
import io
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tarfile
import termios
import threading
import time

import pytest
from harness import TRAILER, trailer, wait_until, workspace


@pytest.fixture
def dev(standalone):
    """A running workspace, and a login for every command."""
    password = standalone.directory / "data" / "initial_admin_password"
    done = trailer("login", "--server", standalone.url, "--username", "admin", "--password-file", password,
                   env=standalone.env)
    assert done.returncode == 0, done.stderr
    standalone.api.apply(workspace("dev", env={"COLOUR": "green"}))
    standalone.api.wait("workspaces", "dev", "running")
    return standalone


def run(installation, *arguments, stdin=b"", timeout=60):
    """A client command, binary."""
    return subprocess.run([TRAILER, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                          env=installation.env, check=False)


def begin(installation, *arguments, stdin=subprocess.DEVNULL):
    return subprocess.Popen([TRAILER, *map(str, arguments)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=installation.env)


def processes(installation, name="dev"):
    """The commands that run in a workspace."""
    found = installation.engine.containers(**{"dev.trailer.name": name}) or installation.engine.containers()
    top = installation.engine.call("GET", f"/containers/{found[0]['Id']}/top?ps_args=-eo%20pid,args")
    return [" ".join(row[1:]) for row in top["Processes"]]


# --- exec


def test_exec_passes_on_code_streams_environment_and_place(dev):
    done = run(dev, "exec", "dev", "-w", "/tmp", "-e", "MINE=a b", "--", "sh", "-c",
               'echo "$COLOUR $MINE $PWD"; echo trouble >&2; exit 42')
    assert (done.returncode, done.stdout, done.stderr) == (42, b"green a b /tmp\n", b"trouble\n")
    assert run(dev, "exec", "dev", "--", "no-such-command").returncode in (126, 127)
    done = run(dev, "exec", "nowhere", "--", "true")
    assert done.returncode == 125 and b"nowhere" in done.stderr
    dev.api.call("POST", "/api/workspaces/dev/stop", {})
    dev.api.wait("workspaces", "dev", "stopped")
    done = run(dev, "exec", "dev", "--", "true")
    assert done.returncode == 125, done
    assert done.stderr.startswith(b"trailer: exec dev: ")


def test_exec_carries_any_bytes_of_any_number(dev):
    data = random.Random(1).randbytes(50 << 20)
    done = run(dev, "exec", "dev", "--", "sha256sum", stdin=data, timeout=180)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    done = run(dev, "exec", "dev", "--", "cat", stdin=data[:20 << 20], timeout=180)
    assert done.returncode == 0 and done.stdout == data[:20 << 20]


def test_the_input_ends_and_the_output_goes_on(dev):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        head = tarfile.TarInfo("hello")
        head.size = 5
        tar.addfile(head, io.BytesIO(b"world"))
    done = run(dev, "exec", "dev", "--", "sh", "-c", "tar x -C /tmp && sleep 0.5 && cat /tmp/hello", stdin=archive.getvalue())
    assert (done.returncode, done.stdout) == (0, b"world")


class Terminal:
    """A client command on a terminal of its own."""

    def __init__(self, installation, *arguments, rows=24, cols=80):
        self.master, slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen([TRAILER, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                                        env=installation.env, start_new_session=True)
        self.slave = slave
        self.seen = ""

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, timeout=20.0):
        """Reads until what came since the last match matches; gives the match."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"waited in vain for {pattern!r}; seen: {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        self.seen = self.seen[found.end():]
        return found

    def end(self, timeout=20):
        code = self.process.wait(timeout)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        os.close(self.master)
        os.close(self.slave)
        return code


def test_a_terminal_has_its_size_its_keys_and_is_restored(dev):
    terminal = Terminal(dev, "exec", "-t", "dev", "--", "sh", "-c", "stty size; exec sh", rows=40, cols=100)
    terminal.expect(r"40 100\r\n")
    terminal.resize(30, 90)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.type("sleep 0.3; stty size\n")
    terminal.expect(r"30 90\r\n")
    terminal.type("sleep 1000\n")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.type("echo still $((40 + 2))\n")
    terminal.expect(r"still 42\r\n")
    terminal.type("exit 7\n")
    assert terminal.end() == 7


def test_ctrl_z_stops_what_runs_in_the_terminal_and_not_the_client(dev):
    terminal = Terminal(dev, "exec", "-t", "dev", "--", "sh", "-i")
    terminal.type("sleep 3333\n")
    wait_until(lambda: any("sleep 3333" in each for each in processes(dev)), "the command")
    terminal.type("\x1a")
    terminal.expect(r"Stopped +sleep 3333")
    assert terminal.process.poll() is None
    terminal.type("fg\n")
    terminal.expect(r"sleep 3333\r\n")
    terminal.type("\x03")
    terminal.type("echo went on $((20 + 1))\n")
    terminal.expect(r"went on 21\r\n")
    terminal.type("exit 3\n")
    assert terminal.end() == 3


def test_a_terminal_shows_that_it_reconnects_and_goes_on(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    token = pair.directory / "token"
    token.write_text(pair.api.token)
    token.chmod(0o600)
    terminal = Terminal(pair, "exec", "-t", "--server", pair.url, "--token-file", token, "dev", "--", "sh")
    terminal.type("NAME=kept; echo begun $((1 + 1))\n")
    terminal.expect(r"begun 2\r\n")
    pair.server_process.kill()
    terminal.expect(r"trailer: connection lost, reconnecting…\r\n")
    terminal.type("echo typed meanwhile $NAME $((2 + 2))\n")
    pair.server_process.start()
    terminal.expect(r"trailer: the connection is back\r\n", 40)
    terminal.expect(r"typed meanwhile kept 4\r\n")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_ends_the_command(dev, number):
    terminal = Terminal(dev, "exec", "-t", "dev", "--", "sh", "-c", "echo begun; sleep 4321")
    terminal.expect("begun")
    terminal.process.send_signal(number)
    assert terminal.end() == 128 + number
    wait_until(lambda: not any("4321" in each for each in processes(dev)), "the command to be ended")


def test_detaching_leaves_the_command_running(dev):
    terminal = Terminal(dev, "exec", "-t", "dev", "--", "sh", "-c", "echo begun; sleep 5432")
    terminal.expect("begun")
    terminal.type("\x10\x11")
    assert terminal.end() == 0
    time.sleep(1)
    assert any("5432" in each for each in processes(dev))


def test_ctrl_c_ends_what_was_started_and_all_its_children(dev):
    client = begin(dev, "exec", "dev", "--", "sh", "-c", "(sleep 6543 & sleep 6543) & echo begun; wait")
    assert client.stdout.readline() == b"begun\n"
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == 130
    wait_until(lambda: not any("6543" in each for each in processes(dev)), "the whole tree to be gone")


def test_a_reader_that_goes_ends_the_command(dev):
    pipe = subprocess.run(f"set -o pipefail; {TRAILER} exec dev -- sh -c 'yes; sleep 7654' | head -1", shell=True,
                          executable="/bin/bash", stdin=subprocess.DEVNULL, capture_output=True, env=dev.env, timeout=30,
                          check=False)
    assert (pipe.returncode, pipe.stdout, pipe.stderr) == (141, b"y\n", b"")
    wait_until(lambda: not any("yes" in each for each in processes(dev)), "the command to be ended")


def test_an_exec_goes_on_over_a_restart_of_the_server(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    token = pair.directory / "token"
    token.write_text(pair.api.token)
    token.chmod(0o600)
    # Numbered lines, so that a loss or a repetition shows; input too, echoed at the end.
    client = begin(pair, "exec", "dev", "--server", pair.url, "--token-file", token, "--", "sh", "-c",
                   "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 100)) = 0 ] && sleep 0.1; done; cat",
                   stdin=subprocess.PIPE)
    collected = io.BytesIO()
    reader = threading.Thread(target=lambda: shutil.copyfileobj(client.stdout, collected))
    reader.start()
    for _ in range(2):
        time.sleep(0.7)
        pair.server_process.kill()
        pair.server_process.start()
    data = random.Random(2).randbytes(3 << 20)
    client.stdin.write(data)
    client.stdin.close()
    assert client.wait(60) == 0, client.stderr.read()
    reader.join(10)
    expected = b"".join(b"line %d\n" % i for i in range(3000)) + data
    assert collected.getvalue() == expected


def test_attach_joins_and_leaves_the_workspace_running(dev):
    dev.api.apply(workspace("shell", command=["sh"], tty=True, stdin_open=True))
    dev.api.wait("workspaces", "shell", "running")
    first, second = Terminal(dev, "attach", "shell"), Terminal(dev, "attach", "shell")
    for each in first, second:  # what is written before one has joined, it does not see
        each.type("echo joined $((2 + 3))\n")
        each.expect(r"joined 5\r\n")
    first.type("echo to both $((1 + 1))\n")
    first.expect(r"to both 2\r\n")
    second.expect(r"to both 2\r\n")
    first.type("\x10\x11")
    assert first.end() == 0
    second.process.send_signal(signal.SIGTERM)
    assert second.end() == 143
    time.sleep(1)
    assert dev.api.status("workspaces", "shell") == "running"


def attached(dev, **spec):
    """A terminal that has joined the shell of a new workspace, "shell"."""
    dev.api.apply(workspace("shell", command=["sh"], tty=True, stdin_open=True, **spec))
    dev.api.wait("workspaces", "shell", "running")
    terminal = Terminal(dev, "attach", "shell")
    terminal.type("echo joined $((2 + 3))\n")
    terminal.expect(r"joined 5\r\n")
    return terminal


@pytest.mark.parametrize("restart", ["no", "unless-stopped"])
def test_attach_ends_as_the_workspaces_own_command_did(dev, restart):
    terminal = attached(dev, restart=restart)
    terminal.type("exit 3\n")
    assert terminal.end() == 3


def test_what_is_typed_right_before_the_detach_keys_arrives(dev):
    terminal = attached(dev)
    terminal.type("touch /tmp/typed\n\x10\x11")
    assert terminal.end() == 0
    wait_until(lambda: run(dev, "exec", "shell", "--", "test", "-e", "/tmp/typed").returncode == 0, "the file")


def test_several_people_at_one_workspace_see_the_same_and_leave_one_by_one(dev):
    """With the keys of each one's own choice; one leaves by a cut, and nobody else notices."""
    dev.api.apply(workspace("shell", command=["sh"], tty=True, stdin_open=True))
    dev.api.wait("workspaces", "shell", "running")
    people = [Terminal(dev, "attach", "--detach-keys", keys, "shell") for keys in ("ctrl-]", "~,.", "ctrl-p,ctrl-q", "ctrl-x")]
    for number, each in enumerate(people):
        each.type(f"echo joined $(({number} + 10))\n")
        each.expect(rf"joined {number + 10}\r\n")
    for number, typist in enumerate(people):
        typist.type(f"echo from $(({number} + 20))\n")
        for each in people:
            each.expect(rf"from {number + 20}\r\n")
    people[3].process.kill()
    people[3].process.wait()
    people[0].type("\x1d")
    people[1].type("~.")
    assert people[0].end() == 0 and people[1].end() == 0
    people[2].type("echo last $((30 + 1))\n")
    people[2].expect(r"last 31\r\n")
    people[2].type("\x10\x11")
    assert people[2].end() == 0
    assert dev.api.status("workspaces", "shell") == "running"


# --- logs


def test_logs_show_what_was_written(dev):
    command = ["sh", "-c", "for i in 1 2 3 4 5; do echo out $i; done; echo err >&2; sleep 1000000"]
    dev.api.apply(workspace("talker", command=command, labels={"team": "x"}),
                  workspace("other", command=command, labels={"team": "x"}))
    for name in ("talker", "other"):
        dev.api.wait("workspaces", name, "running")
    wait_until(lambda: run(dev, "logs", "talker").stderr == b"err\n", "the log to be whole")
    assert run(dev, "logs", "talker").stdout == b"".join(b"out %d\n" % i for i in range(1, 6))
    lines = run(dev, "logs", "--tail", "3", "-t", "talker").stdout.decode().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+Z out \d$", line) for line in lines) and len(lines) in (2, 3)
    assert run(dev, "logs", "--until", "1h", "talker").stdout == b""
    done = run(dev, "logs", "-l", "team=x")
    assert done.stdout.count(b"talker | out") == 5 and done.stdout.count(b"other  | out") == 5
    assert b"\x1b" not in done.stdout
    assert run(dev, "logs", "--tail", "1", "host/host-1").stdout
    done = run(dev, "logs", "nowhere")
    assert done.returncode == 1 and b"nowhere" in done.stderr


def test_a_followed_log_goes_on_over_restart_and_replacement(dev):
    command = ["sh", "-c", "trap 'exit 0' TERM; echo begin $COLOUR; while :; do sleep 1 & wait $!; done"]
    dev.api.apply(workspace("talker", command=command, env={"COLOUR": "red"}))
    dev.api.wait("workspaces", "talker", "running")
    client = begin(dev, "logs", "-f", "talker")
    assert client.stdout.readline() == b"begin red\n"
    dev.api.call("POST", "/api/workspaces/talker/restart", {})
    assert client.stdout.readline() == b"begin red\n"
    dev.api.apply(workspace("talker", command=command, env={"COLOUR": "blue"}))
    assert client.stdout.readline() == b"begin blue\n"
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == 130
    assert b"new container" in client.stderr.read()


def test_a_log_that_is_followed_until_a_time_ends_then(dev):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    began = time.monotonic()
    done = run(dev, "logs", "-f", "--until", until, "dev", timeout=20)
    assert done.returncode == 0, done.stderr
    assert 1 < time.monotonic() - began < 10


def test_a_line_of_a_terminal_may_be_long(dev):
    """Longer than any message of a session but a log's; it came again and again, and never through."""
    command = ["sh", "-c", "head -c 600000 /dev/zero | tr '\\0' x; echo; echo end; exec sleep 1000"]
    dev.api.apply(workspace("wide", command=command, tty=True))
    dev.api.wait("workspaces", "wide", "running")
    output = wait_until(lambda: (text := run(dev, "logs", "wide", timeout=20).stdout).endswith(b"end\r\n") and text, "the log")
    assert output.count(b"x") == 600000


def test_logs_of_a_label_are_followed_as_workspaces_come_and_go(dev):
    def talker(name):
        command = ["sh", "-c", f"trap 'exit 0' TERM; echo this is {name}; while :; do sleep 1 & wait $!; done"]
        return workspace(name, command=command, labels={"group": "x"})

    dev.api.apply(talker("first"))
    dev.api.wait("workspaces", "first", "running")
    client = begin(dev, "logs", "-f", "-l", "group=x")
    assert client.stdout.readline() == b"first | this is first\n"
    dev.api.apply(talker("second-one"))
    assert client.stdout.readline() == b"second-one | this is second-one\n"
    dev.api.call("DELETE", "/api/workspaces/first")
    dev.api.wait("workspaces", "first", None)
    dev.api.apply(talker("first"))  # another one under its name
    assert client.stdout.readline() == b"first      | this is first\n"
    dev.api.apply({**talker("second-one"), "spec": {**talker("second-one")["spec"], "labels": {"group": "y"}}})
    wait_until(lambda: "group" in str(dev.api.get("/api/workspaces/second-one")), "the change")
    time.sleep(1)
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == 130
    told = client.stderr.read().decode()
    assert [line for line in told.splitlines() if "replaced" not in line] == [
        "trailer: logs: second-one has come: this is its log", "trailer: logs: first has gone",
        "trailer: logs: first has come: this is its log",
        "trailer: logs: second-one has lost the labels that -l asks for: its log is followed no more"], told


def test_a_hosts_log_goes_on_where_it_was_when_its_agent_was_restarted(pair):
    token = pair.directory / "token"
    token.write_text(pair.api.token)
    token.chmod(0o600)
    file = pair.directory / "log" / "host-1" / "agent.log"
    client = begin(pair, "logs", "-f", "--server", pair.url, "--token-file", token, "host/host-1")
    shown = []
    reader = threading.Thread(target=lambda: shown.extend(iter(client.stdout.readline, b"")))
    reader.start()
    wait_until(lambda: b"realtime: connected" in b"".join(shown), "the log to be shown")
    for _ in range(2):
        pair.agent_process.kill()
        pair.agent_process.start()
        restarts = file.read_bytes().count(b"realtime: connected")
        wait_until(lambda: file.read_bytes().count(b"realtime: connected") > restarts, "the agent to be back")
        wait_until(lambda: b"".join(shown) == file.read_bytes(), "all of it, once and in order", 40)
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == 130
    reader.join(10)
    assert b"missing" not in client.stderr.read()


# --- cp


def test_progress_is_shown_on_a_terminal_and_nowhere_else(dev, tmp_path):
    data = random.Random(8).randbytes(60 << 20)
    (tmp_path / "big").write_bytes(data)
    terminal = Terminal(dev, "cp", tmp_path / "big", "dev:/tmp/big", cols=60)
    terminal.expect(r"\r\x1b\[K\S+  [\d.]+ MB  [\d.]+ MB/s", 60)
    shown = terminal.expect(r"\r\x1b\[K(\S+  62\.9 MB  [\d.]+ MB/s)\r\n", 60).group(1)
    assert len(shown) <= 60
    assert terminal.end() == 0
    done = run(dev, "cp", "dev:/tmp/big", tmp_path / "back")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "back").read_bytes() == data


def test_files_come_back_as_they_went(dev, tmp_path):
    source = tmp_path / "tree"
    (source / "deep" / ("n" * 150)).mkdir(parents=True)
    (source / "deep" / ("n" * 150) / "large").write_bytes(random.Random(3).randbytes(5 << 20))
    (source / "run me").write_text("#!/bin/sh\n")
    (source / "run me").chmod(0o750)
    (source / "secret").write_text("s")
    (source / "secret").chmod(0o600)
    (source / "link").symlink_to("run me")
    done = run(dev, "cp", source, "dev:/tmp")
    assert done.returncode == 0, done.stderr
    assert run(dev, "exec", "dev", "--", "ls", "/tmp/tree").stdout == b"deep\nlink\nrun me\nsecret\n"
    assert run(dev, "exec", "dev", "--", "stat", "-c", "%a %U", "/tmp/tree/run me").stdout == b"750 root\n"
    back = tmp_path / "back"
    assert run(dev, "cp", "dev:/tmp/tree", back).returncode == 0
    for path in source.rglob("*"):
        twin = back / path.relative_to(source)
        assert stat.S_IFMT(twin.lstat().st_mode) == stat.S_IFMT(path.lstat().st_mode), path
        if path.is_symlink():
            assert os.readlink(twin) == os.readlink(path)
        elif path.is_file():
            assert twin.read_bytes() == path.read_bytes()
            assert stat.S_IMODE(twin.stat().st_mode) == stat.S_IMODE(path.stat().st_mode), path
            assert int(twin.stat().st_mtime) == int(path.stat().st_mtime), path
    assert run(dev, "cp", "dev:/tmp/tree/secret", tmp_path / "one").returncode == 0
    assert (tmp_path / "one").read_text() == "s"
    # What goes into a directory that is there leaves the directory as it is.
    assert run(dev, "cp", f"{source}/.", "dev:/tmp").returncode == 0
    assert run(dev, "exec", "dev", "--", "stat", "-c", "%a", "/tmp", "/tmp/secret").stdout == b"1777\n600\n"
    done = run(dev, "cp", "dev:/tmp/none", tmp_path)
    assert done.returncode == 1 and b"none" in done.stderr
    done = run(dev, "cp", source, "dev:/no/where/")
    assert done.returncode == 1 and b"is no directory" in done.stderr


# --- ports


def forwarded(client):
    line = client.stdout.readline().decode()
    return int(re.match(r"forwarding 127\.0\.0\.1:(\d+) -> ", line).group(1))


def test_many_connections_reach_a_port_at_once(dev):
    dev.api.apply(workspace("echo", command=["nc", "-ll", "-p", "9000", "-e", "cat"]))
    dev.api.wait("workspaces", "echo", "running")
    client = begin(dev, "port-forward", "echo", "0:9000", "0:9001")
    port, closed = forwarded(client), forwarded(client)
    answers = {}

    def connect():
        connection = socket.create_connection(("127.0.0.1", port), 30)
        connection.sendall(b"?")
        assert connection.recv(1) == b"?"
        return connection

    # One after another: busybox' nc takes two at a time, and drops the rest of a crowd.
    connections = [connect() for _ in range(20)]

    def talk(number):
        data = random.Random(number).randbytes(300_000)
        with connections[number] as connection:
            sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
            sender.start()
            got = b""
            while piece := connection.recv(65536):
                got += piece
            sender.join()
        answers[number] = got == data

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {i: True for i in range(20)}
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", closed), 10) as refused:
        assert refused.recv(1) != b""
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == 130
    assert b"port 9001" in client.stderr.read()


# --- ssh


def image_with_dropbear(engine, tmp_path):
    """busybox and Debian's dropbear, with the libraries that it needs."""
    root = tmp_path / "image"
    (root / "bin").mkdir(parents=True)
    for directory in ("etc/dropbear", "root/.ssh", "tmp", "dev", "proc"):
        (root / directory).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "true", "sha256sum"):
        (root / "bin" / applet).symlink_to("busybox")
    for program in ("dropbear", "dropbearkey"):
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        shutil.copy(found, root / "bin" / program)
        libraries = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", libraries):
            (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library[1:])
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/shells").write_text("/bin/sh\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    shutil.copy(tmp_path / "key.pub", root / "root/.ssh/authorized_keys")
    (root / "root/.ssh/authorized_keys").chmod(0o600)
    for directory in (root, root / "root", root / "root/.ssh"):
        directory.chmod(0o755)
    archive = subprocess.run(["tar", "-C", root, "--owner=0", "--group=0", "-c", "."], capture_output=True, check=True)
    subprocess.run(["curl", "-fsS", "--unix-socket", engine.path, "-X", "POST", "-H", "Content-Type: application/x-tar",
                    "--data-binary", "@-", "http://engine/images/create?fromSrc=-&repo=trailer.test/dropbear&tag=1"
                    "&changes=ENV%20PATH%3D%2Fbin"], input=archive.stdout, check=True, capture_output=True)
    return "trailer.test/dropbear:1"


@pytest.mark.skipif(not (shutil.which("ssh") and shutil.which("dropbear", path="/usr/sbin:/usr/bin")),
                    reason="needs openssh-client and dropbear-bin")
def test_ssh_reaches_a_workspace(dev, tmp_path):
    image = image_with_dropbear(dev.engine, tmp_path)
    dev.api.apply(workspace("box", image=image, command=["dropbear", "-F", "-E", "-R", "-s", "-p", "22"]))
    dev.api.wait("workspaces", "box", "running")
    config = tmp_path / "ssh_config"
    config.write_text(run(dev, "ssh-config", "--user", "root", "box").stdout.decode())
    ssh = ["ssh", "-F", config, "-i", tmp_path / "key", "-o", "BatchMode=yes", "-o",
           f"UserKnownHostsFile={tmp_path / 'known'}", "trailer.box"]
    data = random.Random(4).randbytes(10 << 20)
    wait_until(lambda: b"Not backgrounding" in run(dev, "logs", "box").stderr, "sshd to listen")
    done = subprocess.run([*ssh, "sha256sum; exit 3"], input=data, capture_output=True, env=dev.env, timeout=120, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


