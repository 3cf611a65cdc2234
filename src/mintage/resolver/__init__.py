"""Door 2, the public scan side: `app` answers, `paths` reads codes, `pages` shows, `scan_buffer` records."""
