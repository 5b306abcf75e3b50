"""What a process gives up before it runs a submission (standard library only).

Always: privileges, where we are root; limits on memory, CPU time, files, processes. Where Linux
grants them: Landlock, after which only Python and its packages can be read and nothing written;
seccomp, after which there are no sockets, no signals to others, no tracing.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

# numbers of linux/prctl.h, landlock.h, seccomp.h and of the tables of system calls
NO_NEW_PRIVILEGES, SIGNAL_OF_PARENT, FILTER = 38, 1, 22
# after the architecture: socket kill tkill tgkill ptrace process_vm_readv process_vm_writev
# prlimit unshare setns mount bpf truncate fchmodat; chmod; in all: pidfd_send_signal
# io_uring_setup fchmodat2
DENIED = {
    "x86_64": (0xC000003E, 41, 62, 200, 234, 101, 310, 311, 302, 272, 308, 165, 321, 76, 268, 90),
    "aarch64": (0xC00000B7, 198, 129, 130, 131, 117, 270, 271, 261, 97, 268, 40, 280, 45, 53),
}
DENIED_EVERYWHERE = (424, 425, 452)


def shut_in(readable, memory, seconds):
    """Gives all rights up for good; answers with the names of the layers that were granted."""
    limits = {"CPU": seconds, "FSIZE": 0, "NOFILE": 64, "CORE": 0, "NPROC": 1}
    layers, linux = ["limits"], sys.platform == "linux"
    if linux:  # `memory` counts from what Python and torch take already
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = memory + pages * resource.getpagesize()
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    if linux:
        _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        layers += _granted("landlock", _landlock, readable)  # while root may still open all paths
    if os.geteuid() == 0:
        user = 50000 + os.getppid() % 10000  # of its own: the limit of processes counts per user
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        layers.append("own user")
    if linux:
        _call("prctl", SIGNAL_OF_PARENT, 9, 0, 0, 0)  # killed as soon as the parent ends
        layers += _granted("seccomp", _seccomp)
    return layers


def _granted(layer, step, *arguments):
    try:
        step(*arguments)
    except (OSError, KeyError):  # an older kernel, or a container that forbids it
        return []
    return [layer]


def _call(name, *arguments):
    """A function of the C library that returns a negative number where it fails."""
    result = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def _landlock(readable):
    version = _call("syscall", 444, None, 0, 1)
    every = (1 << {1: 13, 2: 14}.get(version, 15)) - 1  # the third version knows truncation
    rules = _call("syscall", 444, struct.pack("Q", every), 8, 0)
    for path in readable:
        rights = 0b1101 if Path(path).is_dir() else 0b101  # execute, read files (and list)
        place = os.open(path, os.O_PATH)
        _call("syscall", 445, rules, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    _call("syscall", 446, rules, 0)


def _seccomp():
    architecture, *numbers = (*DENIED[platform.machine()], *DENIED_EVERYWHERE)
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06  # of the packet filter language
    program = [(load, 0, 0, 4), (equal, 0, len(numbers) + 3, architecture), (load, 0, 0, 0)]
    program += [(at_least, len(numbers) + 1, 0, 0x40000000)]  # x86_64's second table
    program += [(equal, len(numbers) - place, 0, n) for place, n in enumerate(numbers)]
    program += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x50000 | 1)]  # allowed; not permitted
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    _call("prctl", FILTER, 2, struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)), 0, 0)
