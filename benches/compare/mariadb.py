"""A private MariaDB, in a folder and on a port of its own, on the core of the load."""

import os
import subprocess

from machine import LOAD_CORES, free_port, program
from process import Process, wait_until
from web import listens

#: Nobody else reaches it: it listens on the loopback address for as long as the benchmark runs.
PASSWORD = "benchmark"


class Server:
    """A server with one empty database, which keeps what it answered through a power cut."""

    def __init__(self, folder):
        os.makedirs(folder)
        installed = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={folder}/data",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                *_user(),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if installed.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed:\n{installed.stdout}{installed.stderr}")
        with open(f"{folder}/init.sql", "w", encoding="ascii") as file:
            file.write("CREATE DATABASE IF NOT EXISTS doorward CHARACTER SET utf8mb4;\n")
            file.write(f"CREATE USER IF NOT EXISTS 'doorward'@'%' IDENTIFIED BY '{PASSWORD}';\n")
            file.write("GRANT ALL ON doorward.* TO 'doorward'@'%';\n")
        port = free_port()
        command = [program("mariadbd"), "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket"]
        command += ["--bind-address=127.0.0.1", f"--port={port}", f"--init-file={folder}/init.sql", "--skip-name-resolve"]
        command += [f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M", *_user()]
        self.process = Process(command, LOAD_CORES, f"{folder}/log")
        wait_until(lambda: listens(port), self.process)
        self.url = f"mysql://doorward:{PASSWORD}@127.0.0.1:{port}/doorward"

    def stop(self):
        """Stops it."""
        self.process.stop()


def _user():
    """mariadbd runs as root only when told so."""
    return ["--user=root"] if os.geteuid() == 0 else []
