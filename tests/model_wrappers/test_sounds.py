"""Curves of probability to stretches, and sounds at the rate that networks want."""

from __future__ import annotations

import numpy as np
import pytest

from prelabel.errors import ModelLoadError
from prelabel.loader import load_wrapper
from prelabel.model import Audio
from prelabel_wrappers.sounds import mono, stretches


def found(curve: list[float], **rest: float) -> list[tuple[float, float]]:
    told = {"threshold": 0.5, "min_length_s": 0.2, "min_gap_s": 0.2} | rest
    return [(round(start, 3), round(end, 3)) for start, end, _ in stretches(np.array(curve, np.float32), 0.1, **told)]


def test_a_stretch_is_where_the_curve_is_high() -> None:
    assert found([0, 0.9, 0.9, 0.9, 0]) == [(0.1, 0.4)]


def test_it_ends_later_than_it_begins() -> None:
    assert found([0.4, 0.4, 0.9, 0.4, 0.4, 0]) == [(0, 0.5)]
    assert found([0.4, 0.4, 0.4]) == []


def test_short_gaps_are_closed_and_short_stretches_left_out() -> None:
    assert found([0.9, 0.9, 0, 0.9, 0.9, 0, 0, 0, 0.9]) == [(0, 0.5)]


def test_padding_stops_half_of_the_way_to_the_neighbour() -> None:
    assert found([0, 0.9, 0.9, 0, 0, 0.9, 0.9], pad_s=1.0) == [(0, 0.4), (0.4, 0.7)]


def test_a_stretch_is_scored_with_the_mean_of_its_frames() -> None:
    ((_, _, score),) = stretches(np.array([0.6, 0.8]), 0.1, threshold=0.5, min_length_s=0, min_gap_s=0)
    assert score == pytest.approx(0.7)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_stays_the_tone_at_another_rate(rate: int) -> None:
    moments = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * moments).astype(np.float32)
    samples = mono(Audio(np.stack([tone, tone], axis=1), rate))
    assert len(samples) == pytest.approx(16_000, abs=2)
    assert np.abs(np.fft.rfft(samples[:16_000])).argmax() == pytest.approx(440, abs=1)
    assert 0.6 < float(np.sqrt((samples**2).mean())) < 0.72


def test_what_is_above_the_new_rate_does_not_come_back_as_another_tone() -> None:
    moments = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 15_900 * moments).astype(np.float32)[:, None]
    assert float(np.abs(mono(Audio(tone, 48_000))).mean()) < 0.1


def test_every_event_needs_its_label() -> None:
    with pytest.raises(ModelLoadError, match="1 names, the engine events says 3"):
        load_wrapper("vad", {"engine": "events", "labels": "Speech"})
