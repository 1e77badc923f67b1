"""R's page: numbers, columns and tables as strings, from strings and arrays."""
