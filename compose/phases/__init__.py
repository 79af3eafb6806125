"""The phases of loading, one file each."""
