"""Door 1: the control plane over HTTP. No decisions here."""
