"""A question asked again of another outcome: what was built for the first is not built anew."""

from __future__ import annotations

from dataclasses import replace

from causalformula.frame.model_frame import ModelFrame


def sharing(frame: ModelFrame, first: ModelFrame) -> ModelFrame:
    """A frame with the designs that another one built, which has its rows and terms, and another outcome."""
    return replace(frame, _memo={k: v for k, v in first._memo.items() if k != "y"})
