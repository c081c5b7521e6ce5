"""`python -m ops up | down | status | demo`: what the Makefile calls. It prints."""

import argparse
import os
import signal
import sys
from pathlib import Path

from ops.environment import LOGS, PASSWORDS, settings
from xrl.errors import XrlError


def main() -> int:
    """Exit code 0; 1 with one clear message for a user's mistake; 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status"):
        commands.add_parser(name)
    demo = commands.add_parser("demo")
    demo.add_argument(
        "--world",
        choices=["planted", "random_walk", "replay"],
        help="this world alone; without it planted, then random_walk",
    )
    demo.add_argument("--data", type=Path, help="folder of candles for --world replay")
    demo.add_argument("--days", type=int)
    demo.add_argument("--as-of")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ending a demo ends the servers it started
    try:
        return _run(arguments)
    except XrlError as error:
        print(f"xrl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "demo":
        return _demo(arguments)
    from ops import servers

    current = settings()
    if arguments.command == "up":
        print("up" if servers.up(current) else "already up")
        print(f"  Airflow  {current.airflow_url}   user admin, password in {PASSWORDS}")
        print(f"  MLflow   {current.tracking_url}")
        print(f"  service  {current.service_url}")
        print(f"  sandbox  {current.sandbox_url}   logs in {LOGS}")
    elif arguments.command == "down":
        count = servers.down()
        print(f"stopped {count} processes" if count else "nothing to stop")
    else:
        for server, state in servers.status(current):
            print(f"{server.name:<22} {state:<10} {f'port {server.port}' if server.port else ''}")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from ops import servers
    from ops.demo import Demo, run

    if arguments.data is not None:
        os.environ["XRL_REPLAY_DIR"] = str(arguments.data.resolve())
    if arguments.world is not None and not servers.running():
        os.environ["XRL_SERVE_MARKET"] = arguments.world
    return run(settings(), Demo(arguments.world, arguments.days, arguments.as_of))


if __name__ == "__main__":
    sys.exit(main())
