"""The optional model files of other people: what each is for, where it is looked for, how to get it.

None ships with audioplane and none is downloaded behind the user's back: `audioplane fetch NAME` is the
user's act, and what needs a missing file says so. A file is looked for, in this order,

1. in the assets folder (`AUDIOPLANE_ASSETS`, else `assets` in the user's cache folder), mostly at `models/<place>`;
2. where the library that made it known keeps its own download (torch hub's or TensorFlow's folder).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audioplane.errors import UserError
from audioplane.runtime import cache

VARIABLE = "AUDIOPLANE_ASSETS"


@dataclass(frozen=True)
class ModelFile:
    """One optional file.

    Attributes:
        name: what `find`, `require` and `audioplane fetch` call it.
        purpose: what needs it, in a few words.
        place: its path inside `models` of the assets folder.
        licence: as its authors state it.
        url: its public home; `by_hand` says what to do where that is not one plain file.
        sha256: all of it or, as torch hub writes them into file names, its first digits; "" if not published.
        by_hand: how to get it where `audioplane fetch` cannot.
        elsewhere: the folder in which another library keeps it: "torch", "tensorflow" or "" for none.
        folder: of the assets folder, in which its place is.
        maker: the module whose `make(url, path, copy)` downloads the pieces below `url` and makes one file of them; ""
            for a file that is downloaded as it is.
    """

    name: str
    purpose: str
    place: str
    licence: str
    url: str
    sha256: str = ""
    by_hand: str = ""
    elsewhere: str = ""
    folder: str = "models"
    maker: str = ""

    @property
    def how(self) -> str:
        """How to get it, as one phrase for the user."""
        return self.by_hand or f"audioplane fetch {self.name}"

    def candidates(self) -> list[Path]:
        """Where it may be, the first first."""
        places = [assets_folder() / self.folder / self.place]
        with contextlib.suppress(UserError):  # no home folder: no library keeps anything there
            if self.elsewhere:
                places.append(_library_folder(self.elsewhere) / Path(self.place).name)
        return places


class MissingWeightsError(UserError):
    """An optional model file is needed and is not on this machine, or is damaged."""


_TORCHVISION = "https://download.pytorch.org/models/"
_FACE_ALIGNMENT = "https://www.adrianbulat.com/downloads/python-fan/"
_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-"
_HUGGING_FACE = "https://huggingface.co/facebook/"
_WHISPER = "https://openaipublic.azureedge.net/main/whisper/models/"
_ICT_FACEKIT = "https://raw.githubusercontent.com/ICT-VGL/ICT-FaceKit/da5f95a607f5e6b37755b38d3385d7f2853732e5/"

_FILES = (
    ModelFile(
        name="lpips-alex",
        purpose="LPIPS, the column of the paper's tables",
        place="lpips/alexnet-owt-7be5be79.pth",
        licence="BSD-3-Clause (torchvision)",
        url=_TORCHVISION + "alexnet-owt-7be5be79.pth",
        sha256="7be5be79",
        elsewhere="torch",
    ),
    ModelFile(
        name="lpips-vgg",
        purpose="LPIPS as a loss, Eq. 17",
        place="lpips/vgg16-397923af.pth",
        licence="BSD-3-Clause (torchvision)",
        url=_TORCHVISION + "vgg16-397923af.pth",
        sha256="397923af",
        elsewhere="torch",
    ),
    ModelFile(
        name="lpips-squeeze",
        purpose="LPIPS, the fastest backbone",
        place="lpips/squeezenet1_1-b8a52dc0.pth",
        licence="BSD-3-Clause (torchvision)",
        url=_TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc0",
        elsewhere="torch",
    ),
    ModelFile(
        name="fid-inception",
        purpose="FID",
        place="fid/pt_inception-2015-12-05-6726825d.pth",
        licence="Apache-2.0 (pytorch-fid)",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d",
        elsewhere="torch",
    ),
    ModelFile(
        name="brisque",
        purpose="BRISQUE",
        place="brisque/brisque_svm_weights.pt",
        licence="Apache-2.0 (piq)",
        url="https://github.com/photosynthesis-team/piq/releases/download/v0.4.0/brisque_svm_weights.pt",
        elsewhere="torch",
    ),
    ModelFile(
        name="syncnet",
        purpose="lip sync (LSE-D, LSE-C)",
        place="syncnet/syncnet_v2.model",
        licence="research use (VGG, University of Oxford)",
        url="https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
    ),
    ModelFile(
        name="s3fd",
        purpose="face detector of face-alignment",
        place="face_alignment/s3fd-619a316812.pth",
        licence="BSD-3-Clause (face-alignment)",
        url=_FACE_ALIGNMENT + "s3fd-619a316812.pth",
        sha256="619a316812",
        elsewhere="torch",
    ),
    ModelFile(
        name="fan",
        purpose="68 landmarks, LMD (face-alignment)",
        place="face_alignment/2DFAN4-11f355bf06.pth.tar",
        licence="BSD-3-Clause (face-alignment)",
        url=_FACE_ALIGNMENT + "2DFAN4-11f355bf06.pth.tar",
        sha256="11f355bf06",
        elsewhere="torch",
    ),
    ModelFile(
        name="face-landmarker",
        purpose="478 landmarks, 52 blendshapes (MediaPipe)",
        place="mediapipe/face_landmarker.task",
        licence="Apache-2.0",
        url=_MEDIAPIPE + "models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
    ModelFile(
        name="selfie",
        purpose="person mask (MediaPipe)",
        place="mediapipe/selfie_segmentation.tflite",
        licence="Apache-2.0",
        url=_MEDIAPIPE + "assets/selfie_segmentation.tflite?generation=1661875931201364",
        sha256="8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
    ),
    ModelFile(
        name="hair",
        purpose="hair mask (MediaPipe)",
        place="mediapipe/hair_segmentation.tflite",
        licence="Apache-2.0",
        url=_MEDIAPIPE + "assets/hair_segmentation.tflite?generation=1661875756623461",
        sha256="d2c940c4fd80edeaf38f5d7387d1b4235ee320ed120080df67c663e749e77633",
    ),
    ModelFile(
        name="bisenet",
        purpose="face parsing, 19 classes",
        place="bisenet/79999_iter.pth",
        licence="MIT (face-parsing.PyTorch)",
        url="https://github.com/zllrunning/face-parsing.PyTorch",
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        by_hand="79999_iter.pth from the link in the README of github.com/zllrunning/face-parsing.PyTorch",
    ),
    ModelFile(
        name="wav2vec2",
        purpose="audio features",
        place="wav2vec2/wav2vec2-base-960h.safetensors",
        licence="Apache-2.0",
        url=_HUGGING_FACE + "wav2vec2-base-960h/resolve/main/model.safetensors",
    ),
    ModelFile(
        name="hubert",
        purpose="audio features",
        place="hubert/hubert-large-ls960-ft.bin",
        licence="Apache-2.0",
        url=_HUGGING_FACE + "hubert-large-ls960-ft/resolve/main/pytorch_model.bin",
        sha256="9cf43abec3f0410ad6854afa4d376c69ccb364b48ddddfd25c4c5aa16398eab0",
    ),
    ModelFile(
        name="whisper-base",
        purpose="audio features, a larger Whisper",
        place="whisper/base.pt",
        licence="MIT (OpenAI)",
        url=_WHISPER + "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e/base.pt",
        sha256="ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    ),
    ModelFile(
        name="whisper-tiny.en",
        purpose="source of the Whisper that ships",
        place="whisper/tiny.en.pt",
        licence="MIT (OpenAI)",
        url=_WHISPER + "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03/tiny.en.pt",
        sha256="d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    ),
    ModelFile(
        name="deepspeech",
        purpose="audio features, the paper's",
        place="deepspeech/deepspeech-0_1_0-b90017e8.pb",
        licence="MPL-2.0",
        url="https://github.com/osmr/deepspeech_features/releases/tag/v0.0.1",
        by_hand="unzip deepspeech-0_1_0-b90017e8.pb.zip of github.com/osmr/deepspeech_features (v0.0.1)",
        elsewhere="tensorflow",
    ),
    ModelFile(
        name="ict-facekit",
        purpose="speakers on a scanned head (--backend ict)",
        place="ict_facekit.npz",
        licence="MIT (USC Institute for Creative Technologies)",
        url=_ICT_FACEKIT + "FaceXModel/",
        folder="mesh",
        maker="audioplane.synthetic.ict.download",
    ),
)

REGISTRY: dict[str, ModelFile] = {file.name: file for file in _FILES}


def assets_folder() -> Path:
    """The folder in which optional files are looked for first (it need not exist)."""
    override = os.environ.get(VARIABLE)
    return Path(override).expanduser().absolute() if override else cache.folder("assets")


def find(name: str) -> Path | None:
    """The path of an optional file, or None when it is nowhere (an empty file counts as missing).

    Raises:
        KeyError: no such name in `REGISTRY`.
    """
    for path in REGISTRY[name].candidates():
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None


def require(name: str) -> Path:
    """The path of an optional file whose content is what it should be, as far as its sha256 is published.

    Raises:
        MissingWeightsError: it is not on this machine, or is not what it should be; says how to get it.
        KeyError: no such name in `REGISTRY`.
    """
    file = REGISTRY[name]
    path = find(name)
    if path is None:
        places = " or ".join(str(place) for place in file.candidates())
        raise MissingWeightsError(
            f"The model file {name!r} ({file.purpose}) is missing: expected {places}. Get it: {file.how}"
        )
    status = path.stat()
    if not _digest(path, status.st_size, status.st_mtime_ns).startswith(file.sha256):
        raise MissingWeightsError(
            f"The model file {name!r} at {path} is damaged or another version: its sha256 should begin with "
            f"{file.sha256[:16]}. Delete it, then get it again: {file.how}"
        )
    return path


def contents(*names: str) -> str:
    """What optional files hold that a result is made with: name and sha256 of each, "" for one that is missing.

    Names that are of no file are passed over, so that any setting which may name one can be given.
    """
    found = {}
    for name in sorted(REGISTRY.keys() & set(names)):
        path = find(name)
        status = path.stat() if path else None
        found[name] = _digest(path, status.st_size, status.st_mtime_ns) if path and status else ""
    return " ".join(f"{name}:{sha256}" for name, sha256 in found.items())


def digest(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        total = hashlib.sha256()
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    """Once a process for each state of a file: VGG's half a gigabyte takes about a second."""
    del size, changed
    return digest(path)


def _library_folder(library: str) -> Path:
    if library == "tensorflow":
        return cache.home() / ".tensorflow" / "models"
    # What torch.hub.get_dir() says, without importing torch.
    system_cache = Path(os.environ.get("XDG_CACHE_HOME") or cache.home() / ".cache")
    torch_home = Path(os.environ.get("TORCH_HOME") or system_cache / "torch").expanduser()
    return torch_home / "hub" / "checkpoints"
