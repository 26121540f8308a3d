"""The `audioplane` command.

Each command is a module with `NAME`, `HELP`, `add_arguments(parser)` and `run(args) -> int`, listed in
`COMMANDS` and imported only when it is called (or when the list of commands is printed); it imports heavy
things inside `run`.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from audioplane import __version__
from audioplane.errors import UserError
from audioplane.runtime import extras, limits, memory

# In the order in which `audioplane --help` shows them: command -> its module.
COMMANDS = {
    "demo": "audioplane.cli.demo",
    "speakers": "audioplane.cli.speakers",
    "prepare": "audioplane.cli.prepare",
    "subject": "audioplane.cli.subject",
    "train": "audioplane.cli.train",
    "train-torso": "audioplane.cli.train_torso",
    "speak": "audioplane.cli.speak",
    "export": "audioplane.cli.export",
    "evaluate": "audioplane.cli.evaluate",
    "train-sync": "audioplane.cli.train_sync",
    "train-av": "audioplane.cli.train_av",
    "train-phonetic": "audioplane.cli.train_phonetic",
    "reproduce": "audioplane.cli.reproduce",
    "figures": "audioplane.cli.figures",
    "doctor": "audioplane.cli.doctor",
    "fetch": "audioplane.cli.fetch",
    "completion": "audioplane.cli.completion",
}

EXIT_STATUS = """exit status: 0 it is done; 1 it failed, or what was checked is not well; 2 you have something to do: a
wrong argument, a missing file or package; 130 it was interrupted. AUDIOPLANE_LOG=debug, info, warning or error says how
much is logged (to standard error, default warning)."""
LEVELS = ("debug", "info", "warning", "error")

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EROFS, errno.EFBIG)
"""A full disk, a full pipe that does not wait, a place that is read-only."""

NO_MEMORY = (
    *("can't allocate memory", "not enough memory", "can't start new thread", "out of memory", "bad_alloc"),
    "could not create a primitive",
)
"""What torch and threads say in a RuntimeError when the memory is short."""

DESCRIPTION = "Talking heads from Gaussian splatting: papers of the field, re-run from scratch."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 well, 1 a failure, 2 the user has something to do."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments and arguments[0] in COMMANDS:
        parser, modules = make_parser(arguments[:1])
    else:
        parser, modules = make_parser(list(COMMANDS))
    args = parser.parse_args(arguments)
    output: Any = sys.stdout
    if hasattr(output, "reconfigure"):  # file names may be no UTF-8
        output.reconfigure(errors="backslashreplace")
    interrupts = _Interrupts()
    try:
        _log_as_asked()
        memory.check_room()
        if getattr(args, "seed", None) is not None:
            limits.between("--seed", args.seed, 0, 2**63 - 1)
        status = modules[args.command].run(args)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or pipe still becomes a sentence
        return status
    except UserError as error:
        print(f"audioplane {args.command}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        needed = extras.advice(error)
        if needed is None:
            raise
        print(f"audioplane {args.command}: {needed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _interrupted(args.command)
    except BrokenPipeError:  # the reader (`| head`) has gone
        _let_go_of_output()
        return 1
    except (MemoryError, RuntimeError) as error:
        if interrupts.came:
            return _interrupted(args.command)
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in NO_MEMORY):
            raise
        print(f"audioplane {args.command}: there is not enough memory for this; take less of it", file=sys.stderr)
        return 1
    except OSError as error:
        if interrupts.came:
            return _interrupted(args.command)
        if error.errno is None:  # raised by a program, not by the system
            raise
        if not error.filename:
            _let_go_of_output()
        place = f"{error.filename} " if error.filename else "the output "
        what = f"{place}cannot be {'written' if error.errno in CANNOT_WRITE else 'used'}: {os.strerror(error.errno)}"
        with contextlib.suppress(OSError, ValueError):  # standard error may be closed too
            print(f"audioplane {args.command}: {what}", file=sys.stderr)
        return 1
    except Exception:
        if interrupts.came:
            return _interrupted(args.command)
        raise


class _Interrupts:
    """Remembers whether Ctrl-C came: libraries turn the exception that it is into others.

    What a library calls back from its own code, such as a compiler that has finished a kernel, cannot pass the
    exception on: Python would print and forget it. It is then raised again a moment later.
    """

    def __init__(self) -> None:
        self.came = False
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._otherwise, sys.unraisablehook = sys.unraisablehook, self._forgotten

    def _note(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt

    def _forgotten(self, error: Any) -> None:
        if not (self.came and issubclass(error.exc_type, KeyboardInterrupt)):
            self._otherwise(error)
            return
        again = threading.Timer(0.05, _thread.interrupt_main)
        again.daemon = True
        again.start()


def _interrupted(command: str) -> int:
    print(f"\naudioplane {command}: interrupted", file=sys.stderr)
    return 130


def _let_go_of_output() -> None:
    """Keeps the interpreter from complaining once more while it shuts down."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_parser(commands: Sequence[str]) -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """The parser of some commands, and their modules."""
    parser = argparse.ArgumentParser(prog="audioplane", description=DESCRIPTION, epilog=EXIT_STATUS)
    parser.add_argument("--version", action="version", version=f"audioplane {__version__}")
    listing: Any = parser.add_subparsers(dest="command", metavar="command", required=True)
    modules = {name: import_module(COMMANDS[name]) for name in commands}
    for name, module in modules.items():
        module.add_arguments(listing.add_parser(name, help=module.HELP, description=_opening(module)))
    return parser, modules


def _log_as_asked() -> None:
    """Sets how much is logged, by AUDIOPLANE_LOG.

    Raises:
        UserError: it names no level.
    """
    asked = os.environ.get("AUDIOPLANE_LOG", "").lower()
    if not asked:
        return
    if asked not in LEVELS:
        raise UserError(f"AUDIOPLANE_LOG is one of {', '.join(LEVELS)}, not '{asked}'")
    import logging

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("audioplane").setLevel(asked.upper())


def _opening(module: ModuleType) -> str:
    """The first paragraph of the module's docstring says what the command does."""
    return (module.__doc__ or module.HELP).strip().split("\n\n")[0]


if __name__ == "__main__":
    sys.exit(main())
