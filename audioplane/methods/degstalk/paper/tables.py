"""Tables I and II of the DEGSTalk paper. Hair is rendered in all of them, never pasted; see `protocols`."""

from __future__ import annotations

from audioplane.experiments.tables import Claim, Column, Row, Table
from audioplane.methods.degstalk.config import DEGSTalkConfig

PICTURES = ("head_psnr", "head_ssim", "lpips", "mouth_psnr", "lip_error", "opening_correlation", "opening_amplitude")
FULL, FAIR = "w E, F, R, H", "DEGSTalk, eyes and brows alone"
AFTER = ("method.embedding_place=after",)
"""As the authors' code has it; the paper's Eq. 5 puts z beside the position."""
FULL_AFTER, FAIR_AFTER = (f"{name}; z after the planes" for name in (FULL, FAIR))
FAIR_ROWS = (FAIR, FAIR_AFTER)
"""Told what TalkingGaussian is told."""
CLIP = Column("long hair", "elise")
MEASURES = (("PSNR", "head_psnr", "psnr"), ("lips", "lip_error", ""))
UPPER = ("method.coefficients=upper", "schedule.foreign_expression=0.25")
"""Inputs of TalkingGaussian: mouth shapes are not told."""


def _table1() -> Table:
    rows = (
        Row("TalkingGaussian", (), "TalkingGaussian", method="talking_gaussian"),
        Row(FAIR, UPPER),
        Row(FAIR_AFTER, (*UPPER, *AFTER)),
        Row("DEGSTalk", (), "DEGSTalk"),
        *(Row(name, None, name) for name in ("AD-NeRF", "ER-NeRF", "SyncTalk")),
    )
    base = ("TalkingGaussian", CLIP.name)
    claims = tuple(
        Claim(f"DEGSTalk{place} beats TalkingGaussian ({words})", (row, CLIP.name), base, measure, paper)
        for row, place in ((FAIR, ""), (FAIR_AFTER, ", z after the planes,"))
        for words, measure, paper in MEASURES
    )
    title = "Heads reconstructed under their own voice"
    return _table("table1", "I", title, "table1_head_reconstruction", rows, claims)


def _table2() -> Table:
    rows = (
        Row("w/o F", UPPER, "w/o F"),
        Row("w/o R", ("method.fuse_share=0",), "w/o R"),
        Row("w/o E", ("method.embedding=0",), "w/o E"),
        Row("w/o H", ("method.hair=false",), "w/o H"),
        Row(FULL, (), FULL),
        Row(FULL_AFTER, AFTER),
    )
    texts = {
        "w/o F": "expression coefficients of the whole face improve those of eyes and brows",
        "w/o R": "fine-tuning of all layers together improves the picture",
        "w/o E": "embeddings improve the picture",
        "w/o H": "hair as a layer of its own improves the picture",
    }
    claims = tuple(
        Claim(f"{text} ({words})", (FULL, CLIP.name), (row, CLIP.name), measure, paper)
        for row, text in texts.items()
        for words, measure, paper in MEASURES
    ) + tuple(
        Claim(f"embeddings after the planes improve it ({words})", (FULL_AFTER, CLIP.name), ("w/o E", CLIP.name), name)
        for words, name, _ in MEASURES
    )
    return _table("table2", "II", "What each part is worth", "table2_ablation", rows, claims)


def _table(name: str, number: str, title: str, data: str, rows: tuple[Row, ...], claims: tuple[Claim, ...]) -> Table:
    method = DEGSTalkConfig.NAME
    return Table(name, number, title, data, rows, (CLIP,), PICTURES, claims, method)


TABLES = {table.name: table for table in (_table1(), _table2())}
