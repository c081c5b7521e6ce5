"""Files that are whole or not there. Enters: a path. Leaves: a place beside it, renamed if all went well."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A sibling of `path`, same suffix, to write to; takes its name afterwards, goes away on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f"part-{path.name}")
    try:
        yield place
        place.replace(path)
    finally:
        place.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, object] | Sequence[object]) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with aside(path) as place:
        place.write_text(json.dumps(content, indent=1) + "\n")
