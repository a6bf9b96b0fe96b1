"""As whom a server runs. Postgres refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jobstate.embedded.errors import EmbeddedError


@dataclass(frozen=True)
class Account:
    """A user that can run programs; without a user, the one that runs this process."""

    user: int | None = None
    group: int | None = None
    prefix: tuple[str, ...] = ()

    def run(
        self, command: list[str], directory: Path, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a directory to its end; what it says goes to the result's stdout."""
        # S603: only programs of the installed packages and /bin/sh are run. Its own session keeps
        # a Ctrl-C in the terminal from it.
        return subprocess.run(  # noqa: S603
            [*self.prefix, *command],
            cwd=directory,
            env=server_environment(),
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
        )

    def own(self, path: Path) -> None:
        """Give a new, empty directory to this user."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def account_for(program: Path, data: Path) -> Account:
    """Choose who runs a program that refuses root and owns its data directory.

    An ordinary user runs it themselves. Root lets the owner of the data run it, and ``nobody``
    where there is no data yet. Where ``nobody`` cannot reach the program or the data, as in
    root's own home, the program keeps root's access to files in a user namespace that shows it
    another user, and no permission has to be widened.

    Raises:
        EmbeddedError: This process is root and neither way is open to it.
    """
    if os.geteuid() != 0:
        return Account()
    owner = data.stat().st_uid if data.exists() else None
    if owner != 0:
        account = _nobody() if owner is None else Account(owner, data.stat().st_gid)
        if _reaches(account, program, data.parent):
            return account
    if owner in {None, 0}:
        account = _namespace()
        if _reaches(account, program, data.parent):
            return account
    who = "nobody" if owner is None else f"user {owner}"
    raise EmbeddedError(
        f"Postgres cannot run here: it refuses root, {who} cannot reach both {program} and "
        f"{data.parent}, and a user namespace (unshare --user) does not help. "
        "Start it as an ordinary user, or move both to where every user may go."
    )


def server_environment() -> dict[str, str]:
    """Return this process's environment with one fixed locale.

    Postgres on macOS refuses to start without a valid one, and messages stay in English.
    """
    return {**os.environ, "LC_ALL": "C"}


def _nobody() -> Account:
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "Postgres cannot run here: it refuses root, and this system has no user nobody. "
            "Start it as an ordinary user."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def _namespace() -> Account:
    nobody = _nobody()
    return Account(
        prefix=(
            shutil.which("unshare") or "unshare",
            "--user",
            f"--map-user={nobody.user}",
            f"--map-group={nobody.group}",
        )
    )


def _reaches(account: Account, program: Path, directory: Path) -> bool:
    # Only the kernel knows the answer: permissions, ACLs and mount options all have a say.
    check = '"$0" --version && cd "$1"'
    try:
        told = account.run(["/bin/sh", "-c", check, str(program), str(directory)], directory)
    except OSError:
        return False
    return told.returncode == 0
