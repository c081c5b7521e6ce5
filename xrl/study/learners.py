"""Each learner fitted on a fold's training bars, and its probabilities of the test bars.

Enters: a question, an entrant. Leaves: calibrated class probabilities. Scalers, cut-offs and temperatures are
of training bars alone, as in the stage `experts`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.evaluation import calibration
from xrl.experts.windows import window_ends
from xrl.presets import PRESETS, Preset
from xrl.stages.expert_rows import split_tail
from xrl.stages.expert_targets import with_targets
from xrl.study.question import Question
from xrl.study.roster import Entrant

Array = NDArray[np.float64]


class Answer(NamedTuple):
    """Probabilities of the test bars (rows, 3), and the temperature they were divided by, 1 for none."""

    probabilities: Array
    temperature: float


def answer(question: Question, entrant: Entrant, part: str, fold: int, seed: int) -> Answer:
    """Fit one member of `entrant` and predict `question.tested(fold)`.

    Raises:
        TrainingError: training cannot start or diverged.
    """
    source = question.rows(part)
    if entrant.learner == "network":
        return _network(question, part, entrant.preset or PRESETS["lean"], fold, seed)
    from xrl.experts import boosted, linear

    fits = {
        "logistic": linear.fit_predict,
        "lightgbm": boosted.fit_predict,
        "lightgbm_plain": boosted.fit_predict_plain,
    }
    rows = question.scaled(part, fold)
    train = source.training(question.laid[fold])
    test = rows.x[question.tested(fold)]
    return Answer(fits[entrant.learner](rows.x[train], rows.label[train], test, seed), 1.0)


def _network(question: Question, part: str, preset: Preset, fold: int, seed: int) -> Answer:
    from xrl.experts import backend

    backend.prepare()
    from xrl.experts import train

    source, span, window = question.rows(part), question.laid[fold], question.config.experts.window_bars
    learned, held = split_tail(source, source.training(span), question.config.experts.calibration_share)
    rows = with_targets(question.paths, source, question.scaled(part, fold), span, learned, held, (preset,))
    fitted = train.fit_expert(rows, learned, held, preset, window, seed)
    tail = np.flatnonzero(held & window_ends(rows.position, window))
    raw = train.predict(fitted.model, rows, tail, window).probabilities
    temperature = calibration.fit_temperature(raw, rows.label[tail])
    found = train.predict(fitted.model, rows, question.tested(fold), window, temperature)
    return Answer(found.probabilities, temperature)
