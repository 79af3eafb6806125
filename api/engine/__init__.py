"""The Docker Engine API's schema: bodies of requests and answers, for servers and clients. No HTTP library."""
