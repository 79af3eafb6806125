"""Text to values: YAML trees, variables, and the small languages of attributes."""

__all__ = [
    "device_syntax",
    "dotenv",
    "option_syntax",
    "port_syntax",
    "report",
    "tree",
    "value_kinds",
    "variables",
    "volume_syntax",
    "yaml_reader",
]
