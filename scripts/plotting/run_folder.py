"""What a run left in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path

import xarray

# One colour a system in every plot (Okabe and Ito's palette, told apart by the colour-blind).
COLOURS = {
    "persistence": "#888888",
    "coarse": "#E69F00",
    "hybrid": "#0072B2",
    "emulator": "#009E73",
    "fine": "#222222",
}
FIELD_NAMES = {"h": "depth h", "u": "eastward wind u", "v": "northward wind v", "wind": "wind", "speed": "wind speed"}
FIELD_UNITS = {"h": "m", "u": "m/s", "v": "m/s", "wind": "m/s", "speed": "m/s"}


@dataclass
class Plot:
    """A picture and what it shows."""

    path: Path
    title: str
    caption: str


class RunFolder:
    """Reads what is there; what is not is None or empty."""

    def __init__(self, folder):
        self.path = Path(folder)
        self.summary = self._json("summary.json")
        self.metrics = self._metrics()
        deck = self.path / "deck.yaml"
        self.deck = deck.read_text() if deck.exists() else ""

    def _json(self, name):
        file = self.path / name
        return json.loads(file.read_text()) if file.exists() else None

    def _metrics(self):
        file = self.path / "metrics.jsonl"
        lines = []
        if file.exists():
            for line in file.read_text().splitlines():
                try:
                    lines.append(json.loads(line))
                except json.JSONDecodeError:
                    pass  # the last line of a killed run
        return lines

    def dataset(self, name):
        """An open data set, or None; times stay numbers."""
        file = self.path / name
        return xarray.open_dataset(file, engine="netcdf4", decode_times=False) if file.exists() else None

    def series(self, kind, x, y):
        """Two lists from the metrics lines of a kind that have both values; `y` may be a tuple of names to try."""
        names = (y,) if isinstance(y, str) else y
        pairs = []
        for line in self.metrics:
            if line.get("kind") == kind and line.get(x) is not None:
                value = next((line[name] for name in names if line.get(name) is not None), None)
                if value is not None:
                    pairs.append((line[x], value))
        return [p[0] for p in pairs], [p[1] for p in pairs]
