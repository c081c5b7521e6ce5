"""One account: margin, fees, funding and liquidation of one bar."""
