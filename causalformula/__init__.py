"""One formula for a causal question, every estimator behind it, and the numbers R gives.

The public names stand in ``__init__.pyi``, where type checkers read them, and are loaded when they are first used: a
script pays only for what it calls.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

__version__ = "0.1.0"

_load, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in __all__:
        from causalformula.errors import did_you_mean

        raise AttributeError(f"module 'causalformula' has no attribute {name!r}{did_you_mean(name, __all__)}")
    return _load(name)


def __dir__() -> list[str]:
    return sorted([*_names(), "__version__"])
