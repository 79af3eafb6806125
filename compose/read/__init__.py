"""From text to values: YAML trees, variables, and the syntax inside attributes' strings."""

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
