"""What Linux takes away from a process before a submission runs in it (standard library only).

Three layers, each used where the kernel grants it: a root directory that holds Python and its
packages and nothing else, without network and other processes (namespaces: root, or user
namespaces); Landlock, which forbids all other files; seccomp, which forbids sockets, signals and
tracing. Beside them always: limits, no privileges, nobody's user id where we are root.
Numbers are those of linux/sched.h, mount.h, landlock.h, seccomp.h and the system call tables.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

NEW_ROOT = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "net": 0x40000000}
NEW_USER, NEW_PID = 0x10000000, 0x20000000
BIND_ALL, ALL_PRIVATE = 0x1000 | 0x4000, 0x40000 | 0x4000
MOUNT_SETATTR, RECURSIVE, READ_ONLY = 442, 0x8000, 1
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
READING, EVERYTHING = 0b1101, (1 << 13) - 1  # execute, read a file, list a folder; ABI 1's rights
DENIED = {  # socket, kill, tkill, tgkill, ptrace, process_vm_*, prlimit, unshare, setns, mount
    "x86_64": (0xC000003E, (41, 62, 200, 234, 101, 310, 311, 302, 272, 308, 165)),
    "aarch64": (0xC00000B7, (198, 129, 130, 131, 117, 270, 271, 261, 97, 268, 40)),
}
DENIED_EVERYWHERE = (424, 425)  # pidfd_send_signal, io_uring_setup


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments):
    """A C function that returns a negative number where it fails; raises OSError then."""
    result = function(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{getattr(function, '__name__', '')}: {os.strerror(error)}")
    return result


def own_root(folder, readable, hidden):
    """Moves this process into `folder` as its root: `readable` paths read-only, /work, no network.

    `hidden` folders appear empty. Raises OSError where the kernel does not grant it.
    """
    libc, (user, group) = _libc(), (os.geteuid(), os.getegid())
    flags = sum(NEW_ROOT.values())
    _call(libc.unshare, flags if user == 0 else flags | NEW_USER)
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _call(libc.mount, None, b"/", None, ALL_PRIVATE, None)
    _call(libc.mount, b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=32m,mode=755")
    read_only = struct.pack("QQQQ", READ_ONLY, 0, 0, 0)
    for path in readable:
        inside = Path(folder + path)
        if Path(path).is_dir():
            inside.mkdir(parents=True, exist_ok=True)
        else:
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        _call(libc.mount, os.fsencode(path), os.fsencode(inside), None, BIND_ALL, None)
        _call(libc.syscall, MOUNT_SETATTR, -100, os.fsencode(inside), RECURSIVE, read_only, 32)
    for path in hidden:
        if Path(folder + path).is_dir():
            _call(libc.mount, b"tmpfs", os.fsencode(folder + path), b"tmpfs", 0, b"mode=000")
    Path(folder + "/work").mkdir(mode=0o711)
    os.chroot(folder)
    os.chdir("/work")


def own_processes():
    """The next child of this process sees no process but its own, which end with it."""
    _call(_libc().unshare, NEW_PID)


def landlock(readable, writable):
    """From now on only `readable` paths can be read and `writable` ones written, by anyone."""
    libc = _libc()
    abi = _call(libc.syscall, LANDLOCK_CREATE, None, 0, 1)
    files = EVERYTHING | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0)
    rules = struct.pack("QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)  # TCP; signals
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _call(libc.syscall, LANDLOCK_CREATE, rules, size, 0)
    for paths, rights in ((readable, READING), (writable, files)):
        for path in filter(os.path.exists, paths):
            place = os.open(path, os.O_PATH)
            granted = rights if Path(path).is_dir() else rights & 0b101
            rule = struct.pack("=Qi", granted, place)
            _call(libc.syscall, LANDLOCK_ADD, ruleset, 1, rule, 0)
            os.close(place)
    _call(libc.prctl, 38, 1, 0, 0, 0)  # no new privileges
    _call(libc.syscall, LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def seccomp():
    """From now on no sockets, signals to others, tracing, changes of namespace."""
    architecture, numbers = DENIED[platform.machine()]
    numbers += DENIED_EVERYWHERE
    load, equal, above, give = 0x20, 0x15, 0x35, 0x06  # of the packet filter language
    program = [(load, 0, 0, 4), (equal, 0, len(numbers) + 2, architecture), (load, 0, 0, 0)]
    program.append((above, len(numbers), 0, 0x40000000))  # x32, the other table of x86_64
    program += [(equal, len(numbers) - place, 0, n) for place, n in enumerate(numbers)]
    program += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x50000 | 38)]  # allow; "not implemented"
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = _libc()
    _call(libc.prctl, 38, 1, 0, 0, 0)
    _call(libc.prctl, 22, 2, filter_, 0, 0)


def without(paths, hidden):
    """The paths, but where one holds a hidden folder its other entries take its place."""
    kept = []
    for path in map(Path, paths):
        if any(Path(folder).is_relative_to(path) for folder in hidden):
            kept += without([p for p in path.iterdir() if str(p) not in hidden], hidden)
        else:
            kept.append(path)
    return [str(path) for path in kept]


def memory_in_use():
    """Bytes of this process's address space, 0 where the system does not tell."""
    place = Path("/proc/self/statm")
    return int(place.read_text().split()[0]) * resource.getpagesize() if place.exists() else 0


def limit(memory, seconds):
    """`memory` bytes of addresses, `seconds` of CPU time, small files, no new process."""
    limits = {"AS": memory, "CPU": seconds, "FSIZE": 1 << 20, "NOFILE": 64, "CORE": 0, "NPROC": 1}
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def drop_privileges(uid):
    """Becomes user `uid` where we are root; gives up all capabilities everywhere."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    if sys.platform == "linux":
        libc = _libc()
        _call(libc.capset, struct.pack("Ii", 0x20080522, 0), bytes(24))
        _call(libc.prctl, 38, 1, 0, 0, 0)
