"""Every public function that takes arrays is named in some test."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAKES = ("Tensor", "NDArray", "ndarray", "ArrayLike", "Floats")
EXCEPTIONS = {
    "audio/phonetic.py: augmented": "by `Features.augmented_copies`",
    "audio/whisper.py: augmented": "by `Features.augmented_copies`",
    "evaluation/report.py: blinks_of_films": "by `evaluation.report`",
    "pretrained/whisper/projection.py: position_error": "where the network's weights are, for its card",
    "evaluation/inspection.py: most_visible_motion": "by `pipeline_trace` and notebook 03",
    "evaluation/inspection.py: motion_std": "by notebook 04",
    "evaluation/networks.py: by_networks": "by `evaluation.report`, where the networks are",
    "evaluation/report.py: sync_of_films": "by `evaluation.report`",
    "experiments/measure_sensitivity.py: seeds_table": "by notebook 90",
    "inference/drawing.py: portrait_film": "by `TalkingHead.frames` with a portrait",
    "inference/encoding.py: codes_of": "by `TalkingHead.encode`",
    "inference/expressions.py: of_voice": "by `TalkingHead.expressions`",
    "inference/export.py: rebuild": "by `TalkingHead.load`",
    "inference/export.py: check_extras": "by `TalkingHead.load`",
    "methods/audio_plane/field.py: fuse": "by the fields of every fusion",
    "methods/audio_plane/paper/inspection.py: attention_over_time": "by the widget and notebook 03",
    "methods/audio_plane/paper/pipeline_trace.py: head_alone": "by the whole of `pipeline_trace`",
    "methods/audio_plane/paper/pipeline_trace.py: square_around": "by the whole of `pipeline_trace`",
    "plots/preparation.py: prepared_frames": "by notebook 02",
    "plots/turned_heads.py: turned_heads": "by notebook 07",
    "preprocess/face_mesh.py: infer": "by the mesh itself, where the network is",
    "preprocess/lag.py: predicted_lips": "by `lag.find`",
    "preprocess/masks.py: parsed": "by `masks.mattes`",
    "preprocess/trajectory.py: add_landmarks": "by `trajectory.solve`",
    "preprocess/trajectory.py: add_tracks": "by `trajectory.solve`",
    "synthetic/face/build.py: extra_parts": "by every face",
    "synthetic/face/ears.py: ear": "by every face",
    "synthetic/face/fur.py: brow_curve": "by every face",
    "synthetic/face/lid_motion.py: lid_motion": "by every face",
    "synthetic/face/nose.py: sculpt": "by every face",
    "synthetic/face/strands.py: ribbons": "by every face with hair",
    "synthetic/face/teeth.py: mouth_parts": "by every face",
    "widgets/bake.py: bake_talk": "by the viewer's tests in the browser",
}
"""file: function -> what tests it without its name."""


def takes_arrays(node: ast.FunctionDef) -> bool:
    given = [ast.unparse(argument.annotation) for argument in node.args.args if argument.annotation]
    return any(kind in text and "Callable" not in text for text in given for kind in TAKES)


def public() -> dict[str, str]:
    """ "file: function" -> function, of all that take arrays."""
    found = {}
    for path in sorted((ROOT / "audioplane").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and takes_arrays(node):
                found[f"{path.relative_to(ROOT / 'audioplane').as_posix()}: {node.name}"] = node.name
    return found


def named() -> set[str]:
    """Names and attributes that the tests use."""
    found: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            found.update(names, [getattr(node, "id", ""), getattr(node, "attr", "")])
    return found


def test_every_public_function_of_arrays_is_named_in_a_test():
    used, functions = named(), public()
    assert len(functions) > 200
    assert {place for place, name in functions.items() if name not in used} == set(EXCEPTIONS)
