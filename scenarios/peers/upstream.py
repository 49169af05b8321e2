"""A service over mutual TLS that counts what reaches it. One JSON document a line in, one out."""
import json
import socket
import ssl
import sys
import threading

SEEN = {"handshakes": 0, "failed": 0, "bytes": 0, "requests": [], "peers": []}
LOCK = threading.Lock()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def serve(stream, tls):
    try:
        stream = tls.wrap_socket(stream, server_side=True)
        names = (stream.getpeercert() or {}).get("subjectAltName", ())
        with LOCK:
            SEEN["handshakes"] += 1
            SEEN["peers"].append([value for kind, value in names if kind == "URI"])
    except (ssl.SSLError, OSError):
        with LOCK:
            SEEN["failed"] += 1
        return
    buffer = b""
    while True:
        try:
            got = stream.recv(65536)
        except (ssl.SSLError, OSError):
            with LOCK:
                SEEN["failed"] += 1
            return
        if not got:
            return
        buffer += got
        with LOCK:
            SEEN["bytes"] += len(got)
        while b"\r\n\r\n" in buffer:
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            with LOCK:
                SEEN["requests"].append(head.decode("latin-1"))
            if b"?cut" in head.split(b"\r\n")[0]:
                # no end of the body, and no goodbye of TLS
                stream.sendall(b"HTTP/1.0 200 OK\r\n\r\npart")
                socket.socket(fileno=stream.detach()).close()
                return
            stream.sendall(ANSWER)


def listen(ask):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ask["cert"], ask["key"])
    if ask.get("ca"):
        tls.load_verify_locations(ask["ca"])
        tls.verify_mode = ssl.CERT_REQUIRED
    if ask.get("version"):
        tls.maximum_version = ssl.TLSVersion[ask["version"]]
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream, tls), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return {"port": listener.getsockname()[1]}


for line in sys.stdin:
    try:
        asked = json.loads(line)
        with LOCK:
            seen = json.loads(json.dumps(SEEN))
        told = listen(asked) if asked["do"] == "listen" else seen
    except Exception as error:  # whatever it is, the test that asked has to see it
        told = {"error": repr(error)}
    print(json.dumps(told), flush=True)
