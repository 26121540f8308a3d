"""Learning rates and picture sizes over a run: pure functions of the config and the iteration."""

from __future__ import annotations

from dataclasses import dataclass

from audioplane.config import Config

CLOUD = ("means", "quats", "scales", "opacities", "sh0", "shN")


@dataclass(frozen=True)
class Rates:
    """Learning rates of one iteration: of each array of the cloud (means in metres), planes, network, encoder."""

    cloud: dict[str, float]
    planes: float
    network: float
    encoder: float


def is_coarse(config: Config, iteration: int) -> bool:
    return iteration < config.schedule.coarse


def total(config: Config) -> int:
    return config.schedule.coarse + config.schedule.fine


def size(config: Config, iteration: int) -> int:
    """Picture width of an iteration; 0 is the subject's own."""
    early = config.schedule.early_size
    return early if early and iteration < config.schedule.coarse // 2 else config.schedule.size


def rates(config: Config, iteration: int, half: float) -> Rates:
    """Learning rates of an iteration; `half` is half a side of the head's box in metres."""
    own, schedule = config.optim, config.schedule
    base = {
        "quats": own.quats,
        "scales": own.scales,
        "opacities": own.opacities,
        "sh0": own.colors,
        "shN": own.colors / 20,
    }
    if is_coarse(config, iteration):
        done = iteration / schedule.coarse
        means = own.means * (own.means_last / own.means) ** done if own.means > 0 else 0.0
        return Rates({"means": means * half, **base}, 0.0, 0.0, 0.0)
    done = (iteration - schedule.coarse) / max(schedule.fine, 1)
    decay = own.last_share**done if own.last_share > 0 else 1.0 - done
    cloud = {name: rate * own.fine_share * decay for name, rate in base.items()}
    cloud["means"] = own.means_last * half * decay
    warm = min(1.0, (iteration - schedule.coarse + 1) / 100)
    return Rates(cloud, own.planes * decay * warm, own.network * decay * warm, config.audio.fine_rate * decay)
