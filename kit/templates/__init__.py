"""Go's text/template, the part that services and `--format` need. Pure."""
