import numpy as np
import pytest

from audioplane.audio.activity import PAUSE, speech_frames, speech_steps


def bursts(seconds: float, *spans: tuple[float, float], level: float = 0.1) -> np.ndarray:
    samples = np.zeros(int(seconds * 16_000), np.float32)
    rng = np.random.default_rng(0)
    for start, end in spans:
        span = slice(int(start * 16_000), int(end * 16_000))
        samples[span] = level * rng.standard_normal(span.stop - span.start)
    return samples


@pytest.mark.parametrize("level", [0.3, 0.01])
def test_short_pauses_belong_to_speech_and_long_ones_do_not(level: float) -> None:
    found = speech_steps(bursts(10.0, (2.0, 3.0), (3.5, 4.0), level=level), 501)
    expected = (np.arange(501) * 0.02 >= 2.0 - PAUSE * 0.02) & (np.arange(501) * 0.02 <= 4.0 + PAUSE * 0.02)
    assert (found != expected).sum() <= 2


def test_pauses_for_breath_belong_to_speech_up_to_a_length() -> None:
    samples = bursts(12.0, (2.0, 3.0), (4.5, 5.0), (8.0, 9.0))
    times = np.arange(601) * 0.02
    for longest, gaps in ((0.0, []), (1.0, []), (2.0, [(3.0, 4.5)]), (4.0, [(3.0, 4.5), (5.0, 8.0)])):
        found = speech_steps(samples, 601, longest_pause=longest)
        expected = np.zeros(601, bool)
        for start, end in ((2.0, 3.0), (4.5, 5.0), (8.0, 9.0)):
            expected |= (times >= start - PAUSE * 0.02) & (times <= end + PAUSE * 0.02)
        for start, end in gaps:
            expected |= (times >= start) & (times <= end)
        assert (found != expected).sum() <= 4


def test_silence_and_faint_noise_are_no_speech() -> None:
    assert not speech_steps(np.zeros(16_000, np.float32), 50).any()
    assert not speech_steps(bursts(2.0, (0.0, 2.0), level=1e-4), 100).any()
    assert not speech_steps(np.zeros(0, np.float32), 3).any()


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_frames_are_those_of_the_steps(fps: float) -> None:
    samples = bursts(10.0, (2.0, 4.0))
    times = (np.arange(round(10 * fps)) + 0.5) / fps
    found = speech_frames(samples, fps, len(times))
    expected = (times > 2.0 - PAUSE * 0.02) & (times < 4.0 + PAUSE * 0.02)
    assert (found != expected).sum() <= 2
