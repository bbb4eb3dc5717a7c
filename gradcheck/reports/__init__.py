"""Reports: what a verification found, as an object, in the terminal, as JSON and as HTML."""
