"""The process environment in one place: what keeps libraries quiet, offline and single-threaded, and `.env`.

Enters: the text of `.env`. Leaves: variables; a variable that is already set always wins.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from xrl.errors import ConfigError

#: No telemetry and no chatter; one thread, because PPO on small matrices is 26 times slower with two.
QUIET: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BENTOML_DO_NOT_TRACK": "True",
        "DVC_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "OMP_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
)


def read_dotenv(path: Path) -> dict[str, str]:
    """Variables of a `.env` file: `NAME=value` lines, `#` comments, optional quotes; empty if there is none.

    Raises:
        ConfigError: a line is none of these; the message names it.
    """
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(
                f"{path}, line {number}: expected NAME=value; received {line!r}. See .env.example"
            )
        values[name.strip()] = _unquoted(value.strip())
    return values


def apply_environment(root: Path, environment: MutableMapping[str, str] | None = None) -> None:
    """Complete the process environment from `root/.env` and `QUIET`; nothing already set is changed."""
    target = os.environ if environment is None else environment
    for name, value in {**QUIET, **read_dotenv(root / ".env")}.items():
        target.setdefault(name, value)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()
