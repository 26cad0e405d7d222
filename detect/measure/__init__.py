"""Detectors measured: on whose pictures, under which conditions, how well, and how sure of that one can be."""
