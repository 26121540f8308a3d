"""Tables II to VII of the Audio-Plane paper: rows and columns are configs and clips, claims name cells to compare.

Table I is bytes, not runs (`inspection.memory_table`).
"""

from __future__ import annotations

from collections.abc import Callable

from audioplane.experiments.tables import Claim, Column, Row, Table

TRI_PLANE = ("method.field=tri_plane", "method.saliency=false")
SIX_PLANES = ("method.field=six_planes", "method.saliency=false")
OURS, EXPRESSION = "with expression (ours)", ("method.expression=true",)

PICTURES = (
    "head_psnr",
    "head_ssim",
    "lpips",
    "lse_c",
    "mouth_psnr",
    "lip_error",
    "opening_correlation",
    "opening_amplitude",
    "shifted_correlation",
)


def _compare(text: str, first: tuple[str, str], second: tuple[str, str], *pairs: tuple[str, str]) -> tuple[Claim, ...]:
    return tuple(
        Claim(f"{text} ({MEASURES_OF[paper_name]})", first, second, ours, paper_name) for paper_name, ours in pairs
    )


MEASURES_OF = {"psnr": "PSNR", "syncnet": "lip sync", "lpips": "perceptual"}
PSNR, SYNC = ("psnr", "head_psnr"), ("syncnet", "sync_distance")


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
        *_compare("saliency splatting alone improves the baseline", ss, base, PSNR, SYNC),
        *_compare("the Audio-Plane alone improves the baseline", ap, base, PSNR, SYNC),
        *_compare("saliency splatting improves the Audio-Plane", full, ap, PSNR, SYNC),
        *_compare("both together improve the baseline", full, base, PSNR, SYNC),
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
        *_compare("attention beats an MLP, concatenated", best, ("mlp / concat", "test set B"), PSNR, SYNC),
        *_compare("concatenation beats addition", best, ("attention / add", "test set B"), PSNR, SYNC),
        *_compare("concatenation beats multiplication", best, ("attention / multiply", "test set B"), PSNR, SYNC),
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
        claims += _compare(f"a margin of 0.2 is better than {margin}", chosen, (margin, "test set A"), SYNC)
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


def _table5() -> Table:
    names = (
        "ATVG",
        "MakeItTalk",
        "Wav2Lip",
        "AD-NeRF",
        "RAD-NeRF",
        "ER-NeRF",
        "SyncTalk",
        "GaussianTalker",
        "TalkingGaussian",
    )
    rows = (
        Row("six-planes over time", SIX_PLANES, audio_driven=False),
        Row("tri-plane + audio", TRI_PLANE),
        Row("Audio-Plane", (), "Audio-Plane"),
        Row(f"Audio-Plane {OURS}", EXPRESSION),
        *(Row(method, None, method) for method in names),
    )
    columns = (Column("test set A", "adam", paper="A"), Column("test set B", "beth", paper="B"))
    claims = tuple(
        claim
        for column in columns
        for other in ("tri-plane + audio", "six-planes over time")
        for claim in _compare(
            f"Audio-Plane beats {other} on {column.name}",
            ("Audio-Plane", column.name),
            (other, column.name),
            PSNR,
            SYNC,
        )
    )
    return Table(
        "table5", "V", "Methods, driven by their own voice", "table5_methods", rows, columns, (*PICTURES, "fps"), claims
    )


def _table6() -> Table:
    rows = (
        Row("tri-plane + audio", TRI_PLANE),
        Row("Audio-Plane", (), "Audio-Plane"),
        *(Row(method, None, method) for method in ("SynObama", "NVP", "ER-NeRF", "TalkingGaussian")),
    )
    columns = (
        Column("test audio A", "adam", "english_drive", "A"),
        Column("test audio B", "adam", "german_drive", "B"),
    )
    claims = tuple(
        claim
        for column in columns
        for claim in _compare(
            f"driven by {column.name}, Audio-Plane beats tri-plane + audio",
            ("Audio-Plane", column.name),
            ("tri-plane + audio", column.name),
            ("lpips", "mouth_psnr"),
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


_MAKERS: tuple[Callable[[], Table], ...] = (_table2, _table3, _table4, _table5, _table6, _table7)
TABLES = {table.name: table for table in (make() for make in _MAKERS)}
