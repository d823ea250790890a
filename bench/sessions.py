"""Sessions against the engine's own client: streams, keystrokes, opening. A figure of bench/run."""

import os
import pty
import re
import select
import socket
import statistics
import subprocess
import time
import tty

from harness import BUSYBOX, TRAILER, free_port, wait_until

BESIDE = "while :; do sleep 3600 & wait; done"
SERVE = "exec nc -ll -p 7000 -e dd if=/dev/zero bs=1M count={}"


class Tools:
    """The two command lines under comparison, for one workspace."""

    def __init__(self, installation, workspace):
        token = installation.directory / "bench-token"
        token.write_text(installation.api.token)
        token.chmod(0o600)
        self.env = {**installation.env, "TERM": "xterm"}
        self.flags = ["--server", installation.url, "--token-file", str(token)]
        self.engine = ["docker", "-H", installation.engine.address]
        self.workspace = workspace

    def trailer(self, verb, *rest):
        return [TRAILER, verb, *self.flags, *rest]

    def exec(self, who, *command, terminal=False):
        if who == "trailer":
            return self.trailer("exec", *(["-t"] if terminal else []), self.workspace, "--", *command)
        return [*self.engine, "exec", *(["-it"] if terminal else []), self.workspace, *command]


def seconds_of(command, env):
    begun = time.monotonic()
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def in_turns(rounds, measure, sides=("engine", "trailer")):
    """Medians of the sides, which take turns that begin with another one each round."""
    taken = {who: [] for who in sides}
    for i in range(rounds + 1):
        first = i % len(sides)
        for who in sides[first:] + sides[:first]:
            value = measure(who)
            if i > 0:  # the first is for warming up
                taken[who].append(value)
    return {who: statistics.median(values) for who, values in taken.items()}


def rate(sides, megabytes, beside="engine"):
    made = {f"{who}_MB_per_s": round(megabytes / value, 1) for who, value in sides.items()}
    return {**made, "ratio": round(sides[beside] / sides["trailer"], 2)}


def output(tools, rounds, megabytes):
    command = ["dd", "if=/dev/zero", "bs=64k", f"count={megabytes * 16}"]
    return rate(in_turns(rounds, lambda who: seconds_of([*tools.exec(who, "sh", "-c", " ".join(command) + " 2>/dev/null")],
                                                        tools.env)), megabytes)


def logs(installation, tools, rounds, megabytes):
    line = "x" * 99
    script = f"yes {line} | head -n {megabytes * 10000}; {BESIDE}"
    name = apply(installation, "bench-logs", ["sh", "-c", script])
    count = [*tools.engine, "logs", "--tail", "1", name]
    wait_until(lambda: subprocess.run(count, capture_output=True, check=True).stdout, "the log", 120)
    time.sleep(3)

    def measure(who):
        command = tools.trailer("logs", name) if who == "trailer" else [*tools.engine, "logs", name]
        return seconds_of(command, tools.env)

    return rate(in_turns(rounds, measure), megabytes)


def opening(tools, rounds):
    sides = in_turns(rounds, lambda who: seconds_of(tools.exec(who, "true"), tools.env))
    return {**{f"{who}_ms": round(value * 1000, 1) for who, value in sides.items()},
            "ratio": round(sides["trailer"] / sides["engine"], 2)}


class Terminal:
    """`cat` in a terminal of the workspace, through one of the command lines."""

    def __init__(self, tools, who):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(tools.exec(who, "cat", terminal=True), env=tools.env, stdin=slave, stdout=slave,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(slave)
        self.echo(b"\n")  # it is there
        time.sleep(0.3)
        while select.select([self.master], [], [], 0)[0]:  # what the terminal echoed, and what cat wrote
            os.read(self.master, 1024)

    def echo(self, key):
        begun = time.monotonic()
        os.write(self.master, key)
        os.read(self.master, 1024)
        return time.monotonic() - begun

    def close(self):
        self.process.terminate()
        self.process.wait()
        os.close(self.master)


def keystrokes(tools, count):
    found = {}
    for who in ("engine", "trailer"):
        terminal = Terminal(tools, who)
        taken = []
        for _ in range(count):
            taken.append(terminal.echo(b"k"))
            time.sleep(0.005)
        terminal.close()
        taken.sort()
        found[f"{who}_p50_ms"] = round(taken[len(taken) // 2] * 1000, 2)
        found[f"{who}_p99_ms"] = round(taken[len(taken) * 99 // 100] * 1000, 2)
    found["p99_over_engine_ms"] = round(found["trailer_p99_ms"] - found["engine_p99_ms"], 2)
    return found


def beside_a_stream(tools, count):
    """Keystrokes while another session streams as fast as it goes, each through its own command line."""
    stream = subprocess.Popen(tools.exec("trailer", "cat", "/dev/zero"), env=tools.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        return keystrokes(tools, count)
    finally:
        stream.terminate()
        stream.wait()


def receive_all(address):
    buffer = bytearray(1 << 20)
    total = 0
    with socket.create_connection(address, timeout=60) as connection:
        while count := connection.recv_into(buffer):
            total += count
    return total


STREAMS = """
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{}}
stream {{ server {{ listen 127.0.0.1:{own}; proxy_buffer_size 64k; proxy_pass {address}:{port}; }} }}
"""


class Relays:
    """Three nginx in a row that pass bytes on: as many as Trailer has on the way (agent, server, port-forward). What is
    left of a direct connection's speed after them is what this machine's cores can do."""

    def __init__(self, directory, address):
        self.running = []
        for i in range(3):
            own = free_port()
            self.running.append(start_nginx(directory / f"relay-{i}", STREAMS, address=address[0], port=address[1], own=own))
            address = ("127.0.0.1", own)
        self.address = address

    def close(self):
        for each in self.running:
            each.terminate()
            each.wait()


def raw_port(installation, tools, rounds, megabytes):
    name = apply(installation, "bench-port", ["sh", "-c", SERVE.format(megabytes)])
    container = installation.engine.inspect(name)
    direct = (next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"], 7000)
    port = free_port()
    relays = Relays(installation.directory, direct)
    sides = {"direct": direct, "three_relays": relays.address, "trailer": ("127.0.0.1", port)}
    forward = subprocess.Popen(tools.trailer("port-forward", name, f"{port}:7000"), env=tools.env,
                               stdout=subprocess.DEVNULL)
    try:
        def ready(address):
            try:
                return receive_all(address) > 0
            except OSError:
                return False

        for who, address in sides.items():
            wait_until(lambda address=address: ready(address), f"the port, {who}", 30)

        def measure(who):
            begun = time.monotonic()
            total = receive_all(sides[who])
            assert total == megabytes << 20, total
            taken = time.monotonic() - begun
            time.sleep(0.2)  # the listener begins anew after each
            return taken

        taken = in_turns(rounds, measure, tuple(sides))
        return {**rate(taken, megabytes, "direct"), "of three relays": round(taken["three_relays"] / taken["trailer"], 2)}
    finally:
        forward.terminate()
        forward.wait()
        relays.close()


# One worker each, as Trailer's server has one thread. What is asked for is small: this is about requests, not bytes.
NGINX = """
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {serve}
}}
"""
APPLICATION = "server {{ listen {port}; location / {{ return 200 '{body}'; }} }}"
REVERSE_PROXY = """
    upstream workspace {{ server {address}:{port}; keepalive 64; keepalive_requests 1000000; }}
    server {{ listen 127.0.0.1:{own}; location / {{
        proxy_pass http://workspace; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}
"""


def start_nginx(directory, configuration, within=(), **values):
    directory.mkdir()
    file = directory / "nginx.conf"
    file.write_text(configuration.format(directory=directory, **values))
    return subprocess.Popen([*within, "/usr/sbin/nginx", "-e", directory / "nginx.log", "-p", directory, "-c", file],
                            stdin=subprocess.DEVNULL)


def wrk(url, headers, seconds):
    done = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency",
                           *[word for each in headers for word in ("-H", each)], url],
                          capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    number, unit = re.search(r"^ +99% +([\d.]+)(us|ms|s)", done, re.M).groups()
    return (float(re.search(r"Requests/sec: +([\d.]+)", done).group(1)),
            float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def proxied(installation, tools, rounds, seconds):
    """Requests to a workspace's nginx: directly, through another nginx, through two of them (Trailer has two: its server and
    the workspace's agent), and through Trailer; wrk, 16 connections."""
    container = installation.engine.inspect(tools.workspace)
    address = next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"]
    one, two, port = free_port(), free_port(), 7001
    there = ["nsenter", "-t", str(container["State"]["Pid"]), "-n"]
    running = [start_nginx(installation.directory / "application", NGINX, there, serve=APPLICATION.format(port=port, body="x" * 1000)),
               start_nginx(installation.directory / "first-proxy", NGINX, serve=REVERSE_PROXY.format(address=address, port=port, own=one)),
               start_nginx(installation.directory / "second-proxy", NGINX, serve=REVERSE_PROXY.format(address="127.0.0.1", port=one, own=two))]
    sides = {"direct": (f"http://{address}:{port}/", []), "nginx": (f"http://127.0.0.1:{one}/", []),
             "two_nginx": (f"http://127.0.0.1:{two}/", []),
             "trailer": (f"{installation.url}/proxy/{tools.workspace}/{port}/",
                         [f"Authorization: Bearer {installation.api.token}"])}
    try:
        time.sleep(1)
        taken = {who: [] for who in sides}
        for turn in range(rounds + 1):
            order = list(sides)
            for who in order[turn % 4:] + order[:turn % 4]:
                measured = wrk(*sides[who], 1 if turn == 0 else seconds)
                if turn > 0:  # the first is for warming up
                    taken[who].append(measured)
    finally:
        for each in running:
            each.terminate()
            each.wait()
    found = {}
    for who, values in taken.items():
        found[f"{who}_requests_per_s"] = round(statistics.median(rate for rate, _ in values))
        found[f"{who}_p99_ms"] = round(statistics.median(p99 for _, p99 in values), 2)
    return {**found, "of nginx": round(found["trailer_requests_per_s"] / found["nginx_requests_per_s"], 2),
            "of two nginx": round(found["trailer_requests_per_s"] / found["two_nginx_requests_per_s"], 2),
            "of direct": round(found["trailer_requests_per_s"] / found["direct_requests_per_s"], 2)}


def apply(installation, name, command):
    installation.api.apply({"kind": "Workspace", "name": name, "host": "bench", "running": True,
                            "spec": {"image": BUSYBOX, "command": command}})
    installation.api.wait("workspaces", name, "running")
    return name


def sessions(installation, arguments):
    """Sessions by the command line against docker's own: streams, a raw port, keystrokes, opening."""
    quick = arguments.quick
    name = apply(installation, "bench-sessions", ["sh", "-c", BESIDE])
    tools = Tools(installation, name)
    try:
        return {"exec output": output(tools, 2 if quick else 5, 64 if quick else 256),
                "logs": logs(installation, tools, 2 if quick else 5, 10 if quick else 50),
                "raw port": raw_port(installation, tools, 2 if quick else 5, 128 if quick else 1024),
                "proxied requests": proxied(installation, tools, 1 if quick else 3, 2 if quick else 5),
                "opening": opening(tools, 3 if quick else 20),
                "keystroke, idle": keystrokes(tools, 50 if quick else 500),
                "keystroke, beside a stream": beside_a_stream(tools, 50 if quick else 500)}
    finally:
        for each in (name, "bench-logs", "bench-port"):
            try:
                installation.api.call("DELETE", f"/api/workspaces/{each}")
            except AssertionError:
                pass  # not made


# What is aimed at: (path into the result, bound, whether it is a least value).
AIMS = [(("exec output", "ratio"), 0.8, True), (("logs", "ratio"), 0.8, True), (("raw port", "ratio"), 0.6, True),
        (("proxied requests", "of nginx"), 0.7, True), (("opening", "ratio"), 1.1, False), (("keystroke, idle", "p99_over_engine_ms"), 1.0, False),
        (("keystroke, beside a stream", "p99_over_engine_ms"), 1.0, False)]
