"""The reference page docs/compose.md, generated from the attribute table.

`python -m compose.table.reference_page > docs/compose.md` writes it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from compose.table.attributes import ATTRIBUTES, OURS
from compose.table.rule import AttributeRule

_HEAD = """\
# Compose: every attribute, and what becomes of it

Argosy reads the [Compose Specification](https://github.com/compose-spec/compose-spec) whole: `include`, `extends`,
profiles, anchors, `!reset` and `!override`, several files, `.env`. Each of its attributes stands below. What is not
honoured is refused with file, line and column; nothing is dropped in silence. The design is in
[compose-phases.md](design/compose-phases.md).

- **honoured**: as Docker Compose has it, or, under `deploy`, as Swarm has it.
- **differently**: honoured in another way, which is told beside it.
- **refused**: with the reason beside it. A value that asks for what is the case anyway is accepted.

## Files and variables

- Files: those given with `-c`, `-` for standard input; or those of `COMPOSE_FILE` (between `COMPOSE_PATH_SEPARATOR`);
  or `compose.yaml`, `compose.yml`, `docker-compose.yml` or `docker-compose.yaml` here or in a directory above, with
  `compose.override.yml` beside it. Later files win. Relative paths are relative to the first file, or to
  `--project-directory`.
- Variables: the environment, and below it `.env` beside the first file, or the files of `--env-file` or
  `COMPOSE_ENV_FILES`. `COMPOSE_DISABLE_ENV_FILE=true` leaves `.env` out.
- Profiles: `--profile`, and `COMPOSE_PROFILES`.
- The stack's name: the argument, or `COMPOSE_PROJECT_NAME`, or `name:`, or that of the directory. In files,
  `${COMPOSE_PROJECT_NAME}` is this name.
- `argosy stack config` prints what the files come to. What it prints loads to the same.
- A secret or config is created as `STACK_NAME-DIGEST`. Other content is another object, the services that use it are
  updated by their `update_config`, and a rollback brings the old one back. `docker stack deploy` gets the same: what it
  calls `STACK_NAME` is the version deployed last, and the same file by both clients changes nothing.

## Attributes

This page is made from the table in `compose/table/*_attributes.py` by `python -m compose.table.reference_page`.

"""
_OURS = """
### Services: Argosy's own

Not of the specification: other tools take them for extensions, and leave them alone. The same can be said in
`deploy.labels`, for files that Docker deploys: `argosy.schedule` and `argosy.schedule.timezone`, `.overlap`,
`.missed-window`, `.active-deadline`, `.history`, `.suspend`. What they mean:
[scheduled jobs](design/task-lifecycle.md).

"""
_SECTIONS = (
    ("Top level", "", ("services", "networks", "volumes", "secrets", "configs")),
    ("Services", "services.*", ("deploy", "build", "develop")),
    ("Services: deploy", "services.*.deploy", ()),
    ("Services: build", "services.*.build", ()),
    ("Services: develop", "services.*.develop", ()),
    ("Networks", "networks.*", ()),
    ("Volumes", "volumes.*", ()),
    ("Secrets", "secrets.*", ()),
    ("Configs", "configs.*", ()),
)


def reference_page() -> str:
    """The text of the page."""
    counts = dict.fromkeys(("honoured", "differently", "refused"), 0)
    for path, rule in ATTRIBUTES.items():
        counts[_status(path, rule)[0]] += 1
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    text = f"{_HEAD}Of the {len(ATTRIBUTES)} paths of the specification's schema: {summary}.\n"
    for title, prefix, elsewhere in _SECTIONS:
        text += f"\n### {title}\n\n| attribute | takes | | |\n|---|---|---|---|\n"
        text += "".join(_line(path, rule, prefix) for path, rule in _section(prefix, elsewhere))
    text += f"{_OURS}| attribute | takes | | |\n|---|---|---|---|\n"
    return text + "".join(_line(path, rule, "services.*") for path, rule in sorted(OURS.items()))


def _section(prefix: str, elsewhere: tuple[str, ...]) -> Iterator[tuple[str, AttributeRule]]:
    """The rules below a prefix, without the prefix itself (in the section above) and parts with their own section."""
    start = f"{prefix}." if prefix else ""
    deep = [f"{start}{part}." + ("" if prefix else "*.") for part in elsewhere]
    for path, rule in sorted(ATTRIBUTES.items()):
        if path.startswith(start) and not any(path.startswith(part) for part in deep):
            yield path, rule


def _line(path: str, rule: AttributeRule, prefix: str) -> str:
    status, remark = _status(path, rule)
    shown = path.removeprefix(f"{prefix}.") if prefix else path
    return f"| `{shown}` | {_takes(rule)} | {status} | {remark} |\n"


def _takes(rule: AttributeRule) -> str:
    words = [f"`{word}`" for word in rule.one_of if word]
    kinds = [kind for kind in rule.kinds if kind != "null"]
    return ", ".join(words) if words else " or ".join(kinds)


def _status(path: str, rule: AttributeRule) -> tuple[str, str]:
    if rule.refusal:
        harmless = " and ".join(f"`{_word(value)}`" for value in rule.harmless)
        return "refused", rule.refusal + (f" (accepted: {harmless})" if harmless else "")
    return rule.status, rule.how or rule.note


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(reference_page(), end="")
