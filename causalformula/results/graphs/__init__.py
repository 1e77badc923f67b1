"""Causal diagrams as a reader meets them: asked for designs, tested on data, simulated, drawn."""
