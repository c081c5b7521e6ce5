"""Servers: loopback only, a taken port is named with its holder, another's processes are never touched."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ops import airflow_home, environment, servers
from ops.errors import ServerError
from ops.processes import MARK, alive, marked, port_holder, stop
from xrl.config import Settings
from xrl.environment import QUIET

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_taken_port_names_holder_and_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError) as refusal:
            servers.check_ports(Settings(mlflow_port=port, sandbox_port=port + 1))
        assert f"process {os.getpid()}" in str(port_holder(port))

    for word in (str(port), "mlflow", f"process {os.getpid()}", "XRL_MLFLOW_PORT"):
        assert word in str(refusal.value)


def test_every_server_of_the_settings_is_in_the_procfile() -> None:
    lines = (environment.ROOT / "Procfile").read_text().splitlines()
    named = [line.split(":")[0] for line in lines if line and not line.startswith("#")]
    assert [server.name for server in servers.servers(Settings())] == named


def test_another_tracking_server_means_none_of_ours() -> None:
    names = [server.name for server in servers.servers(Settings(mlflow_url="http://elsewhere:5000"))]
    assert "mlflow" not in names


def test_servers_get_a_quiet_environment_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/another/installation")
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://shared")
    environment.apply_environment(environment.ROOT)

    found = environment.server_environment(Settings(airflow_port=5330))

    assert found["AIRFLOW_HOME"] == str(environment.VAR / "airflow")
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:5330/execution/"
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://shared"
    assert found.items() >= {name: os.environ[name] for name in QUIET}.items()
    assert found["PATH"].startswith(str(Path(sys.executable).parent))


def test_passwords_are_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "passwords.json"
    monkeypatch.setattr(airflow_home, "PASSWORDS", path)

    airflow_home.make_passwords()
    first = path.read_text()
    airflow_home.make_passwords()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(first)) == {"admin", "viewer"}
    assert path.read_text() == first


def test_only_marked_processes_are_found_and_stopped_with_their_orphans() -> None:
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    ours = {**os.environ, MARK: "test-mark"}
    subprocess.run([sys.executable, "-c", parent, *SLEEPER], env=ours, check=True)  # leaves an orphan
    stranger = subprocess.Popen(SLEEPER)
    try:
        found = marked("test-mark")
        assert len(found) == 1
        stop(found, grace_s=5)
        assert marked("test-mark") == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_later_process_of_the_same_number_is_not_ours() -> None:
    started = psutil.Process().create_time()
    assert alive(os.getpid(), started)
    assert not alive(os.getpid(), started - 100)


def _keep(tmp_path: Path, program: str) -> "subprocess.Popen[str]":
    runner = (
        "import sys, pathlib, ops.keep as keep\n"
        f"keep.LOGS = pathlib.Path({str(tmp_path)!r}); keep.LIMIT = 3\n"
        f"sys.exit(keep.main('t', [sys.executable, '-c', {program!r}]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", runner],
        cwd=environment.ROOT,
        env={**os.environ, MARK: f"keep-{tmp_path.name}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_server_that_dies_is_started_again_until_it_keeps_dying(tmp_path: Path) -> None:
    with _keep(tmp_path, "import sys; print('hello', flush=True); sys.exit(7)") as keeper:
        said, _ = keeper.communicate(timeout=30)

    assert keeper.returncode == 7
    assert said.count("starting it again") == 3
    assert "giving up" in said
    assert (tmp_path / "t.log").read_text().count("\nhello\n") == 3


def test_ending_the_keeper_ends_its_server(tmp_path: Path) -> None:
    with _keep(tmp_path, "import time; print('up', flush=True); time.sleep(60)") as keeper:
        log = tmp_path / "t.log"
        _until(lambda: log.exists() and "up" in log.read_text().splitlines())
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(timeout=10) == 0

    assert marked(f"keep-{tmp_path.name}") == []


def _until(holds: object, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            pytest.fail("did not happen in time")
        time.sleep(0.05)
