"""``R``: what a design's ``fit`` makes, which only a type checker needs to know."""

from __future__ import annotations

from typing import TypeVar

R = TypeVar("R")
