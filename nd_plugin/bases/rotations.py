"""Random rotations of a layer's units, and powers of them (section 3.2 of the paper).

Q is uniform on SO(n), and Q^α turns the units from their own basis (α = 0) to a random one
(α = 1), on the shortest way. The authors' code takes the arccos of eigenvalues, which loses the
signs of angles: its Q^1 is not Q. Here angles come from the real Schur form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import linalg

from nd_plugin.bases.basis import Basis
from nd_plugin.bases.encoder import Encoder
from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.errors import BadInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TOLERANCE = 1e-8  # of orthogonality, for matrices of others


def random_rotation(units: int, seed: int) -> Floats:
    """Draw Q uniformly from SO(units), reproducibly; (direction, unit).

    Q of the QR decomposition of a Gaussian matrix is uniform on O(n) where the diagonal of R is
    positive (Mezzadri 2007); turning one column round moves the half with determinant -1 to SO(n).
    """
    gaussian = np.random.default_rng(seed).standard_normal((units, units))
    q, r = np.linalg.qr(gaussian)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    sign, _ = np.linalg.slogdet(q)
    if sign < 0:
        q[:, 0] *= -1
    return np.asarray(q)


@dataclass(frozen=True, eq=False)
class Geodesic:
    """Shortest way from the identity to a rotation Q on SO(n): α to Q^α.

    The real Schur form of Q is Z·T·Zᵀ with 2x2 blocks on the diagonal of T, each of which turns a
    plane of two columns of Z by an angle in (-π, π]; α multiplies the angles.
    """

    rotation: Floats  # (n, n) Q
    vectors: Floats  # (n, n) Z
    first: Integers  # (plane,) column of Z
    second: Integers  # (plane,) column of Z
    angles: Floats  # (plane,) radians, from the first towards the second

    @classmethod
    def of(cls, rotation: npt.ArrayLike) -> Geodesic:
        """Decompose a rotation (n, n). Raises BadInput for a matrix that is none."""
        q = np.asarray(rotation, dtype=np.float64)
        _check_rotation(q)
        schur, vectors = linalg.schur(q, output="real")
        first, second, angles = _planes(schur)
        return cls(q, np.asarray(vectors), first, second, angles)

    def power(self, alpha: float) -> Floats:
        """Return Q^α (n, n); exactly the identity for α = 0, and exactly Q for α = 1."""
        if alpha == 0:
            return np.eye(len(self.rotation))
        if alpha == 1:
            return self.rotation.copy()
        return self.turned(alpha)

    def turned(self, alpha: float) -> Floats:
        """Compute Q^α (n, n) from the planes and their angles."""
        cosine = np.cos(alpha * self.angles)
        sine = np.sin(alpha * self.angles)
        first = self.vectors[:, self.first]
        second = self.vectors[:, self.second]
        turned = self.vectors.copy()
        turned[:, self.first] = cosine * first + sine * second
        turned[:, self.second] = cosine * second - sine * first
        return np.asarray(turned @ self.vectors.T)


def _check_rotation(q: Floats) -> None:
    if q.ndim != 2 or q.shape[0] != q.shape[1]:
        raise BadInput(f"a rotation is a square matrix, not one of shape {q.shape}")
    difference = float(np.abs(q @ q.T - np.eye(len(q))).max(initial=0))
    if not difference <= TOLERANCE:
        raise BadInput(
            f"the matrix is no rotation: Q·Qᵀ differs from the identity by {difference:.2g}"
        )
    sign, _ = np.linalg.slogdet(q)
    if sign < 0:
        raise BadInput(
            "the matrix has determinant -1: it is a reflection, which no way on SO(n) leads to; "
            "change the sign of one row"
        )


def _planes(schur: Floats) -> tuple[Integers, Integers, Floats]:
    """Return the planes of a Schur form (n, n): two columns of Z each, and the angle.

    Blocks of one number are ±1. There is an even number of -1, since the determinant is 1: each
    two span a plane that is turned by π.
    """
    starts = np.flatnonzero(np.diag(schur, -1))
    cosines = (schur[starts, starts] + schur[starts + 1, starts + 1]) / 2
    sines = (schur[starts + 1, starts] - schur[starts, starts + 1]) / 2
    single = np.setdiff1d(
        np.arange(len(schur)), np.concatenate([starts, starts + 1])
    )
    reversed_axes = single[np.diag(schur)[single] < 0]
    half_turns = np.full(len(reversed_axes) // 2, np.pi)
    first = np.concatenate([starts, reversed_axes[::2]])
    second = np.concatenate([starts + 1, reversed_axes[1::2]])
    angles = np.concatenate([np.arctan2(sines, cosines), half_turns])
    return first, second, angles


def rotation_name(alpha: float, seed: int) -> str:
    """Return the name of a rotated basis, such as ``rotation(alpha=0.4,seed=2)``."""
    return f"rotation(alpha={alpha:g},seed={seed})"


def rotation_bases(
    units: int, alphas: Sequence[float], seeds: Sequence[int]
) -> dict[tuple[float, int], Basis]:
    """Return the basis of Q^α for each α other than 0 and each seed of Q, by (α, seed).

    Each seed costs a Schur decomposition (4 seconds for 1,280 units), each basis 4 · units² bytes.
    """
    turned_alphas = [alpha for alpha in alphas if alpha != 0]
    bases: dict[tuple[float, int], Basis] = {}
    for seed in seeds if turned_alphas else ():
        geodesic = Geodesic.of(random_rotation(units, seed))
        for alpha in turned_alphas:
            bases[alpha, seed] = _rotation_basis(geodesic, alpha, seed)
    return bases


def _rotation_basis(geodesic: Geodesic, alpha: float, seed: int) -> Basis:
    """Return the basis of Q^α.

    It is identified by its parameters: the last bits of Q differ between machines, whose shards
    belong together nevertheless.
    """
    matrix = torch.from_numpy(geodesic.power(alpha)).float()
    units = len(matrix)
    identity = f"rotation of {units} units, alpha {alpha!r}, seed {seed}"
    return Basis(
        name=rotation_name(alpha, seed),
        transform=Encoder(matrix),
        fingerprint=fingerprint([identity.encode()]),
        units=units,
        directions=units,
        description=(("kind", "rotation"), ("alpha", alpha), ("seed", seed)),
    )
