"""From the project to the services, networks and files of a stack."""
