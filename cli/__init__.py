"""The command line. Speaks the HTTP API and nothing else; a command's module is imported only when it runs."""
