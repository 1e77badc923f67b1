"""Fits to data that stay where they are: the same estimators, a chunk of rows at a time.

How a question is answered:

- ``sources`` reads rows: ``source.run(task, columns, merge)`` (``sources.source`` says how to add an engine);
- ``plan`` makes a ``Plan`` of a formula by a few passes (``preparation``): ``plan.frame(chunk)`` is an ordinary frame
  of the rows of a chunk, with the levels, the memory and the treatment of all rows (``reading`` evaluates variables);
- ``passes.Passes`` is a plan and its source: ``passes.total(task)`` adds up, by ``+``, what a task says of the frames
  of all chunks. A task is a frozen dataclass with ``__call__(frame)``, so that it pickles; what it returns has
  ``__add__`` (``sums.Sums``, ``sums.Spread``);
- ``equations`` solves a regression of any family by passes of the tasks in ``blocks``, and gives a
  ``regression.Fitted``, whose ``at(rows)`` is the ordinary ``FittedRegression`` of a chunk with the bread, dispersion
  and degrees of freedom of all rows;
- a method (``estimators``) is a function ``(WholeFrame, options) -> Fit``, entered in ``methods.METHODS``. Its
  estimate has ``inference.evidence.Accumulated`` as evidence: a ``Part`` whose ``at(chunk)`` is the ordinary
  ``Influence`` of the chunk's rows (``n`` rows of the chunk; Jacobians, Hessians and totals of all rows), and a
  ``shape``, the same without rows. ``covariance()`` sums what it needs over the chunks; a method computes no standard
  error;
- a method that weights says how the rows of a chunk are weighted (``averages.Weigh``: the ordinary ``Weighting`` with
  Hessians of all rows), and ends in ``weighting.weighted_fit``; ``balancing`` solves duals, ``propensity`` scores,
  ``order`` finds exact order statistics, ``balance`` and ``overlap`` describe designs;
- ``bootstrap`` refits side by side (``lockstep``): what all replicates ask of the rows next is one pass;
- ``whole.WholeFrame`` is what results and prints read. It refuses whatever asks for rows (``inference.away``).
"""
