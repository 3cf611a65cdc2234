"""Door 3: the pages in which a brand's operations people mint, export and trace."""
