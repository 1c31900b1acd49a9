"""Which account runs PostgreSQL, and where it can reach its files: PostgreSQL refuses to run as root."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SHELTER_PARENT = Path("/var/lib")


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Whether the account may enter `path` (its nearest parent that exists), asked of the kernel itself."""
        while not path.exists():
            path = path.parent
        answer = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
        return answer.returncode == 0


def server_account(home: Path) -> Account | None:
    """None when we are an ordinary user, who runs the server; for root, the account that runs PostgreSQL instead.

    That is the owner of `home` where an ordinary user has made it, else the machine's 'postgres', else 'nobody'.
    """
    if os.geteuid() != 0:
        _require_name(os.geteuid())
        return None
    if home.exists() and (owner := home.stat()).st_uid != 0:
        return Account(name=f"user {owner.st_uid}", uid=owner.st_uid, gid=owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise RuntimeError(
        "PostgreSQL does not run as root, and this machine has neither a 'postgres' nor a 'nobody' account. "
        "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL server of yours."
    )


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise RuntimeError(
            f"PostgreSQL runs only as an account with a name, and user {uid} has none, as in some containers. "
            "Give it a line in /etc/passwd, or set DATABASE_URL to a PostgreSQL server of yours."
        ) from None


def shelter(path: Path) -> Path:
    """Where `path` lives instead when it lies below a folder (such as /root) that the account may not enter.

    Widening that folder's mode would be the other way, and it is not ours to widen.
    """
    return SHELTER_PARENT / f"parley-{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]}"


def reachable_folder(path: Path, account: Account | None) -> Path:
    """Makes the private folder (mode 0700, owned by the account) and returns it; `path` then leads there."""
    place = path
    if account and not account.can_reach(path.parent):
        place = shelter(path)
        if path.is_dir() and not path.is_symlink():
            raise RuntimeError(
                f"PostgreSQL runs as {account.name}, who may not enter {path.parent}. Either run as an ordinary user "
                f"who owns it, or move the data to where it can live: mv '{path}' '{place}'"
            )
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if account:
        os.chown(place, account.uid, account.gid)
    if place != path and not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(place)
    return place


def remove_folder(path: Path) -> None:
    """Removes a folder that `reachable_folder` made, wherever it is."""
    if path.is_symlink():
        shutil.rmtree(path.resolve(), ignore_errors=True)
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
