"""Which network a preset names. Enters: the shape of a network. Leaves: its body."""

from xrl.experts.networks.body import Body
from xrl.experts.networks.cnn_lstm import cnn_lstm
from xrl.experts.networks.lstm import lstm
from xrl.experts.networks.stack import xlstm
from xrl.experts.networks.transformer import transformer
from xrl.presets import Network


def body_of(shape: Network) -> Body:
    """A fresh body of the named architecture, its weights still to be built.

    Args:
        shape: widths, dropouts and options; `Network.architecture` chooses.

    Raises:
        ConfigError: a width does not suit the architecture.
    """
    match shape.architecture:
        case "xlstm":
            return xlstm(shape)
        case "lstm":
            return lstm(shape)
        case "cnn_lstm":
            return cnn_lstm(shape)
        case "transformer":
            return transformer(shape)
