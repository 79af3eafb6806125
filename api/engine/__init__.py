"""The Docker Engine API's schema: bodies of requests and answers, for all who build or read them. No HTTP library."""
