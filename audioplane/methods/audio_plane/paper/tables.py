"""Tables II to VII of the Audio-Plane paper: rows and columns are configs and clips, claims name cells to compare.

Table I is bytes, not runs (`inspection.memory_table`). Two are studies of ours: `why_so_level`, which of our choices
make or hide the paper's gains, and `expression`, what a head gains by being told of eyes and brows.

Verdicts go by measures that can show a claim. The region that speech moves holds a sixth of the squared error over the
head, so that a perfect mouth would lift head PSNR by less than a decibel: the paper's PSNR is judged at the mouth, its
lip sync by the distance of the lips from the true ones, and what saliency splatting promises by the motion where
nothing should move. Head PSNR and the sync score of the network that ships stand beside.
"""

from __future__ import annotations

from collections.abc import Callable

from audioplane.experiments.tables import Claim, Column, Row, Table
from audioplane.metrics import registry

TRI_PLANE = ("method.field=tri_plane", "method.saliency=false")
SIX_PLANES = ("method.field=six_planes", "method.saliency=false")
OURS, EXPRESSION = "with expression (ours)", ("method.expression=true", "schedule.closed_eyes=0.15")

PICTURES = (
    "head_psnr",
    "head_ssim",
    "lpips",
    "lse_c",
    "mouth_psnr",
    "lip_error",
    "rest_motion",
    "opening_correlation",
    "opening_amplitude",
    "shifted_correlation",
)


Judged = tuple[str, str, bool]
"""Our measure, the paper's that it stands for, and whether it only stands beside the verdicts."""
MOUTH: Judged = ("mouth_psnr", "psnr", False)
MOUTH_LPIPS: Judged = ("mouth_psnr", "lpips", False)
LIPS: Judged = ("lip_error", "syncnet", False)
REST: Judged = ("rest_motion", "", False)
HEAD: Judged = ("head_psnr", "psnr", True)
SYNC: Judged = ("sync_distance", "syncnet", True)
BOTH = (MOUTH, LIPS, HEAD, SYNC)


def _compare(text: str, first: tuple[str, str], second: tuple[str, str], *judged: Judged) -> tuple[Claim, ...]:
    return tuple(
        Claim(f"{text} ({registry.find(ours).title}; {_stated(theirs)})", first, second, ours, theirs, beside)
        for ours, theirs, beside in judged
    )


def _stated(measure: str) -> str:
    return f"the paper: {registry.PAPER_TITLES[measure]}" if measure else "the paper: in words"


def _table2() -> Table:
    rows = (
        Row("static", static=True),
        Row("w/o AP & SS", TRI_PLANE, "w/o AP & SS"),
        Row("+ SS", ("method.field=tri_plane",), "+ SS"),
        Row("+ AP", ("method.saliency=false",), "+ AP"),
        Row("+ AP & SS", (), "+ AP & SS"),
        Row(OURS, EXPRESSION),
    )
    base, ss, ap, full = ((row.name, "test set A") for row in rows[1:5])
    claims = (
        *_compare("saliency splatting alone improves the baseline", ss, base, *BOTH, REST),
        *_compare("the Audio-Plane alone improves the baseline", ap, base, *BOTH),
        *_compare("saliency splatting improves the Audio-Plane", full, ap, *BOTH, REST),
        *_compare("both together improve the baseline", full, base, *BOTH),
    )
    return Table(
        "table2",
        "II",
        "Audio-Plane (AP) and saliency splatting (SS)",
        "table2_ablation",
        rows,
        (Column("test set A", "adam"),),
        PICTURES,
        claims,
        seeds=5,
    )


def _table3() -> Table:
    kinds = [(scores, fusion) for scores in ("mlp", "attention") for fusion in ("multiply", "add", "concat")]
    rows = tuple(
        Row(
            f"{scores} / {fusion}",
            tuple(
                f"method.{key}={value}"
                for key, value in (("scores", scores), ("fusion", fusion))
                if (key, value) not in (("scores", "attention"), ("fusion", "concat"))
            ),
            f"{scores}/{fusion}",
        )
        for scores, fusion in kinds
    )
    best = ("attention / concat", "test set B")
    claims = (
        *_compare("attention beats an MLP, concatenated", best, ("mlp / concat", "test set B"), *BOTH),
        *_compare("concatenation beats addition", best, ("attention / add", "test set B"), *BOTH),
        *_compare("concatenation beats multiplication", best, ("attention / multiply", "test set B"), *BOTH),
    )
    return Table(
        "table3",
        "III",
        "Scores of the prototypes, and how the plane sets join",
        "table3_fusion",
        rows,
        (Column("test set B", "beth"),),
        PICTURES,
        claims,
    )


def _table4() -> Table:
    margins = ("0.05", "0.1", "0.2", "0.3")
    rows = tuple(Row(m, () if m == "0.2" else (f"method.margin={m}",), m) for m in margins)
    chosen, claims = ("0.2", "test set A"), ()
    for margin in ("0.05", "0.1", "0.3"):
        claims += _compare(f"a margin of 0.2 is better than {margin}", chosen, (margin, "test set A"), LIPS, SYNC)
    return Table(
        "table4",
        "IV",
        "The margin of the mask loss",
        "table4_margin",
        rows,
        (Column("test set A", "adam"),),
        (*PICTURES, "mouth_share"),
        claims,
    )


TOLD = (
    Row("GaussianTalker", (), "GaussianTalker", method="gaussian_talker"),
    Row("TalkingGaussian", (), "TalkingGaussian", method="talking_gaussian"),
    Row("SyncTalk++", (), method="synctalk_pp"),
    Row("DEGSTalk", ("method.coefficients=upper", "schedule.foreign_expression=0.25"), method="degstalk"),
)
"""Other methods as they run here. All are told of eyes and brows, so that they compare with `OURS` alone, and none of
the mouth, as DEGSTalk is in its paper."""


def _table5() -> Table:
    names = ("ATVG", "MakeItTalk", "Wav2Lip", "AD-NeRF", "RAD-NeRF", "ER-NeRF", "SyncTalk")
    rows = (
        Row("six-planes over time", SIX_PLANES, audio_driven=False),
        Row("tri-plane + audio", TRI_PLANE),
        Row("Audio-Plane", (), "Audio-Plane"),
        Row(f"Audio-Plane {OURS}", EXPRESSION),
        *TOLD,
        *(Row(method, None, method) for method in names),
    )
    columns = (
        Column("test set A", "adam", paper="A"),
        Column("test set B", "beth", paper="B"),
        Column("test set C", "elise"),
    )
    claims = tuple(
        claim
        for column in columns
        for other in ("tri-plane + audio", "six-planes over time")
        for claim in _compare(
            f"Audio-Plane beats {other} on {column.name}",
            ("Audio-Plane", column.name),
            (other, column.name),
            *BOTH,
        )
    )
    return Table(
        "table5", "V", "Methods, driven by their own voice", "table5_methods", rows, columns, (*PICTURES, "fps"), claims
    )


def _table6() -> Table:
    rows = (
        Row("tri-plane + audio", TRI_PLANE),
        Row("Audio-Plane", (), "Audio-Plane"),
        *TOLD,
        *(Row(method, None, method) for method in ("SynObama", "NVP", "ER-NeRF")),
    )
    columns = (
        Column("test audio A", "adam", "english_drive", "A"),
        Column("test audio B", "adam", "german_drive", "B"),
        Column("test audio A, beth", "beth", "english_drive"),
        Column("test audio A, elise", "elise", "english_drive"),
    )
    claims = tuple(
        claim
        for column in columns
        for claim in _compare(
            f"driven by {column.name}, Audio-Plane beats tri-plane + audio",
            ("Audio-Plane", column.name),
            ("tri-plane + audio", column.name),
            MOUTH_LPIPS,
            LIPS,
            SYNC,
        )
    )
    return Table(
        "table6", "VI", "Methods, driven by another's voice", "table6_cross_driven", rows, columns, PICTURES, claims
    )


def _table7() -> Table:
    rows = tuple(
        Row(name, (), name, speaker)
        for name, speaker in (("English (M)", "adam"), ("Chinese (M)", "chen"), ("French (M)", "denis"))
    )
    columns = (
        Column("same identity", paper="same_id"),
        Column("English (M)", voice="english_drive", paper="English (M)"),
        Column("Chinese (M)", voice="chinese_drive", paper="Chinese (M)"),
        Column("French (F)", voice="french_drive", paper="French (F)"),
        Column("German (F)", voice="german_drive", paper="German (F)"),
    )
    own = columns[0].name
    claims = tuple(
        Claim(
            f"{row.name}: lips follow {column.name}, who was never heard",
            (row.name, column.name),
            (row.name, column.name),
            "sync_distance",
            "syncnet",
        )
        for row in rows
        for column in columns[1:]
    ) + tuple(
        Claim(
            f"{row.name}: the own voice is followed better than {column.name}",
            (row.name, own),
            (row.name, column.name),
            "sync_distance",
            "syncnet",
        )
        for row in rows
        for column in columns[1:]
    )
    return Table(
        "table7",
        "VII",
        "Voices of other people and languages",
        "table7_cross_language",
        rows,
        columns,
        ("lse_c", "opening_correlation"),
        claims,
    )


CHOICES = (
    Column("as demo", "adam"),
    Column("no mouth weight", "adam", settings=("loss.mouth_weight=0",)),
    Column(
        "log-mel, encoder learns",
        "adam",
        settings=("audio.features=mel", "audio.pretrain_steps=0", "audio.fine_rate=1e-3"),
    ),
    Column("narrow mask", "adam", settings=("loss.motion_mask=narrow",)),
    Column(
        "grows in fine stage",
        "adam",
        settings=(
            "gaussians.densify=default",
            "gaussians.densify_until=1",
            "gaussians.densify_fine_until=0.5",
            "gaussians.prune_opacity=0.005",
        ),
    ),
    Column("bounded offsets", "adam", settings=("method.bounded=true",)),
    Column("3 times as long", "adam", times=3),
    Column("10 times as long", "adam", times=10),
)
"""What the rows of Table II share here, one choice changed at a time."""

SMALL = (
    "schedule.coarse=250",
    "schedule.fine=750",
    "gaussians.cap=2000",
    "gaussians.densify_every=25",
    "gaussians.densify_from=50",
    "audio.pretrain_steps=600",
    "schedule.checkpoint_every=2000",
    "schedule.preview_every=0",
)
"""Of the study at demo: a run takes well under a minute of one core."""


def _why_so_level() -> Table:
    rows = tuple(Row(row.name, row.settings) for row in _table2().rows[1:5])
    claims: tuple[Claim, ...] = ()
    for column in CHOICES:
        base, ss, ap, full = ((row.name, column.name) for row in rows)
        claims += _compare(f"{column.name}: the Audio-Plane alone improves the baseline", ap, base, MOUTH, LIPS)
        claims += _compare(f"{column.name}: saliency splatting alone improves the baseline", ss, base, MOUTH, REST)
        claims += _compare(f"{column.name}: both together improve the baseline", full, base, MOUTH, LIPS)
    return Table(
        "why_so_level",
        "II",
        "Why so level: the rows of Table II under other choices of ours",
        "table2_ablation",
        rows,
        CHOICES,
        ("mouth_psnr", "lip_error", "rest_motion", "head_psnr", "opening_correlation", "opening_amplitude", "lse_c"),
        claims,
        seeds=5,
        sizes={"demo": ((24.0, 96, 6.0), SMALL)},
        is_study=True,
    )


def _expression() -> Table:
    columns = (Column("test set A", "adam"), Column("test set B", "beth"))
    judged = (("eyes_psnr", False), ("head_psnr", False), ("mouth_psnr", True), ("lip_error", True))
    claims = tuple(
        Claim(
            f"told of eyes and brows, a head is better on {column.name} ({registry.find(measure).title})",
            (OURS, column.name),
            ("voice alone", column.name),
            measure,
            beside=beside,
        )
        for column in columns
        for measure, beside in judged
    )
    return Table(
        "expression",
        "",
        "Heads that are told of eyes and brows beside the voice (ours)",
        "",
        (Row("voice alone"), Row(OURS, EXPRESSION)),
        columns,
        (
            "head_psnr",
            "eyes_psnr",
            "eyes_ssim",
            "mouth_psnr",
            "eye_correlation",
            "eye_amplitude",
            "ceiling_eye_correlation",
            "blink_f1",
            "ceiling_blink_f1",
            "lip_error",
            "opening_correlation",
            "opening_amplitude",
            "shifted_correlation",
        ),
        claims,
        is_study=True,
    )


_MAKERS: tuple[Callable[[], Table], ...] = (_table2, _table3, _table4, _table5, _table6, _table7)
TABLES = {table.name: table for table in (make() for make in _MAKERS)}
STUDIES = {table.name: table for table in (_why_so_level(), _expression())}
ALL = {**TABLES, **STUDIES}
