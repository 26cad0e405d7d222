"""Marks that image generators leave with invisible-watermark's dwtDct, read by what they must say."""

from assay.watermark.known.messages import MESSAGES, KnownMessage
from assay.watermark.known.reader import ALARM, GeneratorMarks

__all__ = ["ALARM", "MESSAGES", "GeneratorMarks", "KnownMessage"]
