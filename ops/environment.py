"""The environment that every server and every run gets: one place, derived from `.env` and `XRL_*` settings.

Enters: the process environment. Leaves: a complete environment; what the user has set wins, so that Postgres,
Redis or an S3-type store are a matter of variables (docs/operations.md).
"""

import os
import sys
from pathlib import Path

from xrl.config import Settings, load_settings
from xrl.environment import apply_environment

ROOT = Path(__file__).resolve().parents[1]
VAR = ROOT / "var"
LOGS = VAR / "log"
RUN = VAR / "run"
AIRFLOW_HOME = VAR / "airflow"
PASSWORDS = AIRFLOW_HOME / "passwords.json"


def settings() -> Settings:
    """Settings of this checkout: `.env` first completed into the process environment.

    Raises:
        ConfigError: a setting is out of range, or `.env` has a line that is not NAME=value.
    """
    apply_environment(ROOT)
    return load_settings()


def log_tail(name: str, lines: int = 10) -> str:
    """Last lines of a server's log, long ones cut short."""
    path = LOGS / f"{name}.log"
    if not path.is_file():
        return f"(no log at {path})"
    return "\n".join(line[:200] for line in path.read_text(errors="replace").splitlines()[-lines:])


def server_environment(current: Settings) -> dict[str, str]:
    """Environment of the servers: quiet, offline, loopback, all state under `var/`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    defaults = {**_airflow_defaults(), **_stores()}
    # SPT_NOENV: setproctitle would otherwise overwrite the environment by which ops.processes knows our own.
    fixed = {
        "PATH": path,
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",
        **_xrl(current),
        **_airflow_fixed(current),
    }
    return {**defaults, **os.environ, **fixed}


def _xrl(current: Settings) -> dict[str, str]:
    values = {
        "XRL_HOST": current.host,
        "XRL_SANDBOX_PORT": str(current.sandbox_port),
        "XRL_MLFLOW_PORT": str(current.mlflow_port),
        "XRL_AIRFLOW_PORT": str(current.airflow_port),
        "XRL_SERVICE_PORT": str(current.service_port),
        "XRL_SERVE_MARKET": current.serve_market,
        "XRL_ROOT": str(ROOT),
        "XRL_DATA_DIR": os.environ.get("XRL_DATA_DIR", str(ROOT / "data")),
        "MLFLOW_TRACKING_URI": current.tracking_url,
    }
    if current.replay_dir is not None:
        values["XRL_REPLAY_DIR"] = str(current.replay_dir.resolve())
    return values


def _airflow_fixed(current: Settings) -> dict[str, str]:
    """Never another installation's home, never another interface than loopback."""
    return {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__API__HOST": current.host,
        "AIRFLOW__API__PORT": str(current.airflow_port),
        "AIRFLOW__API__BASE_URL": current.airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{current.airflow_url}/execution/",
    }


def _airflow_defaults() -> dict[str, str]:
    return {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",  # the default forks 32 idle workers
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(PASSWORDS),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(LOGS / "tasks"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # A task whose process was killed is noticed after a minute instead of five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _stores() -> dict[str, str]:
    return {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{VAR / 'mlflow.db'}",
        "MLFLOW_ARTIFACTS_DESTINATION": str(VAR / "mlflow-artifacts"),
        "BENTOML_HOME": str(VAR / "bentoml"),
    }
