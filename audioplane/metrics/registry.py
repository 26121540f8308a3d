"""Every measure once: what it is called, its unit, which way is better, and what the paper has beside it.

Tables, plots, verdicts and reports ask here; nothing else knows whether larger is better. Names are those of records
and of `audioplane evaluate --json`. `docs/measures.md` tells how each is computed and against what it is tested.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One measure.

    Attributes:
        name: in records. title: in tables and plots.
        unit: "" for a number without one.
        digits: after the point, in tables.
        higher_is_better: None where neither end is: a control, a ratio that should be 1, a size.
        paper: the paper's measure beside which it stands ("psnr", "ssim", "lpips", "syncnet", "fps"), "" for none.
        comparable: whether it is the paper's measure, so that the two numbers may be subtracted; otherwise only
            differences between rows compare.
    """

    name: str
    title: str
    unit: str = ""
    digits: int = 3
    higher_is_better: bool | None = None
    paper: str = ""
    comparable: bool = False

    @property
    def sign(self) -> int:
        """1 where larger is better, -1 where smaller is, 0 where neither."""
        return {True: 1, False: -1, None: 0}[self.higher_is_better]

    @property
    def arrow(self) -> str:
        """Which way is better: "↑", "↓" or ""."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def heading(self) -> str:
        """Title, unit and arrow."""
        return " ".join(filter(None, (f"{self.title}, {self.unit}" if self.unit else self.title, self.arrow)))


PAPER_TITLES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "syncnet": "SyncNet", "fps": "FPS"}
"""What the paper calls its measures: PSNR and SSIM of whole frames, FPS of a GPU, lip sync by SyncNet."""

UP, DOWN = True, False
_ALL = (
    # Pictures: over the pixels that are head, that speech moves, and over the protocol's region.
    Metric("head_psnr", "head PSNR", "dB", 2, UP, "psnr"),
    Metric("head_ssim", "head SSIM", "", 4, UP, "ssim"),
    Metric("mouth_psnr", "mouth PSNR", "dB", 2, UP),
    Metric("mouth_ssim", "mouth SSIM", "", 4, UP),
    Metric("eyes_psnr", "eyes and brows PSNR", "dB", 2, UP),
    Metric("eyes_ssim", "eyes and brows SSIM", "", 4, UP),
    Metric("psnr", "PSNR", "dB", 2, UP),
    Metric("ssim", "SSIM", "", 4, UP),
    Metric("ms_ssim", "MS-SSIM", "", 4, UP),
    Metric("haarpsi", "HaarPSI", "", 4, UP),
    Metric("gmsd", "GMSD", "", 4, DOWN),
    Metric("lpips", "LPIPS", "", 4, DOWN, "lpips", comparable=True),
    Metric("fid", "FID", "", 2, DOWN),
    Metric("brisque", "BRISQUE", "", 1, DOWN),
    # Lips, read off the pictures.
    Metric("lip_error", "lip error", "mm", 3, DOWN),
    Metric("opening_correlation", "opening r", "", 3, UP),
    Metric("opening_amplitude", "amplitude", "", 2),
    Metric("opening_lag", "opening lag", "frames", 0),
    Metric("shifted_correlation", "r, 1 s late", "", 2),
    Metric("shifted_lip_error", "lip error, 1 s late", "mm", 3),
    Metric("ceiling_correlation", "opening r of the truth", "", 3),
    Metric("ceiling_lip_error", "lip error of the truth", "mm", 3),
    Metric("closure", "lip closure", "", 3, UP),
    Metric("ceiling_closure", "lip closure of the truth", "", 3),
    Metric("lmd_mouth", "LMD, mouth", "%", 2, DOWN),
    Metric("lmd_face", "LMD, face", "%", 2, DOWN),
    Metric("aue_lower", "AUE, lower", "", 3, DOWN),
    Metric("aue_upper", "AUE, upper", "", 3, DOWN),
    # Lids, read off the pictures.
    Metric("eye_correlation", "eye opening r", "", 3, UP),
    Metric("eye_amplitude", "eye amplitude", "", 2),
    Metric("blink_f1", "blink F1", "", 2, UP),
    Metric("ceiling_eye_correlation", "eye opening r of the truth", "", 3),
    Metric("ceiling_blink_f1", "blink F1 of the truth", "", 2),
    # Lip sync: of the clip, of its frames, and of its controls.
    Metric("lse_c", "LSE-C", "", 3, UP, "syncnet"),
    Metric("lse_d", "LSE-D", "", 3, DOWN),
    Metric("sync_at_zero", "distance at 0", "", 3, DOWN),
    Metric("sync_offset", "offset", "frames", 0),
    Metric("sync_distance", "distance to the sound", "", 3, DOWN),
    Metric("sync_unrelated", "distance to unrelated sound", "", 3),
    Metric("true_lse_c", "LSE-C of the truth", "", 3),
    Metric("true_lse_d", "LSE-D of the truth", "", 3),
    Metric("unrelated_lse_c", "LSE-C, unrelated", "", 3),
    Metric("unrelated_lse_d", "LSE-D, unrelated", "", 3),
    # The head itself.
    Metric("fps", "FPS", "", 0, UP, "fps"),
    Metric("rest_motion", "motion at rest", "mm", 3, DOWN),
    Metric("mouth_share", "Gaussians at the mouth", "", 3),
    Metric("gaussians", "Gaussians", "", 0),
    Metric("dynamism_iou", "IoU of g and m", "", 3, UP),
)
METRICS = {metric.name: metric for metric in _ALL}


def find(name: str) -> Metric:
    """The measure of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in METRICS:
        raise ValueError(f"name: expected a measure ({', '.join(METRICS)}), received {name!r}")
    return METRICS[name]
