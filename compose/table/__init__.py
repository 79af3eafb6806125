"""One rule per attribute of the Compose Specification."""
