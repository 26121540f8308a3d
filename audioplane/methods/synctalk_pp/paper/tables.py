"""Tables I, III, IV and VI of the SyncTalk++ paper: rows and columns are configs and clips, claims name two cells.

Not here: Table II (portraits: the same heads under the protocols "torso" and "portrait"), V (its user study's form) and
VII (torso restorer). Of Table VI, the rows that the paper's text describes. Its stabilizer's rows learn and are judged
with poses found in the speaker's pictures; all others have the true ones.
"""

from __future__ import annotations

from audioplane.experiments.tables import Claim, Column, Row, Table

METHOD, OURS = "synctalk_pp", "SyncTalk++"
OTHER = "Audio-Plane"
PICTURES = (
    "head_psnr",
    "head_ssim",
    "lpips",
    "lse_c",
    "mouth_psnr",
    "eyes_psnr",
    "lip_error",
    "opening_correlation",
    "opening_amplitude",
    "shifted_correlation",
)
PSNR, LIPS = "head_psnr", "sync_distance"
AV_ENCODER = ("audio.features=av", "audio.window=8")
PAPERS = {PSNR: "psnr", LIPS: "syncnet", "eyes_psnr": "psnr"}
MEANT = {PSNR: "PSNR", LIPS: "lip sync", "eyes_psnr": "PSNR of eyes and brows"}


def _compare(text: str, first: tuple[str, str], second: tuple[str, str], *measures: str) -> tuple[Claim, ...]:
    return tuple(Claim(f"{text} ({MEANT[name]})", first, second, name, PAPERS[name]) for name in measures)


def _table1() -> Table:
    printed = (
        "Wav2Lip",
        "VideoReTalking",
        "DINet",
        "TalkLip",
        "IP-LAP",
        "AD-NeRF",
        "RAD-NeRF",
        "GeneFace",
        "ER-NeRF",
        "TalkingGaussian",
        "GaussianTalker",
        "SyncTalk",
    )
    rows = (
        Row(OURS, (), OURS),
        Row(OTHER, (), method="audio_plane"),
        Row("tri-plane + audio", ("method.field=tri_plane", "method.saliency=false"), method="audio_plane"),
        *(Row(name, None, name) for name in printed),
    )
    columns = (Column("test set A", "adam"), Column("test set B", "beth"), Column("test set C", "elise"))
    claims = tuple(
        claim
        for column in columns
        for other in (OTHER, "tri-plane + audio")
        for claim in _compare(
            f"{OURS} beats {other} on {column.name}", (OURS, column.name), (other, column.name), PSNR, LIPS
        )
    )
    data, title = "table1_head_reconstruction", "Methods, driven by their own voice"
    return Table("table1", "I", title, data, rows, columns, (*PICTURES, "fps"), claims, METHOD)


def _table3() -> Table:
    rows = (Row(OURS, ()), Row(OTHER, (), method="audio_plane"))
    columns = (
        Column("test audio A", "adam", "english_drive"),
        Column("test audio B", "adam", "german_drive"),
    )
    claims = tuple(
        claim
        for column in columns
        for claim in _compare(
            f"driven by {column.name}, {OURS} beats {OTHER}", (OURS, column.name), (OTHER, column.name), LIPS
        )
    )
    data, title = "table3_lip_synchronization", "Lip synchronization with another's voice"
    return Table("table3", "III", title, data, rows, columns, PICTURES, claims, METHOD)


def _table4() -> Table:
    names = {"none": "random", "sh-opacity": "SH, opacity", "all": "scale, rotation, SH, opacity"}
    rows = tuple(
        Row(title, () if value == "sh-opacity" else (f"method.initialisation={value}",))
        for value, title in names.items()
    )
    where = "test set A"
    chosen = (names["sh-opacity"], where)
    claims = tuple(
        claim
        for value in ("none", "all")
        for claim in _compare(
            f"SH and opacity from F_can beat {names[value]}", chosen, (names[value], where), PSNR, LIPS
        )
    )
    title = "What F_can gives of the canonical Gaussians"
    return Table(
        "table4", "IV", title, "table4_initialisation", rows, (Column(where, "adam"),), PICTURES, claims, METHOD
    )


def _table6() -> Table:
    where, blink = "test set A", "AU-blink instead of facial animation capture"
    av, whisper = "audio-visual encoder (Eq. 1 to 3)", "a speech recogniser's features (Whisper)"
    stabilized, unweighted = "poses by the head-sync stabilizer", "poses without semantic weighting"
    unstabilized = "w/o head-sync stabilizer"
    rows = (
        Row(OURS, ()),
        Row(av, AV_ENCODER),
        Row(whisper, ("audio.features=whisper",)),
        Row(blink, ("method.expression=blink",), blink),
        Row("no expression", ("method.expression=none",)),
        Row("attention without masks", ("method.mask=none",)),
        Row("loss on attention, no masks (SyncTalk's code)", ("method.mask=loss",)),
        Row("without head pose in F_deform", ("method.pose=false",)),
        Row(stabilized, poses="stabilized"),
        Row(unweighted, poses="unweighted"),
        Row(unstabilized, (), unstabilized, poses="unstabilized"),
        Row("poses as `audioplane prepare` finds them", poses="prepared"),
    )
    best = (OURS, where)
    claims = (
        *_compare("the audio-visual encoder beats a speech recogniser", (av, where), (whisper, where), PSNR, LIPS),
        *_compare("seven blendshapes beat blinks alone", best, (blink, where), PSNR, "eyes_psnr", LIPS),
        *_compare("masks beat attention alone", best, ("attention without masks", where), PSNR, LIPS),
        *_compare("the head's pose helps", best, ("without head pose in F_deform", where), PSNR),
        *_compare("the stabilizer helps", (stabilized, where), (unstabilized, where), PSNR, LIPS),
        *_compare("semantic weighting helps", (stabilized, where), (unweighted, where), PSNR),
    )
    title = "Parts of the method left out"
    return Table("table6", "VI", title, "table6_ablation", rows, (Column(where, "adam"),), PICTURES, claims, METHOD)


TABLES = {table.name: table for table in (_table1(), _table3(), _table4(), _table6())}
