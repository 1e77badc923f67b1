"""The formula language: R's expressions and term algebra, and the causal roles.

``reader.parse`` turns text into a ``Spec``; ``reader.parse_model`` reads R's plain model formulas;
``parse.parse_expression`` and ``deparse.deparse`` are the two directions between text and syntax tree.
"""
