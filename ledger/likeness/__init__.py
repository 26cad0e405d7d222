"""What looks alike: fingerprints, sketches, and the comparison of a picture with its original."""
