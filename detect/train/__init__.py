"""Training of detectors: data by source, paired reconstructions, augmentation, folds, checkpoints. Needs torch."""
