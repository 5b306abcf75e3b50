"""Run a command inside a network namespace that has the loopback device only (kernels talk over it)."""

import fcntl
import os
import socket
import struct
import sys

SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x1 | 0x40

if __name__ == "__main__":
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
    os.execvp(sys.argv[1], sys.argv[1:])
