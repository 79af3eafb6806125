"""The images of this host: fetched, verified, stored, named, given to others."""
