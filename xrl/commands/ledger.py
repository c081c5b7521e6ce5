"""The ledger of recipes that were registered: `xrl ledger`."""

from typing import Annotated

import typer

from xrl.commands.root import here
from xrl.config import load_settings

ledger_app = typer.Typer(no_args_is_help=True, help="Recipes that were tried; the gate counts them.")

_Model = Annotated[
    str | None, typer.Option(help="Registered model, e.g. xrl-planted; default: params.yaml's.")
]


@ledger_app.command("log")
def log(model: _Model = None) -> None:
    """Every registration of the model, oldest first; the chain is checked."""
    from xrl.registry.ledger import read

    config, paths = here()
    lines = read(paths.ledger(model or config.market.model_name))
    for entry, _ in lines:
        adopted = "" if entry.adopted is None else f", written afterwards: {entry.adopted}"
        print(f"{entry.registered_at} recipe {entry.recipe[:12]}, bundle {entry.digest[:12]}{adopted}")
    recipes = len({line.entry.recipe for line in lines})
    print(
        f"{len(lines)} registrations of {recipes} recipes, newest hash {lines[-1].hash}"
        if lines
        else "no ledger"
    )


@ledger_app.command("adopt")
def adopt(
    reason: Annotated[str, typer.Option(help="Why lines are written afterwards; it is logged.")],
    model: _Model = None,
) -> None:
    """Enter what the tracking store holds and the ledger does not; every later decision says so."""
    from xrl.registry.adoption import adopt
    from xrl.registry.store import Store

    config, paths = here()
    name = model or config.market.model_name
    made = adopt(Store(load_settings().tracking_url), name, paths.ledger(name), reason)
    print(f"{len(made)} lines added to {paths.ledger(name)}")
