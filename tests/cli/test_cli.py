"""The `audioplane` command: it finds its commands, and tells errors in one sentence."""

import importlib
import subprocess
import sys

import pytest

from audioplane import UserError, __version__, cli


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_is_a_module_of_the_agreed_shape(command, capsys):
    module = importlib.import_module(cli.COMMANDS[command])
    assert command == module.NAME
    assert callable(module.run)
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: audioplane {command}" in capsys.readouterr().out


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(command in text for command in cli.COMMANDS)


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"audioplane {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_what_is_no_command_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "command" in capsys.readouterr().err


def test_a_users_error_is_one_line_and_status_2(monkeypatch, capsys):
    def refuse(args):
        raise UserError("The subject has no frames. Make it again.")

    monkeypatch.setattr("audioplane.cli.doctor.run", refuse)
    assert cli.main(["doctor"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "audioplane doctor: The subject has no frames. Make it again.\n"
    assert captured.out == ""


def test_another_error_is_not_hidden(monkeypatch):
    def break_down(args):
        raise ZeroDivisionError

    monkeypatch.setattr("audioplane.cli.doctor.run", break_down)
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


def test_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "audioplane", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"audioplane {__version__}\n"


def test_a_reader_that_leaves_early_causes_no_traceback(tmp_path):
    writer = tmp_path / "writer.py"
    writer.write_text(
        "import sys\nfrom audioplane import cli\nfrom audioplane.cli import doctor\n"
        "doctor.run = lambda args: [print('x' * 1000) for _ in range(1000)] and 0\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    process = subprocess.Popen([sys.executable, writer], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    _, complaint = process.communicate()
    assert complaint == b""


CALLED_BACK = """
import ctypes, os, signal, sys, time
from audioplane import cli
from audioplane.cli import doctor

def run(args):
    back = ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT) or time.sleep(0.2))
    back()  # Python prints what is raised within, and goes on
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)
    return 0

doctor.run = run
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are told to ignore it
sys.exit(cli.main(["doctor"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
def test_ctrl_c_is_not_lost_in_what_a_library_calls_back():
    """llvmlite calls Python when a kernel is compiled: training went on for hours."""
    done = subprocess.run([sys.executable, "-c", CALLED_BACK], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    assert done.stderr.strip() == "audioplane doctor: interrupted"


@pytest.mark.parametrize("seed", ["-1", str(2**63), "999999999999999999999"])
@pytest.mark.parametrize(
    "command",
    [
        ["speak", "run", "voice.wav", "--out", "f.mp4"],
        ["speakers", "make", "adam", "--out", "made"],
        ["prepare", "film.mp4", "--out", "made"],
        ["train", "subject", "--out", "new"],
        ["train-phonetic", "--out", "x.safetensors"],
    ],
    ids=lambda command: command[0],
)
def test_a_seed_is_no_negative_or_endless_number(command, seed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command, f"--seed={seed}"]) == 2
    assert "--seed lies between 0 and" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
