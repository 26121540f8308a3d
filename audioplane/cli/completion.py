"""Prints what a shell needs to complete the commands of audioplane and their options.

    audioplane completion bash > ~/.local/share/bash-completion/completions/audioplane

For zsh, put the output into a file `_audioplane` of a folder in $fpath.
"""

from __future__ import annotations

import argparse

NAME = "completion"
HELP = "print the completion script of a shell"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")


def run(args: argparse.Namespace) -> int:
    """Prints; returns the exit status."""
    import shtab

    from audioplane import cli

    parser, _ = cli.make_parser(list(cli.COMMANDS))
    print(shtab.complete(parser, args.shell))
    return 0
