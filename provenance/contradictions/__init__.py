"""What cannot both be right: one rule for each way in which two layers of evidence can clash."""
