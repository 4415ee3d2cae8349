#!/usr/bin/env bash
# A kept http.client connection sends nothing more once the server has closed it at rest.
#
# Seen with Python 3.11.7, standard library alone, over a Unix socket and over TCP: the
# request after the close raises BrokenPipeError from request(), which leaves the object
# in the state "Request-sent"; every further request() raises CannotSendRequest, also when
# the server would take a new connection at once. Only close() helps. Documented is that
# the object connects anew by itself (auto_open). It exits 1 where that has changed.
set -euo pipefail

python3 - <<'END'
import http.client, http.server, os, queue, socket, socketserver, sys, tempfile, threading, time

print("Python", sys.version.split()[0])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        served.put(self.connection)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "local"


class OverUnix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)


def outcomes(connection):
    """One request, a close by the server at rest, and three more."""
    seen = []
    for n in range(4):
        try:
            connection.request("POST", "/", b"21.5")
            answer = connection.getresponse()
            answer.read()
            seen.append(str(answer.status))
        except (OSError, http.client.HTTPException) as e:
            seen.append(type(e).__name__)
        if n == 0:
            rest(served.get(timeout=10))
    return seen


def rest(connection):
    """What a server does to a connection without a request."""
    connection.shutdown(socket.SHUT_RDWR)
    time.sleep(0.2)  # until the client's kernel knows


served = queue.Queue()
path = os.path.join(tempfile.mkdtemp(), "s")
unix = socketserver.ThreadingUnixStreamServer(path, Handler)
tcp = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
for server in unix, tcp:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()

over_unix = outcomes(OverUnix("d"))
over_tcp = outcomes(http.client.HTTPConnection(*tcp.server_address))
print("Unix socket:", over_unix)
print("TCP:        ", over_tcp)
usual = ["202", "BrokenPipeError", "CannotSendRequest", "CannotSendRequest"]
if over_unix != usual or over_tcp != usual:
    sys.exit("it changed: a kept connection recovers, or fails in another way")
END
