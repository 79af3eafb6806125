"""Go's text/template, as far as services and `--format` need it. Pure."""
