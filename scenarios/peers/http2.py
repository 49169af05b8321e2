"""HTTP/2 as bytes: sends the frames that a test wrote, and tells what came back. One JSON document a line in, one out."""
import json
import select
import socket
import ssl
import struct
import sys
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
INITIAL_WINDOW_SIZE = 4
KEPT = 1 << 20


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Connection:
    def __init__(self, ask):
        self.streams, self.goaway, self.closed, self.buffer = {}, None, None, b""
        self.quiet, self.stalls = ask.get("quiet", False), ask.get("window") is not None
        self.waiting, self.sending = bytearray(), False
        self.decoder = hpack.Decoder(max_header_list_size=1 << 20)
        tls = ssl.create_default_context(cafile=ask["ca"])
        tls.set_alpn_protocols(["h2"])
        if ask.get("cert"):
            tls.load_cert_chain(ask["cert"], ask["key"])
        host, port = ask["address"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = tls.wrap_socket(self.socket, server_hostname=ask["host"])
        except (ssl.SSLError, OSError) as error:
            self.closed = str(error)
            return
        self.socket.setblocking(False)
        window = ask.get("window", (1 << 31) - 1)
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self.push(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))

    def push(self, data, within=20):
        """Sends, and reads meanwhile: a peer that is not heard may stop listening."""
        self.waiting += data
        if self.sending:
            # what is heard while something is sent is answered behind it
            return True
        self.sending, end = True, time.monotonic() + within
        while self.waiting and not self.closed and time.monotonic() < end:
            try:
                del self.waiting[:self.socket.send(self.waiting[:65536])]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                select.select([self.socket], [self.socket], [], 0.2)
            except OSError as error:
                self.pull()
                self.closed = self.closed or str(error)
            self.pull()
        self.sending = False
        return not self.closed and not self.waiting

    def pull(self):
        """Reads what there is."""
        while not self.closed:
            try:
                got = self.socket.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return
            except OSError as error:
                self.closed = str(error)
                return
            if not got:
                self.closed = "closed"
            self.buffer += got
            while len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
                size = int.from_bytes(self.buffer[:3], "big")
                kind, flags = self.buffer[3], self.buffer[4]
                stream, payload = int.from_bytes(self.buffer[5:9], "big"), self.buffer[9:9 + size]
                self.buffer = self.buffer[9 + size:]
                self.heard(kind, flags, stream, payload)

    def heard(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1 and not self.quiet:
            self.push(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1 and not self.quiet:
            self.push(frame(PING, 1, 0, payload))
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        if kind not in (DATA, HEADERS, RST_STREAM):
            return
        entry = self.streams.setdefault(stream, {"status": 0, "headers": [], "trailers": [], "interim": [], "body": "",
                                                 "ended": False, "reset": None})
        if kind == HEADERS:
            fields = [[field.decode("latin-1") for field in pair[:2]] for pair in self.decoder.decode(payload, raw=True)]
            status = int(dict(fields).get(":status", 0))
            if 100 <= status < 200:
                entry["interim"].append(status)
            elif status:
                entry["status"], entry["headers"] = status, fields
            else:
                entry["trailers"] = fields
        elif kind == DATA:
            entry["body"] += payload[:max(0, KEPT - len(entry["body"]))].decode("latin-1")
            if payload and not self.stalls:
                grant = struct.pack(">I", len(payload))
                self.push(frame(WINDOW_UPDATE, 0, 0, grant) + (b"" if flags & 1 else frame(WINDOW_UPDATE, 0, stream, grant)))
        else:
            entry["reset"] = int.from_bytes(payload, "big")
        if kind != RST_STREAM and flags & 1:
            entry["ended"] = True

    def is_there(self, what):
        name, _, number = what.partition(":")
        entry = self.streams.get(int(number or 0), {})
        if self.closed:
            return True
        return {
            "closed": False,
            "goaway": self.goaway is not None,
            "answer": bool(entry.get("status")),
            "end": bool(entry.get("ended")) or entry.get("reset") is not None,
            "end-or-goaway": bool(entry.get("ended")) or entry.get("reset") is not None or self.goaway is not None,
        }[name]

    def read(self, what, within):
        end = time.monotonic() + within
        self.pull()
        while not self.is_there(what) and time.monotonic() < end:
            select.select([self.socket], [], [], 0.1)
            self.pull()
        return {"streams": self.streams, "goaway": self.goaway, "closed": self.closed}

    def pour(self, ask):
        """Sends the frames again and again, their streams `step` further each time, until the peer has enough of it."""
        unit, frames = bytes.fromhex(ask["send"]), []
        while unit:
            size = 9 + int.from_bytes(unit[:3], "big")
            frames.append((unit[:5], int.from_bytes(unit[5:9], "big"), unit[9:size]))
            unit = unit[size:]
        sent, end = 0, time.monotonic() + ask.get("within", 30)
        while sent < ask["times"] and not self.closed and self.goaway is None and time.monotonic() < end:
            batch = range(sent, min(sent + ask.get("batch", 200), ask["times"]))
            step = ask.get("step", 0)
            parts = [head + ((stream + step * turn) if stream else 0).to_bytes(4, "big") + payload
                     for turn in batch for head, stream, payload in frames]
            if not self.push(b"".join(parts), end - time.monotonic()):
                break
            sent = batch.stop
        return {"sent": sent, "goaway": self.goaway, "closed": self.closed}


CONNECTIONS = {}


def answer(ask):
    number = ask["conn"]
    if ask["do"] == "open":
        CONNECTIONS[number] = Connection(ask)
        return {"closed": CONNECTIONS[number].closed}
    connection = CONNECTIONS[number]
    if ask["do"] == "send":
        return {"sent": connection.push(bytes.fromhex(ask["send"]))}
    if ask["do"] == "pour":
        return connection.pour(ask)
    if ask["do"] == "read":
        return connection.read(ask["until"], ask.get("within", 10))
    CONNECTIONS.pop(number).socket.close()
    return {}


for line in sys.stdin:
    try:
        told = answer(json.loads(line))
    except Exception as error:  # whatever it is, the test that asked has to see it
        told = {"error": repr(error)}
    print(json.dumps(told), flush=True)
