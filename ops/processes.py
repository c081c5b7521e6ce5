"""Processes that are ours: found by a mark in their environment, so none is missed and no other is touched.

A server's children may leave its process group or lose their parent (Airflow's tasks do both); the mark,
inherited from the `make up` that started them, stays.
"""

import os
import socket
from collections.abc import Callable, Iterable

import psutil

MARK = "XRL_SERVERS"  # which `make up` started it
SERVER = "XRL_SERVER"  # which server of the Procfile it belongs to


def marked(mark: str, name: str = MARK, server: str | None = None) -> list[psutil.Process]:
    """Living processes with variable `name` at `mark` (of one server if named), but its own line."""
    own = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(name) == mark and server in (None, environment.get(SERVER)):
            found.append(process)
    return found


def stop(processes: Iterable[psutil.Process], grace_s: float = 10.0) -> None:
    """Ask every process to end and kill those that have not within `grace_s` seconds."""
    remaining = list(processes)
    for process in remaining:
        _signal(process.terminate)
    _, remaining = psutil.wait_procs(remaining, timeout=grace_s)
    for process in remaining:
        _signal(process.kill)
    psutil.wait_procs(remaining, timeout=5)


def alive(pid: int, started: float) -> bool:
    """Whether `pid` still is the process that started at `started` (Unix seconds), no later namesake."""
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen at `host:port` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> str | None:
    """Who listens at `port`, e.g. `process 4711 (python -m http.server)`; None if unknown."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, PermissionError):
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return f"process {connection.pid} ({_command(connection.pid)})"
    return None


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "unknown"


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
