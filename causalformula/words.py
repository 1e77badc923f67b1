"""Closed sets of words that arguments take, as types: what an editor offers and a type checker holds them to."""

from __future__ import annotations

from typing import Literal, TypeAlias

# How the columns of a tidy frame are spelled: std.error or std_error.
Spelling: TypeAlias = Literal["broom", "snake"]
