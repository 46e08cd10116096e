"""Rotations: uniform on SO(n), and powers on the shortest way."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pytest
from scipy import linalg, stats

from nd_plugin import BadInput
from nd_plugin.bases.rotations import (
    Geodesic,
    random_rotation,
    rotation_bases,
    rotation_name,
)

EXACT = 1e-10
# the work grows with the third power: 2,048 units take eight times as long
MANY_UNITS = int(os.environ.get("ND_ROTATION_UNITS", "1024"))
ALPHAS = (0.2, 0.5, 0.9, np.nextafter(1.0, 0.0), -0.3)

Floats = npt.NDArray[np.float64]


def check_special_orthogonal(matrix: Floats) -> None:
    identity = np.eye(len(matrix))
    assert np.abs(matrix @ matrix.T - identity).max() < EXACT
    sign, log_determinant = np.linalg.slogdet(matrix)
    assert sign == 1 and abs(log_determinant) < EXACT


def angles(matrix: Floats) -> Floats:
    """Angles of a rotation, each twice, by another algorithm: eigenvalues."""
    return np.sort(np.abs(np.angle(np.linalg.eigvals(matrix))))


def distance(matrix: Floats) -> float:
    """Length of the shortest way to the identity: the norm of the logarithm."""
    return float(np.linalg.norm(angles(matrix)))


@pytest.mark.parametrize("units", [1, 2, 3, 8, 33, 64, 255])
@pytest.mark.parametrize("seed", [0, 1])
def test_powers_are_rotations_by_a_share_of_the_angle(
    units: int, seed: int
) -> None:
    rotation = random_rotation(units, seed)
    check_special_orthogonal(rotation)
    geodesic = Geodesic.of(rotation)
    assert np.array_equal(geodesic.power(1), rotation)
    assert np.array_equal(geodesic.power(0), np.eye(units))
    # computed from planes and angles, too
    assert np.abs(geodesic.turned(1) - rotation).max() < EXACT
    assert np.abs(geodesic.turned(0) - np.eye(units)).max() < EXACT
    for alpha in ALPHAS:
        power = geodesic.power(alpha)
        check_special_orthogonal(power)
        assert np.allclose(angles(power), abs(alpha) * angles(rotation), atol=1e-9)
        assert np.isclose(distance(power), abs(alpha) * distance(rotation))


def test_many_units_as_exactly() -> None:
    rotation = random_rotation(MANY_UNITS, 0)
    check_special_orthogonal(rotation)
    geodesic = Geodesic.of(rotation)
    assert np.abs(geodesic.turned(1) - rotation).max() < EXACT
    power = geodesic.power(0.4)
    check_special_orthogonal(power)
    # of a power that halves the angles, the square is the whole: no eigenvalues needed
    half = geodesic.power(0.2)
    assert np.abs(half @ half - power).max() < EXACT
    # the trace is the sum of the cosines of all angles
    planes = np.cos(0.4 * geodesic.angles)
    assert np.isclose(np.trace(power), 2 * planes.sum())


def test_powers_add_up_and_agree_with_the_matrix_logarithm() -> None:
    rotation = random_rotation(9, 4)
    geodesic = Geodesic.of(rotation)
    logarithm = linalg.logm(rotation).real
    for alpha in (0.25, 0.7):
        assert np.allclose(
            geodesic.power(alpha), linalg.expm(alpha * logarithm), atol=1e-9
        )
    product = geodesic.power(0.3) @ geodesic.power(0.7)
    assert np.allclose(product, rotation, atol=EXACT)


@pytest.mark.parametrize(
    "rotation",
    [
        # half turns in one plane and in two, beside a turn by an angle
        np.diag([-1.0, -1.0, 1.0]),
        np.diag([1.0, -1.0, -1.0, -1.0, 1.0, -1.0]),
        linalg.block_diag([[0.0, -1.0], [1.0, 0.0]], -1.0, 1.0, -1.0),
        # a permutation: eigenvalues are roots of one, some of them ±1
        np.eye(7)[[1, 2, 0, 4, 3, 6, 5]],
        # angles of opposite signs, which arccos cannot tell
        linalg.block_diag([[0.6, -0.8], [0.8, 0.6]], [[0.6, 0.8], [-0.8, 0.6]]),
        # nearly nothing, and nearly half a turn
        linalg.block_diag(
            *(
                [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
                for t in (1e-9, np.pi - 1e-9)
            )
        ),
        np.eye(5),
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_special_rotations(rotation: Floats, mixed: bool) -> None:
    if mixed:
        basis = random_rotation(len(rotation), 3)
        rotation = basis @ rotation @ basis.T
    geodesic = Geodesic.of(rotation)
    assert np.abs(geodesic.turned(1) - rotation).max() < EXACT
    for alpha in (0.1, 0.5, 0.8):
        power = geodesic.turned(alpha)
        check_special_orthogonal(power)
        assert np.allclose(angles(power), alpha * angles(rotation), atol=1e-7)


def test_rotations_are_uniform() -> None:
    """Of a uniform rotation every entry has the distribution of a coordinate on the sphere."""
    units, count = 3, 800
    rotations = np.stack([random_rotation(units, seed) for seed in range(count)])
    # on the sphere in three dimensions a coordinate is uniform on [-1, 1]
    for row in range(units):
        for column in range(units):
            entries = (rotations[:, row, column] + 1) / 2
            assert stats.kstest(entries, "uniform").pvalue > 1e-4
    # Haar measure of SO(3): the angle has density (1 - cos θ) / π
    traces = np.trace(rotations, axis1=1, axis2=2)
    turned = np.arccos(np.clip((traces - 1) / 2, -1, 1))
    assert stats.kstest(turned, lambda x: (x - np.sin(x)) / np.pi).pvalue > 1e-4


def test_seeds_are_reproducible_and_differ() -> None:
    assert np.array_equal(random_rotation(5, 1), random_rotation(5, 1))
    assert not np.allclose(random_rotation(5, 1), random_rotation(5, 2))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.diag([1.0, -1.0]), "determinant -1"),
        (np.ones((2, 2)), "differs from the identity by 2"),
        (np.ones((2, 3)), "square"),
    ],
)
def test_what_is_no_rotation_is_refused(matrix: Floats, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Geodesic.of(matrix)


def test_bases_of_all_alphas_and_seeds() -> None:
    bases = rotation_bases(4, [0, 0.5, 1], [7, 8])
    assert list(bases) == [(0.5, 7), (1, 7), (0.5, 8), (1, 8)]
    assert [basis.name for basis in bases.values()] == [
        "rotation(alpha=0.5,seed=7)",
        "rotation(alpha=1,seed=7)",
        "rotation(alpha=0.5,seed=8)",
        "rotation(alpha=1,seed=8)",
    ]
    fingerprints = {basis.fingerprint for basis in bases.values()}
    assert len(fingerprints) == 4
    assert rotation_name(0.4, 2) == "rotation(alpha=0.4,seed=2)"
