"""The little of Airflow's REST API that `make up` and `make demo` need (the CLI costs 5 to 10 s a call)."""

import json
import time
from pathlib import Path
from typing import Any

import requests

from ops.environment import PASSWORDS
from ops.errors import AirflowError

FINISHED = ("success", "failed")
PATIENCE_S = 60.0


class Airflow:
    """One signed-in session; `url` is the api-server's base, e.g. `http://127.0.0.1:4330`."""

    def __init__(self, url: str, passwords: Path = PASSWORDS) -> None:
        self.url = url
        self._passwords = passwords
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: never through a proxy

    def get(self, path: str, **query: Any) -> Any:
        """Parsed JSON of a GET below `/api/v2`."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Parsed JSON of a POST below `/api/v2`."""
        return self._call("POST", path, json=body)

    def wait_for_dags(self, names: set[str], timeout_s: float = 120) -> None:
        """Return once the dag-processor has filed every DAG of `names`; unpause those that are paused."""
        deadline = time.monotonic() + timeout_s
        while True:
            known = {dag["dag_id"]: dag["is_paused"] for dag in self.get("/dags", limit=100)["dags"]}
            if names <= known.keys():
                break
            if time.monotonic() > deadline:
                errors = self.get("/importErrors")["import_errors"]
                raise AirflowError(
                    f"Airflow has no DAG {sorted(names - known.keys())} after {timeout_s:.0f} s; "
                    f"import errors: {[error['stack_trace'][-400:] for error in errors] or 'none'}"
                )
            time.sleep(1)
        for name in sorted(names):
            if known[name]:
                self._call("PATCH", f"/dags/{name}", json={"is_paused": False})

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Create the pool unless it exists; the slots of an existing one are left as the user set them."""
        known = {pool["name"] for pool in self.get("/pools", limit=100)["pools"]}
        if name not in known:
            self.post("/pools", {"name": name, "slots": slots, "description": description})

    def trigger(self, dag: str, conf: dict[str, Any], run_id: str) -> str:
        """Start a run by hand; returns its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        return str(self.post(f"/dags/{dag}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag: str, run_id: str) -> str:
        return str(self.get(f"/dags/{dag}/dagRuns/{run_id}")["state"])

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run, one per mapped task."""
        found: list[dict[str, Any]] = self.get(f"/dags/{dag}/dagRuns/{run_id}/taskInstances", limit=200)[
            "task_instances"
        ]
        return found

    def log_tail(self, task: dict[str, Any], lines: int = 30) -> str:
        """Last lines of a task instance's latest log; empty for one that never ran."""
        if not task["try_number"] or task["state"] == "upstream_failed":
            return ""
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/logs"
        answer = self.get(f"{path}/{task['try_number']}", map_index=task["map_index"], full_content=True)
        content = answer["content"]
        if isinstance(content, str):
            return "\n".join(content.splitlines()[-lines:])
        return "\n".join([str(entry.get("event", entry)) for entry in content][-lines:])

    def run_after_event(self, dag: str, source_run: str) -> str | None:
        """Id of the newest run of `dag` that an asset event of run `source_run` started, or None yet."""
        for run in self.get(f"/dags/{dag}/dagRuns", order_by="-id", limit=10)["dag_runs"]:
            if run["start_date"] is None:  # queued: Airflow 3.3.2 answers 500 about its events
                continue
            path = f"/dags/{dag}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
            events = self.get(path)["asset_events"]
            if any(event["source_run_id"] == source_run for event in events):
                return str(run["dag_run_id"])
        return None

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request; a question is asked again while the api-server restarts, a change never is."""
        deadline = time.monotonic() + (PATIENCE_S if method == "GET" else 0)
        while True:
            try:
                answer = self._request(method, f"{self.url}/api/v2{path}", **arguments)
            except requests.RequestException as error:
                said = str(error)
            else:
                if answer.ok:
                    return answer.json() if answer.content else None
                said = f"{answer.status_code}: {answer.text[:500]}"
                if answer.status_code < 500:
                    deadline = 0
            if time.monotonic() >= deadline:
                raise AirflowError(f"{method} {self.url}/api/v2{path} was answered with {said}")
            time.sleep(1)

    def _request(self, method: str, url: str, **arguments: Any) -> requests.Response:
        if "Authorization" not in self._session.headers:
            self._sign_in()
        answer = self._session.request(method, url, timeout=30, **arguments)
        if answer.status_code == 401:  # the token has expired
            self._sign_in()
            answer = self._session.request(method, url, timeout=30, **arguments)
        return answer

    def _sign_in(self) -> None:
        password = json.loads(self._passwords.read_text())["admin"]
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": "admin", "password": password}, timeout=30
        )
        if not answer.ok:
            raise AirflowError(f"Airflow refused to sign in with {self._passwords}: {answer.status_code}")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
