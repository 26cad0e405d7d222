"""Architectures of the neural witnesses, readable and trainable: ``registry.build`` makes each by its name.

This package and ``train`` need torch, the extra ``assay[torch]``; what examines files runs the exported ONNX
models and imports neither. docs/formats/model.md says what a model's file takes and gives.
"""
