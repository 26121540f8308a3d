"""Commands as the command line runs them."""

from __future__ import annotations

import argparse


def call(command: object, *arguments: str) -> int:
    """The exit status of a command with some arguments."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)  # type: ignore[attr-defined]
    return command.run(parser.parse_args([str(a) for a in arguments]))  # type: ignore[attr-defined]
