"""Networks that are not as good as loopback: a namespace on the end of a link that can be cut, and a slow, jerky line."""

import contextlib
import ctypes
import os
import queue
import random
import socket
import subprocess
import threading
import time

from harness import wait_until

CLONE_NEWNET = 0x40000000


def _run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=20)


class FarSide:
    """A network namespace, joined to this one by a link of its own: `here` and `there` are its two addresses.

    A process started with `inside` before its command has nothing but that link.
    """

    here, there = "10.255.77.1", "10.255.77.2"

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._namespace = f"/proc/{self._holder.pid}/ns/net"
        wait_until(lambda: os.readlink(self._namespace) != os.readlink("/proc/self/ns/net"), "the namespace")
        self.inside = ["nsenter", f"--net={self._namespace}"]
        self._device = f"near{self._holder.pid}"
        _run("ip", "link", "add", self._device, "type", "veth", "peer", "name", "far", "netns", str(self._holder.pid))
        _run("ip", "address", "add", f"{self.here}/30", "dev", self._device)
        _run("ip", "link", "set", self._device, "up")
        _run(*self.inside, "ip", "link", "set", "lo", "up")
        _run(*self.inside, "ip", "address", "add", f"{self.there}/30", "dev", "far")
        _run(*self.inside, "ip", "link", "set", "far", "up")
        self._rules = []

    def _drop(self, *condition):
        """What arrives on either end, and fits, is lost without a word."""
        for where, device in (((), self._device), (self.inside, "far")):
            rule = ["INPUT", "-i", device, *condition, "-j", "DROP"]
            _run(*where, "iptables", "-w", "-I", *rule)
            self._rules.append([*where, "iptables", "-w", "-D", *rule])

    def lose(self, share):
        self._drop("-m", "statistic", "--mode", "random", "--probability", str(share))

    def cut(self, how):
        """'down': the link is down, as both ends see. 'silent': nothing arrives any more."""
        if how == "down":
            _run("ip", "link", "set", self._device, "down")
        else:
            self._drop()

    def restore(self):
        while self._rules:
            _run(*self._rules.pop())
        _run("ip", "link", "set", self._device, "up")

    def connect(self, port):
        """A TCP connection from the far side to a port of this one."""
        made = []

        def dial():
            handle = os.open(self._namespace, os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(handle)
            made.append(socket.create_connection((self.here, port), 10))

        thread = threading.Thread(target=dial)  # it alone moves there, and ends
        thread.start()
        thread.join()
        assert made, "the far side could not connect"
        return made[0]

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.restore()
        subprocess.run(["ip", "link", "delete", self._device], capture_output=True, check=False)
        self._holder.kill()
        self._holder.wait()


class SlowLine:
    """Listens on `address`, passes TCP on to `upstream`, each byte `delay` seconds late, in pieces of any size."""

    MOST_UNDER_WAY = 256  # pieces of up to 16 KiB: then the sender waits

    def __init__(self, address, upstream, delay, seed=1):
        self._upstream, self._delay, self._random = upstream, delay, random.Random(seed)
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    under_way = queue.Queue(self.MOST_UNDER_WAY)
                    threading.Thread(target=self._take, args=(source, under_way), daemon=True).start()
                    threading.Thread(target=self._give, args=(under_way, sink), daemon=True).start()

    def _take(self, source, under_way):
        piece = b"."
        while piece:
            try:
                piece = source.recv(self._random.choice((1, 7, 1400, 16384)))
            except OSError:
                piece = b""
            under_way.put((time.monotonic() + self._delay, piece))

    @staticmethod
    def _give(under_way, sink):
        broken = False
        while True:
            due, piece = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not piece:
                    return sink.shutdown(socket.SHUT_WR)
                if not broken:
                    sink.sendall(piece)
            except OSError:
                broken = True  # goes on until the source has ended, so that it never waits
                if not piece:
                    return None

    def close(self):
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
