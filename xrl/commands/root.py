"""Where a command runs: the parameters and paths of the current folder."""

from pathlib import Path

from xrl.config import Config, load_config
from xrl.paths import Paths


def here() -> tuple[Config, Paths]:
    """params.yaml and the paths below the current folder.

    Raises:
        ConfigError: there is no params.yaml, or it is refused.
    """
    paths = Paths(Path.cwd())
    return load_config(paths.params), paths
