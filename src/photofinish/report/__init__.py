"""The report of a study: one page and one text, rendered from its folder."""
