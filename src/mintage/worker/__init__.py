"""Door 4: the loop that runs queued work, and the duties."""
