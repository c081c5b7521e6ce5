"""What the xLSTM stack is made of, and what it refuses."""

import pytest
from keras import ops

from xrl.errors import ConfigError
from xrl.experts.model import build_expert
from xrl.experts.networks.architectures import body_of
from xrl.presets import Network


@pytest.mark.parametrize(
    "option", [{"blocks": "ms"}, {"norm": "batch"}, {"residual": False}, {"dropout_mask": "window"}]
)
def test_an_option_that_the_blocks_do_not_have_is_refused(option: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"network.{next(iter(option))}"):
        body_of(Network(**option))


def names(**shape: object) -> set[str]:
    return {layer.name for layer in build_expert(3, 8, Network(units=4, memory_size=4, **shape)).last.layers}


def test_attention_stands_between_blocks() -> None:
    assert {name for name in names(blocks="mmm", attention=True) if name.startswith("attention")} >= {
        "attention_1",
        "attention_2",
    }
    assert not {name for name in names(blocks="mmm") if name.startswith("attention")}


@pytest.mark.parametrize("stem", [True, False])
def test_the_linear_stem_is_in_the_embedding_or_left_out(stem: bool) -> None:
    shape = Network(units=4, memory_size=4, stem=stem)
    logits, embedding = build_expert(3, 8, shape).last(ops.ones((2, 8, 3)))
    assert (logits.shape, embedding.shape) == ((2, 3), (2, 256))
    assert ("beside_stem" in names(stem=stem)) is stem
