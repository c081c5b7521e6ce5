"""A version of a registered model and its aliases. No vendor here: the server reads it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str
    number: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Digest of its bundle."""
        return self.tags.get("digest", "")

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"
