# The public names, each with the module that it comes from: read by type checkers, and by lazy_loader when a name is
# first used (which takes relative imports only).
from . import datasets, plots, scores
from .backends.did.etwfe import ETWFE
from .backends.did.imputation import Imputation
from .backends.did.options import DiD
from .backends.did.sunab import SunAb
from .backends.difference_in_means import DifferenceInMeans
from .backends.doubly_robust.aipw import AIPW
from .backends.doubly_robust.dml_options import DML
from .backends.doubly_robust.tmle import TMLE
from .backends.front_door import FrontDoor
from .backends.instruments import GMM, IV, LIML
from .backends.matching.options import CEM, Exact, Nearest
from .backends.meta.options import DRLearner, RLearner, SLearner, TLearner, XLearner
from .backends.regression import Regression
from .backends.subclass import Subclass
from .backends.weighting.cbps import CBPS
from .backends.weighting.ebal import Ebal
from .backends.weighting.energy import Energy
from .backends.weighting.ipt import IPT
from .backends.weighting.options import IPW
from .errors import (
    CapabilityError,
    CausalFormulaError,
    CausalFormulaWarning,
    ConvergenceError,
    DataError,
    FormulaError,
    GraphError,
    IdentificationError,
    IdentificationWarning,
    OptionError,
)
from .estimators.effects import EffectEstimator as EffectEstimator
from .frame.matrix import model_matrix
from .inference.requests import HAC, HC, AbadieImbens, Asympt, Classical, Cluster, DriscollKraay
from .inference.resampling.requests import Bootstrap, Jackknife, Wild
from .inference.small_sample import SmallSample, ssc
from .results.checks.anova import anova
from .results.checks.serial import bgtest, dwtest
from .results.checks.specification import bptest, resettest
from .results.checks.waldtest import waldtest
from .results.comparison.comparison import Comparison
from .results.comparison.verb import compare
from .results.confounders.confounders import Confounders
from .results.confounders.verb import select_confounders
from .results.design import Design
from .results.elsewhere import scan
from .results.families.decomposition import Decomposition
from .results.families.did import DidResult
from .results.families.dml import DMLResult
from .results.families.instruments import IVResult
from .results.families.judged import Curve, EffectCalibration, Judged, Worth
from .results.families.learned import LearnedResult
from .results.families.learned_model import LearnedModel
from .results.families.matching import MatchedDesign, MatchedResult
from .results.families.subclass import SubclassResult
from .results.families.unit_effects import Effects
from .results.families.units import UnitResult
from .results.graphs.graph import Graph
from .results.graphs.identified import Identification
from .results.graphs.tested import GraphTest
from .results.graphs.verb import dag
from .results.honest.sensitivity import TrendSensitivity
from .results.honest.verb import honest
from .results.joint.multiplicity import adjust_pvalues
from .results.lm import glm, lm
from .results.model import Model
from .results.reading.test import Test
from .results.result import Result
from .results.screening.screen import Screen
from .results.screening.verb import screen
from .results.sensitivity.evalue import evalue
from .results.sensitivity.rosenbaum import rosenbaum
from .results.several import Fits
from .results.stack import Stack, stack
from .results.table import Table, table
from .results.text.summary import Summary
from .verbs import design, fit, parse

__version__: str
__all__ = [
    "AIPW",
    "CBPS",
    "CEM",
    "DML",
    "ETWFE",
    "GMM",
    "HAC",
    "HC",
    "IPT",
    "IPW",
    "IV",
    "LIML",
    "TMLE",
    "AbadieImbens",
    "Asympt",
    "Bootstrap",
    "CapabilityError",
    "CausalFormulaError",
    "CausalFormulaWarning",
    "Classical",
    "Cluster",
    "Comparison",
    "Confounders",
    "ConvergenceError",
    "Curve",
    "DMLResult",
    "DRLearner",
    "DataError",
    "Decomposition",
    "Design",
    "DiD",
    "DidResult",
    "DifferenceInMeans",
    "DriscollKraay",
    "Ebal",
    "EffectCalibration",
    "Effects",
    "Energy",
    "Exact",
    "Fits",
    "FormulaError",
    "FrontDoor",
    "Graph",
    "GraphError",
    "GraphTest",
    "IVResult",
    "Identification",
    "IdentificationError",
    "IdentificationWarning",
    "Imputation",
    "Jackknife",
    "Judged",
    "LearnedModel",
    "LearnedResult",
    "MatchedDesign",
    "MatchedResult",
    "Model",
    "Nearest",
    "OptionError",
    "RLearner",
    "Regression",
    "Result",
    "SLearner",
    "Screen",
    "SmallSample",
    "Stack",
    "Subclass",
    "SubclassResult",
    "Summary",
    "SunAb",
    "TLearner",
    "Table",
    "Test",
    "TrendSensitivity",
    "UnitResult",
    "Wild",
    "Worth",
    "XLearner",
    "adjust_pvalues",
    "anova",
    "bgtest",
    "bptest",
    "compare",
    "dag",
    "datasets",
    "design",
    "dwtest",
    "evalue",
    "fit",
    "glm",
    "honest",
    "lm",
    "model_matrix",
    "parse",
    "plots",
    "resettest",
    "rosenbaum",
    "scan",
    "scores",
    "screen",
    "select_confounders",
    "ssc",
    "stack",
    "table",
    "waldtest",
]
