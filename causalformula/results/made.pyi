# A bare `Design` in an annotation makes Results, which stand above designs: only a stub can name them here.
from typing_extensions import TypeVar

from causalformula.results.result import Result

R = TypeVar("R", default=Result)
