"""Ports for Deno's kernel that no one else takes before it listens: Jupyter finds a free port, and closes it until then."""

import random
import socket

from jupyter_client.connect import LocalPortCache

# Below those that systems give to connections.
FIRST, LAST = 20000, 32000

# A socket of the other protocol at the same number keeps a port for this process, beside others that do the same.
claims = []


def find_available_port(self, ip):
    while True:
        port = random.randint(FIRST, LAST)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((ip, port))
            with socket.socket() as probe:
                probe.bind((ip, port))
        except OSError:
            claim.close()
            continue
        claims.append(claim)
        self.currently_used_ports.add(port)
        return port


LocalPortCache.find_available_port = find_available_port
