"""From text to ``Spec``: tokens, syntax trees, the grammar of roles, and back to text."""
