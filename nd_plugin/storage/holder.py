"""Process that holds a lock, as its lock file says."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KIND = "nd_plugin lock"
MOUNTS = Path("/proc/self/mounts")
LOCAL_LOCKS = ("nolock", "local_lock=all", "local_lock=posix")  # options of NFS


@dataclass(frozen=True)
class Holder:
    """Process on a machine; without a number one that is not known."""

    process: int = 0
    host: str = ""
    since: str = ""  # ISO 8601, UTC: when it took the lock
    started: str = ""  # the system's time of its start, where that tells

    @classmethod
    def of_this_process(cls) -> Holder:
        """Return this process, which takes a lock now."""
        process = os.getpid()
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(process, machine_name(), now, _start_of(process))

    @classmethod
    def read(cls, content: bytes) -> Holder | None:
        """Return the holder that a lock file names; None for any other content."""
        try:
            record = json.loads(content)
            if record["kind"] != KIND:
                return None
            texts = [
                str(record[name])[:100] for name in ("host", "since", "started")
            ]
            process = int(record["process"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None
        printable = [text if text.isprintable() else "?" for text in texts]
        return cls(process, *printable)

    def line(self) -> bytes:
        """Return the content of the lock file."""
        record = {"kind": KIND, **vars(self)}
        return f"{json.dumps(record)}\n".encode()

    def is_alive(self) -> bool:
        """Return whether this process runs on this machine, and is not a later one."""
        try:
            os.kill(self.process, 0)
        except PermissionError:
            pass
        except (OSError, OverflowError):
            return False
        start = _start_of(self.process)
        return not (start and self.started) or start == self.started

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


def machine_name() -> str:
    """Return the name of this machine in its network, without looking it up there."""
    return os.uname().nodename if hasattr(os, "uname") else platform.node()


def is_of_this_machine(holder: Holder) -> bool:
    """Return whether a holder is, or was, a process of this machine."""
    return holder.host == machine_name()


def locks_are_local(path: Path) -> bool:
    """Return whether locks on the file system of ``path`` exclude processes of this machine only.

    Such are NFS folders that are mounted without locks, or with local ones.
    """
    kind, options = _mount_of(path.parent.resolve())
    return kind.startswith("nfs") and any(
        option in LOCAL_LOCKS for option in options
    )


def _mount_of(folder: Path) -> tuple[str, list[str]]:
    """Return kind and options of the file system that holds a folder, as Linux tells them."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return "", []
    nearest = ""
    mount: tuple[str, list[str]] = ("", [])
    for line in lines:
        _, point, kind, options, *_ = line.split(" ")
        place = point.replace("\\040", " ")
        is_parent = folder == Path(place) or Path(place) in folder.parents
        if is_parent and len(place) >= len(nearest):
            nearest = place
            mount = (kind, options.split(","))
    return mount


def _start_of(process: int) -> str:
    """Return the system's time of a process's start, as Linux tells it; else ""."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return ""
    # behind the name, which may hold anything
    fields = status.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""
