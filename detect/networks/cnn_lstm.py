"""A convolutional network by frame and a recurrent one over frames, for moving pictures.

After Güera and Delp ("Deepfake Video Detection Using Recurrent Neural Networks", AVSS 2018): single frames may
pass, and what changes between them does not. The frames' features come from the residual network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.detect.networks.blocks import Witness
from assay.detect.networks.residual import Residual


class CnnLstm(Witness):
    """Frames, float32 (n, frames, 3, side, side), RGB 0..1; a logit after each frame; their mean is the answer.

    ``width`` and ``depth`` are the residual network's, ``hidden`` the channels of the memory, which runs one way,
    so that a prefix of a film is heard like the film.
    """

    least = Residual.least
    moving = True

    def __init__(
        self,
        width: int = 24,
        depth: int = 1,
        hidden: int = 96,
        *,
        relative: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.frame = Residual(width, depth, relative=relative)
        del self.frame.vote  # the frame's features count, not its own vote
        self.memory = nn.LSTM(4 * width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, 1)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, frames, 1): what was thought after each frame."""
        seen = self.frame.features(crops.flatten(0, 1)).mean((2, 3))
        # Exported models take any number of films only if the empty memory is told how many there are.
        empty = torch.zeros(1, crops.shape[0], self.memory.hidden_size, device=seen.device, dtype=seen.dtype)
        films = seen.unflatten(0, crops.shape[:2])  # type: ignore[no-untyped-call]
        heard, _ = self.memory(films, (empty, empty))
        after: Tensor = self.linear(self.dropout(heard))
        return after.mean((1, 2)), after
