import pandas as pd
from matplotlib.image import imread

from xrl.experts.plots import draw_training


def _history(seed: int, held: bool) -> pd.DataFrame:
    epoch = [1, 2, 3]
    own = {"epoch": epoch, "train_loss": [1.1, 1.05, 1.02], "learning_rate": [2e-3, 1e-3, 0.0], "seed": seed}
    own |= {f"predicted_{name}": [0.3, 0.35, 0.33] for name in ("sell", "hold", "buy")}
    if held:
        own |= {"validation_loss": [1.1, 1.09, 1.08 + seed / 100], "validation_f1": [0.3, 0.36, 0.38]}
        own |= {f"validation_f1_{name}": [0.3, 0.35, 0.4] for name in ("sell", "hold", "buy")}
    return pd.DataFrame(own)


def test_a_picture_of_several_networks_is_drawn_and_the_same_twice(tmp_path):
    history = pd.concat([_history(seed, held=True) for seed in range(3)])
    for name in "ab":
        draw_training(history, tmp_path / f"{name}.png", "fold 0, pattern")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = imread(tmp_path / "a.png")
    assert picture[..., :3].std() > 0.05  # something is drawn


def test_a_training_that_holds_nothing_back_has_a_picture(tmp_path):
    draw_training(_history(0, held=False).drop(columns="seed"), tmp_path / "a.png", "refit")
    draw_training(_history(0, held=True), tmp_path / "b.png", "refit")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
