"""What a run records of its trainings, read from their files."""

import pandas as pd

from xrl.paths import Paths
from xrl.registry.registration import _artifacts, _curves


def test_every_networks_epochs_become_curves(tmp_path):
    folder = tmp_path / "stages" / "experts" / "1-pattern"
    folder.mkdir(parents=True)
    rows = [
        {
            "member": 0,
            "seed": seed,
            "epoch": epoch,
            "train_loss": 1.0 + seed - epoch / 10,
            "confusion_buy_buy": 9,
        }
        for seed in (3, 4)
        for epoch in (1, 2)
    ]
    pd.DataFrame(rows).to_csv(folder / "history.csv", index=False)
    assert _curves(Paths(tmp_path)) == {
        "training/1-pattern/0-3/train_loss": {1: 3.9, 2: 3.8},
        "training/1-pattern/0-4/train_loss": {1: 4.9, 2: 4.8},
    }


def test_the_backtests_page_and_round_trips_go_with_the_run(tmp_path):
    paths = Paths(tmp_path)
    assert set(_artifacts(paths)) == {"bundle"}
    for path in (paths.report_page, paths.trades_csv):
        path.parent.mkdir(parents=True)
        path.write_text("")
    assert _artifacts(paths)["backtest"] == paths.report_page
    assert _artifacts(paths)["trades"] == paths.trades_csv


def test_a_run_without_networks_has_none(tmp_path):
    assert _curves(Paths(tmp_path)) == {}
