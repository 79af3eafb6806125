"""From compose files to specs, in numbered pure phases."""
