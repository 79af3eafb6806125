"""The command line. Speaks the HTTP API and nothing else; every command's module is imported only when it is used."""
