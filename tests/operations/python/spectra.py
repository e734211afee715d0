"""Writes ../fixtures/spectra.json: spectra as TensorFlow and librosa compute them.

    pip install tensorflow-cpu librosa && python tests/operations/python/spectra.py
"""

import json
from pathlib import Path

import librosa
import numpy as np
import tensorflow as tf

SAMPLES, RATE, FRAME, STEP, FFT, MELS = 240, 8000, 50, 20, 64, 9


def signal():
    """The test computes the same numbers."""
    n = np.arange(SAMPLES, dtype=np.float64)
    one = np.sin(0.05 * n) + 0.5 * np.sin(0.3 * n + n * n / 400)
    return np.stack([one, 0.1 * one[::-1] * np.cos(n)])


def numbers(x):
    return np.vectorize(lambda value: float(f"{value:.8g}"))(np.asarray(x, np.float64)).tolist()


x = signal()
spectrum = tf.signal.stft(x, FRAME, STEP, FFT).numpy()
power = np.abs(spectrum) ** 2
weights = tf.signal.linear_to_mel_weight_matrix(MELS, FFT // 2 + 1, RATE, 100.0, 3800.0, tf.float64).numpy()
logs = np.log(np.maximum(power @ weights, 1e-10))
cepstra = tf.signal.mfccs_from_log_mel_spectrograms(logs).numpy()[..., :5]


def bank(**options):
    return librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, dtype=np.float64, **options).T


decibels = 10 * np.log10(np.maximum(power @ bank(norm="slaney"), 1e-10))
found = {
    # Every third frame.
    "real": numbers(spectrum.real[:, ::3]),
    "imaginary": numbers(spectrum.imag[:, ::3]),
    "tensorflow": {"bank": numbers(weights), "mfcc": numbers(cepstra)},
    "librosa": {
        "htk": numbers(bank(htk=True, norm=None, fmin=100, fmax=3800)),
        "slaney": numbers(bank(norm="slaney")),
        "mfcc": numbers(librosa.feature.mfcc(S=np.swapaxes(decibels, 1, 2), n_mfcc=5).swapaxes(1, 2)),
    },
}
path = Path(__file__).parent.parent / "fixtures" / "spectra.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(found) + "\n")
