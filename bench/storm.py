"""A server that comes back to a fleet: when all are online again, and what was tried in vain. A figure of bench/run.

The agents are real but for their engines (bench/crowd.cpp), thousands in one process. What is tried and refused is the
kernel's count, of the network namespace that bench/run makes for itself.
"""

import os
import pathlib
import re
import resource
import signal
import subprocess
import time

from harness import TRAILER, Api, Process, free_port, wait_until

FILES = 8  # that an agent of the crowd may have open at once; at rest it has 5
CROWD = pathlib.Path(TRAILER).parent / "bench/crowd"
LIMIT = 180  # seconds, for anything
LOOK_EVERY = 0.1


def counters():
    """The namespace's own: connections that were begun, taken, refused, and not taken for want of room."""
    found = {}
    for name in ("snmp", "netstat"):
        lines = pathlib.Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()
        for keys, values in zip(lines[::2], lines[1::2]):
            found |= dict(zip(keys.split()[1:], map(int, values.split()[1:])))
    return {"begun": found["ActiveOpens"], "taken": found["PassiveOpens"], "refused": found["AttemptFails"],
            "not taken": found["ListenOverflows"] + found["ListenDrops"], "again": found["TCPSynRetrans"]}


def cpu_seconds(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


class Fleet:
    """A server of its own, and a crowd of approved agents."""

    def __init__(self, directory, count):
        self.count = count
        self.directory = directory
        directory.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {"PATH": os.environ["PATH"], "HOME": str(directory)}
        self.server = Process(["server", "-C", directory / "server.yml", "-S", self.url, "--log-directory",
                               directory / "log", "-d", directory / "data"], directory / "server.out", env)
        self.api = Api(self.url)
        self.crowd = None

    def start(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = max(most, FILES * self.count)  # root may have more than it was given, as a rule
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except ValueError as refused:
            raise AssertionError(f"{self.count} agents in one process need {wanted} open files, and this machine allows {most}; "
                                 "give it more (ulimit -Hn), or use --quick") from refused
        self.server.start()
        password = self.directory / "data/initial_admin_password"
        wait_until(lambda: self.listens() and password.exists(), "the server to be ready")
        self.api.login(password.read_text().strip())
        with (self.directory / "crowd.out").open("wb") as output:
            self.crowd = subprocess.Popen([CROWD, self.url, self.directory / "hosts", "1", str(self.count)],
                                          stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(lambda: self.approve() or self.online() >= self.count, "all to be approved and online", LIMIT, 0.2)

    def approve(self):
        cursor = ""
        while cursor is not None:
            page = self.api.get(f"/api/hosts?limit=1000{cursor}")
            for host in page["items"]:
                if host["status"] == "pending_approval":
                    self.api.call("POST", f"/api/hosts/{host['id']}/approve", {})
            cursor = f"&cursor={page['next_cursor']}" if page.get("next_cursor") else None

    def listens(self):
        """Without a connection of our own, which would count."""
        wanted = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return wanted in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")

    def online(self):
        """How many have both a heartbeat and a realtime connection."""
        status, _, text = self.api.raw("GET", "/metrics")
        assert status == 200, text
        found = [int(re.search(rb"^" + name + rb" (\d+)", text, re.M).group(1))
                 for name in (rb'trailer_hosts\{status="online"\}', rb"trailer_realtime_connections")]
        return min(found)

    def stop(self):
        if self.crowd:
            self.crowd.kill()
            self.crowd.wait()
        self.server.end()


def outage(fleet, how, seconds):
    """The server ends, is away for that long, and comes back."""
    begun = counters()
    fleet.server.signal(how)
    fleet.server.process.wait(10)
    time.sleep(seconds)
    fleet.server.start()
    wait_until(fleet.listens, "the server to listen", every=0.002)
    back, back_at = counters(), time.monotonic()
    shares, fastest, asked = {}, 0, 0
    last, last_at = back, back_at
    while True:
        time.sleep(LOOK_EVERY)
        online, now, at = fleet.online(), counters(), time.monotonic()
        asked += 1
        fastest = max(fastest, (now["taken"] - last["taken"] - 1) / (at - last_at))
        last, last_at = now, at
        for share in (50, 99, 100):
            if online * 100 >= share * fleet.count:
                shares.setdefault(share, at - back_at)
        if 100 in shares:
            break
        assert at - back_at < LIMIT, f"{online} of {fleet.count} are online after {LIMIT} s"
    cpu = cpu_seconds(fleet.server.pid)
    time.sleep(3)  # what was begun and not yet refused
    end = counters()
    since = {key: end[key] - back[key] for key in end}
    return {**{f"{share}% online after s": round(at, 2) for share, at in shares.items()},
            "tried in vain while it was away, per agent": round((back["refused"] - begun["refused"]) / fleet.count, 2),
            "refused since it is back": since["refused"], "not taken at once": since["not taken"] + since["again"],
            "connections per agent": round((since["begun"] - asked) / fleet.count, 2),
            "most connections in a second": round(fastest),
            "server's CPU ms per agent": round(cpu * 1000 / fleet.count, 2)}


OUTAGES = {"restarted at once": (signal.SIGTERM, 0), "killed, away for 5 s": (signal.SIGKILL, 5),
           "away for 45 s": (signal.SIGTERM, 45)}


def storm(installation, arguments):
    """A server comes back to 2,000 agents: until all are online, and the connections that were tried."""
    fleet = Fleet(installation.directory / "storm", 200 if arguments.quick else 2000)
    try:
        begun = time.monotonic()
        fleet.start()
        found = {"agents": fleet.count, "all made known, approved and online after s": round(time.monotonic() - begun, 1)}
        for name, (how, seconds) in OUTAGES.items():
            time.sleep(2 if arguments.quick else 20)  # at rest
            found[name] = outage(fleet, how, min(seconds, 3) if arguments.quick else seconds)
        return found
    finally:
        fleet.stop()


# (path into the result, at most)
AIMS = [((name, what), most) for name in OUTAGES
        for what, most in (("100% online after s", 15), ("refused since it is back", 0), ("not taken at once", 0))]
