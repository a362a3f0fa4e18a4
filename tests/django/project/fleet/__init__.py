"""An app with one managed model and one over a table that a script makes."""
