"""Export files: rows in, bytes out. One file per format, one table of formats."""
