"""Programs: jaxprs obtained by tracing, and their evaluation in many arithmetics."""
