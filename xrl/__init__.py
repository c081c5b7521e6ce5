"""xrl: from candle to served decision. See docs/ for the house and its laws."""

__version__ = "0.1.0"
