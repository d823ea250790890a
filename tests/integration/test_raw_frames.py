"""A session's WebSocket from beneath: frames as they are on the wire, well formed and not (RFC 6455, section 5)."""

import base64
import contextlib
import os
import socket
import struct
import urllib.parse

import pytest
from harness import wait_until, workspace
from test_session_faults import commands_in
from test_sessions import NUMBERED, PLAIN, STDIN, Session, words

FIN, TEXT, BINARY, CLOSE, PING, PONG = 0x80, 1, 2, 8, 9, 10
CUT, INPUT, RESIZE, ACK = -1, b"\x00", b"\x04", b"\xfe"


class Raw:
    """A WebSocket of which nothing is done but what the test says."""

    def __init__(self, installation, path, query, protocol=PLAIN):
        self.socket = socket.create_connection(("127.0.0.1", installation.port), 20)
        target = f"{path}?{urllib.parse.urlencode(list(query))}"
        self.socket.sendall((f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{installation.port}\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                             f"Sec-WebSocket-Protocol: {protocol}\r\n"
                             f"Authorization: Bearer {installation.api.token}\r\n\r\n").encode())
        self.rest = b""
        head = self._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def _until(self, end):
        while end not in self.rest:
            piece = self.socket.recv(65536)
            assert piece, self.rest
            self.rest += piece
        taken, self.rest = self.rest.split(end, 1)
        return taken

    def send(self, data):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it may have heard enough
            self.socket.sendall(data)

    def frames(self):
        """(first byte, payload) of all that comes until the connection ends, which it must soon."""
        found = []
        while True:
            size = self.rest[1] if len(self.rest) >= 2 else None
            skip = {126: 4, 127: 10}.get(size, 2)
            if size is not None and len(self.rest) >= skip:
                length = {126: lambda: struct.unpack(">H", self.rest[2:4])[0],
                          127: lambda: struct.unpack(">Q", self.rest[2:10])[0]}.get(size, lambda: size)()
                if len(self.rest) >= skip + length:
                    found.append((self.rest[0], self.rest[skip:skip + length]))
                    self.rest = self.rest[skip + length:]
                    continue
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return found
            self.rest += piece


def frame(payload, first=FIN | BINARY, masked=True, length=None):
    size = len(payload) if length is None else length
    mark = 0x80 if masked else 0
    head = bytes([first])
    if size < 126:
        head += bytes([mark | size])
    elif size < 1 << 16:
        head += bytes([mark | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mark | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    key = b"\x12\x34\x56\x78"
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


@pytest.fixture
def dev(pair):
    pair.api.apply(workspace("dev"))
    pair.api.wait("workspaces", "dev", "running")
    return pair


def test_frames_that_are_cut_and_joined_at_will_are_whole_messages(dev):
    raw = Raw(dev, "/api/workspaces/dev/exec", words("cat"))
    data = frame(INPUT + b"one ", BINARY) + frame(b"and ", 0) + frame(b"", FIN | PING) + frame(b"two", FIN)
    data += frame(INPUT + b" three" * 50) + frame(b"\xff\x00")
    for at in range(len(data)):  # byte by byte
        raw.send(data[at:at + 1])
    heard = raw.frames()
    assert (FIN | PONG, b"") in heard
    assert b"".join(p[1:] for f, p in heard if f == FIN | BINARY and p[0] == 1) == b"one and two" + b" three" * 50
    assert [p for f, p in heard if f == FIN | BINARY and p[0] == 3] == [b'\x03{"exit_code":0}']
    assert heard[-1] == (FIN | CLOSE, (1000).to_bytes(2, "big"))


MALFORMED = {
    "not masked": frame(INPUT + b"x", masked=False),
    "reserved bits": frame(INPUT + b"x", FIN | 0x40 | BINARY),
    "an opcode that is none": frame(b"x", FIN | 5),
    "a continuation of nothing": frame(INPUT + b"x", FIN),
    "a message within a message": frame(INPUT + b"x", BINARY) + frame(INPUT + b"x"),
    "a ping in fragments": frame(b"x", PING),
    "a ping of 126 bytes": frame(b"x" * 126, FIN | PING),
    "a length of 2^63": frame(b"", length=1 << 63),
    "a message beyond the bound": frame(INPUT + b"x" * (1 << 20)),
    "a text that is no UTF-8": frame(b"\xff\xfe", FIN | TEXT),
    "a text": frame(b"hello", FIN | TEXT),
    "a close of one byte": frame(b"\x03", FIN | CLOSE),
    "a close of a code that is none": frame((1005).to_bytes(2, "big"), FIN | CLOSE),
    "a message without a channel": frame(b""),
    "a channel that is none": frame(b"\x09x"),
    "the host's channel": frame(b"\x01x"),
    "a resize that is no JSON": frame(RESIZE + b"{"),
    "a resize to nonsense": frame(RESIZE + b'{"cols":-1,"rows":"many"}'),
    "an acknowledgement of the future": frame(ACK + (1 << 60).to_bytes(8, "big")),
    "an acknowledgement cut short": frame(ACK + b"\x01"),
    "a close of no channel": frame(b"\xff"),
    "no WebSocket at all": b"GET / HTTP/1.1\r\n\r\n" * 100,
    "half a frame, and the end": CUT,
}
# What a terminal's size or a close says may be passed over: then the session goes on.
HARMLESS = {"a resize that is no JSON", "a resize to nonsense", "a close of no channel", "a text"}


@pytest.mark.parametrize("protocol", [PLAIN, NUMBERED])
def test_malformed_frames_end_their_own_session_and_nothing_else(dev, protocol):
    other = Session(dev, "/api/workspaces/dev/exec", words("cat"))
    for number, (what, data) in enumerate(MALFORMED.items()):
        mark = f"sleep {70000 + number}"
        raw = Raw(dev, "/api/workspaces/dev/exec", words("sh", "-c", f"{mark}; true"), protocol)
        wait_until(lambda mark=mark: any(mark in each for each in commands_in(dev)), f"the command, for {what}")
        if data is CUT:
            raw.send(frame(INPUT + b"x" * 100)[:50])
        else:
            raw.send(data)
        if what in HARMLESS or data is CUT:
            raw.socket.close()
        else:
            raw.frames()  # to the end
        if protocol == PLAIN:
            wait_until(lambda mark=mark: not any(mark in each for each in commands_in(dev)), f"its end, after {what}", 20)
        other.send(STDIN, f"after {what}\n".encode())
        assert other.until(b"\n") == f"after {what}\n".encode()
    assert dev.server_process.alive() and dev.agent_process.alive()
    for process in dev.server_process, dev.agent_process:
        assert "internal" not in process.text() and "AddressSanitizer" not in process.text()
