"""What a method is made of, in one place: for whoever writes one.

A method is a frozen dataclass of options, a ``Record`` and a function. The vignette "How an estimate works" writes one.
"""

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.estimands import ATC, ATE, ATM, ATO, ATOS, ATT, LATE
from causalformula.backends.fit import Answer, DesignWeights, Fit, Fitted, Label, Query
from causalformula.backends.held import HeldDesign, held_fit
from causalformula.backends.options import Options
from causalformula.backends.outcome_model import fit_outcome, model_word
from causalformula.backends.outcomes import PotentialMeans, averaged
from causalformula.backends.propensity import fit_propensity, propensity_notes
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.standardize import mean_gradient, shifted_predictor
from causalformula.backends.target import target_arm, target_weights
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.stage import Hat, Stage

__all__ = [
    "ATC",
    "ATE",
    "ATM",
    "ATO",
    "ATOS",
    "ATT",
    "LATE",
    "MODELLED",
    "PROPENSITY",
    "Answer",
    "DesignWeights",
    "Estimate",
    "Fit",
    "Fitted",
    "Hat",
    "HeldDesign",
    "Influence",
    "Kind",
    "Label",
    "Options",
    "Part",
    "PotentialMeans",
    "Query",
    "Record",
    "Stage",
    "averaged",
    "dropped_terms",
    "fit_outcome",
    "fit_propensity",
    "held_fit",
    "mean_gradient",
    "model_word",
    "propensity_notes",
    "shifted_predictor",
    "target_arm",
    "target_weights",
]
