"""DVC experiments in a repository of their own: one stage, one experiment a recipe.

Enters: a folder, recipes by name. Leaves: the folder as a Git and DVC repository whose `dvc exp show` lists
every recipe with its parameters and figures. The user's checkout, its params.yaml and its history are never
touched. A recipe that was measured is not measured again, unless it, the code or the data changed.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from xrl.errors import ConfigError
from xrl.presets import Preset
from xrl.stages.aside import aside, write_json
from xrl.study.cells import code_digest

log = logging.getLogger(__name__)

#: What the stage writes: DVC's metrics of an experiment.
FIGURES: Final = "figures.json"
_DVC: Final = (sys.executable, "-m", "dvc")


class Experiments:
    """The repository at `root`.

    Args:
        root: its folder; made if it is not there.
        study: what decides a figure beside the recipe: seeds, folds, columns, tables.

    Raises:
        ConfigError: Git or DVC refuse.
    """

    def __init__(self, root: Path, study: Mapping[str, Any]) -> None:
        self.root = root.resolve()
        self.study = {**study, "code": code_digest()}
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".git").is_dir():
            self._run("git", "init", "--quiet", "--initial-branch=main")
            self._run(*_DVC, "init", "--quiet")

    def baseline(self, name: str, recipe: Preset) -> None:
        """Commit what every experiment departs from."""
        _write(self.root / ".gitignore", "/cells/\n/data/\n/done/\n/study.json\n/built.json\n")
        _write(self.root / "params.yaml", yaml.safe_dump(self._params(name, recipe), sort_keys=False))
        command = f"{sys.executable} -m xrl ablate --measure"
        stage = {
            "cmd": command,
            "params": ["variant", "study", "recipe"],
            "metrics": [{FIGURES: {"cache": False}}],
        }
        _write(
            self.root / "dvc.yaml", yaml.safe_dump({"stages": {"measure": stage}}, sort_keys=False, width=200)
        )
        self._run("git", "add", "--all")
        if self._run("git", "status", "--porcelain").strip():
            who = ("-c", "user.name=xrl", "-c", "user.email=xrl@localhost")
            self._run("git", *who, "commit", "--quiet", "--message", "What the experiments depart from")

    def measured(self, name: str, recipe: Preset) -> dict[str, Any] | None:
        """The figures of the very same recipe, if it was measured."""
        record = self.root / "done" / f"{name}.json"
        if not record.is_file():
            return None
        found = json.loads(record.read_text())
        same = found["params"] == json.loads(json.dumps(self._params(name, recipe)))
        return dict(found["figures"]) if same else None

    def measure(self, name: str, recipe: Preset) -> dict[str, Any]:
        """Run `recipe` as the experiment `name` and return its figures.

        Raises:
            ConfigError: the stage failed; what it said stands above.
        """
        params = self._params(name, recipe)
        for left in (self.root / FIGURES, self.root / "dvc.lock"):
            left.unlink(missing_ok=True)
        self._run("git", "checkout", "--quiet", "--", ".")
        if name in self._run(*_DVC, "exp", "list", "--name-only").split():
            self._run(*_DVC, "exp", "remove", name)
        given = _changes(yaml.safe_load((self.root / "params.yaml").read_text()), params)
        settings = [text for key, value in given.items() for text in ("--set-param", f"{key}={_text(value)}")]
        self._run(*_DVC, "exp", "run", "--name", name, *settings, shown=True)
        figures: dict[str, Any] = json.loads((self.root / FIGURES).read_text())
        write_json(self.root / "done" / f"{name}.json", {"params": params, "figures": figures})
        return figures

    def _params(self, name: str, recipe: Preset) -> dict[str, Any]:
        return {"variant": name, "study": self.study, "recipe": recipe.model_dump(mode="json")}

    def _run(self, *command: str, shown: bool = False) -> str:
        """What a command prints; `shown`: straight to the log, as the stage says it."""
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=not shown, text=True, check=False
        )
        if done.returncode != 0:
            said = "see above" if shown else (done.stderr or done.stdout).strip()
            raise ConfigError(f"`{' '.join(command[:6])}` failed in {self.root}: {said}")
        return "" if shown else done.stdout


def _changes(base: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys of `wanted` whose value differs from that of `base`."""
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        own = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _changes(base[key], value, f"{own}.")
        elif base[key] != value:
            found[own] = value
    return found


def _text(value: Any) -> str:
    """A value as `--set-param` reads it: YAML on one line, null spelled out."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        with aside(path) as place:
            place.write_text(text)
