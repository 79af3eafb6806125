"""The reference page docs/compose.md, generated from the attribute table.

`python -m compose.table.reference_page > docs/compose.md` writes it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from compose.table.attributes import ATTRIBUTES, OURS
from compose.table.rule import AttributeRule

_HEAD = """\
# Compose: all attributes and their support

Argosy reads all of the [Compose Specification](https://github.com/compose-spec/compose-spec): `include`, `extends`,
profiles, anchors, `!reset` and `!override`, several files, `.env`. All its attributes are listed below. An attribute
that is not honoured is refused with file, line and column; none is silently dropped. The design is in
[compose-phases.md](design/compose-phases.md).

- **honoured**: as in Docker Compose, or, under `deploy`, as in Swarm.
- **differently**: honoured in another way, which is described beside it.
- **refused**: for the reason beside it. A value that asks for what happens anyway is accepted.

## Files and variables

- Files: those given with `-c`, `-` for standard input; or those of `COMPOSE_FILE` (between `COMPOSE_PATH_SEPARATOR`);
  or `compose.yaml`, `compose.yml`, `docker-compose.yml` or `docker-compose.yaml` in the working directory or above it,
  with `compose.override.yml` beside it. Later files win. Relative paths are relative to the first file, or to
  `--project-directory`.
- Variables: the environment, then `.env` beside the first file, or the files of `--env-file` or `COMPOSE_ENV_FILES`.
  `COMPOSE_DISABLE_ENV_FILE=true` ignores `.env`.
- Profiles: `--profile`, and `COMPOSE_PROFILES`.
- The stack's name: the argument, or `COMPOSE_PROJECT_NAME`, or `name:`, or the directory's name. In files,
  `${COMPOSE_PROJECT_NAME}` is this name.
- `argosy stack config` prints the files in canonical form, which loads to the same stack.
- A secret or config is created as `STACK_NAME-DIGEST`. Other content is another object: the services that use it are
  updated according to their `update_config`, and a rollback restores the old one. The same holds for
  `docker stack deploy`: its `STACK_NAME` is the version deployed last, and deploying the same file with both clients
  changes nothing.

## Attributes

This page is generated from the tables in `compose/table/*_attributes.py` by `python -m compose.table.reference_page`.

"""
_OURS = """
### Services: Argosy's own

Not part of the specification: other tools ignore them as extensions. For files that Docker deploys, the same can be
given in `deploy.labels`: `argosy.schedule` and `argosy.schedule.timezone`, `.overlap`, `.missed-window`,
`.active-deadline`, `.history`, `.suspend`. Their meaning: [scheduled jobs](design/task-lifecycle.md).

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
