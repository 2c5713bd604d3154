# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback between a client and a server: delays, cuts, or falls silent.

As a program (for measurements, so that it does not share the client's interpreter): ``proxy.py <port> <seconds>``
prints its own port and runs until its input ends.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from typing import Callable, Iterator, List, Optional, Tuple

_PIECE_BYTES = 256 << 10


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that ``listener`` takes, until it is closed."""
    while True:
        try:
            client, dummy_address = listener.accept()
        except OSError:
            return
        yield client


class Proxy:
    """Forwards connections to ``port``. ``round_trip_seconds`` is added to each round trip, half of it each way.

    ``connect`` and ``listener`` let either end lie in another network than this process's. ``see`` gets all data.
    """

    def __init__(
        self,
        port: int,
        round_trip_seconds: float = 0.0,
        connect: Callable[[int], socket.socket] = lambda port: socket.create_connection(("127.0.0.1", port), 10),
        listener: Optional[socket.socket] = None,
        see: Callable[[bytes], object] = lambda data: None,
    ) -> None:
        self._target = port
        self._see = see
        self._connect = connect
        self._delay = round_trip_seconds / 2
        self._lock = threading.Lock()
        self._open: List[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = False
        self.forwarded_bytes = 0
        self.connections = 0
        self._cut_after: Optional[int] = None
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones until :meth:`mend`."""
        with self._lock:
            self._is_cut = True
            sockets, self._open = self._open, []
        for connection in sockets:
            _end(connection)

    def cut_after(self, more_bytes: int) -> None:
        """End every connection once when so many more bytes went through; new ones are taken at once."""
        self._cut_after = self.forwarded_bytes + more_bytes

    def mend(self) -> None:
        self._is_cut = False

    def silence(self) -> None:
        """Keep connections open but forward nothing until :meth:`speak`."""
        self._flows.clear()

    def speak(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self._listener.close()
        self.cut()
        self._flows.set()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def _accept(self) -> None:
        for client in accepted(self._listener):
            self.connections += 1
            try:
                if self._is_cut:
                    raise ConnectionRefusedError
                server = self._connect(self._target)
                server.settimeout(None)
            except (OSError, AssertionError) as error:
                if not self._is_cut:
                    print("proxy: no connection to port %d: %r" % (self._target, error), file=sys.stderr)
                client.close()
                continue
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                waiting: queue.Queue[Tuple[float, bytes]] = queue.Queue(maxsize=4096)
                threading.Thread(target=self._take, args=(source, waiting), daemon=True).start()
                threading.Thread(target=self._give, args=(source, sink, waiting), daemon=True).start()

    def _take(self, source: socket.socket, waiting: queue.Queue[Tuple[float, bytes]]) -> None:
        while True:
            try:
                data = source.recv(_PIECE_BYTES)
            except OSError:
                data = b""
            self._see(data)
            waiting.put((time.monotonic() + self._delay, data))
            if not data:
                return

    def _give(self, source: socket.socket, sink: socket.socket, waiting: queue.Queue[Tuple[float, bytes]]) -> None:
        while True:
            due, data = waiting.get()
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._flows.wait()
            if not data:
                break
            try:
                sink.sendall(data)
            except OSError:
                break
            self.forwarded_bytes += len(data)
            if self._cut_after is not None and self.forwarded_bytes >= self._cut_after:
                self._cut_after = None
                self.cut()
                self.mend()
        for connection in (source, sink):
            _end(connection)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
        return
    connection.close()


if __name__ == "__main__":
    with Proxy(int(sys.argv[1]), float(sys.argv[2])) as proxy:
        print(proxy.port, flush=True)
        sys.stdin.read()
