"""Where rows are: one module an engine, behind one protocol."""
