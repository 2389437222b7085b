"""Tries what a sandbox is to forbid, and prints what came of each try as JSON: true, or the error's name.

usage: sandbox_probe.py FILE PROGRAM NAMES
FILE is in /tmp; PROGRAM is `id`, owned by root and set-user-ID; NAMES is the machine's namespace of host names, as /proc shows
it. Writes to the current directory.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
in_tmp, root_id, names = sys.argv[1:]


def call(name, *arguments):
    """A function of the C library; its failure is an exception."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "")


def write(path):
    name = os.path.join(path, "probe")
    with open(name, "w"):
        pass
    os.remove(name)


def own_group():
    """The control group that belongs to this service, and so to its user."""
    for line in open("/proc/self/cgroup"):
        number, controllers, path = line.strip().split(":", 2)
        for root in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if controllers in ("", "name=systemd") and os.access(f"{root}{path}/cgroup.procs", os.F_OK):
                return root + path
    raise OSError(errno.ENOENT, "")


def in_group():
    name = own_group() + "/probe"
    os.mkdir(name)
    os.rmdir(name)


def writable(path):
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, "")


def kernel_log():
    """Whether it is there at all: to read it takes a privilege."""
    if os.stat("/proc/kmsg").st_mode & 0o777 == 0:
        raise OSError(errno.EACCES, "")


def machines_name():
    """Whether a change of the host name would be the machine's: to change it takes a privilege."""
    if os.readlink("/proc/self/ns/uts") != names:
        raise OSError(errno.EPERM, "")


def machine_code():
    """Memory to write to and to execute, as compilers at run time and exploits want it."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def set_user_id():
    with open("probe", "w"):
        pass
    try:
        os.chmod("probe", 0o4700)
    finally:
        os.remove("probe")


def as_root():
    if subprocess.run([root_id, "-u"], stdout=subprocess.PIPE, check=True).stdout != b"0\n":
        raise OSError(errno.EPERM, "")


def devices():
    """Real devices, beside those that every program may have."""
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    for entry in os.scandir("/dev"):
        mode = entry.stat(follow_symlinks=False).st_mode
        if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and entry.name not in harmless:
            return
    raise OSError(errno.ENOENT, "")


def others_owner():
    """Who owns what, outside of one's own account."""
    if os.stat("/etc/passwd").st_uid != 0:
        raise OSError(errno.EOVERFLOW, "")


def capabilities():
    if int(next(line for line in open("/proc/self/status") if line.startswith("CapBnd")).split()[1], 16) == 0:
        raise OSError(errno.EPERM, "")


def other_architecture():
    """`int 0x80`, the way into the kernel of 32-bit programs: exit(0)."""
    code = bytes.fromhex("b801000000 31db cd80".replace(" ", ""))
    base, header = 0x400000, 64 + 56
    size = header + len(code)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    half, word, long = (lambda n, size=size: n.to_bytes(size, "little") for size in (2, 4, 8))
    elf += half(2) + half(62) + word(1) + long(base + header) + long(64) + long(0) + word(0)
    elf += half(64) + half(56) + half(1) + half(0) + half(0) + half(0)
    elf += word(1) + word(5) + long(0) + long(base) + long(base) + long(size) + long(size) + long(4096)
    with open("old", "wb") as file:
        file.write(elf + code)
    os.chmod("old", 0o700)
    try:
        if subprocess.run(["./old"]).returncode != 0:
            raise OSError(errno.ENOSYS, "")
    finally:
        os.remove("old")


NEW_USER, TRACEME, FIFO, NOBODY = 0x10000000, 0, 1, 0x3FFFFFFF
TRIES = {
    "write its own directory": lambda: write("."),
    "connect to the bus": lambda: socket.socket(socket.AF_UNIX).connect(os.environ["XDG_RUNTIME_DIR"] + "/bus"),
    "ask for routes": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "write the home directory": lambda: write(os.environ["HOME"]),
    "write the runtime directory": lambda: write(os.environ["XDG_RUNTIME_DIR"]),
    "see others' temporary files": lambda: os.stat(in_tmp),
    "see who owns what": others_owner,
    "see devices": devices,
    "read where the kernel keeps what": lambda: open("/proc/kallsyms").close(),
    "see the kernel's log": kernel_log,
    "change the kernel's settings": lambda: writable("/proc/sys"),
    "change devices' settings": lambda: writable("/sys"),
    "change its control group": in_group,
    "ask the kernel's clock": lambda: call("adjtimex", ctypes.create_string_buffer(512)),
    "have the machine's own name": machines_name,
    "make a namespace": lambda: call("unshare", NEW_USER),
    "become root by a program": as_root,
    "make a program that others run as this account": set_user_id,
    "keep capabilities for its children": capabilities,
    "make machine code": machine_code,
    "run another architecture's code": other_architecture,
    "change the personality": lambda: call("personality", 0x0040000),
    "trace": lambda: call("ptrace", TRACEME, 0, 0, 0),
    "change a file's owner": lambda: os.chown(".", os.getuid(), os.getgid()),
    "change its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 1),
    # It takes a privilege: the kernel looks for the process first, a filter comes before that.
    "run a process that is none in real time": lambda: os.sched_setscheduler(NOBODY, FIFO, os.sched_param(1)),
    "talk to the network card itself": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
}

outcome = {}
for what, attempt in TRIES.items():
    # In a child of its own: some change the process for good.
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            attempt()
            said = b"true"
        except OSError as error:
            said = json.dumps(errno.errorcode.get(error.errno, "unknown")).encode()
        os.write(writer, said)
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 100)
    os.close(reader)
    os.wait()
    outcome[what] = json.loads(said or b'"killed"')
print(json.dumps(outcome))
