# SPDX-License-Identifier: BSD-2-Clause
"""A broker that misbehaves: on a unix socket, the same answer to everybody."""
import os
import socket
import threading

from lib import wire


class FakeBroker:
    """
    answer(n): the bytes for the n-th packet of a connection, n from 0; None
    closes, b"" says nothing. The gateway's own client gets the same.
    """

    def __init__(self, path, answer):
        self.path, self.answer = path, answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def reply(self, count, first, body):
        """What _serve() says to a packet."""
        return self.answer(count)

    def _serve(self, s):
        buffer, count = b"", 0
        try:
            while True:
                chunk = s.recv(4096)
                if not chunk:
                    return
                buffer += chunk
                found = wire.split(buffer)
                while found:
                    buffer = buffer[found[2]:]
                    answer = self.reply(count, *found[:2])
                    if answer is None:
                        return
                    s.sendall(answer)
                    count, found = count + 1, wire.split(buffer)
        except OSError:
            pass
        finally:
            s.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
