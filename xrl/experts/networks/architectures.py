"""Which network a preset names. Enters: the shape of a network. Leaves: its body."""

from xrl.errors import ConfigError
from xrl.experts.networks import stack
from xrl.experts.networks.body import Body
from xrl.presets import Network


def body_of(shape: Network) -> Body:
    """A fresh body of the named architecture, its weights still to be built.

    Args:
        shape: widths, dropouts and options; `Network.architecture` chooses.
    """
    match shape.architecture:
        case "xlstm":
            return stack.xlstm(shape)
        case _:
            raise ConfigError(
                f"`network.architecture` {shape.architecture!r} has no body yet; choose `xlstm`"
            )
