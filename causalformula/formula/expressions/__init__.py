"""R's expression language on columns: values, operators, the table of functions, contrasts, transforms."""
