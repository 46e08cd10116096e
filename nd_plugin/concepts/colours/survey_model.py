"""Model of colour names that our table is built from: the answers of a survey, in CIELAB.

The survey is XKCD's of 2010 (https://blog.xkcd.com/2010/05/03/color-survey-results/, CC0): visitors
named colours on their screens, five million times. matplotlib has the 949 most frequent names, each
with its colour, from the rarest to the most frequent.

- A name counts for the basic terms among its words, in equal shares: "dark olive green" is green,
  "blue grey" is half blue and half grey. Words like "bluish" count for nothing. 577 names have a
  basic term.
- A name weighs 1/rank: matplotlib has the order of the names and not their counts, and frequencies
  of words fall about so (Zipf's law).
- A colour has the term that most of the weight around it is of: each name's, times
  exp(-d^2 / (2 · `BANDWIDTH`^2)) at the distance d in CIELAB (CIE 1976).
- Black, grey and white are one term at first, without hue. What has no hue is told apart by its
  lightness, at the middle between the best examples, which are the survey's colours of these three
  names. (Categories as neighbourhoods of best examples: Gärdenfors, Conceptual Spaces, 2000.) Names
  of shades cannot say where black ends: to whoever writes "dark grey", grey goes down to L* 22.

Nothing here is fitted to the table of others, or to pictures. The bandwidth is the whole number
that predicts best, of each name, the terms from the other names (`held_out_score`). For the record:
van de Weijer's table agrees with this model on 89 % of CamVid's pixels, with its first three steps
alone on 55 %, and with the nearest of eleven best examples on 84 %, of which nothing is green.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin.concepts.colours.terms import BIN_WIDTH, BINS, TERMS

BANDWIDTH = 5.0  # in CIELAB, where the eye just sees a difference of about 2
SURVEY_TABLE = Path(__file__).parent / "survey_table.npy"
WITHOUT_HUE = ("black", "grey", "white")  # from dark to light
SPELLINGS = {"gray": "grey"}
SEPARATORS = re.compile(r"[ /]")
PREFIX = "xkcd:"  # of matplotlib's names
# of names that no other is near to: their logarithm would outweigh all others
LEAST_PROBABILITY = 0.001
# of sRGB, IEC 61966-2-1: linear red, green and blue to CIE XYZ
RGB_TO_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Survey:
    """Names of the survey that have a basic term."""

    names: tuple[str, ...]
    places: Floats  # (name, 3), in CIELAB
    weights: Floats  # (name,), 1/rank
    shares: Floats  # (name, term), each row sums up to 1

    def probabilities(
        self, places: Floats, bandwidth: float, *, held_out: bool = False
    ) -> Floats:
        """Return the share of each term in the weight around places: (place, term).

        ``held_out``: the places are those of the names themselves, and each is left out at its own.
        """
        exponents = -squared_distances(places, self.places) / (2 * bandwidth**2)
        logarithms = np.log(self.weights) + exponents
        if held_out:
            np.fill_diagonal(logarithms, -np.inf)
        # far from all names every weight would be 0
        logarithms -= logarithms.max(axis=1, keepdims=True)
        weights = np.exp(logarithms)
        amounts = weights @ self.shares
        probabilities: Floats = amounts / amounts.sum(axis=1, keepdims=True)
        return probabilities


@cache
def read_survey() -> Survey:
    """Return the survey's names with basic terms, as matplotlib has them."""
    from matplotlib.colors import XKCD_COLORS

    names = []
    colours = []
    weights = []
    shares = []
    for position, (key, code) in enumerate(XKCD_COLORS.items()):
        name = key.removeprefix(PREFIX)
        terms = basic_terms(name)
        if terms:
            names.append(name)
            colours.append(list(bytes.fromhex(str(code).removeprefix("#"))))
            weights.append(1 / (len(XKCD_COLORS) - position))
            shares.append([terms.count(term) / len(terms) for term in TERMS])
    return Survey(
        tuple(names), to_lab(np.array(colours)), np.array(weights), np.array(shares)
    )


def basic_terms(name: str) -> list[str]:
    """Return the basic terms among the words of a name."""
    words = [SPELLINGS.get(word, word) for word in SEPARATORS.split(name)]
    return [word for word in words if word in TERMS]


def build_table() -> npt.NDArray[np.uint8]:
    """Return the index of the term of each bin of colours: (red, green, blue).

    The colour of a bin is its middle: bin 0 has the values 0 … 7, and stands for 3.5.
    """
    middles = BIN_WIDTH * np.arange(BINS) + (BIN_WIDTH - 1) / 2
    table = np.empty((BINS, BINS, BINS), np.uint8)
    for red_bin, red in enumerate(middles):
        green, blue = np.meshgrid(middles, middles, indexing="ij")
        colours = np.stack([np.full_like(green, red), green, blue], axis=-1)
        terms = term_indices(to_lab(colours.reshape(-1, 3)))
        table[red_bin] = terms.reshape(BINS, BINS)
    return table


def term_indices(places: Floats) -> npt.NDArray[np.int64]:
    """Return the index of the term of each place (place, 3) in CIELAB."""
    survey = read_survey()
    probabilities = survey.probabilities(places, BANDWIDTH)
    hueless = [TERMS.index(term) for term in WITHOUT_HUE]
    without_hue = probabilities[:, hueless].sum(axis=1)
    probabilities[:, hueless] = 0
    terms = probabilities.argmax(axis=1)
    is_hueless = without_hue > probabilities.max(axis=1)
    shades = np.array(hueless)[np.digitize(places[:, 0], lightness_borders())]
    return np.where(is_hueless, shades, terms)


def lightness_borders() -> tuple[float, float]:
    """Return L* between black and grey, and between grey and white."""
    survey = read_survey()
    best_examples = [survey.names.index(term) for term in WITHOUT_HUE]
    black, grey, white = survey.places[best_examples, 0].tolist()
    return (black + grey) / 2, (grey + white) / 2


def held_out_score(bandwidth: float) -> float:
    """Return how well the other names predict the terms of each: mean log-likelihood, by weight."""
    survey = read_survey()
    probabilities = survey.probabilities(survey.places, bandwidth, held_out=True)
    likelihoods = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    scores = (survey.shares * likelihoods).sum(axis=1)
    return float(np.average(scores, weights=survey.weights))


def to_lab(colours: npt.NDArray[np.generic]) -> Floats:
    """Convert sRGB colours of 0 … 255 to CIELAB under D65: (colour, 3) both."""
    encoded = np.asarray(colours, np.float64) / 255
    linear = np.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
    )
    white = RGB_TO_XYZ.sum(axis=1)
    relative = linear @ RGB_TO_XYZ.T / white
    cube_roots = np.where(
        relative > (6 / 29) ** 3,
        np.cbrt(relative),
        relative * (29 / 6) ** 2 / 3 + 4 / 29,
    )
    x, y, z = cube_roots.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def squared_distances(first: Floats, second: Floats) -> Floats:
    """Return the squared distance of each two places: (first, second)."""
    first_norms = np.square(first).sum(axis=1)
    second_norms = np.square(second).sum(axis=1)
    squares: Floats = first_norms[:, None] + second_norms - 2 * first @ second.T
    return squares


if __name__ == "__main__":
    np.save(SURVEY_TABLE, build_table(), allow_pickle=False)
