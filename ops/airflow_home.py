"""Airflow's home under `var/airflow`: passwords and database, made once.

Enters: settings. Leaves: `passwords.json` (mode 600) and a migrated database.
"""

import hashlib
import json
import os
import secrets
import subprocess
from importlib.metadata import version

from ops.environment import AIRFLOW_HOME, LOGS, PASSWORDS, ROOT, log_tail, server_environment
from ops.errors import ServerError
from xrl.config import Settings


def prepare_airflow(current: Settings) -> None:
    """Make home, passwords and database; the latter again only for another version or another address.

    Raises:
        ServerError: `airflow db migrate` failed; the message holds the end of its log.
    """
    AIRFLOW_HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_passwords()
    environment = server_environment(current)
    address = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    # A connection string may hold a password: its digest is kept, never itself.
    wanted = f"{version('apache-airflow')} {hashlib.sha256(address.encode()).hexdigest()[:16]}"
    stamp = AIRFLOW_HOME / "migrated"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print("  creating Airflow's database (once)", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "airflow-migrate.log").open("ab") as log:
        code = subprocess.run(
            ["airflow", "db", "migrate"], cwd=ROOT, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    if code != 0:
        raise ServerError(f"`airflow db migrate` ended with {code}:\n{log_tail('airflow-migrate')}")
    stamp.write_text(wanted)


def make_passwords() -> None:
    """Write random passwords once; Airflow would make its own and print them into its log."""
    if PASSWORDS.exists():
        return
    aside = PASSWORDS.with_suffix(".tmp")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({user: secrets.token_urlsafe(12) for user in ("admin", "viewer")}, file)
    aside.replace(PASSWORDS)
