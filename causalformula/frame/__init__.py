"""From a formula and data to arrays: binding, the model frame, the treatment."""
