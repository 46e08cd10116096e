"""Experiments of the paper in small: networks trained on drawn scenes, and dissected."""
