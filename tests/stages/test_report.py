"""The page opens offline and says what was measured."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from xrl import columns as c
from xrl.errors import DataError
from xrl.pages import page
from xrl.paths import Paths
from xrl.stages import report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
#: So that the browser itself is quiet; what the page asks for is counted by the page.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
]


@pytest.fixture(scope="module")
def written(walked: Any) -> str:
    report.run(*walked)
    return walked.paths.report_page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures(written: str) -> dict[str, Any]:
    begin = written.index("const figures = ") + len("const figures = ")
    return json.loads(written[begin : written.index(";\nconst charts", begin)])


def test_nothing_is_asked_of_a_network(written: str) -> None:
    own = written.replace(get_plotlyjs(), "")
    assert len(own) < len(written) - 4_000_000
    assert "http" not in own
    assert "src=" not in own
    assert "@import" not in own
    assert "{{" not in own  # every place was filled


def test_the_page_stays_small(written: str) -> None:
    assert len(written.encode()) < len(get_plotlyjs().encode()) + 1_000_000


def test_the_page_says_what_the_metrics_say(walked: Any, written: str) -> None:
    found = json.loads(walked.paths.metrics.read_text())
    assert f"{found['trading']['sharpe']['value']:.2f}" in written
    assert f"{found['trading']['max_drawdown']:.1%}" in written
    for name in ("committee threshold", "random timing, same turnover", "volatility only", "without funding"):
        assert name in written
    exits = found["trading"]["exits"]
    assert f"{exits['signal']:,.0f} by signal" in written
    assert "Hand-picked symbols that survived are not the market" in written


def test_every_plot_has_its_place_and_its_data(walked: Any, written: str, figures: dict[str, Any]) -> None:
    assert set(figures) == {"equity", "months", "ratios", "sources", "actions", "sides", "prices"}
    for name in set(figures) - {"prices"}:
        assert f'data-plot="{name}"' in written
    trades = pd.read_parquet(walked.paths.trades)
    noted = {symbol: chart["note"]["trades"] for symbol, chart in figures["prices"].items()}
    assert noted == {
        symbol: int((trades[c.SYMBOL] == symbol).sum()) for symbol in walked.config.market.symbols
    }
    ours = figures["equity"]["data"][-2]
    returns = pd.read_parquet(walked.paths.returns)
    assert ours["y"][-1] == pytest.approx(returns["policy"].iloc[-1], rel=1e-4)


def test_money_in_the_plot_is_money_in_the_metrics(walked: Any, figures: dict[str, Any]) -> None:
    net = next(trace for trace in figures["sources"]["data"] if trace["name"] == "net")
    found = json.loads(walked.paths.metrics.read_text())
    assert net["y"][-1] == pytest.approx(100.0 * found["trading"]["total_return"], rel=1e-4)


def test_names_are_escaped(walked: Any) -> None:
    shown = page.Shown(
        market="<b>&",
        found=json.loads(walked.paths.metrics.read_text()),
        returns=pd.read_parquet(walked.paths.returns),
        track=pd.read_parquet(walked.paths.track),
        trades=pd.read_parquet(walked.paths.trades),
        bars=pd.read_parquet(walked.paths.bars),
        checks=(),
    )
    assert "<b>&" not in page.html(shown)
    symbol = "</script>"
    renamed = replace(shown, track=shown.track.assign(**{c.SYMBOL: symbol}))
    assert page.html(renamed).count(symbol) == page.html(shown).count(symbol)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"prediction": {"f1_macro": {"value": 0.9}}}, "alarm f1 macro"),
        ({"prediction": {"null_f1": 0.9}}, "null f1"),
        ({"trading": {"time_long": 1.0, "time_short": 0.0, "time_in_market": 1.0}}, "side share"),
        ({"trading": {"time_long": 0.0, "time_short": 0.0, "time_in_market": 0.0}}, "side share"),
    ],
)
def test_what_is_too_good_and_who_is_constant_is_called_so(
    walked: Any, tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    shutil.copytree(walked.paths.root / "stages", tmp_path / "stages")
    paths = Paths(tmp_path)
    found = json.loads(paths.metrics.read_text())
    for section, figures in change.items():
        for key, figure in figures.items():
            found[section][key] = {**found[section][key], **figure} if isinstance(figure, dict) else figure
    paths.metrics.write_text(json.dumps(found))
    report.run(walked.config, paths)
    verdict = paths.report_page.read_text().split('class="verdict alarmed"')[1][:400]
    assert name in verdict


def test_it_raises_no_alarm_of_another_label_and_believes_no_ceiling_that_nothing_stands_behind(
    walked: Any,
) -> None:
    found = json.loads(walked.paths.metrics.read_text())
    found["prediction"]["f1_macro"]["value"] = 0.9
    found["ceiling"] = {"f1_macro": 0.99, "direction_accuracy": 0.99, "sharpe": 100.0}
    labels = walked.config.labels.model_copy(update={"kind": "raw_percentile"})
    market = walked.config.market.model_copy(update={"world": "random_walk"})

    def alarmed(**sections: Any) -> bool:
        made = report._checked(found, walked.config.model_copy(update=sections))
        return any(check["name"] == "alarm_f1_macro" and not check["passed"] for check in made)

    assert not alarmed()  # the planted world has its own bounds
    assert alarmed(market=market)
    assert not alarmed(market=market, labels=labels)


def test_without_a_backtest_it_says_what_to_run(walked: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="xrl backtest"):
        report.run(walked.config, Paths(tmp_path))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page with")
def test_a_browser_draws_it_without_a_request(written: str, tmp_path: Path) -> None:
    counted = (
        "<script>document.title = performance.getEntriesByType('resource').length + ' requests'</script>"
    )
    place = tmp_path / "page.html"
    place.write_text(written.replace("</html>", f"{counted}</html>"), encoding="utf-8")
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", place.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "<title>0 requests</title>" in dom
    assert 'data-drawn="yes"' in dom
    assert dom.count('class="plot js-plotly-plot"') == 7
