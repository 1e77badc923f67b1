"""``Part``: which of a frame's design matrices, as a key that is read and never unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.errors import CapabilityError, choose


@dataclass(frozen=True)
class PartRecord:
    """What a design matrix is made of.

    Parameters
    ----------
    roles : tuple of str
        Roles whose terms it has, in order.
    heads : str
        The role that stands in front: ``treat``, ``did`` (its two variables crossed), or none.
    meaning : str
        In words, for the documentation and for messages.
    """

    roles: tuple[str, ...]
    heads: str
    meaning: str


PARTS = {
    "outcome": PartRecord(("adjust", "outcome", "modify"), "treat", "the outcome model"),
    "weighted": PartRecord(("outcome", "modify"), "treat", "the outcome model of a weighted sample"),
    "did": PartRecord(("adjust", "outcome", "modify"), "did", "the regression of a difference in differences"),
    "covariates": PartRecord(("adjust", "outcome", "modify"), "", "the covariates of the outcome model"),
    "adjust": PartRecord(("adjust", "modify"), "", "the confounders"),
    "propensity": PartRecord(("adjust", "modify", "propensity"), "", "the treatment model"),
    "modify": PartRecord(("modify",), "", "the effect modifiers"),
    "iv": PartRecord(("iv",), "", "the instruments"),
    "censoring": PartRecord(("adjust", "modify", "censoring"), "", "the model of being observed"),
}


@dataclass(frozen=True)
class Part:
    """One of a frame's design matrices.

    Parameters
    ----------
    kind : str
        A key of ``PARTS``.
    interact : bool
        Whether the treatment is crossed with every other term.

    Raises
    ------
    CapabilityError
        For a kind that no frame has.
    """

    kind: str
    interact: bool = False

    def __post_init__(self) -> None:
        if self.kind not in PARTS:
            raise CapabilityError(f"a frame has no design matrix {self.kind!r}{choose(self.kind, PARTS)}")
        if self.interact and PARTS[self.kind].heads != "treat":
            raise CapabilityError(f"the design matrix {self.kind!r} has no treatment to interact")

    @property
    def record(self) -> PartRecord:
        """What it is made of."""
        return PARTS[self.kind]


ADJUST, PROPENSITY = Part("adjust"), Part("propensity")
