"""What a training shows: one line an epoch, one bar a network, silence where nobody looks."""

from xrl.commands.training import TrainingProgress, epoch_line

RECORD = {
    "epoch": 2.0,
    "train_loss": 1.051,
    "validation_loss": 1.092,
    "validation_f1": 0.387,
    "validation_f1_sell": 0.4,
    "validation_f1_hold": 0.35,
    "validation_f1_buy": 0.41,
    "predicted_sell": 0.33,
    "predicted_hold": 0.3,
    "predicted_buy": 0.37,
    "collapsed": 0.0,
}


def test_a_line_holds_losses_f1_by_class_and_what_is_called():
    said = "epoch 2/3 loss 1.051, held out 1.092, F1 0.387 (0.40 0.35 0.41), calls 33 30 37 %"
    assert epoch_line(RECORD, 3) == said


def test_a_collapse_is_shouted():
    assert epoch_line(RECORD | {"collapsed": 1.0}, 3).endswith("COLLAPSED")


def test_without_held_out_bars_the_line_is_shorter():
    own = {name: value for name, value in RECORD.items() if not name.startswith("validation")}
    assert epoch_line(own, 3) == "epoch 2/3 loss 1.051, calls 33 30 37 %"


def test_another_network_gets_another_bar():
    with TrainingProgress("0-pattern") as shown:
        for epoch in (1, 2, 1, 2):
            shown(RECORD | {"epoch": float(epoch)}, 2)
        described = [task.description for task in shown._bar.tasks]
    assert [text.split(" epoch")[0] for text in described] == ["0-pattern network 1", "0-pattern network 2"]
    assert all(task.finished for task in shown._bar.tasks)


def test_nothing_is_printed_into_a_file(capsys):
    with TrainingProgress("0-pattern") as shown:
        shown(RECORD, 3)
    assert capsys.readouterr().out == ""
