"""A slow TCP line: slow-line.py BYTES_PER_SECOND TARGET_PORT. Prints the port that it listens on.

What is under way is bounded, as on a real line: a proxy in Node would take megabytes into its kernel's buffers at once, and whoever
sends would see nothing move afterwards. Node can't make these buffers smaller.
"""

import socket
import sys
import threading
import time

rate, target = int(sys.argv[1]), int(sys.argv[2])
SLICE = 8 * 1024


def pump(source, to):
    try:
        while data := source.recv(SLICE):
            time.sleep(len(data) / rate)
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, to):
            end.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLICE)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", target))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
