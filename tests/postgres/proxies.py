"""A proxy before the server's socket, which cuts a connection at a chosen moment."""

import contextlib
import socket
import threading


class Proxy:
    """Cuts the first connection that commits after it was armed: before the server gets COMMIT, or after it answered.

    `gone` refuses every connection from then on.
    """

    def __init__(self, path):
        self._path, self._armed, self.gone = path, "", False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, when, *, gone=False):
        self._armed, self._stays_away = when, gone

    def close(self):
        self._listening.close()
        for each in self._sockets:
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.gone:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            self._sockets += [client, server]
            for here, there, way in ((client, server, "before"), (server, client, "after")):
                threading.Thread(target=self._pump, args=(here, there, way), daemon=True).start()

    def _pump(self, here, there, way):
        try:
            while data := here.recv(65536):
                if self._armed == way and b"COMMIT\0" in data:
                    self._armed, self.gone = "", self._stays_away
                    break
                there.sendall(data)
        except OSError:
            pass
        for each in (here, there):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
