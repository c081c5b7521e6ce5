"""The one feature builder of training, backtest and server."""
