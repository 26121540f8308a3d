"""The table of bad commands: an input is damaged, a command is given it, and that must end in a sentence.

Each case is a name, the inputs that it needs, what is done to them, and the command. None may succeed, unless it is
marked so: what it does then is no damage after all, and the command must only not break.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability.inputs import accept, settings

Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One bad command.

    Attributes:
        name: of the case. needs: the valid inputs that are copied. damage: what is done to them. command: of
            `audioplane`, run in their folder. may_pass: whether it may end well. must_pass: whether it
            has to: nothing is damaged, and only where that ends well do the others say anything.
    """

    name: str
    needs: tuple[str, ...]
    damage: Damage
    command: tuple[str, ...]
    may_pass: bool = False
    must_pass: bool = False


CHECK, SHOW = ("subject", "check", "subject"), ("subject", "show", "subject", "--out", "sheet.png")
TRAIN = ("train", "subject", "--out", "new", *settings())
RESUME = ("train", "subject", "--out", "run", "--resume")
SPEAK = ("speak", "run", "voice.wav", "--out", "film-of-it.mp4")
EVALUATE = ("evaluate", "run", "subject")
IMPORT = ("subject", "import", "nerf", "--out", "imported")
PREPARE = ("prepare", "film.mp4", "--out", "prepared")
PAIR = ("evaluate", "--pred", "film.mp4", "--ref", "film.mp4")

RAW = {"NaN": "NaN", "infinite": "1e999", "surrogate": '"\\ud800"', "deep": "[" * 3000 + "]" * 3000, "cut": "{"}
"""Texts that are no JSON value, or none that can be handled."""
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "text": "x" * 3,
    "negative": -1,
    "zero": 0,
    "huge": 10**30,
    "float": 1e300,
    "list": [1, 2],
    "object": {"a": 1},
    "long": "y" * 20_000,
}
HARMLESS = {  # values that a key of these takes
    "licence": ("text",),
    "without_head": ("text",),
    "provenance": ("object",),
    "name": ("text",),
    "facts": ("object", "null"),
    "iteration": ("zero",),
    "kind": (),
}


def texts(path: str, key: str) -> Iterator[tuple[str, Damage, bool]]:
    """Every bad value of one key of a JSON file: its name, the damage, and whether it is harmless."""

    def put(name: str) -> Damage:
        def damage(folder: Path) -> None:
            tree = json.loads((folder / path).read_text())
            tree[key] = "@@" if name in RAW else VALUES[name]
            (folder / path).write_text(json.dumps(tree).replace('"@@"', RAW.get(name, "")))

        return damage

    def drop(folder: Path) -> None:
        tree = json.loads((folder / path).read_text())
        del tree[key]
        (folder / path).write_text(json.dumps(tree))

    for name in (*VALUES, *RAW):
        yield name, put(name), name in HARMLESS.get(key, ())
    yield "missing", drop, key in ("fps", "sample_rate", "facts", "iteration")


def header(path: str, key: str, name: str) -> Damage:
    """A bad value of one key of the JSON in a .safetensors file."""

    def damage(folder: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import save

        with safe_open(folder / path, "pt") as file:
            tensors = {one: file.get_tensor(one) for one in file.keys()}  # noqa: SIM118
            about = json.loads(file.metadata()["audioplane"])
        about[key] = "@@" if name in RAW else VALUES[name]
        text = json.dumps(about).replace('"@@"', RAW.get(name, ""))
        (folder / path).write_bytes(save(tensors, {"audioplane": text}))

    return damage


def tensor(path: str, key: str, change: Callable[[Any], Any]) -> Damage:
    """One tensor of a .safetensors file changed; None removes it."""

    def damage(folder: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import save

        with safe_open(folder / path, "pt") as file:
            tensors = {one: file.get_tensor(one) for one in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        names = [name for name in tensors if key in name]
        assert names, (key, sorted(tensors))
        for name in names:
            changed = change(tensors.pop(name))
            if changed is not None:
                tensors[name] = changed.contiguous()
        (folder / path).write_bytes(save(tensors, metadata))

    return damage


TENSORS: dict[str, Callable[[Any], Any]] = {
    "gone": lambda t: None,
    "short": lambda t: t[:-1].clone() if t.dim() and len(t) > 1 else t.new_zeros(3, 3),
    "long": lambda t: t.repeat(3, *[1] * (t.dim() - 1)) if t.dim() else t.new_zeros(5),
    "flat": lambda t: t.reshape(-1, 1, 1, 1),
    "empty": lambda t: t.new_zeros(0),
    "double": lambda t: t.double() if t.is_floating_point() else t.float(),
    "nan": lambda t: t.float() * float("nan"),
    "huge": lambda t: t + (1e38 if t.is_floating_point() else 200),
}


def bytes_of(path: str, change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / path).write_bytes(change((folder / path).read_bytes()))

    return damage


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one": lambda data: data[:1],
    "half": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "with more": lambda data: data + b"\0" * 100,
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"hello, this is only text\n" * 20,
    "page": lambda data: b"<html><script>alert(1)</script></html>",
    "twice": lambda data: data + data,
    "shifted": lambda data: b"\0" + data,
    "flipped": lambda data: bytes(b ^ 0xFF for b in data[:64]) + data[64:],
}


def part(name: str, damage: Damage) -> Damage:
    """A damage to a part of the Subject that its manifest knows of."""

    def both(folder: Path) -> None:
        damage(folder)
        accept(folder / "subject", name)

    return both


def array(name: str, change: Callable[[np.ndarray], Any], pickled: bool = False) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "subject" / name
        data = io.BytesIO()
        np.save(data, change(np.load(path)), allow_pickle=pickled)
        path.write_bytes(data.getvalue())
        accept(folder / "subject", name)

    return damage


def arrays(name: str, change: Callable[[dict[str, np.ndarray]], dict[str, Any]]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "subject" / name
        with np.load(path) as file:
            own = change(dict(file))
        np.savez_compressed(path, **own)
        accept(folder / "subject", name)

    return damage


ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "another length": lambda a: a[:-1],
    "another shape": lambda a: a.reshape(-1),
    "empty": lambda a: a[:0],
    "texts": lambda a: np.full(a.shape, "x"),
    "complex": lambda a: a.astype(complex),
    "dates": lambda a: np.zeros(a.shape, "datetime64[s]"),
    "a record": lambda a: np.zeros(len(a), [("a", "f4"), ("b", "i4")]),
    "infinite": lambda a: a * np.float32(np.inf),
}


def claim(shape: str) -> Callable[[bytes], bytes]:
    """An .npy whose header claims another shape."""

    def change(data: bytes) -> bytes:
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        text = text + " " * (-(len(text) + 11) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data[-400:]

    return change


def bomb(name: str, member: str) -> Damage:
    """An .npz of a few kilobytes that inflates to 3 GB."""

    def damage(folder: Path) -> None:
        path = folder / "subject" / name
        data = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            data,
            {"descr": "<f4", "fortran_order": False, "shape": (60, 4, 4) if member == "viewmats" else (750_000_000,)},
        )
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
            archive.open(f"{member}.npy", "w", force_zip64=True) as file,
        ):
            file.write(data.getvalue())
            for _ in range(BOMB):
                file.write(bytes(1 << 20))
        accept(folder / "subject", name)

    return damage


BOMB = 3000  # MiB
PLAIN = ("subject",)
FINE_PARTS = (("without its end", "phonemes.json"),)  # a line's end


def png(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is so large, and is."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    squeeze, rows = zlib.compressobj(9), io.BytesIO()
    line = bytes(1 + 3 * width)
    for _ in range(min(height, 3000)):
        rows.write(squeeze.compress(line))
    rows.write(squeeze.flush())
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows.getvalue()) + chunk(b"IEND", b"")


def write(path: str, data: bytes) -> Damage:
    return lambda folder: (folder / path).write_bytes(data) and None


def rename(name: str) -> Damage:
    def damage(folder: Path) -> None:
        tree = json.loads((folder / "subject" / "manifest.json").read_text())
        tree["name"] = name
        (folder / "subject" / "manifest.json").write_text(json.dumps(tree))

    return damage


NAMES = {
    "path": "../../../outside/x",
    "absolute": "/tmp/x",
    "star": "*",
    "question": "a?b",
    "page": "<script>alert(1)</script>",
    "latex": "\\input{/etc/passwd}",
    "formula": "=cmd|' /C calc'!A0",
    "empty": "",
    "dot": ".",
    "dots": "..",
    "new line": "a\nb",
    "zero": "a\0b",
    "long": "z" * 300,
    "quote": "a'b\"c",
    "option": "--fresh",
    "right to left": "a\u202eb",
    "shell": "$(touch x)",
    "windows": "C:\\x",
}
PARTS = {
    "path": "../outside.npy",
    "absolute": "/etc/passwd",
    "dots": "features/../../x.npy",
    "zero": "a\0.npy",
    "back": "features\\x.npy",
    "drive": "C:x.npy",
    "empty": "",
}


def add_part(name: str) -> Damage:
    def damage(folder: Path) -> None:
        tree = json.loads((folder / "subject" / "manifest.json").read_text())
        tree["parts"][name] = {"sha256": "0" * 64, "bytes": 0}
        (folder / "subject" / "manifest.json").write_text(json.dumps(tree))

    return damage


def link(name: str, target: str = "") -> Damage:
    """A part that is a symbolic link out of the Subject."""

    def damage(folder: Path) -> None:
        path = folder / "subject" / name
        outside = folder / f"outside-{path.name}"
        os.replace(path, outside)
        path.symlink_to(target or outside)

    return damage


def pipe(name: str) -> Damage:
    """A named pipe in place of a file: whoever opens it waits for ever."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def folder_instead(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def wav(
    rate: int, seconds: float = 0.0, samples: int = 8000, bits: int = 16, channels: int = 1, claim: int = 0
) -> Damage:
    """A wav with a header of one's choice."""

    def damage(folder: Path) -> None:
        size = int(seconds * rate) if seconds else samples
        data = (np.sin(np.arange(size * channels) / 9) * 9000).astype("<i2").tobytes()
        block = channels * bits // 8
        form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits)
        told = claim or len(data)
        (folder / "voice.wav").write_bytes(
            b"RIFF" + struct.pack("<I", (told + 36) & 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 16) + form
            + b"data" + struct.pack("<I", told & 0xFFFFFFFF) + data
        )  # fmt: skip

    return damage


def floats(values: list[float]) -> Damage:
    def damage(folder: Path) -> None:
        import soundfile

        soundfile.write(folder / "voice.wav", np.array(values * 2000, np.float32), 16_000, subtype="FLOAT")

    return damage


def zeros(name: str, hours: float) -> Damage:
    """Hours of zeros in a FLAC of a few hundred kilobytes."""

    def damage(folder: Path) -> None:
        import soundfile

        with soundfile.SoundFile(folder / name, "w", 16_000, 1, "PCM_16", format="FLAC") as file:
            minute = np.zeros(60 * 16_000, np.int16)
            for _ in range(int(60 * hours)):
                file.write(minute)
        if name.startswith("subject/"):
            accept(folder / "subject", name.removeprefix("subject/"))

    return damage


def film(*arguments: str, count: int = 30, rate: str = "25", suffix: str = "mp4") -> Damage:
    def damage(folder: Path) -> None:
        from tests.media.films import encode, scene

        made = encode(folder / f"made.{suffix}", scene(count), "-pix_fmt", "yuv420p", *arguments, rate=rate)
        os.replace(made, folder / "film.mp4")

    return damage


def nothing(folder: Path) -> None:
    pass


def both(*damages: Damage) -> Damage:
    def damage(folder: Path) -> None:
        for one in damages:
            one(folder)

    return damage


# The table


def table() -> list[Case]:
    """All cases."""
    kinds = (_valid, _manifests, _parts, _heads, _states, _names, _media, _layouts, _arguments)
    found = [case for kind in kinds for case in kind()]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), {name for name in names if names.count(name) > 1}
    return found


def _valid() -> Iterator[Case]:
    for name, command in {
        **{"check": CHECK, "show": SHOW, "train": TRAIN, "resume": RESUME, "speak": SPEAK},
        **{"evaluate": EVALUATE, "import": IMPORT, "films": PAIR},
    }.items():
        yield Case(f"valid: {name}", (*PLAIN, *SPEAKS, *NERF, "film.mp4"), nothing, command, True, True)


KEYS = (
    *("name", "width", "height", "num_frames", "fps", "sample_rate", "licence", "without_head", "provenance"),
    *("parts", "split", "format", "version"),
)


def _manifests() -> Iterator[Case]:
    for key in KEYS:
        for name, damage, harmless in texts("subject/manifest.json", key):
            for command in (CHECK, SHOW):
                yield Case(f"{command[1]}: manifest {key} {name}", PLAIN, damage, command, harmless)
    for name, change in BYTES.items():
        yield Case(
            f"manifest {name}", PLAIN, bytes_of("subject/manifest.json", change), CHECK, name == "without its end"
        )
    for name, split in (
        ("reversed", {"train": [50, 10], "test": [50, 60]}),
        ("beyond", {"train": [0, 50], "test": [50, 10**9]}),
        ("negative", {"train": [-5, 50], "test": [50, 60]}),
        ("shared", {"train": [0, 60], "test": [0, 60]}),
        ("empty", {"train": [0, 0], "test": [0, 60]}),
        ("texts", {"train": ["0", "50"], "test": ["50", "60"]}),
        ("floats", {"train": [0.5, 50], "test": [50, 60]}),
        ("three", {"train": [0, 50, 3], "test": [50, 60]}),
        ("half", {"train": [0, 50]}),
    ):
        yield Case(f"split {name}", PLAIN, _set("split", split), TRAIN)
        yield Case(f"check: split {name}", PLAIN, _set("split", split), CHECK)


def _set(key: str, value: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "subject" / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return damage


def _parts() -> Iterator[Case]:
    known = ("frames.pack", "labels.pack", "background.png", "audio.flac", "cameras.npz", "landmarks.npy")
    more = ("phonemes.json", "blendshapes.npy", "mesh.npz", "tracks.npz", "features/mel.npy", "depth.pack")
    for name in (*known, *more):
        for how, change in BYTES.items():
            damage = part(name, bytes_of(f"subject/{name}", change))
            zipped = how == "shifted" and name.endswith(".npz")
            fine = how in ("with more", "twice") or zipped or (how, name) in FINE_PARTS
            yield Case(f"check: {name} {how}", PLAIN, damage, CHECK, fine)
        yield Case(f"{name} is a link", PLAIN, link(name), CHECK)
        yield Case(f"{name} is a pipe", PLAIN, pipe(f"subject/{name}"), CHECK)
        yield Case(f"{name} is a folder", PLAIN, folder_instead(f"subject/{name}"), CHECK)
    for name in known:
        for how in ("half", "zeros", "text"):
            damage = part(name, bytes_of(f"subject/{name}", BYTES[how]))
            yield Case(f"train: {name} {how}", PLAIN, damage, TRAIN)
            fine = name in ("audio.flac", "cameras.npz")
            yield Case(f"show: {name} {how}", PLAIN, damage, SHOW, fine)
    for name in ("landmarks.npy", "blendshapes.npy", "features/mel.npy"):
        for how, change in ARRAYS.items():
            fine = name.startswith("features") and how in ("another shape", "infinite")
            yield Case(f"{name}: {how}", PLAIN, array(name, change), CHECK, fine)
        for shape in ("(10**12,)", "(-1, 3)", "(2**62, 2**62)", "()", "(0,)", "(60, 68, 2)", "'x'", "(" * 300):
            yield Case(
                f"{name} claims {shape[:20]}", PLAIN, part(name, bytes_of(f"subject/{name}", claim(shape))), CHECK
            )
        yield Case(f"{name} pickled", PLAIN, array(name, lambda a: np.array([{}], object), True), CHECK)
    for value in (1e9, -1e30, np.inf):
        far = array("landmarks.npy", lambda a, value=value: a * 0 + np.float32(value))
        yield Case(f"show: landmarks at {value:g}", PLAIN, far, SHOW)
        yield Case(f"train: landmarks at {value:g}", PLAIN, far, TRAIN)
    for how, change in ARRAYS.items():
        yield Case(
            f"viewmats: {how}",
            PLAIN,
            arrays("cameras.npz", lambda a, c=change: a | {"viewmats": c(a["viewmats"])}),
            TRAIN,
        )
        yield Case(f"K: {how}", PLAIN, arrays("cameras.npz", lambda a, c=change: a | {"K": c(a["K"])}), TRAIN)
    for name, change in (("faces", 10**6), ("faces", -1), ("group_lips", 10**6)):
        yield Case(
            f"mesh {name} {change}", PLAIN, arrays("mesh.npz", lambda a, n=name, c=change: a | {n: a[n] * 0 + c}), CHECK
        )
    yield Case("cameras.npz is a bomb", PLAIN, bomb("cameras.npz", "viewmats"), TRAIN)
    yield Case("tracks.npz is a bomb", PLAIN, bomb("tracks.npz", "breath"), CHECK)
    for side in (100, 20_000, 100_000):
        for name in ("background.png",):
            yield Case(f"{name} of {side} pixels", PLAIN, part(name, write(f"subject/{name}", png(side, side))), CHECK)
    yield Case("frames are bombs", PLAIN, _pack_of_bombs, CHECK)
    yield Case("show: frames are bombs", PLAIN, _pack_of_bombs, SHOW)
    yield Case("six hours of zeros", PLAIN, zeros("subject/audio.flac", 6), CHECK)
    for how, text in (
        ("an object", "{}"),
        ("texts for times", '[{"ipa": "m", "start": "0", "end": "1"}]'),
        ("null", "null"),
        ("numbers", "[1, 2, 3]"),
        ("deep", "[" * 100_000),
        ("no ipa", '[{"start": 0, "end": 1}]'),
        ("NaN", '[{"ipa": "m", "start": NaN, "end": 1}]'),
        ("1e300", '[{"ipa": "m", "start": 0, "end": 1e300}]'),
        ("a long ipa", json.dumps([{"ipa": "m" * 9999, "start": 0, "end": 1}])),
    ):
        yield Case(
            f"phonemes: {how}", PLAIN, part("phonemes.json", write("subject/phonemes.json", text.encode())), CHECK
        )


def _pack_of_bombs(folder: Path) -> None:
    """A pack in which every picture is a PNG bomb with the right checksum."""
    from audioplane.subject import pack

    path = folder / "subject" / "frames.pack"
    path.unlink()
    writer = pack.PackWriter(path, None, threads=1)
    for _ in range(60):
        writer._write(png(12_000, 12_000))
    writer.close()
    accept(folder / "subject", "frames.pack")


HEAD, STATE, RESTORER = "run/head.safetensors", "run/state.safetensors", "run/restorer.safetensors"
SPEAKS, RUNS = ("run", "voice.wav"), ("run", "subject")


def _heads() -> Iterator[Case]:
    for key in ("config", "fps", "width", "height", "box", "channels", "name", "kind", "format", "iteration", "facts"):
        for name in (*VALUES, *RAW):
            yield Case(f"head {key} {name}", SPEAKS, header(HEAD, key, name), SPEAK, name in HARMLESS.get(key, ()))
    for key in (
        *(
            "K",
            "viewmats",
            "codes",
            "statistics",
            "torso",
            "torso_ends",
            "means",
            "quats",
            "scales",
            "opacities",
            "sh0",
        ),
        *("rows/", "encoder.code.weight", "mlp"),
    ):
        for name, change in TENSORS.items():
            fine = (
                name == "huge"
                or (name == "short" and key in ("viewmats", "codes"))
                or (name == "long" and key == "codes")  # a sample of those of the training, of any size
                or ((name == "double" and "." in key) or (key == "mlp" and name == "double"))
            )
            yield Case(f"head tensor {key} {name}", SPEAKS, tensor(HEAD, key, change), SPEAK, fine)
    for name, change in BYTES.items():
        yield Case(f"head {name}", SPEAKS, bytes_of(HEAD, change), SPEAK)
    yield Case("head header of 2^60 bytes", SPEAKS, write(HEAD, struct.pack("<Q", 2**60) + b"{}"), SPEAK)
    yield Case("head is a pipe", SPEAKS, pipe(HEAD), SPEAK)
    yield Case("restorer is a text", SPEAKS, write(RESTORER, b"no tensors at all"), SPEAK)
    yield Case("restorer is a head", SPEAKS, lambda folder: None, (*SPEAK, "--torso", HEAD))
    yield Case("no restorer", SPEAKS, lambda folder: None, (*SPEAK, "--torso", "restored"))
    yield Case("head is a folder", SPEAKS, folder_instead(HEAD), SPEAK)
    yield Case("evaluate: another subject's size", RUNS, _set("width", 64), EVALUATE)


def _states() -> Iterator[Case]:
    for key in ("config", "subject", "iteration", "facts", "format"):
        for name in (*VALUES, *RAW):
            fine = name in HARMLESS.get(key, ())
            yield Case(f"state {key} {name}", RUNS, header(STATE, key, name), RESUME, fine)
    for key in (
        "means/exp_avg",
        "means/exp_avg_sq",
        "tables",
        "/step",
        "rows/",
        "densify",
        "params.means",
        "params.sh0",
    ):
        for name, change in TENSORS.items():
            damage = tensor(STATE, key, change)
            fine = name in ("gone", "huge") or (name == "flat" and "step" in key) or key == "densify"
            yield Case(
                f"state tensor {key} {name}", RUNS, _if_there(damage), RESUME, True if fine else name == "double"
            )
    for name, change in BYTES.items():
        yield Case(f"state {name}", RUNS, bytes_of(STATE, change), RESUME)
        yield Case(f"config.json {name}", RUNS, bytes_of("run/config.json", change), RESUME)
    for name in (*VALUES, *RAW):
        for key in ("schedule", "seed", "method"):
            for how, damage, _ in texts("run/config.json", key):
                if how == name:
                    yield Case(f"config.json {key} {name}", RUNS, damage, RESUME, key == "seed" and name == "zero")


def _if_there(damage: Damage) -> Damage:
    def some(folder: Path) -> None:
        try:
            damage(folder)
        except AssertionError:  # this run has no such tensor
            (folder / STATE).write_bytes(b"")

    return some


def _names() -> Iterator[Case]:
    for name, text in NAMES.items():
        yield Case(f"check: named {name}", PLAIN, rename(text), CHECK)
        yield Case(f"show: named {name}", PLAIN, rename(text), ("subject", "show", "subject"))
        yield Case(f"reproduce: named {name}", PLAIN, rename(text), ("reproduce", "table2", "--subject", "subject"))
        if "\0" not in text:
            yield Case(f"prepare --name {name}", ("film.mp4",), nothing, (*PREPARE, "--name=" + text), False)
    for name, text in PARTS.items():
        yield Case(f"part named {name}", PLAIN, add_part(text), CHECK)
        yield Case(f"show: part named {name}", PLAIN, add_part(text), SHOW)
    yield Case("manifest is a link", PLAIN, link("manifest.json"), CHECK)
    yield Case("landmarks link to a device", PLAIN, link("landmarks.npy", "/dev/zero"), CHECK)
    yield Case("audio links to itself", PLAIN, link("audio.flac", "audio.flac"), CHECK)
    for name in ("http:x.mp4", "concat:film.mp4|film.mp4", "file:film.mp4", "pipe:0", "data:text/plain,x"):
        yield Case(f"film named {name}", ("film.mp4",), nothing, ("prepare", name, "--out", "prepared"))


def _media() -> Iterator[Case]:
    for rate in (0, 1, 7, 100, 999, 2**31 - 1, 2**32 - 1):
        yield Case(f"wav of {rate} Hz", SPEAKS, wav(rate, samples=400_000), SPEAK)
    for name, damage in {
        "claims 4 GB": wav(16_000, samples=0, claim=2**32 - 1),
        "no channels": wav(16_000, channels=0),
        "65535 channels": wav(16_000, samples=0, channels=65_535),
        "0 bits": wav(16_000, bits=0),
        "nan": floats([float("nan"), 0.0]),
        "infinite": floats([float("inf"), 0.0]),
        "1e30": floats([1e30, 0.0]),
    }.items():
        yield Case(f"wav: {name}", SPEAKS, damage, SPEAK)
    for name, change in BYTES.items():
        fine = name in ("half", "without its end", "with more", "twice")
        yield Case(f"speak: wav {name}", SPEAKS, bytes_of("voice.wav", change), SPEAK, fine)
        yield Case(f"prepare: film {name}", ("film.mp4",), bytes_of("film.mp4", change), PREPARE, False)
        fine = name in ("with more", "twice", "without its end")
        yield Case(f"evaluate: film {name}", ("film.mp4",), bytes_of("film.mp4", change), PAIR, fine)
    yield Case("voice of seven hours of zeros", SPEAKS, _voice_of_zeros, ("speak", "run", "v.flac", "--out", "f.mp4"))
    for name, damage in {
        "one-hour gap": film("-vf", "setpts='if(gt(N,15),N+90000,N)/25/TB'", "-fps_mode", "vfr"),
        "one frame a minute": film(rate="1/60"),
        "no sound": film(),
        "one frame": film(count=1),
        "a hundred thousand a second": film("-video_track_timescale", "100000", rate="100000"),
    }.items():
        yield Case(f"prepare: {name}", ("film.mp4",), damage, PREPARE)
    yield Case(
        "evaluate: one-hour gap",
        ("film.mp4",),
        film("-vf", "setpts='if(gt(N,15),N+90000,N)/25/TB'", "-fps_mode", "vfr"),
        PAIR,
        True,
    )
    yield Case("voice is a pipe", SPEAKS, pipe("voice.wav"), SPEAK)
    yield Case("voice is a folder", SPEAKS, folder_instead("voice.wav"), SPEAK)


def _voice_of_zeros(folder: Path) -> None:
    zeros("v.flac", 7)(folder)


NERF = ("nerf",)


def _layouts() -> Iterator[Case]:
    for key in ("focal_len", "cx", "cy", "frames"):
        for name, damage, _ in texts("nerf/transforms_train.json", key):
            fine = key in ("cx", "cy") and name in ("negative", "zero")
            yield Case(f"transforms {key} {name}", NERF, damage, IMPORT, fine)
    for key in ("img_id", "transform_matrix"):
        for name in VALUES:
            yield Case(
                f"transforms frame {key} {name}",
                NERF,
                _frame(key, VALUES[name]),
                IMPORT,
                key == "img_id" and name == "zero",
            )
    yield Case("singular pose", NERF, _frame("transform_matrix", np.zeros((4, 4)).tolist()), IMPORT)
    for file in (
        "transforms_train.json",
        "bc.jpg",
        "aud.wav",
        "ori_imgs/5.jpg",
        "ori_imgs/5.lms",
        "parsing/5.png",
        "torso_imgs/5.png",
    ):
        for name, change in BYTES.items():
            fine = file.endswith((".jpg", ".wav", ".lms", ".png")) and name in (
                "with more",
                "twice",
                "half",
                "without its end",
            )
            yield Case(f"import: {file} {name}", NERF, bytes_of(f"nerf/{file}", change), IMPORT, fine)
        yield Case(f"import: {file} is a pipe", NERF, pipe(f"nerf/{file}"), IMPORT, file.endswith(".lms"))
    for file in ("bc.jpg", "ori_imgs/5.jpg", "parsing/5.png"):
        yield Case(f"import: {file} is a bomb", NERF, write(f"nerf/{file}", png(30_000, 30_000)), IMPORT)


def _frame(key: str, value: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "nerf" / "transforms_train.json"
        tree = json.loads(path.read_text())
        tree["frames"][3][key] = value
        path.write_text(json.dumps(tree))

    return damage


NUMBERS = ("nan", "inf", "-inf", "-1", "1e300", "999999999999999999999", "x", "", "0x10", "1e-300")


def _arguments() -> Iterator[Case]:
    options = {
        "speak --size": (SPEAKS, SPEAK, ("--size",)),
        "speak --seed": (SPEAKS, (*SPEAK, "--poses", "natural"), ("--seed",)),
        "speak --audio-track": (SPEAKS, SPEAK, ("--audio-track",)),
        "show --columns": (PLAIN, SHOW, ("--columns",)),
        "train --seed": (PLAIN, TRAIN, ("--seed",)),
        "speakers --seconds": ((), ("speakers", "make", "adam", "--out", "made", "--size", "32"), ("--seconds",)),
        "speakers --size": ((), ("speakers", "make", "adam", "--out", "made", "--seconds", "2"), ("--size",)),
        "train-sync --seconds": ((), ("train-sync", "--out", "x.safetensors"), ("--seconds",)),
        "train-sync --people": ((), ("train-sync", "--out", "x.safetensors"), ("--people",)),
        "train-av --seconds": ((), ("train-av", "--out", "x.safetensors"), ("--seconds",)),
        "train-av --steps": ((), ("train-av", "--out", "x.safetensors"), ("--steps",)),
        "train-phonetic --seconds": ((), ("train-phonetic", "--out", "x.safetensors"), ("--seconds",)),
        "train-phonetic --clips": ((), ("train-phonetic", "--out", "x.safetensors"), ("--clips",)),
        "prepare --start": (("film.mp4",), PREPARE, ("--start",)),
        "prepare --end": (("film.mp4",), PREPARE, ("--end",)),
        "prepare --size": (("film.mp4",), PREPARE, ("--size",)),
        "prepare --focal": (("film.mp4",), PREPARE, ("--focal",)),
        "prepare --shift-audio": (("film.mp4",), PREPARE, ("--shift-audio",)),
        "prepare --train": (("film.mp4",), PREPARE, ("--train",)),
        "reproduce --seeds": ((), ("reproduce", "table2"), ("--seeds",)),
        "reproduce --jobs": ((), ("reproduce", "table2"), ("--jobs",)),
    }
    for name, (needs, command, option) in options.items():
        for number in NUMBERS:
            fine = number in FINE.get(name, ())
            yield Case(f"{name} {number or 'empty'}", needs, nothing, (*command, f"{option[0]}={number}"), fine)
    for setting in (
        *("schedule.coarse=999999999999", "schedule.coarse=nan", "schedule.size=100000", "optim.means=nan"),
        *(
            "optim.means=inf",
            "method.resolution=100000",
            "method.levels=0",
            "gaussians.initial=10**9",
            "audio.window=-1",
        ),
        *(
            "schedule.cache_mib=-5",
            "method.name=../x",
            "seed=-1",
            "=",
            "a",
            "a=b=c",
            "audio.dropout=nan",
            "method.margin=2",
        ),
    ):
        yield Case(f"train --set {setting}", PLAIN, nothing, (*TRAIN, "--set", setting))
    for name, command in {
        "unknown command": ("fly",),
        "nothing": (),
        "unknown option": ("train", "--fly"),
        "no subject": ("train", "none", "--out", "new"),
        "no run": ("speak", "none", "voice.wav", "--out", "f.mp4"),
        "out is a file's child": ("train", "subject", "--out", "voice.wav/x"),
        "film of another kind": ("speak", "run", "voice.wav", "--out", "f.txt"),
        "out is a folder": ("speak", "run", "voice.wav", "--out", "subject"),
        "out in no folder": ("speak", "run", "voice.wav", "--out", "none/f.mp4"),
        "unknown poses": ("speak", "run", "voice.wav", "--out", "f.mp4", "--poses", "dance"),
        "unknown protocol": ("evaluate", "run", "subject", "--protocol", "x"),
        "json in no folder": ("evaluate", "run", "subject", "--json", "none/x.json"),
        "unknown table": ("reproduce", "table99"),
        "unknown figure": ("figures", "fig99"),
        "unknown asset": ("fetch", "../../x"),
        "unknown speaker": ("speakers", "make", "../x", "--out", "made"),
        "unknown preset": ("train", "subject", "--out", "new", "--preset", "x"),
        "unknown method": ("train", "subject", "--out", "new", "--method", "../x"),
        "unknown device": ("train", "subject", "--out", "new", "--device", "toaster"),
        "subject is a file": ("train", "voice.wav", "--out", "new"),
        "subject is root": ("subject", "check", "/"),
        "subject is a device": ("subject", "check", "/dev/zero"),
        "voice is a device": ("speak", "run", "/dev/zero", "--out", "f.mp4"),
        "films folder that is none": ("reproduce", "table5", "--films", "none"),
        "features that are none": ("speak", "run", "voice.wav", "--out", "f.mp4", "--features", "/dev/zero"),
        "sample that is none": ("speak", "run", "voice.wav", "--out", "f.mp4", "--sample", "/dev/zero"),
    }.items():
        fine = name == "out in no folder"  # it is made, as by every command that writes a new thing
        yield Case(name, ("subject", "run", "voice.wav"), nothing, command, fine)


FINE = {
    "speak --seed": (),
    "prepare --focal": (),
}
