"""Basic colour terms of English (Berlin and Kay, 1969), which Broden's category color consists of."""

# in the order of van de Weijer's tables (Learning Color Names for Real-World Applications, 2009)
TERMS = (
    "black",
    "blue",
    "brown",
    "grey",
    "green",
    "orange",
    "pink",
    "purple",
    "red",
    "white",
    "yellow",
)
BINS = 32  # of each channel: 8 values of 0 … 255 each
BIN_WIDTH = 8
