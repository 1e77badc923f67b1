"""From terms to a design matrix, as R's ``model.matrix`` has it."""
