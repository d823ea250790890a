"""Networks that are not as good as loopback: a namespace on the end of a link that can be cut, one whose link delays and
loses packets, and a slow, jerky line."""

import collections
import contextlib
import ctypes
import fcntl
import os
import queue
import random
import select
import socket
import struct
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
        self._make_link()
        _run("ip", "address", "add", f"{self.here}/30", "dev", self._device)
        _run("ip", "link", "set", self._device, "up")
        _run(*self.inside, "ip", "link", "set", "lo", "up")
        _run(*self.inside, "ip", "address", "add", f"{self.there}/30", "dev", "far")
        _run(*self.inside, "ip", "link", "set", "far", "up")
        self._rules = []

    def _make_link(self):
        _run("ip", "link", "add", self._device, "type", "veth", "peer", "name", "far", "netns", str(self._holder.pid))

    def _do_there(self, work):
        """What `work` gives when it is done in the far namespace."""
        made = []

        def go():
            handle = os.open(self._namespace, os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(handle)
            made.append(work())

        thread = threading.Thread(target=go)  # it alone moves there, and ends
        thread.start()
        thread.join()
        assert made, "the far side could not do it"
        return made[0]

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
        return self._do_there(lambda: socket.create_connection((self.here, port), 10))

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.restore()
        subprocess.run(["ip", "link", "delete", self._device], capture_output=True, check=False)
        self._holder.kill()
        self._holder.wait()


def _open_tun(name):
    """A device of raw IP packets, in the caller's namespace: what the kernel routes there is read, what is written arrives."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    tun, without_header, set_device = 0x0001, 0x1000, 0x400454CA  # linux/if_tun.h
    fcntl.ioctl(handle, set_device, struct.pack("16sH", name.encode(), tun | without_header))
    return handle


class PoorFarSide(FarSide):
    """A far side whose packets each take `delay` seconds a way, and of which the share `loss` is lost, both ways.

    As sch_netem does it, which not every kernel has: the packets are real ones, so the kernels' own TCP at both ends finds
    out by itself, waits, and sends again.
    """

    here, there = "10.255.78.1", "10.255.78.2"
    MOST_UNDER_WAY = 1000  # packets a way, as netem's limit; what comes beyond is lost

    def __init__(self, delay, loss, seed=1):
        self._delay, self._loss, self._random = delay, loss, random.Random(seed)
        self.passed, self.lost = 0, 0
        self._ended = threading.Event()
        super().__init__()

    def _make_link(self):
        near, far = _open_tun(self._device), self._do_there(lambda: _open_tun("far"))
        self._ends = {near: far, far: near}
        self._under_way = {near: collections.deque(), far: collections.deque()}  # (due, packet), by the end that it came from
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()

    def _carry(self):
        poll = select.epoll()
        for end in self._ends:
            poll.register(end, select.EPOLLIN)
        while not self._ended.is_set():
            due = min((queue[0][0] for queue in self._under_way.values() if queue), default=time.monotonic() + 0.2)
            for end, _ in poll.poll(max(0.0, due - time.monotonic())):
                self._take(end)
            for end, queue in self._under_way.items():
                while queue and queue[0][0] <= time.monotonic():
                    with contextlib.suppress(OSError):  # the device is down: so the packet is lost
                        os.write(self._ends[end], queue.popleft()[1])
        poll.close()

    def _take(self, end):
        with contextlib.suppress(OSError):  # BlockingIOError: nothing more; EIO: the device is down
            while packet := os.read(end, 65536):
                if self._random.random() < self._loss or len(self._under_way[end]) >= self.MOST_UNDER_WAY:
                    self.lost += 1
                else:
                    self.passed += 1
                    self._under_way[end].append((time.monotonic() + self._delay, packet))

    def close(self):
        self._ended.set()
        self._carrier.join()
        super().close()
        for end in self._ends:
            os.close(end)


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
