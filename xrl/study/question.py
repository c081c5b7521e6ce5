"""What is predicted, on which rows: features and labels of one question, and what one part of a model sees.

Enters: a checkout's stages, or files of candles. Leaves: a folder of stages that later runs find again, rows.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import xrl
from xrl import columns, imports
from xrl.config import Config
from xrl.errors import ConfigError
from xrl.experts.windows import Rows
from xrl.labels import folds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.stages import from_files
from xrl.stages.aside import write_json
from xrl.stages.expert_rows import ExpertRows, read_groups
from xrl.study.roster import ALL

#: Labels by name: what differs from params.yaml's `labels`. The barrier is the easiest question known.
LABELS: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "barrier": {"kind": "triple_barrier", "barrier": 1.5, "barrier_unit": "percent", "horizon_bars": 6},
}

#: Key of `built.json`: the code that the tables were built by.
_CODE: Final = "code"


class Files(NamedTuple):
    """Candles to build from: folder, first bar (None: all) and close of the last (None: what all have)."""

    folder: Path
    start: pd.Timestamp | None
    end: pd.Timestamp | None


@dataclass(frozen=True)
class Question:
    """One label on one table of features.

    Attributes:
        name: key of `LABELS`.
        config: with this label's section.
        paths: where its stages lie.
        laid: the folds.
    """

    name: str
    config: Config
    paths: Paths
    laid: tuple[Fold, ...]

    def rows(self, part: str) -> ExpertRows:
        """What the part `pattern`, `indicator` or `all` reads of every bar; kept in memory once read."""
        return _rows(self.paths, part)

    def scaled(self, part: str, fold: int) -> Rows:
        """The same rows scaled by the fold's training bars and labelled by its cut-offs; kept a while."""
        return _scaled(self.paths, part, self.laid[fold])

    def tested(self, fold: int) -> NDArray[np.int64]:
        """Row numbers of the fold's test bars that every part can predict."""
        return self.rows(ALL).testing(self.laid[fold], self.config.experts.window_bars)


def asked(name: str, config: Config, checkout: Paths, root: Path, files: Files | None) -> Question:
    """The question called `name`, built below `root` unless a former run of today's code has.

    Args:
        name: key of `LABELS`.
        config: of the checkout, with the symbols and test spans wanted.
        checkout: whose stages are read without `files`.
        root: folder of the study.
        files: candles to build from; None: the stages of the checkout, which know one label alone.

    Raises:
        ConfigError: the folder holds another study.
        DataError, ExchangeError: files or stages are missing.
    """
    if files is None:
        if name != "default":
            raise ConfigError(f"the label `{name}` is built from files; name their folder with `--data`")
        laid = folds.load(checkout.folds)[0]
        _same_study(root, checkout, config)
        return Question(name, config, checkout, laid)
    own = config.model_copy(update={"labels": config.labels.model_copy(update=LABELS[name])})
    paths = Paths(root / "data" / name)
    record = paths.root / "built.json"
    about, former = _about(own, files), json.loads(record.read_text()) if record.is_file() else None
    if former is None or _by_other_code(former, about):
        from_files.run(own, files.folder, paths, files.start, files.end)
        write_json(record, about)
    elif former != about:
        raise ConfigError(
            f"{root} holds a study of other data or labels; choose another `--out` or remove it"
        )
    return Question(name, own, paths, folds.load(paths.folds)[0])


def _about(config: Config, files: Files) -> dict[str, Any]:
    """What a study's tables are made of, as plain JSON."""
    names = [f"binance_perp_{symbol}_1h.parquet" for symbol in config.market.symbols]
    sizes = {name: (files.folder / name).stat().st_size for name in names if (files.folder / name).is_file()}
    found = {
        "symbols": config.market.symbols,
        "features": config.features.model_dump(mode="json"),
        "labels": config.labels.model_dump(mode="json"),
        "window_bars": config.experts.window_bars,
        "span": [str(files.start), str(files.end)],
        "bytes": sizes,
        _CODE: _code_digest(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def _by_other_code(former: dict[str, Any], today: dict[str, Any]) -> bool:
    """Whether tables are of the same study and only the code that built them has changed."""
    return former.get(_CODE) != today[_CODE] and former | {_CODE: today[_CODE]} == today


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """SHA-256 over the code that builds a study's tables."""
    built_by = imports.closure(
        [from_files.__name__], lambda top: Path(xrl.__file__) if top == xrl.__name__ else None
    )
    return hashlib.sha256(b"\0".join(file.read_bytes() for _, file in sorted(built_by.items()))).hexdigest()


def _same_study(root: Path, paths: Paths, config: Config) -> None:
    """Refuse a folder whose cells were computed from other stages."""
    tables = (paths.features, paths.labels, paths.folds)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in tables if path.is_file())).hexdigest()
    record = root / "built.json"
    about = {"tables": digest, "symbols": list(config.market.symbols)}
    if not record.is_file():
        write_json(record, about)
    elif json.loads(record.read_text()) != about:
        raise ConfigError(f"{root} holds a study of other stages; choose another `--out` or remove it")


@lru_cache(maxsize=4)
def _rows(paths: Paths, part: str) -> ExpertRows:
    return read_groups(paths, columns.EXPERTS if part == ALL else (part,))


@lru_cache(maxsize=2)
def _scaled(paths: Paths, part: str, fold: Fold) -> Rows:
    return _rows(paths, part).scaled(fold)[0]
