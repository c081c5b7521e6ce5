"""`make up`, `make down`, `make status`: the servers of the Procfile under a detached honcho.

State is `var/run/servers.json`: which honcho (process id and start time), the mark its processes carry,
and the settings they were started with. Everything else is found by that mark (ops/processes.py).
"""

import fcntl
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import requests

from ops.airflow_api import Airflow
from ops.airflow_home import prepare_airflow
from ops.environment import LOGS, ROOT, RUN, log_tail, server_environment
from ops.errors import ServerError
from ops.processes import MARK, alive, marked, port_holder, port_is_free, stop
from xrl.config import Settings

STATE = RUN / "servers.json"
READY_TIMEOUT_S = 180
POOL, POOL_SLOTS = "training", 2
PING = "/planted/fapi/v1/ping"


@dataclass(frozen=True)
class Server:
    """One line of the Procfile, where it answers and which setting moves it."""

    name: str
    port: int | None
    variable: str | None
    health: str | None


def servers(current: Settings) -> tuple[Server, ...]:
    """The servers that these settings need, in the order of the Procfile."""
    api = f"{current.airflow_url}/api/v2/monitor/health"
    ours = (
        Server("sandbox", current.sandbox_port, "XRL_SANDBOX_PORT", f"{current.sandbox_url}{PING}"),
        Server("mlflow", current.mlflow_port, "XRL_MLFLOW_PORT", f"{current.tracking_url}/health"),
        Server("airflow-api-server", current.airflow_port, "XRL_AIRFLOW_PORT", api),
        Server("airflow-scheduler", None, None, api),
        Server("airflow-dag-processor", None, None, api),
        Server("service", current.service_port, "XRL_SERVICE_PORT", f"{current.service_url}/livez"),
    )
    return tuple(server for server in ours if server.name != "mlflow" or current.mlflow_url is None)


def up(current: Settings) -> bool:
    """Start what is not running and wait until all answer; returns whether this call started them.

    Raises:
        ServerError: a port is taken, the servers run with other settings, or one does not become ready.
    """
    with _alone():
        started = False
        if not running():
            _clear_leftovers()
            check_ports(current)
            prepare_airflow(current)
            _start_honcho(current)
            started = True
        elif _state()["settings"] != _fingerprint(current):
            raise ServerError(
                f"the servers are up with other settings: {_differences(current)}. `make down` first"
            )
        try:
            _wait_ready(current)
        except (ServerError, KeyboardInterrupt):
            if started:
                _end()
            raise
        Airflow(current.airflow_url).ensure_pool(
            POOL, POOL_SLOTS, "DVC processes at a time (dags/retrain.py)"
        )
        return started


def down() -> int:
    """Stop exactly what `up` started, tasks of Airflow included; returns how many processes that were."""
    with _alone():
        return _end()


def status(current: Settings) -> list[tuple[Server, str]]:
    """Each server with `ready`, `not ready` or `stopped`."""
    if not running():
        return [(server, "stopped") for server in servers(current)]
    return [(server, "ready" if ready(server) else "not ready") for server in servers(current)]


def ready(server: Server) -> bool:
    """Whether the server answers; Airflow's own health page tells about scheduler and dag-processor."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(str(server.health), timeout=5)
        except requests.RequestException:
            return False
    if not answer.ok:
        return False
    part = server.name.removeprefix("airflow-").replace("-", "_")
    if part not in ("scheduler", "dag_processor"):
        return True
    return bool(answer.json().get(part, {}).get("status") == "healthy")


def check_ports(current: Settings) -> None:
    """Refuse to start where a port is taken.

    Raises:
        ServerError: names port, holder and the variable that changes it.
    """
    for server in servers(current):
        if server.port is not None and not port_is_free(current.host, server.port):
            raise ServerError(
                f"port {server.port} of the {server.name} server is in use by "
                f"{port_holder(server.port) or 'another process'}. Stop that, or set another port: "
                f"{server.variable}=NNNN in .env or before the command"
            )


def _start_honcho(current: Settings) -> None:
    for folder in (RUN, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(8)
    names = [server.name for server in servers(current)]
    with (LOGS / "honcho.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "honcho", "start", "--no-colour", "-e", "/dev/null", *names],
            cwd=ROOT,
            env={**server_environment(current), MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    state = {
        "mark": mark,
        "pid": process.pid,
        "started": psutil.Process(process.pid).create_time(),
        "settings": _fingerprint(current),
    }
    aside = STATE.with_suffix(".tmp")
    aside.write_text(json.dumps(state, indent=1))
    aside.replace(STATE)


def _wait_ready(current: Settings) -> None:
    begin = time.monotonic()
    waiting = list(servers(current))
    while waiting:
        for server in [server for server in waiting if ready(server)]:
            address = f" at port {server.port}" if server.port else ""
            print(f"  {server.name:<22} ready{address} ({time.monotonic() - begin:.0f} s)", flush=True)
            waiting.remove(server)
        if waiting and not running():
            raise ServerError(f"the servers ended: {_last_words(waiting)}")
        if waiting and time.monotonic() - begin > READY_TIMEOUT_S:
            raise ServerError(f"not ready after {READY_TIMEOUT_S} s: {_last_words(waiting)}")
        time.sleep(0.5 if waiting else 0)


def _last_words(waiting: list[Server]) -> str:
    tails = "\n".join(f"--- {LOGS / server.name}.log\n{log_tail(server.name)}" for server in waiting)
    return f"{', '.join(server.name for server in waiting)}\n{tails}"


def _end() -> int:
    if not STATE.is_file():
        return 0
    state = _state()
    if alive(state["pid"], state["started"]):
        psutil.Process(state["pid"]).terminate()  # honcho asks its servers to end and waits 5 s
        psutil.wait_procs([psutil.Process(state["pid"])], timeout=1)
    count = _clear_leftovers()
    STATE.unlink(missing_ok=True)
    return count


def _clear_leftovers() -> int:
    """End everything an earlier `up` left: after `make down`, or when honcho itself was killed."""
    if not STATE.is_file():
        return 0
    ours = marked(_state()["mark"])
    stop(ours, grace_s=8)
    stop(marked(_state()["mark"]), grace_s=2)  # what was started meanwhile
    return len(ours)


def running() -> bool:
    """Whether an `up` of this checkout stands."""
    return STATE.is_file() and alive(_state()["pid"], _state()["started"])


def _state() -> dict[str, Any]:
    return dict(json.loads(STATE.read_text()))


def _fingerprint(current: Settings) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in current.model_dump().items()}


def _differences(current: Settings) -> str:
    have, want = _state()["settings"], _fingerprint(current)
    return ", ".join(
        f"XRL_{name.upper()} is {have.get(name)}, asked for {want[name]}"
        for name in want
        if have.get(name) != want[name]
    )


@contextmanager
def _alone() -> Iterator[None]:
    """One `up` or `down` at a time in this checkout; a second waits."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
